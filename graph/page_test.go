package graph_test

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"roster/db"
	"roster/graph/graphtest"
)

// pagedList is a connection, and what it must be like.
type pagedList struct {
	name string
	// document asks for a page: PAGE stands for the arguments, CONNECTION for
	// what is selected.
	document string
	// path leads to the connection in the answer.
	path string
	// node is what is selected of nodes to compute key, which the list is sorted
	// by; id decides among equals.
	node string
	key  func(node any) string
	// id is what decides among equals; the node's id when nil.
	id         func(node any) string
	descending bool
	// count counts the rows in SQL.
	count string
	// uncounted lists have no totalCount.
	uncounted bool
}

func text(path string) func(any) string {
	return func(node any) string { text, _ := graphtest.At(node, path).(string); return text }
}

func folded(path string) func(any) string {
	return func(node any) string { return db.Fold(text(path)(node)) }
}

// Where a member stands in lists that are in the order of grants.
var placeKey, placeID = text("organization.id"), text("user.id")

// pagedLists are all connections in all of their orders.
func pagedLists() []pagedList {
	const (
		users       = "select count(*) from users where deleted_at is null"
		orgs        = "select count(*) from organizations where deleted_at is null and code <> 'roster'"
		ofAcme      = "select count(*) from memberships m join organizations o on o.id = m.org_id and o.code = 'acme'"
		ofAda       = "select count(*) from memberships m join users u on u.id = m.user_id and u.email = 'ada@example.com'"
		holdRole    = "select count(*) from membership_roles g join roles r on r.id = g.role_id and r.key = 'role-0' where g.live"
		holdDirect  = "select count(*) from membership_permissions g where g.live"
		both        = "exists (select from membership_roles r where r.live and r.org_id = g.org_id and r.user_id = g.user_id)"
		roles       = "select count(*) from roles where deleted_at is null"
		permissions = "select count(*) from permissions where deleted_at is null"
		keys        = "select count(*) from api_keys"
		created     = "select count(*) from changes where action = 'user.created'"
	)
	var all []pagedList
	// Both directions of an order.
	ordered := func(name, root, path, field, node, count string, key func(any) string) {
		for _, direction := range []string{"ASC", "DESC"} {
			all = append(all, pagedList{
				name:     name + " by " + field + " " + direction,
				document: strings.ReplaceAll(root, "ORDER", "orderBy: {field: "+field+", direction: "+direction+"}"),
				path:     path, node: node, key: key, descending: direction == "DESC", count: count,
			})
		}
	}
	const rootUsers, rootOrgs = `users(PAGE, ORDER) CONNECTION`, `organizations(PAGE, ORDER) CONNECTION`
	const rootMembers = `organization(by: {code: "acme"}) { members(PAGE, ORDER) CONNECTION }`
	ordered("users", rootUsers, "users", "CREATED_AT", "createdAt", users, text("createdAt"))
	ordered("users", rootUsers, "users", "EMAIL", "email", users, folded("email"))
	ordered("users", rootUsers, "users", "NAME", "name", users, folded("name"))
	ordered("users", rootUsers, "users", "LAST_SIGNED_IN_AT", "lastSignedInAt", users, text("lastSignedInAt"))
	ordered("organizations", rootOrgs, "organizations", "CREATED_AT", "createdAt", orgs, text("createdAt"))
	ordered("organizations", rootOrgs, "organizations", "NAME", "name", orgs, folded("name"))
	ordered("organizations", rootOrgs, "organizations", "CODE", "code", orgs, text("code"))
	ordered("members", rootMembers, "organization.members", "JOINED_AT", "joinedAt", ofAcme, text("joinedAt"))
	ordered("members", rootMembers, "organization.members", "EMAIL", "user { email }", ofAcme, folded("user.email"))
	ordered("members", rootMembers, "organization.members", "NAME", "user { name }", ofAcme, folded("user.name"))
	return append(all,
		pagedList{name: "memberships", document: `user(by: {email: "ada@example.com"}) { memberships(PAGE) CONNECTION }`,
			path: "user.memberships", node: "joinedAt", key: text("joinedAt"), count: ofAda},
		pagedList{name: "memberships that can", document: `user(by: {email: "ada@example.com"}) { memberships(PAGE, can: "thing:0") CONNECTION }`,
			path: "user.memberships", node: "joinedAt", key: text("joinedAt"), count: ofAda},
		pagedList{name: "roles", document: `roles(PAGE) CONNECTION`, path: "roles", node: "key", key: text("key"), count: roles},
		pagedList{name: "permissions", document: `permissions(PAGE) CONNECTION`, path: "permissions", node: "key", key: text("key"), count: permissions},
		pagedList{name: "apiKeys", document: `apiKeys(PAGE) CONNECTION`, path: "apiKeys", node: "createdAt", key: text("createdAt"), count: keys},
		pagedList{name: "changes", document: `changes(PAGE, filter: {action: "user.created"}) CONNECTION`, path: "changes", node: "at",
			key: text("at"), count: created, uncounted: true},
		pagedList{name: "role.members", document: `role(by: {key: "role-0"}) { members(PAGE) CONNECTION }`, path: "role.members",
			node: "organization { id } user { id }", key: placeKey, id: placeID, count: holdRole},
		pagedList{name: "role.members in one", document: `role(by: {key: "role-0"}) { members(organization: {code: "acme"}, PAGE) CONNECTION }`,
			path: "role.members", node: "organization { id } user { id }", key: placeKey, id: placeID,
			count: holdRole + " and g.org_id = (select id from organizations where code = 'acme')"},
		pagedList{name: "permission.holders", document: `permission(by: {key: "thing:0"}) { holders(PAGE) CONNECTION }`, path: "permission.holders",
			node: "organization { id } user { id }", key: placeKey, id: placeID,
			count: "select (" + holdRole + ") + (" + holdDirect + " and not " + both + ")"},
	)
}

