package signin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"roster/access"
	"roster/credential"
	"roster/db"
	"roster/directory"
	"roster/problem"
	"roster/secret"
)

// People sign in to applications by the session of their browser:
//
//	Authorize ──▶ code ──Exchange──▶ family ──Refresh──▶ … tokens
//
// A family is a session of its own: it stands in the list of the person's, ends like one, and
// with the one of the browser, and its tokens are worth as much as it is.

// codeLife is how long an authorization code is good for (RFC 9700 wants it short).
const codeLife = time.Minute

// Why an application gets nothing. What wraps ErrGrant says it to the developer.
var (
	// ErrSignIn is returned if the person has to sign in first, or again.
	ErrSignIn = errors.New("sign in first")
	// ErrChoose is returned if the person has to choose an organization first.
	ErrChoose = errors.New("choose an organization first")
	// ErrGrant is the error of a code or a refresh token that is good for nothing here.
	ErrGrant = errors.New("this grant is not valid, or no longer")
	// ErrTarget is the error of a backend that the application has no tokens for.
	ErrTarget = errors.New("the application has no audience of this name")
)

func noGrant(why string) error { return fmt.Errorf("%w: %s", ErrGrant, why) }

// Authorization is what an application wants of a person.
type Authorization struct {
	Application *db.Application
	// RedirectURL is one of the application's, which the caller has checked.
	RedirectURL string
	// Challenge is the code_challenge of RFC 7636, by S256.
	Challenge string
	Nonce     *string
	Scopes    []string
	// Resource is whom the access token is to be for; empty means the application's first
	// audience.
	Resource string
	// Organization is the one to sign in to, or nil.
	Organization *directory.OrganizationRef
	// SignedInSince is the earliest moment at which the person may have signed in.
	SignedInSince time.Time
	// Settled is true if the person has just chosen an organization, or cannot be asked: then
	// the one that their session remembers is taken.
	Settled bool
}

// Authorize returns a code for the application, on behalf of the person whose browser it is.
// It returns ErrSignIn, ErrChoose or ErrTarget, and NOT_FOUND for an organization that the
// person may not act in.
func (s *Service) Authorize(ctx context.Context, in Authorization) (code secret.Text, err error) {
	actor := access.ActorOf(ctx)
	if actor == nil || actor.Session == nil || actor.Session.CreatedAt.Before(in.SignedInSince) {
		return secret.Text{}, ErrSignIn
	}
	audience, err := audienceOf(in.Application, in.Resource, "")
	if err != nil {
		return secret.Text{}, err
	}
	org, err := s.organizationFor(ctx, actor, in)
	if err != nil {
		return secret.Text{}, err
	}
	visit := visitOf(ctx)
	row := &db.AuthorizationCode{
		UserID: *actor.User, ID: db.NewID[db.AuthorizationCodeKind](), ApplicationID: in.Application.ID, SessionID: actor.Session.ID, OrgID: *org,
		RedirectURL: in.RedirectURL, Challenge: in.Challenge, Nonce: in.Nonce, Scopes: in.Scopes, Audience: audience,
		Device: deviceOf(visit.UserAgent), Address: nonEmpty(visit.Address), ExpiresAt: s.now().Add(codeLife),
	}
	code, row.Hash = credential.NewCode(credential.CodeName{User: row.UserID, Code: row.ID})
	_, err = s.Directory.Writer.Unrecorded(ctx).NewInsert().Model(row).Exec(ctx)
	return code, err
}

// audienceOf returns whom a token of the application is for: the resource that was asked for
// (RFC 8707), which must be one of its audiences, or else the one that was granted, or the
// first. A token of an application without any is for nobody but Roster's userinfo.
func audienceOf(app *db.Application, resource, granted string) (string, error) {
	switch {
	case resource != "" && !slices.Contains(app.Audiences, resource):
		return "", ErrTarget
	case resource != "":
		return resource, nil
	case granted != "" && slices.Contains(app.Audiences, granted):
		return granted, nil
	case len(app.Audiences) > 0:
		return app.Audiences[0], nil
	}
	return app.ClientID(), nil
}

// organizationFor returns the organization that the person signs in to.
func (s *Service) organizationFor(ctx context.Context, actor *access.Actor, in Authorization) (*db.OrganizationID, error) {
	all, err := s.Directory.ActsIn(ctx, *actor.User)
	if err != nil {
		return nil, err
	}
	if in.Organization != nil {
		org, err := s.Directory.OrganizationID(ctx, *in.Organization)
		if err == nil && !slices.Contains(all, org) {
			err = problem.New(problem.NotFound, "You belong to no such organization.")
		}
		return &org, err
	}
	settings, err := s.Directory.SignInSettings(ctx)
	if err != nil {
		return nil, err
	}
	remembered := actor.Session.OrgID
	switch {
	case len(all) == 0:
		return nil, problem.New(problem.Suspended, "You cannot act in any organization at the moment. Ask an administrator.")
	case len(all) == 1:
		return &all[0], nil
	case (in.Settled || settings.RememberOrganization) && remembered != nil && slices.Contains(all, *remembered):
		return remembered, nil
	}
	return nil, ErrChoose
}

