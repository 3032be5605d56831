package graph_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/graph/graphtest"
	"roster/problem"
)

// mutationSeed is what the mutations below act upon.
const mutationSeed = `mutation {
	createPermission(input: {key: "invoices:read"}) { permission { id } }
	q: createPermission(input: {key: "invoices:write"}) { permission { id } }
	createRole(input: {key: "clerk", permissions: [{key: "invoices:read"}]}) { role { id } }
	s: createRole(input: {key: "writer", permissions: [{key: "invoices:write"}]}) { role { id } }
	a: createOrganization(input: {code: "acme", name: "Acme"}) { organization { id } }
	g: createOrganization(input: {code: "globex", name: "Globex"}) { organization { id } }
	ada: createUser(input: {email: "ada@example.com", organizations: [{code: "acme"}], roles: [{key: "clerk"}]}) { user { id } }
	bob: createUser(input: {email: "bob@example.com", organizations: [{code: "acme"}, {code: "globex"}], roles: []}) { user { id } }
}`

// mutationCase is a mutation, and what it leaves in the log of changes.
type mutationCase struct {
	name, document string
	// changes are the actions in order, each with the kind of its subject.
	changes []string
	// again is what the same document gives when it is run once more: a code, or
	// empty when it succeeds and, since nothing is left to do, leaves no change.
	again string
	// before and after are what the first of the changes tells.
	before, after object
}

const inAcme, adaInAcme = `organization: {code: "acme"}`, `organization: {code: "acme"}, users: [{email: "ada@example.com"}]`

