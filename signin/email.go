package signin

import (
	"cmp"
	"context"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/directory"
	"roster/mail"
	"roster/problem"
)

// mailCode stores the flow and mails a code for its next step, by a message that lacks only
// the code and the addressee. A kind that has no code, such as the notice that there is an
// account already, is mailed in its place. Without an address, no code is right and the mail
// is for nobody, but the work is the same.
func (s *Service) mailCode(ctx context.Context, f *flow, m mail.Message) (*Result, error) {
	if err := s.countMail(ctx, f.addressee()); err != nil {
		return nil, err
	}
	return s.mailCounted(ctx, f, m)
}

// countMail counts a mail to the addressee. It returns LIMITED if it comes too early, and
// FORBIDDEN if this server sends none.
func (s *Service) countMail(ctx context.Context, addressee string) error {
	if !s.Outbox.Configured() {
		return problem.New(problem.Forbidden, "This server sends no mail: ROSTER_SMTP_URL is not set.")
	}
	return s.count(ctx, mailsPerAddress.of(addressee), mailsPerSource.source(ctx))
}

// mailCounted is mailCode after countMail.
func (s *Service) mailCounted(ctx context.Context, f *flow, m mail.Message) (*Result, error) {
	m.To, m.ForNobody, m.Lifetime = orEmpty(f.Email), f.Email == nil, flowLife
	if m.Kind != mail.AccountExists {
		m.Code = newCode()
	}
	if m.Kind != mail.AccountExists && f.Email != nil {
		f.CodeHash = f.ticket.hashOf(m.Code.Reveal())
	}
	err := s.atomically(ctx, func(ctx context.Context, _ func(error) error) error {
		if err := s.save(ctx, f); err != nil {
			return err
		}
		return s.send(ctx, m)
	})
	return &Result{Step: f.step()}, err
}

// addressee names whoever gets the mails of the flow, however the account was named.
func (f *flow) addressee() string {
	if f.Email == nil {
		return f.Account
	}
	return addresseeAt(*f.Email)
}

// addresseeAt names whoever gets the mails to the address.
func addresseeAt(email string) string { return typed(directory.UserRef{Email: &email}) }

// send puts the message into the outbox, in the transaction of ctx, after which it is sent.
// Unless the message has another link, it leads to the page where people sign in.
func (s *Service) send(ctx context.Context, m mail.Message) error {
	settings, err := s.Directory.SignInSettings(ctx)
	if err != nil {
		return err
	}
	b := settings.Branding
	m.Branding = mail.Branding{Name: b.Name, LogoURL: orEmpty(b.LogoURL), Colour: orEmpty(b.Colour), PrivacyURL: orEmpty(b.PrivacyURL), TermsURL: orEmpty(b.TermsURL)}
	m.Device, m.Link = orEmpty(deviceOf(visitOf(ctx).UserAgent)), cmp.Or(m.Link, s.Issuer+"/signin")
	changes.WrittenIn(ctx).Then(s.Outbox.Wake)
	return s.Outbox.Add(ctx, s.Directory.Writer.Unrecorded(ctx), m)
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// tell mails a notice to the user, if they have an address.
func (s *Service) tell(ctx context.Context, kind mail.Kind, user db.UserID, newAddress string) error {
	email, err := db.SelectOne[string](ctx, s.Database, "select email from users where id = $1 and email is not null", user)
	if err != nil || email == nil {
		return err
	}
	return s.send(ctx, mail.Message{Kind: kind, To: *email, NewAddress: newAddress})
}

// RequestEmailChange mails a code to the new address of the person who is signed in. If
// the address is somebody's, they get a mail that says so, and whoever asks learns nothing
// of it.
func (s *Service) RequestEmailChange(ctx context.Context, email string) (*Step, error) {
	actor, err := access.RequireSession(ctx)
	if err != nil {
		return nil, err
	}
	user, err := s.Directory.Newcomer(directory.CreateUserInput{Email: &email})
	if err != nil {
		return nil, err
	}
	taken, err := s.account(ctx, directory.UserRef{Email: user.Email})
	if err != nil {
		return nil, err
	}
	kind := mail.AddressCode
	if taken.user != nil && taken.user.ID != *actor.User {
		kind = mail.AccountExists
	}
	f := s.newFlow(forEmailChange, NextEmailCode, taken.typed, actor.User, user.Email, wish{})
	result, err := s.mailCode(ctx, f, mail.Message{Kind: kind})
	if err != nil {
		return nil, err
	}
	return result.Step, nil
}

// ConfirmEmailChangeInput has the code that was mailed to the new address.
type ConfirmEmailChangeInput struct{ Ticket, Code string }

// ConfirmEmailChange changes the address of the person who is signed in, and tells the old
// one.
func (s *Service) ConfirmEmailChange(ctx context.Context, in ConfirmEmailChangeInput) (*db.User, error) {
	actor, err := access.RequireSession(ctx)
	if err != nil {
		return nil, err
	}
	f, err := s.find(ctx, in.Ticket, forEmailChange)
	if err != nil {
		return nil, err
	}
	if !actor.Is(*f.UserID) {
		return nil, errNoFlow
	}
	var user *db.User
	attempts := []attempt{perAccount.of(actor.User.String()), perSource.source(ctx)}
	err = s.redeem(ctx, f, in.Code, attempts, func(ctx context.Context, f *flow) error {
		if err := s.end(ctx, f); err != nil {
			return err
		}
		if err := s.tell(ctx, mail.AddressChanged, *actor.User, *f.Email); err != nil { // before it changes
			return err
		}
		user, err = s.Directory.ChangeOwnEmail(ctx, *f.Email)
		return err
	})
	return user, err
}
