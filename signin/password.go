package signin

import (
	"cmp"
	"context"
	"errors"

	"roster/access"
	"roster/changes"
	"roster/credential"
	"roster/db"
	"roster/directory"
	"roster/mail"
	"roster/problem"
	"roster/secret"
)

// newPassword returns the hash of a password that may be chosen for an account with that
// address. Its problems concern the field.
func (s *Service) newPassword(ctx context.Context, field string, password secret.Text, email *string) (string, error) {
	settings, err := s.Directory.SignInSettings(ctx)
	if err != nil {
		return "", err
	}
	if err := mayChoose(settings, field, password, email); err != nil {
		return "", err
	}
	return s.Passwords.Hash(ctx, password)
}

// mayChoose returns an error about the field unless somebody with that address may choose
// the password.
func mayChoose(settings *directory.Settings, field string, password secret.Text, email *string) error {
	words := []string{settings.Branding.Name}
	if email != nil {
		words = append(words, *email)
	}
	return at(field, credential.CheckPassword(password, settings.MinimumPasswordLength, words...))
}

// at says of problems that concern no single input that they concern the field.
func at(field string, err error) error {
	if one, ok := errors.AsType[*problem.Error](err); ok && one.Field == "" {
		return problem.At(one.Kind, field, "%s", one.Message)
	}
	return err
}

// setPassword stores the hash of the user's password, and records the change.
func (s *Service) setPassword(ctx context.Context, user db.UserID, hash string, temporary bool) error {
	if err := s.Directory.StorePassword(ctx, &db.Password{UserID: user, Hash: hash, Temporary: temporary, ChangedAt: s.now()}); err != nil {
		return err
	}
	return s.Directory.Writer.Write(ctx, actorText(ctx, user), func(_ context.Context, w *changes.Write) error {
		return w.Record(changes.UserPasswordChanged, user.String(), nil, nil, changes.Values{"temporary": temporary})
	})
}

// actorText returns the text form of the actor of ctx or, without one, of the user, who
// has shown that they are the one.
func actorText(ctx context.Context, user db.UserID) string {
	if actor := access.ActorOf(ctx); actor != nil {
		return actor.String()
	}
	return user.String()
}

// RequestPasswordReset mails a code to the address, if an account has it, by which the
// password can be set anew. The answer is the same for every address.
func (s *Service) RequestPasswordReset(ctx context.Context, email string) (*Step, error) {
	account, err := s.account(ctx, directory.UserRef{Email: &email})
	if err != nil {
		return nil, err
	}
	f := s.newFlow(forPasswordReset, NextEmailCode, account.typed, account.userID(), account.email(), wish{})
	result, err := s.mailCode(ctx, f, mail.Message{Kind: mail.ResetCode})
	if err != nil {
		return nil, err
	}
	return result.Step, nil
}

// ResetPasswordInput has the code that was mailed, and the new password.
type ResetPasswordInput struct{ Ticket, Code, Password string }

// ResetPassword sets the password anew, ends all sessions of the person, and tells them
// by mail. It returns INVALID for a wrong code.
func (s *Service) ResetPassword(ctx context.Context, in ResetPasswordInput) error {
	f, err := s.find(ctx, in.Ticket, forPasswordReset)
	if err != nil {
		return err
	}
	account, err := s.accountOf(ctx, f)
	if err != nil {
		return err
	}
	settings, err := s.Directory.SignInSettings(ctx)
	if err != nil {
		return err
	}
	password := secret.New(in.Password)
	if err := mayChoose(settings, "input.password", password, f.Email); err != nil {
		return err
	}
	return s.counted(ctx, account.attempts(ctx), func() error {
		hash, err := s.Passwords.Hash(ctx, password) // before a connection is taken
		if err != nil {
			return err
		}
		return s.unlock(ctx, f, in.Code, func(ctx context.Context, f *flow) error {
			if err := s.Directory.ProveEmail(ctx, *f.UserID, *f.Email); err != nil {
				return err
			}
			if err := s.setPassword(ctx, *f.UserID, hash, false); err != nil {
				return err
			}
			if _, err := s.endSessionsOf(ctx, *f.UserID, nil); err != nil { // and the flow
				return err
			}
			return s.tell(ctx, mail.PasswordReset, *f.UserID, "")
		})
	})
}

// ChangePasswordInput has the present password and the new one.
type ChangePasswordInput struct{ CurrentPassword, NewPassword string }