// pageOf is one page as it came.
type pageOf struct {
	nodes            []any
	cursors          []string
	hasNext, hasPrev bool
	start, end       any
	total            any
}

func (l *pagedList) query() string {
	connection := "{ edges { cursor node { id " + l.node + " } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } "
	if !l.uncounted {
		connection += "totalCount "
	}
	return "query($first: Int, $after: String, $last: Int, $before: String) { " +
		strings.NewReplacer("PAGE", "first: $first, after: $after, last: $last, before: $before", "CONNECTION", connection+"}").Replace(l.document) + " }"
}

// page reads a page.
func (l *pagedList) page(t *testing.T, b *graphtest.Server, arguments object) pageOf {
	t.Helper()
	c := b.Ask(t, l.query(), arguments).At(l.path)
	p := pageOf{
		hasNext: graphtest.At(c, "pageInfo.hasNextPage").(bool), hasPrev: graphtest.At(c, "pageInfo.hasPreviousPage").(bool),
		start: graphtest.At(c, "pageInfo.startCursor"), end: graphtest.At(c, "pageInfo.endCursor"), total: graphtest.At(c, "totalCount"),
	}
	for i, edge := range graphtest.At(c, "edges").([]any) {
		p.nodes = append(p.nodes, graphtest.At(edge, "node"))
		p.cursors = append(p.cursors, text("cursor")(edge))
		if graphtest.At(c, fmt.Sprintf("nodes.%d.id", i)) != graphtest.At(edge, "node.id") {
			t.Errorf("%s: nodes are not those of edges", l.name)
		}
	}
	if n := len(p.cursors); n == 0 && (p.start != nil || p.end != nil) || n > 0 && (p.start != p.cursors[0] || p.end != p.cursors[n-1]) {
		t.Errorf("%s: startCursor %v, endCursor %v of %v", l.name, p.start, p.end, p.cursors)
	}
	return p
}

func (l *pagedList) idOf(node any) string {
	if l.id != nil {
		return l.id(node)
	}
	return text("id")(node)
}

// walk reads the list in pages of a size (0: the default), from the front or
// from the end, and gives it in its order.
func (l *pagedList) walk(t *testing.T, b *graphtest.Server, size int, backward bool) []any {
	t.Helper()
	var all []any
	w := walker{list: l, size: size, backward: backward}
	for !w.done {
		all = w.step(t, b, all)
		if len(all) > 5000 {
			t.Fatalf("%s does not end", l.name)
		}
	}
	return all
}

