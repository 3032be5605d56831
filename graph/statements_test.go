package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"roster/db/dbtest"
	"roster/graph/graphtest"
)

// statements returns the statements that a query needs. What a server remembers for a second (the roles) is warm: the least of
// several tries counts, once it has come twice.
func statements(t *testing.T, b *graphtest.Server, traced *dbtest.Statements, query string, variables object) ([]string, *graphtest.Answer) {
	t.Helper()
	var least []string
	var a *graphtest.Answer
	for try, seen := 0, 0; try < 20 && seen < 2; try++ {
		graphtest.Eventually(t, 10*time.Second, "memory is trusted", func() bool { return b.Directory.Stats().Lag < 300*time.Millisecond })
		traced.Take()
		a = b.Ask(t, query, variables)
		texts := ofRequest(traced.Take())
		switch {
		case try == 0:
		case least == nil || len(texts) < len(least):
			least, seen = texts, 1
		case len(texts) == len(least):
			seen++
		}
	}
	return least, a
}

// manyUsers has 120 users in three organizations each, with roles and permissions, and 60 API keys.
var manyUsers = graphtest.Prepared(slices.Concat([]string{`mutation {
	p: createPermission(input: {key: "invoices:read"}) { permission { id } }
	q: createPermission(input: {key: "invoices:write"}) { permission { id } }
	r: createRole(input: {key: "clerk", permissions: [{key: "invoices:read"}]}) { role { id } }
	s: createRole(input: {key: "writer", permissions: [{key: "invoices:write"}]}) { role { id } }
	a: createOrganization(input: {code: "acme", name: "Acme"}) { organization { id } }
	g: createOrganization(input: {code: "globex", name: "Globex"}) { organization { id } }
}`}, documents(120, func(i int) string {
	return fmt.Sprintf(`createUser(input: {email: "u%d@example.com", organizations: [{code: "acme"}, {code: "globex"}, {code: "default"}],
		roles: [{key: "clerk"}, {key: "writer"}]}) { user { id } }`, i)
}), documents(60, func(i int) string {
	return fmt.Sprintf(`createApiKey(input: {name: "key %d", permissions: []}) { secret }`, i)
}))...)

// documents returns mutations of twenty fields each.
func documents(n int, field func(i int) string) (all []string) {
	for from := 0; from < n; from += 20 {
		all = append(all, graphtest.Document("mutation", from, from+20, field))
	}
	return all
}

// newManyUsers returns a server over a copy of manyUsers, in which each API key answers for the
// next one.
func newManyUsers(t *testing.T, traced *dbtest.Statements) *graphtest.Server {
	t.Helper()
	b := graphtest.NewFrom(t, manyUsers, traced)
	b.Execute(t, `update api_keys k set responsible_id = (select r.id from api_keys r where r.id < k.id order by r.id desc limit 1) where name like 'key %'`)
	return b
}

// However many there are, the number of statements is the same.
func TestStatementsDoNotGrow(t *testing.T) {
	t.Parallel()
	traced := &dbtest.Statements{}
	b := newManyUsers(t, traced)
	for name, test := range map[string]struct {
		query string
		most  int
	}{
		"users with memberships, organizations and roles": {
			`query($n: Int!) { users(first: $n) { nodes { memberships { nodes { organization { name } roles { key } } } } } }`, 5},
		"members with effective permissions": {
			`query($n: Int!) { organization(by: {code: "acme"}) { members(first: $n) { nodes { user { email } effectivePermissions { key } } } } }`, 5},
		"members with checks and grants": {
			`query($n: Int!) { organization(by: {code: "acme"}) { members(first: $n) { nodes {
				can(permission: "invoices:read") explain(permission: "invoices:write") { allowed sources { reason } }
				grants { membership { user { name } } grantedBy { ... on ApiKey { name } } } } } } }`, 12},
		"users with members of their organizations": {
			`query($n: Int!) { users(first: $n) { nodes { memberships(first: 1) { totalCount nodes { organization { members(first: 2) { totalCount nodes { user { name } } } } } } } } }`, 9},
		"changes with actors and subjects": {
			`query($n: Int!) { changes(first: $n, filter: {action: "user.created"}) { nodes { actor { ... on ApiKey { name } } subject { id } organization { code } } } }`, 5},
		"API keys": {
			`query($n: Int!) { apiKeys(last: $n) { nodes { permissions { key } createdBy { __typename } responsible { __typename } organization { code } } } }`, 5},
	} {
		t.Run(name, func(t *testing.T) {
			counts := map[int]int{}
			var all [][]string
			for _, n := range []int{1, 10, 100} {
				graphtest.Eventually(t, 30*time.Second, "memory has all that is asked for", func() bool { // it drops some when it is busy
					misses := b.Directory.Stats().Misses
					b.Ask(t, test.query, object{"n": n})
					return b.Directory.Stats().Misses == misses
				})
				texts, _ := statements(t, b, traced, test.query, object{"n": n})
				counts[n] = len(texts)
				all = append(all, texts)
			}
			if counts[1] != counts[100] || counts[10] != counts[100] || counts[100] > test.most {
				t.Errorf("%s: %v statements, want the same number, at most %d:\n%s", name, counts, test.most, all)
			}
		})
	}
}

