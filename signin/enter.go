package signin

import (
	"cmp"
	"context"

	"roster/db"
	"roster/directory"
	"roster/mail"
	"roster/problem"
	"roster/secret"
)

// SignInInput names an account by its email address or username.
type SignInInput struct {
	Email, Username *string
	// Password is nil for a code by mail, or a later step that asks for it.
	Password *string
	// Organization is the one to sign in to.
	Organization *directory.OrganizationRef
}

// Result is how a step of signing in ended: in a session, or in another step.
type Result struct {
	Session *db.Session
	// Secret is the session's.
	Secret secret.Text
	Step   *Step
}

// SignIn begins to sign somebody in. It returns UNAUTHENTICATED for a wrong password and
// for an unknown account alike, LIMITED after too many of them, and SUSPENDED to whoever
// has shown that a suspended account is theirs.
func (s *Service) SignIn(ctx context.Context, in SignInInput) (*Result, error) {
	if (in.Email == nil) == (in.Username == nil) {
		return nil, problem.At(problem.Invalid, "input", "Name the account by exactly one of email and username.")
	}
	settings, err := s.Directory.SignInSettings(ctx)
	if err != nil {
		return nil, err
	}
	account, err := s.account(ctx, directory.UserRef{Email: in.Email, Username: in.Username})
	if err != nil {
		return nil, err
	}
	org, err := s.wishedOrganization(ctx, in.Organization)
	if err != nil {
		return nil, err
	}
	wish := wish{Organization: org}
	switch {
	case in.Password != nil && !settings.AllowPasswordSignIn:
		return nil, problem.At(problem.Forbidden, "input.password", "Signing in by password is switched off.")
	case in.Password != nil:
		f := s.newFlow(forSignIn, NextPassword, account.typed, account.userID(), account.email(), wish)
		result, err := s.takePassword(ctx, f, secret.New(*in.Password), account)
		return s.let(ctx, result, err)
	case settings.AllowCodeSignIn:
		return s.mailSignInCode(ctx, account, wish)
	}
	f := s.newFlow(forSignIn, NextPassword, account.typed, account.userID(), account.email(), wish)
	return &Result{Step: f.step()}, s.save(ctx, f)
}

// account is what somebody named to sign in to, which may not exist.
type account struct {
	// typed is what was typed, folded.
	typed string
	user  *accountRow
}

type accountRow struct {
	db.User `bun:",extend"`
	// PasswordHash is empty without a password.
	PasswordHash string
	Temporary    bool
}

func (a *account) userID() *db.UserID {
	if a.user == nil {
		return nil
	}
	return &a.user.ID
}

// email returns the address for codes, or nil.
func (a *account) email() *string {
	if a.user == nil {
		return nil
	}
	return a.user.Email
}

// attempts returns the attempts that a try to get into the account counts as.
func (a *account) attempts(ctx context.Context) []attempt {
	name := a.typed
	if a.user != nil {
		name = a.user.ID.String()
	}
	return []attempt{perAccount.of(name), perSource.source(ctx)}
}

const accountColumns = `select u.*, coalesce(p.hash, '') as password_hash, coalesce(p.temporary, false) as temporary
from users u left join passwords p on p.user_id = u.id where u.deleted_at is null and `

// account returns the account with that address or username.
func (s *Service) account(ctx context.Context, ref directory.UserRef) (*account, error) {
	column, key, ok := ref.Key()
	if !ok { // nobody has it
		return &account{typed: typed(ref)}, nil
	}
	row, err := db.SelectOne[accountRow](ctx, s.Database, accountColumns+"u."+column+" = $1", key)
	return &account{typed: typed(ref), user: row}, err
}

// typed returns what was typed to name an account, folded; all that nobody can have is the
// same.
func typed(ref directory.UserRef) string {
	column, key, ok := ref.Key()
	if !ok {
		key = ""
	}
	return column + ":" + key
}

// accountOf returns the account of a flow. It asks the database for unknown accounts, too.
func (s *Service) accountOf(ctx context.Context, f *flow) (*account, error) {
	row, err := db.SelectOne[accountRow](ctx, s.Database, accountColumns+"u.id = $1", f.UserID)
	return &account{typed: f.Account, user: row}, err
}

// wishedOrganization returns the id of the organization; zero if there is none such, so
// that nobody learns which ones there are.
func (s *Service) wishedOrganization(ctx context.Context, ref *directory.OrganizationRef) (*db.OrganizationID, error) {
	if ref == nil {
		return nil, nil
	}
	id, err := s.Directory.OrganizationID(ctx, *ref)
	return &id, err
}

// takePassword takes the password for the flow, which is stored only if it needs more. A
// wrong one is counted, and leaves the flow as it is.
func (s *Service) takePassword(ctx context.Context, f *flow, password secret.Text, account *account) (*Result, error) {
	right, outdated, err := s.checkPassword(ctx, account, password)
	if err != nil || !right {
		return nil, s.note(ctx, f, methodPassword, cmp.Or(err, unauthenticated()))
	}
	fresh := ""
	if outdated {
		if fresh, err = s.Passwords.Hash(ctx, password); err != nil {
			return nil, err
		}
	}
	return s.proceed(ctx, f, methodPassword, func(ctx context.Context, _ *flow) error {
		return s.stillHas(ctx, account, fresh)
	})
}

// checkPassword reports whether the password is the account's, and counts it unless it
// is. It does the same for an unknown account.
func (s *Service) checkPassword(ctx context.Context, account *account, password secret.Text) (right, outdated bool, err error) {
	leave, err := s.inFlight.enter(ctx, account.typed)
	if err != nil {
		return false, false, err
	}
	defer leave()
	attempts := account.attempts(ctx)
	if err := s.count(ctx, attempts...); err != nil {
		return false, false, err
	}
	hash := ""
	if account.user != nil {
		hash = account.user.PasswordHash
	}
	right, outdated, err = s.Passwords.Verify(ctx, hash, password)
	if right || err != nil {
		err = cmp.Or(err, s.forgive(ctx, attempts...))
	}
	return right, outdated, err
}

// stillHas returns UNAUTHENTICATED unless the account's password is still the one that
// was checked. It replaces its hash by a fresh one, unless that is empty.
func (s *Service) stillHas(ctx context.Context, account *account, fresh string) error {
	now, err := db.SelectOne[string](ctx, s.Database, "select hash from passwords where user_id = $1 for no key update", account.user.ID)
	if err != nil {
		return err
	}
	if now == nil || *now != account.user.PasswordHash {
		return unauthenticated()
	}
	if fresh == "" {
		return nil
	}
	_, err = s.Directory.Writer.Unrecorded(ctx).NewUpdate().Model((*db.Password)(nil)).Set("hash = ?", fresh).Where("user_id = ?", account.user.ID).Exec(ctx)
	return err
}

// mailSignInCode begins a flow whose first step is a code by mail.
func (s *Service) mailSignInCode(ctx context.Context, account *account, w wish) (*Result, error) {
	f := s.newFlow(forSignIn, NextEmailCode, account.typed, account.userID(), account.email(), w)
	return s.mailCode(ctx, f, mail.Message{Kind: mail.SignInCode})
}
