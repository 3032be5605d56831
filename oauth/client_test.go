package oauth_test

import (
	"context"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"roster/graph/graphtest"
)

// configure is the function of docs/applications.md; TestDocumentedGo compares them.
func configure(ctx context.Context, issuer, clientID, secret, redirectURL string) (*oauth2.Config, *oidc.IDTokenVerifier, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, nil, err
	}
	config := &oauth2.Config{
		ClientID: clientID, ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: redirectURL,
		Scopes: []string{oidc.ScopeOpenID, "profile", "email", oidc.ScopeOfflineAccess},
	}
	return config, provider.Verifier(&oidc.Config{ClientID: clientID}), nil
}

func TestDocumentedGo(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/applications.md")
	graphtest.Must(t, err)
	own, err := os.ReadFile("client_test.go")
	graphtest.Must(t, err)
	_, documented, _ := strings.Cut(string(page), "```go\n")
	documented, _, _ = strings.Cut(documented, "```")
	if documented == "" || !strings.Contains(string(own), documented) {
		t.Error("docs/applications.md has another function")
	}
}

// A server-side application signs a person in with go-oidc and x/oauth2, as they are; and a
// MACHINE gets a token with them.
func TestGoClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	a := w.create("WEB", nil)
	config, ids, err := configure(ctx, w.Issuer, a.id, a.secret, callback)
	graphtest.Must(t, err)
	provider, err := oidc.NewProvider(ctx, w.Issuer)
	graphtest.Must(t, err)
	pkce := oauth2.GenerateVerifier()
	link, err := url.Parse(config.AuthCodeURL("st&te", oauth2.S256ChallengeOption(pkce), oidc.Nonce("n-2"), oauth2.SetAuthURLParam("org_code", "acme")))
	graphtest.Must(t, err)
	b := w.browser()
	tokens, err := config.Exchange(ctx, b.code(b.signIn(b.get(link.RequestURI()))), oauth2.VerifierOption(pkce))
	graphtest.Must(t, err)
	shown, _ := tokens.Extra("id_token").(string)
	id, err := ids.Verify(ctx, shown)
	graphtest.Must(t, err)
	graphtest.Must(t, id.VerifyAccessToken(tokens.AccessToken))
	var profile struct {
		Email, Name string
		AMR         []string
		AuthTime    int64 `json:"auth_time"`
		SID         string
	}
	graphtest.Must(t, id.Claims(&profile))
	if id.Nonce != "n-2" || profile.Email != ada || !slices.Equal(profile.AMR, []string{"pwd"}) || profile.AuthTime == 0 || profile.SID == "" {
		t.Errorf("%+v %+v", id, profile)
	}
	info, err := provider.UserInfo(ctx, config.TokenSource(ctx, tokens))
	graphtest.Must(t, err)
	if info.Subject != id.Subject || info.Email != ada {
		t.Errorf("%+v", info)
	}
	tokens.AccessToken = "" // as if it had expired
	again, err := config.TokenSource(ctx, tokens).Token()
	graphtest.Must(t, err)
	said := claims(t, again.AccessToken)
	if said["org_code"] != "acme" || said["client_id"] != a.id || !slices.Equal(texts(said["permissions"]), []string{"invoices:read"}) || !slices.Equal(texts(said["roles"]), []string{"clerk"}) ||
		!slices.Equal(texts(said["aud"]), []string{api}) || again.RefreshToken == tokens.RefreshToken || again.RefreshToken == "" {
		t.Errorf("%v", said)
	}

	machine := w.create("MACHINE", object{"permissions": graphtest.Refs("key", "roster:users:read", "invoices:read"), "organization": object{"code": "acme"}, "audiences": []string{w.Issuer, api}})
	source := clientcredentials.Config{ClientID: machine.id, ClientSecret: machine.secret, TokenURL: provider.Endpoint().TokenURL, EndpointParams: url.Values{"resource": {w.Issuer}}}
	token, err := source.Token(ctx)
	graphtest.Must(t, err)
	if got := w.As(t, token.AccessToken, `{ users { nodes { email } } viewer { user { id } apiKey { id } organization { code } permissions } }`, nil); got.Text("users.nodes.0.email") != ada ||
		got.Text("viewer.organization.code") != "acme" || got.At("viewer.apiKey") != nil || len(got.List("viewer.permissions")) != 2 {
		t.Errorf("%s", got.Body)
	}
}

func texts(list any) []string {
	all := []string{}
	elements, _ := list.([]any)
	for _, one := range elements {
		text, _ := one.(string)
		all = append(all, text)
	}
	return all
}
