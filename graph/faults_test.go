package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"roster/graph/graphtest"
)

// faultsSeed is what the inputs below meet, besides mutationSeed.
const faultsSeed = `mutation {
	createUser(input: {email: "e@example.com", organizations: [{code: "acme"}]}) { user { id } }
	u: createUser(input: {username: "taken", organizations: [{code: "acme"}]}) { user { id } }
	x: createUser(input: {externalId: "X-1", organizations: [{code: "globex"}]}) { user { id } }
	createOrganization(input: {code: "paused", name: "Paused", externalId: "O-1", autoJoinDomains: ["bücher.example"], defaultRoles: [{key: "clerk"}]}) { organization { id } }
	suspendOrganization(input: {organization: {code: "paused"}}) { organization { id } }
	createRole(input: {key: "empty"}) { role { id } }
	d: createRole(input: {key: "newcomer", isDefault: true}) { role { id } }
	p: createRole(input: {key: "powerful", permissions: [{key: "roster:users:read"}]}) { role { id } }
	grantRoles(input: {organization: {code: "acme"}, users: [{email: "bob@example.com"}], roles: [{key: "clerk"}]}) { memberships { id } }
	grantPermissions(input: {organization: {code: "acme"}, users: [{email: "bob@example.com"}], permissions: [{key: "invoices:read"}]}) { memberships { id } }
	suspendUser(input: {user: {email: "bob@example.com"}}) { user { id } }
}`

// faultCase is an input with as many faults, each independent of the others, as
// it can have.
type faultCase struct {
	document string
	// faults are the codes and fields.
	faults string
}

const (
	long     = "LONG" // stands for more characters than any text may have
	badTerm  = `startsAt: "2030-01-01T00:00:00Z", endsAt: "2029-01-01T00:00:00Z", reason: "` + long + `"`
	pastEnd  = `endsAt: "2021-01-01T00:00:00Z", reason: "` + long + `"`
	profile  = `phone: "1", givenName: "` + long + `", familyName: "` + long + `", pictureUrl: "x", properties: 1`
	names    = `email: "E@example.com", username: "TAKEN", externalId: "x-1"`
	badLists = `users: [{email: "ada@example.com"}, {email: "nobody@example.com"}]`
)

const profileFaults = "INVALID input.familyName, INVALID input.givenName, INVALID input.phone, INVALID input.pictureUrl, INVALID input.properties"