// mutationCases build upon one another.
var mutationCases = []mutationCase{
	{"create permission", `createPermission(input: {key: "x:y", name: "XY"}) { permission { id key name } }`,
		[]string{"permission.created perm"}, "CONFLICT", nil, nil},
	{"update permission", `updatePermission(input: {permission: {key: "x:y"}, name: "New", description: "d"}) { permission { name } }`,
		[]string{"permission.updated perm"}, "", object{"name": "XY", "description": nil}, object{"name": "New", "description": "d"}},
	{"create role", `createRole(input: {key: "r", permissions: [{key: "x:y"}, {key: "x:y"}]}) { role { id permissions { key } } }`,
		[]string{"role.created role"}, "CONFLICT", nil, nil},
	{"update role", `updateRole(input: {role: {key: "r"}, isDefault: true, name: "R"}) { role { name isDefault version } }`,
		[]string{"role.updated role"}, "", object{"name": "r", "isDefault": false}, object{"name": "R", "isDefault": true}},
	{"update role back", `updateRole(input: {role: {key: "r"}, isDefault: false}) { role { isDefault } }`, []string{"role.updated role"}, "", nil, nil},
	{"add role permissions", `addRolePermissions(input: {role: {key: "r"}, permissions: [{key: "invoices:read"}, {key: "x:y"}]}) { role { version permissions { key } } }`,
		[]string{"role.permissions.added role"}, "", nil, object{"permissions": []any{"invoices:read"}}},
	{"remove role permissions", `removeRolePermissions(input: {role: {key: "r"}, permissions: [{key: "invoices:read"}, {key: "invoices:write"}]}) { role { permissions { key } } }`,
		[]string{"role.permissions.removed role"}, "", object{"permissions": []any{"invoices:read"}}, nil},
	{"create organization", `createOrganization(input: {code: "new", name: "New", defaultRoles: [{key: "r"}]}) { organization { id defaultRoles { key } } }`,
		[]string{"organization.created org"}, "CONFLICT", nil, nil},
	{"update organization", `updateOrganization(input: {organization: {code: "new"}, name: "Newer", autoJoinDomains: ["x.example"], defaultRoles: []}) { organization { name } }`,
		[]string{"organization.updated org"}, "", object{"name": "New", "autoJoinDomains": []any{}, "defaultRoles": []any{"r"}},
		object{"name": "Newer", "autoJoinDomains": []any{"x.example"}, "defaultRoles": []any{}}},
	{"suspend organization", `suspendOrganization(input: {organization: {code: "new"}}) { organization { status } }`,
		[]string{"organization.suspended org"}, "", object{"status": "ACTIVE"}, object{"status": "SUSPENDED"}},
	{"restore organization", `restoreOrganization(input: {organization: {code: "new"}}) { organization { status } }`,
		[]string{"organization.restored org"}, "", object{"status": "SUSPENDED"}, object{"status": "ACTIVE"}},
	{"create user", `createUser(input: {email: "eve@example.com", organizations: [{code: "acme"}, {code: "new"}, {code: "acme"}], roles: [{key: "clerk"}]})
		{ user { id memberships { nodes { roles { key } } } } }`,
		[]string{"user.created user", "membership.created member", "membership.role.granted member", "membership.created member", "membership.role.granted member"},
		"CONFLICT", nil, nil},
	{"create user without roles", `createUser(input: {username: "plain"}) { user { id name } }`, []string{"user.created user", "membership.created member"}, "CONFLICT", nil, nil},
	{"update user", `updateUser(input: {user: {email: "eve@example.com"}, givenName: "Eve", properties: {a: 1}}) { user { name version } }`,
		[]string{"user.updated user"}, "", object{"givenName": nil, "name": "eve@example.com", "properties": object{}},
		object{"givenName": "Eve", "name": "Eve", "properties": object{"a": 1.0}}},
	{"update user: nothing", `updateUser(input: {user: {email: "eve@example.com"}}) { user { version } }`, nil, "", nil, nil},
	{"suspend user", `suspendUser(input: {user: {email: "eve@example.com"}, reason: "why"}) { user { status } }`,
		[]string{"user.suspended user"}, "", object{"status": "ACTIVE"}, object{"status": "SUSPENDED", "reason": "why"}},
	{"restore user", `restoreUser(input: {user: {email: "eve@example.com"}, reason: "back"}) { user { status } }`,
		[]string{"user.restored user"}, "", object{"status": "SUSPENDED"}, object{"status": "ACTIVE", "reason": "back"}},
	{"add members", `addMembers(input: {` + adaInAcme + `, roles: []}) { memberships { id } } more: addMembers(input: {organization: {code: "globex"},
		users: [{email: "eve@example.com"}, {email: "bob@example.com"}], roles: [{key: "writer"}]}) { memberships { id roles { key } } }`,
		[]string{"membership.created member", "membership.role.granted member", "membership.role.granted member"}, "", nil, nil},
	{"suspend member", `suspendMember(input: {user: {email: "eve@example.com"}, organization: {code: "acme"}}) { membership { status } }`,
		[]string{"membership.suspended member"}, "", object{"status": "ACTIVE"}, object{"status": "SUSPENDED"}},
	{"suspend member: nothing", `suspendMember(input: {user: {email: "eve@example.com"}, organization: {code: "acme"}}) { membership { status } }`, nil, "", nil, nil},
	{"restore member", `restoreMember(input: {user: {email: "eve@example.com"}, organization: {code: "acme"}}) { membership { status } }`,
		[]string{"membership.restored member"}, "", object{"status": "SUSPENDED"}, object{"status": "ACTIVE"}},
	{"grant roles", `grantRoles(input: {` + adaInAcme + `, roles: [{key: "writer"}, {key: "clerk"}], reason: "why"}) { memberships { roles { key } } }`,
		[]string{"membership.role.changed member", "membership.role.granted member"}, "", object{"role": "clerk", "reason": nil}, object{"reason": "why"}},
	{"grant roles for a time", `grantRoles(input: {` + adaInAcme + `, roles: [{key: "writer"}], endsAt: "2090-01-01T00:00:00Z"}) { memberships { roles { key } } }`,
		[]string{"membership.role.granted member"}, "", nil, object{"endsAt": "2090-01-01T00:00:00Z", "reason": nil}},
	{"shorten roles", `revokeRoles(input: {` + adaInAcme + `, roles: [{key: "writer"}], endsAt: "2089-01-01T00:00:00Z", reason: "less"}) { memberships { grants { reason endsAt revokedAt } } }`,
		[]string{"membership.role.shortened member", "membership.role.shortened member"}, "",
		object{"role": "writer", "reason": "why", "endsAt": nil}, object{"endsAt": "2089-01-01T00:00:00Z", "reason": "less"}},
	{"grant roles in advance", `grantRoles(input: {organization: {code: "globex"}, users: [{email: "bob@example.com"}], roles: [{key: "clerk"}], startsAt: "2080-01-01T00:00:00Z"}) { memberships { roles { key } } }`,
		[]string{"membership.role.granted member"}, "", nil, nil},
	{"grant roles at another time", `grantRoles(input: {organization: {code: "globex"}, users: [{email: "bob@example.com"}], roles: [{key: "clerk"}], startsAt: "2081-01-01T00:00:00Z"}) { memberships { roles { key } } }`,
		[]string{"membership.role.granted member"}, "", nil, nil},
	{"shorten roles: what begins later is revoked", `revokeRoles(input: {organization: {code: "globex"}, users: [{email: "bob@example.com"}], roles: [{key: "clerk"}], endsAt: "2081-01-01T00:00:00Z"}) { memberships { grants { startsAt endsAt } } }`,
		[]string{"membership.role.shortened member", "membership.role.revoked member"}, "", object{"endsAt": nil}, object{"endsAt": "2081-01-01T00:00:00Z"}},
	{"grant roles: what is held stays held", `grantRoles(input: {` + adaInAcme + `, roles: [{key: "clerk"}], startsAt: "2081-01-01T00:00:00Z"}) { memberships { can(permission: "invoices:read") roles { key } } }`,
		[]string{"membership.role.granted member"}, "", nil, nil},
	{"grant permissions", `grantPermissions(input: {` + adaInAcme + `, permissions: [{key: "x:y"}], reason: "r"}) { memberships { effectivePermissions { key } } }`,
		[]string{"membership.permission.granted member"}, "", nil, nil},
	{"shorten permissions", `revokePermissions(input: {` + adaInAcme + `, permissions: [{key: "x:y"}], endsAt: "2089-01-01T00:00:00Z"}) { memberships { effectivePermissions { key sources { endsAt } } } }`,
		[]string{"membership.permission.shortened member"}, "", object{"permission": "x:y"}, object{"endsAt": "2089-01-01T00:00:00Z"}},
	{"move member", `moveMember(input: {user: {email: "ada@example.com"}, from: {code: "acme"}, to: {code: "new"}}) { membership { id grants { reason endsAt } } }`,
		[]string{"membership.created member", "membership.role.granted member", "membership.role.granted member", "membership.role.granted member", "membership.role.granted member",
			"membership.permission.granted member", "membership.deleted member"},
		"NOT_FOUND", nil, nil},
	{"revoke roles", `revokeRoles(input: {organization: {code: "new"}, users: [{email: "ada@example.com"}], roles: [{key: "writer"}, {key: "r"}], reason: "because"}) { memberships { roles { key } } }`,
		[]string{"membership.role.revoked member", "membership.role.revoked member"}, "", nil, object{"reason": "because"}},
	{"revoke permissions", `revokePermissions(input: {organization: {code: "new"}, users: [{email: "ada@example.com"}], permissions: [{key: "x:y"}]}) { memberships { effectivePermissions { key } } }`,
		[]string{"membership.permission.revoked member"}, "", nil, nil},
	{"remove members", `removeMembers(input: {organization: {code: "globex"}, users: [{email: "eve@example.com"}], reason: "why"}) { deletedIds }`,
		[]string{"membership.deleted member"}, "NOT_FOUND", nil, object{"reason": "why"}},
	{"update settings", `updateSettings(input: {allowSelfSignUp: false, defaultOrganization: {code: "acme"}, defaultRoles: [{key: "r"}]}) { settings { defaultOrganization { code } } }`,
		[]string{"organization.updated org", "organization.updated org", "role.updated role", "settings.updated settings"}, "",
		object{"isDefault": true}, object{"isDefault": false}},
	{"create API key", `createApiKey(input: {name: "k", permissions: [{key: "roster:users:read"}], organization: {code: "new"}}) { secret apiKey { id } }`,
		[]string{"apiKey.created key"}, "another", nil, nil},
	{"adopt API key", `adoptApiKey(input: {apiKey: "KEY"}) { apiKey { responsible { __typename ... on System { name } } } }`,
		[]string{"apiKey.adopted key"}, "", nil, object{"responsibleId": nil}},
	{"revoke API key", `revokeApiKey(input: {apiKey: "KEY"}) { apiKey { revokedAt } }`, []string{"apiKey.revoked key"}, "", nil, nil},
	{"invite", `invite(input: {email: "guest@example.com", organization: {code: "new"}, roles: [{key: "writer"}], sendEmail: false}) { link invitation { id status roles { key } organization { code } } }`,
		[]string{"invitation.created invitation"}, "another", nil, object{"roles": []any{"writer"}, "defaultRoles": false, "mailed": false}},
	{"resend invitation", `resendInvitation(input: {invitation: "INVITATION"}) { link invitation { status } }`, []string{"invitation.resent invitation"}, "another", nil, nil},
	{"revoke invitation", `revokeInvitation(input: {invitation: "INVITATION"}) { invitation { status } }`, []string{"invitation.revoked invitation"}, "", nil, nil},
	{"export users", `exportUsers(input: {format: NDJSON, organization: {code: "acme"}, hashes: true}) { export { url expiresAt } }`,
		[]string{"users.exported users"}, "another", nil, object{"format": "NDJSON", "hashes": true}},
	{"create users", `createUsers(input: {onConflict: UPDATE, users: [{email: "carl@example.com", roles: [{key: "writer"}]}, {email: "ada@example.com", givenName: "Ada"}]}) { users { email } }`,
		[]string{"user.updated user", "user.created user", "membership.created member", "membership.role.granted member"}, "", object{"givenName": nil}, object{"givenName": "Ada"}},
	{"plan import", `planImport(input: {file: $file}) { import { id status fileName format } }`,
		[]string{"import.planned import"}, "another", nil, object{"fileName": "people.csv", "onConflict": "SKIP", "onUnknown": "FAIL"}},
	{"apply import", `applyImport(input: {import: "IMPORT"}) { import { status } }`, []string{"import.applied import"}, "", object{"status": "CANCELLED"}, object{"status": "APPLYING"}},
	{"cancel import", `cancelImport(input: {import: "IMPORT"}) { import { status } }`, []string{"import.cancelled import"}, "", object{"status": "APPLYING"}, object{"status": "CANCELLED"}},
	{"undo import", `undoImport(input: {import: "IMPORT"}) { import { status } }`, []string{"import.undone import"}, "", object{"status": "CANCELLED"}, object{"status": "UNDOING"}},
	{"invite again", `invite(input: {email: "GUEST@example.com", organization: {code: "new"}, sendEmail: false}) { link invitation { id status roles { key } } }`,
		[]string{"invitation.created invitation"}, "another", nil, object{"roles": []any{}, "defaultRoles": true, "mailed": false}},
	{"invite in its place", `invite(input: {email: "guest@example.com", organization: {code: "new"}, sendEmail: false}) { link invitation { id status } }`,
		[]string{"invitation.revoked invitation", "invitation.created invitation"}, "another", nil, nil},
	{"create identity provider", `createIdentityProvider(input: {key: "idp", kind: MICROSOFT, tenant: "organizations", clientId: "roster", clientSecret: "s", domains: ["idp.example"]}) { provider { id domains issuer clientId } }`,
		[]string{"identityProvider.created provider"}, "CONFLICT", nil, nil},
	{"update identity provider", `updateIdentityProvider(input: {provider: "PROVIDER", trusted: true, domains: [], syncProfiles: false}) { provider { trusted domains } }`,
		[]string{"identityProvider.updated provider"}, "", object{"trusted": false, "domains": []any{"idp.example"}, "syncProfiles": nil},
		object{"trusted": true, "domains": []any{}, "syncProfiles": false}},
	{"update identity provider: nothing", `updateIdentityProvider(input: {provider: "PROVIDER"}) { provider { enabled } }`, nil, "", nil, nil},
	{"create identity provider of an organization", `createIdentityProvider(input: {key: "own", kind: OIDC, issuer: "https://accounts.example.com", clientId: "roster", clientSecret: "s", organization: {code: "new"}, domains: ["x.example"]}) { provider { organization { code } } }`,
		[]string{"identityProvider.created provider"}, "CONFLICT", nil, nil},
	{"delete identity provider", `deleteIdentityProvider(input: {provider: "PROVIDER"}) { deletedIds }`, []string{"identityProvider.deleted provider"}, "NOT_FOUND", nil, nil},
	{"create application", `createApplication(input: {name: "m", kind: MACHINE, audiences: ["https://api.example"], permissions: [{key: "roster:users:read"}], organization: {code: "new"}}) { clientSecret application { id } }`,
		[]string{"application.created app"}, "one more", nil, object{"permissions": []any{"roster:users:read"}}},
	{"update application", `updateApplication(input: {application: "APP", name: "n", permissions: [{key: "roster:users:read"}, {key: "roster:roles:read"}]}) { application { name permissions { key } } }`,
		[]string{"application.updated app"}, "", object{"name": "m", "permissions": []any{"roster:users:read"}}, object{"name": "n", "permissions": []any{"roster:roles:read", "roster:users:read"}}},
	{"delete application", `deleteApplication(input: {application: "APP"}) { deletedIds }`, []string{"application.deleted app"}, "NOT_FOUND", nil, nil},
	{"delete permission", `deletePermission(input: {permission: {key: "x:y"}}) { deletedIds }`,
		[]string{"role.permissions.removed role", "permission.deleted perm"}, "NOT_FOUND", object{"permissions": []any{"x:y"}}, nil},
	{"update default roles", `updateOrganization(input: {organization: {code: "globex"}, defaultRoles: [{key: "clerk"}, {key: "r"}]}) { organization { version } }`,
		[]string{"organization.updated org"}, "", nil, nil},
	{"delete role", `deleteRole(input: {role: {key: "clerk"}}) { deletedIds }`, []string{"organization.updated org", "role.deleted role"}, "NOT_FOUND",
		object{"defaultRoles": []any{"clerk", "r"}}, object{"defaultRoles": []any{"r"}}},
	{"delete organization", `deleteOrganization(input: {organization: {code: "new"}}) { deletedIds }`,
		[]string{"invitation.revoked invitation", "membership.deleted member", "membership.deleted member", "membership.created member", "membership.role.granted member", "identityProvider.deleted provider", "organization.deleted org"},
		"NOT_FOUND", nil, nil},
	{"offboard user", `offboardUser(input: {user: {email: "ada@example.com"}, reason: "has left"}) { user { status memberships { nodes { organization { code } roles { key } } } } }`,
		[]string{"user.suspended user", "membership.role.revoked member"}, "", object{"status": "ACTIVE"}, object{"status": "SUSPENDED", "reason": "has left"}},
	{"delete user", `deleteUser(input: {user: {email: "bob@example.com"}, reason: "wished so"}) { deletedIds }`,
		[]string{"membership.deleted member", "membership.deleted member", "user.deleted user"}, "NOT_FOUND", nil, nil},
}

