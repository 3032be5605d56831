package signin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/url"
	"slices"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/directory"
	"roster/mail"
	"roster/problem"
	"roster/secret"
)

// An invitation is a promise to an address, and its token what names it. Whoever shows the
// token begins a flow, in which the address has to be proven; a token that was mailed proves
// it by itself. When a flow has shown enough, Service.advance accepts its invitation.

// InvitationPath is the path of the page that invitations lead to.
const InvitationPath = "/signin/invitation"

// invitationPrefix begins every token of an invitation.
const invitationPrefix = "ri_"

// invitationToken is what names an invitation to whom it is for.
type invitationToken named

func newInvitationToken(of db.InvitationID) invitationToken { return invitationToken(newNamed(of)) }

// parseInvitationToken returns the token of the text. For any other text, it returns the
// zero token, which nobody has.
func parseInvitationToken(text string) invitationToken {
	n, ok := parseNamed(invitationPrefix, text)
	if !ok {
		return invitationToken{}
	}
	return invitationToken(n)
}

func (t invitationToken) invitation() db.InvitationID { return db.InvitationID(t[:16]) }

// hash returns the hash of the token for an address: the token is good for no other one,
// and for nothing but an invitation.
func (t invitationToken) hash(email string) []byte {
	sum := sha256.Sum256([]byte("invitation\n" + string(t[:]) + "\n" + email))
	return sum[:]
}

// link returns the address of the page where the invitation is accepted.
func (s *Service) link(t invitationToken) string {
	return s.Issuer + InvitationPath + "?" + url.Values{"token": {named(t).text(invitationPrefix)}}.Encode()
}

// Delivered is an invitation with a new token. Link, the address of the page where it is
// accepted, is empty if it was mailed.
type Delivered struct {
	Invitation *db.Invitation
	Link       secret.Text
}

// Invite is directory.Invite; the invitation is mailed if the input says so.
func (s *Service) Invite(ctx context.Context, in directory.InviteInput) (d Delivered, err error) {
	d.Invitation, err = s.Directory.Invite(ctx, in, s.deliver(in.SendEmail, &d.Link))
	return d, err
}

// ResendInvitation is directory.ResendInvitation; an invitation that was mailed is mailed
// again.
func (s *Service) ResendInvitation(ctx context.Context, in directory.InvitationActionInput) (d Delivered, err error) {
	d.Invitation, err = s.Directory.ResendInvitation(ctx, in, func(ctx context.Context, i *db.Invitation, org *db.Organization) error {
		return s.deliver(i.SentAt != nil, &d.Link)(ctx, i, org)
	})
	return d, err
}

// deliver returns what makes a token for an invitation and mails it or, if it is not to be
// mailed, sets link.
func (s *Service) deliver(byMail bool, link *secret.Text) directory.Deliver {
	return func(ctx context.Context, i *db.Invitation, org *db.Organization) error {
		t := newInvitationToken(i.ID)
		i.Hash = t.hash(i.Email)
		if !byMail {
			*link = secret.New(s.link(t))
			return nil
		}
		if err := s.countMail(ctx, addresseeAt(i.Email)); err != nil {
			return err
		}
		i.SentAt = new(s.now())
		return s.send(ctx, mail.Message{Kind: mail.Invitation, To: i.Email, Organization: org.Name, Until: i.ExpiresAt, Link: s.link(t)})
	}
}

// Invited is what the page of an invitation shows to whoever has the token.
type Invited struct {
	Email                 string
	GivenName, FamilyName *string
	Organization          db.OrganizationID
	// Proven is true if the token proves the address, and HasAccount then says whether
	// somebody has it: nobody else learns that.
	Proven, HasAccount bool
	// ForAnother is true if somebody else is signed in.
	ForAnother bool
}

// Invited returns what the token of an invitation is about. It returns the problem of
// directory.NoInvitation for every token that lets nobody in.
func (s *Service) Invited(ctx context.Context, token string) (*Invited, error) {
	i, _, err := s.invitation(ctx, token)
	if err != nil {
		return nil, err
	}
	account, err := s.account(ctx, directory.UserRef{Email: &i.Email})
	if err != nil {
		return nil, err
	}
	proven := i.SentAt != nil
	return &Invited{
		Email: i.Email, GivenName: i.GivenName, FamilyName: i.FamilyName, Organization: i.OrgID,
		Proven: proven, HasAccount: proven && account.user != nil, ForAnother: isForAnother(ctx, account),
	}, nil
}