// ChangePassword changes the password of the person who is signed in, ends their other
// sessions, and tells them by mail. Somebody who has no password sets one by
// RequestPasswordReset.
func (s *Service) ChangePassword(ctx context.Context, in ChangePasswordInput) error {
	actor, err := access.RequireSession(ctx)
	if err != nil {
		return err
	}
	account, err := s.accountByID(ctx, *actor.User)
	if err != nil {
		return err
	}
	right, _, err := s.checkPassword(ctx, account, secret.New(in.CurrentPassword))
	if err != nil || !right {
		return cmp.Or(err, error(problem.At(problem.Invalid, "input.currentPassword", "This is not your present password.")))
	}
	hash, err := s.newPassword(ctx, "input.newPassword", secret.New(in.NewPassword), account.email())
	if err != nil {
		return err
	}
	return s.atomically(ctx, func(ctx context.Context, _ func(error) error) error {
		if err := s.stillHas(ctx, account, ""); err != nil {
			return err
		}
		if err := s.setPassword(ctx, *actor.User, hash, false); err != nil {
			return err
		}
		if _, err := s.endSessionsOf(ctx, *actor.User, &actor.Session.ID); err != nil {
			return err
		}
		return s.tell(ctx, mail.PasswordChanged, *actor.User, "")
	})
}

// SetTemporaryPasswordInput has a password for somebody else.
type SetTemporaryPasswordInput struct {
	User     directory.UserRef
	Password string
}

// SetTemporaryPassword sets a password that the user must change at the next sign-in, and
// ends all of their sessions. The actor must write users, and outrank this one.
func (s *Service) SetTemporaryPassword(ctx context.Context, in SetTemporaryPasswordInput) (*db.User, error) {
	if err := access.Require(ctx, access.UsersWrite); err != nil {
		return nil, err
	}
	hash, wrong := s.newPassword(ctx, "input.password", secret.New(in.Password), nil)
	if wrong != nil && problem.All(wrong) == nil {
		return nil, wrong
	}
	var user *db.User
	err := s.atomically(ctx, func(ctx context.Context, _ func(error) error) error {
		return s.Directory.ActOnUser(ctx, access.UsersWrite, in.User, "input.user", func(ctx context.Context, _ *changes.Write, on *db.User) error {
			if user = on; wrong != nil {
				return wrong
			}
			if err := s.setPassword(ctx, user.ID, hash, true); err != nil {
				return err
			}
			_, err := s.endSessionsOf(ctx, user.ID, nil)
			return err
		})
	})
	if refused := problem.All(err); wrong != nil && user == nil && refused != nil { // both are told
		err = append(problem.List(problem.All(wrong)), refused...)
	}
	return user, err
}

// CreateUserWithPassword is directory.CreateUser for an input with a password, which is
// checked like one that people choose, and theirs to keep.
func (s *Service) CreateUserWithPassword(ctx context.Context, in directory.CreateUserInput) (*db.User, error) {
	if err := access.Require(ctx, access.UsersWrite); err != nil {
		return nil, err
	}
	settings, err := s.Directory.SignInSettings(ctx)
	if err != nil {
		return nil, err
	}
	password := secret.New(*in.Password)
	in.Password = nil
	faults := problem.List(problem.All(mayChoose(settings, "input.password", password, in.Email)))
	if in.PasswordHash != nil {
		faults.Add(problem.Invalid, "input.passwordHash", "A password or its hash, not both.")
	}
	if in.PasswordFaults = faults; len(faults) > 0 {
		return s.Directory.CreateUser(ctx, in) // which says what else is wrong
	}
	hash, err := s.Passwords.Hash(ctx, password) // before a connection is taken
	if err != nil {
		return nil, err
	}
	in.PasswordHash = &hash
	return s.Directory.CreateUser(ctx, in)
}

// EnsurePassword sets the password of the people with these addresses, unless they have
// one, whoever asks. It is for a business that is made up.
func (s *Service) EnsurePassword(ctx context.Context, password secret.Text, emails ...string) error {
	hash, err := s.Passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	ctx = access.WithActor(ctx, access.System("demo"))
	for _, email := range emails {
		account, err := s.account(ctx, directory.UserRef{Email: &email})
		if err != nil {
			return err
		}
		if account.user == nil || account.user.PasswordHash != "" {
			continue
		}
		if err := s.atomically(ctx, func(ctx context.Context, _ func(error) error) error {
			return s.setPassword(ctx, account.user.ID, hash, false)
		}); err != nil {
			return err
		}
	}
	return nil
}

// accountByID returns the account of a user.
func (s *Service) accountByID(ctx context.Context, user db.UserID) (*account, error) {
	return s.accountOf(ctx, &flow{Flow: db.Flow{UserID: &user, Account: user.String()}})
}
