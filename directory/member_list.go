package directory

import (
	"context"
	"strings"

	"roster/access"
	"roster/db"
	"roster/db/list"
	"roster/problem"
)

// MemberFilter narrows a list of members; fields that are nil do not matter.
type MemberFilter struct {
	Search *string
	Role   *RoleRef
	// Can keeps the members who effectively hold this permission.
	Can *string
	// Status is the status of the user, MemberStatus the one that the member has in the
	// organization.
	Status, MemberStatus *db.Status
}

// withoutBlank is the filter without a search for nothing.
func (f *MemberFilter) withoutBlank() *MemberFilter {
	if f == nil || f.Search == nil || strings.TrimSpace(*f.Search) != "" {
		return f
	}
	narrowed := *f
	narrowed.Search = nil
	return &narrowed
}

// MemberOrder sorts a list of members.
type MemberOrder struct {
	Field     list.OrderField
	Direction list.Direction
}

// visibleMembers returns conditions on the memberships that the actor may see.
func visibleMembers(ctx context.Context) ([]list.Clause, error) {
	org, err := access.ScopeOf(ctx, access.MembersRead)
	if err != nil || org == nil {
		return nil, err
	}
	return []list.Clause{list.Where("m.org_id = ?", *org)}, nil
}

// visibleMembersOf is visibleMembers for memberships of these users: all users may
// see themselves, as far as their credential works.
func visibleMembersOf(ctx context.Context, users []db.UserID) ([]list.Clause, error) {
	conditions, err := visibleMembers(ctx)
	actor := access.ActorOf(ctx)
	if !problem.Is(err, problem.Forbidden) || !actor.Is(users...) {
		return conditions, err
	}
	conditions = []list.Clause{list.Where("m.user_id = ?", *actor.User)}
	if bound := actor.Bound(); bound != nil {
		conditions = append(conditions, list.Where("m.org_id = ?", *bound))
	}
	return conditions, nil
}

// UserMemberships returns a page of each user's memberships, in the order of
// joining; can keeps the ones in which the user effectively holds that permission.
func (d *Directory) UserMemberships(ctx context.Context, users []db.UserID, page MemberPage, can *string) ([]*list.Connection[db.Membership], error) {
	conditions, err := visibleMembersOf(ctx, users)
	if err != nil {
		return nil, err
	}
	l := memberList{
		name: "memberships", parents: parentIDs(users), number: len(users), order: byJoining,
		from: from("memberships m"), conditions: append(conditions, list.Where("m.user_id = p.id"), list.Where("m.org_id <> ?", db.Root)),
	}
	if can != nil {
		if err := d.keepWhoCan(ctx, &l, *can); err != nil {
			return nil, err
		}
	}
	return l.page(ctx, d, page)
}

// Members returns a page of each organization's members. Without an order they are
// sorted by the time of joining or, if the filter asks only what they can do, by
// user.
func (d *Directory) Members(ctx context.Context, orgs []db.OrganizationID, page MemberPage, filter *MemberFilter, by *MemberOrder) ([]*list.Connection[db.Membership], error) {
	conditions, err := visibleMembers(ctx)
	if err != nil {
		return nil, err
	}
	filter = filter.withoutBlank()
	if filter != nil && by == nil && filter.onlyCan() {
		return d.membersWhoCan(ctx, orgs, page, *filter.Can)
	}
	l := memberList{
		name: "members", parents: parentIDs(orgs), number: len(orgs), order: byJoining,
		conditions: append(conditions, list.Where("m.org_id = p.id")),
	}
	if by != nil {
		l.order = memberOrders[by.Field]
		l.order.Descending = by.Direction == list.Descending
	}
	if filter != nil {
		if err := d.narrow(ctx, &l, orgs, filter); err != nil {
			return nil, err
		}
	}
	filtersUsers := filter != nil && (filter.Search != nil || filter.Status != nil)
	l.from = func(q *list.Statement, within *list.Span) {
		q.Add("memberships m")
		// A count needs no users to be sorted by.
		if filtersUsers || within != nil && l.order.Name != byJoining.Name {
			q.Add(" join users u on u.id = m.user_id")
		}
	}
	if filter != nil && filter.onlyCan() {
		if l.counted, err = d.whoCan(ctx, orgs, *filter.Can); err != nil {
			return nil, err
		}
	}
	return l.page(ctx, d, page)
}

