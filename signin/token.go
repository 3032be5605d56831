package signin

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"roster/access"
	"roster/credential"
	"roster/db"
	"roster/directory"
	"roster/problem"
	"roster/provider"
	"roster/secret"
	"roster/token"
)

// tokenLife is how long an access token is good for.
const tokenLife = 10 * time.Minute

// clientID is the client of the access tokens that people get with their session.
const clientID = "roster"

// Token is an access token, by which another server knows who asks, and what they may do.
type Token struct {
	Token        secret.Text
	ExpiresAt    time.Time
	Organization db.OrganizationID
}

// AccessTokenInput says where the person acts, nil being the organization of the request,
// and whom the token is for.
type AccessTokenInput struct {
	Organization *directory.OrganizationRef
	Audience     string
}

// AccessToken returns an access token (RFC 9068) for the person who is signed in.
func (s *Service) AccessToken(ctx context.Context, in AccessTokenInput) (*Token, error) {
	actor, err := access.RequireSession(ctx)
	if err != nil {
		return nil, err
	}
	if s.Tokens == nil || in.Audience != s.Issuer && !slices.Contains(s.Audiences, in.Audience) {
		return nil, problem.At(problem.Invalid, "input.audience", "Tokens are not made for this audience: it must be one of ROSTER_AUDIENCES, or this server.")
	}
	org := actor.Organization
	if in.Organization != nil {
		named, err := s.Directory.OrganizationID(ctx, *in.Organization)
		if err != nil {
			return nil, err
		}
		org = &named
	}
	if org == nil {
		return nil, problem.At(problem.Invalid, "input.organization", "Name an organization: the session remembers none that you may act in.")
	}
	held, err := s.Directory.HeldIn(ctx, *actor.User, *org)
	if err != nil {
		return nil, err
	}
	if held == nil {
		return nil, problem.At(problem.NotFound, "input.organization", "You belong to no such organization.")
	}
	now := s.now()
	expires := now.Add(tokenLife)
	signed, err := s.Tokens.Sign(ctx, token.Claims{
		Issuer: s.Issuer, Audience: []string{in.Audience}, Subject: actor.User.String(), ClientID: clientID, IssuedAt: now, ExpiresAt: expires,
		SessionID: actor.Session.ID.String(), OrganizationID: org.String(), OrganizationCode: held.Code, Roles: held.Roles, Permissions: held.Permissions,
		Revision: s.Directory.Position().String(),
	})
	return &Token{signed, expires, *org}, err
}

// Authenticate returns the actor of a credential: an API key, a session, or an access
// token for this server. What it allows is asked of the directory, and not read from the
// token. See [directory.Directory.Authenticate].
func (s *Service) Authenticate(ctx context.Context, shown secret.Text, organization string) (*access.Actor, error) {
	switch {
	case strings.Count(shown.Reveal(), ".") != 2:
		return s.Directory.Authenticate(ctx, shown, organization)
	case s.TrustedTokens.Names(shown.Reveal()):
		return s.authenticateForeign(ctx, shown, organization)
	case s.Tokens == nil:
		return s.Directory.Authenticate(ctx, shown, organization)
	}
	claims, err := s.Tokens.Verify(ctx, shown.Reveal())
	if err != nil {
		return nil, problem.New(problem.Unauthenticated, "This access token is not valid here, or no longer.")
	}
	return s.actorOf(ctx, claims, organization)
}

// actorOf returns the actor of an access token that is valid, in the organization of that
// code or id, or else in the one that the token names.
func (s *Service) actorOf(ctx context.Context, claims token.Claims, organization string) (*access.Actor, error) {
	if app, err := db.ParseID[db.ClientKind](claims.Subject); err == nil && claims.ClientID == claims.Subject {
		return s.Directory.AuthenticateApplication(ctx, app)
	}
	of, err := sessionNamed(claims)
	if err != nil {
		return nil, err
	}
	if organization == "" {
		organization = claims.OrganizationID
	}
	return s.Directory.AuthenticateNamed(ctx, of, organization)
}

// sessionNamed returns the session that an access token names.
func sessionNamed(claims token.Claims) (of credential.SessionName, err error) {
	if of.User, err = db.ParseID[db.UserKind](claims.Subject); err != nil {
		return of, problem.New(problem.Unauthenticated, "This access token is not a person's.")
	}
	if of.Session, err = db.ParseID[db.SessionKind](claims.SessionID); err != nil {
		return of, problem.New(problem.Unauthenticated, "This access token belongs to no session.")
	}
	return of, nil
}

// authenticateForeign is Authenticate for an access token of a trusted issuer.
func (s *Service) authenticateForeign(ctx context.Context, shown secret.Text, organization string) (*access.Actor, error) {
	of, err := s.TrustedTokens.Verify(ctx, shown.Reveal())
	switch {
	case errors.Is(err, provider.ErrToken):
		return nil, problem.New(problem.Unauthenticated, "This access token is not valid here, or no longer.")
	case errors.Is(err, provider.ErrNoKeys):
		s.Log.WarnContext(ctx, "access tokens of a trusted issuer cannot be verified", "cause", err)
		return nil, problem.New(problem.Unavailable, "The issuer of this access token does not answer at the moment. Try again in a minute.")
	case err != nil:
		return nil, err
	}
	return s.Directory.AuthenticateIdentity(ctx, directory.IdentityName{Issuer: of.Issuer, Subject: of.Subject}, organization)
}
