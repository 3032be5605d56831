package graph_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/access"
	"roster/db/dbtest"
	"roster/directory"
	"roster/graph/admission"
	"roster/graph/graphtest"
	"roster/graph/transport"
)

// seedEveryList makes thirty of everything that lists have, on top of manyUsers: the
// last thirty of each kind are alike. It gives the samples that go with it.
func seedEveryList(t *testing.T, b *graphtest.Server) map[string]string {
	t.Helper()
	b.Execute(t, "insert into identities (provider, subject, user_id) select 'password', email, id from users")
	b.Execute(t, `insert into sessions (user_id, id, hash, org_id, methods, created_at, last_used_at, expires_at)
		select m.user_id, gen_random_uuid(), '', m.org_id, '{code}', now(), now(), now() + interval '1 day' from memberships m, generate_series(1, 10)`)
	b.Execute(t, `insert into sign_ins (id, at, user_id, method, succeeded, org_id) select id, created_at, user_id, 'code', true, org_id from sessions`)
	for _, made := range []string{
		`createPermission(input: {key: "zed%[1]d"}) { permission { id } }`,
		`createRole(input: {key: "zed%[1]d", permissions: [{key: "zed%[1]d"}, {key: "invoices:read"}]}) { role { id } }`,
		`createOrganization(input: {code: "zed%[1]d", name: "Zed", defaultRoles: [{key: "zed%[1]d"}]}) { organization { id } }`,
		`addMembers(input: {organization: {code: "zed%[1]d"}, users: [{email: "u%[1]d@example.com"}]}) { memberships { id } }`,
		`grantRoles(input: {organization: {code: "acme"}, users: [{email: "u%[1]d@example.com"}], roles: [{key: "zed%[1]d"}]}) { memberships { id } }`,
		`grantPermissions(input: {organization: {code: "acme"}, users: [{email: "u%[1]d@example.com"}], permissions: [{key: "zed%[1]d"}]}) { memberships { id } }`,
		`grantPermissions(input: {organization: {code: "zed%[1]d"}, users: [{email: "u%[1]d@example.com"}], permissions: [{key: "zed%[1]d"}]}) { memberships { id } }`,
		`createIdentityProvider(input: {key: "zed%[1]d", kind: GOOGLE, clientId: "zed", clientSecret: "s", organization: {code: "zed%[1]d"}}) { provider { id } }`,
		`createApiKey(input: {name: "Zed", permissions: [], organization: {code: "acme"}, user: {email: "u%[1]d@example.com"}}) { apiKey { id } }`,
		`invite(input: {email: "i%[1]d@example.com", organization: {code: "acme"}, roles: [{key: "zed%[1]d"}], sendEmail: false}) { link }`,
	} {
		b.Ask(t, graphtest.Document("mutation", 90, 120, func(i int) string { return fmt.Sprintf(made, i) }))
	}
	some := b.Ask(t, `{ user(by: {email: "u119@example.com"}) { id } apiKeys(first: 1) { nodes { id } } }`)
	return map[string]string{
		"UserRef": `{email: "u119@example.com"}`, "UserFilter.search": `"example"`, "MemberFilter.search": `"example"`,
		"Query.roles.search": `"zed"`, "Query.permissions.search": `"zed"`, "OrganizationFilter.search": `"zed"`,
		"Query.identityProviders.email": `"u119@example.com"`,
		"UserFilter.createdAfter":       `"2020-01-01T00:00:00Z"`, "UserFilter.createdBefore": `"2090-01-01T00:00:00Z"`,
		"User.memberships.can": `"invoices:read"`, "MemberFilter.can": `"invoices:read"`, "Membership.grants.includeEnded": "true",
		"Membership.effectivePermissions.asOf": graphtest.Quote(time.Now().UTC().Format(time.RFC3339Nano)),
		"ChangeFilter.action":                  `"user.created"`, "ChangeFilter.subject": graphtest.Quote(some.Text("user.id")), "ChangeFilter.actor": graphtest.Quote(some.Text("apiKeys.nodes.0.id")),
		"ChangeFilter.after": `"2020-01-01T00:00:00Z"`, "ChangeFilter.before": `"2090-01-01T00:00:00Z"`,
	}
}

// paging are the arguments that say which page of a list, not which list.
var paging = []string{"first", "after", "last", "before"}

// lists makes queries of every list in pages, with all that their elements have.
type lists struct {
	*caller
	queries []string
}

