package directory

import (
	"context"
	"slices"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/db/list"
	"roster/problem"
)

// Permissions returns a page of the permissions, ordered by key; search keeps the
// ones that have it in their key or name. All requests share the rows: do not change
// them.
func (d *Directory) Permissions(ctx context.Context, page list.Page, search *string) (*list.Connection[db.Permission], error) {
	return permissionDefinitions.page(ctx, d, page, search)
}

// Permission returns a permission; nil if there is no such permission. The actor needs
// the permission to read roles somewhere.
func (d *Directory) Permission(ctx context.Context, by PermissionRef) (*db.Permission, error) {
	return permissionDefinitions.find(ctx, d, by.lookUp())
}

// PermissionsByID returns permissions that were reached through something that the
// actor may see, in the order of the ids; nil for an id that never existed.
// Tombstones are included, because history refers to them.
func (d *Directory) PermissionsByID(ctx context.Context, ids []db.PermissionID) ([]*db.Permission, error) {
	return permissionDefinitions.withIDs(ctx, d, ids)
}

// PermissionRoles returns the roles that contain each of the permissions, sorted by
// key, in the order of the permissions.
func (d *Directory) PermissionRoles(ctx context.Context, permissions []db.PermissionID) ([][]*db.Role, error) {
	catalogue, err := d.definitions(ctx)
	if err != nil {
		return nil, err
	}
	all := make([][]*db.Role, len(permissions))
	for i, id := range permissions {
		all[i] = catalogue.RolesWith(id)
	}
	return all, nil
}

// CreatePermissionInput describes a new permission.
type CreatePermissionInput struct {
	Key string
	// Name is the key if it is nil.
	Name, Description *string
}

// CreatePermission creates a permission, which nobody holds yet.
func (d *Directory) CreatePermission(ctx context.Context, in CreatePermissionInput) (*db.Permission, error) {
	var permission *db.Permission
	err := d.change(ctx, access.RolesWrite, func(ctx context.Context, w *write) error {
		f := &w.faults
		key := f.freeKey("input.key", in.Key, access.SystemPrefix)
		permission = &db.Permission{
			ID:          db.NewID[db.PermissionKind](),
			Key:         key,
			Name:        f.label("input.name", in.Name, key),
			Description: f.prose("input.description", in.Description, maxDescription),
			CreatedAt:   w.At,
		}
		if err := w.insertPermission(ctx, permission); err != nil {
			return err
		}
		return w.Record(changes.PermissionCreated, permission.ID.String(), nil, nil, permission)
	})
	return permission, err
}

// UpdatePermissionInput changes the fields that are set; a null name becomes the key.
type UpdatePermissionInput struct {
	Permission             PermissionRef
	Key, Name, Description graphql.Omittable[*string]
	// KeepOldKeyUntil is how long the permission answers by its old key, too; nil ends
	// that at once.
	KeepOldKeyUntil *time.Time
}

// UpdatePermission changes the names of a permission. Programs know it by its key:
// all holders hold the new key from then on, so the actor must be allowed to hand that
// out; they hold the old key, which may stay for a while, already.
func (d *Directory) UpdatePermission(ctx context.Context, in UpdatePermissionInput) (*db.Permission, error) {
	return permissionDefinitions.change(ctx, d, in.Permission.lookUp(), func(ctx context.Context, w *write, permission *db.Permission) error {
		before, f := *permission, &w.faults
		permission.Key = f.newKey("input.key", in.Key, permission.Key, access.SystemPrefix)
		if in.Name.IsSet() {
			permission.Name = f.label("input.name", in.Name.Value(), permission.Key)
		}
		if in.Description.IsSet() {
			permission.Description = f.prose("input.description", in.Description.Value(), maxDescription)
		}
		if permission.Key == before.Key {
			if in.KeepOldKeyUntil != nil && !f.about("input.key") {
				f.Add(problem.Invalid, "input.keepOldKeyUntil", "There is no old key to keep: the key stays as it is.")
			}
			return w.update(ctx, permission, changes.PermissionUpdated, permission.ID.String(), &before, func() {})
		}
		if _, err := d.allow(ctx, w, access.Handout{By: access.RolesWrite, Items: permissionItems([]*db.Permission{permission}, nil)}); err != nil {
			return err
		}
		return d.rename(ctx, w, permission, before, f.expiry("input.keepOldKeyUntil", in.KeepOldKeyUntil, w.At))
	})
}