// Each mutation, rehearsed, answers as the real one, and leaves no trace; then
// it leaves exactly its changes in the log, and, done again, none.
func TestMutationsAndTheirChanges(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, mutationSeed)
	actor := b.Ask(t, `{ viewer { apiKey { id } } }`).Text("viewer.apiKey.id")
	importID := b.StoreImport(t, "people.csv")
	var secrets []string
	keyID, invitationID, providerID, appID, asked := "", "", "", "", ""
	for _, c := range mutationCases {
		if found := graphtest.Rows[db.ProviderID](t, b, "select id from identity_providers where key = 'idp'"); len(found) > 0 {
			providerID = found[0].String()
		}
		text := strings.NewReplacer("KEY", keyID, "INVITATION", invitationID, "PROVIDER", providerID, "APP", appID, "IMPORT", importID).Replace(c.document)
		asked += " " + text
		before, seen := b.State(t), lastChange(t, b)
		rowsBefore := subjects(t, b)
		rehearsal := b.Ask(t, "mutation @dryRun { "+text+" }")
		if !b.Unchanged(t, before) {
			t.Fatalf("%s, rehearsed, leaves a trace", c.name)
		}
		done := b.Ask(t, "mutation { "+text+" }")
		if got, want := normalised(t, rehearsal.Body), normalised(t, done.Body); got != want {
			t.Errorf("%s, rehearsed, gives\n%s\nwant\n%s", c.name, got, want)
		}
		changes := changesAfter(t, b, seen)
		c.check(t, actor, changes)
		compareSubjects(t, c.name, rowsBefore, subjects(t, b), changes)
		if c.again == "another" { // makes one more each time
			for _, link := range []string{done.Text("invite.link"), done.Text("resendInvitation.link")} {
				if link != "" {
					secrets = append(secrets, tokenIn(t, link))
				}
			}
			if _, secret, found := strings.Cut(done.Text("exportUsers.export.url"), "/exports/"); found {
				secrets = append(secrets, secret)
			}
			if id := done.Text("invite.invitation.id"); id != "" {
				invitationID = id
			}
			if done.Text("createApiKey.secret") == "" {
				continue
			}
			secrets = append(secrets, done.Text("createApiKey.secret"))
			keyID = done.Text("createApiKey.apiKey.id")
			b.As(t, b.Holding(t, "", "roster:keys:write", "roster:users:read"), `mutation { adoptApiKey(input: {apiKey: "`+keyID+`"}) { apiKey { id } } }`, nil)
			continue
		}
		if c.again == "one more" {
			secrets, appID = append(secrets, done.Text("createApplication.clientSecret")), done.Text("createApplication.application.id")
			continue
		}
		seen = lastChange(t, b)
		if c.again != "" {
			b.Refused(t, c.again, "mutation { "+text+" }")
		} else {
			b.Ask(t, "mutation { "+text+" }")
		}
		if more := changesAfter(t, b, seen); len(more) > 0 {
			t.Errorf("%s, again, leaves %v", c.name, more)
		}
	}
	for _, f := range ownFields(graphtest.LoadSchema(t, "../schema.graphqls").Mutation) {
		if _, own := ownCases[f.Name]; own == strings.Contains(asked, f.Name+"(") {
			t.Errorf("%s has no case", f.Name)
		}
	}
	for _, secret := range append(secrets, b.Key) {
		if where := b.Search(t, secret[len("rk_")+8:]); len(where) > 0 {
			t.Errorf("the secret of a key is in %v", where)
		}
	}
	if n := graphtest.Rows[int](t, b, "select count(*) from changes where before::text || after::text ~* '(hash|secret|rk_)'")[0]; n > 0 {
		t.Errorf("%d changes tell of secrets", n)
	}
}