// walker is on its way through a list.
type walker struct {
	list     *pagedList
	size     int
	backward bool
	cursor   any
	done     bool
}

// step reads the next page, and gives all that was read, in the list's order.
func (w *walker) step(t *testing.T, b *graphtest.Server, all []any) []any {
	t.Helper()
	size, cursor := "first", "after"
	if w.backward {
		size, cursor = "last", "before"
	}
	arguments := object{cursor: w.cursor}
	if w.size > 0 {
		arguments[size] = w.size
	}
	p := w.list.page(t, b, arguments)
	more, behind := p.hasNext, p.hasPrev
	if w.backward {
		more, behind = behind, more
	}
	if behind != (w.cursor != nil) {
		t.Errorf("%s: on page %v, the way back is said to be %v", w.list.name, w.cursor, behind)
	}
	w.done = !more
	if w.backward {
		w.cursor = p.start
		return append(slices.Clone(p.nodes), all...)
	}
	w.cursor = p.end
	return append(all, p.nodes...)
}

// seedLists fills every list: with ties, nulls, and things to delete.
func seedLists(t *testing.T, b *graphtest.Server) {
	t.Helper()
	const n = 26
	b.Ask(t, graphtest.Document("mutation", 0, n, func(i int) string {
		return fmt.Sprintf(`createPermission(input: {key: "thing:%d"}) { permission { id } }`, i)
	}))
	b.Ask(t, graphtest.Document("mutation", 0, n, func(i int) string {
		return fmt.Sprintf(`createRole(input: {key: "role-%d", permissions: [{key: "thing:%d"}]}) { role { id } }`, i, i)
	}))
	b.Ask(t, `mutation { createOrganization(input: {code: "acme", name: "Acme"}) { organization { id } } }`)
	b.Ask(t, graphtest.Document("mutation", 0, n, func(i int) string {
		return fmt.Sprintf(`createOrganization(input: {code: "org-%d", name: "%s"}) { organization { id } }`, i, []string{"Tie", "tie", "Ｔie", "Other"}[i%4])
	}))
	b.Ask(t, graphtest.Document("mutation", 0, n, func(i int) string {
		email := fmt.Sprintf(`email: "%s%d@example.com"`, []string{"b", "B", "é"}[i%3], i)
		if i%4 == 0 {
			email = fmt.Sprintf(`externalId: "%d"`, i)
		}
		return fmt.Sprintf(`createUser(input: {%s, givenName: "%s", organizations: [{code: "acme"}], roles: [{key: "role-0"}]}) { user { id } }`,
			email, []string{"Tie", "tie", "Zoë", "Ada"}[i%4])
	}))
	b.Ask(t, `mutation {
		createUser(input: {email: "ada@example.com", organizations: [{code: "acme"}], roles: [{key: "role-0"}]}) { user { id } }
		direct: createUser(input: {email: "direct@example.com", organizations: [{code: "acme"}], roles: []}) { user { id } }
		grantPermissions(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}, {email: "direct@example.com"}],
			permissions: [{key: "thing:0"}]}) { memberships { id } }
	}`)
	b.Ask(t, graphtest.Document("mutation", 0, n, func(i int) string {
		return fmt.Sprintf(`addMembers(input: {organization: {code: "org-%d"}, users: [{email: "ada@example.com"}], roles: [{key: "role-0"}]}) { memberships { id } }`, i)
	}))
	b.Ask(t, graphtest.Document("mutation", 0, n, func(i int) string {
		return fmt.Sprintf(`createApiKey(input: {name: "key %d", permissions: []}) { secret }`, i)
	}))
	for _, table := range []string{"users set created_at", "organizations set created_at", "memberships set joined_at", "api_keys set created_at"} {
		// Every three of them at the same microsecond.
		name, column, _ := strings.Cut(table, " set ")
		b.Execute(t, fmt.Sprintf(`update %s t set %s = '2026-01-01T00:00:00Z'::timestamptz + n / 3 * interval '1 microsecond'
			from (select id, row_number() over (order by id) as n from %s) x where x.id = t.id`, name, column, name))
	}
	b.Execute(t, `update users set last_signed_in_at = '2026-02-01T00:00:00Z'::timestamptz + (length(name) % 2) * interval '1 second'
		where email is not null`)
}

