package directory

import (
	"context"
	"slices"
	"time"

	"roster/access"
	"roster/db"
	"roster/problem"
)

// maxGrants is the most grants that one field of a mutation makes or ends.
const maxGrants = 20_000

// GrantRolesInput names roles to grant, each to every user in the organization.
type GrantRolesInput struct {
	Organization     OrganizationRef
	Users            []*UserRef
	Roles            []*RoleRef
	StartsAt, EndsAt *time.Time
	Reason           *string
}

// GrantPermissionsInput names permissions to grant, each to every user in the
// organization.
type GrantPermissionsInput struct {
	Organization     OrganizationRef
	Users            []*UserRef
	Permissions      []*PermissionRef
	StartsAt, EndsAt *time.Time
	Reason           *string
}

// RevokeRolesInput names roles to take from every user in the organization.
type RevokeRolesInput struct {
	Organization OrganizationRef
	Users        []*UserRef
	Roles        []*RoleRef
	// EndsAt is when the grants end; nil means now.
	EndsAt *time.Time
	Reason *string
}

// RevokePermissionsInput names permissions to take from every user in the
// organization.
type RevokePermissionsInput struct {
	Organization OrganizationRef
	Users        []*UserRef
	Permissions  []*PermissionRef
	// EndsAt is when the grants end; nil means now.
	EndsAt *time.Time
	Reason *string
}

// GrantRoles grants the roles, from now or StartsAt until EndsAt, and returns the
// memberships in the order of the users. A member who has a role with another term
// gets a second grant of it beside the first; a grant with the same term stays, and
// takes the new reason, if there is one.
func (d *Directory) GrantRoles(ctx context.Context, in GrantRolesInput) ([]*db.Membership, error) {
	return d.changeGrants(ctx, in.Organization, in.Users, len(in.Roles), aheadOfRoles(in.Roles),
		func(ctx context.Context, w *write, org *db.Organization, named []*db.Membership) error {
			t := w.term(in.StartsAt, in.EndsAt, in.Reason)
			roles, err := d.rolesNamed(ctx, w, "input.roles", in.Roles, 1)
			if err != nil {
				return err
			}
			ids := roleIDs(roles)
			items, err := d.grantItems(ctx, w, ids, nil, t.endsAt)
			if err != nil {
				return err
			}
			allowance, err := d.allowGrants(ctx, w, access.MembersWrite, org, items)
			if err != nil {
				return err
			}
			return w.grant(ctx, d, allowance, roleGrants, distinctNonNil(named), raw(ids), t)
		})
}

// GrantPermissions is GrantRoles for permissions on top of roles.
func (d *Directory) GrantPermissions(ctx context.Context, in GrantPermissionsInput) ([]*db.Membership, error) {
	return d.changeGrants(ctx, in.Organization, in.Users, len(in.Permissions), aheadOfPermissions(in.Permissions),
		func(ctx context.Context, w *write, org *db.Organization, named []*db.Membership) error {
			t := w.term(in.StartsAt, in.EndsAt, in.Reason)
			permissions, err := d.permissionsNamed(ctx, w, "input.permissions", in.Permissions, 1)
			if err != nil {
				return err
			}
			ids := permissionIDs(permissions)
			items, err := d.grantItems(ctx, w, nil, ids, t.endsAt)
			if err != nil {
				return err
			}
			allowance, err := d.allowGrants(ctx, w, access.MembersWrite, org, items)
			if err != nil {
				return err
			}
			return w.grant(ctx, d, allowance, permissionGrants, distinctNonNil(named), raw(ids), t)
		})
}

// RevokeRoles ends every grant of the roles at EndsAt, unless it ends earlier,
// and returns the memberships in the order of the users. It ignores roles that
// were not granted. The actor must outrank the users if a role contains permissions of
// Roster itself; ordinary permissions may be taken away without holding them.
func (d *Directory) RevokeRoles(ctx context.Context, in RevokeRolesInput) ([]*db.Membership, error) {
	return d.changeGrants(ctx, in.Organization, in.Users, len(in.Roles), aheadOfRoles(in.Roles),
		func(ctx context.Context, w *write, _ *db.Organization, named []*db.Membership) error {
			r := w.revocation(in.EndsAt, in.Reason)
			roles, err := d.rolesNamed(ctx, w, "input.roles", in.Roles, 1)
			if err != nil {
				return err
			}
			if err := d.mayRevoke(ctx, w, named, roleIDs(roles), nil); err != nil {
				return err
			}
			return w.revoke(ctx, d, roleGrants, distinctNonNil(named), raw(roleIDs(roles)), r)
		})
}

// RevokePermissions is RevokeRoles for permissions that were granted on top of
// roles; permissions that a role contains stay.
func (d *Directory) RevokePermissions(ctx context.Context, in RevokePermissionsInput) ([]*db.Membership, error) {
	return d.changeGrants(ctx, in.Organization, in.Users, len(in.Permissions), aheadOfPermissions(in.Permissions),
		func(ctx context.Context, w *write, _ *db.Organization, named []*db.Membership) error {
			r := w.revocation(in.EndsAt, in.Reason)
			permissions, err := d.permissionsNamed(ctx, w, "input.permissions", in.Permissions, 1)
			if err != nil {
				return err
			}
			if err := d.mayRevoke(ctx, w, named, nil, permissionIDs(permissions)); err != nil {
				return err
			}
			return w.revoke(ctx, d, permissionGrants, distinctNonNil(named), raw(permissionIDs(permissions)), r)
		})
}

// mayRevoke checks that the actor may take the roles and permissions from the members
// whom the input users name: if some are permissions of Roster itself, the actor must
// outrank the members.
func (d *Directory) mayRevoke(ctx context.Context, w *write, named []*db.Membership, roles []db.RoleID, direct []db.PermissionID) error {
	items, err := d.grantItems(ctx, w, roles, direct, nil)
	if err != nil || !slices.ContainsFunc(permissionsOf(items), isSystem) {
		return err
	}
	return d.outrankMembers(ctx, w, named, "input.users")
}

// changeGrants finds the members and calls fn, which changes what they hold: named
// are the members in the order of the input, or nil. It calls fn even if there are
// faults, so that fn adds its own. What the input names is read and locked in one round
// trip, also the targets, which ahead adds to the batch.
func (d *Directory) changeGrants(ctx context.Context, in OrganizationRef, users []*UserRef, targets int, ahead func(w *write, b *db.Batch),
	fn func(ctx context.Context, w *write, org *db.Organization, named []*db.Membership) error,
) ([]*db.Membership, error) {
	reach, err := access.ScopeOf(ctx, access.MembersWrite)
	if err != nil {
		return nil, err
	}
	var members []*db.Membership
	err = d.write(ctx, func(ctx context.Context, w *write) error {
		var b db.Batch
		organization := queueOrganization(&b, in, reach)
		var found func(w *write, org *db.Organization) []*db.Membership
		if w.faults.fits(len(users), 1) {
			found = queueMembers(&b, users, organizationLook{in.lookUp(), reach})
		}
		ahead(w, &b)
		if err := w.RunThenReadClock(ctx, &b); err != nil {
			return err
		}
		org := organization(w, "input.organization")
		var named []*db.Membership
		if w.faults.size("input.users", len(users), 1) {
			named = found(w, org)
		}
		members = distinctNonNil(named)
		if len(users)*targets > maxGrants {
			w.faults.Add(problem.Invalid, "input.users", "At most %d grants at once.", maxGrants)
			named = nil
		}
		return fn(ctx, w, org, named)
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