// faultCases are asked by an actor who holds no permission but Roster's own to write, so
// that everything else that it hands out is an escalation.
var faultCases = []faultCase{
	{`createUser(input: {` + names + `, ` + profile + `, organizations: [{code: "acme"}, {code: "none"}], roles: [{key: "clerk"}, {key: "none"}]}) { user { id } }`,
		"CONFLICT input.email, CONFLICT input.externalId, CONFLICT input.username, ESCALATION , " + profileFaults + ", NOT_FOUND input.organizations.1, NOT_FOUND input.roles.1"},
	{`createUser(input: {email: "x", username: " ", externalId: " ", organizations: [], roles: [{id: "role_x"}]}) { user { id } }`,
		"INVALID input.email, INVALID input.externalId, INVALID input.organizations, INVALID input.username, NOT_FOUND input.roles.0"},
	{`createUser(input: {` + names + `}) { user { id } }`, "CONFLICT input.email, CONFLICT input.externalId, CONFLICT input.username"},
	{`createUser(input: {givenName: "` + long + `"}) { user { id } }`, "INVALID input, INVALID input.givenName"},
	{`createUser(input: {email: "x", passwordHash: "secret"}) { user { id } }`, "INVALID input.email, INVALID input.passwordHash"},
	{`updateUser(input: {user: {email: "ada@example.com"}, ifVersion: 9, ` + names + `, ` + profile + `}) { user { id } }`,
		"CONFLICT input.email, CONFLICT input.externalId, CONFLICT input.ifVersion, CONFLICT input.username, " + profileFaults},
	{`updateUser(input: {user: {email: "ada@example.com"}, ` + names + `}) { user { id } }`, "CONFLICT input.email, CONFLICT input.externalId, CONFLICT input.username"},
	{`updateUser(input: {user: {email: "nobody@example.com"}, ifVersion: 9, ` + names + `, ` + profile + `}) { user { id } }`,
		"CONFLICT input.email, CONFLICT input.externalId, CONFLICT input.username, " + profileFaults + ", NOT_FOUND input.user"},
	{`suspendUser(input: {user: {email: "nobody@example.com"}, reason: "` + long + `"}) { user { id } }`, "INVALID input.reason, NOT_FOUND input.user"},
	{`restoreUser(input: {user: {email: "nobody@example.com"}, reason: "` + long + `"}) { user { id } }`, "INVALID input.reason, NOT_FOUND input.user"},
	{`offboardUser(input: {user: {email: "nobody@example.com"}, reason: "` + long + `"}) { user { id } }`, "INVALID input.reason, NOT_FOUND input.user"},
	{`deleteUser(input: {user: {email: "nobody@example.com"}, reason: "` + long + `"}) { deletedIds }`, "INVALID input.reason, NOT_FOUND input.user"},
	{`createOrganization(input: {code: "ACME", name: " ", externalId: "o-1", properties: 1, autoJoinDomains: ["x", "Bücher.example", "free.example", "xn--bcher-kva.EXAMPLE"], defaultRoles: [{key: "clerk"}, {key: "none"}]}) { organization { id } }`,
		"CONFLICT input.autoJoinDomains.1, CONFLICT input.autoJoinDomains.3, CONFLICT input.externalId, ESCALATION , INVALID input.autoJoinDomains.0, INVALID input.code, INVALID input.name, INVALID input.properties, NOT_FOUND input.defaultRoles.1"},
	{`createOrganization(input: {code: "acme", name: "x", externalId: "o-1"}) { organization { id } }`, "CONFLICT input.code, CONFLICT input.externalId"},
	{`createOrganization(input: {name: "acme", externalId: "o-1"}) { organization { id } }`, "CONFLICT input.externalId"},
	{`updateOrganization(input: {organization: {code: "acme"}, ifVersion: 9, name: null, externalId: "o-1", properties: 1, autoJoinDomains: ["x", "bücher.example"], allowSelfSignUp: null, defaultRoles: [{key: "clerk"}, {key: "none"}]}) { organization { id } }`,
		"CONFLICT input.autoJoinDomains.1, CONFLICT input.externalId, CONFLICT input.ifVersion, ESCALATION , INVALID input.allowSelfSignUp, INVALID input.autoJoinDomains.0, INVALID input.name, INVALID input.properties, NOT_FOUND input.defaultRoles.1"},
	{`updateOrganization(input: {organization: {code: "acme"}, externalId: "o-1", defaultRoles: [{key: "empty"}]}) { organization { id } }`, "CONFLICT input.externalId"},
	{`updateOrganization(input: {organization: {code: "none"}, ifVersion: 9, name: " ", externalId: "o-1", properties: 1, autoJoinDomains: ["x"], defaultRoles: [{key: "clerk"}, {key: "none"}]}) { organization { id } }`,
		"CONFLICT input.externalId, INVALID input.autoJoinDomains.0, INVALID input.name, INVALID input.properties, NOT_FOUND input.defaultRoles.1, NOT_FOUND input.organization"},
	{`addMembers(input: {organization: {code: "acme"}, ` + badLists + `, roles: [{key: "clerk"}, {key: "none"}]}) { memberships { id } }`,
		"ESCALATION , NOT_FOUND input.roles.1, NOT_FOUND input.users.1"},
	{`addMembers(input: {organization: {code: "none"}, ` + badLists + `, roles: [{key: "clerk"}, {key: "none"}]}) { memberships { id } }`,
		"NOT_FOUND input.organization, NOT_FOUND input.roles.1, NOT_FOUND input.users.1"},
	{`addMembers(input: {organization: {code: "none"}, users: [], roles: [{key: "none"}]}) { memberships { id } }`,
		"INVALID input.users, NOT_FOUND input.organization, NOT_FOUND input.roles.0"},
	{`removeMembers(input: {organization: {code: "acme"}, users: [{email: "nobody@example.com"}, {email: "bob@example.com"}, {email: "ada@example.com"}, {username: "none"}]}) { deletedIds }`,
		"LAST_ORGANIZATION input.users.2, NOT_FOUND input.users.0, NOT_FOUND input.users.3"},
	{`removeMembers(input: {organization: {code: "none"}, users: [], reason: "` + long + `"}) { deletedIds }`, "INVALID input.reason, INVALID input.users, NOT_FOUND input.organization"},
	{`moveMember(input: {user: {email: "nobody@example.com"}, from: {code: "none"}, to: {code: "none"}}) { membership { id } }`, "NOT_FOUND input.from, NOT_FOUND input.to"},
	{`moveMember(input: {user: {email: "nobody@example.com"}, from: {code: "acme"}, to: {code: "acme"}}) { membership { id } }`, "INVALID input.to, NOT_FOUND input.user"},
	{`suspendMember(input: {user: {email: "nobody@example.com"}, organization: {code: "none"}}) { membership { id } }`, "NOT_FOUND input.organization"},
	{`suspendMember(input: {user: {email: "nobody@example.com"}, organization: {code: "acme"}}) { membership { id } }`, "NOT_FOUND input.user"},
	{`restoreMember(input: {user: {email: "nobody@example.com"}, organization: {code: "none"}}) { membership { id } }`, "NOT_FOUND input.organization"},
	{`restoreMember(input: {user: {email: "nobody@example.com"}, organization: {code: "acme"}}) { membership { id } }`, "NOT_FOUND input.user"},
	{`createPermission(input: {key: "invoices:read", name: "` + long + `", description: "` + long + `"}) { permission { id } }`,
		"CONFLICT input.key, INVALID input.description, INVALID input.name"},
	{`updatePermission(input: {permission: {key: "none"}, key: "invoices:read", name: "` + long + `", description: "` + long + `"}) { permission { id } }`,
		"CONFLICT input.key, ESCALATION , INVALID input.description, INVALID input.name, NOT_FOUND input.permission"},
	{`updatePermission(input: {permission: {key: "roster:users:read"}, key: "roster:x", name: "` + long + `", description: "` + long + `"}) { permission { id } }`,
		"FORBIDDEN input.permission, INVALID input.description, INVALID input.key, INVALID input.name"},
	{`createRole(input: {key: "clerk", name: "` + long + `", description: "` + long + `", isDefault: true, permissions: [{key: "invoices:read"}, {key: "none"}, {key: "roster:users:read"}]}) { role { id } }`,
		"CONFLICT input.key, ESCALATION , INVALID input.description, INVALID input.isDefault, INVALID input.name, NOT_FOUND input.permissions.1"},
	{`updateRole(input: {role: {key: "powerful"}, ifVersion: 9, key: "clerk", name: "` + long + `", description: "` + long + `", isDefault: true}) { role { id } }`,
		"CONFLICT input.ifVersion, CONFLICT input.key, ESCALATION , INVALID input.description, INVALID input.isDefault, INVALID input.name"},
	{`updateRole(input: {role: {key: "none"}, ifVersion: 9, key: "clerk", name: "` + long + `", description: "` + long + `", isDefault: null}) { role { id } }`,
		"CONFLICT input.key, INVALID input.description, INVALID input.isDefault, INVALID input.name, NOT_FOUND input.role"},
	{`addRolePermissions(input: {role: {key: "none"}, permissions: [{key: "invoices:read"}, {key: "none"}]}) { role { id } }`,
		"ESCALATION , NOT_FOUND input.permissions.1, NOT_FOUND input.role"},
	{`addRolePermissions(input: {role: {key: "newcomer"}, permissions: [{key: "roster:users:read"}, {key: "none"}]}) { role { id } }`,
		"ESCALATION , INVALID input.permissions, NOT_FOUND input.permissions.1"},
	{`removeRolePermissions(input: {role: {key: "none"}, permissions: [{key: "none"}]}) { role { id } }`, "NOT_FOUND input.permissions.0, NOT_FOUND input.role"},
	{`removeRolePermissions(input: {role: {key: "roster-viewer"}, permissions: [{key: "none"}]}) { role { id } }`, "FORBIDDEN input.role, NOT_FOUND input.permissions.0"},
	{`updateSettings(input: {allowSelfSignUp: null, syncProfilesOnSignIn: null, defaultOrganization: {code: "paused"}, defaultRoles: [{key: "clerk"}, {key: "none"}, {key: "powerful"}]}) { settings { allowSelfSignUp } }`,
		"ESCALATION , INVALID input.allowSelfSignUp, INVALID input.defaultOrganization, INVALID input.defaultRoles, INVALID input.syncProfilesOnSignIn, NOT_FOUND input.defaultRoles.1"},
	{`updateSettings(input: {allowPasswordSignIn: false, allowCodeSignIn: false, allowOrganizationSignUp: null, rememberOrganization: null, minimumPasswordLength: 7, sessionIdleSeconds: 299,
		sessionMaximumSeconds: null, branding: {name: " ", logoUrl: "http://example.com/logo", colour: "red", privacyUrl: "` + long + `", termsUrl: "x"}}) { settings { allowSelfSignUp } }`,
		"INVALID input.allowCodeSignIn, INVALID input.allowOrganizationSignUp, INVALID input.branding.colour, INVALID input.branding.logoUrl, INVALID input.branding.name, INVALID input.branding.privacyUrl, " +
			"INVALID input.branding.termsUrl, INVALID input.minimumPasswordLength, INVALID input.rememberOrganization, INVALID input.sessionIdleSeconds, INVALID input.sessionMaximumSeconds"},
	{`invite(input: {organization: {code: "acme"}, email: "bob@example.com", givenName: "` + long + `", familyName: "` + long + `", roles: [{key: "powerful"}, {key: "none"}], expiresAt: "2020-01-01T00:00:00Z"}) { link }`,
		"CONFLICT input.email, ESCALATION , INVALID input.expiresAt, INVALID input.familyName, INVALID input.givenName, NOT_FOUND input.roles.1"},
	{`invite(input: {organization: {code: "none"}, email: "x", roles: [{key: "none"}], expiresAt: "2090-01-01T00:00:00Z"}) { link }`,
		"INVALID input.email, INVALID input.expiresAt, NOT_FOUND input.organization, NOT_FOUND input.roles.0"},
	{`createIdentityProvider(input: {key: "account", kind: OIDC, displayName: "` + long + `", issuer: "http://example.com", clientId: " ", clientSecret: "", organization: {code: "none"}, domains: ["x"]}) { provider { id } }`,
		"INVALID input.clientId, INVALID input.clientSecret, INVALID input.displayName, INVALID input.domains.0, INVALID input.issuer, INVALID input.key, NOT_FOUND input.organization"},
	{`updateIdentityProvider(input: {provider: "provider_01h455vb4pex5vsknk084sn02q", displayName: null, clientId: null, clientSecret: "", domains: ["x"], trusted: null, enabled: null}) { provider { id } }`,
		"INVALID input.clientId, INVALID input.clientSecret, INVALID input.displayName, INVALID input.domains.0, INVALID input.enabled, INVALID input.trusted, NOT_FOUND input.provider"},
	{`createApiKey(input: {name: " ", permissions: [{key: "invoices:read"}, {key: "none"}], expiresAt: "2020-01-01T00:00:00Z", user: {email: "nobody@example.com"}}) { secret }`,
		"ESCALATION , INVALID input.expiresAt, INVALID input.name, NOT_FOUND input.permissions.1, NOT_FOUND input.user"},
	{`createApiKey(input: {organization: {code: "none"}, name: " ", permissions: [{key: "none"}], expiresAt: "2020-01-01T00:00:00Z", user: {email: "nobody@example.com"}}) { secret }`,
		"INVALID input.expiresAt, INVALID input.name, NOT_FOUND input.organization, NOT_FOUND input.permissions.0"},
	{`createApplication(input: {name: " ", kind: MACHINE, redirectUrls: ["https://example.com"], audiences: ["a b"], permissions: [{key: "invoices:read"}, {key: "none"}]}) { clientSecret }`,
		"ESCALATION , INVALID input.audiences.0, INVALID input.name, INVALID input.redirectUrls, NOT_FOUND input.permissions.1"},
	{`planImport(input: {file: $file, organization: {code: "none"}, columns: {nosuch: "x"}, firebase: {signerKey: "?", saltSeparator: "", rounds: 8, memoryCost: 14}}) { import { id } }`,
		"INVALID input.columns, INVALID input.firebase, NOT_FOUND input.organization"},
	{`createUsers(input: {users: [{email: "x", organizations: [{code: "none"}], roles: [{key: "none"}, {key: "clerk"}]}, {username: "", passwordHash: "x"}, {}]}) { users { id } }`,
		"INVALID input.users.0.email, INVALID input.users.1.passwordHash, INVALID input.users.1.username, INVALID input.users.2, NOT_FOUND input.users.0.organizations.0, NOT_FOUND input.users.0.roles.0"},
	{`createApplication(input: {name: " ", kind: SPA, redirectUrls: ["http://example.com", "/x"], logoutUrls: ["com.example:/"], permissions: [{key: "invoices:read"}], organization: {code: "acme"}}) { clientSecret }`,
		"INVALID input.logoutUrls.0, INVALID input.name, INVALID input.organization, INVALID input.permissions, INVALID input.redirectUrls.0, INVALID input.redirectUrls.1"},
}