// isForAnother reports whether somebody is signed in to another account.
func isForAnother(ctx context.Context, account *account) bool {
	actor := access.ActorOf(ctx)
	return actor != nil && actor.Session != nil && (account.user == nil || !actor.Is(account.user.ID))
}

// invitation returns the invitation of the token, and the token's hash. It returns the
// problem of directory.NoInvitation, after the same statements, for every token that is
// not the present one of an open invitation.
func (s *Service) invitation(ctx context.Context, token string) (*db.Invitation, []byte, error) {
	t := parseInvitationToken(token)
	i, err := s.Directory.OpenInvitation(ctx, t.invitation())
	switch {
	case err != nil:
		return nil, nil, err
	case i == nil || subtle.ConstantTimeCompare(i.Hash, t.hash(i.Email)) == 0:
		return nil, nil, directory.NoInvitation()
	}
	grounded, err := s.Directory.Grounded(ctx, i)
	if err == nil && !grounded {
		err = directory.NoInvitation()
	}
	return i, t.hash(i.Email), err
}

// AcceptInvitationInput has the token of an invitation. The others are for a new account.
type AcceptInvitationInput struct {
	Token                           string
	Password, GivenName, FamilyName *string
}

// wishedInvitation is the invitation that a flow accepts when its address is proven.
type wishedInvitation struct {
	ID db.InvitationID `json:"id"`
	// Hash is the one of the token that was shown: a later one replaces it.
	Hash []byte `json:"hash"`
}

// AcceptInvitation begins to accept an invitation. A token that was mailed proves the
// address, as a code does that was mailed; for others a code is mailed. Whoever is signed in
// with the address accepts at once, and whoever is signed in to another account is refused.
// Somebody without an account gets one. It returns the problem of directory.NoInvitation
// for every token that lets nobody in.
func (s *Service) AcceptInvitation(ctx context.Context, in AcceptInvitationInput) (*Result, error) {
	i, hash, err := s.invitation(ctx, in.Token)
	if err != nil {
		return nil, err
	}
	account, err := s.account(ctx, directory.UserRef{Email: &i.Email})
	if err != nil {
		return nil, err
	}
	if isForAnother(ctx, account) {
		return nil, problem.New(problem.Forbidden, "You are signed in with another account than the one that is invited. Sign out first.")
	}
	w, err := s.wishOfInvited(ctx, i, hash, in)
	if err != nil {
		return nil, err
	}
	f := s.newFlow(forInvitation, NextEmailCode, account.typed, nil, &i.Email, w)
	switch actor := access.ActorOf(ctx); {
	case account.user != nil && account.user.EmailVerified && actor.Is(account.user.ID) && actor.Session != nil:
		return s.acceptAs(ctx, actor, f)
	case i.SentAt == nil:
		return s.mailInvitedCode(ctx, f, in.Password)
	}
	if account.user == nil || account.user.PasswordHash == "" { // else it has one already
		if err := s.hashFirstPassword(ctx, f, in.Password); err != nil {
			return nil, err
		}
	}
	result, err := s.proceed(ctx, f, methodInvitation, func(context.Context, *flow) error { return nil })
	return s.let(ctx, result, err)
}

// mailInvitedCode begins to accept an invitation whose token proves no address. It is the
// same work whether somebody has the address or not.
func (s *Service) mailInvitedCode(ctx context.Context, f *flow, password *string) (*Result, error) {
	if err := s.countMail(ctx, f.addressee()); err != nil {
		return nil, err
	}
	if err := s.hashFirstPassword(ctx, f, password); err != nil { // after counting, since it is much work
		return nil, err
	}
	return s.mailCounted(ctx, f, mail.Message{Kind: mail.SignInCode})
}

// hashFirstPassword keeps the password, which may be chosen, for the account that the flow
// is about to make.
func (s *Service) hashFirstPassword(ctx context.Context, f *flow, password *string) (err error) {
	if password != nil {
		f.wish.PasswordHash, err = s.Passwords.Hash(ctx, secret.New(*password))
	}
	return err
}

