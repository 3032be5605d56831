package access

import (
	"cmp"
	"context"
	"slices"
	"time"

	"roster/db"
)

// containedRow is a permission that a role contains, or contained until a change.
type containedRow struct {
	db.RolePermission `bun:",extend"`
	// Added and Removed report whether the change added or removed it.
	Added, Removed bool
}

// Names are the keys by which checks find a permission. Nil FormerKeys mean that the
// change left them as they are.
type Names struct {
	Key        string
	FormerKeys []*db.FormerKey
}

// CataloguesAround reads the catalogue before and after the change that was made at
// that moment, which must be the last change, in the transaction of ctx if there is
// one. The rows that the change touched carry its moment, so concurrent changes do not
// matter. Names carry none: had holds the names, before the change, of the permissions
// that it renamed or deleted.
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
	after.former = groupByPermission(former)
	permissions = restoreDeleted(permissions, at, func(p *db.Permission) **time.Time { return &p.DeletedAt })
	for i := range permissions {
		if names, renamed := had[permissions[i].ID]; renamed {
			permissions[i].Key = names.Key
		}
	}
	slices.SortStableFunc(permissions, func(a, b db.Permission) int { return cmp.Compare(a.Key, b.Key) })
	before = e.newCatalogue(permissions, restoreDeleted(roles, at, func(r *db.Role) **time.Time { return &r.DeletedAt }), old)
	before.former = groupByPermission(former)
	for id, names := range had {
		if names.FormerKeys != nil {
			before.former[id] = names.FormerKeys
		}
	}
	return before, after, nil
}

func groupByPermission(keys []db.FormerKey) map[db.PermissionID][]*db.FormerKey {
	groups := map[db.PermissionID][]*db.FormerKey{}
	for i := range keys {
		k := &keys[i]
		groups[k.PermissionID] = append(groups[k.PermissionID], k)
	}
	return groups
}

// RevokedAtSQL is the condition that the change at $1 revoked the row g, which is a
// grant or says that a role contains a permission. If the clock stepped back, a row
// ends when it began and not before.
const RevokedAtSQL = `g.revoked_at = greatest(g.granted_at, $1)`

// restoreDeleted returns copies of the rows, as if none had been deleted at that moment.
func restoreDeleted[T any](rows []T, at time.Time, deletedAt func(*T) **time.Time) []T {
	rows = slices.Clone(rows)
	for i := range rows {
		if deleted := deletedAt(&rows[i]); *deleted != nil && (*deleted).Equal(at) {
			*deleted = nil
		}
	}
	return rows
}
