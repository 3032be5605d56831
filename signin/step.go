package signin

import (
	"cmp"
	"context"
	"slices"
	"time"

	"roster/credential"
	"roster/db"
	"roster/directory"
	"roster/problem"
	"roster/secret"
)

// ContinueSignInInput is what a step asked for: exactly one of Code, Password and Organization.
type ContinueSignInInput struct {
	Ticket         string
	Code, Password *string
	Organization   *directory.OrganizationRef
}

// Continue takes the next step of a flow that SignIn, SignUp or AcceptInvitation has begun. It returns
// INVALID for a step that the flow does not need now, and for a wrong code.
func (s *Service) Continue(ctx context.Context, in ContinueSignInInput) (*Result, error) {
	given := 0
	for _, is := range []bool{in.Code != nil, in.Password != nil, in.Organization != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return nil, problem.At(problem.Invalid, "input", "Give exactly one of code, password and organization: what the step asks for.")
	}
	f, err := s.find(ctx, in.Ticket, forSignIn, forSignUp, forInvitation)
	if err != nil {
		return nil, err
	}
	result, err := s.take(ctx, f, in)
	return s.let(ctx, result, err)
}

// take takes the next step of the flow.
func (s *Service) take(ctx context.Context, f *flow, in ContinueSignInInput) (*Result, error) {
	switch {
	case in.Code != nil:
		return s.takeCode(ctx, f, *in.Code)
	case in.Organization != nil:
		return s.takeOrganization(ctx, f, *in.Organization)
	case Next(f.Next) == NextNewPassword:
		return s.takeNewPassword(ctx, f, secret.New(*in.Password))
	}
	if err := f.needs(NextPassword); err != nil {
		return nil, err
	}
	account, err := s.accountOf(ctx, f)
	if err != nil {
		return nil, err
	}
	return s.takePassword(ctx, f, secret.New(*in.Password), account)
}

// Step returns what a flow that SignIn or SignUp has begun needs now, for clients that do
// not keep the last answer. It returns INVALID, about input.ticket, if the flow is over.
func (s *Service) Step(ctx context.Context, ticket string) (*Step, error) {
	f, err := s.find(ctx, ticket, forSignIn, forSignUp, forInvitation)
	if err != nil {
		return nil, err
	}
	step := f.step()
	if step.Next != NextOrganization {
		return step, nil
	}
	person, err := s.person(ctx, *f.UserID)
	if err != nil {
		return nil, err
	}
	if person == nil {
		return nil, errNoFlow
	}
	step.Choices = person.Organizations
	return step, nil
}

// takeCode takes the code that was mailed for the flow.
func (s *Service) takeCode(ctx context.Context, f *flow, code string) (*Result, error) {
	if err := f.needs(NextEmailCode); err != nil {
		return nil, err
	}
	account, err := s.accountOf(ctx, f)
	if err != nil {
		return nil, err
	}
	var result *Result
	err = s.redeem(ctx, f, code, account.attempts(ctx), func(ctx context.Context, f *flow) error {
		if err := s.admitProven(ctx, f); err != nil {
			return err
		}
		f.Methods = append(f.Methods, methodCode)
		result, err = s.advance(ctx, f, f.wish.Organization)
		return err
	})
	if err != nil {
		return nil, s.note(ctx, f, methodCode, err)
	}
	return result, nil
}

// admitProven finds or makes the account of a flow whose address is proven.
func (s *Service) admitProven(ctx context.Context, f *flow) error {
	switch {
	case f.wish.Arrival != nil:
		return s.settleProven(ctx, f)
	case f.Purpose == forSignUp:
		return s.completeSignUp(ctx, f)
	case f.Purpose == forSignIn:
		return s.Directory.ProveEmail(ctx, *f.UserID, *f.Email)
	}
	return nil // advance accepts invitations
}

// redeem runs fn in a transaction, with the flow, if the code is the one that was mailed for
// it. It returns INVALID if not, and LIMITED after too many attempts: they are counted, and
// taken back if the code is right.
func (s *Service) redeem(ctx context.Context, f *flow, code string, attempts []attempt, fn func(ctx context.Context, f *flow) error) error {
	return s.counted(ctx, attempts, func() error { return s.unlock(ctx, f, code, fn) })
}