// wishOfInvited returns what a flow that accepts the invitation keeps of the input, but for
// the password. It returns all faults of the input together.
func (s *Service) wishOfInvited(ctx context.Context, i *db.Invitation, hash []byte, in AcceptInvitationInput) (wish, error) {
	settings, err := s.Directory.SignInSettings(ctx)
	if err != nil {
		return wish{}, err
	}
	user, err := s.Directory.Newcomer(directory.CreateUserInput{Email: &i.Email, GivenName: in.GivenName, FamilyName: in.FamilyName})
	faults := problem.List(problem.All(err))
	if in.Password != nil {
		faults = append(faults, problem.All(checkFirstPassword(settings, in.Password, &i.Email))...)
	}
	return wish{GivenName: user.GivenName, FamilyName: user.FamilyName, Invitation: &wishedInvitation{i.ID, hash}}, faults.Err()
}

// acceptAs accepts the invitation of the flow for the person who is signed in, whose session
// then is in the organization.
func (s *Service) acceptAs(ctx context.Context, actor *access.Actor, f *flow) (*Result, error) {
	var session db.Session
	err := s.atomically(ctx, func(ctx context.Context, _ func(error) error) error {
		session = *actor.Session
		if _, err := s.Directory.Writer.Confirm(ctx); err != nil && !errors.Is(err, changes.ErrActorChanged) {
			return err
		}
		if err := s.completeInvitation(ctx, f); err != nil {
			return err
		}
		return s.switchTo(ctx, actor, &session, *f.wish.Organization)
	})
	if err != nil {
		return nil, err
	}
	now, err := s.Directory.ActorOf(ctx, &session)
	if err != nil {
		return nil, err
	}
	visitOf(ctx).signedIn(now)
	return &Result{Session: &session}, nil
}

// advanceInvited accepts the invitation of a flow whose address is proven, or returns what
// the flow needs first.
func (s *Service) advanceInvited(ctx context.Context, f *flow) (Next, error) {
	account, err := s.account(ctx, directory.UserRef{Email: f.Email})
	if err != nil {
		return "", err
	}
	if f.UserID != nil && (account.user == nil || account.user.ID != *f.UserID) {
		return "", directory.NoInvitation() // somebody else has the address by now
	}
	f.UserID = account.userID()
	settings, err := s.Directory.SignInSettings(ctx)
	if err != nil {
		return "", err
	}
	if next := f.needsFirst(account, settings); next != "" {
		return next, nil
	}
	if account.user != nil && (settings.AllowCodeSignIn || account.user.PasswordHash != "") {
		f.wish.PasswordHash = "" // it was for a new account, or for one without a way in
	}
	return "", s.completeInvitation(ctx, f)
}

// needsFirst returns what a flow with a proven address needs before its invitation is
// accepted, or nothing. The address alone lets people in where codes do. Elsewhere, they
// show their password, or choose one if they have none.
func (f *flow) needsFirst(account *account, settings *directory.Settings) Next {
	hasPassword := account.user != nil && account.user.PasswordHash != ""
	provesMore := slices.ContainsFunc(f.Methods, func(m string) bool { return m != methodCode && m != methodInvitation })
	switch {
	case slices.Contains(f.Methods, methodPassword) && hasPassword && account.user.Temporary:
		return NextNewPassword
	case settings.AllowCodeSignIn || provesMore:
		return ""
	case hasPassword:
		return NextPassword
	case f.wish.PasswordHash == "":
		return NextNewPassword
	}
	return ""
}

// completeInvitation accepts the invitation of the flow, whose address is proven and is the
// one of the invitation: whoever has it becomes a member, and gets an account unless they
// have one. Afterwards the flow has its user, and the organization of the invitation.
func (s *Service) completeInvitation(ctx context.Context, f *flow) error {
	accepted, err := s.Directory.AcceptInvitation(ctx, directory.Acceptance{
		Invitation: f.wish.Invitation.ID, Hash: f.wish.Invitation.Hash, GivenName: f.wish.GivenName, FamilyName: f.wish.FamilyName,
	})
	if err != nil {
		return err
	}
	f.UserID, f.wish.Organization = &accepted.User.ID, &accepted.Organization
	switch {
	case f.wish.PasswordHash == "":
		return nil
	case accepted.IsNew:
		return s.Directory.StorePassword(ctx, &db.Password{UserID: *f.UserID, Hash: f.wish.PasswordHash, ChangedAt: s.now()})
	}
	return s.setPassword(ctx, *f.UserID, f.wish.PasswordHash, false)
}
