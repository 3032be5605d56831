package directory

import (
	"context"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// OffboardUserInput names somebody who leaves the business.
type OffboardUserInput struct {
	User UserRef
	// Reason is why, for the log of changes.
	Reason *string
}

// OffboardUser ends all that the user has, everywhere: it suspends them, ends their sessions
// and grants, the API keys that stand for them or that they answer for, and the invitations
// that they have made, and takes them out of every organization but the default one, which
// they join first if need be. Whatever has ended already stays as it is. The actor must
// outrank the user.
func (d *Directory) OffboardUser(ctx context.Context, in OffboardUserInput) (*db.User, error) {
	var user *db.User
	err := d.change(ctx, access.UsersWrite, func(ctx context.Context, w *write) error {
		if err := d.interruptUser(ctx, in.User); err != nil {
			return err
		}
		home, err := d.lockDefaultOrganization(ctx)
		if err != nil {
			return err
		}
		reason := w.faults.prose("input.reason", in.Reason, maxReason)
		if user, err = d.lockUser(ctx, w, in.User); user == nil || err != nil {
			return err
		}
		if err := d.outrank(ctx, w, user.ID, nil, "input.user"); err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		return d.offboard(ctx, w, user, home, reason)
	})
	return user, err
}

// offboard ends all that the user, who is locked, has.
func (d *Directory) offboard(ctx context.Context, w *write, user *db.User, home *db.Organization, reason *string) error {
	before := *user
	user.Status = db.Suspended
	if err := w.updateUser(ctx, user, changes.UserSuspended, &before, reason); err != nil {
		return err
	}
	if _, err := EndAllSessions(ctx, w.Write, user.ID, nil); err != nil {
		return err
	}
	if err := d.goHome(ctx, w, user.ID, home, reason); err != nil {
		return err
	}
	if _, err := w.revokeKeys(ctx, "k.user_id = ?0 or k.responsible_user_id = ?0", user.ID); err != nil {
		return err
	}
	return w.revokeInvitations(ctx, d.clock(), "i.invited_by = ?", user.ID.String())
}

// goHome ends all that the user is granted, and their memberships of all organizations but
// home. The user becomes a member of that, unless they are one.
func (d *Directory) goHome(ctx context.Context, w *write, user db.UserID, home *db.Organization, reason *string) error {
	joined, err := d.join(ctx, w, home, newcomers(user), []db.RoleID{}, access.Allowance{})
	if err != nil {
		return err
	}
	others, err := pointers(db.Select[db.Membership](ctx, d.db, "select * from memberships where user_id = $1 and org_id <> $2 for update", user, home.ID))
	if err != nil {
		return err
	}
	if len(others) > 0 {
		if err := w.leave(ctx, d, others, reason); err != nil {
			return err
		}
	}
	return w.revokeAll(ctx, d, joined[0], reason)
}

// revokeAll revokes all that the member, who is locked, is granted.
func (w *write) revokeAll(ctx context.Context, d *Directory, member *db.Membership, reason *string) error {
	roles, permissions, err := d.notEnded(ctx, w, member)
	if err != nil {
		return err
	}
	members, now := []*db.Membership{member}, revocation{reason: reason}
	held := make([]db.RoleID, len(roles))
	for i, g := range roles {
		held[i] = g.RoleID
	}
	if err := w.revoke(ctx, d, roleGrants, members, raw(distinct(held)), now); err != nil {
		return err
	}
	direct := make([]db.PermissionID, len(permissions))
	for i, g := range permissions {
		direct[i] = g.PermissionID
	}
	return w.revoke(ctx, d, permissionGrants, members, raw(distinct(direct)), now)
}
