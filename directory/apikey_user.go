package directory

import (
	"context"

	"roster/access"
	"roster/db"
	"roster/db/list"
)

// lockKeyUser returns the user for whom a new key is to stand, locked, so that they
// stay and stay a member of the key's organization, if it has one, until the key is
// written. If there is no such user, it returns nil and adds a fault.
func (d *Directory) lockKeyUser(ctx context.Context, w *write, key *db.APIKey, ref *UserRef) (*db.UserID, error) {
	const field = "input.user"
	if key.OrgID != nil {
		members, err := d.lockMembers(ctx, w, &db.Organization{ID: *key.OrgID}, []*UserRef{ref}, field)
		if err != nil || members[0] == nil {
			return nil, err
		}
		return &members[0].UserID, nil
	}
	users, err := d.lockUsers(ctx, w, []*UserRef{ref}, field)
	if err != nil || users[0] == nil {
		return nil, err
	}
	return &users[0].ID, nil
}

// APIKeyUsers returns the user for whom each of the keys stands, in the order of the
// keys: nil if it stands for itself, or for somebody who is deleted or, if the key
// works in one organization only, no longer a member there. Without the permission to
// read the user, the actor sees who it is by the id, and no profile.
func (d *Directory) APIKeyUsers(ctx context.Context, keys []*db.APIKey, fields list.Fields) ([]*db.User, error) {
	var ids []db.UserID
	var members []access.MemberKey
	for _, key := range keys {
		if key.UserID == nil {
			continue
		}
		ids = append(ids, *key.UserID)
		if key.OrgID != nil {
			members = append(members, access.MemberKey{User: *key.UserID, Organization: *key.OrgID})
		}
	}
	users := make([]*db.User, len(keys))
	if len(ids) == 0 {
		return users, nil
	}
	rows, err := db.Select[db.User](ctx, d.db, "select "+list.Columns[db.User](d.db, "u", fields)+" from users u where u.id = any($1) and u.deleted_at is null", distinct(ids))
	if err != nil {
		return nil, err
	}
	byID := make(map[db.UserID]db.User, len(rows))
	for _, row := range rows {
		byID[row.ID] = row
	}
	isMember, err := d.areMembers(ctx, members)
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		if key.UserID == nil {
			continue
		}
		user, exists := byID[*key.UserID]
		if !exists || key.OrgID != nil && !isMember[access.MemberKey{User: user.ID, Organization: *key.OrgID}] {
			continue
		}
		if !readsUser(access.ActorOf(ctx), user.ID, key.OrgID) {
			hideProfile(&user)
		}
		users[i] = &user
	}
	return users, nil
}

// areMembers returns those of the members who are members now.
func (d *Directory) areMembers(ctx context.Context, members []access.MemberKey) (map[access.MemberKey]bool, error) {
	users, orgs := access.SplitKeys(members)
	rows, err := db.Select[db.Membership](ctx, d.db,
		"select m.* from memberships m join unnest($1::uuid[], $2::uuid[]) k (user_id, org_id) on m.org_id = k.org_id and m.user_id = k.user_id", users, orgs)
	if err != nil {
		return nil, err
	}
	are := make(map[access.MemberKey]bool, len(rows))
	for i := range rows {
		are[MemberKeyOf(&rows[i])] = true
	}
	return are, nil
}

// readsUser reports whether the actor may read the profile of a user who is a member
// of the organization or, if org is nil, of any.
func readsUser(actor *access.Actor, user db.UserID, org *db.OrganizationID) bool {
	return actor.Is(user) || actor.HoldsEverywhere(access.UsersRead) || org != nil && actor.Holds(access.UsersRead, *org)
}