// unlock is redeem without the counting.
func (s *Service) unlock(ctx context.Context, f *flow, code string, fn func(ctx context.Context, f *flow) error) error {
	return s.atomically(ctx, func(ctx context.Context, refuse func(error) error) error {
		f, err := s.again(ctx, f)
		if err != nil {
			return err
		}
		right, err := s.try(ctx, f, code)
		switch {
		case err != nil:
			return err
		case !right:
			return refuse(problem.At(problem.Invalid, "input.code", "This code is wrong, or no longer valid."))
		}
		return fn(ctx, f)
	})
}

// takeOrganization chooses the organization.
func (s *Service) takeOrganization(ctx context.Context, f *flow, ref directory.OrganizationRef) (*Result, error) {
	if err := f.needs(NextOrganization); err != nil {
		return nil, err
	}
	org, err := s.Directory.OrganizationID(ctx, ref)
	if err != nil {
		return nil, err
	}
	result, err := s.proceed(ctx, f, "", func(_ context.Context, f *flow) error { f.wish.Organization = &org; return nil })
	if err == nil && result.Session == nil {
		return nil, problem.At(problem.NotFound, "input.organization", "You belong to no such organization.")
	}
	return result, err
}

// takeNewPassword replaces the temporary password that was shown, or takes the first one of
// an account that accepts an invitation.
func (s *Service) takeNewPassword(ctx context.Context, f *flow, password secret.Text) (*Result, error) {
	account, err := s.accountOf(ctx, f)
	if err != nil {
		return nil, err
	}
	isFirst := f.wish.Invitation != nil && !slices.Contains(f.Methods, methodPassword)
	if account.user == nil && !isFirst {
		return nil, errNoFlow
	}
	hash, err := s.newPassword(ctx, "input.password", password, cmp.Or(account.email(), f.Email))
	if err != nil {
		return nil, err
	}
	if isFirst {
		return s.proceed(ctx, f, "", func(_ context.Context, f *flow) error { f.wish.PasswordHash = hash; return nil })
	}
	if same, _, err := s.Passwords.Verify(ctx, account.user.PasswordHash, password); err != nil || same {
		return nil, cmp.Or(err, error(problem.At(problem.Invalid, "input.password", "Choose another password than the temporary one.")))
	}
	return s.proceed(ctx, f, "", func(ctx context.Context, f *flow) error {
		return s.setPassword(ctx, *f.UserID, hash, false)
	})
}

// proceed takes one step of the flow in a transaction, which check joins. method is what
// the step has shown, if it has shown anything.
func (s *Service) proceed(ctx context.Context, f *flow, method string, check func(ctx context.Context, f *flow) error) (*Result, error) {
	var result *Result
	err := s.atomically(ctx, func(ctx context.Context, _ func(error) error) error {
		f, err := s.again(ctx, f)
		if err != nil {
			return err
		}
		if err := check(ctx, f); err != nil {
			return err
		}
		if method != "" {
			f.Methods = append(f.Methods, method)
		}
		result, err = s.advance(ctx, f, f.wish.Organization)
		return err
	})
	if err != nil {
		return nil, s.note(ctx, f, method, err)
	}
	return result, nil
}

// advance returns what comes next for a person who has shown enough to be let in: a new
// password, the choice of an organization, or the session. org is the one that was asked
// for, if any; it is as good as none if the person may not act there. An invitation is
// accepted before anything else, and leads to its own organization.
func (s *Service) advance(ctx context.Context, f *flow, org *db.OrganizationID) (*Result, error) {
	if f.wish.Invitation != nil {
		next, err := s.advanceInvited(ctx, f)
		if err != nil {
			return nil, err
		}
		if next != "" {
			f.Next = string(next)
			return &Result{Step: f.step()}, s.save(ctx, f)
		}
		org = f.wish.Organization
	}
	person, err := s.person(ctx, *f.UserID)
	if err != nil {
		return nil, err
	}
	switch {
	case person == nil:
		return nil, unauthenticated()
	case person.Status != db.Active:
		return nil, problem.New(problem.Suspended, "This account is suspended. Ask an administrator.")
	case person.Temporary && slices.Contains(f.Methods, methodPassword):
		f.Next = string(NextNewPassword)
		return &Result{Step: f.step()}, s.save(ctx, f)
	case len(person.Organizations) == 0:
		return nil, problem.New(problem.Suspended, "You cannot act in any organization at the moment. Ask an administrator.")
	}
	settings, err := s.Directory.SignInSettings(ctx)
	if err != nil {
		return nil, err
	}
	chosen := person.choose(org, settings.RememberOrganization)
	if chosen == nil {
		f.Next = string(NextOrganization)
		step := f.step()
		step.Choices = person.Organizations
		return &Result{Step: step}, s.save(ctx, f)
	}
	if err := s.end(ctx, f); err != nil {
		return nil, err
	}
	if f.wish.Arrival != nil {
		if err := s.used(ctx, f.wish.Arrival); err != nil {
			return nil, err
		}
	}
	session, shown, err := s.startSession(ctx, settings, person.ID, *chosen, f.Methods)
	return &Result{Session: session, Secret: shown}, err
}