// PermissionActionInput names the permission to act upon.
type PermissionActionInput struct{ Permission PermissionRef }

// deletedPermission are the values of a deleted permission in the log of changes, and
// how many grants and API keys lost it.
type deletedPermission struct {
	permissionValues
	Roles   []string `json:"roles"`
	Grants  int      `json:"grants"`
	APIKeys int64    `json:"apiKeys"`
}

// DeletePermission takes the permission from everyone who holds it, from all roles and
// from all API keys. A tombstone remains, because history refers to it.
func (d *Directory) DeletePermission(ctx context.Context, in PermissionActionInput) ([]string, error) {
	permission, err := permissionDefinitions.change(ctx, d, in.Permission.lookUp(), func(ctx context.Context, w *write, permission *db.Permission) error {
		if err := w.faults.Err(); err != nil {
			return err
		}
		former, err := d.formerKeys(ctx, permission)
		if err != nil {
			return err
		}
		before := deletedPermission{permissionValues: permissionValues{*permission, former}}
		roles, err := d.dropFromRoles(ctx, w, permission)
		if err != nil {
			return err
		}
		before.Roles = roles
		if before.Grants, err = w.endGrants(ctx, permissionGrants, uuid.UUID(permission.ID)); err != nil {
			return err
		}
		lost, err := w.NewDelete().Model((*db.APIKeyPermission)(nil)).Where("permission_id = ?", permission.ID).Exec(ctx)
		if err != nil {
			return err
		}
		if before.APIKeys, err = lost.RowsAffected(); err != nil {
			return err
		}
		if _, err := w.NewDelete().Model((*db.FormerKey)(nil)).Where("permission_id = ?", permission.ID).Exec(ctx); err != nil {
			return err
		}
		permission.DeletedAt = &w.At
		if _, err := w.NewUpdate().Model(permission).WherePK().Exec(ctx); err != nil {
			return err
		}
		return w.Record(changes.PermissionDeleted, permission.ID.String(), nil, before, nil)
	})
	if err != nil {
		return nil, err
	}
	return []string{permission.ID.String()}, nil
}

// dropFromRoles takes a permission, which is locked, out of all roles, and returns
// their keys. A write that changes one of them at the same moment holds the role and
// waits for the permission: the database then lets one of the two run again.
func (d *Directory) dropFromRoles(ctx context.Context, w *write, permission *db.Permission) ([]string, error) {
	roles, err := pointers(db.Select[db.Role](ctx, d.db, `select * from roles where id in
		(select role_id from role_permissions where permission_id = $1 and revoked_at is null) order by id for no key update`, permission.ID))
	if err != nil {
		return nil, err
	}
	var left []db.RoleID
	if _, err := w.revokeContents().Where("permission_id = ?", permission.ID).Returning("role_id").Exec(ctx, &left); err != nil {
		return nil, err
	}
	keys := []string{}
	for _, role := range roles {
		if !slices.Contains(left, role.ID) {
			continue // it was taken out of this role just before
		}
		keys = append(keys, role.Key)
		err := w.Record(changes.RolePermissionsRemoved, role.ID.String(), nil, contentValues([]*db.Permission{permission}), nil)
		if err != nil {
			return nil, err
		}
	}
	if len(left) > 0 {
		w.Later("update roles set version = version + 1, updated_at = $1 where id = any($2)", w.At, left)
	}
	slices.Sort(keys)
	return keys, nil
}

// permissionsNamed returns the permissions that a list of the input names, each once
// and ordered by key, and keeps others from changing or deleting them until the end of
// the transaction. It adds a fault for each that does not exist.
func (d *Directory) permissionsNamed(ctx context.Context, w *write, field string, refs []*PermissionRef, least int) ([]*db.Permission, error) {
	if !w.faults.size(field, len(refs), least) {
		return nil, nil
	}
	permissions, err := permissionDefinitions.lock(ctx, d, w, looksOf(refs), field, "for share")
	permissions = distinctNonNil(permissions)
	slices.SortFunc(permissions, byPermissionKey)
	return permissions, err
}

func (r PermissionRef) lookUp() lookUp { return byIDOrKey[db.PermissionKind](r.ID, r.Key) }
