// Package loaders reads what many parents refer to by one statement: each row
// once, however many refer to it, and in the order of the references.
package loaders

import (
	"context"

	"roster/access"
	"roster/db"
	"roster/db/list"
	"roster/directory"
)

// Loaders read from a directory.
type Loaders struct{ Directory *directory.Directory }

// Users gives the users with those ids; nil where there is none.
func (l Loaders) Users(ctx context.Context, ids []db.UserID, fields list.Fields) ([]*db.User, error) {
	return load(ids, memoryOf(ctx).users.knowing(fields), userID, func(ids []db.UserID) ([]db.User, error) {
		return l.Directory.UsersByID(ctx, ids, fields)
	})
}

// Organizations gives the organizations with those ids; nil where there is
// none.
func (l Loaders) Organizations(ctx context.Context, ids []db.OrganizationID, fields list.Fields) ([]*db.Organization, error) {
	return load(ids, memoryOf(ctx).organizations.knowing(fields), organizationID, func(ids []db.OrganizationID) ([]db.Organization, error) {
		return l.Directory.OrganizationsByID(ctx, ids, fields)
	})
}

// APIKeys gives the API keys with those ids; nil where there is none.
func (l Loaders) APIKeys(ctx context.Context, ids []db.APIKeyID) ([]*db.APIKey, error) {
	return load(ids, nil, func(k *db.APIKey) db.APIKeyID { return k.ID }, func(ids []db.APIKeyID) ([]db.APIKey, error) {
		return l.Directory.APIKeysByID(ctx, ids)
	})
}

// Memberships gives the memberships with those ids; nil where there is none
// that the actor may see.
func (l Loaders) Memberships(ctx context.Context, ids []db.MembershipID) ([]*db.Membership, error) {
	return load(ids, nil, func(m *db.Membership) db.MembershipID { return m.ID }, func(ids []db.MembershipID) ([]db.Membership, error) {
		return l.Directory.MembershipsByID(ctx, ids)
	})
}

// MembersAt gives the memberships at those places; nil where there is none that
// the actor may see.
func (l Loaders) MembersAt(ctx context.Context, places []access.MemberKey) ([]*db.Membership, error) {
	return load(places, nil, directory.MemberKeyOf, func(places []access.MemberKey) ([]db.Membership, error) {
		return l.Directory.MembersAt(ctx, places)
	})
}

func userID(u *db.User) db.UserID                         { return u.ID }
func organizationID(o *db.Organization) db.OrganizationID { return o.ID }

// load reads each distinct key that is not known yet once, and gives the rows in
// the order of keys. Zero keys refer to nothing.
func load[K comparable, V any](keys []K, known map[K]*V, keyOf func(*V) K, read func([]K) ([]V, error)) ([]*V, error) {
	found := make(map[K]*V, len(keys))
	var zero K
	var wanted []K
	for _, key := range keys {
		if _, seen := found[key]; seen || key == zero {
			continue
		}
		found[key] = known[key]
		if found[key] == nil {
			wanted = append(wanted, key)
		}
	}
	if len(wanted) > 0 {
		rows, err := read(wanted)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			found[keyOf(&rows[i])] = &rows[i]
		}
	}
	all := make([]*V, len(keys))
	for i, key := range keys {
		all[i] = found[key]
	}
	return all, nil
}