// narrow keeps the members of the organizations, the parents of the list, whom the filter
// keeps.
func (d *Directory) narrow(ctx context.Context, l *memberList, orgs []db.OrganizationID, filter *MemberFilter) error {
	if filter.Search != nil {
		search, err := list.Search("u.search", "filter.search", *filter.Search)
		if err != nil {
			return err
		}
		// With the organizations, PostgreSQL knows how many members there are to look through:
		// it reads them if they are few, and begins with the words if those are rare.
		l.conditions = append(append(l.conditions, search...), list.Filter("m.org_id = any(?::uuid[])", orgs))
	}
	if filter.Status != nil {
		l.conditions = append(l.conditions, list.Filter("u.status = ?", *filter.Status))
	}
	if filter.MemberStatus != nil {
		l.conditions = append(l.conditions, list.Filter("m.status = ?", *filter.MemberStatus))
	}
	if filter.Role != nil {
		role, err := d.Role(ctx, *filter.Role)
		if err != nil {
			return err
		}
		if role == nil {
			return problem.At(problem.NotFound, "filter.role", "There is no such role.")
		}
		l.conditions = append(l.conditions, list.Filter(`exists (select from membership_roles g
			where g.org_id = m.org_id and g.user_id = m.user_id and g.role_id = ? and `+access.ActiveSQL+`)`, role.ID))
	}
	if filter.Can != nil {
		return d.keepWhoCan(ctx, l, *filter.Can)
	}
	return nil
}

// keepWhoCan keeps the memberships that effectively hold the permission; none if
// there is no such permission. The roles that contain it are known from memory, so
// that the statement can be planned for them. The statement checks that they still
// do, since it would otherwise name members who never held it.
func (d *Directory) keepWhoCan(ctx context.Context, l *memberList, key string) error {
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return err
	}
	permission := catalogue.PermissionByKey(key)
	if permission == nil {
		l.conditions = append(l.conditions, list.Where("false"))
		return nil
	}
	l.conditions = append(l.conditions, list.Filter(`exists (
		select from membership_roles g where g.org_id = m.org_id and g.user_id = m.user_id and g.role_id = any(?::uuid[]) and `+access.ActiveSQL+`
			and exists (select from role_permissions rp where rp.role_id = g.role_id and rp.permission_id = ? and rp.revoked_at is null)
		union all
		select from membership_permissions g where g.org_id = m.org_id and g.user_id = m.user_id and g.permission_id = ? and `+access.ActiveSQL+`)`,
		roleIDs(catalogue.RolesWith(permission.ID)), permission.ID, permission.ID),
		list.Where("exists (select from permission_keys q where q.id = ? and q.key = ? and q.deleted_at is null)", permission.ID, key),
		list.Where("m.status = 'ACTIVE'"),
		list.Where("exists (select from users a where a.id = m.user_id and a.status = 'ACTIVE')"),
		list.Where("exists (select from organizations a where a.id = m.org_id and a.status = 'ACTIVE')"))
	return nil
}

// MembersAt returns the memberships with these keys that the actor may see. Their
// order is undefined.
func (d *Directory) MembersAt(ctx context.Context, members []access.MemberKey) ([]db.Membership, error) {
	users, orgs := access.SplitKeys(members)
	conditions, err := visibleMembersOf(ctx, users)
	if err != nil {
		return nil, err
	}
	q := list.NewStatement("members at").Add(`select m.* from unnest(?::uuid[], ?::uuid[]) p (user_id, org_id)
		join memberships m on m.org_id = p.org_id and m.user_id = p.user_id`, users, orgs).Where(conditions...)
	return list.Select[db.Membership](ctx, d.db, q)
}

// MembershipsByID returns the memberships that the actor may see. Their order is
// undefined.
func (d *Directory) MembershipsByID(ctx context.Context, ids []db.MembershipID) ([]db.Membership, error) {
	conditions, err := visibleMembersOf(ctx, nil)
	if err != nil {
		return nil, err
	}
	q := list.NewStatement("memberships by id").Add("select m.* from memberships m").
		Where(append(conditions, list.Where("m.id = any(?::uuid[])", ids))...)
	return list.Select[db.Membership](ctx, d.db, q)
}

// MemberKeyOf returns the key of the membership.
func MemberKeyOf(m *db.Membership) access.MemberKey {
	return access.MemberKey{User: m.UserID, Organization: m.OrgID}
}
