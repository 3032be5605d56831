package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"roster/access"
	"roster/graph/graphtest"
)

// openings are mutations by which people come to hold something whom nobody has named, or to
// belong to an organization: what they need besides the permission of the mutation, and what
// is open to everybody who has that.
var openings = map[string]struct {
	// does is the mutation, and by the permission that the schema says it needs.
	does, by string
	// needs is what it needs besides, and code the error without it; empty for nothing.
	needs, code string
	field       string
}{
	"an organization is opened":             {`updateOrganization(input: {organization: {code: "acme"}, allowSelfSignUp: true}) { organization { id } }`, "roster:organizations:write", "roster:members:write", "FORBIDDEN", "input.allowSelfSignUp"},
	"an organization gets a domain":         {`updateOrganization(input: {organization: {code: "acme"}, autoJoinDomains: ["acme.example", "else.example"]}) { organization { id } }`, "roster:organizations:write", "roster:members:write", "FORBIDDEN", "input.autoJoinDomains"},
	"an open organization is made":          {`createOrganization(input: {name: "x", allowSelfSignUp: true}) { organization { id } }`, "roster:organizations:write", "roster:members:write", "FORBIDDEN", "input.allowSelfSignUp"},
	"one with a domain is made":             {`createOrganization(input: {name: "x", autoJoinDomains: ["else.example"]}) { organization { id } }`, "roster:organizations:write", "roster:members:write", "FORBIDDEN", "input.autoJoinDomains"},
	"one that nobody can join is made":      {`createOrganization(input: {name: "x"}) { organization { id } }`, "roster:organizations:write", "", "", ""},
	"an open organization stays so":         {`updateOrganization(input: {organization: {code: "globex"}, allowSelfSignUp: true, autoJoinDomains: ["globex.example"], name: "y"}) { organization { id } }`, "roster:organizations:write", "", "", ""},
	"an organization is closed":             {`updateOrganization(input: {organization: {code: "globex"}, allowSelfSignUp: false, autoJoinDomains: []}) { organization { id } }`, "roster:organizations:write", "", "", ""},
	"an organization gets a provider":       {`createIdentityProvider(input: {key: "of-acme", kind: OIDC, issuer: "https://of-acme.example", clientId: "r", clientSecret: "s", organization: {code: "acme"}}) { provider { id } }`, "roster:settings:write", "", "", ""},
	"the business gets a provider":          {`createIdentityProvider(input: {key: "of-all", kind: OIDC, issuer: "https://of-all.example", clientId: "r", clientSecret: "s"}) { provider { id } }`, "roster:settings:write", "", "", ""},
	"the business gets a trusted provider":  {`createIdentityProvider(input: {key: "of-all", kind: OIDC, issuer: "https://of-all.example", clientId: "r", clientSecret: "s", trusted: true}) { provider { id } }`, "roster:settings:write", allBut(access.SettingsWrite), "FORBIDDEN", "input.trusted"},
	"a provider of the business is trusted": {`updateIdentityProvider(input: {provider: $OURS, trusted: true}) { provider { id } }`, "roster:settings:write", allBut(access.SettingsWrite), "FORBIDDEN", "input.trusted"},
	"a trusted one is switched on":          {`updateIdentityProvider(input: {provider: $ASLEEP, enabled: true}) { provider { id } }`, "roster:settings:write", allBut(access.SettingsWrite), "FORBIDDEN", "input.enabled"},
	"a trusted one gets a domain":           {`updateIdentityProvider(input: {provider: $TRUSTED, domains: ["one.example", "two.example"]}) { provider { id } }`, "roster:settings:write roster:organizations:write", allBut(access.SettingsWrite, access.OrganizationsWrite), "FORBIDDEN", "input.domains"},
	"a trusted one keeps a domain":          {`updateIdentityProvider(input: {provider: $TRUSTED, domains: ["one.example"]}) { provider { id } }`, "roster:settings:write roster:organizations:write", "", "", ""},
	"a trusted one keeps none":              {`updateIdentityProvider(input: {provider: $TRUSTED, domains: []}) { provider { id } }`, "roster:settings:write roster:organizations:write", "", "", ""},
	"Google gets all domains":               {`updateIdentityProvider(input: {provider: $GOOGLE, domains: null}) { provider { id } }`, "roster:settings:write", allBut(access.SettingsWrite), "FORBIDDEN", "input.domains"},
	"it goes on to be":                      {`updateIdentityProvider(input: {provider: $TRUSTED, trusted: true, displayName: "y"}) { provider { id } }`, "roster:settings:write", "", "", ""},
	"one of an organization is trusted":     {`updateIdentityProvider(input: {provider: $ON, trusted: true}) { provider { id } }`, "roster:settings:write", "", "", ""},
	"its provider is switched on":           {`updateIdentityProvider(input: {provider: $OFF, enabled: true}) { provider { id } }`, "roster:settings:write", "", "", ""},
	"newcomers may make organizations":      {`updateSettings(input: {allowOrganizationSignUp: true}) { settings { allowSelfSignUp } }`, "roster:settings:write", "roster:members:read roster:members:write roster:organizations:read roster:roles:read roster:changes:read", "ESCALATION", ""},
	"newcomers may not make any":            {`updateSettings(input: {allowOrganizationSignUp: false}) { settings { allowSelfSignUp } }`, "roster:settings:write", "", "", ""},
	"somebody is invited again":             {`resendInvitation(input: {invitation: $INVITATION}) { link }`, "roster:members:write", "roster:imports:write", "ESCALATION", ""},
	"somebody is invited as a member":       {`resendInvitation(input: {invitation: $PLAIN}) { link }`, "roster:members:write", "", "", ""},
	"an application answers to somebody":    {`updateApplication(input: {application: $APP, permissions: []}) { application { id } }`, "roster:settings:write", "roster:keys:write roster:imports:write", "ESCALATION", ""},
	"its secret is rolled":                  {`rollApplicationSecret(input: {application: $APP}) { clientSecret }`, "roster:settings:write", "roster:keys:write roster:imports:write", "ESCALATION", ""},
	"the key of an application is adopted":  {`adoptApiKey(input: {apiKey: $KEY}) { apiKey { id } }`, "roster:keys:write", "roster:imports:write", "ESCALATION", ""},
}

