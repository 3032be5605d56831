package graph_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"roster/access"
	"roster/db/dbtest"
	"roster/graph/graphtest"
)

// impactFields is all that can be asked of an impact.
const impactFields = `{
	gained { edges { cursor node { user { id name } organization { code } permission { name } key until } } pageInfo { hasNextPage endCursor } totalCount }
	lost { edges { cursor node { user { id name } organization { code } permission { name } key until } } pageInfo { hasNextPage endCursor } totalCount }
	keys { name }
}`

// Mutations with what they give and take of whom, in the order of the impact.
// They build upon one another and upon mutationSeed.
var impactCases = []struct {
	mutation     string
	gained, lost []string
}{
	{`createPermission(input: {key: "invoices:send"}) { PAYLOAD }`, nil, nil},
	{`addRolePermissions(input: {role: {key: "clerk"}, permissions: [{key: "invoices:send"}]}) { PAYLOAD }`, []string{"ada acme invoices:send"}, nil},
	{`grantPermissions(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}, {email: "bob@example.com"}], permissions: [{key: "invoices:read"}]}) { PAYLOAD }`,
		[]string{"bob acme invoices:read"}, nil},
	{`removeRolePermissions(input: {role: {key: "clerk"}, permissions: [{key: "invoices:read"}, {key: "invoices:send"}]}) { PAYLOAD }`,
		nil, []string{"ada acme invoices:send"}},
	{`grantRoles(input: {organization: {code: "globex"}, users: [{email: "bob@example.com"}], roles: [{key: "writer"}]}) { PAYLOAD }`, []string{"bob globex invoices:write"}, nil},
	{`grantRoles(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], roles: [{key: "writer"}], startsAt: "2090-01-01T00:00:00Z"}) { PAYLOAD }`, []string{"ada acme invoices:write"}, nil},
	{`suspendUser(input: {user: {email: "bob@example.com"}}) { PAYLOAD }`, nil, []string{"bob acme invoices:read", "bob globex invoices:write"}},
	{`suspendMember(input: {user: {email: "ada@example.com"}, organization: {code: "acme"}}) { PAYLOAD }`, nil, []string{"ada acme invoices:read", "ada acme invoices:write"}},
	{`restoreMember(input: {user: {email: "ada@example.com"}, organization: {code: "acme"}}) { PAYLOAD }`, []string{"ada acme invoices:read", "ada acme invoices:write"}, nil},
	{`suspendMember(input: {user: {email: "bob@example.com"}, organization: {code: "acme"}}) { PAYLOAD }`, nil, nil},
	{`restoreMember(input: {user: {email: "bob@example.com"}, organization: {code: "acme"}}) { PAYLOAD }`, nil, nil},
	{`suspendOrganization(input: {organization: {code: "acme"}}) { PAYLOAD }`, nil, []string{"ada acme invoices:read", "ada acme invoices:write"}},
	{`restoreUser(input: {user: {email: "bob@example.com"}}) { PAYLOAD }`, []string{"bob globex invoices:write"}, nil},
	{`restoreOrganization(input: {organization: {code: "acme"}}) { PAYLOAD }`, []string{"ada acme invoices:read", "ada acme invoices:write", "bob acme invoices:read"}, nil},
	{`moveMember(input: {user: {email: "ada@example.com"}, from: {code: "acme"}, to: {code: "globex"}, keepGrants: true}) { PAYLOAD }`,
		[]string{"ada globex invoices:read", "ada globex invoices:write"}, []string{"ada acme invoices:read", "ada acme invoices:write"}},
	{`updatePermission(input: {permission: {key: "invoices:read"}, key: "invoices:see", keepOldKeyUntil: "2090-01-01T00:00:00Z"}) { PAYLOAD }`,
		[]string{"bob acme invoices:see", "ada globex invoices:see"}, []string{"bob acme invoices:read", "ada globex invoices:read"}},
	{`updatePermission(input: {permission: {key: "invoices:see"}, key: "invoices:read"}) { PAYLOAD }`,
		[]string{"bob acme invoices:read", "ada globex invoices:read"}, []string{"bob acme invoices:see", "ada globex invoices:see"}},
	{`deletePermission(input: {permission: {key: "invoices:read"}}) { PAYLOAD }`, nil, []string{"bob acme invoices:read", "ada globex invoices:read"}},
	{`removeMembers(input: {organization: {code: "globex"}, users: [{email: "bob@example.com"}]}) { PAYLOAD }`, nil, []string{"bob globex invoices:write"}},
	{`addMembers(input: {organization: {code: "globex"}, users: [{email: "bob@example.com"}], roles: [{key: "writer"}]}) { PAYLOAD }`, []string{"bob globex invoices:write"}, nil},
	{`revokeRoles(input: {organization: {code: "globex"}, users: [{email: "bob@example.com"}], roles: [{key: "writer"}]}) { PAYLOAD }`, nil, []string{"bob globex invoices:write"}},
	{`addMembers(input: {organization: {code: "globex"}, users: [{email: "bob@example.com"}], roles: [{key: "writer"}]}) { PAYLOAD }`, []string{"bob globex invoices:write"}, nil},
	{`offboardUser(input: {user: {email: "ada@example.com"}}) { PAYLOAD }`, nil, []string{"ada globex invoices:write"}},
	{`offboardUser(input: {user: {email: "ada@example.com"}}) { PAYLOAD }`, nil, nil},
	{`restoreUser(input: {user: {email: "ada@example.com"}}) { PAYLOAD }`, nil, nil},
	{`deleteUser(input: {user: {email: "bob@example.com"}}) { PAYLOAD }`, nil, []string{"Deleted user globex invoices:write"}},
}