// ownFaultCases are the cases of people about themselves.
var ownFaultCases = []faultCase{
	{`updateViewer(input: {givenName: "` + long + `", familyName: "` + long + `", pictureUrl: "ftp://example.com", phone: "12", username: "a b"}) { user { id } }`,
		"INVALID input.familyName, INVALID input.givenName, INVALID input.phone, INVALID input.pictureUrl, INVALID input.username"},
	{`signUp(input: {email: "x", givenName: "` + long + `", familyName: "` + long + `"}) { secret }`, "INVALID input.email, INVALID input.familyName, INVALID input.givenName"},
}

// oneFault says why an input of these mutations has one fault at most.
var oneFault = map[string]string{
	"suspendOrganization": "names an organization only", "restoreOrganization": "names an organization only; what is not there is not handed anything",
	"deleteOrganization": "names an organization only", "deletePermission": "names a permission only", "deleteRole": "names a role only", "revokeApiKey": "names a key only", "adoptApiKey": "names a key only",
	"resendInvitation": "names an invitation only", "revokeInvitation": "names an invitation only", "deleteIdentityProvider": "names a provider only", "acceptInvitation": stepwise,
	"exportUsers": "names an organization only", "applyImport": "names an import only", "cancelImport": "names an import only", "undoImport": "names an import only",
	"updateApplication": "shares its checks with createApplication", "deleteApplication": "names an application only", "rollApplicationSecret": "names an application only",
	"switchOrganization": "names an organization only", "leaveOrganization": "names an organization only", "endSession": "names a session only",
	"signOut": "names nothing", "requestPasswordReset": "names an account only", "requestEmailChange": "names an address only",
	"signIn": stepwise, "continueSignIn": stepwise, "resetPassword": stepwise, "confirmEmailChange": stepwise, "changePassword": stepwise, "accessToken": stepwise,
	"setTemporaryPassword": "a password is hashed before anything is locked", "unlinkIdentity": "an identity is one of the user's",
}

