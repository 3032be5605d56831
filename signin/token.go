package signin

import (
	"context"
	"slices"
	"strings"
	"time"

	"roster/access"
	"roster/credential"
	"roster/db"
	"roster/directory"
	"roster/problem"
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
	actor, err := access.RequirePerson(ctx)
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
	if s.Tokens == nil || strings.Count(shown.Reveal(), ".") != 2 {
		return s.Directory.Authenticate(ctx, shown, organization)
	}
	claims, err := s.Tokens.Verify(ctx, shown.Reveal())
	if err != nil {
		return nil, problem.New(problem.Unauthenticated, "This access token is not valid here, or no longer.")
	}
	user, err := db.ParseID[db.UserKind](claims.Subject)
	if err != nil {
		return nil, problem.New(problem.Unauthenticated, "This access token is not a person's.")
	}
	session, err := db.ParseID[db.SessionKind](claims.SessionID)
	if err != nil {
		return nil, problem.New(problem.Unauthenticated, "This access token belongs to no session.")
	}
	if organization == "" {
		organization = claims.OrganizationID
	}
	return s.Directory.AuthenticateNamed(ctx, credential.SessionName{User: user, Session: session}, organization)
}