// giveToo are mutations that take access from some, and give as much to others, or in
// another way.
var giveToo = []string{"moveMember", "adoptApiKey", "updateApplication", "resetPassword", "changePassword", "setTemporaryPassword"}

// The schema says @endsAccess of the mutations whose actions take something away.
func TestWhatEndsAccessSaysSo(t *testing.T) {
	t.Parallel()
	for _, f := range ownFields(graphtest.LoadSchema(t, "../schema.graphqls").Mutation) {
		takes := slices.Contains(ownCases[f.Name], "user.sessions.ended user") || slices.Contains(ownCases[f.Name], "membership.deleted member")
		for _, c := range mutationCases {
			if !strings.HasPrefix(c.document, f.Name+"(") {
				continue
			}
			for _, change := range c.changes {
				name, _, _ := strings.Cut(change, " ")
				effects := changes.ActionByName(name).Effects()
				takes = takes || effects.Administrator || effects.Suspends || effects.Deletes || effects.Sessions
			}
		}
		if says := f.Directives.ForName("endsAccess") != nil; says != (takes && !slices.Contains(giveToo, f.Name)) {
			t.Errorf("%s records what takes access away: %t, and says @endsAccess: %t", f.Name, takes, says)
		}
	}
}

// subjects returns a digest of everything that can be the subject of a change, with
// what belongs to it in other tables, by its id.
func subjects(t *testing.T, b *graphtest.Server) map[string]string {
	t.Helper()
	all := map[string]string{}
	digests(t, b, all, "users", "", func(id db.UserID) string { return id.String() })
	digests(t, b, all, "organizations", `select role_id::text from organization_default_roles where org_id = row.id`,
		func(id db.OrganizationID) string { return id.String() })
	digests(t, b, all, "memberships", `select to_jsonb(g)::text from membership_roles g where g.org_id = row.org_id and g.user_id = row.user_id
		union all select to_jsonb(g)::text from membership_permissions g where g.org_id = row.org_id and g.user_id = row.user_id`,
		func(id db.MembershipID) string { return id.String() })
	digests(t, b, all, "roles", `select permission_id::text from role_permissions where role_id = row.id and revoked_at is null`,
		func(id db.RoleID) string { return id.String() })
	digests(t, b, all, "permissions", "", func(id db.PermissionID) string { return id.String() })
	digests(t, b, all, "applications", `select to_jsonb(k)::text from api_keys k where k.id = row.id union all select permission_id::text from api_key_permissions where api_key_id = row.id`,
		func(id db.ApplicationID) string { return id.String() })
	digests(t, b, all, "(select * from api_keys where not is_application)", `select permission_id::text from api_key_permissions where api_key_id = row.id`,
		func(id db.APIKeyID) string { return id.String() })
	digests(t, b, all, "invitations", "", func(id db.InvitationID) string { return id.String() })
	return all
}

