package access

import (
	"cmp"
	"context"
	"slices"
	"time"

	"roster/db"
)

// containedRow says that a role contains a permission, or did until a change.
type containedRow struct {
	db.RolePermission `bun:",extend"`
	// Added and Removed tell whether that is the work of the change.
	Added, Removed bool
}

// Names are the keys by which checks know a permission. Nil former keys stand for
// those that it has after the change, too.
type Names struct {
	Key        string
	FormerKeys []*db.FormerKey
}

// CataloguesAround reads the catalogue as it was before the change that was made
// at the moment, which must have been the last one, and as it is after it; in
// the transaction of ctx if there is one. What the change did is told by the
// moment that it left in the rows, whatever others did at the same time, except
// for names: had are those, before the change, of the permissions that it renamed
// or deleted.
func (e *Engine) CataloguesAround(ctx context.Context, at time.Time, had map[db.PermissionID]Names) (before, after *Catalogue, err error) {
	permissions, err := db.Select[db.Permission](ctx, e.db, "select * from permissions order by key")
	if err != nil {
		return nil, nil, err
	}
	roles, err := db.Select[db.Role](ctx, e.db, "select * from roles order by key")
	if err != nil {
		return nil, nil, err
	}
	contained, err := db.Select[containedRow](ctx, e.db, `
		select g.role_id, g.permission_id, g.granted_at = $1 as added, g.revoked_at is not null as removed
		from role_permissions g where g.revoked_at is null or `+RevokedAtSQL, at)
	if err != nil {
		return nil, nil, err
	}
	former, err := db.Select[db.FormerKey](ctx, e.db, "select * from former_keys where until > $1 order by key", at)
	if err != nil {
		return nil, nil, err
	}
	contents, old := []db.RolePermission{}, []db.RolePermission{}
	for _, row := range contained {
		if !row.Added {
			old = append(old, row.RolePermission)
		}
		if !row.Removed {
			contents = append(contents, row.RolePermission)
		}
	}
	after = e.newCatalogue(permissions, roles, contents)
	after.former = byPermission(former)
	permissions = undeleted(permissions, at, func(p *db.Permission) **time.Time { return &p.DeletedAt })
	for i := range permissions {
		if names, renamed := had[permissions[i].ID]; renamed {
			permissions[i].Key = names.Key
		}
	}
	slices.SortStableFunc(permissions, func(a, b db.Permission) int { return cmp.Compare(a.Key, b.Key) })
	before = e.newCatalogue(permissions, undeleted(roles, at, func(r *db.Role) **time.Time { return &r.DeletedAt }), old)
	before.former = byPermission(former)
	for id, names := range had {
		if names.FormerKeys != nil {
			before.former[id] = names.FormerKeys
		}
	}
	return before, after, nil
}

func byPermission(keys []db.FormerKey) map[db.PermissionID][]*db.FormerKey {
	of := map[db.PermissionID][]*db.FormerKey{}
	for i := range keys {
		k := &keys[i]
		of[k.PermissionID] = append(of[k.PermissionID], k)
	}
	return of
}

// RevokedAtSQL says that a fact g was ended by the change that was made at $1. When
// the clock stepped back, facts end when they began and not before.
const RevokedAtSQL = `g.revoked_at = greatest(g.granted_at, $1)`

// undeleted gives the rows as they were before those of that moment were
// deleted.
func undeleted[T any](rows []T, at time.Time, deletedAt func(*T) **time.Time) []T {
	rows = slices.Clone(rows)
	for i := range rows {
		if deleted := deletedAt(&rows[i]); *deleted != nil && (*deleted).Equal(at) {
			*deleted = nil
		}
	}
	return rows
}