// CodeGrant is a code, and what an application shows with it.
type CodeGrant struct {
	Code                            secret.Text
	RedirectURL, Verifier, Resource string
}

// Exchange returns tokens for a code of the application. It returns ErrGrant for a code that
// is not good, or not the application's, and ErrTarget. A code that is shown again ends what
// it was exchanged for (RFC 9700, 4.2).
func (s *Service) Exchange(ctx context.Context, app *db.Application, in CodeGrant) (*Tokens, error) {
	name, hash, ok := credential.ParseCode(in.Code)
	if !ok {
		return nil, noGrant("the code is malformed")
	}
	row, err := s.findCode(ctx, name, hash)
	if err != nil {
		return nil, err
	}
	if row.FamilyID == nil { // else it is over, whatever is asked
		if err := s.checkCode(app, row, in); err != nil {
			return nil, err
		}
		if _, err := s.stillActs(ctx, credential.SessionName{User: row.UserID, Session: row.SessionID}, row.OrgID); err != nil {
			return nil, err
		}
	}
	var family *db.Session
	err = s.atomically(ctx, func(ctx context.Context, refuse func(error) error) error {
		row, err := s.findCode(ctx, name, hash)
		if err != nil {
			return err
		}
		if row.FamilyID != nil {
			if _, err := s.endSessionsWhere(ctx, row.UserID, "id = ?", *row.FamilyID); err != nil {
				return err
			}
			return refuse(noGrant("the code was used before"))
		}
		family, err = s.begin(ctx, app, row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.tokens(ctx, app, family, in.Resource, row.Nonce)
}

// findCode returns the code of that name and hash; in a transaction, it locks the code.
func (s *Service) findCode(ctx context.Context, name credential.CodeName, hash []byte) (*db.AuthorizationCode, error) {
	lock := ""
	if db.HasTx(ctx) {
		lock = " for update"
	}
	row, err := db.SelectOne[db.AuthorizationCode](ctx, s.Database, "select * from authorization_codes where user_id = $1 and id = $2"+lock, name.User, name.Code)
	if err == nil && (row == nil || subtle.ConstantTimeCompare(row.Hash, hash) == 0) {
		err = noGrant("the code is unknown")
	}
	return row, err
}

// checkCode returns ErrGrant unless the code is good for what is shown with it. The code
// stays good for the client that it was made for.
func (s *Service) checkCode(app *db.Application, row *db.AuthorizationCode, in CodeGrant) error {
	sum := sha256.Sum256([]byte(in.Verifier))
	switch {
	case row.ApplicationID != app.ID:
		return noGrant("the code is another application's")
	case !s.now().Before(row.ExpiresAt):
		return noGrant("the code has expired")
	case in.RedirectURL != row.RedirectURL:
		return noGrant("redirect_uri is not the one that the code was sent to")
	case subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(row.Challenge)) == 0:
		return noGrant("code_verifier does not fit to code_challenge")
	}
	_, err := audienceOf(app, in.Resource, row.Audience)
	return err
}

// begin begins a family with the code, which is locked, unless the session of the browser
// has ended in the meantime.
func (s *Service) begin(ctx context.Context, app *db.Application, code *db.AuthorizationCode) (*db.Session, error) {
	parent, err := db.SelectOne[db.Session](ctx, s.Database, "select * from sessions where user_id = $1 and id = $2 for share", code.UserID, code.SessionID)
	if err != nil {
		return nil, err
	}
	if parent == nil {
		return nil, noGrant("the person has signed out")
	}
	now := s.now()
	family := &db.Session{
		UserID: code.UserID, ID: db.NewID[db.SessionKind](), Hash: credential.NoSecret(), OrgID: &code.OrgID, Methods: parent.Methods,
		Device: deviceWith(app, code.Device), Address: code.Address, CreatedAt: parent.CreatedAt, LastUsedAt: now, ExpiresAt: parent.ExpiresAt,
		ApplicationID: &app.ID, ParentID: &parent.ID, Scopes: code.Scopes, Audience: &code.Audience,
	}
	if slices.Contains(code.Scopes, ScopeOffline) {
		family.Generation, family.RotatedAt = 1, &now
	} else if end := now.Add(tokenLife); end.Before(family.ExpiresAt) {
		family.ExpiresAt = end
	}
	if _, err := s.Directory.Writer.Unrecorded(ctx).NewInsert().Model(family).Exec(ctx); err != nil {
		return nil, err
	}
	if _, err := s.Directory.Writer.Unrecorded(ctx).NewUpdate().Model(code).Set("family_id = ?", family.ID).WherePK().Exec(ctx); err != nil {
		return nil, err
	}
	return family, s.noteSession(ctx, family)
}

// deviceWith returns what the session with an application is called.
func deviceWith(app *db.Application, device *string) *string {
	name := app.Name
	if device != nil {
		name += ", " + *device
	}
	return &name
}

// rotationGrace is how long the predecessor of a refresh token gets the same successor: a
// client may have lost the answer, or asked several times at once.
const rotationGrace = 10 * time.Second

// Refresh returns new tokens for a refresh token of the application, and a new refresh token
// among them. It returns ErrGrant for one that is not good, and ErrTarget. One that was
// replaced for longer than rotationGrace has been stolen: it ends the family.
func (s *Service) Refresh(ctx context.Context, app *db.Application, shown secret.Text, resource string) (*Tokens, error) {
	if _, err := audienceOf(app, resource, ""); err != nil {
		return nil, err
	}
	family, generation, err := s.familyOf(ctx, app, shown)
	if err != nil {
		return nil, err
	}
	now := s.now()
	err = s.atomically(ctx, func(ctx context.Context, refuse func(error) error) error {
		row, err := db.SelectOne[db.Session](ctx, s.Database, "select * from sessions where user_id = $1 and id = $2 for no key update", family.UserID, family.ID)
		if err != nil {
			return err
		}
		if row == nil {
			return noGrant("the session has ended")
		}
		family = row
		switch {
		case generation == row.Generation:
			row.Generation, row.RotatedAt, row.LastUsedAt = row.Generation+1, &now, now
			_, err := s.Directory.Writer.Unrecorded(ctx).NewUpdate().Model(row).Column("generation", "rotated_at", "last_used_at").WherePK().Exec(ctx)
			return err
		case generation == row.Generation-1 && now.Sub(*row.RotatedAt) <= rotationGrace:
			return nil
		}
		if _, err := s.endSessionsWhere(ctx, row.UserID, "id = ?", row.ID); err != nil {
			return err
		}
		return refuse(noGrant("the refresh token was used before"))
	})
	if err != nil {
		return nil, err
	}
	return s.tokens(ctx, app, family, resource, nil)
}

// familyOf returns the family that works and is the application's, one of whose refresh
// tokens this is, and the number of that. It returns ErrGrant for any other token.
func (s *Service) familyOf(ctx context.Context, app *db.Application, shown secret.Text) (family *db.Session, generation int, err error) {
	of, generation, ok := credential.ParseRefreshToken(shown)
	if !ok {
		return nil, 0, noGrant("the refresh token is malformed")
	}
	actor, err := s.stillActs(ctx, of, db.OrganizationID{})
	switch {
	case err != nil:
		return nil, 0, err
	case !credential.IsRefreshToken(s.Keyring, shown, actor.Session.Hash) || actor.Session.ApplicationID == nil || *actor.Session.ApplicationID != app.ID:
		return nil, 0, noGrant("the refresh token is unknown")
	case actor.Organization == nil:
		return nil, 0, noGrant("the person cannot act in the organization")
	}
	return actor.Session, generation, nil
}

// stillActs returns the actor of the session, in the organization or, if that is zero, in the
// one that the session remembers. It returns ErrGrant if the session has ended, or the
// person cannot act there.
func (s *Service) stillActs(ctx context.Context, of credential.SessionName, org db.OrganizationID) (*access.Actor, error) {
	organization := ""
	if !org.IsZero() {
		organization = org.String()
	}
	actor, err := s.Directory.AuthenticateNamed(ctx, of, organization)
	if problem.Is(err, problem.Unauthenticated) || problem.Is(err, problem.Forbidden) {
		return nil, noGrant("the session has ended, or the person cannot act in the organization")
	}
	return actor, err
}

// LogOut signs the person out whose browser it is, and ends what the ID token has begun that
// an application shows as a hint, or the empty text. It reports false if the person has to be
// asked first: the hint is no token, or not theirs, so that any page could have sent them.
func (s *Service) LogOut(ctx context.Context, hint string) (done bool, err error) {
	actor := access.ActorOf(ctx)
	user, isHint, err := s.endHinted(ctx, hint)
	switch {
	case err != nil:
		return false, err
	case actor == nil:
		return true, nil
	case !isHint || user != *actor.User:
		return false, nil
	}
	_, err = s.SignOut(ctx, false)
	return true, err
}

// endHinted ends the family that the ID token belongs to, and returns whose it is.
func (s *Service) endHinted(ctx context.Context, hint string) (user db.UserID, ok bool, err error) {
	claims, err := s.Tokens.ReadID(hint)
	if err != nil {
		return user, false, nil //nolint:nilerr // we have not made it
	}
	user, malformed := db.ParseID[db.UserKind](claims.Subject)
	family, alsoMalformed := db.ParseID[db.SessionKind](claims.SessionID)
	if cmp.Or(malformed, alsoMalformed) != nil {
		return user, false, nil
	}
	_, err = s.endSessionsWhere(ctx, user, "id = ?", family)
	return user, true, err
}

// HintedApplication returns the id of the application that an ID token was made for. It
// returns false if the text is not an ID token of this server.
func (s *Service) HintedApplication(hint string) (id db.ApplicationID, ok bool) {
	claims, err := s.Tokens.ReadID(hint)
	if err != nil {
		return id, false
	}
	id, err = db.ParseID[db.ClientKind](claims.Audience)
	return id, err == nil
}