// Fields that are not selected are neither counted nor read.
func TestStatementsReadWhatIsSelected(t *testing.T) {
	t.Parallel()
	traced := &dbtest.Statements{}
	b := newManyUsers(t, traced)
	for _, test := range []struct{ query, has, lacks string }{
		{`{ users { nodes { name } } }`, "u.name", "properties|count(|email,|u.phone|search"},
		{`{ users { nodes { name properties } } }`, "u.properties", "count(|u.phone"},
		{`{ users { totalCount } }`, "count(", "u.name,|properties"},
		{`{ users { edges { node { ...f } } } } fragment f on User { phone }`, "u.phone", "u.name,|properties"},
		{`query { users { nodes { name @skip(if: true) phone @include(if: true) } } }`, "u.phone", "u.name,|properties"},
		{`{ user(by: {email: "u1@example.com"}) { name } }`, "u.name", "properties|count("},
		{`{ organizations { nodes { name } } }`, "o.name", "properties|count(|auto_join"},
		{`{ organization(by: {code: "acme"}) { name } }`, "o.name", "properties|count(|auto_join"},
		{`{ organization(by: {code: "acme"}) { members { nodes { user { name } } } } }`, "memberships", "properties|count("},
		{`{ organization(by: {code: "acme"}) { members { totalCount } } }`, "count(", "properties"},
		{`{ user(by: {email: "u1@example.com"}) { memberships { nodes { organization { code } } } } }`, "memberships", "properties|count(|membership_roles"},
		{`{ role(by: {key: "clerk"}) { members { nodes { id } } } }`, "membership_roles", "count("},
		{`{ roles { totalCount nodes { key permissions { key } } } permissions { nodes { roles { key } } } }`, "", "select"},
	} {
		t.Run(test.query, func(t *testing.T) {
			texts, _ := statements(t, b, traced, test.query, nil)
			all := strings.Join(texts, "\n")
			if !strings.Contains(all, test.has) || slices.ContainsFunc(strings.Split(test.lacks, "|"), func(part string) bool { return strings.Contains(all, part) }) {
				t.Errorf("%s runs\n%s\nwant %q in it, and none of %q", test.query, all, test.has, test.lacks)
			}
		})
	}
}

