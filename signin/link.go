package signin

import (
	"context"
	"errors"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/directory"
	"roster/mail"
	"roster/problem"
	"roster/provider"
)

// This file decides whose account somebody enters who was signed in by a provider:
//
//	who has the identity (issuer, subject)                    theirs
//	else: is the address proven?                              by a code, unless the provider's word on it counts
//	  somebody has it, and has signed in, or not trusted      by a code in any case
//	  somebody has it, who holds permissions of Roster        by a code in any case, if it is an organization's
//	  somebody has it                                         theirs, and linked
//	  nobody has it                                           a new one, as after signing up
//
// An address alone never says who somebody is.

// arrival is somebody whom a provider has signed in.
type arrival struct {
	provider.Profile
	Provider db.ProviderID `json:"provider"`
	// Key and Trusted are the provider's, and so is Organization, which is nil for the
	// business.
	Key          string             `json:"key"`
	Trusted      bool               `json:"trusted,omitempty"`
	Organization *db.OrganizationID `json:"organization,omitempty"`
	// Sync is the provider's choice; nil leaves it to the settings.
	Sync *bool `json:"sync,omitempty"`
	// Authoritative is true if the provider's word on the address counts.
	Authoritative bool `json:"authoritative,omitempty"`
}

// newArrival returns the person whom the provider has signed in. The provider's word on the
// address counts if the provider can know it, and speaks for the domain: one that is bound to
// domains for these, and none but Google and Microsoft without any.
func newArrival(p *directory.Provider, profile *provider.Profile) *arrival {
	a := &arrival{Profile: *profile, Provider: p.ID, Key: p.Key, Trusted: p.Trusted, Organization: p.OrgID, Sync: p.SyncProfiles}
	clean := a.clean()
	a.Email, a.Name, a.GivenName, a.FamilyName, a.PictureURL = clean.Email, clean.Name, clean.GivenName, clean.FamilyName, clean.PictureURL
	speaks := p.Serves(a.Email) || p.Public() && p.Kind != db.OIDCProvider
	a.Authoritative = a.Email != "" && profile.Vouched && speaks
	return a
}

// clean returns what the provider says of the person, as users can have it.
func (a *arrival) clean() directory.Profile {
	return directory.Profile{Email: a.Email, Name: a.Name, GivenName: a.GivenName, FamilyName: a.FamilyName, PictureURL: a.PictureURL}.Clean()
}

// errUnproven says that a code has to prove the address.
var errUnproven = errors.New("the address is not proven")

// admissible returns FORBIDDEN for somebody whom the provider may not speak for: that of an
// organization has no say in the people of others.
func (a *arrival) admissible(p *directory.Provider) error {
	if a.Organization != nil && !a.Authoritative {
		return problem.New(problem.Forbidden, "%s signs in people of one organization only, and your address does not belong to it.", p.DisplayName)
	}
	return nil
}

// arrive signs in whom the provider has signed in, or begins the flow that proves the
// address. from is the flow that ends here.
func (s *Service) arrive(ctx context.Context, from *flow, p *directory.Provider, a *arrival) (*Result, error) {
	w := wish{Organization: from.wish.Organization, Arrival: a, Invitation: from.wish.Invitation}
	if w.Organization == nil {
		w.Organization = p.OrgID
	}
	f := s.newFlow(forSignIn, NextEmailCode, p.Key, nil, nonEmpty(a.Email), w)
	if err := a.admissible(p); err != nil {
		return nil, s.note(ctx, f, p.Key, err)
	}
	if err := s.isInvited(ctx, f); err != nil {
		return nil, s.note(ctx, f, p.Key, err)
	}
	known, err := s.identityOf(ctx, a)
	if err != nil {
		return nil, err
	}
	switch {
	case known != nil:
		f.UserID = &known.UserID
	case a.Email == "":
		return nil, s.note(ctx, f, p.Key, problem.New(problem.Forbidden, "%s does not say your email address, which is needed here. Allow it there, or sign in in another way.", p.DisplayName))
	}
	result, err := s.proceed(ctx, f, p.Key, s.identify)
	if !errors.Is(err, errUnproven) {
		return result, err
	}
	return s.askToProve(ctx, f, p)
}