// allBut returns all permissions of Roster except some.
func allBut(some ...access.Permission) string {
	var all []string
	for _, p := range access.SystemPermissions {
		if !slices.Contains(some, p.Key) {
			all = append(all, string(p.Key))
		}
	}
	return strings.Join(all, " ")
}

// answersWithSecret reports whether the mutation cannot be tried by @dryRun, since its answer has
// a credential.
func answersWithSecret(does string) bool {
	return strings.HasPrefix(does, "rollApplicationSecret") || strings.HasPrefix(does, "resendInvitation")
}

// applicationWithKey makes a MACHINE by the credential, and by that an API key that may import.
func applicationWithKey(t *testing.T, b *graphtest.Server, by string) (app, keyID, key string) {
	t.Helper()
	a := b.As(t, by, `mutation($a: String!) { createApplication(input: {name: "m", kind: MACHINE, audiences: [$a], permissions: [{key: "roster:keys:write"}, {key: "roster:imports:write"}]}) { clientSecret application { id } } }`, object{"a": b.Issuer})
	app = a.Text("createApplication.application.id")
	a = b.As(t, b.MachineToken(t, app, a.Text("createApplication.clientSecret")), `mutation { createApiKey(input: {name: "child", permissions: [{key: "roster:imports:write"}]}) { secret apiKey { id } } }`, nil)
	if keyID, key = a.Text("createApiKey.apiKey.id"), a.Text("createApiKey.secret"); key == "" {
		t.Fatalf("%s", a.Body)
	}
	return app, keyID, key
}

