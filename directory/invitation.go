package directory

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/db/list"
	"roster/problem"
)

// An invitation lets whoever has an email address join an organization. It rests on what
// its inviter may do, when it is made and again when it is accepted (invitation_accept.go).
// Package signin makes its token and mails it.

// visibleInvitations returns conditions on the invitations that the actor may see.
func visibleInvitations(ctx context.Context) ([]list.Clause, error) {
	org, err := access.ScopeOf(ctx, access.MembersRead)
	if err != nil || org == nil {
		return nil, err
	}
	return []list.Clause{list.Where("i.org_id = ?", *org)}, nil
}

// invitationsWith returns conditions on the invitations that the actor may see and that
// have the status now; nil stands for any.
func (d *Directory) invitationsWith(ctx context.Context, status *db.InvitationStatus) ([]list.Clause, error) {
	conditions, err := visibleInvitations(ctx)
	if err != nil || status == nil {
		return conditions, err
	}
	const open = "i.accepted_at is null and i.revoked_at is null and "
	switch *status {
	case db.InvitationAccepted:
		return append(conditions, list.Filter("i.accepted_at is not null")), nil
	case db.InvitationRevoked:
		return append(conditions, list.Filter("i.revoked_at is not null")), nil
	case db.InvitationExpired:
		return append(conditions, list.Filter(open+"i.expires_at <= ?", d.clock())), nil
	}
	return append(conditions, list.Filter(open+"i.expires_at > ?", d.clock())), nil
}

// Invitations returns a page of the invitations that the actor may see, of all
// organizations, in the order in which they were made.
func (d *Directory) Invitations(ctx context.Context, page list.Page, status *db.InvitationStatus) (*list.Connection[db.Invitation], error) {
	conditions, err := d.invitationsWith(ctx, status)
	if err != nil {
		return nil, err
	}
	return list.Query[db.Invitation]{
		Name: "invitations", From: "invitations i", Alias: "i", Columns: db.Columns[db.Invitation](d.db, nil), Conditions: conditions,
		Key: list.Key[db.Invitation]{
			Name: "CREATED_AT", Expression: "i.created_at", Column: "created_at", Type: list.Time,
			Value: func(i *db.Invitation) string { return list.TimeValue(&i.CreatedAt) },
		},
		ID: func(i *db.Invitation) uuid.UUID { return uuid.UUID(i.ID) },
	}.Page(ctx, d.db, page)
}

// organizationInvitation is a row in the lists of several organizations. Parent is the
// number of its organization.
type organizationInvitation struct {
	Row    *db.Invitation `bun:"embed:row__"`
	Parent int
}

// OrganizationInvitations is Invitations for each of the organizations.
func (d *Directory) OrganizationInvitations(ctx context.Context, orgs []db.OrganizationID, page list.Page, status *db.InvitationStatus) ([]*list.Connection[db.Invitation], error) {
	conditions, err := d.invitationsWith(ctx, status)
	if err != nil {
		return nil, err
	}
	order := list.Order{Name: "CREATED_AT", Expression: "i.created_at", Tie: "i.id", Type: list.Time}
	sorted := order
	sorted.Expression, sorted.Tie = "x.created_at", "x.id"
	connections, _, err := list.ByParent[organizationInvitation, db.Invitation]{
		Name: "organization.invitations", Number: len(orgs), Parents: parentIDs(orgs),
		From:       func(q *list.Statement, _ *list.Span) { q.Add("invitations i") },
		Conditions: append(conditions, list.Where("i.org_id = p.id")),
		Row:        "i.*, p.n as parent", Columns: "x.parent, " + list.ColumnsAs[db.Invitation](d.db, "x", "row__", nil)[1:], Order: order, Sorted: sorted,
		Node: func(r *organizationInvitation) *db.Invitation { return r.Row }, Parent: func(r *organizationInvitation) int { return r.Parent },
		Cursor: func(r *organizationInvitation) list.Cursor {
			return list.Cursor{Value: list.TimeValue(&r.Row.CreatedAt), ID: uuid.UUID(r.Row.ID)}
		},
	}.Page(ctx, d.db, page)
	return connections, err
}

