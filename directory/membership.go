package directory

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/problem"
)

// AddMembersInput adds users to an organization.
type AddMembersInput struct {
	Organization OrganizationRef
	Users        []*UserRef
	// Roles are granted to all users; if they are nil, new members get the default ones.
	Roles []*RoleRef
}

// AddMembers adds the users, whom the actor must be allowed to see, to the
// organization, and returns their memberships in the order of the users. Users who
// are members already stay so, and get the roles that are named.
func (d *Directory) AddMembers(ctx context.Context, in AddMembersInput) ([]*db.Membership, error) {
	var members []*db.Membership
	err := d.changeIn(ctx, access.MembersWrite, in.Organization, func(ctx context.Context, w *write, org *db.Organization) error {
		users, err := d.lockUsersToAdd(ctx, w, org, in.Users)
		if err != nil {
			return err
		}
		roles, err := d.rolesToGrant(ctx, w, in.Roles)
		if err != nil {
			return err
		}
		items, err := d.grantItems(ctx, w, roles, nil, nil)
		if err != nil {
			return err
		}
		allowance, err := d.allowGrants(ctx, w, access.MembersWrite, org, items)
		if err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		members, err = d.join(ctx, w, org, newcomers(users...), roles, allowance)
		return err
	})
	return members, err
}

// lockUsersToAdd returns the users who are to become members, each once. An actor
// who manages or sees only one organization finds nobody but its members.
func (d *Directory) lockUsersToAdd(ctx context.Context, w *write, org *db.Organization, refs []*UserRef) ([]db.UserID, error) {
	var ids []db.UserID
	if !w.actor.HoldsEverywhere(access.MembersWrite) && !w.actor.HoldsEverywhere(access.UsersRead) {
		members, err := d.membersNamed(ctx, w, org, refs)
		for _, m := range distinctNonNil(members) {
			ids = append(ids, m.UserID)
		}
		return ids, err
	}
	if !w.faults.size("input.users", len(refs), 1) {
		return nil, nil
	}
	users, err := d.lockUsers(ctx, w, refs, "input.users")
	for _, u := range distinctNonNil(users) {
		ids = append(ids, u.ID)
	}
	return ids, err
}

// newcomer is a user who is to join an organization. A user who comes from another one
// where they are suspended stays suspended.
type newcomer struct {
	user   db.UserID
	status db.Status
}

// newcomers returns users who join by being added.
func newcomers(users ...db.UserID) []newcomer {
	all := make([]newcomer, len(users))
	for i, user := range users {
		all[i] = newcomer{user, db.Active}
	}
	return all
}

// join makes the users members of the organization, and returns their memberships
// in the same order. Everybody gets the roles, which the allowance covers. If roles is
// nil, new members get the default ones, and those who are members already get
// nothing.
func (d *Directory) join(ctx context.Context, w *write, org *db.Organization, who []newcomer, roles []db.RoleID, by access.Allowance) ([]*db.Membership, error) {
	ids, users, statuses := make([]db.MembershipID, len(who)), make([]db.UserID, len(who)), make([]string, len(who))
	for i, n := range who {
		ids[i], users[i], statuses[i] = db.NewID[db.MembershipKind](), n.user, string(n.status)
	}
	added, err := db.Select[db.Membership](ctx, d.db, `insert into memberships (id, org_id, user_id, joined_at, status)
		select id, $1, user_id, $2, status from unnest($3::uuid[], $4::uuid[], $5::text[]) newcomers (id, user_id, status)
		on conflict (org_id, user_id) do nothing returning *`, org.ID, w.At, ids, users, statuses)
	if err != nil {
		return nil, err
	}
	isNew := make(map[db.UserID]bool, len(added))
	for _, m := range added {
		isNew[m.UserID] = true
		if err := w.recordJoined(m); err != nil {
			return nil, err
		}
	}
	members, err := d.membersOf(ctx, org.ID, users)
	if err != nil {
		return nil, err
	}
	receivers := members
	if roles == nil && org.ID != db.Root {
		if roles, err = d.defaultRoleIDs(ctx, org.ID); err != nil {
			return nil, err
		}
		by = access.AllowDefaults(org.ID, roles)
		receivers = slices.DeleteFunc(slices.Clone(members), func(m *db.Membership) bool { return !isNew[m.UserID] })
	}
	return members, w.grant(ctx, d, by, roleGrants, receivers, raw(roles), term{startsAt: w.At})
}