// A hundred nodes of all kinds cost one statement for each kind that is not in
// memory, and come in the order asked, also twice.
func TestStatementsOfNodes(t *testing.T) {
	t.Parallel()
	traced := &dbtest.Statements{}
	b := newManyUsers(t, traced)
	a := b.Ask(t, `{ users(first: 40) { nodes { id memberships(first: 1) { nodes { id } } } } organizations { nodes { id } } roles { nodes { id } }
		permissions { nodes { id } } apiKeys { nodes { id } } changes(first: 20) { nodes { id } } }`)
	var ids []string
	for _, list := range []string{"users", "organizations", "roles", "permissions", "apiKeys", "changes"} {
		ids = append(ids, a.Texts(list+".nodes", "id")...)
	}
	ids = append(append(ids, a.Texts("users.nodes", "memberships.nodes.0.id")...), "user_01h455vb4pex5vsknk084sn02q", "no id", ids[0])
	for len(ids) < 100 {
		ids = append(ids, ids[len(ids)/2])
	}
	texts, answered := statements(t, b, traced, `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, object{"ids": ids})
	if len(texts) > 5 {
		t.Errorf("%d statements:\n%s", len(texts), strings.Join(texts, "\n"))
	}
	for i, id := range answered.Texts("nodes", "id") {
		known := ids[i] != "no id" && ids[i] != "user_01h455vb4pex5vsknk084sn02q"
		if known && id != ids[i] || !known && id != "" {
			t.Errorf("%d is %q, want %q", i, id, ids[i])
		}
	}
}

// The number of statements of checks tells nothing: neither how many users and
// organizations are named nor, to a key of one organization, whether there are such
// elsewhere.
func TestStatementsOfChecks(t *testing.T) {
	t.Parallel()
	traced := &dbtest.Statements{}
	b := newManyUsers(t, traced)
	b.Ask(t, graphtest.Document("mutation", 0, 10, func(i int) string {
		return fmt.Sprintf(`createUser(input: {email: "stranger%d@example.com", organizations: [{code: "globex"}]}) { user { id } }`, i)
	}))
	key := b.Holding(t, "acme", "roster:members:read")
	// Each question is new, so that memory does not have the answer. The least
	// counts: now and then a statement finds out who asks or what is new.
	least := func(n int, email, code string) int {
		counts := make([]int, 10)
		for i := range counts {
			input := make([]object, n)
			for j := range input {
				input[j] = object{"user": object{"email": strings.ReplaceAll(email, "#", fmt.Sprint(i))},
					"organization": object{"code": strings.ReplaceAll(code, "#", fmt.Sprint(i, "-", j))}, "permission": "invoices:read"}
			}
			graphtest.Eventually(t, 10*time.Second, "memory is trusted", func() bool { return b.Directory.Stats().Lag < 300*time.Millisecond })
			traced.Take()
			if a := b.As(t, key, `query($input: [CheckInput!]!) { checks(input: $input) }`, object{"input": input}); a.Codes() != "" {
				t.Fatalf("%s", a.Body)
			}
			counts[i] = len(ofRequest(traced.Take()))
		}
		return slices.Min(counts)
	}
	want := least(1, "unknown#@example.com", "acme")
	for name, got := range map[string]int{
		"users elsewhere":            least(1, "stranger#@example.com", "acme"),
		"unknown organizations":      least(1, "unknown#@example.com", "unknown#"),
		"an organization elsewhere":  least(1, "unknown#@example.com", "globex"),
		"one elsewhere, many times":  least(20, "unknown#@example.com", "globex"),
		"many unknown organizations": least(20, "unknown#@example.com", "unknown#"),
		"one unknown organization":   least(20, "unknown#@example.com", "unknown"),
	} {
		t.Run(name, func(t *testing.T) {
			if got != want {
				t.Errorf("%s: %d statements, want %d", name, got, want)
			}
		})
	}
}

// Whatever is asked of however many, what is not in memory costs one statement,
// and the look-up of names another one.
func TestStatementsOfColdChecks(t *testing.T) {
	t.Parallel()
	traced := &dbtest.Statements{}
	b := newManyUsers(t, traced)
	var checks, users []string
	for i := range 100 {
		org, user := []string{"acme", "globex"}[i%2], fmt.Sprintf(`{email: "u%d@example.com"}`, i)
		checks, users = append(checks, fmt.Sprintf(`{user: %s, organization: {code: %q}, permission: "invoices:read"}`, user, org)), append(users, user)
	}
	for query, most := range map[string]int{
		`{ can(user: {email: "u1@example.com"}, organization: {code: "acme"}, permission: "invoices:read") }`:                                        2,
		`{ checks(input: [` + strings.Join(checks, " ") + `]) }`:                                                                                     2,
		`{ checkMatrix(organization: {code: "acme"}, users: [` + strings.Join(users, " ") + `], permissions: ["invoices:read", "invoices:write"]) }`: 2,
		`{ user(by: {email: "u1@example.com"}) { can(organization: {code: "acme"}, permission: "invoices:read") } }`:                                 3,
	} {
		t.Run(query, func(t *testing.T) {
			least := most + 1
			for try := 0; try < 20 && least > most; try++ {
				b.Ask(t, `mutation { a: suspendOrganization(input: {organization: {code: "acme"}}) { organization { id } } b: restoreOrganization(input: {organization: {code: "acme"}}) { organization { id } }
					c: suspendOrganization(input: {organization: {code: "globex"}}) { organization { id } } d: restoreOrganization(input: {organization: {code: "globex"}}) { organization { id } } }`)
				graphtest.Eventually(t, 10*time.Second, "memory is trusted", func() bool { return b.Directory.Stats().Lag < 300*time.Millisecond })
				b.Ask(t, "{ __typename }") // the key is known again
				traced.Take()
				misses := b.Directory.Stats().Misses
				a := b.Ask(t, query)
				if texts := ofRequest(traced.Take()); b.Directory.Stats().Misses > misses {
					least = min(least, len(texts))
				}
				if strings.Contains(string(a.Body), "false") {
					t.Fatalf("%.100s: %s", query, a.Body)
				}
			}
			if least > most {
				t.Errorf("%.100s takes %d statements, want at most %d", query, least, most)
			}
		})
	}
}
