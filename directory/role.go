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

// systemRolePrefix begins the keys of the roles of Roster itself.
const systemRolePrefix = "roster-"

// Roles returns a page of the roles, ordered by key; search keeps the ones that have
// it in their key or name. All requests share the rows: do not change them.
func (d *Directory) Roles(ctx context.Context, page list.Page, search *string) (*list.Connection[db.Role], error) {
	return roleDefinitions.page(ctx, d, page, search)
}

// Role returns a role; nil if there is no such role. The actor needs the permission to
// read roles somewhere.
func (d *Directory) Role(ctx context.Context, by RoleRef) (*db.Role, error) {
	return roleDefinitions.find(ctx, d, by.lookUp())
}

// RolesByID returns roles that were reached through something that the actor may
// see, in the order of the ids; nil for an id that never existed. Tombstones are
// included, because history refers to them.
func (d *Directory) RolesByID(ctx context.Context, ids []db.RoleID) ([]*db.Role, error) {
	return roleDefinitions.withIDs(ctx, d, ids)
}

// RolePermissions returns the permissions that each of the roles contains, sorted by
// key, in the order of the roles.
func (d *Directory) RolePermissions(ctx context.Context, roles []db.RoleID) ([][]*db.Permission, error) {
	catalogue, err := d.definitions(ctx)
	if err != nil {
		return nil, err
	}
	all := make([][]*db.Permission, len(roles))
	for i, id := range roles {
		all[i] = catalogue.RolePermissions(id)
	}
	return all, nil
}

// CreateRoleInput describes a new role.
type CreateRoleInput struct {
	Key string
	// Name is the key if it is nil.
	Name, Description *string
	Permissions       []*PermissionRef
	// IsDefault grants it to every new member, so it must contain no system
	// permissions.
	IsDefault bool
}

// CreateRole creates a role of permissions that the actor must be allowed to hand out.
func (d *Directory) CreateRole(ctx context.Context, in CreateRoleInput) (*db.Role, error) {
	var role *db.Role
	err := d.change(ctx, access.RolesWrite, func(ctx context.Context, w *write) error {
		role = w.faults.newRole(in, w.At)
		permissions, err := d.permissionsNamed(ctx, w, "input.permissions", in.Permissions, 0)
		if err != nil {
			return err
		}
		if role.IsDefault {
			w.faults.forNewcomers("input.isDefault", permissions)
		}
		allowance, err := d.allow(ctx, w, access.Handout{By: access.RolesWrite, Items: permissionItems(permissions, nil)})
		if err != nil {
			return err
		}
		if err := w.insert(ctx, role); err != nil {
			return err
		}
		if err := w.addPermissions(ctx, role, permissions, allowance); err != nil {
			return err
		}
		return w.Record(changes.RoleCreated, role.ID.String(), nil, nil, roleValues{*role, permissionKeys(permissions)})
	})
	return role, err
}

func (f *faults) newRole(in CreateRoleInput, at time.Time) *db.Role {
	key := f.freeKey("input.key", in.Key, systemRolePrefix)
	return &db.Role{
		ID:          db.NewID[db.RoleKind](),
		Key:         key,
		Name:        f.label("input.name", in.Name, key),
		Description: f.prose("input.description", in.Description, maxDescription),
		IsDefault:   in.IsDefault,
		Version:     1,
		CreatedAt:   at,
		UpdatedAt:   at,
	}
}

// forNewcomers checks the permissions of a default role: system permissions would
// make every new member an administrator.
func (f *faults) forNewcomers(field string, permissions []*db.Permission) {
	var system []string
	for _, p := range permissions {
		if p.IsSystem {
			system = append(system, p.Key)
		}
	}
	if len(system) > 0 {
		slices.Sort(system)
		f.Add(problem.Invalid, field, "A default role goes to every newcomer: it cannot contain %s.", enumerate(slices.Compact(system)))
	}
}

// roleValues are the values of a role in the log of changes.
type roleValues struct {
	db.Role
	Permissions []string `json:"permissions"`
}

// deletedRole are the values of a deleted role, and how many grants ended with it.
type deletedRole struct {
	roleValues
	Grants int `json:"grants"`
}

// UpdateRoleInput changes the fields that are set; a null name becomes the key.
type UpdateRoleInput struct {
	Role RoleRef
	// IfVersion is the version that the role must have.
	IfVersion              *int
	Key, Name, Description graphql.Omittable[*string]
	IsDefault              graphql.Omittable[*bool]
}

