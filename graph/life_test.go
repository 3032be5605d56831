package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"roster/graph/graphtest"
)

// whatAdaMay asks all that can be asked of Ada in an organization.
const whatAdaMay = `query($org: String!, $p: String!) {
	user(by: {email: "ada@example.com"}) {
		membership(organization: {code: $org}) {
			roles { key }
			effectivePermissions { key }
			can(permission: $p)
			explain(permission: $p) { allowed obstacles sources { reason endsAt } rolesThatWouldAllow { key } }
		}
		can(organization: {code: $org}, permission: $p)
		memberships(can: $p) { totalCount nodes { organization { code } } }
	}
	can(user: {email: "ada@example.com"}, organization: {code: $org}, permission: $p)
	checks(input: [{user: {email: "ada@example.com"}, organization: {code: $org}, permission: $p}])
	checkMatrix(organization: {code: $org}, users: [{email: "ada@example.com"}], permissions: [$p])
	explain(user: {email: "ada@example.com"}, organization: {code: $org}, permission: $p) { allowed obstacles }
	organization(by: {code: $org}) { members(first: 100, filter: {can: $p}) { totalCount nodes { user { email } } } }
	permission(by: {key: $p}) { holders(first: 100, organization: {code: $org}) { totalCount nodes { user { email } } } everywhere: holders(first: 100) { nodes { organization { code } user { email } } } }
}`

// adaMay wants every way of asking whether Ada may do something to give the same
// answer; obstacles, joined by spaces, are why not, and empty when she may.
func adaMay(t *testing.T, b *graphtest.Server, org, permission, obstacles string) *graphtest.Answer {
	t.Helper()
	a := b.Ask(t, whatAdaMay, object{"org": org, "p": permission})
	want := obstacles == ""
	has := func(list, path, value string) bool { return slices.Contains(a.Texts(list, path), value) }
	everywhere := false
	for _, holder := range a.List("permission.everywhere.nodes") {
		everywhere = everywhere || graphtest.At(holder, "organization.code") == org && graphtest.At(holder, "user.email") == "ada@example.com"
	}
	for name, got := range map[string]any{
		"can": a.At("can"), "User.can": a.At("user.can"), "checks": a.At("checks.0"), "checkMatrix": a.At("checkMatrix.0.0"), "explain": a.At("explain.allowed"),
		"memberships(can:)": has("user.memberships.nodes", "organization.code", org),
		"members(filter:)":  has("organization.members.nodes", "user.email", "ada@example.com"),
		"holders":           has("permission.holders.nodes", "user.email", "ada@example.com"),
		"holders in all":    everywhere,
	} {
		if got != want {
			t.Errorf("%s in %s: %s says %v\n%s", permission, org, name, got, a.Body)
		}
	}
	for _, total := range []string{"user.memberships", "organization.members", "permission.holders"} {
		if count := a.At(total + ".totalCount"); count != nil && count != float64(len(a.List(total+".nodes"))) {
			t.Errorf("%s counts %v", total, a.At(total+".totalCount"))
		}
	}
	explained := []string{strings.Trim(fmt.Sprint(a.At("explain.obstacles")), "[]")}
	if a.At("user.membership") != nil {
		explained = append(explained, strings.Trim(fmt.Sprint(a.At("user.membership.explain.obstacles")), "[]"))
		if got := has("user.membership.effectivePermissions", "key", permission); got != want || a.At("user.membership.can") != want || a.At("user.membership.explain.allowed") != want {
			t.Errorf("%s in %s: %s", permission, org, a.Body)
		}
		if sources := len(a.List("user.membership.explain.sources")); (sources > 0) != want {
			t.Errorf("%s in %s has %d sources", permission, org, sources)
		}
	}
	for _, got := range explained {
		if got != obstacles {
			t.Errorf("%s in %s is hindered by %q, want %q", permission, org, got, obstacles)
		}
	}
	return a
}