// person is somebody who is being signed in.
type person struct {
	ID     db.UserID
	Status db.Status
	// Temporary is true if the password is.
	Temporary bool
	// LastOrgID is where the person acted last.
	LastOrgID *db.OrganizationID
	// Organizations are the ones that the person may act in, in the order of joining.
	Organizations []db.OrganizationID `bun:"-"`
}

// person returns the person with that id, or nil if they are deleted. In a transaction, it
// locks them.
func (s *Service) person(ctx context.Context, id db.UserID) (*person, error) {
	lock := ""
	if db.HasTx(ctx) {
		lock = " for no key update of u"
	}
	p, err := db.SelectOne[person](ctx, s.Database, `
select u.id, u.status, u.last_org_id, coalesce((select temporary from passwords p where p.user_id = u.id), false) as temporary
from users u where u.id = $1 and u.deleted_at is null`+lock, id)
	if err != nil || p == nil {
		return nil, err
	}
	p.Organizations, err = s.Directory.ActsIn(ctx, id)
	return p, err
}

// choose returns the organization for the session, or nil if the person has to choose.
func (p *person) choose(asked *db.OrganizationID, remember bool) *db.OrganizationID {
	switch {
	case asked != nil && slices.Contains(p.Organizations, *asked):
		return asked
	case asked == nil && len(p.Organizations) == 1:
		return &p.Organizations[0]
	case asked == nil && remember && p.LastOrgID != nil && slices.Contains(p.Organizations, *p.LastOrgID):
		return p.LastOrgID
	}
	return nil
}

// startSession starts a session of the person, who is locked, in the organization.
func (s *Service) startSession(ctx context.Context, settings *directory.Settings, user db.UserID, org db.OrganizationID, methods []string) (*db.Session, secret.Text, error) {
	now, visit := s.now(), visitOf(ctx)
	session := &db.Session{
		UserID: user, ID: db.NewID[db.SessionKind](), OrgID: &org, Methods: methods, Device: deviceOf(visit.UserAgent), Address: nonEmpty(visit.Address),
		CreatedAt: now, LastUsedAt: now, ExpiresAt: now.Add(time.Duration(settings.SessionMaximumSeconds) * time.Second),
	}
	var shown secret.Text
	shown, session.Hash = credential.NewSession(credential.SessionName{User: user, Session: session.ID})
	if _, err := s.Directory.Writer.Unrecorded(ctx).NewInsert().Model(session).Exec(ctx); err != nil {
		return nil, shown, err
	}
	if _, err := s.Directory.Writer.Unrecorded(ctx).NewUpdate().Table("users").Set("last_signed_in_at = ?, sign_in_count = sign_in_count + 1, last_org_id = ?", now, org).Where("id = ?", user).Exec(ctx); err != nil {
		return nil, shown, err
	}
	if slices.Contains(methods, methodPassword) {
		if _, err := s.Directory.Writer.Unrecorded(ctx).NewUpdate().Model((*db.Identity)(nil)).Set("last_signed_in_at = ?", now).
			Where("provider = ? and subject = ?", db.PasswordProvider, user.String()).Exec(ctx); err != nil {
			return nil, shown, err
		}
	}
	return session, shown, s.noteSession(ctx, session)
}

func nonEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