// What a rehearsal foretells is what happens, cursors included; and an impact
// that is not asked for costs no statement.
func TestImpactIsForetold(t *testing.T) {
	t.Parallel()
	var statements dbtest.Statements
	b := graphtest.New(t, &statements)
	b.Ask(t, mutationSeed)
	run := func(mutation, dryRun, payload string) (impact any, texts []string) {
		statements.Take()
		a := b.Ask(t, "mutation "+dryRun+" { it: "+strings.ReplaceAll(mutation, "PAYLOAD", payload)+" }")
		return a.At("it.impact"), ofRequest(statements.Take())
	}
	for _, c := range impactCases {
		if _, texts := run(c.mutation, "@dryRun", "impact { __typename }"); slices.ContainsFunc(texts, readsImpact) {
			t.Errorf("%s: an impact is read that nothing is asked of", c.mutation)
		}
		foretold, texts := run(c.mutation, "@dryRun", "impact "+impactFields)
		if concerns := len(c.gained)+len(c.lost) > 0; concerns && !slices.ContainsFunc(texts, readsImpact) {
			t.Errorf("%s: what statements read an impact?", c.mutation)
		}
		came, _ := run(c.mutation, "", "impact "+impactFields)
		if !reflect.DeepEqual(foretold, came) {
			t.Errorf("%s: foretold %v, came %v", c.mutation, foretold, came)
		}
		for list, want := range map[string][]string{"gained": c.gained, "lost": c.lost} {
			var got []string
			for _, edge := range graphtest.At(came, list+".edges").([]any) {
				name := text("node.user.name")(edge)
				name, _, _ = strings.Cut(name, "@")
				got = append(got, strings.Join([]string{name, text("node.organization.code")(edge), text("node.key")(edge)}, " "))
			}
			if !slices.Equal(got, want) || graphtest.At(came, list+".totalCount") != float64(len(want)) {
				t.Errorf("%s: %s %q of %v, want %q", c.mutation, list, got, graphtest.At(came, list+".totalCount"), want)
			}
		}
	}
}

func readsImpact(statement string) bool { return strings.Contains(statement, access.RevokedAtSQL) }

// Each field of a document has its own impact, also of the same kind.
func TestImpactsOfOneDocument(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, mutationSeed)
	const counts = `{ impact { gained { totalCount } lost { totalCount } } }`
	a := b.Ask(t, `mutation {
		give: grantRoles(input: {organization: {code: "acme"}, users: [{email: "bob@example.com"}], roles: [{key: "clerk"}]}) `+counts+`
		nothing: grantRoles(input: {organization: {code: "acme"}, users: [{email: "bob@example.com"}], roles: [{key: "clerk"}]}) `+counts+`
		take: revokeRoles(input: {organization: {code: "acme"}, users: [{email: "bob@example.com"}], roles: [{key: "clerk"}]}) `+counts+`
	}`)
	for name, want := range map[string][2]float64{"give": {1, 0}, "nothing": {0, 0}, "take": {0, 1}} {
		if gained, lost := a.At(name+".impact.gained.totalCount"), a.At(name+".impact.lost.totalCount"); gained != want[0] || lost != want[1] {
			t.Errorf("%s: gained %v, lost %v; want %v", name, gained, lost, want)
		}
	}
}
