package directory

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"roster/db"
)

// memberRow is a membership in a list that was read for several parents at
// once: Parent counts them from 1, Sort is the value that the list is sorted by.
type memberRow struct {
	db.Membership `bun:",extend"`
	Parent        int
	Sort          string
}

// Related asks for the users and organizations of a list of memberships, to be
// read along with it by the same statement, and takes them in.
type Related struct {
	// UserFields and OrganizationFields are the fields to read; nil reads none.
	UserFields, OrganizationFields Fields
	Users                          []*db.User
	Organizations                  []*db.Organization
}

// relatedRow is a memberRow with what is related to it.
type relatedRow struct {
	memberRow    `bun:",extend"`
	User         *db.User         `bun:"embed:user__"`
	Organization *db.Organization `bun:"embed:organization__"`
}

// memberOrder is one way to sort memberships: by an expression over m and u,
// and by the other among equals.
type memberOrder struct {
	name, expression, cast, tie string
	// columns are those of the result that hold expression and tie.
	columns [2]string
}

var (
	byJoining = memberOrder{"JOINED_AT", "m.joined_at", "timestamptz", "m.id", [2]string{"x.joined_at", "x.id"}}
	// byPlace is the order of the indexes of grants, for lists that begin there.
	byPlace = memberOrder{"PLACE", "g.org_id", "uuid", "g.user_id", [2]string{"x.org_id", "x.user_id"}}
	// byUser is byPlace within one organization, which is no longer sorted by.
	byUser       = memberOrder{byPlace.name, "g.user_id", "uuid", "g.user_id", byPlace.columns}
	memberOrders = map[OrderField]memberOrder{
		"JOINED_AT": byJoining,
		"EMAIL":     {"EMAIL", "coalesce(u.email_key, '')", "text", "m.id", [2]string{"x.sort", "x.id"}},
		"NAME":      {"NAME", "u.name_key", "text", "m.id", [2]string{"x.sort", "x.id"}},
	}
)

func (o memberOrder) cursorOf(row *memberRow) cursor {
	switch o.name {
	case byJoining.name:
		return cursor{timeValue(row.JoinedAt), uuid.UUID(row.ID)}
	case byPlace.name:
		return cursor{uuid.UUID(row.OrgID).String(), uuid.UUID(row.UserID)}
	}
	return cursor{row.Sort, uuid.UUID(row.ID)}
}

// sortValue is what has to be read beside the membership for its cursor.
func (o memberOrder) sortValue() string {
	if o == byJoining || o.name == byPlace.name {
		return "''"
	}
	return o.expression
}

// memberList is a list of memberships for each of several parents, read by one
// statement however many they are.
type memberList struct {
	name string
	// parents says which parents p there are, with their numbers n.
	parents condition
	// number is how many they are.
	number int
	// from writes the tables of one parent's list, in which m is the membership.
	// within is the page that is read, or nil when all is counted.
	from       func(q *statement, within *span)
	conditions []condition
	order      memberOrder
	descending bool
	// in is the id of the only organization of each parent's list that is sorted
	// byUser.
	in *condition
}

// placeOrder is the order of grants in one organization, or in all when in is nil.
func placeOrder(in *condition) memberOrder {
	if in == nil {
		return byPlace
	}
	return byUser
}

// placeSorted is sorted, for the placeOrder of grants.
func placeSorted(in *condition, s span) string {
	o := placeOrder(in)
	return sorted(o.expression, o.tie, false, s)
}

// placeKeyset is keyset, for the placeOrder of grants. In one organization an
// index finds the beginning of the page by the user alone: beside an equal
// organization, the pair is only a filter for all who come before. A cursor may
// still be of another organization, before or behind this one.
func placeKeyset(in *condition, s span) []condition {
	if in == nil {
		return keyset(byPlace.expression, byPlace.tie, byPlace.cast, false, s)
	}
	var conditions []condition
	for _, at := range []struct {
		cursor  *cursor
		compare string
	}{{s.after, ">"}, {s.before, "<"}} {
		if at.cursor != nil {
			conditions = append(conditions, where("g.user_id "+at.compare+" (select case when c.org_id = x.org_id then c.user_id when c.org_id < x.org_id then '"+least+
				"' else '"+greatest+"' end from (select ?::text::uuid, ?::uuid) c (org_id, user_id), (select "+in.text+") x (org_id))",
				append([]any{at.cursor.value, at.cursor.id.String()}, in.args...)...))
		}
	}
	return conditions
}

// least and greatest are no user's ids, but stand before and behind all of them.
const least, greatest = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"

