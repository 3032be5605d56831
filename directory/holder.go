package directory

import (
	"context"

	"roster/access"
	"roster/db"
	"roster/problem"
)

// onlyCan tells whether the filter asks for holders of a permission and nothing
// else.
func (f *MemberFilter) onlyCan() bool {
	return f.Can != nil && f.Search == nil && f.Role == nil && f.Status == nil
}

// membersWhoCan gives those who effectively hold the permission in each
// organization, ordered by user, as an index has them.
func (d *Directory) membersWhoCan(ctx context.Context, orgs []db.OrganizationID, page Page, key string) ([]*Connection[db.Membership], error) {
	conditions, err := visibleMembers(ctx)
	if err != nil {
		return nil, err
	}
	if !storable(key) {
		key = "" // which is no key either
	}
	return memberList{
		name: "members", number: len(orgs), order: byPlace, conditions: conditions,
		from: holders([]condition{where("g.org_id = p.org_id")}),
		parents: where("(select o.n, o.org_id, q.id, "+rolesWith("q.id")+` as roles
			from unnest(?::uuid[]) with ordinality as o (org_id, n) left join permissions q on q.key = ? and q.deleted_at is null) p`, orgs, key),
	}.page(ctx, d, page)
}

// rolesWith is the array of the roles which contain a permission. The statement
// that reads the grants reads it too: taken from memory, it could be of another
// moment, and show holders who never were.
func rolesWith(permission string) string {
	return "array(select rp.role_id from role_permissions rp where rp.permission_id = " + permission + " and rp.revoked_at is null)"
}

// RoleMembers gives a page of the memberships which hold each role, in one
// organization or in all, ordered by organization and user.
func (d *Directory) RoleMembers(ctx context.Context, roles []db.RoleID, in *OrganizationRef, page Page) ([]*Connection[db.Membership], error) {
	conditions, err := d.visibleMembersIn(ctx, in)
	if err != nil {
		return nil, err
	}
	return memberList{
		name: "role.members", parents: parentIDs(roles), number: len(roles), order: byPlace,
		from:       from("membership_roles g join memberships m on m.org_id = g.org_id and m.user_id = g.user_id"),
		conditions: append(conditions, where("g.role_id = p.id"), where(access.Holds)),
	}.page(ctx, d, page)
}

// PermissionHolders gives a page of the memberships which effectively hold each
// permission, in one organization or in all, ordered by organization and user.
func (d *Directory) PermissionHolders(ctx context.Context, permissions []db.PermissionID, in *OrganizationRef, page Page) ([]*Connection[db.Membership], error) {
	conditions, err := d.visibleMembersIn(ctx, in)
	if err != nil {
		return nil, err
	}
	return memberList{
		name: "holders", number: len(permissions), order: byPlace, from: holders(conditions),
		parents: where("(select p.n, p.id, "+rolesWith("p.id")+" as roles from unnest(?::uuid[]) with ordinality p (id, n)) p", permissions),
	}.page(ctx, d, page)
}

// holders writes the members who effectively hold the permission p.id, which is
// in the roles p.roles, and of whom the conditions on g hold. Of each role, and
// of direct grants, an index gives the beginning of the page; a single condition
// over both would walk through everyone.
func holders(conditions []condition) func(*statement, *span) {
	return func(q *statement, within *span) {
		q.add("(select h.* from unnest(p.roles) as r (id) cross join lateral (")
		holdersBy(q, "membership_roles", "g.role_id = r.id", conditions, within)
		q.add(") h union select h.* from (")
		holdersBy(q, "membership_permissions", "g.permission_id = p.id", conditions, within)
		if within == nil {
			// Whoever has live grants is a member. To count, the planner, who takes a few
			// holders for a million, would read all memberships to make sure.
			q.add(") h) m")
			return
		}
		q.add(") h) g join memberships m on m.org_id = g.org_id and m.user_id = g.user_id")
	}
}

// holdersBy writes those who hold it by grants of one kind. The states are asked
// for row by row, lest the planner reads all users first; and by <>, of which it
// expects that nearly all rows pass, so that it walks the index until the page
// is full instead of sorting everyone.
func holdersBy(q *statement, table, given string, conditions []condition, within *span) {
	all := append([]condition{where(given), where(access.Holds),
		where("(select u.status from users u where u.id = g.user_id) <> 'SUSPENDED'"),
		where("(select o.status from organizations o where o.id = g.org_id) <> 'SUSPENDED'")}, conditions...)
	end := ""
	if within != nil {
		all = append(all, keyset(byPlace.expression, byPlace.tie, byPlace.cast, false, *within)...)
		end = sorted(byPlace.expression, byPlace.tie, false, *within)
	}
	q.add("select g.org_id, g.user_id from " + table + " g").where(all).add(end)
}

// visibleMembersIn is visibleMembers, for lists that begin with grants g, within
// an organization if one is named.
func (d *Directory) visibleMembersIn(ctx context.Context, in *OrganizationRef) ([]condition, error) {
	reach, err := access.Reach(ctx, access.MembersRead)
	if err != nil {
		return nil, err
	}
	var conditions []condition
	if reach != nil {
		conditions = append(conditions, where("g.org_id = ?", *reach))
	}
	if in == nil {
		return conditions, nil
	}
	org, err := d.Organization(ctx, *in, Fields{"id"})
	if err != nil {
		return nil, err
	}
	if org == nil {
		return nil, problem.At(problem.NotFound, "organization", "There is no such organization.")
	}
	return append(conditions, where("g.org_id = ?", org.ID)), nil
}
