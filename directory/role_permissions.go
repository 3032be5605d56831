package directory

import (
	"context"
	"slices"

	"github.com/uptrace/bun"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// RolePermissionsInput names permissions to add to a role, or to remove.
type RolePermissionsInput struct {
	Role        RoleRef
	Permissions []*PermissionRef
}

// AddRolePermissions adds permissions to a role, for everyone who holds it now and
// later. It ignores permissions that the role contains already; the actor must be
// allowed to hand out the others.
func (d *Directory) AddRolePermissions(ctx context.Context, in RolePermissionsInput) (*db.Role, error) {
	return d.changeContents(ctx, in, func(ctx context.Context, w *write, role *db.Role, has, asked []*db.Permission) error {
		added := slices.DeleteFunc(asked, contains(has))
		forNewcomers, err := d.isDefault(ctx, role)
		if err != nil {
			return err
		}
		if forNewcomers {
			w.faults.forNewcomers("input.permissions", added)
		}
		allowance, err := d.allow(ctx, w, access.Handout{By: access.RolesWrite, Items: permissionItems(added, nil)})
		if err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil || len(added) == 0 {
			return err
		}
		if err := w.addPermissions(ctx, role, added, allowance); err != nil {
			return err
		}
		if err := w.saveTouched(ctx, role); err != nil {
			return err
		}
		return w.Record(changes.RolePermissionsAdded, role.ID.String(), nil, nil, contentValues(added))
	})
}

// RemoveRolePermissions takes the permissions from everyone who holds them
// through the role. It ignores permissions that the role does not contain. The actor
// must hold the permissions of Roster itself among them.
func (d *Directory) RemoveRolePermissions(ctx context.Context, in RolePermissionsInput) (*db.Role, error) {
	return d.changeContents(ctx, in, func(ctx context.Context, w *write, role *db.Role, has, asked []*db.Permission) error {
		inside := contains(has)
		removed := slices.DeleteFunc(asked, func(p *db.Permission) bool { return !inside(p) })
		w.mayTakeAway(removed, "input.permissions")
		if err := w.faults.Err(); err != nil || len(removed) == 0 {
			return err
		}
		if err := w.removePermissions(ctx, role, removed); err != nil {
			return err
		}
		if err := w.saveTouched(ctx, role); err != nil {
			return err
		}
		return w.Record(changes.RolePermissionsRemoved, role.ID.String(), nil, contentValues(removed), nil)
	})
}

// changeContents calls edit to change the permissions of a role, with the ones that
// the role has and the ones that were asked for, each once.
func (d *Directory) changeContents(ctx context.Context, in RolePermissionsInput,
	edit func(ctx context.Context, w *write, role *db.Role, has, asked []*db.Permission) error,
) (*db.Role, error) {
	return roleDefinitions.change(ctx, d, in.Role.lookUp(), func(ctx context.Context, w *write, role *db.Role) error {
		asked, err := d.permissionsNamed(ctx, w, "input.permissions", in.Permissions, 0)
		if err != nil {
			return err
		}
		has, err := d.contained(ctx, role)
		if err != nil {
			return err
		}
		return edit(ctx, w, role, has, asked)
	})
}

// contains returns a function that reports whether a permission is among all.
func contains(all []*db.Permission) func(*db.Permission) bool {
	ids := make(map[db.PermissionID]bool, len(all))
	for _, p := range all {
		ids[p.ID] = true
	}
	return func(p *db.Permission) bool { return ids[p.ID] }
}

// contained returns the permissions of a role that is locked, ordered by key.
func (d *Directory) contained(ctx context.Context, role *db.Role) ([]*db.Permission, error) {
	return pointers(db.Select[db.Permission](ctx, d.db, `select p.* from role_permissions rp join permissions p on p.id = rp.permission_id
		where rp.role_id = $1 and rp.revoked_at is null order by p.key`, role.ID))
}

func pointers[T any](rows []T, err error) ([]*T, error) {
	all := make([]*T, len(rows))
	for i := range rows {
		all[i] = &rows[i]
	}
	return all, err
}

// addPermissions records that the role contains the permissions from now on, which
// hands them out to everybody who holds the role, wherever that is.
func (w *write) addPermissions(ctx context.Context, role *db.Role, permissions []*db.Permission, by access.Allowance) error {
	if len(permissions) == 0 {
		return nil
	}
	if err := covered(by, nil, nil, raw(permissionIDs(permissions))...); err != nil {
		return err
	}
	rows := make([]*db.RolePermission, len(permissions))
	for i, p := range permissions {
		rows[i] = &db.RolePermission{RoleID: role.ID, PermissionID: p.ID, GrantedAt: w.At, GrantedBy: w.actor.String()}
	}
	_, err := w.NewInsert().Model(&rows).Exec(ctx)
	return err
}

// removePermissions records that the role no longer contains the permissions; the
// record that it did stays.
func (w *write) removePermissions(ctx context.Context, role *db.Role, permissions []*db.Permission) error {
	_, err := w.revokeContents().Where("role_id = ? and permission_id = any(?)", role.ID, idArray(permissionIDs(permissions))).Exec(ctx)
	return err
}

// revokeContents ends facts of role_permissions that hold. Clocks can step
// back, but nothing ends before it began.
func (w *write) revokeContents() *bun.UpdateQuery {
	return w.NewUpdate().Model((*db.RolePermission)(nil)).
		Set("revoked_at = greatest(granted_at, ?), revoked_by = ?", w.At, w.actor.String()).Where("revoked_at is null")
}

// saveTouched writes a role that has changed, with its new version and time.
func (w *write) saveTouched(ctx context.Context, role *db.Role) error {
	w.touch(role)
	_, err := w.NewUpdate().Model(role).WherePK().Exec(ctx)
	return err
}

func contentValues(permissions []*db.Permission) changes.Values {
	return changes.Values{"permissions": permissionKeys(permissions)}
}
