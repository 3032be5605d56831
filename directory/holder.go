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

// membersWhoCan gives those who effectively hold the permission in each
// organization, ordered by user, as an index has them.
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
	if !storable(key) {
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

// rolesWith is the array of the roles which contain a permission. The statement
// that reads the grants reads it too: taken from memory, it could be of another
// moment, and show holders who never were. It says "offset 0" next to this, for the
// roles to be looked up once, and not by each part that uses them.
func rolesWith(permission string) string {
	return "array(select rp.role_id from role_permissions rp where rp.permission_id = " + permission + " and rp.revoked_at is null)"
}

// RoleMembers gives a page of the memberships which hold each role, in one
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

// PermissionHolders gives a page of the memberships which effectively hold each
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

// mostMerged is up to how many roles of one permission are read side by side.
// Each takes part in planning the statement, which a connection does once.
var mostMerged = 32

// merged says for how many roles a statement is made that reads permissions which
// are in so many, as far as memory knows: a power of two, for there to be few
// statements. Those which the statement finds beyond are read nonetheless.
func merged(roles int) int {
	n := 1
	for n < min(roles, mostMerged) {
		n *= 2
	}
	return n
}

// holders writes the members who effectively hold the permission p.id, which is
// in the roles p.roles, and of whom the conditions on g hold; in is the only
// organization, if there is but one.
//
// The grants of each role, and the direct ones, lie in an index in the order of
// the page. The database merges them as far as the page goes, and looks at the
// states of those few that it comes by: reading a page of each role looks up the
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
		// The branches are sorted by themselves, since the planner does not ask it of them.
		end := placeOrder(in).Limited(*within)
		byRole := func(role string) string {
			return distinctPlaces(in) + " from membership_roles g" + of + " and g.role_id = " + role + end + ")"
		}
		n := merged(roles)
		q.Add(distinctPlaces(in) + " from (")
		for i := range n {
			q.Add(byRole("p.roles["+strconv.Itoa(i+1)+"]") + " union all ")
		}
		q.Add("select h.* from unnest(p.roles[" + strconv.Itoa(n+1) + ":]) as r (id) cross join lateral " + byRole("r.id") + " h" +
			" union all " + distinctPlaces(in) + " from membership_permissions g" + of + " and g.permission_id = p.id" + end + ")) g" + end + ofGrants)
	}
}

// distinctPlaces begins a page of grants in the placeOrder, which names a member
// once however many grants of one thing they hold side by side: as the grants come
// in the order of an index, equal ones are next to each other.
func distinctPlaces(in *list.Clause) string {
	on := "g.org_id, g.user_id"
	if in != nil {
		on = "g.user_id"
	}
	return "(select distinct on (" + on + ") g.org_id, g.user_id"
}

// countHolders writes them all, to be counted. The few who are suspended are left
// out in the end, by one look at a small index for everybody. Whoever has live
// grants is a member: making sure of it would read all memberships. "offset 0"
// keeps the planner, who does not know how few may have a role, from reading the
// grants of all roles.
func countHolders(q *list.Statement, of string) {
	q.Add("(select from (select h.* from unnest(p.roles) as r (id) cross join lateral (" +
		"select g.org_id, g.user_id from membership_roles g" + of + " and g.role_id = r.id offset 0) h" +
		" union select g.org_id, g.user_id from membership_permissions g" + of + " and g.permission_id = p.id) g" +
		" where not exists (select from users u where u.id = g.user_id and u.status = 'SUSPENDED')" +
		" and not exists (select from organizations o where o.id = g.org_id and o.status = 'SUSPENDED')) m")
}

// ofGrants ends the page of grants g which was read from an index, and finds
// their memberships. Joined before, the planner may merge all of both.
const ofGrants = ") g join memberships m on m.org_id = g.org_id and m.user_id = g.user_id"

// mayAct says that neither the user nor the organization of a grant g is
// suspended. The states are asked for row by row, lest the planner reads all users
// first; and by <>, of which it expects that nearly all rows pass, so that it
// walks the index until the page is full instead of sorting everyone.
var mayAct = list.Where("(select u.status from users u where u.id = g.user_id) <> 'SUSPENDED' and (select o.status from organizations o where o.id = g.org_id) <> 'SUSPENDED'")

// visibleMembersIn is visibleMembers, for lists that begin with grants g, within
// an organization if one is named. The condition beside them is the id of the only
// organization, if there is but one.
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

// within is an organization as placeKeyset knows it, and the condition that
// grants g are in it; nil is all of them.
func within(org *db.OrganizationID) (*list.Clause, []list.Clause) {
	if org == nil {
		return nil, nil
	}
	return new(list.Where("?::uuid", *org)), []list.Clause{list.Where("g.org_id = ?", *org)}
}