func TestLifeOfAUser(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	b.Ask(t, `mutation { createUser(input: {email: "ada@example.com", givenName: "Ada", familyName: "Lovelace", username: "ada", externalId: "EXT-4711-Q", phone: "+442079460958",
		properties: {shoe: "ada@example.com"}, organizations: [{code: "acme"}, {code: "globex"}], roles: [{key: "clerk"}]}) { user { id } } }`)
	adaMay(t, b, "acme", "invoices:read", "")
	adaMay(t, b, "globex", "invoices:read", "")
	adaMay(t, b, "acme", "invoices:write", "NOT_GRANTED")
	adaMay(t, b, "default", "invoices:read", "NOT_A_MEMBER NOT_GRANTED")
	adaMay(t, b, "acme", "no:such", "NO_SUCH_PERMISSION")
	adaMay(t, b, "default", "no:such", "NO_SUCH_PERMISSION NOT_A_MEMBER")

	update := `mutation($v: Int, $n: String) { updateUser(input: {user: {username: "ADA"}, ifVersion: $v, givenName: $n}) { user { version name } } }`
	if a := b.Ask(t, update, object{"v": 1, "n": "Augusta"}); a.Text("updateUser.user.name") != "Augusta Lovelace" || a.At("updateUser.user.version") != 2.0 {
		t.Errorf("%s", a.Body)
	}
	if a := b.Refused(t, "CONFLICT", update, object{"v": 1, "n": "Late"}); a.Field(0) != "input.ifVersion" {
		t.Errorf("%s", a.Body)
	}

	b.Ask(t, `mutation { suspendUser(input: {user: {email: "ada@example.com"}}) { user { status } } }`)
	suspended := adaMay(t, b, "acme", "invoices:read", "USER_SUSPENDED")
	if roles := suspended.Texts("user.membership.roles", "key"); !slices.Equal(roles, []string{"clerk"}) {
		t.Errorf("who is suspended holds %v", roles)
	}
	b.Ask(t, `mutation { suspendOrganization(input: {organization: {code: "acme"}}) { organization { status } } }`)
	adaMay(t, b, "acme", "invoices:read", "USER_SUSPENDED ORGANIZATION_SUSPENDED")
	adaMay(t, b, "acme", "invoices:write", "USER_SUSPENDED ORGANIZATION_SUSPENDED NOT_GRANTED")
	b.Ask(t, `mutation { restoreUser(input: {user: {email: "ada@example.com"}}) { user { status } } }`)
	adaMay(t, b, "acme", "invoices:read", "ORGANIZATION_SUSPENDED")
	adaMay(t, b, "globex", "invoices:read", "")
	b.Ask(t, `mutation { restoreOrganization(input: {organization: {code: "acme"}}) { organization { status } } }`)
	adaMay(t, b, "acme", "invoices:read", "")

	// Roles change under her, and back.
	b.Ask(t, `mutation { addRolePermissions(input: {role: {key: "clerk"}, permissions: [{key: "invoices:send"}]}) { role { id } } }`)
	adaMay(t, b, "globex", "invoices:send", "")
	b.Ask(t, `mutation { updatePermission(input: {permission: {key: "invoices:send"}, key: "invoices:mail"}) { permission { id } } }`)
	adaMay(t, b, "globex", "invoices:mail", "")
	adaMay(t, b, "globex", "invoices:send", "NO_SUCH_PERMISSION")
	b.Ask(t, `mutation { deletePermission(input: {permission: {key: "invoices:mail"}}) { deletedIds } }`)
	adaMay(t, b, "globex", "invoices:mail", "NO_SUCH_PERMISSION")

	// What others write about somebody goes with them: in memberships that are, that
	// were, and that they were moved out of.
	b.Ask(t, `mutation($w: String!, $url: String!) {
		createUser(input: {email: "eve@example.com", username: $w, givenName: $w, familyName: $w, externalId: $w, pictureUrl: $url, properties: {note: $w}, organizations: [{code: "acme"}, {code: "globex"}, {code: "default"}], roles: []}) { user { id } }
		a: grantRoles(input: {organization: {code: "acme"}, users: [{email: "eve@example.com"}, {email: "ada@example.com"}], roles: [{key: "clerk"}], reason: "before"}) { memberships { id } }
		b: grantRoles(input: {organization: {code: "acme"}, users: [{email: "eve@example.com"}], roles: [{key: "clerk"}], reason: $w}) { memberships { id } }
		s: revokeRoles(input: {organization: {code: "acme"}, users: [{email: "eve@example.com"}], roles: [{key: "clerk"}], endsAt: "2090-01-01T00:00:00Z", reason: $w}) { memberships { id } }
		c: revokeRoles(input: {organization: {code: "acme"}, users: [{email: "eve@example.com"}], roles: [{key: "clerk"}], reason: $w}) { memberships { id } }
		d: grantPermissions(input: {organization: {code: "acme"}, users: [{email: "eve@example.com"}], permissions: [{key: "invoices:read"}], reason: $w}) { memberships { id } }
		e: grantPermissions(input: {organization: {code: "globex"}, users: [{email: "eve@example.com"}], permissions: [{key: "invoices:read"}], reason: $w}) { memberships { id } }
		f: revokePermissions(input: {organization: {code: "globex"}, users: [{email: "eve@example.com"}], permissions: [{key: "invoices:read"}], reason: $w}) { memberships { id } }
		g: removeMembers(input: {organization: {code: "globex"}, users: [{email: "eve@example.com"}], reason: $w}) { deletedIds }
		j: removeMembers(input: {organization: {code: "default"}, users: [{email: "eve@example.com"}], reason: $w}) { deletedIds }
		h: suspendUser(input: {user: {email: "eve@example.com"}, reason: $w}) { user { id } }
		i: restoreUser(input: {user: {email: "eve@example.com"}, reason: $w}) { user { id } }
		moveMember(input: {user: {email: "eve@example.com"}, from: {code: "acme"}, to: {code: "globex"}}) { membership { id } }
	}`, object{"w": canary, "url": "https://" + canary + ".example"})
	revoked := b.Ask(t, `mutation($w: String!) { createApiKey(input: {name: $w, permissions: [], user: {email: "eve@example.com"}}) { apiKey { id } } }`, object{"w": canary})
	b.Ask(t, `mutation($id: ID!, $w: String!) { revokeApiKey(input: {apiKey: $id}) { apiKey { id } }
		createApiKey(input: {name: $w, permissions: [], user: {email: "eve@example.com"}}) { apiKey { id } } }`, object{"id": revoked.Text("createApiKey.apiKey.id"), "w": canary})
	b.Ask(t, `mutation($w: String!) { offboardUser(input: {user: {email: "eve@example.com"}, reason: $w}) { user { id } } }`, object{"w": canary})
	if where := b.Search(t, canary); len(where) < 15 {
		t.Errorf("the words are in %v only", where)
	}
	b.Ask(t, `mutation { deleteUser(input: {user: {email: "eve@example.com"}}) { deletedIds } }`)
	if where := b.Search(t, canary); len(where) > 0 {
		t.Errorf("words about a deleted user are still in %v", where)
	}
	if n := graphtest.Rows[int](t, b, "select count(*) from membership_roles where reason = 'before'")[0]; n != 1 {
		t.Errorf("%d reasons of another user are left, want 1", n)
	}
	if keys := b.Ask(t, `{ apiKeys { nodes { name } } }`).Texts("apiKeys.nodes", "name"); !slices.Equal(keys[len(keys)-2:], []string{"Key of a deleted user", "Key of a deleted user"}) {
		t.Errorf("keys are called %v", keys)
	}

	// Deleted: nothing personal is left anywhere, and the name is free again.
	id := b.Ask(t, `{ user(by: {email: "ada@example.com"}) { id } }`).Text("user.id")
	b.Execute(t, "insert into identities (provider, subject, email, user_id) select 'password', 'ada@example.com', 'ada@example.com', id from users where email = 'ada@example.com'")
	b.Ask(t, `mutation { deleteUser(input: {user: {email: "ada@example.com"}}) { deletedIds } }`)
	for _, personal := range []string{"ada@example.com", "lovelace", "augusta", "EXT-4711-Q", "442079460958"} {
		if where := b.Search(t, personal); len(where) > 0 {
			t.Errorf("%q is still in %v", personal, where)
		}
	}
	gone := b.Ask(t, `query($id: ID!) { user(by: {id: $id}) { id } node(id: $id) { id } changes(filter: {subject: $id}) { nodes { action subject { id } before after } }
		organization(by: {code: "acme"}) { members { totalCount } } users(filter: {search: "lovelace"}) { totalCount } }`, object{"id": id})
	if gone.At("user") != nil || gone.At("node") != nil || gone.At("organization.members.totalCount") != 0.0 || gone.At("users.totalCount") != 0.0 {
		t.Errorf("%s", gone.Body)
	}
	if actions := gone.Texts("changes.nodes", "action"); !slices.Equal(actions, []string{"user.created", "user.updated", "user.suspended", "user.restored", "user.deleted"}) {
		t.Errorf("history is %v", actions)
	}
	b.Ask(t, `mutation { createUser(input: {email: "ada@example.com", username: "ada", externalId: "ext-4711-q", organizations: [{code: "acme"}]}) { user { id } } }`)
	adaMay(t, b, "acme", "invoices:read", "NOT_GRANTED")
}