// ways returns a caller for each way to ask for a field: with nothing that it can do
// without, and with each such argument, or field of one. A list in pages has that
// size, from its end if possible.
func (l *lists) ways(owner string, f *ast.FieldDefinition, size string) (ways []*caller, paged bool) {
	plain := *l.caller
	for _, name := range []string{"last", "first"} {
		if f.Arguments.ForName(name) != nil {
			plain.also, paged = map[string]string{name: size}, true
			break
		}
	}
	ways = []*caller{&plain}
	with := func(place, value string) {
		way := plain
		way.place, way.instead = place, value
		ways = append(ways, &way)
	}
	for _, a := range f.Arguments {
		if a.Type.NonNull && a.DefaultValue == nil || slices.Contains(paging, a.Name) {
			continue
		}
		d := l.schema.Types[a.Type.Name()]
		if d.Kind != ast.InputObject || d.Directives.ForName("oneOf") != nil {
			with(a.Name, l.value(owner+"."+f.Name, a.Name, a.Type))
			continue
		}
		for _, field := range d.Fields {
			with(a.Name+"."+field.Name, l.value(d.Name, field.Name, field.Type))
		}
	}
	return ways, paged
}

// objects returns the types of which something of this type can be.
func (l *lists) objects(of string) []*ast.Definition {
	return l.schema.GetPossibleTypes(l.schema.Types[of])
}

// everything asks for all fields of a type, in every way, one element of each
// list.
func (l *lists) everything(of string) string {
	var text strings.Builder
	for _, d := range l.objects(of) {
		fmt.Fprintf(&text, "... on %s {", d.Name)
		for _, f := range ownFields(d) {
			ways, _ := l.ways(d.Name, f, "1")
			for i, way := range ways {
				fmt.Fprintf(&text, " %s_%s_%d: %s%s", d.Name, f.Name, i, strings.TrimSuffix(way.call(d.Name, f), " { __typename }"), l.selection(f.Type, 1, true))
			}
		}
		text.WriteString(" }\n")
	}
	return text.String()
}

// below makes the queries of the lists up to so many levels below a type, which
// is selected by around: the first list on the way has $n elements, others have
// one.
func (l *lists) below(of, around string, levels int, listed bool) {
	for _, d := range l.objects(of) {
		for _, f := range ownFields(d) {
			element := f.Type.Name()
			if !l.schema.Types[element].IsCompositeType() || element == "Node" && d == l.schema.Query { // TestStatementsOfNodes
				continue
			}
			size := "$n"
			if listed {
				size = "1"
			}
			ways, paged := l.ways(d.Name, f, size)
			selected := "{ %s }"
			if paged {
				page := l.schema.Types[element].Fields
				element = page.ForName("nodes").Type.Name()
				selected = "{ edges { cursor } nodes { %s } }"
				if page.ForName("totalCount") != nil {
					selected = "{ totalCount edges { cursor } nodes { %s } }"
				}
			}
			for i, way := range ways {
				at := fmt.Sprintf(around, fmt.Sprintf("... on %s { %s %s }", d.Name, strings.TrimSuffix(way.call(d.Name, f), " { __typename }"), selected))
				if paged && !listed || listed && levels > 1 && i == 0 {
					l.queries = append(l.queries, fmt.Sprintf(at, l.everything(element)))
				}
				if levels > 1 && i == 0 {
					l.below(element, at, levels-1, listed || paged)
				}
			}
		}
	}
}

// The same for every list of the schema within three levels, whatever it is
// narrowed by, with everything that its elements have, and without the memory of
// what members hold. A new field or argument takes part by itself.
func TestStatementsOfNoListGrow(t *testing.T) {
	t.Parallel()
	traced := &dbtest.Statements{}
	b := newManyUsers(t, traced)
	l := lists{caller: &caller{schema: graphtest.LoadSchema(t, "../schema.graphqls"), others: seedEveryList(t, b)}}
	forgetful := directory.New(b.Database, access.Options{Entries: -1, Staleness: time.Minute, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	t.Cleanup(forgetful.Close)
	graphtest.Must(t, forgetful.Follow(t.Context()))
	limits := admission.DefaultLimits
	limits.Cost *= 1000
	b.Directory = forgetful
	b = b.WithOptions(t, transport.Options{Limits: &limits, CostPerSecond: limits.Cost})
	l.below("Query", "query($n: Int!) { %s }", 3, false)
	l.below("Impact", `mutation($n: Int!) @dryRun { suspendOrganization(input: {organization: {code: "acme"}}) { impact { %s } } }`, 2, false)
	for _, missing := range l.missing {
		t.Errorf("%s has no sample: add one to seedEveryList", missing)
	}
	t.Logf("%d queries", len(l.queries))
	for _, query := range l.queries {
		const n = 5
		traced.Take()
		b.Ask(t, query, object{"n": n})
		many := ofRequest(traced.Take())
		b.Ask(t, query, object{"n": 1})
		one := ofRequest(traced.Take())
		if len(many) != len(one) { // or something was not warm
			one, _ = statements(t, b, traced, query, object{"n": 1})
			many, _ = statements(t, b, traced, query, object{"n": n})
		}
		if len(many) != len(one) {
			t.Errorf("%s\ntakes %d statements for 1, and %d for %d:\n%s\n\n%s", query, len(one), len(many), n,
				strings.Join(one, "\n"), strings.Join(many, "\n"))
		}
	}
}
