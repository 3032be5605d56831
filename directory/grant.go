package directory

import (
	"context"
	"time"

	"roster/access"
	"roster/db"
	"roster/problem"
)

// maxGrants is the most grants that one field of a mutation makes or ends.
const maxGrants = 20_000

// GrantRolesInput gives every role to every user in the organization.
type GrantRolesInput struct {
	Organization     OrganizationRef
	Users            []*UserRef
	Roles            []*RoleRef
	StartsAt, EndsAt *time.Time
	Reason           *string
}

// GrantPermissionsInput gives every permission to every user in the
// organization.
type GrantPermissionsInput struct {
	Organization     OrganizationRef
	Users            []*UserRef
	Permissions      []*PermissionRef
	StartsAt, EndsAt *time.Time
	Reason           *string
}

// RevokeRolesInput takes every role from every user in the organization.
type RevokeRolesInput struct {
	Organization OrganizationRef
	Users        []*UserRef
	Roles        []*RoleRef
	Reason       *string
}

// RevokePermissionsInput takes every permission from every user in the
// organization.
type RevokePermissionsInput struct {
	Organization OrganizationRef
	Users        []*UserRef
	Permissions  []*PermissionRef
	Reason       *string
}

// GrantRoles gives the roles, from now or StartsAt on, until EndsAt, and gives
// the memberships in the order asked. What is held already changes its end and,
// if there is a new one, its reason.
func (d *Directory) GrantRoles(ctx context.Context, in GrantRolesInput) ([]*db.Membership, error) {
	return d.changeGrants(ctx, in.Organization, in.Users, "input.roles", len(in.Roles),
		func(ctx context.Context, w *write, org *db.Organization, members []*db.Membership) error {
			t, err := w.term(in.StartsAt, in.EndsAt, in.Reason)
			if err != nil {
				return err
			}
			roles, err := d.lockRoles(ctx, w, in.Roles, "input.roles")
			if err != nil {
				return err
			}
			ids := distinct(roleIDs(roles))
			if err := d.mayGrant(ctx, org.ID, ids, nil); err != nil {
				return err
			}
			return w.grant(ctx, roleGrants, members, raw(ids), t)
		})
}

// GrantPermissions is GrantRoles for permissions on top of roles.
func (d *Directory) GrantPermissions(ctx context.Context, in GrantPermissionsInput) ([]*db.Membership, error) {
	return d.changeGrants(ctx, in.Organization, in.Users, "input.permissions", len(in.Permissions),
		func(ctx context.Context, w *write, org *db.Organization, members []*db.Membership) error {
			t, err := w.term(in.StartsAt, in.EndsAt, in.Reason)
			if err != nil {
				return err
			}
			permissions, err := d.lockPermissions(ctx, w, in.Permissions, "input.permissions")
			if err != nil {
				return err
			}
			ids := distinct(permissionIDs(permissions))
			if err := d.mayGrant(ctx, org.ID, nil, ids); err != nil {
				return err
			}
			return w.grant(ctx, permissionGrants, members, raw(ids), t)
		})
}

// RevokeRoles takes the roles back, at once, and gives the memberships in the
// order asked. What is not held is passed over.
func (d *Directory) RevokeRoles(ctx context.Context, in RevokeRolesInput) ([]*db.Membership, error) {
	return d.changeGrants(ctx, in.Organization, in.Users, "input.roles", len(in.Roles),
		func(ctx context.Context, w *write, _ *db.Organization, members []*db.Membership) error {
			roles, err := d.lockRoles(ctx, w, in.Roles, "input.roles")
			if err != nil {
				return err
			}
			return w.revoke(ctx, roleGrants, members, raw(roleIDs(roles)), in.Reason)
		})
}

// RevokePermissions is RevokeRoles for permissions that were granted on top of
// roles; what comes through a role stays.
func (d *Directory) RevokePermissions(ctx context.Context, in RevokePermissionsInput) ([]*db.Membership, error) {
	return d.changeGrants(ctx, in.Organization, in.Users, "input.permissions", len(in.Permissions),
		func(ctx context.Context, w *write, _ *db.Organization, members []*db.Membership) error {
			permissions, err := d.lockPermissions(ctx, w, in.Permissions, "input.permissions")
			if err != nil {
				return err
			}
			return w.revoke(ctx, permissionGrants, members, raw(permissionIDs(permissions)), in.Reason)
		})
}

// changeGrants finds the members and lets fn change what they hold.
func (d *Directory) changeGrants(ctx context.Context, in OrganizationRef, users []*UserRef, field string, things int,
	fn func(ctx context.Context, w *write, org *db.Organization, members []*db.Membership) error,
) ([]*db.Membership, error) {
	var members []*db.Membership
	err := d.changeIn(ctx, access.MembersWrite, in, func(ctx context.Context, w *write, org *db.Organization) error {
		var f faults
		f.size("input.users", len(users), 1)
		f.size(field, things, 1)
		if len(users)*things > maxGrants {
			f.Add(problem.Invalid, "input.users", "At most %d grants at once.", maxGrants)
		}
		err := f.Err()
		if err != nil {
			return err
		}
		if members, err = d.lockMembers(ctx, org, users, "input.users"); err != nil {
			return err
		}
		return fn(ctx, w, org, members)
	})
	return members, err
}

func roleIDs(roles []*db.Role) []db.RoleID {
	ids := make([]db.RoleID, len(roles))
	for i, r := range roles {
		ids[i] = r.ID
	}
	return ids
}

func permissionIDs(permissions []*db.Permission) []db.PermissionID {
	ids := make([]db.PermissionID, len(permissions))
	for i, p := range permissions {
		ids[i] = p.ID
	}
	return ids
}