// Grants begin, end, stand beside each other, are shortened and taken back; all of
// that stays on record, and the past can be asked.
func TestGrantsInTime(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	b.Ask(t, `mutation { createUser(input: {email: "ada@example.com", organizations: [{code: "acme"}, {code: "globex"}], roles: []}) { user { id } } }`)
	now := func() time.Time { return graphtest.Rows[time.Time](t, b, "select clock_timestamp()")[0] }
	grant := func(kind, key string, startsAt, endsAt any, reason string) {
		t.Helper()
		b.Ask(t, fmt.Sprintf(`mutation($s: DateTime, $e: DateTime, $r: String) { grant%ss(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}],
			%ss: [{key: "%s"}], startsAt: $s, endsAt: $e, reason: $r}) { memberships { id } } }`, strings.ToUpper(kind[:1])+kind[1:], kind, key),
			object{"s": startsAt, "e": endsAt, "r": reason})
	}
	beginning := now()
	// In advance, over already, and for a moment.
	grant("permission", "invoices:send", "2080-01-01T00:00:00Z", nil, "in advance")
	adaMay(t, b, "acme", "invoices:send", "GRANT_NOT_STARTED")
	grant("permission", "invoices:write", "2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z", "over")
	adaMay(t, b, "acme", "invoices:write", "GRANT_ENDED")
	end := now().Add(3 * time.Second) // time enough for the questions until then, on a busy machine
	grant("permission", "invoices:write", nil, end.Format(time.RFC3339Nano), "for a moment")
	adaMay(t, b, "acme", "invoices:write", "")
	held := now()
	start := now().Add(2 * time.Second)
	grant("role", "clerk", start.Format(time.RFC3339Nano), nil, "soon")
	adaMay(t, b, "acme", "invoices:read", "GRANT_NOT_STARTED")
	time.Sleep(max(time.Until(end), time.Until(start)) + 50*time.Millisecond)
	adaMay(t, b, "acme", "invoices:write", "GRANT_ENDED")
	adaMay(t, b, "acme", "invoices:read", "")
	over := now()
	seen := lastChange(t, b)
	b.Ask(t, `mutation { revokePermissions(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], permissions: [{key: "invoices:write"}]}) { memberships { id } } }`)
	if changes := changesAfter(t, b, seen); len(changes) > 0 {
		t.Errorf("to take back what has ended leaves %v", changes)
	}

	// Given again: for another term beside it, for the same one with a new reason.
	grant("role", "clerk", nil, "2090-01-01T00:00:00Z", "for a time")
	grant("role", "clerk", nil, nil, "for good")
	grant("role", "writer", nil, nil, "both")
	adaMay(t, b, "acme", "invoices:write", "")
	both := now()
	b.Ask(t, `mutation { revokeRoles(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], roles: [{key: "writer"}], reason: "no more"}) { memberships { id } } }`)
	adaMay(t, b, "acme", "invoices:write", "GRANT_ENDED GRANT_REVOKED")
	adaMay(t, b, "acme", "invoices:read", "")
	grants := b.Ask(t, `{ user(by: {email: "ada@example.com"}) { membership(organization: {code: "acme"}) { now: grants { reason } all: grants(includeEnded: true) { reason startsAt endsAt revokedAt revokedBy { __typename } } } } }`)
	if now := grants.Texts("user.membership.now", "reason"); !slices.Equal(now, []string{"for good", "for a time", "in advance"}) {
		t.Errorf("grants are %v", now)
	}
	if all := grants.Texts("user.membership.all", "reason"); !slices.Equal(all, []string{"for good", "for a time", "both", "in advance", "over", "for a moment"}) {
		t.Errorf("grants were %v", all)
	}
	for i, one := range grants.List("user.membership.all") {
		if revoked := i == 2; (graphtest.At(one, "revokedAt") != nil) != revoked || (graphtest.At(one, "revokedBy.__typename") == "ApiKey") != revoked {
			t.Errorf("%v", one)
		}
	}
	revoked := now()

	// What one could do at each of those moments.
	b.Ask(t, `mutation { suspendUser(input: {user: {email: "ada@example.com"}}) { user { id } } }`)
	suspended := now()
	b.Ask(t, `mutation { restoreUser(input: {user: {email: "ada@example.com"}}) { user { id } }
		removeRolePermissions(input: {role: {key: "clerk"}, permissions: [{key: "invoices:read"}]}) { role { id } }
		addRolePermissions(input: {role: {key: "clerk"}, permissions: [{key: "invoices:send"}]}) { role { id } } }`)
	edited := now()
	b.Ask(t, `mutation { suspendOrganization(input: {organization: {code: "acme"}}) { organization { id } } }`)
	for _, moment := range []struct {
		name string
		at   time.Time
		want []string
	}{
		{"before all", beginning.Add(-time.Hour), nil},
		{"at the beginning", beginning, nil},
		{"while it was held", held, []string{"invoices:write"}},
		{"just before its end", end.Add(-time.Microsecond), []string{"invoices:read", "invoices:write"}},
		{"at its end", end, []string{"invoices:read"}},
		{"when it was over", over, []string{"invoices:read"}},
		{"through two roles", both, []string{"invoices:read", "invoices:write"}},
		{"when one was revoked", revoked, []string{"invoices:read"}},
		{"while suspended", suspended, nil},
		{"when the role was another", edited, []string{"invoices:send"}},
		{"now, in a suspended organization", now(), nil},
	} {
		t.Run(moment.name, func(t *testing.T) {
			a := b.Ask(t, `query($at: DateTime!) { user(by: {email: "ada@example.com"}) { membership(organization: {code: "acme"}) { effectivePermissions(asOf: $at) { key sources { reason } } } } }`,
				object{"at": moment.at.UTC().Format(time.RFC3339Nano)})
			if got := a.Texts("user.membership.effectivePermissions", "key"); !slices.Equal(got, moment.want) && len(got)+len(moment.want) > 0 {
				t.Errorf("%s: %v, want %v", moment.name, got, moment.want)
			}
			for i := range moment.want {
				if len(a.List(fmt.Sprintf("user.membership.effectivePermissions.%d.sources", i))) == 0 {
					t.Errorf("%s: %s", moment.name, a.Body)
				}
			}
		})
	}
}