const stepwise = "what comes later is not looked at before what comes first is right"

// grantFaults are the cases of the four mutations of grants, which are alike.
func grantFaults() []faultCase {
	var all []faultCase
	for _, thing := range []struct{ mutations, things, key string }{{"Roles", "roles", "clerk"}, {"Permissions", "permissions", "invoices:read"}} {
		input := func(verb, org, users, things, more string) string {
			return fmt.Sprintf(`%s%s(input: {organization: {code: %q}, users: [%s], %s: [%s], %s}) { memberships { id } }`, verb, thing.mutations, org, users, thing.things, things, more)
		}
		users, things := `{email: "bob@example.com"}, {email: "nobody@example.com"}`, fmt.Sprintf(`{key: %q}, {key: "none"}`, thing.key)
		missing := "NOT_FOUND input." + thing.things + ".1, NOT_FOUND input.users.1"
		all = append(all,
			faultCase{input("grant", "acme", users, things, badTerm), "ESCALATION , INVALID input.endsAt, INVALID input.reason, " + missing},
			faultCase{input("grant", "acme", "", "", badTerm), "INVALID input.endsAt, INVALID input.reason, INVALID input." + thing.things + ", INVALID input.users"},
			faultCase{input("grant", "none", users, things, badTerm), "INVALID input.endsAt, INVALID input.reason, NOT_FOUND input.organization, NOT_FOUND input." + thing.things + ".1"},
			faultCase{input("revoke", "acme", users, things, pastEnd), "INVALID input.endsAt, INVALID input.reason, " + missing},
			faultCase{input("revoke", "acme", "", "", pastEnd), "INVALID input.endsAt, INVALID input.reason, INVALID input." + thing.things + ", INVALID input.users"},
			faultCase{input("revoke", "none", users, things, pastEnd), "INVALID input.endsAt, INVALID input.reason, NOT_FOUND input.organization, NOT_FOUND input." + thing.things + ".1"},
		)
	}
	return all
}