// recordJoined records a new membership: history has a suspension only as something that
// was done to a member.
func (w *write) recordJoined(m db.Membership) error {
	joined := m
	joined.Status = db.Active
	err := w.Record(changes.MembershipCreated, m.ID.String(), &m.OrgID, nil, memberValues(joined))
	if err != nil || m.Status == db.Active {
		return err
	}
	return w.Record(changes.MembershipSuspended, m.ID.String(), &m.OrgID, memberValues(joined), memberValues(m))
}

// memberValues returns the values of a membership for the log.
func memberValues(m db.Membership) changes.Values {
	return changes.Values{"organizationId": m.OrgID, "userId": m.UserID, "status": m.Status}
}

// reasonValues returns the values for the log of something that has ended: why, or nil if
// nobody has said.
func reasonValues(reason *string) any {
	if reason == nil {
		return nil
	}
	return changes.Values{"reason": reason}
}

// membersOf reads the memberships of the users in the organization, in the order of
// the users, and locks them until the end of the transaction. Every write of grants
// calls it, so that two that grant the same at the same moment take turns.
func (d *Directory) membersOf(ctx context.Context, org db.OrganizationID, users []db.UserID) ([]*db.Membership, error) {
	rows, err := db.Select[db.Membership](ctx, d.db,
		"select * from memberships where org_id = $1 and user_id = any($2) order by user_id for no key update", org, users)
	if err != nil {
		return nil, err
	}
	return matchMembers(users, rows), nil
}

// matchMembers returns the membership of each user; nil for a user who has none among
// the rows.
func matchMembers(users []db.UserID, rows []db.Membership) []*db.Membership {
	of := make(map[db.UserID]*db.Membership, len(rows))
	for i := range rows {
		of[rows[i].UserID] = &rows[i]
	}
	members := make([]*db.Membership, len(users))
	for i, user := range users {
		members[i] = of[user]
	}
	return members
}

// membersNamed is lockMembers for the input users.
func (d *Directory) membersNamed(ctx context.Context, w *write, org *db.Organization, refs []*UserRef) ([]*db.Membership, error) {
	if !w.faults.size("input.users", len(refs), 1) {
		return nil, nil
	}
	return d.lockMembers(ctx, w, org, refs, "input.users")
}

// lockMembers returns the members of the organization whom the references name, in
// the same order. Non-members are returned as nil, with a fault: for an actor who may
// see only the organization, other users do not exist. If the organization does not
// exist (nil), it finds nobody, and adds no fault.
func (d *Directory) lockMembers(ctx context.Context, w *write, org *db.Organization, refs []*UserRef, field string) ([]*db.Membership, error) {
	if org == nil {
		return nil, nil
	}
	users, err := d.findUsers(ctx, refs, &org.ID, "for no key update")
	if err != nil {
		return nil, err
	}
	members, err := d.membersOf(ctx, org.ID, userIDs(users))
	if err != nil {
		return nil, err
	}
	w.haveMembers(members, field)
	return members, nil
}

// userIDs returns the ids of users; zero for nil.
func userIDs(users []*db.User) []db.UserID {
	ids := make([]db.UserID, len(users))
	for i, user := range users {
		if user != nil {
			ids[i] = user.ID
		}
	}
	return ids
}

// haveMembers adds a fault for each member who is nil.
func (w *write) haveMembers(members []*db.Membership, field string) {
	for i, member := range members {
		if member == nil {
			w.faults.Add(problem.NotFound, element(field, i, len(members)), "There is no such member of the organization.")
		}
	}
}

// RemoveMembersInput names users to take out of an organization.
type RemoveMembersInput struct {
	Organization OrganizationRef
	Users        []*UserRef
	// Reason is why, for the log of changes.
	Reason *string
}

// RemoveMembers takes the users out of the organization, which ends everything that
// they held there, and returns the ids of their memberships. A user must be left
// with another organization, and the actor must outrank them in this one.
func (d *Directory) RemoveMembers(ctx context.Context, in RemoveMembersInput) ([]string, error) {
	var removed []string
	err := d.changeIn(ctx, access.MembersWrite, in.Organization, func(ctx context.Context, w *write, org *db.Organization) error {
		named, err := d.membersNamed(ctx, w, org, in.Users)
		if err != nil {
			return err
		}
		if err := d.outrankMembers(ctx, w, named, "input.users"); err != nil {
			return err
		}
		if err := d.haveOther(ctx, w, named, "input.users"); err != nil {
			return err
		}
		reason := w.faults.prose("input.reason", in.Reason, maxReason)
		if err := w.faults.Err(); err != nil {
			return err
		}
		members := distinctNonNil(named)
		for _, m := range members {
			removed = append(removed, m.ID.String())
		}
		return w.leave(ctx, d, members, reason)
	})
	return removed, err
}

