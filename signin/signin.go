// Package signin lets people in: it holds the rules of signing up, signing in, sessions,
// passwords and proven addresses. GraphQL mutations and hosted pages are two faces of
// the same functions.
//
//	SignUp, SignIn, AcceptInvitation ──▶ flow ──Continue──▶ flow ──▶ … ──▶ session
//	                                     one row: what was shown so far, and what comes next
//
// A flow is named by a ticket, and takes each of its steps once. Whatever somebody asks
// for an unknown account takes the same steps, work and answers as for a known one. What
// people are, and where they belong, is the business of package directory.
//
// Begin with Service.SignIn in enter.go, and Service.advance in step.go, which decides
// what comes next.
package signin

import (
	"context"
	"log/slog"
	"time"

	"roster/access"
	"roster/credential"
	"roster/db"
	"roster/directory"
	"roster/mail"
	"roster/problem"
	"roster/provider"
	"roster/secret"
	"roster/token"
)

// Options are what a service needs. All are required unless it says otherwise.
type Options struct {
	Database  *db.DB
	Directory *directory.Directory
	Passwords *credential.Passwords
	Outbox    *mail.Outbox
	// Tokens sign access tokens. Nil makes none, and accepts none.
	Tokens *token.Keys
	// Keyring derives refresh tokens, and seals the secrets by which identity providers know
	// this server. It is needed where there are Tokens or Providers.
	Keyring *secret.Keyring
	// TrustedTokens are access tokens of other issuers. Nil accepts none.
	TrustedTokens *provider.AccessTokens
	// Issuer is the public address of this server, which access tokens name as their
	// issuer, and accept as their audience here. Audiences are the others for whom they
	// may be made.
	Issuer    string
	Audiences []string
	// Providers asks identity providers. Development lets them be on this machine.
	Providers   *provider.Client
	Development bool
	Log         *slog.Logger
	// Clock returns the present time; nil means time.Now.
	Clock func() time.Time
}

// Service holds the rules of signing in.
type Service struct {
	Options
	inFlight inFlight
}

// New returns a service; Sweep deletes what has passed.
func New(o Options) *Service {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	o.Directory.SetClock(o.Clock)
	o.Directory.SetProviderRules(directory.ProviderRules{Keyring: o.Keyring, Development: o.Development})
	o.Directory.ReserveProviderKeys(methodPassword, methodCode, methodInvitation)
	return &Service{Options: o}
}

// Visit is one request: where it comes from, and what has come of it.
type Visit struct {
	// Address is the IP address, in text form, and UserAgent the header of that name.
	Address, UserAgent string
	// Browser is true if a page sent the request. It gets sessions as cookies, and no
	// secret that it could read.
	Browser bool
	// Started is the session that the request has started, or nil, and Secret its secret.
	Started *db.Session
	Secret  secret.Text
	// Ended is true if the request has ended the session that it belongs to.
	Ended bool
	// signedIn makes everything that follows run on behalf of the actor.
	signedIn func(actor *access.Actor)
}

type visitKey struct{}

// WithVisit returns a context of the request. If the request starts a session, everything
// that it does afterwards is done as the person who is signed in.
func WithVisit(ctx context.Context, v *Visit) context.Context {
	ctx, v.signedIn = access.WithSignIn(ctx)
	return context.WithValue(ctx, visitKey{}, v)
}

func visitOf(ctx context.Context) *Visit {
	if v, ok := ctx.Value(visitKey{}).(*Visit); ok {
		return v
	}
	return &Visit{signedIn: func(*access.Actor) {}}
}

// let returns the result of a step after its transaction. If it is a session, the request
// goes on as the person.
func (s *Service) let(ctx context.Context, r *Result, err error) (*Result, error) {
	if err != nil || r.Session == nil {
		return r, err
	}
	actor, err := s.Directory.ActorOf(ctx, r.Session)
	if err != nil {
		return nil, err
	}
	visit := visitOf(ctx)
	visit.Started, visit.Secret = r.Session, r.Secret
	visit.signedIn(actor)
	if visit.Browser {
		r.Secret = secret.Text{}
	}
	return r, nil
}

// Possible reports whether anybody can sign in: by a mail that has a code, by a provider, or
// by a password that somebody has.
func (s *Service) Possible(ctx context.Context) (bool, error) {
	if s.Outbox.Configured() {
		return true, nil
	}
	password, err := db.SelectOne[bool](ctx, s.Database, "select true from identity_providers where enabled union all select true from passwords limit 1")
	return password != nil, err
}

// now returns the present time, in the precision that the database keeps.
func (s *Service) now() time.Time { return s.Clock().UTC().Truncate(time.Microsecond) }

// refused is the outcome of something that was refused, but has left something behind,
// such as the count of tries: its transaction commits.
type refused struct{ err error }

// atomically runs fn in a transaction of its own, which commits also if fn refuses. It
// returns the refusal as an error.
func (s *Service) atomically(ctx context.Context, fn func(ctx context.Context, refuse func(error) error) error) error {
	var why refused
	err := s.Directory.Writer.Atomically(ctx, func(ctx context.Context) error {
		why = refused{}
		return fn(ctx, func(err error) error { why.err = err; return nil })
	})
	if err == nil {
		err = why.err
	}
	return err
}

// Sweep deletes flows, sessions, attempts, sign-ins and invitations that have passed, until
// ctx ends.
func (s *Service) Sweep(ctx context.Context) {
	const pause = 10 * time.Minute
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "what has passed of signing in was not deleted", "cause", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// keepSignIns is how long the log of sign-ins goes back, and how long invitations are kept
// that have expired.
const keepSignIns = 400 * 24 * time.Hour

// keepCodes is how long an authorization code is kept that has expired: shown again, it
// ends what it was exchanged for.
const keepCodes = 24 * time.Hour

func (s *Service) sweep(ctx context.Context) error {
	now := s.now()
	for _, passed := range []struct {
		table, condition string
		until            time.Time
	}{
		{"flows", "expires_at < ?", now},
		{"sessions as s", credential.SessionEnds + " < ?", now},
		{"authorization_codes", "expires_at < ?", now.Add(-keepCodes)},
		{"attempts", "at < ?", now.Add(-24 * time.Hour)},
		{"sign_ins", "at < ?", now.Add(-keepSignIns)},
		{"invitations", "expires_at < ?", now.Add(-keepSignIns)},
	} {
		if _, err := s.Directory.Writer.Unrecorded(ctx).NewDelete().TableExpr(passed.table).Where(passed.condition, passed.until).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// unauthenticated is the answer to every wrong combination.
func unauthenticated() error {
	return problem.New(problem.Unauthenticated, "This combination of account and password is unknown.")
}