// Invitation returns an invitation that the actor may see; nil if there is no such one.
func (d *Directory) Invitation(ctx context.Context, id string) (*db.Invitation, error) {
	conditions, err := visibleInvitations(ctx)
	if err != nil {
		return nil, err
	}
	return lookUpRow[db.Invitation](ctx, d, "invitations", "i", conditions, byID[db.InvitationKind](id), nil)
}

// InvitationStatuses returns the state of each of the invitations now.
func (d *Directory) InvitationStatuses(invitations []*db.Invitation) []db.InvitationStatus {
	statuses := make([]db.InvitationStatus, len(invitations))
	for i := range invitations {
		statuses[i] = invitations[i].StatusAt(d.clock())
	}
	return statuses
}

// InvitationRoles returns the roles that each of the invitations names and that still
// exist, ordered by key.
func (d *Directory) InvitationRoles(ctx context.Context, invitations []*db.Invitation) ([][]*db.Role, error) {
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	roles := make([][]*db.Role, len(invitations))
	for i := range invitations {
		roles[i] = existingRoles(catalogue, invitations[i].RoleIDs)
	}
	return roles, nil
}

// How long an invitation can be accepted: unless it says otherwise, and at most.
const (
	invitationLife    = 7 * 24 * time.Hour
	maxInvitationLife = 90 * 24 * time.Hour
)

// InviteInput describes an invitation.
type InviteInput struct {
	Email                 string
	GivenName, FamilyName *string
	// Organization is the one to join; nil means the default one.
	Organization *OrganizationRef
	// Roles are to be granted; nil means the default ones.
	Roles     []*RoleRef
	ExpiresAt *time.Time
	// SendEmail is false if whoever invites delivers the link.
	SendEmail bool
}

// Deliver makes a token for an invitation to the organization, which is about to be
// stored, and mails it if the invitation is of those that are mailed. It sets Hash and
// SentAt.
type Deliver func(ctx context.Context, invitation *db.Invitation, org *db.Organization) error

// Invite invites an address to an organization in which the actor manages the members, with
// roles that the actor may hand out. It replaces the invitation of the same address there,
// if there is one. It returns CONFLICT if somebody with the address is a member already.
func (d *Directory) Invite(ctx context.Context, in InviteInput, deliver Deliver) (*db.Invitation, error) {
	if _, err := access.ScopeOf(ctx, access.MembersWrite); err != nil {
		return nil, err
	}
	to, err := d.organizationOrDefault(ctx, in.Organization)
	if err != nil {
		return nil, err
	}
	var invitation *db.Invitation
	err = d.changeIn(ctx, access.MembersWrite, to, func(ctx context.Context, w *write, org *db.Organization) error {
		invitation = d.newInvitation(w, in)
		roles, err := d.rolesToInviteWith(ctx, w, org, in.Roles)
		if err != nil {
			return err
		}
		invitation.RoleIDs, invitation.DefaultRoles = roleIDs(roles), in.Roles == nil
		if err := d.mayBeInvited(ctx, w, invitation, org); err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		invitation.OrgID = org.ID
		if err := deliver(ctx, invitation, org); err != nil {
			return err
		}
		if err := w.insertInvitation(ctx, d, invitation); err != nil {
			return err
		}
		return w.Record(changes.InvitationCreated, invitation.ID.String(), &org.ID, nil, changes.Values{
			"roles": roleKeys(roles), "defaultRoles": invitation.DefaultRoles, "expiresAt": invitation.ExpiresAt, "mailed": invitation.SentAt != nil,
		})
	})
	return invitation, err
}

// organizationOrDefault returns the reference or, if it is nil, one to the default
// organization.
func (d *Directory) organizationOrDefault(ctx context.Context, ref *OrganizationRef) (OrganizationRef, error) {
	if ref != nil {
		return *ref, nil
	}
	id, err := db.SelectOne[db.OrganizationID](ctx, d.db, "select id from organizations where is_default")
	if err != nil || id == nil {
		return OrganizationRef{}, err
	}
	return OrganizationRef{ID: new(id.String())}, nil
}

