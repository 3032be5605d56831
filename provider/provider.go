// Package provider signs people in through identity providers, as a client of OpenID
// Connect: Google, Microsoft Entra ID, and any other one. It says who the provider says
// somebody is, and whether its word on the address counts; what follows from that is for
// the rules.
//
//	AuthURL ──▶ the provider asks the person ──▶ Exchange ──▶ Profile
//
// Both take the same Trip, which binds what comes back to the browser that was sent.
//
// Begin with Client.Exchange.
package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/oauth2"

	"roster/db"
	"roster/secret"
)

// Config is how this server is known to an identity provider.
type Config struct {
	Kind db.IdentityProviderKind
	// Issuer is the address of the provider, as db.IdentityProvider has it.
	Issuer       string
	ClientID     string
	ClientSecret secret.Text
	// RedirectURL is where the provider sends browsers back to.
	RedirectURL string
}

// Trip is what binds a way to the provider and back to one browser. Nobody but this
// server can guess any of it, and none of it is used twice.
type Trip struct {
	// State comes back with the browser (RFC 6749, 10.12), Nonce in the ID token (OpenID
	// Connect Core, 3.1.2.1), and Verifier never leaves the server before the code is
	// exchanged (RFC 7636).
	State, Nonce, Verifier string
}

// Client asks identity providers. It is safe for concurrent use.
type Client struct {
	http  *http.Client
	clock func() time.Time
	// discovered holds what providers say of themselves, by the address of that.
	discovered *lru.Cache[string, *metadata]
}

// How many providers are remembered, and for how long what they and trusted issuers say of
// themselves is believed: a key that one of them withdraws counts until then.
const (
	maxProviders = 1000
	maxAge       = 5 * time.Minute
)

// New returns a client that asks by the HTTP client, which has to be one for addresses that
// others have chosen (package egress). Tokens expire by the clock.
func New(by *http.Client, clock func() time.Time) *Client {
	discovered, err := lru.New[string, *metadata](maxProviders)
	if err != nil {
		panic(err) // only for no size
	}
	return &Client{http: by, clock: clock, discovered: discovered}
}

// metadata is what a provider says of itself (OpenID Connect Discovery, 3).
type metadata struct {
	*oidc.Provider
	// SendsIssuer is true if answers name the provider (RFC 9207, 3).
	SendsIssuer bool `json:"authorization_response_iss_parameter_supported"`
	// AuthMethods are the ways in which clients authenticate; none means by a header.
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	Issuer      string   `json:"issuer"`
	// readAt is when it has said so.
	readAt time.Time
}

// discover returns what the provider says of itself.
func (c *Client) discover(ctx context.Context, of *Config) (*metadata, error) {
	known, ok := c.discovered.Get(of.Issuer)
	now := c.clock()
	if ok && now.Sub(known.readAt).Abs() < maxAge {
		return known, nil
	}
	issuer := of.issuerPattern()
	found, err := oidc.NewProvider(oidc.InsecureIssuerURLContext(oidc.ClientContext(ctx, c.http), issuer), of.Issuer)
	if err != nil {
		return nil, err
	}
	m := &metadata{Provider: found, readAt: now}
	if err := found.Claims(m); err != nil {
		return nil, err
	}
	if m.Issuer != issuer {
		return nil, fmt.Errorf("the provider says that it is %q, not %q", m.Issuer, issuer)
	}
	address, err := url.Parse(m.Endpoint().AuthURL)
	if err != nil || address.Host == "" || address.Scheme != "https" && (address.Scheme != "http" || !isLoopback(of.Issuer)) {
		return nil, errors.New("the provider sends people to no https address")
	}
	c.discovered.Add(of.Issuer, m)
	return m, nil
}

// oauth returns how codes are asked for and exchanged.
func (m *metadata) oauth(of *Config) *oauth2.Config {
	endpoint := m.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if len(m.AuthMethods) > 0 && !slices.Contains(m.AuthMethods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: of.ClientID, ClientSecret: of.ClientSecret.Reveal(), RedirectURL: of.RedirectURL, Endpoint: endpoint,
		Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}
}

// AuthURL returns the address at the provider where the person signs in. hint is what the
// person calls their account there, and may be empty.
func (c *Client) AuthURL(ctx context.Context, of *Config, trip Trip, hint string) (string, error) {
	m, err := c.discover(ctx, of)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(trip.Nonce), oauth2.S256ChallengeOption(trip.Verifier)}
	if hint != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", hint))
	}
	return m.oauth(of).AuthCodeURL(trip.State, options...), nil
}

// Answer is what a browser brings back from a provider.
type Answer struct {
	State, Code string
	// Issuer names the provider (RFC 9207); most do not say it.
	Issuer string
	// Error is why there is no code, such as "access_denied" (RFC 6749, 4.1.2.1).
	Error string
}

// Exchange returns whom the provider has signed in. The caller has compared the state, and
// sees to it that a trip is exchanged once. It returns an error for whatever is not as it
// has to be: the provider does not answer, or not by the rules of OpenID Connect Core,
// 3.1.3.7, or speaks of somebody whom it does not speak for.
func (c *Client) Exchange(ctx context.Context, of *Config, trip Trip, answer Answer) (*Profile, error) {
	m, err := c.discover(ctx, of)
	if err != nil {
		return nil, err
	}
	if m.SendsIssuer && answer.Issuer == "" {
		return nil, errors.New("the answer does not name the provider")
	}
	ctx = oidc.ClientContext(ctx, c.http)
	token, err := m.oauth(of).Exchange(ctx, answer.Code, oauth2.VerifierOption(trip.Verifier))
	if err != nil {
		return nil, err
	}
	raw, _ := token.Extra("id_token").(string)
	verifier := m.Verifier(&oidc.Config{ClientID: of.ClientID, SupportedSigningAlgs: algorithms, SkipIssuerCheck: true, Now: c.clock})
	id, err := verifier.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	claims, err := c.check(id, of, trip)
	if err != nil {
		return nil, err
	}
	if answer.Issuer != "" && answer.Issuer != claims.Issuer {
		return nil, fmt.Errorf("the answer is of %q, not of %q", answer.Issuer, claims.Issuer)
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return nil, err
		}
	}
	if claims.Email == "" && of.Kind == db.OIDCProvider && m.UserInfoEndpoint() != "" {
		if err := ask(ctx, m, token, claims); err != nil {
			return nil, err
		}
	}
	return claims.profile(of), nil
}

// ask adds what only the endpoint for that says of the person (OpenID Connect Core, 5.3),
// which has to be about the same one.
func ask(ctx context.Context, m *metadata, token *oauth2.Token, into *claims) error {
	info, err := m.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return err
	}
	if info.Subject != into.Subject {
		return errors.New("the provider speaks of somebody else")
	}
	return info.Claims(&into.personal)
}