// isInvited returns FORBIDDEN if the flow accepts an invitation of another address than the
// provider has named.
func (s *Service) isInvited(ctx context.Context, f *flow) error {
	if f.wish.Invitation == nil {
		return nil
	}
	i, err := s.Directory.OpenInvitation(ctx, f.wish.Invitation.ID)
	switch {
	case err != nil:
		return err
	case i == nil:
		return directory.NoInvitation()
	case db.EmailKey(f.wish.Arrival.Email) != i.EmailKey:
		return problem.New(problem.Forbidden, "This invitation is for %s, and not for the address of the account that you have signed in with.", i.Email)
	}
	return nil
}

// askToProve mails a code to the address that the provider has named. Whether somebody has it
// does not show, not even in the mail.
func (s *Service) askToProve(ctx context.Context, f *flow, p *directory.Provider) (*Result, error) {
	account, err := s.account(ctx, directory.UserRef{Email: f.Email})
	if err != nil {
		return nil, err
	}
	f.Account, f.UserID, f.Methods = account.typed, account.userID(), []string{p.Key}
	return s.mailCode(ctx, f, mail.Message{Kind: mail.IdentityCode, Provider: p.DisplayName})
}

// identityOf returns the identity of the person, or nil if nobody has it.
func (s *Service) identityOf(ctx context.Context, a *arrival) (*db.Identity, error) {
	return db.SelectOne[db.Identity](ctx, s.Database, "select * from identities where provider = $1 and subject = $2", a.Issuer, a.Subject)
}

// identify sets whose flow it is, in the transaction that signs them in. It returns
// errUnproven if that takes a proof of the address.
func (s *Service) identify(ctx context.Context, f *flow) error {
	a := f.wish.Arrival
	if f.wish.Invitation != nil && !a.Authoritative {
		return errUnproven
	}
	if f.UserID != nil {
		if _, err := s.person(ctx, *f.UserID); err != nil { // locks them
			return err
		}
		known, err := s.identityOf(ctx, a)
		if err != nil {
			return err
		}
		if known == nil || known.UserID != *f.UserID { // unlinked meanwhile
			return errNoFlow
		}
		return s.sync(ctx, a, known.UserID, known.Email == nil || *known.Email != a.Email)
	}
	if !a.Authoritative {
		return errUnproven
	}
	owner, err := s.owner(ctx, a.Email)
	if err != nil {
		return err
	}
	if owner != nil && (!a.Trusted || owner.SignInCount > 0) {
		return errUnproven
	}
	if owner != nil && a.Organization != nil {
		ranks, err := s.Directory.Ranks(ctx, owner.ID)
		if err != nil {
			return err
		}
		if ranks {
			return errUnproven
		}
	}
	return s.settle(ctx, f, owner)
}

// owner returns the user with that address, and locks them. It returns nil if
// nobody has it.
func (s *Service) owner(ctx context.Context, email string) (*db.User, error) {
	return db.SelectOne[db.User](ctx, s.Database, "select * from users where email_key = $1 and deleted_at is null for no key update", db.EmailKey(email))
}

// settleProven finds the account of somebody who has proven their address.
func (s *Service) settleProven(ctx context.Context, f *flow) error {
	owner, err := s.owner(ctx, *f.Email)
	if err != nil {
		return err
	}
	return s.settle(ctx, f, owner)
}

// settle links the identity to the user who has the address of the flow, which is proven, or
// to a new one if nobody has it. Whether there may be one is asked as when they sign up.
func (s *Service) settle(ctx context.Context, f *flow, owner *db.User) error {
	if owner == nil {
		if err := s.newcomer(ctx, f); err != nil {
			return err
		}
		return s.linkIdentity(ctx, f.wish.Arrival, *f.UserID)
	}
	f.UserID = &owner.ID
	if !owner.EmailVerified {
		if err := s.dropWaysIn(ctx, f); err != nil {
			return err
		}
	}
	if err := s.Directory.ProveEmail(ctx, owner.ID, *owner.Email); err != nil {
		return err
	}
	if err := s.linkIdentity(ctx, f.wish.Arrival, owner.ID); err != nil {
		return err
	}
	if org := f.wish.Arrival.Organization; org != nil {
		if err := s.Directory.Admit(ctx, owner.ID, *org); err != nil {
			return err
		}
	}
	return s.sync(ctx, f.wish.Arrival, owner.ID, true)
}

// newcomer makes the account of the flow: by its invitation, which is accepted then, or as
// when somebody signs up.
func (s *Service) newcomer(ctx context.Context, f *flow) error {
	if f.wish.Invitation == nil {
		return s.completeSignUp(ctx, f)
	}
	err := s.completeInvitation(ctx, f)
	f.wish.Invitation = nil
	return err
}

