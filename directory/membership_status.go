package directory

import (
	"context"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// MemberActionInput names the member to act upon.
type MemberActionInput struct {
	User         UserRef
	Organization OrganizationRef
}

// SuspendMember makes what was granted to the user in the organization count for nothing,
// until the member is restored; other organizations are untouched. In the root, that is
// what the user holds for the business as a whole. The actor must outrank the user there.
func (d *Directory) SuspendMember(ctx context.Context, in MemberActionInput) (*db.Membership, error) {
	return d.changeMember(ctx, in, changes.MembershipSuspended, func(_ context.Context, _ *write, member *db.Membership) error {
		member.Status = db.Suspended
		return nil
	})
}

// RestoreMember ends a suspension: the member's grants count again, so the actor must
// outrank the user there, and be allowed to hand out what they are.
func (d *Directory) RestoreMember(ctx context.Context, in MemberActionInput) (*db.Membership, error) {
	return d.changeMember(ctx, in, changes.MembershipRestored, func(ctx context.Context, w *write, member *db.Membership) error {
		if member.Status == db.Active || len(*w.faults.List) > 0 {
			return nil
		}
		member.Status = db.Active
		at := "g.org_id = (select m.org_id from memberships m where m.id = $1)"
		if member.OrgID == db.Root { // keys that work everywhere come back
			at = "(" + at + " or g.org_id is null)"
		}
		theirs := "(" + at + " and g.user_id = (select m.user_id from memberships m where m.id = $1))"
		return d.mayRestore(ctx, w, access.MembersWrite, suspension{grants: theirs, keys: theirs, alsoKeys: "false"}, member.ID)
	})
}

// changeMember calls edit to change the membership of somebody whom the actor outranks,
// and records the action if it has changed. It does not call edit if there is no such
// member.
func (d *Directory) changeMember(ctx context.Context, in MemberActionInput, action changes.Action,
	edit func(ctx context.Context, w *write, member *db.Membership) error,
) (*db.Membership, error) {
	var member *db.Membership
	err := d.changeIn(ctx, access.MembersWrite, in.Organization, func(ctx context.Context, w *write, org *db.Organization) error {
		members, err := d.lockMembers(ctx, w, org, []*UserRef{&in.User}, "input.user")
		if err != nil {
			return err
		}
		if err := d.outrankMembers(ctx, w, members, "input.user"); err != nil {
			return err
		}
		if org == nil || members[0] == nil {
			return nil
		}
		member = members[0]
		before := *member
		if err := edit(ctx, w, member); err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil || before == *member {
			return err
		}
		if _, err := w.NewUpdate().Model(member).Column("status").WherePK().Exec(ctx); err != nil {
			return err
		}
		return w.Record(action, member.ID.String(), &member.OrgID, memberValues(before), memberValues(*member))
	})
	return member, err
}