// UpdateRole changes the names of a role and whether new members get it. To make it a
// default role, the actor must be allowed to hand out its permissions.
func (d *Directory) UpdateRole(ctx context.Context, in UpdateRoleInput) (*db.Role, error) {
	return roleDefinitions.change(ctx, d, in.Role.lookUp(), func(ctx context.Context, w *write, role *db.Role) error {
		before := *role
		w.faults.version(in.IfVersion, role.Version)
		w.faults.updateRole(in, role)
		if role.IsDefault && !before.IsDefault {
			permissions, err := d.contained(ctx, role)
			if err != nil {
				return err
			}
			w.faults.forNewcomers("input.isDefault", permissions)
			if _, err := d.allow(ctx, w, access.Handout{By: access.RolesWrite, Items: permissionItems(permissions, nil)}); err != nil {
				return err
			}
		}
		return w.update(ctx, role, changes.RoleUpdated, role.ID.String(), &before, func() { w.touch(role) })
	})
}

func (f *faults) updateRole(in UpdateRoleInput, role *db.Role) {
	role.Key = f.newKey("input.key", in.Key, role.Key, systemRolePrefix)
	if in.Name.IsSet() {
		role.Name = f.label("input.name", in.Name.Value(), role.Key)
	}
	if in.Description.IsSet() {
		role.Description = f.prose("input.description", in.Description.Value(), maxDescription)
	}
	f.flag("input.isDefault", in.IsDefault, &role.IsDefault)
}

// touch sets the version and time of a role that has changed.
func (w *write) touch(role *db.Role) { role.Version, role.UpdatedAt = role.Version+1, w.At }

// RoleActionInput names the role to act upon.
type RoleActionInput struct{ Role RoleRef }

// DeleteRole takes the role from everyone who holds it and from the defaults of
// organizations. A tombstone remains, because history refers to it. The actor must
// hold the permissions of Roster itself that the role contains.
func (d *Directory) DeleteRole(ctx context.Context, in RoleActionInput) ([]string, error) {
	role, err := roleDefinitions.change(ctx, d, in.Role.lookUp(), func(ctx context.Context, w *write, role *db.Role) error {
		if err := w.faults.Err(); err != nil {
			return err
		}
		permissions, err := d.contained(ctx, role)
		if err != nil {
			return err
		}
		w.mayTakeAway(permissions, "input.role")
		if err := w.faults.Err(); err != nil {
			return err
		}
		before := deletedRole{roleValues: roleValues{*role, permissionKeys(permissions)}}
		if err := w.removePermissions(ctx, role, permissions); err != nil {
			return err
		}
		if before.Grants, err = w.endGrants(ctx, roleGrants, uuid.UUID(role.ID)); err != nil {
			return err
		}
		if err := d.dropFromDefaults(ctx, w, role); err != nil {
			return err
		}
		role.IsDefault, role.DeletedAt = false, &w.At
		if err := w.saveTouched(ctx, role); err != nil {
			return err
		}
		return w.Record(changes.RoleDeleted, role.ID.String(), nil, before, nil)
	})
	if err != nil {
		return nil, err
	}
	return []string{role.ID.String()}, nil
}

// rolesNamed returns the roles that a list of the input names, each once and in that
// order, and keeps others from changing or deleting them until the end of the
// transaction, so that a role is not deleted while it is granted. It adds a fault for
// each that does not exist.
func (d *Directory) rolesNamed(ctx context.Context, w *write, field string, refs []*RoleRef, least int) ([]*db.Role, error) {
	if !w.faults.size(field, len(refs), least) {
		return nil, nil
	}
	roles, err := roleDefinitions.lock(ctx, d, w, looksOf(refs), field, "for share")
	return distinctNonNil(roles), err
}

func (r RoleRef) lookUp() lookUp { return byIDOrKey[db.RoleKind](r.ID, r.Key) }

// rolesToGrant is rolesNamed for the roles of new members: nil, which stands for the
// default ones, if refs is nil.
func (d *Directory) rolesToGrant(ctx context.Context, w *write, refs []*RoleRef) ([]db.RoleID, error) {
	if refs == nil {
		return nil, nil
	}
	roles, err := d.rolesNamed(ctx, w, "input.roles", refs, 0)
	return roleIDs(roles), err
}