// dropWaysIn takes away every way into the account of the flow, whose address nobody had
// proven before: whoever has chosen the password, or has linked an identity, was perhaps
// somebody else.
func (s *Service) dropWaysIn(ctx context.Context, f *flow) error {
	user := *f.UserID
	var dropped []db.Identity
	if _, err := s.Directory.Writer.Unrecorded(ctx).NewDelete().Table("passwords").Where("user_id = ?", user).Exec(ctx); err != nil {
		return err
	}
	err := s.Directory.Writer.Write(ctx, actorText(ctx, user), func(ctx context.Context, w *changes.Write) error {
		if _, err := w.NewDelete().Model((*db.Identity)(nil)).Where("user_id = ?", user).Returning("*").Exec(ctx, &dropped); err != nil {
			return err
		}
		for _, one := range dropped {
			if err := w.Record(changes.UserIdentityUnlinked, user.String(), nil, changes.Values{"provider": one.Provider}, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	f.stored = false // the flow ends with all others of the user, and may have to go on
	_, err = s.endSessionsOf(ctx, user, nil)
	return err
}

// linkIdentity makes the identity the user's, who is locked. It returns CONFLICT if it is
// somebody else's.
func (s *Service) linkIdentity(ctx context.Context, a *arrival, user db.UserID) error {
	return s.Directory.Writer.Write(ctx, actorText(ctx, user), func(ctx context.Context, w *changes.Write) error {
		row := &db.Identity{
			ID: db.NewID[db.IdentityKind](), Provider: a.Issuer, Subject: a.Subject, UserID: user, ProviderID: &a.Provider, Email: nonEmpty(a.Email), CreatedAt: s.now(),
		}
		done, err := w.NewInsert().Model(row).On("conflict do nothing").Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n > 0 {
			return errors.Join(err, w.Record(changes.UserIdentityLinked, user.String(), nil, nil, changes.Values{"provider": a.Issuer}))
		}
		known, err := s.identityOf(ctx, a)
		if err == nil && (known == nil || known.UserID != user) {
			err = problem.New(problem.Conflict, "This account there belongs to another account here.")
		}
		return err
	})
}

// linkOwn links the identity to the account of the person who is signed in, who is the one
// who has begun the flow, and tells them by mail.
func (s *Service) linkOwn(ctx context.Context, f *flow, p *directory.Provider, a *arrival) error {
	actor, err := access.RequirePerson(ctx)
	if err != nil || !actor.Is(*f.UserID) {
		return errNoFlow
	}
	if err := a.admissible(p); err != nil {
		return err
	}
	return s.atomically(ctx, func(ctx context.Context, _ func(error) error) error {
		return s.Directory.ActOnOneself(ctx, func(ctx context.Context, _ *changes.Write, user *db.User) error {
			if err := s.linkIdentity(ctx, a, user.ID); err != nil || user.Email == nil {
				return err
			}
			return s.send(ctx, mail.Message{Kind: mail.IdentityLinked, To: *user.Email, Provider: p.DisplayName})
		})
	})
}

// sync takes over what the provider says of the user at a sign-in, if that is wanted: the
// address only if the provider's word on it counts. The old address is told. say is
// true if it is new that the provider says this address.
func (s *Service) sync(ctx context.Context, a *arrival, user db.UserID, say bool) error {
	settings, err := s.Directory.SignInSettings(ctx)
	if err != nil {
		return err
	}
	wanted := settings.SyncProfilesOnSignIn
	if a.Sync != nil {
		wanted = *a.Sync
	}
	if !wanted {
		return nil
	}
	profile := directory.Profile{Name: a.Name, GivenName: a.GivenName, FamilyName: a.FamilyName, PictureURL: a.PictureURL}
	if a.Authoritative {
		profile.Email = a.Email
	}
	synced, err := s.Directory.SyncProfile(ctx, user, "provider "+a.Key, profile, say)
	if err != nil || synced.OldEmail == nil {
		return err
	}
	return s.send(ctx, mail.Message{Kind: mail.AddressChanged, To: *synced.OldEmail, NewAddress: a.Email})
}

// used notes that the identity of the arrival has started a session.
func (s *Service) used(ctx context.Context, a *arrival) error {
	_, err := s.Directory.Writer.Unrecorded(ctx).NewUpdate().Model((*db.Identity)(nil)).
		Set("last_signed_in_at = ?, provider_id = ?, email = ?", s.now(), a.Provider, nonEmpty(a.Email)).
		Where("provider = ? and subject = ?", a.Issuer, a.Subject).Exec(ctx)
	return err
}