// newInvitation returns the invitation that the input describes, without organization and
// roles, and adds the faults of the input.
func (d *Directory) newInvitation(w *write, in InviteInput) *db.Invitation {
	now := d.clock().UTC().Truncate(time.Microsecond)
	i := &db.Invitation{
		ID: db.NewID[db.InvitationKind](), InvitedBy: w.actor.String(), Live: true, CreatedAt: now, ExpiresAt: now.Add(invitationLife),
		GivenName:  w.faults.text("input.givenName", in.GivenName, maxName),
		FamilyName: w.faults.text("input.familyName", in.FamilyName, maxName),
	}
	if email := w.faults.email("input.email", &in.Email); email != nil {
		i.Email, i.EmailKey = *email, db.EmailKey(*email)
	}
	if end := w.faults.expiry("input.expiresAt", in.ExpiresAt, now); end != nil {
		i.ExpiresAt = *end
		if end.After(now.Add(maxInvitationLife)) {
			w.faults.Add(problem.Invalid, "input.expiresAt", "At most 90 days from now.")
		}
	}
	return i
}

// rolesToInviteWith returns the roles, each once, and adds faults for those that the actor
// must not hand out in the organization, which may be nil.
func (d *Directory) rolesToInviteWith(ctx context.Context, w *write, org *db.Organization, refs []*RoleRef) ([]*db.Role, error) {
	if refs == nil {
		return nil, nil
	}
	roles, err := d.rolesNamed(ctx, w, "input.roles", refs, 0)
	if err != nil {
		return nil, err
	}
	items, err := d.grantItems(ctx, w, roleIDs(roles), nil, nil)
	if err != nil {
		return nil, err
	}
	_, err = d.allowGrants(ctx, w, access.MembersWrite, org, items)
	return roles, err
}

// mayBeInvited adds faults unless the address may be invited to the organization, which
// may be nil. The business as a whole has no invitations: whoever is to administer it
// belongs to an ordinary organization first.
func (d *Directory) mayBeInvited(ctx context.Context, w *write, i *db.Invitation, org *db.Organization) error {
	switch {
	case org == nil:
		return nil
	case org.ID == db.Root:
		*w.faults.List = append(*w.faults.List, noOrganization("input.organization"))
		return nil
	case org.Status != db.Active:
		w.faults.Add(problem.Invalid, "input.organization", "The organization is suspended.")
	}
	isMember, err := db.SelectOne[bool](ctx, d.db, `select true from users u join memberships m on m.user_id = u.id and m.org_id = $1
		where u.email_key = $2 and u.deleted_at is null`, org.ID, i.EmailKey)
	if isMember != nil {
		w.faults.Add(problem.Conflict, "input.email", "Somebody with this address is a member already.")
	}
	return err
}

// insertInvitation stores the invitation in the place of the one, if any, of the same
// address to the same organization.
func (w *write) insertInvitation(ctx context.Context, d *Directory, i *db.Invitation) error {
	for { // until nobody else has stored one in between
		const same = "i.org_id = ? and i.email_key = ?"
		if err := w.revokeInvitations(ctx, d.clock(), same, i.OrgID, i.EmailKey); err != nil {
			return err
		}
		if _, err := w.NewUpdate().Model((*db.Invitation)(nil)).Set("live = false").Where("i.live").Where(same, i.OrgID, i.EmailKey).Exec(ctx); err != nil {
			return err
		}
		done, err := w.NewInsert().Model(i).On("conflict (org_id, email_key) where live do nothing").Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); n > 0 || err != nil {
			return err
		}
	}
}