func digests[K db.Kind](t *testing.T, b *graphtest.Server, all map[string]string, table, belongings string, text func(db.ID[K]) string) {
	t.Helper()
	if belongings == "" {
		belongings = "select ''"
	}
	for _, row := range graphtest.Rows[struct {
		ID     db.ID[K]
		Digest string
	}](t, b, "select row.id, md5((to_jsonb(row) - 'last_used_at')::text || (select coalesce(string_agg(x, ' ' order by x), '') from ("+belongings+") as b(x))) as digest from "+table+" row") {
		all[text(row.ID)] = row.Digest
	}
}

// compareSubjects wants one change for each row that is another one than before,
// and none for others. Memberships have one for each grant, too. What everybody
// loses with a role or permission that is deleted is counted in its one change.
func compareSubjects(t *testing.T, name string, before, after map[string]string, changes []loggedChange) {
	t.Helper()
	told, counted := map[string]int{}, false
	for _, change := range changes {
		told[change.Subject]++
		if change.Action == "role.deleted" || change.Action == "permission.deleted" {
			counted = true
		}
	}
	ids := maps.Clone(before)
	maps.Copy(ids, after)
	for id := range ids {
		isMember := strings.HasPrefix(id, "member_")
		if counted && (isMember || strings.HasPrefix(id, "key_")) {
			continue
		}
		if changed := before[id] != after[id]; changed != (told[id] > 0) || told[id] > 1 && !isMember {
			t.Errorf("%s: %s changed: %t, and %d changes tell so", name, id, changed, told[id])
		}
	}
}

