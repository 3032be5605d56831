package signin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"roster/credential"
	"roster/db"
	"roster/problem"
	"roster/secret"
	"roster/token"
)

// The scopes of OpenID Connect that mean something here (Core, 5.4 and 11).
const (
	ScopeOpenID  = "openid"
	ScopeProfile = "profile"
	ScopeEmail   = "email"
	ScopePhone   = "phone"
	ScopeOffline = "offline_access"
)

// Scopes are all of them.
var Scopes = []string{ScopeOpenID, ScopeProfile, ScopeEmail, ScopePhone, ScopeOffline}

// Tokens are what an application gets. ID is empty without the scope openid, and Refresh
// without offline_access.
type Tokens struct {
	Access, Refresh, ID secret.Text
	Life                time.Duration
	Scopes              []string
}

// tokens returns tokens of the family, whose refresh token is the present one.
func (s *Service) tokens(ctx context.Context, app *db.Application, family *db.Session, resource string, nonce *string) (*Tokens, error) {
	audience, err := audienceOf(app, resource, orEmpty(family.Audience))
	if err != nil {
		return nil, err
	}
	held, err := s.Directory.HeldIn(ctx, family.UserID, *family.OrgID)
	if err != nil {
		return nil, err
	}
	if held == nil {
		return nil, noGrant("the person cannot act in the organization")
	}
	now := s.now()
	signed, err := s.Tokens.Sign(ctx, token.Claims{
		Issuer: s.Issuer, Audience: []string{audience}, Subject: family.UserID.String(), ClientID: app.ClientID(), IssuedAt: now, ExpiresAt: now.Add(tokenLife),
		Scope: strings.Join(family.Scopes, " "), SessionID: family.ID.String(), OrganizationID: family.OrgID.String(), OrganizationCode: held.Code,
		Roles: held.Roles, Permissions: held.Permissions, Revision: s.Directory.Position().String(),
	})
	if err != nil {
		return nil, err
	}
	all := &Tokens{Access: signed, Life: tokenLife, Scopes: family.Scopes}
	if family.Generation > 0 {
		all.Refresh = credential.RefreshToken(s.Keyring, credential.SessionName{User: family.UserID, Session: family.ID}, family.Generation, family.Hash)
	}
	if slices.Contains(family.Scopes, ScopeOpenID) {
		all.ID, err = s.idToken(ctx, app, family, signed, nonce, now)
	}
	return all, err
}

// idToken returns the ID token that goes with the access token.
func (s *Service) idToken(ctx context.Context, app *db.Application, family *db.Session, access secret.Text, nonce *string, now time.Time) (secret.Text, error) {
	profile, err := s.profile(ctx, family.UserID, family.Scopes)
	if err != nil {
		return secret.Text{}, err
	}
	sum := sha256.Sum256([]byte(access.Reveal()))
	return s.Tokens.SignID(ctx, token.IDClaims{
		Audience: app.ClientID(), Subject: family.UserID.String(), IssuedAt: now, ExpiresAt: now.Add(tokenLife), AuthTime: family.CreatedAt, Methods: amr(family.Methods),
		Nonce: orEmpty(nonce), AccessTokenHash: base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2]), SessionID: family.ID.String(), Profile: profile,
	})
}

// amr returns the methods by their names in RFC 8176.
func amr(methods []string) []string {
	names := make([]string, len(methods))
	for i, method := range methods {
		switch method {
		case methodPassword:
			names[i] = "pwd"
		case methodCode:
			names[i] = "otp"
		default:
			names[i] = method
		}
	}
	return names
}

// profile returns the claims about the user that the scopes ask for (OpenID Connect Core,
// 5.1).
func (s *Service) profile(ctx context.Context, id db.UserID, scopes []string) (map[string]any, error) {
	user, err := db.SelectOne[db.User](ctx, s.Database, "select * from users where id = $1 and deleted_at is null", id)
	if err != nil {
		return nil, err
	}
	if user == nil {
		return nil, noGrant("the user does not exist any more")
	}
	all := map[string]any{}
	text := func(name string, value *string) {
		if value != nil {
			all[name] = *value
		}
	}
	if slices.Contains(scopes, ScopeProfile) {
		all["name"], all["updated_at"] = user.Name, user.UpdatedAt.Unix()
		text("given_name", user.GivenName)
		text("family_name", user.FamilyName)
		text("preferred_username", user.Username)
		text("picture", user.PictureURL)
	}
	if slices.Contains(scopes, ScopeEmail) && user.Email != nil {
		all["email"], all["email_verified"] = *user.Email, user.EmailVerified
	}
	if slices.Contains(scopes, ScopePhone) {
		text("phone_number", user.Phone)
	}
	return all, nil
}

