// Package loaders lets many parents refer to the same rows. It stands between the
// graph, which resolves a field for all parents of a level at once, and the
// directory, which reads rows by their ids:
//
//	references of the parents        a b a – c
//	ids that are read, each once     a b c
//	rows, in the references' order   A B A nil C
//
// Begin with load. Rows that a query has read with others are found in its memory
// (memory.go) and not read again.
package loaders

import (
	"context"
	"fmt"

	"roster/access"
	"roster/db"
	"roster/db/list"
	"roster/directory"
)

// Loaders read from a directory.
type Loaders struct{ Directory *directory.Directory }

// Users returns the users with those ids. Those that do not exist are nil.
func (l Loaders) Users(ctx context.Context, ids []db.UserID, fields list.Fields) ([]*db.User, error) {
	return load("Users", ids, memoryOf(ctx).users.withFields(fields), userID, func(ids []db.UserID) ([]db.User, error) {
		return l.Directory.UsersByID(ctx, ids, fields)
	})
}

// Actors returns the users with those ids as they are shown beside what they did. Those
// that do not exist are nil.
func (l Loaders) Actors(ctx context.Context, ids []db.UserID) ([]*db.User, error) {
	return load("Actors", ids, nil, userID, func(ids []db.UserID) ([]db.User, error) {
		return l.Directory.ActorsByID(ctx, ids)
	})
}

// Organizations returns the organizations with those ids. Those that do not exist are nil.
func (l Loaders) Organizations(ctx context.Context, ids []db.OrganizationID, fields list.Fields) ([]*db.Organization, error) {
	return load("Organizations", ids, memoryOf(ctx).organizations.withFields(fields), organizationID, func(ids []db.OrganizationID) ([]db.Organization, error) {
		return l.Directory.OrganizationsByID(ctx, ids, fields)
	})
}

// APIKeys returns the API keys with those ids. Those that do not exist are nil.
func (l Loaders) APIKeys(ctx context.Context, ids []db.APIKeyID) ([]*db.APIKey, error) {
	return load("APIKeys", ids, nil, func(k *db.APIKey) db.APIKeyID { return k.ID }, func(ids []db.APIKeyID) ([]db.APIKey, error) {
		return l.Directory.APIKeysByID(ctx, ids)
	})
}

// Applications returns the applications with those ids. Those that do not exist are nil.
func (l Loaders) Applications(ctx context.Context, ids []db.ApplicationID) ([]*db.Application, error) {
	return load("Applications", ids, nil, func(a *db.Application) db.ApplicationID { return a.ID }, func(ids []db.ApplicationID) ([]db.Application, error) {
		return l.Directory.ApplicationsByID(ctx, ids)
	})
}

// Memberships returns the memberships with those ids. Those that the actor may not
// see are nil.
func (l Loaders) Memberships(ctx context.Context, ids []db.MembershipID) ([]*db.Membership, error) {
	return load("Memberships", ids, nil, func(m *db.Membership) db.MembershipID { return m.ID }, func(ids []db.MembershipID) ([]db.Membership, error) {
		return l.Directory.MembershipsByID(ctx, ids)
	})
}

// MembersAt returns the memberships at those places. Those that the actor may not
// see are nil.
func (l Loaders) MembersAt(ctx context.Context, places []access.MemberKey) ([]*db.Membership, error) {
	return load("MembersAt", places, nil, directory.MemberKeyOf, func(places []access.MemberKey) ([]db.Membership, error) {
		return l.Directory.MembersAt(ctx, places)
	})
}

func userID(u *db.User) db.UserID                         { return u.ID }
func organizationID(o *db.Organization) db.OrganizationID { return o.ID }

// load returns the rows of keys, in their order. It reads each distinct key once,
// unless it is known. Zero keys refer to nothing. name says in errors which loader
// failed.
func load[K comparable, V any](name string, keys []K, known map[K]*V, keyOf func(*V) K, read func([]K) ([]V, error)) ([]*V, error) {
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
			return nil, fmt.Errorf("loaders.%s: %w", name, err)
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