// disturb adds to every list, and takes from every list that things are deleted
// from.
func disturb(t *testing.T, b *graphtest.Server, i int) {
	t.Helper()
	b.Ask(t, fmt.Sprintf(`mutation {
		p: createPermission(input: {key: "new:%[1]d"}) { permission { id } }
		r: createRole(input: {key: "a-new-%[1]d"}) { role { id } }
		o: createOrganization(input: {code: "new-%[1]d", name: "Tie"}) { organization { id } }
		u: createUser(input: {email: "b-new%[1]d@example.com", givenName: "Tie", organizations: [{code: "acme"}], roles: [{key: "role-0"}]}) { user { id } }
		m: addMembers(input: {organization: {code: "new-%[1]d"}, users: [{email: "ada@example.com"}], roles: [{key: "role-0"}]}) { memberships { id } }
		k: createApiKey(input: {name: "new", permissions: []}) { secret }
		dp: deletePermission(input: {permission: {key: "thing:%[2]d"}}) { deletedIds }
		dr: deleteRole(input: {role: {key: "role-%[2]d"}}) { deletedIds }
		do: deleteOrganization(input: {organization: {code: "org-%[2]d"}}) { deletedIds }
		du: deleteUser(input: {user: {externalId: "%[3]d"}}) { deletedIds }
	}`, i, 3*i+2, 4*i))
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	seedLists(t, b)
	lists := pagedLists()
	ids := func(l *pagedList, nodes []any) []string {
		all := make([]string, len(nodes))
		for i, node := range nodes {
			all[i] = text("id")(node)
		}
		return all
	}
	for i := range lists {
		l := &lists[i]
		all := l.walk(t, b, 100, false)
		if want := graphtest.Rows[int](t, b, l.count)[0]; len(all) != want || want < 20 {
			t.Errorf("%s has %d, want %d", l.name, len(all), want)
		}
		compare := func(a, b any) int {
			order := cmp.Or(strings.Compare(l.key(a), l.key(b)), strings.Compare(l.idOf(a), l.idOf(b)))
			if l.descending {
				return -order
			}
			return order
		}
		for i := range all[1:] {
			if compare(all[i], all[i+1]) >= 0 {
				t.Errorf("%s: %v stands before %v", l.name, all[i], all[i+1])
			}
		}
		for _, size := range []int{0, 4, 9} {
			for _, backward := range []bool{false, true}[:min(size, 1)+1] { // the default is first
				if got := l.walk(t, b, size, backward); !slices.Equal(ids(l, got), ids(l, all)) {
					t.Errorf("%s in pages of %d, backward: %v, gives\n%v, want\n%v", l.name, size, backward, ids(l, got), ids(l, all))
				}
			}
		}
		// Between two cursors, behind the last, and before the first.
		p := l.page(t, b, object{"first": 100})
		between := l.page(t, b, object{"first": 3, "after": p.cursors[1], "before": p.cursors[4]})
		if got := ids(l, between.nodes); !slices.Equal(got, ids(l, all[2:4])) || between.hasNext || !between.hasPrev {
			t.Errorf("%s between two cursors gives %v", l.name, got)
		}
		if p := l.page(t, b, object{"first": 3, "after": p.cursors[len(p.cursors)-1]}); len(p.nodes) != 0 || p.hasNext || !p.hasPrev {
			t.Errorf("%s behind its end gives %v", l.name, p)
		}
		if p := l.page(t, b, object{"last": 3, "before": p.cursors[0]}); len(p.nodes) != 0 || p.hasPrev || !p.hasNext {
			t.Errorf("%s before its beginning gives %v", l.name, p)
		}
		if !l.uncounted && p.total != float64(len(all)) {
			t.Errorf("%s: totalCount is %v, want %d", l.name, p.total, len(all))
		}
	}
}