func TestMoves(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	const held = `{ user(by: {email: "%s"}) { memberships { nodes { organization { code } roles { key } grants { reason endsAt startsAt } effectivePermissions { key } } } } }`
	seed := func(email string) {
		b.Ask(t, fmt.Sprintf(`mutation {
			createUser(input: {email: "%[1]s", organizations: [{code: "acme"}], roles: [{key: "clerk"}]}) { user { id } }
			grantRoles(input: {organization: {code: "acme"}, users: [{email: "%[1]s"}], roles: [{key: "writer"}], endsAt: "2080-01-01T00:00:00Z", reason: "w"}) { memberships { id } }
			grantPermissions(input: {organization: {code: "acme"}, users: [{email: "%[1]s"}], permissions: [{key: "invoices:send"}], startsAt: "2070-01-01T00:00:00Z", reason: "p"}) { memberships { id } }
		}`, email))
	}
	moved := func(email, more string) *graphtest.Answer {
		t.Helper()
		b.Ask(t, fmt.Sprintf(`mutation { moveMember(input: {user: {email: "%s"}, from: {code: "acme"}, to: {code: "globex"}%s}) { membership { id } } }`, email, more))
		return b.Ask(t, fmt.Sprintf(held, email))
	}
	const one = "user.memberships.nodes.0."
	seed("with@example.com")
	a := moved("with@example.com", "")
	if !slices.Equal(a.Texts("user.memberships.nodes", "organization.code"), []string{"globex"}) || !slices.Equal(a.Texts(one+"roles", "key"), []string{"clerk", "writer"}) {
		t.Errorf("with grants: %s", a.Body)
	}
	if !slices.Equal(a.Texts(one+"grants", "reason"), []string{"", "w", "p"}) || a.At(one+"grants.1.endsAt") != "2080-01-01T00:00:00.000000Z" || a.At(one+"grants.2.startsAt") != "2070-01-01T00:00:00.000000Z" {
		t.Errorf("with grants: %s", a.Body)
	}
	seed("without@example.com")
	a = moved("without@example.com", ", keepGrants: false")
	if !slices.Equal(a.Texts(one+"roles", "key"), []string{"clerk"}) || len(a.List(one+"grants")) != 1 { // Globex's default role
		t.Errorf("without grants: %s", a.Body)
	}
	// A user who is a member there already keeps what they hold there, beside what comes
	// along.
	seed("both@example.com")
	b.Ask(t, `mutation { addMembers(input: {organization: {code: "globex"}, users: [{email: "both@example.com"}], roles: []}) { memberships { id } }
		w: grantRoles(input: {organization: {code: "globex"}, users: [{email: "both@example.com"}], roles: [{key: "writer"}], reason: "for good"}) { memberships { id } }
		c: grantRoles(input: {organization: {code: "globex"}, users: [{email: "both@example.com"}], roles: [{key: "clerk"}], endsAt: "2060-01-01T00:00:00Z"}) { memberships { id } }
		p: grantPermissions(input: {organization: {code: "globex"}, users: [{email: "both@example.com"}], permissions: [{key: "invoices:send"}], reason: "now"}) { memberships { id } } }`)
	a = moved("both@example.com", "")
	if reasons := a.Texts(one+"grants", "reason"); !slices.Equal(reasons, []string{"for good", "", "", "w", "now", "p"}) ||
		!slices.Equal(a.Texts(one+"roles", "key"), []string{"clerk", "writer"}) || len(a.List(one+"effectivePermissions")) != 3 {
		t.Errorf("member of both: %s", a.Body)
	}
	// Nobody moves what they may not hand out, and a move that fails moves nobody.
	seed("guarded@example.com")
	before := b.State(t)
	mover := b.Holding(t, "", "roster:members:write", "roster:members:read", "invoices:read")
	before["api_keys"], before["api_key_permissions"], before["changes"] = b.State(t)["api_keys"], b.State(t)["api_key_permissions"], b.State(t)["changes"]
	if a := b.As(t, mover, `mutation { moveMember(input: {user: {email: "guarded@example.com"}, from: {code: "acme"}, to: {code: "globex"}}) { membership { id } } }`, nil); a.Codes() != "ESCALATION" {
		t.Errorf("%s", a.Body)
	}
	bound := b.Holding(t, "acme", "roster:members:write")
	before["api_keys"], before["api_key_permissions"], before["changes"] = b.State(t)["api_keys"], b.State(t)["api_key_permissions"], b.State(t)["changes"]
	if a := b.As(t, bound, `mutation { moveMember(input: {user: {email: "guarded@example.com"}, from: {code: "acme"}, to: {code: "globex"}, keepGrants: false}) { membership { id } } }`, nil); a.Codes() != "NOT_FOUND" || a.Field(0) != "input.to" {
		t.Errorf("%s", a.Body)
	}
	b.Unchanged(t, before)
}

