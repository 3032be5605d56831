package directory

import (
	"context"
	"strconv"

	"roster/access"
	"roster/db"
	"roster/db/list"
	"roster/problem"
)

// onlyCan reports whether the filter asks for holders of a permission and nothing
// else.
func (f MemberFilter) onlyCan() bool {
	can := f.Can
	f.Can = nil
	return can != nil && f == MemberFilter{}
}

// membersWhoCan returns the members of each organization who effectively hold the
// permission, ordered by user, as an index has them.
func (d *Directory) membersWhoCan(ctx context.Context, orgs []db.OrganizationID, page MemberPage, key string) ([]*list.Connection[db.Membership], error) {
	l, err := d.whoCan(ctx, orgs, key)
	if err != nil {
		return nil, err
	}
	return l.page(ctx, d, page)
}

// whoCan is the list of membersWhoCan.
func (d *Directory) whoCan(ctx context.Context, orgs []db.OrganizationID, key string) (*memberList, error) {
	conditions, err := visibleMembers(ctx)
	if err != nil {
		return nil, err
	}
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	roles := 0
	if permission := catalogue.PermissionByKey(key); permission != nil {
		roles = len(catalogue.RolesWith(permission.ID))
	}
	if !isKey(key) {
		key = "" // which is no key either
	}
	in := list.Where("p.org_id")
	return &memberList{
		name: "members", number: len(orgs), order: byUser, in: &in, conditions: conditions,
		from: holders(roles, &in, []list.Clause{list.Where("g.org_id = p.org_id")}),
		parents: list.Where("(select o.n, o.org_id, q.id, "+rolesWith("q.id")+` as roles
			from unnest(?::uuid[]) with ordinality as o (org_id, n) left join permission_keys q on q.key = ? and q.deleted_at is null offset 0) p`, orgs, key),
	}, nil
}

// rolesWith returns SQL for the array of the roles that contain a permission. The
// statement that reads the grants reads it too: if it came from memory, it could be of
// another moment, and show holders who never were. "offset 0" beside it makes the
// database look the roles up once, and not for each part that uses them.
func rolesWith(permission string) string {
	return "array(select rp.role_id from role_permissions rp where rp.permission_id = " + permission + " and rp.revoked_at is null)"
}

// RoleMembers returns a page of the memberships that hold each role, in one
// organization or in all, ordered by organization and user.
func (d *Directory) RoleMembers(ctx context.Context, roles []db.RoleID, in *OrganizationRef, page MemberPage) ([]*list.Connection[db.Membership], error) {
	org, conditions, err := d.visibleMembersIn(ctx, in)
	if err != nil {
		return nil, err
	}
	conditions = append(conditions, list.Where("g.role_id = p.id"), list.Where(access.ActiveSQL))
	return memberList{
		name: "role.members", parents: parentIDs(roles), number: len(roles), order: placeOrder(org), in: org,
		from: func(q *list.Statement, within *list.Span) {
			q.Add(distinctPlaces(org) + " from membership_roles g")
			if within == nil {
				q.Where(conditions...).Add(") m") // whoever has live grants is a member
				return
			}
			q.Where(append(conditions, placeKeyset(org, *within)...)...).Add(placeOrder(org).Limited(*within)).Add(ofGrants)
		},
	}.page(ctx, d, page)
}

// PermissionHolders returns a page of the memberships that effectively hold each
// permission, in one organization or in all, ordered by organization and user.
func (d *Directory) PermissionHolders(ctx context.Context, permissions []db.PermissionID, in *OrganizationRef, page MemberPage) ([]*list.Connection[db.Membership], error) {
	org, conditions, err := d.visibleMembersIn(ctx, in)
	if err != nil {
		return nil, err
	}
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	roles := 0
	for _, id := range permissions {
		roles = max(roles, len(catalogue.RolesWith(id)))
	}
	return memberList{
		name: "holders", number: len(permissions), order: placeOrder(org), in: org, from: holders(roles, org, conditions),
		parents: list.Where("(select p.n, p.id, "+rolesWith("p.id")+" as roles from unnest(?::uuid[]) with ordinality p (id, n) offset 0) p", permissions),
	}.page(ctx, d, page)
}

// mostMerged is the most roles of one permission that are read side by side. Each
// takes part in planning the statement, which a connection does once.
var mostMerged = 32

// roundToMerge returns for how many roles a statement is made if permissions are in
// that many, as far as memory knows: a power of two, so that there are few different
// statements. Roles that the statement finds beyond that number are read as well.
func roundToMerge(roles int) int {
	n := 1
	for n < min(roles, mostMerged) {
		n *= 2
	}
	return n
}