// haveOther checks that each member, nil or locked, belongs to another organization
// too. Nobody may belong to the root only.
func (d *Directory) haveOther(ctx context.Context, w *write, members []*db.Membership, field string) error {
	var ids []db.UserID
	for _, m := range distinctNonNil(members) {
		if m.OrgID != db.Root {
			ids = append(ids, m.UserID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	only, err := db.Select[db.UserID](ctx, d.db,
		"select user_id from memberships where user_id = any($1) and org_id <> $2 group by user_id having count(*) = 1", ids, db.Root)
	if err != nil {
		return err
	}
	alone := make(map[db.UserID]bool, len(only))
	for _, id := range only {
		alone[id] = true
	}
	for i, m := range members {
		if m != nil && alone[m.UserID] {
			w.faults.Add(problem.LastOrganization, element(field, i, len(members)), "The user belongs to no other organization.")
		}
	}
	return nil
}

// leave ends the memberships, their grants, and the API keys that stand for the
// members in the organization. The record has the reason, if there is one.
func (w *write) leave(ctx context.Context, d *Directory, members []*db.Membership, reason *string) error {
	ids := make([]db.MembershipID, len(members))
	for i, m := range members {
		ids[i] = m.ID
		if err := w.Record(changes.MembershipDeleted, m.ID.String(), &m.OrgID, memberValues(*m), reasonValues(reason)); err != nil {
			return err
		}
	}
	if err := d.lockHeld(ctx, "(g.org_id, g.user_id) in (select m.org_id, m.user_id from memberships m where m.id = any($1))", ids); err != nil {
		return err
	}
	for _, kind := range []grantKind{roleGrants, permissionGrants} {
		if _, err := w.ExecContext(ctx, "update "+kind.table+" g set "+endGrantSQL+
			" from memberships m where m.id = any(?) and g.org_id = m.org_id and g.user_id = m.user_id and g.live",
			append(w.endGrantArgs(), idArray(ids))...); err != nil {
			return err
		}
	}
	_, err := w.revokeKeys(ctx, "k.user_id is not null and (k.org_id, k.user_id) in (select m.org_id, m.user_id from memberships m where m.id = any(?))", idArray(ids))
	if err != nil {
		return err
	}
	_, err = w.ExecContext(ctx, "delete from memberships where id = any(?)", idArray(ids))
	return err
}

// lockHeld keeps the roles and permissions of the live grants g that the condition on $1
// selects from being deleted: their deletion ends the same grants, in another order.
func (d *Directory) lockHeld(ctx context.Context, condition string, arg any) error {
	var b db.Batch
	for _, kind := range []grantKind{roleGrants, permissionGrants} {
		b.Exec("select from "+kind.keys+" where id = any(array(select distinct g."+kind.column+" from "+kind.table+" g where g.live and "+condition+")) order by id "+forShare, arg)
	}
	return d.db.Run(ctx, &b)
}

// leaveAll ends all memberships of users who are being deleted.
func (d *Directory) leaveAll(ctx context.Context, w *write, users []db.UserID) error {
	members, err := pointers(db.Select[db.Membership](ctx, d.db, "select * from memberships where user_id = any($1) order by org_id, user_id for update", users))
	if err != nil {
		return err
	}
	return w.leave(ctx, d, members, nil)
}

// MoveMemberInput moves a user from one organization to another.
type MoveMemberInput struct {
	User     UserRef
	From, To OrganizationRef
	// KeepGrants takes along what the user holds, with ends and reasons.
	KeepGrants bool
}

// MoveMember moves the user from one organization to another in one step; the actor
// must manage the members of both, and outrank the user in the one they leave. Unless the
// grants are kept, the user gets the default roles. A suspended member comes to the new
// organization suspended. A user who is a member of the new organization already keeps
// what they hold there, and their status.
func (d *Directory) MoveMember(ctx context.Context, in MoveMemberInput) (*db.Membership, error) {
	var moved *db.Membership
	reach, err := access.ScopeOf(ctx, access.MembersWrite)
	if err != nil {
		return nil, err
	}
	err = d.write(ctx, func(ctx context.Context, w *write) error {
		from, to, err := d.lockBoth(ctx, w, in, reach)
		if err != nil {
			return err
		}
		members, err := d.lockMembers(ctx, w, from, []*UserRef{&in.User}, "input.user")
		if err != nil {
			return err
		}
		if err := d.outrankMembers(ctx, w, members, "input.user"); err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		roles, permissions, err := d.notEnded(ctx, w, members[0])
		if err != nil {
			return err
		}
		var none []db.RoleID
		if in.KeepGrants {
			none = []db.RoleID{}
		}
		joined, err := d.join(ctx, w, to, []newcomer{{members[0].UserID, members[0].Status}}, none, access.Allowance{})
		if err != nil {
			return err
		}
		moved = joined[0]
		if in.KeepGrants {
			if err := d.carry(ctx, w, to, moved, roles, permissions); err != nil {
				return err
			}
		}
		return w.leave(ctx, d, members, nil)
	})
	return moved, err
}

// lockBoth returns the two organizations of a move, within reach (see
// lockOrganization). Neither may be the root.
func (d *Directory) lockBoth(ctx context.Context, w *write, in MoveMemberInput, reach *db.OrganizationID) (from, to *db.Organization, err error) {
	found, err := d.findOrganizations(ctx, []*OrganizationRef{&in.From, &in.To}, reach, forMembers)
	if err != nil {
		return nil, nil, err
	}
	withoutRoot(found)
	for i, field := range []string{"input.from", "input.to"} {
		if found[i] == nil {
			*w.faults.List = append(*w.faults.List, noOrganization(field))
		}
	}
	from, to = found[0], found[1]
	if from != nil && to != nil && from.ID == to.ID {
		w.faults.Add(problem.Invalid, "input.to", "The user is to be moved to another organization.")
	}
	return from, to, nil
}

// carry grants to the member in their new organization what they held in the old
// one, as far as the actor may hand it out there.
func (d *Directory) carry(ctx context.Context, w *write, to *db.Organization, member *db.Membership,
	roles []db.RoleGrant, permissions []db.PermissionGrant,
) error {
	roles, roleIDs, err := stillThere(ctx, w, roleGrants, roles, func(g db.RoleGrant) db.RoleID { return g.RoleID })
	if err != nil {
		return err
	}
	permissions, permissionIDs, err := stillThere(ctx, w, permissionGrants, permissions, func(g db.PermissionGrant) db.PermissionID { return g.PermissionID })
	if err != nil {
		return err
	}
	items, err := d.grantItems(ctx, w, roleIDs, permissionIDs, nil)
	if err != nil {
		return err
	}
	for i := range items {
		if i < len(roles) {
			items[i].EndsAt = roles[i].EndsAt
		} else {
			items[i].EndsAt = permissions[i-len(roles)].EndsAt
		}
	}
	allowance, err := d.allowGrants(ctx, w, access.MembersWrite, to, items)
	if err != nil {
		return err
	}
	if err := w.faults.Err(); err != nil {
		return err
	}
	if err := w.carryGrants(ctx, d, allowance, roleGrants, member, raw(roleIDs), func(i int) db.Grant { return roles[i].Grant }); err != nil {
		return err
	}
	return w.carryGrants(ctx, d, allowance, permissionGrants, member, raw(permissionIDs), func(i int) db.Grant { return permissions[i].Grant })
}

// carryGrants grants each of the targets to the member with the term and the reason
// of its old grant, unless the member has it with that term already.
func (w *write) carryGrants(ctx context.Context, d *Directory, by access.Allowance, kind grantKind, member *db.Membership, targets []uuid.UUID, of func(i int) db.Grant) error {
	if len(targets) == 0 {
		return nil
	}
	live, keys, err := w.lockLiveGrants(ctx, d, kind, []*db.Membership{member}, targets)
	if err != nil {
		return err
	}
	var fresh []newGrant
	for i, target := range targets {
		t := termOf(of(i))
		if err := covered(by, &member.OrgID, t.endsAt, target); err != nil {
			return err
		}
		if w.withTerm(live[grantKey{member.UserID, target}], t) == nil {
			fresh = append(fresh, newGrant{member, target, t})
		}
	}
	return w.insertGrants(kind, fresh, keys)
}

// stillThere returns the grants whose targets still exist, and locks the targets
// against deletion until the end of the transaction.
func stillThere[K db.Kind, G any](ctx context.Context, w *write, kind grantKind, grants []G, of func(G) db.ID[K]) ([]G, []db.ID[K], error) {
	var there []db.ID[K]
	ids := make([]db.ID[K], len(grants))
	for i, g := range grants {
		ids[i] = of(g)
	}
	err := w.NewRaw("select id from "+kind.keys+" where id = any(?) and deleted_at is null order by id for share", idArray(ids)).Scan(ctx, &there)
	if err != nil {
		return nil, nil, err
	}
	gone := func(id db.ID[K]) bool { return !slices.Contains(there, id) }
	return slices.DeleteFunc(grants, func(g G) bool { return gone(of(g)) }), slices.DeleteFunc(ids, gone), nil
}
