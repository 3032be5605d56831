package access

import (
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

// CataloguesAround reads the catalogue as it was before the change that was made
// at the moment, which must have been the last one, and as it is after it; in
// the transaction of ctx if there is one. What the change did is told by the
// moment that it left in the rows, whatever others did at the same time.
func (e *Engine) CataloguesAround(ctx context.Context, at time.Time) (before, after *Catalogue, err error) {
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
		from role_permissions g where g.revoked_at is null or `+RevokedAt, at)
	if err != nil {
		return nil, nil, err
	}
	had, has := []db.RolePermission{}, []db.RolePermission{}
	for _, row := range contained {
		if !row.Added {
			had = append(had, row.RolePermission)
		}
		if !row.Removed {
			has = append(has, row.RolePermission)
		}
	}
	before = e.newCatalogue(undeleted(permissions, at, func(p *db.Permission) **time.Time { return &p.DeletedAt }),
		undeleted(roles, at, func(r *db.Role) **time.Time { return &r.DeletedAt }), had)
	return before, e.newCatalogue(permissions, roles, has), nil
}

// RevokedAt says that a fact g was ended by the change that was made at $1. When
// the clock stepped back, facts end when they began and not before.
const RevokedAt = `g.revoked_at = greatest(g.granted_at, $1)`

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