// told returns the codes and fields of an answer's errors.
func told(a *graphtest.Answer) string {
	all := make([]string, len(a.Errors))
	for i := range a.Errors {
		all[i] = a.Code(i) + " " + a.Field(i)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// All faults of one input are told at once, by every mutation.
func TestAllFaultsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, mutationSeed)
	b.Ask(t, faultsSeed)
	writes := []string{"roster:users:write", "roster:organizations:write", "roster:members:write", "roster:roles:write", "roster:settings:write", "roster:keys:write", "roster:imports:write"}
	key, bound := b.Holding(t, "", writes...), b.Holding(t, "acme", writes...)
	session := b.SignedIn(t, "ada@example.com", "acme")
	before := b.State(t)
	asked := ""
	for _, c := range ownFaultCases {
		asked += " " + c.document
		mutation := "mutation { " + strings.ReplaceAll(c.document, long, strings.Repeat("x", 2001)) + " }"
		if got := told(b.As(t, session, mutation, nil)); got != c.faults {
			t.Errorf("%s\ngot  %s\nwant %s", c.document, got, c.faults)
		}
	}
	for _, c := range slices.Concat(faultCases, grantFaults()) {
		asked += " " + c.document
		mutation := "mutation { " + strings.ReplaceAll(c.document, long, strings.Repeat("x", 2001)) + " }"
		want := strings.Split(c.faults, ", ")
		slices.Sort(want)
		if got := told(b.As(t, key, mutation, nil)); got != strings.Join(want, ", ") {
			t.Errorf("%s\ngot  %s\nwant %s", c.document, got, want)
		}
		// To who is bound to another organization, one that exists is like none.
		foreign := strings.ReplaceAll(mutation, `{code: "none"}`, `{code: "globex"}`)
		if one, other := told(b.As(t, bound, mutation, nil)), told(b.As(t, bound, foreign, nil)); one != other || one == "" {
			t.Errorf("%s\nunknown %s\nforeign %s", c.document, one, other)
		}
	}
	b.Unchanged(t, before)
	for _, f := range ownFields(graphtest.LoadSchema(t, "../schema.graphqls").Mutation) {
		if reason := oneFault[f.Name]; strings.Contains(asked, " "+f.Name+"(") == (reason != "") {
			t.Errorf("%s needs a case, or a reason why it has one fault at most: %q", f.Name, reason)
		}
	}
}