// loggedChange is a change as the test compares it.
type loggedChange struct {
	Action, Subject, Actor, RequestID string
	Before, After                     *string
}

func lastChange(t *testing.T, b *graphtest.Server) int {
	t.Helper()
	return graphtest.Rows[int](t, b, "select count(*) from changes")[0]
}

func changesAfter(t *testing.T, b *graphtest.Server, n int) []loggedChange {
	t.Helper()
	return graphtest.Rows[loggedChange](t, b, `select action, subject, actor, coalesce(request_id, '') as request_id, before::text, after::text
		from changes order by at, id offset $1`, n)
}

func (c mutationCase) check(t *testing.T, actor string, changes []loggedChange) {
	t.Helper()
	var got []string
	for i, change := range changes {
		kind, _, _ := strings.Cut(change.Subject, "_")
		got = append(got, change.Action+" "+kind)
		if change.Actor != actor || change.RequestID != graphtest.RequestID {
			t.Errorf("%s: %+v is not by %s in %s", c.name, change, actor, graphtest.RequestID)
		}
		created := strings.HasSuffix(change.Action, ".created") || strings.HasSuffix(change.Action, ".granted")
		if created && (change.Before != nil || change.After == nil) {
			t.Errorf("%s: %s has something before, or nothing after", c.name, change.Action)
		}
		if i == 0 {
			compareValues(t, c.name+" before", change.Before, c.before)
			compareValues(t, c.name+" after", change.After, c.after)
		}
	}
	if !slices.Equal(got, c.changes) {
		t.Errorf("%s leaves %q, want %q", c.name, got, c.changes)
	}
}

func compareValues(t *testing.T, what string, got *string, want object) {
	t.Helper()
	if want == nil {
		return
	}
	if got == nil {
		t.Errorf("%s: got nothing, want %v", what, want)
		return
	}
	all, _ := graphtest.ParseJSON(t, *got).(object)
	for name, value := range want {
		if has, ok := all[name]; !ok || fmt.Sprint(has) != fmt.Sprint(value) {
			t.Errorf("%s: got %s, want %v", what, *got, want)
		}
	}
}

