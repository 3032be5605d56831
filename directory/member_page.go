package directory

import (
	"context"

	"github.com/google/uuid"

	"roster/db"
	"roster/db/list"
)

// MemberPage asks for one part of a list of memberships.
type MemberPage struct {
	list.Page
	// With asks for more to be read along with them; it may be nil.
	With *Related
}

// Related asks for the users and organizations of a list of memberships, to be
// read by the same statement, and takes them in.
type Related struct {
	// UserFields and OrganizationFields are the fields to read; nil reads none.
	UserFields, OrganizationFields list.Fields
	Users                          []*db.User
	Organizations                  []*db.Organization
}

// memberRow is a membership in the lists of several parents, and what is read along
// with it: Parent is the number of its parent, Sort the value that the list is
// sorted by, if the membership does not have it.
type memberRow struct {
	db.Membership `bun:",extend"`
	Parent        int
	Sort          string
	User          *db.User         `bun:"embed:user__"`
	Organization  *db.Organization `bun:"embed:organization__"`
}

var (
	byJoining = list.Order{Name: "JOINED_AT", Expression: "m.joined_at", Tie: "m.id", Type: list.Time}
	byEmail   = list.Order{Name: "EMAIL", Expression: "coalesce(u.email_key, '')", Tie: "m.id", Type: list.Text}
	byName    = list.Order{Name: "NAME", Expression: "u.name_key", Tie: "m.id", Type: list.Text}
	// byPlace is the order of the indexes of grants, for lists that begin there.
	byPlace = list.Order{Name: "PLACE", Expression: "g.org_id", Tie: "g.user_id", Type: list.UUID}
	// byUser is byPlace within one organization, by which nothing has to be sorted.
	byUser = list.Order{Name: byPlace.Name, Expression: "g.user_id", Tie: "g.user_id", Type: list.UUID}

	memberOrders = map[list.OrderField]list.Order{"JOINED_AT": byJoining, "EMAIL": byEmail, "NAME": byName}
)

// cursorOf returns a function for the cursors of rows in that order.
func cursorOf(o list.Order) func(*memberRow) list.Cursor {
	return func(row *memberRow) list.Cursor {
		switch o.Name {
		case byJoining.Name:
			return list.Cursor{Value: list.TimeValue(&row.JoinedAt), ID: uuid.UUID(row.ID)}
		case byPlace.Name:
			return list.Cursor{Value: uuid.UUID(row.OrgID).String(), ID: uuid.UUID(row.UserID)}
		}
		return list.Cursor{Value: row.Sort, ID: uuid.UUID(row.ID)}
	}
}

// sortedRows returns the same order by the columns of the rows x that were read, and
// what memberRow.Sort has.
func sortedRows(o list.Order) (by list.Order, sort string) {
	by = o
	switch o.Name {
	case byJoining.Name:
		by.Expression, by.Tie, sort = "x.joined_at", "x.id", "''"
	case byPlace.Name:
		by.Expression, by.Tie, sort = "x.org_id", "x.user_id", "''"
	default:
		by.Expression, by.Tie, sort = "x.sort", "x.id", o.Expression
	}
	return by, sort
}

// memberList is a list of memberships for each of several parents, read by one
// statement.
type memberList struct {
	name string
	// parents are the tables of the parents p, number of them, numbered by p.n.
	parents list.Clause
	number  int
	// from adds the tables of one parent's list, in which m is the membership; see
	// list.ByParent.
	from       func(q *list.Statement, within *list.Span)
	conditions []list.Clause
	order      list.Order
	// in is the id of the only organization of each parent's list that is sorted
	// byUser.
	in *list.Clause
	// counted is the same list in the form that is counted sooner; nil if that is
	// this one.
	counted *memberList
}

// placeOrder returns the order of grants in one organization, or in all if in is
// nil.
func placeOrder(in *list.Clause) list.Order {
	if in == nil {
		return byPlace
	}
	return byUser
}

// placeKeyset returns the keyset of placeOrder. In one organization an index finds
// the beginning of the page by the user alone: beside an equal organization, the
// pair is only a filter for everybody who comes before. A cursor may still be of
// another organization, before or behind this one.
func placeKeyset(in *list.Clause, s list.Span) []list.Clause {
	if in == nil {
		return byPlace.Keyset(s)
	}
	return s.Conditions(false, func(c *list.Cursor, compare string) list.Clause {
		return list.Where("g.user_id "+compare+" (select case when c.org_id = x.org_id then c.user_id when c.org_id < x.org_id then '"+least+
			"' else '"+greatest+"' end from (select ?::text::uuid, ?::uuid) c (org_id, user_id), (select "+in.Text+") x (org_id))",
			append([]any{c.Value, c.ID.String()}, in.Args...)...)
	})
}

// least and greatest stand before and behind the ids of all users.
const least, greatest = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"

// parentIDs returns the parents p whose ids p.id are the ids.
func parentIDs[K db.Kind](ids []db.ID[K]) list.Clause {
	return list.Where("unnest(?::uuid[]) with ordinality as p (id, n)", ids)
}

// from returns tables that are the same for every page.
func from(text string) func(*list.Statement, *list.Span) {
	return func(q *list.Statement, _ *list.Span) { q.Add(text) }
}

// page reads one page of each parent's list, in the order of the parents.
func (l memberList) page(ctx context.Context, d *Directory, page MemberPage) ([]*list.Connection[db.Membership], error) {
	lists := l.byParent(d, page.With)
	if l.counted != nil {
		lists.Counted = new(l.counted.byParent(d, nil))
	}
	pages, rows, err := lists.Page(ctx, d.db, page.Page)
	page.With.take(ctx, rows)
	return pages, err
}

// byParent returns the list with what is read along with it.
func (l memberList) byParent(d *Directory, with *Related) list.ByParent[memberRow, db.Membership] {
	by, sort := sortedRows(l.order)
	columns, joins := with.tables(d)
	lists := list.ByParent[memberRow, db.Membership]{
		Name: l.name, Parents: l.parents, Number: l.number, From: l.from, Conditions: l.conditions, Order: l.order, Sorted: by,
		Row: "m.*, p.n as parent, " + sort + " as sort", Columns: "x.*" + columns, Joins: joins,
		Node:   func(row *memberRow) *db.Membership { return &row.Membership },
		Parent: func(row *memberRow) int { return row.Parent },
		Cursor: cursorOf(l.order),
	}
	if l.in != nil {
		lists.Keyset = func(s list.Span) []list.Clause { return placeKeyset(l.in, s) }
	}
	return lists
}

// tables returns the columns that are related to a membership x, and the joins that
// lead to them.
func (r *Related) tables(d *Directory) (columns, joins string) {
	if r != nil && r.UserFields != nil {
		columns += list.ColumnsAs[db.User](d.db, "xu", "user__", r.UserFields)
		joins += " join users xu on xu.id = x.user_id"
	}
	if r != nil && r.OrganizationFields != nil {
		columns += list.ColumnsAs[db.Organization](d.db, "xo", "organization__", r.OrganizationFields)
		joins += " join organizations xo on xo.id = x.org_id"
	}
	return columns, joins
}

// take keeps what was read along with the memberships, as the actor may see it.
func (r *Related) take(ctx context.Context, rows []memberRow) {
	for i := range rows {
		if user := rows[i].User; user != nil {
			r.Users = append(r.Users, user)
		}
		if org := rows[i].Organization; org != nil {
			asSeen(ctx, org)
			r.Organizations = append(r.Organizations, org)
		}
	}
}
