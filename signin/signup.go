package signin

import (
	"context"

	"roster/access"
	"roster/db"
	"roster/directory"
	"roster/mail"
	"roster/problem"
	"roster/secret"
)

// SignUpInput describes a person who wants an account.
type SignUpInput struct {
	Email                           string
	Password, GivenName, FamilyName *string
	// Organization is the one to join.
	Organization *directory.OrganizationRef
	// CreateOrganization is the name of an organization to be made, which the person will
	// administer.
	CreateOrganization *string
}

// SignUp begins to make an account: it mails a code to the address, and the account is made
// when the code comes back. Somebody who has an account already gets a mail that says so,
// and whoever asks learns nothing of it. It returns INVITATION_ONLY to everybody while
// nobody may sign up.
func (s *Service) SignUp(ctx context.Context, in SignUpInput) (*Result, error) {
	settings, err := s.Directory.SignInSettings(ctx)
	if err != nil {
		return nil, err
	}
	if err := maySignUp(settings, in.CreateOrganization != nil); err != nil {
		return nil, err
	}
	user, w, err := s.wishOf(ctx, settings, in)
	if err != nil {
		return nil, err
	}
	account, err := s.account(ctx, directory.UserRef{Email: user.Email})
	if err != nil {
		return nil, err
	}
	f := s.newFlow(forSignUp, NextEmailCode, account.typed, nil, user.Email, w)
	if err := s.countMail(ctx, f.addressee()); err != nil {
		return nil, err
	}
	if in.Password != nil { // after counting, since it is much work
		if f.wish.PasswordHash, err = s.Passwords.Hash(ctx, secret.New(*in.Password)); err != nil {
			return nil, err
		}
	}
	if account.user != nil {
		return s.mailCounted(ctx, f, mail.Message{Kind: mail.AccountExists})
	}
	return s.mailCounted(ctx, f, mail.Message{Kind: mail.SignUpCode})
}

// wishOf returns what the input asks for, but for the password: the person, and where they
// belong. It returns all faults of the input together.
func (s *Service) wishOf(ctx context.Context, settings *directory.Settings, in SignUpInput) (*db.User, wish, error) {
	user, err := s.Directory.Newcomer(directory.CreateUserInput{Email: &in.Email, GivenName: in.GivenName, FamilyName: in.FamilyName})
	faults := problem.List(problem.All(err))
	w := wish{GivenName: user.GivenName, FamilyName: user.FamilyName, CreateOrganization: in.CreateOrganization}
	w.Organization, err = s.organizationToJoin(ctx, in, orEmpty(user.Email))
	if err != nil && !problem.Is(err, problem.Invalid) && !problem.Is(err, problem.NotFound) {
		return nil, w, err
	}
	faults = append(faults, problem.All(err)...)
	faults = append(faults, problem.All(checkFirstPassword(settings, in.Password, user.Email))...)
	return user, w, faults.Err()
}

// maySignUp returns an error unless people may sign up by themselves and, if they want to,
// make an organization of their own. It is asked when a sign-up begins, and when it ends.
func maySignUp(settings *directory.Settings, createOrganization bool) error {
	switch {
	case !settings.AllowSelfSignUp:
		return problem.New(problem.InvitationOnly, "Accounts are made by invitation only.")
	case createOrganization && !settings.AllowOrganizationSignUp:
		return problem.New(problem.Forbidden, "Who signs up may not make an organization here.")
	}
	return nil
}

// organizationToJoin returns the organization that was named, if somebody with that
// address may join it.
func (s *Service) organizationToJoin(ctx context.Context, in SignUpInput, email string) (*db.OrganizationID, error) {
	switch {
	case in.Organization != nil && in.CreateOrganization != nil:
		return nil, problem.At(problem.Invalid, "input.createOrganization", "Name an organization to join, or one to be made, not both.")
	case in.CreateOrganization != nil:
		return nil, s.Directory.CheckOrganizationName("input.createOrganization", *in.CreateOrganization)
	case in.Organization == nil:
		return nil, nil
	}
	org, err := s.Directory.OpenOrganization(ctx, *in.Organization, email)
	if err == nil && org == nil {
		err = problem.At(problem.NotFound, "input.organization", "There is no such organization that you could join.")
	}
	return org, err
}

// checkFirstPassword returns an error unless a new account may have the password. Without
// one, the account is entered by codes.
func checkFirstPassword(settings *directory.Settings, password, email *string) error {
	switch {
	case password == nil && !settings.AllowCodeSignIn:
		return problem.At(problem.Invalid, "input.password", "A password is needed.")
	case password == nil:
		return nil
	case !settings.AllowPasswordSignIn:
		return problem.At(problem.Forbidden, "input.password", "Signing in by password is switched off.")
	}
	return mayChoose(settings, "input.password", secret.New(*password), email)
}

// completeSignUp makes the account of the flow, whose address is proven, unless that is no
// longer allowed.
func (s *Service) completeSignUp(ctx context.Context, f *flow) error {
	settings, err := s.Directory.SignInSettings(ctx)
	if err != nil {
		return err
	}
	if err := maySignUp(settings, f.wish.CreateOrganization != nil); err != nil {
		return err
	}
	ctx = access.WithActor(ctx, access.System("sign-up"))
	person := directory.NewPerson{
		Email: *f.Email, GivenName: f.wish.GivenName, FamilyName: f.wish.FamilyName,
		Organization: f.wish.Organization, CreateOrganization: f.wish.CreateOrganization,
	}
	if a := f.wish.Arrival; a != nil {
		person.GivenName, person.FamilyName, person.PictureURL = nonEmpty(a.GivenName), nonEmpty(a.FamilyName), nonEmpty(a.PictureURL)
	}
	user, created, err := s.Directory.SignUp(ctx, person)
	if err != nil {
		return err
	}
	f.UserID = &user.ID
	if created != nil {
		f.wish.Organization = created
	}
	if f.wish.PasswordHash == "" {
		return nil
	}
	return s.Directory.StorePassword(ctx, &db.Password{UserID: user.ID, Hash: f.wish.PasswordHash, ChangedAt: s.now()})
}