// keyset skips what lies before the page.
func (l memberList) keyset(s span) []condition {
	if l.order == byUser {
		return placeKeyset(l.in, s)
	}
	return keyset(l.order.expression, l.order.tie, l.order.cast, l.descending, s)
}

// parentIDs makes parents of ids: p.id is the id.
func parentIDs[K db.Kind](ids []db.ID[K]) condition {
	return where("unnest(?::uuid[]) with ordinality as p (id, n)", ids)
}

// from is the text of tables that are the same for every page.
func from(text string) func(*statement, *span) {
	return func(q *statement, _ *span) { q.add(text) }
}

// page reads one page of each parent's list, in the order of the parents.
func (l memberList) page(ctx context.Context, d *Directory, page Page) ([]*Connection[db.Membership], error) {
	name := l.name + "." + l.order.name
	s, err := page.check(name, l.order.cast)
	if err != nil {
		return nil, err
	}
	rows, err := l.read(ctx, d, s, page.With)
	if err != nil {
		return nil, err
	}
	return l.connections(d, s, name, rows), nil
}

// read reads the rows of all parents, and what is related to them.
func (l memberList) read(ctx context.Context, d *Directory, s span, with *Related) ([]*memberRow, error) {
	columns, joins := "x.*", ""
	if with != nil && with.UserFields != nil {
		columns += prefixed[db.User](d, "xu", "user__", with.UserFields)
		joins += " join users xu on xu.id = x.user_id"
	}
	if with != nil && with.OrganizationFields != nil {
		columns += prefixed[db.Organization](d, "xo", "organization__", with.OrganizationFields)
		joins += " join organizations xo on xo.id = x.org_id"
	}
	var q statement
	q.add("select "+columns+" from ").add(l.parents.text, l.parents.args...).
		add(" cross join lateral (select m.*, p.n as parent, " + l.order.sortValue() + " as sort from ")
	l.from(&q, &s)
	q.where(slices.Concat(l.conditions, l.keyset(s))).
		add(sorted(l.order.expression, l.order.tie, l.descending, s) + ") x" + joins +
			" order by x.parent, " + ordered(l.order.columns[0], l.order.columns[1], l.descending, s))
	if joins == "" {
		return pointers(rows[memberRow](ctx, d, &q))
	}
	related, err := pointers(rows[relatedRow](ctx, d, &q))
	members := make([]*memberRow, len(related))
	for i, row := range related {
		members[i] = &row.memberRow
		if with.UserFields != nil {
			with.Users = append(with.Users, row.User)
		}
		if with.OrganizationFields != nil {
			asSeen(ctx, row.Organization)
			with.Organizations = append(with.Organizations, row.Organization)
		}
	}
	return members, err
}

// prefixed names the columns of a table to be read into an embedded row.
func prefixed[T any](d *Directory, alias, prefix string, fields Fields) string {
	var b strings.Builder
	for _, column := range db.Columns[T](d.db, fields) {
		b.WriteString(", " + alias + "." + column + " as " + prefix + column)
	}
	return b.String()
}

// connections deals the rows out to their parents.
func (l memberList) connections(d *Directory, s span, name string, rows []*memberRow) []*Connection[db.Membership] {
	rowOf := sync.OnceValue(func() map[*db.Membership]*memberRow { return rowsByNode(rows) })
	position := func(m *db.Membership) string { return l.order.cursorOf(rowOf()[m]).encode(name) }
	nodes := make([][]*db.Membership, l.number)
	for _, row := range rows {
		nodes[row.Parent-1] = append(nodes[row.Parent-1], &row.Membership)
	}
	counts := lazily(func(ctx context.Context) ([]int, error) { return l.counts(ctx, d) })
	all := make([]*Connection[db.Membership], l.number)
	for i := range all {
		all[i] = newConnection(s, nodes[i], position, func(ctx context.Context) (int, error) {
			of, err := counts(ctx)
			if err != nil {
				return 0, err
			}
			return of[i], nil
		})
	}
	return all
}

func rowsByNode(rows []*memberRow) map[*db.Membership]*memberRow {
	of := make(map[*db.Membership]*memberRow, len(rows))
	for _, row := range rows {
		of[&row.Membership] = row
	}
	return of
}

// counts counts the whole list of each parent.
func (l memberList) counts(ctx context.Context, d *Directory) ([]int, error) {
	var q statement
	q.add("select x.n from ").add(l.parents.text, l.parents.args...).
		add(" cross join lateral (select count(*) as n from ")
	l.from(&q, nil)
	q.where(l.conditions).add(") x order by p.n")
	return rows[int](ctx, d, &q)
}