// holders writes the members who effectively hold the permission p.id, which is
// in the roles p.roles, and for whom the conditions on g hold; in is the only
// organization, if there is just one.
//
// The grants of each role, and the direct ones, lie in an index in the order of
// the page. The database merges them as far as the page goes, and looks at the
// states of the few that it comes by. Reading a page of each role would look up the
// users of as many pages as there are roles, and a single condition over all of
// them would walk through everyone.
func holders(roles int, in *list.Clause, conditions []list.Clause) func(*list.Statement, *list.Span) {
	return func(q *list.Statement, within *list.Span) {
		all := append([]list.Clause{list.Where(access.ActiveSQL)}, conditions...)
		if within == nil {
			countHolders(q, q.Shared(all...))
			return
		}
		of := q.Shared(append(append(all, mayAct), placeKeyset(in, *within)...)...)
		// The branches are sorted here, since the planner does not sort them.
		end := placeOrder(in).Limited(*within)
		byRole := func(role string) string {
			return distinctPlaces(in) + " from membership_roles g" + of + " and g.role_id = " + role + end + ")"
		}
		n := roundToMerge(roles)
		q.Add(distinctPlaces(in) + " from (")
		for i := range n {
			q.Add(byRole("p.roles["+strconv.Itoa(i+1)+"]") + " union all ")
		}
		q.Add("select h.* from unnest(p.roles[" + strconv.Itoa(n+1) + ":]) as r (id) cross join lateral " + byRole("r.id") + " h" +
			" union all " + distinctPlaces(in) + " from membership_permissions g" + of + " and g.permission_id = p.id" + end + ")) g" + end + ofGrants)
	}
}

// distinctPlaces begins a page of grants in the placeOrder, which has a member once
// even if several grants of one target stand side by side: the grants come in the
// order of an index, so that equal ones are next to each other.
func distinctPlaces(in *list.Clause) string {
	on := "g.org_id, g.user_id"
	if in != nil {
		on = "g.user_id"
	}
	return "(select distinct on (" + on + ") g.org_id, g.user_id"
}

// countHolders writes all holders, to be counted. It leaves out the few who are
// suspended at the end, by one look at a small index for all. A user with live
// grants is a member: making sure of it would read all memberships. "offset 0"
// keeps the planner, who does not know how few may have a role, from reading the
// grants of all roles.
func countHolders(q *list.Statement, of string) {
	q.Add("(select g.org_id, g.user_id from (select h.* from unnest(p.roles) as r (id) cross join lateral (" +
		"select g.org_id, g.user_id from membership_roles g" + of + " and g.role_id = r.id offset 0) h" +
		" union select g.org_id, g.user_id from membership_permissions g" + of + " and g.permission_id = p.id) g" +
		" where not exists (select from users u where u.id = g.user_id and u.status = 'SUSPENDED')" +
		" and not exists (select from memberships s where s.org_id = g.org_id and s.user_id = g.user_id and s.status = 'SUSPENDED')" +
		" and not exists (select from organizations o where o.id = g.org_id and o.status = 'SUSPENDED')) m")
}

// ofGrants ends the page of grants g that was read from an index, and finds their
// memberships. If they were joined before, the planner might merge all of both.
const ofGrants = ") g join memberships m on m.org_id = g.org_id and m.user_id = g.user_id"

// mayAct says that neither the user nor the member nor the organization of a grant g is
// suspended. It asks for the states row by row, so that the planner does not read all
// users first; and by <>, because the planner expects that nearly all rows pass, and
// walks the index until the page is full instead of sorting all of it.
var mayAct = list.Where("(select u.status from users u where u.id = g.user_id) <> 'SUSPENDED' and (select o.status from organizations o where o.id = g.org_id) <> 'SUSPENDED'" +
	// The small index has the suspended members alone. If it is empty, nobody is looked up in it.
	" and (not exists (select from memberships s where s.status = 'SUSPENDED') or coalesce((select s.status from memberships s where s.org_id = g.org_id and s.user_id = g.user_id and s.status = 'SUSPENDED'), '') <> 'SUSPENDED')")

// visibleMembersIn is visibleMembers, for lists that begin with grants g, within
// an organization if one is named. Its first result is the id of the only
// organization, if there is just one.
func (d *Directory) visibleMembersIn(ctx context.Context, in *OrganizationRef) (*list.Clause, []list.Clause, error) {
	reach, err := access.ScopeOf(ctx, access.MembersRead)
	if err != nil {
		return nil, nil, err
	}
	only, conditions := within(reach)
	if in == nil {
		return only, conditions, nil
	}
	org, err := d.Organization(ctx, *in, list.Fields{"id"})
	if err != nil {
		return nil, nil, err
	}
	if org == nil {
		return nil, nil, problem.At(problem.NotFound, "organization", "There is no such organization.")
	}
	only, named := within(&org.ID)
	return only, append(conditions, named...), nil
}

// within returns an organization as placeKeyset knows it, and the condition that
// grants g are in it; nil is for all organizations.
func within(org *db.OrganizationID) (*list.Clause, []list.Clause) {
	if org == nil {
		return nil, nil
	}
	return new(list.Where("?::uuid", *org)), []list.Clause{list.Where("g.org_id = ?", *org)}
}