// A row that was there all the time is seen exactly once, whatever comes and goes
// while pages are turned.
func TestPagesWhileRowsComeAndGo(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	seedLists(t, b)
	lists := pagedLists()
	before := make([][]any, len(lists))
	walkers := make([]walker, 2*len(lists))
	seen := make([][]any, len(walkers))
	for i := range lists {
		before[i] = lists[i].walk(t, b, 100, false)
		walkers[2*i], walkers[2*i+1] = walker{list: &lists[i], size: 5}, walker{list: &lists[i], size: 5, backward: true}
	}
	for step := range 12 {
		for i := range walkers {
			if !walkers[i].done {
				seen[i] = walkers[i].step(t, b, seen[i])
			}
		}
		if step < 5 {
			disturb(t, b, step)
		}
	}
	for i := range walkers {
		l := walkers[i].list
		if !walkers[i].done {
			t.Errorf("%s does not end", l.name)
		}
		remained := map[string]bool{}
		for _, node := range l.walk(t, b, 100, false) {
			remained[text("id")(node)] = true
		}
		var want, got []string
		for _, node := range before[i/2] {
			if id := text("id")(node); remained[id] {
				want = append(want, id)
			}
		}
		for _, node := range seen[i] {
			if id := text("id")(node); slices.Contains(want, id) {
				got = append(got, id)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s, backward: %v, gave\n%v, want\n%v", l.name, walkers[i].backward, got, want)
		}
	}
}

func TestPagesThatAreRefused(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	seedLists(t, b)
	lists := pagedLists()
	cursors := make([]string, len(lists))
	refused := func(l *pagedList, field string, arguments object) {
		t.Helper()
		a := b.As(t, b.Key, l.query(), arguments)
		if !strings.HasPrefix(a.Codes(), "INVALID") || !strings.Contains(a.Field(0), field) || graphtest.At(a.Data, l.path) != nil {
			t.Errorf("%s with %v: %s", l.name, arguments, a.Body)
		}
	}
	for i := range lists {
		cursors[i] = lists[i].page(t, b, object{"first": 2}).cursors[1]
		for _, size := range []int{0, -1, 101, 1<<31 - 1, -1 << 31} {
			refused(&lists[i], "first", object{"first": size})
			refused(&lists[i], "last", object{"last": size})
		}
		refused(&lists[i], "first", object{"first": 1 << 31})
		refused(&lists[i], "last", object{"first": 5, "last": 5})
	}
	name := func(i int) string { // the other direction is the same list
		name := strings.NewReplacer(" ASC", "", " DESC", "").Replace(lists[i].name)
		return strings.NewReplacer(" that can", "", " in one", "").Replace(name)
	}
	for i := range lists {
		for j := range lists {
			if name(i) != name(j) {
				refused(&lists[i], "after", object{"after": cursors[j]})
			}
		}
	}
	whole := cursors[0]
	for i := range whole {
		other := byte('A')
		if whole[i] == other {
			other = 'B'
		}
		refused(&lists[0], "after", object{"after": whole[:i] + string(other) + whole[i+1:]})
		refused(&lists[0], "before", object{"before": whole[:i]})
	}
	// Whoever reads the source can make the check sum right.
	for list, values := range map[string][]string{
		"users.CREATED_AT": {"", "now", "infinity", "0000-01-01T00:00:00Z", "2026-01-01T00:00:00+20:00", "2026-01-01T00:00:00,5Z", "2026-01-01T0:00:00Z",
			"2026-01-01T00:00:00." + strings.Repeat("1", 300) + "Z"},
		"users.EMAIL":        {"\x00", "\xff"},
		"role.members.PLACE": {"", "urn:uuid:01a2164f-23ce-71b0-941e-7387fe6af2e6", "{01a2164f-23ce-71b0-941e-7387fe6af2e6}"},
	} {
		of := slices.IndexFunc(lists, func(l pagedList) bool {
			root, order, _ := strings.Cut(list, ".")
			return l.name == root+" by "+order+" ASC" || l.name+".PLACE" == list
		})
		for _, value := range values {
			refused(&lists[of], "after", object{"after": forged(list, value)})
		}
	}
	for _, text := range []string{" ", whole + "=", whole + "A", strings.Repeat("A", 1<<20), "é", "AQ", "\n"} {
		refused(&lists[0], "after", object{"after": text})
	}
}

// forged is a cursor as the server writes them.
func forged(list, value string) string {
	place := string(make([]byte, 16)) + value
	sum := crc32.ChecksumIEEE([]byte(list + "\x00" + place))
	return base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint32([]byte{1}, sum), place...))
}