// MachineToken returns an access token by which a MACHINE acts for itself. It returns
// ErrTarget, and ErrGrant if the application may not do anything any more.
func (s *Service) MachineToken(ctx context.Context, app *db.Application, resource string) (*Tokens, error) {
	audience, err := audienceOf(app, resource, "")
	if err != nil {
		return nil, err
	}
	actor, err := s.Directory.AuthenticateApplication(ctx, app.ID)
	if problem.Is(err, problem.Unauthenticated) {
		return nil, noGrant("whoever answers for the application may do nothing any more, or its organization is suspended")
	}
	if err != nil {
		return nil, err
	}
	now := s.now()
	claims := token.Claims{
		Issuer: s.Issuer, Audience: []string{audience}, Subject: app.ClientID(), ClientID: app.ClientID(), IssuedAt: now, ExpiresAt: now.Add(tokenLife),
		Roles: []string{}, Permissions: []string{}, Revision: s.Directory.Position().String(),
	}
	for _, p := range actor.Permissions {
		claims.Permissions = append(claims.Permissions, string(p))
	}
	if org := actor.Organization; org != nil {
		claims.OrganizationID = org.String()
		if claims.OrganizationCode, err = s.Directory.OrganizationCode(ctx, *org); err != nil {
			return nil, err
		}
	}
	signed, err := s.Tokens.Sign(ctx, claims)
	return &Tokens{Access: signed, Life: tokenLife}, err
}

// ErrNotForUserInfo is returned for an access token without the scope openid.
var ErrNotForUserInfo = errors.New("the access token has not the scope openid")

// UserInfo returns the claims about the person whose access token it is, one of an
// application's, for whatever audience. It returns ErrNotForUserInfo, and ErrGrant for what
// is no valid token.
func (s *Service) UserInfo(ctx context.Context, shown secret.Text) (map[string]any, error) {
	claims, err := s.live(ctx, shown)
	if err != nil {
		return nil, err
	}
	scopes := strings.Fields(claims.Scope)
	user, err := db.ParseID[db.UserKind](claims.Subject)
	if err != nil || !slices.Contains(scopes, ScopeOpenID) {
		return nil, ErrNotForUserInfo
	}
	all, err := s.profile(ctx, user, scopes)
	if err != nil {
		return nil, err
	}
	all["sub"] = claims.Subject
	return all, nil
}

// live returns the claims of an access token, for whatever audience, if what it stands on
// has not ended. It returns ErrGrant if not.
func (s *Service) live(ctx context.Context, shown secret.Text) (token.Claims, error) {
	claims, err := s.Tokens.VerifyForAll(ctx, shown.Reveal())
	if errors.Is(err, token.ErrInvalid) {
		return claims, noGrant("the access token is not valid")
	}
	if err != nil {
		return claims, err
	}
	_, err = s.actorOf(ctx, claims, "")
	if problem.Is(err, problem.Unauthenticated) || problem.Is(err, problem.Forbidden) {
		err = noGrant("what the access token stands on has ended")
	}
	return claims, err
}

// Introspection is what a token says that is valid now.
type Introspection struct {
	token.Claims
	// Refresh is true of a refresh token.
	Refresh bool
}

// Introspect returns what a token says, or nil if it is not valid or not for the application
// to know: that is one that the application got, or that is for a backend which it has among
// its audiences.
func (s *Service) Introspect(ctx context.Context, app *db.Application, shown secret.Text) (*Introspection, error) {
	if _, _, ok := credential.ParseRefreshToken(shown); ok {
		family, generation, err := s.familyOf(ctx, app, shown)
		if errors.Is(err, ErrGrant) || err == nil && generation != family.Generation {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return &Introspection{token.Claims{
			Issuer: s.Issuer, Subject: family.UserID.String(), ClientID: app.ClientID(), ExpiresAt: family.ExpiresAt, IssuedAt: *family.RotatedAt,
			Scope: strings.Join(family.Scopes, " "), SessionID: family.ID.String(),
		}, true}, nil
	}
	claims, err := s.live(ctx, shown)
	switch {
	case errors.Is(err, ErrGrant):
		return nil, nil
	case err != nil:
		return nil, err
	case claims.ClientID != app.ClientID() && !slices.ContainsFunc(claims.Audience, func(a string) bool { return slices.Contains(app.Audiences, a) }):
		return nil, nil
	}
	return &Introspection{Claims: claims}, nil
}

// ErrNotRevocable is returned for the token of a MACHINE, which ends by itself, or with the
// application.
var ErrNotRevocable = errors.New("an access token of a MACHINE cannot be revoked; it is valid for 10 minutes")

// Revoke ends what the token of the application belongs to. A token that is unknown, or
// another application's, changes nothing (RFC 7009, 2.2).
func (s *Service) Revoke(ctx context.Context, app *db.Application, shown secret.Text) error {
	var of credential.SessionName
	if _, _, ok := credential.ParseRefreshToken(shown); ok {
		family, _, err := s.familyOf(ctx, app, shown)
		if err != nil {
			return unlessNoGrant(err)
		}
		of = credential.SessionName{User: family.UserID, Session: family.ID}
	} else {
		claims, err := s.live(ctx, shown)
		switch {
		case err != nil:
			return unlessNoGrant(err)
		case claims.ClientID != app.ClientID():
			return nil
		case claims.Subject == claims.ClientID:
			return ErrNotRevocable
		}
		if of, err = sessionNamed(claims); err != nil {
			return err
		}
	}
	_, err := s.endSessionsWhere(ctx, of.User, "id = ?", of.Session)
	return err
}

func unlessNoGrant(err error) error {
	if errors.Is(err, ErrGrant) {
		return nil
	}
	return err
}