// A document whose third field fails leaves nothing, however it fails.
func TestDocumentsAreAtomic(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, mutationSeed)
	writer := b.Holding(t, "", "roster:users:write", "roster:roles:write", "roster:organizations:write", "roster:members:write")
	before := b.State(t)
	for name, test := range map[string]struct{ third, code, field, path string }{
		"taken":             {`createUser(input: {email: "ADA@example.com"}) { user { id } }`, "CONFLICT", "input.email", "third"},
		"taken just before": {`createPermission(input: {key: "first:one"}) { permission { id } }`, "CONFLICT", "input.key", "third"},
		"malformed":         {`createUser(input: {email: "x"}) { user { id } }`, "INVALID", "input.email", "third"},
		"missing":           {`suspendUser(input: {user: {email: "nobody@example.com"}}) { user { id } }`, "NOT_FOUND", "input.user", "third"},
		"not allowed":       {`updateSettings(input: {allowSelfSignUp: false}) { settings { allowSelfSignUp } }`, "FORBIDDEN", "", "third"},
		"escalation":        {`createRole(input: {key: "r", permissions: [{key: "invoices:read"}]}) { role { id } }`, "ESCALATION", "", "third"},
		"last organization": {`removeMembers(input: {` + adaInAcme + `}) { deletedIds }`, "LAST_ORGANIZATION", "input.users.0", "third"},
		"a field of its answer": {`createUser(input: {email: "new@example.com"}) { user { memberships { nodes { id } } } }`, "FORBIDDEN", "",
			"third.user.memberships"},
		"an argument below": {`createUser(input: {email: "new@example.com"}) { user { memberships(first: 0) { nodes { id } } } }`, "", "", "third.user.memberships"},
	} {
		t.Run(name, func(t *testing.T) {
			a := b.As(t, writer, `mutation {
				first: createPermission(input: {key: "first:one"}) { permission { id } }
				second: createUser(input: {email: "second@example.com", organizations: [{code: "acme"}]}) { user { id } }
				third: `+test.third+`
				fourth: createOrganization(input: {name: "Fourth"}) { organization { id } }
				fifth: deleteUser(input: {user: {email: "bob@example.com"}}) { deletedIds }
			}`, nil)
			b.Unchanged(t, before)
			paths := map[string]string{}
			for i, e := range a.Errors {
				path := strings.Trim(strings.ReplaceAll(fmt.Sprint(e.Path), " ", "."), "[]")
				paths[path] = a.Code(i)
				if e.Extensions["requestId"] != graphtest.RequestID || e.Message == "" {
					t.Errorf("%s: %+v", name, e)
				}
			}
			if test.code == "" {
				test.code = "FORBIDDEN"
			}
			want := map[string]string{test.path: test.code, "first": "ROLLED_BACK", "second": "ROLLED_BACK", "fourth": "ROLLED_BACK", "fifth": "ROLLED_BACK"}
			if a.Data != nil || a.Status != 200 || !maps.Equal(paths, want) || a.Field(0) != test.field {
				t.Errorf("%s: %s\nwant %v, and the field %q", name, a.Body, want, test.field)
			}
		})
	}
}