// revokeInvitations revokes the invitations i that the condition selects and that could be
// accepted at that moment, by one statement, and records each.
func (w *write) revokeInvitations(ctx context.Context, now time.Time, condition string, args ...any) error {
	var revoked []db.Invitation
	err := w.NewRaw("update invitations i set live = false, revoked_at = ? where i.live and i.expires_at > ? and "+condition+" returning *",
		slices.Concat([]any{now, now}, args)...).Scan(ctx, &revoked)
	if err != nil {
		return err
	}
	for _, i := range revoked {
		if err := w.Record(changes.InvitationRevoked, i.ID.String(), &i.OrgID, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// InvitationActionInput names the invitation to act upon.
type InvitationActionInput struct{ Invitation string }

// ResendInvitation makes a new token of an invitation that was neither accepted nor
// revoked, in the place of the old one, and delivers it as the old one was. The invitation
// can be accepted for 7 days at least, so that the actor must be allowed to hand out its
// roles, too. It still rests on whoever has made it: if they may no longer hand out all of
// it, ResendInvitation returns INVALID.
func (d *Directory) ResendInvitation(ctx context.Context, in InvitationActionInput, deliver Deliver) (*db.Invitation, error) {
	return d.changeInvitation(ctx, in, func(ctx context.Context, w *write, i *db.Invitation) error {
		if !i.Live {
			w.faults.Add(problem.Invalid, "input.invitation", "It was accepted, revoked or replaced. Invite again.")
			return nil
		}
		org, err := db.SelectOne[db.Organization](ctx, d.db, "select * from organizations where id = $1 and status = 'ACTIVE'", i.OrgID)
		if err != nil {
			return err
		}
		ground, err := d.groundOf(ctx, i)
		if err != nil {
			return err
		}
		if org == nil || ground == nil {
			w.faults.Add(problem.Invalid, "input.invitation", "Whoever has made it may no longer hand out all of it, or the organization is suspended. Invite again.")
			return nil
		}
		items, err := d.grantItems(ctx, w, ground.roles, nil, nil)
		if err != nil {
			return err
		}
		if _, err := d.allowGrants(ctx, w, access.MembersWrite, org, items); err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		now := d.clock().UTC().Truncate(time.Microsecond)
		if end := now.Add(invitationLife); end.After(i.ExpiresAt) {
			i.ExpiresAt = end
		}
		if err := deliver(ctx, i, org); err != nil {
			return err
		}
		if _, err := w.NewUpdate().Model(i).Column("hash", "sent_at", "expires_at").WherePK().Exec(ctx); err != nil {
			return err
		}
		return w.Record(changes.InvitationResent, i.ID.String(), &i.OrgID, nil, changes.Values{"expiresAt": i.ExpiresAt})
	})
}

// RevokeInvitation ends an invitation that was not accepted. One that is revoked already
// stays as it is.
func (d *Directory) RevokeInvitation(ctx context.Context, in InvitationActionInput) (*db.Invitation, error) {
	return d.changeInvitation(ctx, in, func(ctx context.Context, w *write, i *db.Invitation) error {
		switch {
		case i.AcceptedAt != nil:
			w.faults.Add(problem.Invalid, "input.invitation", "It was accepted already. Remove the member instead.")
			return nil
		case i.RevokedAt != nil:
			return nil
		}
		now := d.clock().UTC().Truncate(time.Microsecond)
		i.Live, i.RevokedAt = false, &now
		if _, err := w.NewUpdate().Model(i).Column("live", "revoked_at").WherePK().Exec(ctx); err != nil {
			return err
		}
		return w.Record(changes.InvitationRevoked, i.ID.String(), &i.OrgID, nil, nil)
	})
}

// changeInvitation calls edit to change an invitation to an organization in which the
// actor manages the members, unless there is no such invitation.
func (d *Directory) changeInvitation(ctx context.Context, in InvitationActionInput, edit func(ctx context.Context, w *write, i *db.Invitation) error) (*db.Invitation, error) {
	reach, err := access.ScopeOf(ctx, access.MembersWrite)
	if err != nil {
		return nil, err
	}
	var invitation *db.Invitation
	err = d.write(ctx, func(ctx context.Context, w *write) error {
		id, malformed := db.ParseID[db.InvitationKind](in.Invitation)
		if malformed == nil {
			var b db.Batch
			rows := db.Queue[db.Invitation](&b, "select * from invitations where id = $1 and ($2::uuid is null or org_id = $2) for no key update", id, reach)
			if err := w.RunThenReadClock(ctx, &b); err != nil {
				return err
			}
			invitation = rows.One()
		}
		if invitation == nil {
			w.faults.Add(problem.NotFound, "input.invitation", "There is no such invitation.")
			return nil
		}
		return edit(ctx, w, invitation)
	})
	return invitation, err
}
