package directory

import (
	"context"
	"crypto/subtle"
	"errors"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/problem"
)

// NoInvitation returns the problem of every token that lets nobody in: unknown, expired,
// revoked, replaced, used already, or of an invitation that its inviter could no longer
// make.
func NoInvitation() error {
	return problem.At(problem.Invalid, "input.token", "This invitation is not valid, or no longer. Ask for a new one.")
}

const openInvitationText = `select i.* from invitations i join organizations o on o.id = i.org_id and o.status = 'ACTIVE' and o.deleted_at is null
	where i.id = $1 and i.live and i.expires_at > $2`

// OpenInvitation returns the invitation with that id, whoever asks, unless it was accepted,
// revoked or replaced, has expired, or leads to an organization that is suspended. Otherwise
// it returns nil.
func (d *Directory) OpenInvitation(ctx context.Context, id db.InvitationID) (*db.Invitation, error) {
	return db.SelectOne[db.Invitation](ctx, d.db, openInvitationText, id, d.clock())
}

// Grounded reports whether the inviter may still hand out what the invitation promises.
func (d *Directory) Grounded(ctx context.Context, i *db.Invitation) (bool, error) {
	ground, err := d.groundOf(ctx, i)
	return ground != nil, err
}

// ground is what an invitation rests on: its inviter, as they are now, and the roles that
// they may hand out, each of which still exists.
type ground struct {
	inviter   *access.Actor
	roles     []db.RoleID
	allowance access.Allowance
}

// groundOf returns what the invitation rests on, or nil if its inviter is no more, or may no
// longer hand out all of it.
func (d *Directory) groundOf(ctx context.Context, i *db.Invitation) (*ground, error) {
	inviter, err := d.inviterOf(ctx, i)
	if err != nil || inviter == nil {
		return nil, err
	}
	return d.groundBy(ctx, i, inviter)
}

// groundBy is groundOf for an inviter who was looked up. In a transaction, it keeps the
// roles from being changed.
func (d *Directory) groundBy(ctx context.Context, i *db.Invitation, inviter *access.Actor) (*ground, error) {
	if !inviter.Holds(access.MembersWrite, i.OrgID) {
		return nil, nil
	}
	lock := ""
	if db.HasTx(ctx) {
		lock = forShare
	}
	roles, err := db.Select[db.RoleID](ctx, d.db, "select id from roles where id = any($1) and deleted_at is null order by id "+lock, i.RoleIDs)
	if err != nil {
		return nil, err
	}
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	authority, err := d.engine.Authority(ctx, inviter)
	if err != nil {
		return nil, err
	}
	allowance, refused := authority.Allow(access.Handout{By: access.MembersWrite, Organization: &i.OrgID, Items: itemsIn(catalogue, roles, nil, nil)})
	if !refused.Empty() {
		return nil, nil
	}
	return &ground{inviter, roles, allowance}, nil
}

// inviterOf returns the inviter as an actor, or nil if they are no more.
func (d *Directory) inviterOf(ctx context.Context, i *db.Invitation) (*access.Actor, error) {
	return d.AbsentActor(ctx, i.InvitedBy, i.OrgID)
}

// Acceptance is an invitation whose address somebody has proven.
type Acceptance struct {
	Invitation db.InvitationID
	// Hash is the one of the token that was shown.
	Hash []byte
	// GivenName and FamilyName are the person's own, for a new user.
	GivenName, FamilyName *string
}

// Accepted is what an invitation has led to.
type Accepted struct {
	User *db.User
	// IsNew is true if the user was made for the invitation.
	IsNew        bool
	Organization db.OrganizationID
}

// AcceptInvitation makes whoever has the address of the invitation a member of its
// organization, with its roles, on the authority of the inviter, and makes the user unless
// there is one. It returns the problem of NoInvitation if the invitation is not open any
// more, its inviter may no longer hand out all of it, or the user or the member is
// suspended. Call it in the transaction that lets the person in.
func (d *Directory) AcceptInvitation(ctx context.Context, in Acceptance) (*Accepted, error) {
	var accepted *Accepted
	err := d.Writer.Atomically(ctx, func(ctx context.Context) error {
		ctx = access.WithActor(ctx, access.System("invitation"))
		var invitation *db.Invitation
		var org *db.Organization
		err := d.write(ctx, func(ctx context.Context, w *write) (err error) {
			accepted = &Accepted{}
			if invitation, org, accepted.User, err = d.lockAcceptance(ctx, w, in); err != nil {
				return err
			}
			if accepted.User != nil {
				return w.proveEmail(ctx, accepted.User)
			}
			accepted.IsNew = true
			accepted.User, err = w.insertInvited(ctx, invitation, in)
			return err
		})
		if err != nil {
			return err
		}
		accepted.Organization = org.ID
		if err := d.endAccepted(ctx, invitation, accepted.User.ID); err != nil {
			return err
		}
		return d.joinInvited(ctx, invitation, org, accepted.User)
	})
	return accepted, err
}