// A document is told the faults of all its fields, except those that merely follow from
// the failure of an earlier field. The names of its fields say what they expect: those
// that are not in want are rolled back.
func TestAllFaultsOfADocumentAreTold(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, mutationSeed)
	writer := b.Holding(t, "", "roster:users:write", "roster:roles:write", "roster:organizations:write", "roster:members:write")
	own := b.Ask(t, "{viewer{apiKey{id}}}").Text("viewer.apiKey.id")
	before := b.State(t)
	long := strings.Repeat("x", 201)
	for name, test := range map[string]struct{ key, document, want string }{
		"of different kinds": {b.Key, `
			ok: createOrganization(input: {name: "Fine"}) { organization { id } }
			a: createUser(input: {email: "not an address"}) { user { id } }
			b: grantRoles(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], roles: [{key: "nosuchrole"}]}) { memberships { id } }
			fine: createUser(input: {email: "fine@example.com"}) { user { id } }
			c: createPermission(input: {key: "invoices:read", name: "` + long + `"}) { permission { id } }`,
			"a INVALID input.email, b NOT_FOUND input.roles.0, c CONFLICT input.key, c INVALID input.name"},
		"the same one twice": {b.Key, `
			a: grantRoles(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], roles: [{key: "nosuchrole"}]}) { memberships { id } }
			b: grantRoles(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], roles: [{key: "nosuchrole"}]}) { memberships { id } }
			c: createUser(input: {email: "ada@example.com"}) { user { id } }
			d: createUser(input: {email: "ADA@example.com"}) { user { id } }`,
			"a NOT_FOUND input.roles.0, b NOT_FOUND input.roles.0, c CONFLICT input.email, d CONFLICT input.email"},
		"of what is denied": {writer, `
			a: updateSettings(input: {allowSelfSignUp: false}) { settings { allowSelfSignUp } }
			b: createRole(input: {key: "r", permissions: [{key: "invoices:read"}]}) { role { id } }
			c: addRolePermissions(input: {role: {key: "clerk"}, permissions: [{key: "invoices:write"}]}) { role { id } }
			d: createUser(input: {email: "new@example.com"}) { user { memberships { nodes { id } } } }`,
			"a FORBIDDEN , b ESCALATION , c ESCALATION , d.user.memberships FORBIDDEN "},
		"what a field would have made": {b.Key, `
			a: createRole(input: {key: "made", name: "` + long + `"}) { role { id } }
			follows: grantRoles(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], roles: [{key: "Made"}]}) { memberships { id } }
			b: createUser(input: {email: "new@example.com", phone: "1"}) { user { id } }
			also: addMembers(input: {organization: {code: "globex"}, users: [{email: "new@example.com"}]}) { memberships { id } }
			mixed: addMembers(input: {organization: {code: "globex"}, users: [{email: "new@example.com"}, {email: "nobody@example.com"}]}) { memberships { id } }
			c: addMembers(input: {organization: {code: "globex"}, users: [{email: "ada@example.com"}], roles: [{key: "nosuchrole"}]}) { memberships { id } }
			member: grantRoles(input: {organization: {code: "globex"}, users: [{email: "ada@example.com"}], roles: [{key: "clerk"}]}) { memberships { id } }
			left: removeMembers(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}]}) { deletedIds }`,
			"a INVALID input.name, b INVALID input.phone, c NOT_FOUND input.roles.0, mixed NOT_FOUND input.users.1"},
		"what a field would have taken away": {b.Key, `
			a: updateUser(input: {user: {email: "bob@example.com"}, email: "other@example.com", phone: "1"}) { user { id } }
			free: createUser(input: {email: "bob@example.com"}) { user { id } }
			version: updateUser(input: {user: {email: "bob@example.com"}, ifVersion: 2, givenName: "Bob"}) { user { id } }
			b: updateUser(input: {user: {email: "ada@example.com"}, ifVersion: 99, givenName: "Ada"}) { user { id } }`,
			"a INVALID input.phone, b CONFLICT input.ifVersion"},
		"an administrator who might have come": {b.Key, `
			a: createApiKey(input: {name: "", permissions: []}) { secret }
			last: revokeApiKey(input: {apiKey: "` + own + `"}) { apiKey { id } }
			b: deleteRole(input: {role: {key: "nosuchrole"}}) { deletedIds }`,
			"a INVALID input.name, b NOT_FOUND input.role"},
		"after one that wrote before it failed": {b.Key, `
			a: revokeApiKey(input: {apiKey: "` + own + `"}) { apiKey { id } }
			ok: createOrganization(input: {name: "Fine"}) { organization { id } }
			b: deleteRole(input: {role: {key: "nosuchrole"}}) { deletedIds }`,
			"a LAST_ADMINISTRATOR input, b NOT_FOUND input.role"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, rehearsed := range []string{"", " @dryRun"} {
				a := b.As(t, test.key, "mutation"+rehearsed+" {"+test.document+"}", nil)
				b.Unchanged(t, before)
				var told []string
				for i, e := range a.Errors {
					if a.Code(i) != "ROLLED_BACK" {
						told = append(told, strings.Trim(strings.ReplaceAll(fmt.Sprint(e.Path), " ", "."), "[]")+" "+a.Code(i)+" "+a.Field(i))
					}
				}
				slices.Sort(told)
				if got := strings.Join(told, ", "); a.Data != nil || got != test.want {
					t.Errorf("%s%s:\ngot  %s\nwant %s", name, rehearsed, got, test.want)
				}
			}
		})
	}
}

// A rehearsal fails where the real run would, also by what is checked at commit
// only.
func TestRehearsalSeesDeferredConstraints(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, mutationSeed)
	before := b.State(t)
	ctx := access.WithActor(t.Context(), access.System("test"))
	for name, run := range map[string]func(context.Context, func(context.Context) error) error{
		"rehearsed": b.Directory.Writer.DryRun, "real": b.Directory.Writer.Atomically,
	} {
		err := run(ctx, func(ctx context.Context) error {
			_, err := b.Database.Executor(ctx).NewRaw("delete from memberships").Exec(ctx)
			return err
		})
		if !problem.Is(err, problem.LastOrganization) {
			t.Errorf("%s: %v, want LAST_ORGANIZATION", name, err)
		}
		cause := errors.New("given up")
		err = run(ctx, func(ctx context.Context) error {
			if _, err := b.Database.Executor(ctx).NewRaw("delete from memberships").Exec(ctx); err != nil {
				return err
			}
			return cause
		})
		if !errors.Is(err, cause) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.Unchanged(t, before)
	if db.HasTx(ctx) {
		t.Error("the context is in a transaction")
	}
}