// Three characters are found anywhere, fewer at the beginning of what people are
// known by; % and _ mean themselves.
func TestSearch(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	users := []string{
		`email: "ada.lovelace@example.com", givenName: "Ada", familyName: "Lovelace"`,
		`email: "grace@example.com", givenName: "Grace", familyName: "Hopper", username: "amazing"`,
		`username: "under_score", externalId: "100%"`,
		`externalId: "under-score", givenName: "Back\\slash"`,
		`email: "zoe@example.com", givenName: "Zoë", familyName: "Straße"`,
		`username: "kana", givenName: "北食品"`,
		`username: "greek", givenName: "Ήλιος"`,
		`username: "arabic", givenName: "إبراهيم"`,
		`username: "hindi", givenName: "गंगा"`,
		`username: "short", givenName: "Xu Min", familyName: "Li Ng"`,
		`username: "yamada", givenName: "太郎", familyName: "山田"`,
	}
	b.Ask(t, graphtest.Document("mutation", 0, len(users), func(i int) string { return "createUser(input: {" + users[i] + "}) { user { id } }" }))
	b.Ask(t, `mutation { suspendUser(input: {user: {email: "grace@example.com"}}) { user { id } } }`)
	for term, want := range map[string]int{
		"lovelace": 1, "LOVE": 1, "love": 1, "lace@": 1, "ada love": 1, "Lovelace  ": 1, "vel": 1,
		"ve": 0, "ad": 1, "Ad": 1, "am": 1, "ho": 1, "opp": 1, "g": 2,
		"Li": 1, "ng": 1, "山田": 1, "田": 0, "Li Xu": 1, "ng min li": 1, "min 山田": 0, "lovelace ada": 1, "Love\u00a0Ada": 1, "ad\u200ba": 2, "": len(users), " \u3000 ": len(users), "example.com": 3,
		"_": 0, "under_": 1, "under": 2, "r_s": 1, "%": 0, "00%": 1, "%%%": 0, `\`: 0, `k\s`: 1, "100": 1, "___": 0,
		"zoe": 1, "ZOË": 1, "straße": 1, "STRASSE": 1, "zoe\u0308": 1, "北": 1, "食品": 0, "北食品": 1, "ΉΛΙΟΣ": 1, "ήλιοσ": 1, "ηλιος": 0, "براه": 1, "إب": 1, "गंगा": 1,
		"nobody": 0, "'; drop table users; --": 0, "\n": len(users), "ada\nlove": -1, "example.com\nada": -1,
	} {
		t.Run(term, func(t *testing.T) {
			for _, query := range []string{`query($s: String) { found: users(filter: {search: $s}) { totalCount nodes { id } } }`,
				`query($s: String) { organization(by: {code: "default"}) { found: members(filter: {search: $s}) { totalCount nodes { id } } } }`} {
				a := b.As(t, b.Key, query, object{"s": term})
				found := a.At("found")
				if found == nil {
					found = a.At("organization.found")
				}
				switch n := len(toList(graphtest.At(found, "nodes"))); {
				case want == -1 && a.Codes() != "INVALID":
					t.Errorf("%q: %s", term, a.Body)
				case want >= 0 && (n != want || graphtest.At(found, "totalCount") != float64(want)):
					t.Errorf("%q: %s, want %d", term, a.Body, want)
				}
			}
		})
	}
	if a := b.Ask(t, `{ users(filter: {search: "example.com", status: ACTIVE, organization: {code: "default"}}) { totalCount } }`); a.At("users.totalCount") != 2.0 {
		t.Errorf("%s", a.Body)
	}
}

func toList(v any) []any {
	list, _ := v.([]any)
	return list
}