// endAccepted notes that the user has accepted the invitation, which ends it.
func (d *Directory) endAccepted(ctx context.Context, i *db.Invitation, user db.UserID) error {
	return d.Writer.Write(ctx, user.String(), func(ctx context.Context, w *changes.Write) error {
		if _, err := w.NewUpdate().Model(i).Set("live = false, accepted_at = ?, user_id = ?", d.clock(), user).WherePK().Exec(ctx); err != nil {
			return err
		}
		return w.Record(changes.InvitationAccepted, i.ID.String(), &i.OrgID, nil, changes.Values{"userId": user})
	})
}

// lockAcceptance reads and locks, in the order in which every write locks, the
// organization, the user with the address, if there is one, and the invitation. It returns
// the problem of NoInvitation unless all may be accepted.
func (d *Directory) lockAcceptance(ctx context.Context, w *write, in Acceptance) (*db.Invitation, *db.Organization, *db.User, error) {
	open, err := d.OpenInvitation(ctx, in.Invitation)
	if err != nil || open == nil {
		return nil, nil, nil, orNoInvitation(err)
	}
	var b db.Batch
	orgs := db.Queue[db.Organization](&b, "select * from organizations where id = $1 and status = 'ACTIVE' and deleted_at is null "+forMembers, open.OrgID)
	users := db.Queue[db.User](&b, "select * from users where email_key = $1 and deleted_at is null "+forChange, db.EmailKey(open.Email))
	invitations := db.Queue[db.Invitation](&b, openInvitationText+" for no key update of i", in.Invitation, d.clock())
	stopped := db.Queue[bool](&b, `select true from memberships m join users u on u.id = m.user_id and u.email_key = $1
		where m.org_id = $2 and m.status <> 'ACTIVE'`, db.EmailKey(open.Email), open.OrgID)
	if err := w.RunThenReadClock(ctx, &b); err != nil {
		return nil, nil, nil, err
	}
	invitation, org, user := invitations.One(), orgs.One(), users.One()
	switch {
	case invitation == nil, org == nil, stopped.One() != nil, user != nil && user.Status != db.Active:
		return nil, nil, nil, NoInvitation()
	case subtle.ConstantTimeCompare(invitation.Hash, in.Hash) == 0:
		return nil, nil, nil, NoInvitation()
	}
	return invitation, org, user, nil
}

func orNoInvitation(err error) error {
	if err == nil {
		err = NoInvitation()
	}
	return err
}

// insertInvited makes the user whom the invitation is for. Names of their own go before the
// ones of the invitation.
func (w *write) insertInvited(ctx context.Context, i *db.Invitation, in Acceptance) (*db.User, error) {
	user := w.faults.newUser(CreateUserInput{Email: &i.Email, GivenName: either(in.GivenName, i.GivenName), FamilyName: either(in.FamilyName, i.FamilyName)})
	user.EmailVerified, user.CreatedAt, user.UpdatedAt = true, w.At, w.At
	if err := w.insert(ctx, user); err != nil {
		return nil, err
	}
	return user, w.Record(changes.UserCreated, user.ID.String(), nil, nil, user)
}

// joinInvited makes the user a member of the organization by the authority of the
// inviter, of whom nothing can be taken until the transaction ends.
func (d *Directory) joinInvited(ctx context.Context, i *db.Invitation, org *db.Organization, user *db.User) error {
	inviter, err := d.inviterOf(ctx, i)
	if err != nil || inviter == nil {
		return orNoInvitation(err)
	}
	ctx, err = d.Writer.Confirm(access.WithActor(ctx, inviter))
	switch {
	case errors.Is(err, errEnded):
		return NoInvitation()
	case err != nil && !errors.Is(err, changes.ErrActorChanged):
		return err
	}
	ground, err := d.groundBy(ctx, i, access.ActorOf(ctx))
	if err != nil || ground == nil {
		return orNoInvitation(err)
	}
	var roles []db.RoleID // nil stands for the default ones
	if !i.DefaultRoles {
		roles = append([]db.RoleID{}, ground.roles...)
	}
	return d.write(ctx, func(ctx context.Context, w *write) error {
		_, err := d.join(ctx, w, org, newcomers(user.ID), roles, ground.allowance)
		return err
	})
}

// either returns the first pointer that is not nil.
func either[T any](one, other *T) *T {
	if one != nil {
		return one
	}
	return other
}
