package graph_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"roster/egress"
	"roster/graph/graphtest"
	"roster/provider"
	"roster/provider/providertest"
)

// An access token of a trusted issuer says who somebody is; what they may do is in the
// directory, and ends with it, on both servers.
func TestTokensOfTrustedIssuers(t *testing.T) {
	t.Parallel()
	const audience = "https://api.example.com"
	p := providertest.New(t)
	b := graphtest.New(t)
	servers := []*graphtest.Server{b, b.Restarted(t)}
	for _, on := range servers {
		by := egress.NewClient(true)
		t.Cleanup(by.CloseIdleConnections)
		on.SignIn.TrustedTokens = provider.NewAccessTokens(by, time.Now, provider.TrustedIssuer{Issuer: p.URL, Audience: audience})
	}
	b.Ask(t, `mutation {
		p: createPermission(input: {key: "invoices:read"}) { permission { id } }
		r: createRole(input: {key: "clerk", permissions: [{key: "invoices:read"}, {key: "roster:members:read"}, {key: "roster:members:write"}]}) { role { id } }
		a: createOrganization(input: {code: "acme", name: "Acme"}) { organization { id } }
		g: createOrganization(input: {code: "globex", name: "Globex"}) { organization { id } }
		ada: createUser(input: {email: "ada@example.com", username: "ada", organizations: [{code: "acme"}], roles: [{key: "clerk"}]}) { user { id } }
		gus: createUser(input: {email: "gus@example.com", username: "gus", organizations: [{code: "acme"}, {code: "globex"}]}) { user { id } }
	}`)
	for _, name := range []string{"ada", "gus"} {
		b.Execute(t, "insert into identities (provider, subject, user_id) select ?, ?, id from users where username = ?", p.URL, name, name)
	}
	token := func(subject string, changes map[string]any) string {
		claims := map[string]any{"iss": p.URL, "aud": audience, "sub": subject, "exp": time.Now().Add(time.Hour).Unix()}
		maps.Copy(claims, changes)
		text, err := json.Marshal(claims)
		graphtest.Must(t, err)
		return providertest.Signed(jose.RS256, p.Key, "1", text)
	}
	const who = `{ viewer { user { username } session { id } organization { code } permissions can(permission: "invoices:read") } }`
	in := func(on *graphtest.Server, token, org string) *graphtest.Answer {
		header := graphtest.Headers(token)
		header.Set("Roster-Organization", org)
		body, err := json.Marshal(object{"query": who})
		graphtest.Must(t, err)
		return on.Send(t, http.MethodPost, "/graphql", header, body)
	}
	ada, gus := token("ada", nil), token("gus", nil)
	for _, on := range servers {
		a := on.As(t, ada, who, nil)
		if a.Text("viewer.user.username") != "ada" || a.Text("viewer.organization.code") != "acme" || a.At("viewer.session") != nil || a.At("viewer.can") != true {
			t.Errorf("%s", a.Body)
		}
		if a := on.As(t, gus, who, nil); a.Text("viewer.user.username") != "gus" || a.At("viewer.organization") != nil {
			t.Errorf("who belongs to several acts in none: %s", a.Body)
		}
		if a := in(on, gus, "globex"); a.Text("viewer.organization.code") != "globex" {
			t.Errorf("%s", a.Body)
		}
		if a := in(on, ada, "globex"); a.Codes() != "FORBIDDEN" {
			t.Errorf("%s", a.Body)
		}
		for name, bad := range map[string]string{
			"of nobody": token("eve", nil), "for another": token("ada", map[string]any{"aud": "x"}), "an ID token": token("ada", map[string]any{"nonce": "n"}),
			"of another issuer": token("ada", map[string]any{"iss": "https://elsewhere.example"}), "expired": token("ada", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}),
		} {
			if a := on.As(t, bad, who, nil); a.Codes() != "UNAUTHENTICATED" {
				t.Errorf("%s: %s", name, a.Body)
			}
		}
		for _, refused := range []string{
			`mutation { changePassword(input: {currentPassword: "a", newPassword: "b"}) { accepted } }`, `mutation { signOut { endedSessions } }`,
			`mutation { requestEmailChange(input: {email: "new@example.com"}) { step { next } } }`, `mutation { accessToken(input: {audience: "` + graphtest.Issuer + `"}) { accessToken { token } } }`,
		} {
			if a := on.As(t, ada, refused, nil); a.Codes() != "FORBIDDEN" {
				t.Errorf("%s: %s", refused, a.Body)
			}
		}
	}
	a := b.As(t, ada, `mutation { grantRoles(input: {organization: {code: "acme"}, users: [{username: "gus"}], roles: [{key: "clerk"}]}) { memberships { id } } }`, nil)
	if len(a.Errors) > 0 {
		t.Errorf("%s", a.Body)
	}
	identity := b.Ask(t, `{ user(by: {username: "gus"}) { identities { id } } }`).Text("user.identities.0.id")
	for ends, by := range map[string]struct{ mutation, token string }{
		"suspended": {`mutation { suspendUser(input: {user: {username: "ada"}}) { user { id } } }`, ada},
		"unlinked":  {`mutation { unlinkIdentity(input: {user: {username: "gus"}, identity: "` + identity + `"}) { user { id } } }`, gus},
	} {
		b.Ask(t, by.mutation)
		if a := servers[0].As(t, by.token, who, nil); a.Codes() != "UNAUTHENTICATED" {
			t.Errorf("%s: %s", ends, a.Body)
		}
		graphtest.Eventually(t, 10*time.Second, ends+" elsewhere", func() bool { return servers[1].As(t, by.token, who, nil).Codes() == "UNAUTHENTICATED" })
	}
}