// Whoever opens a door hands out what those get who come through it.
func TestOpeningsNeedWhatTheyGive(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.SmallBusiness)
	made := b.Ask(t, `mutation {
		updateOrganization(input: {organization: {code: "acme"}, autoJoinDomains: ["acme.example", "more.example"]}) { organization { id } }
		g: updateOrganization(input: {organization: {code: "globex"}, allowSelfSignUp: true, autoJoinDomains: ["globex.example"]}) { organization { id } }
		on: createIdentityProvider(input: {key: "on", kind: OIDC, issuer: "https://on.example", clientId: "r", clientSecret: "s", organization: {code: "acme"}, domains: ["acme.example"]}) { provider { id } }
		ours: createIdentityProvider(input: {key: "ours", kind: OIDC, issuer: "https://ours.example", clientId: "r", clientSecret: "s"}) { provider { id } }
		trusted: createIdentityProvider(input: {key: "trusted", kind: OIDC, issuer: "https://trusted.example", clientId: "r", clientSecret: "s", domains: ["one.example", "three.example"], trusted: true}) { provider { id } }
		google: createIdentityProvider(input: {key: "google", kind: GOOGLE, clientId: "r", clientSecret: "s", domains: ["one.example"], trusted: true}) { provider { id } }
		asleep: createIdentityProvider(input: {key: "asleep", kind: OIDC, issuer: "https://asleep.example", clientId: "r", clientSecret: "s", trusted: true}) { provider { id } }
		off: createIdentityProvider(input: {key: "off", kind: OIDC, issuer: "https://off.example", clientId: "r", clientSecret: "s", organization: {code: "acme"}}) { provider { id } }
		importers: createRole(input: {key: "importer", permissions: [{key: "roster:imports:write"}]}) { role { id } }
	}`)
	off := made.Text("off.provider.id")
	for _, id := range []string{off, made.Text("asleep.provider.id")} {
		b.Ask(t, `mutation($p: ID!) { updateIdentityProvider(input: {provider: $p, enabled: false}) { provider { id } } }`, object{"p": id})
	}
	acme := object{"code": "acme"}
	invitation, _ := invite(t, b, b.Key, object{"email": "importer@example.com", "organization": acme, "roles": graphtest.Refs("key", "importer"), "sendEmail": false})
	plain, _ := invite(t, b, b.Key, object{"email": "plain@example.com", "organization": acme, "roles": graphtest.Refs("key"), "sendEmail": false})
	app, key, _ := applicationWithKey(t, b, b.Key)
	ids := strings.NewReplacer("$OFF", graphtest.Quote(off), "$ON", graphtest.Quote(made.Text("on.provider.id")), "$OURS", graphtest.Quote(made.Text("ours.provider.id")), "$GOOGLE", graphtest.Quote(made.Text("google.provider.id")), "$ASLEEP", graphtest.Quote(made.Text("asleep.provider.id")), "$TRUSTED", graphtest.Quote(made.Text("trusted.provider.id")), "$INVITATION", graphtest.Quote(invitation), "$PLAIN", graphtest.Quote(plain),
		"$APP", graphtest.Quote(app), "$KEY", graphtest.Quote(key))
	for name, o := range openings {
		t.Run(name, func(t *testing.T) {
			document := "mutation " + map[bool]string{false: "@dryRun "}[answersWithSecret(o.does)] + "{ " + ids.Replace(o.does) + " }"
			by := strings.Fields(o.by)
			if o.code == "" {
				if a := b.As(t, b.Holding(t, "", by...), document, nil); a.Codes() != "" {
					t.Errorf("%s", a.Body)
				}
				return
			}
			for _, needed := range strings.Fields(o.needs) {
				var all []string
				for _, p := range access.SystemPermissions {
					if string(p.Key) != needed {
						all = append(all, string(p.Key))
					}
				}
				a := b.As(t, b.Holding(t, "", all...), document, nil)
				if a.Codes() != o.code || a.Field(0) != o.field || !strings.Contains(a.Errors[0].Message, needed) {
					t.Errorf("without %s: %s", needed, a.Body)
				}
			}
			if a := b.As(t, b.Holding(t, "", append(by, strings.Fields(o.needs)...)...), document, nil); a.Codes() != "" {
				t.Errorf("with all that it needs: %s", a.Body)
			}
		})
	}
}

// An API key that has stopped with a person does not work again because somebody who may do less
// answers for the application that has made it.
func TestNothingComesBackWithAnApplication(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.SmallBusiness)
	b.Ask(t, `mutation {
		createUser(input: {email: "mallory@example.com"}) { user { id } }
		addMembers(input: {organization: {code: "roster"}, users: [{email: "mallory@example.com"}]}) { memberships { id } }
		grantRoles(input: {organization: {code: "roster"}, users: [{email: "mallory@example.com"}], roles: [{key: "roster-administrator"}]}) { memberships { id } }
	}`)
	app, _, key := applicationWithKey(t, b, b.SignedIn(t, "mallory@example.com", "default"))
	can := func() string { return b.As(t, key, `{ viewer { permissions } }`, nil).Codes() }
	if can() != "" {
		t.Fatal("the key does not work")
	}
	b.Ask(t, `mutation { suspendUser(input: {user: {email: "mallory@example.com"}}) { user { id } } }`)
	for _, document := range []string{`updateApplication(input: {application: %s, permissions: []}) { application { id } }`, `rollApplicationSecret(input: {application: %s}) { clientSecret }`} {
		text := "mutation { " + fmt.Sprintf(document, graphtest.Quote(app)) + " }"
		if a := b.As(t, b.Holding(t, "", "roster:settings:write", "roster:keys:write"), text, nil); a.Codes() != "ESCALATION" || can() != "UNAUTHENTICATED" {
			t.Errorf("%s; the key: %q", a.Body, can())
		}
	}
	b.Ask(t, `mutation($a: ID!) { updateApplication(input: {application: $a, permissions: []}) { application { id } } }`, object{"a": app})
	if can() != "" {
		t.Error("somebody who may do all of it does not bring it back")
	}
}
