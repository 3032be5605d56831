// Package token makes and verifies access tokens: JWTs of RFC 9068, signed with ES256 by
// keys that all servers of a database share. It makes ID tokens of OpenID Connect, too,
// which are signed with RS256 by keys of their own, and are no credentials here.
//
//	Open ──▶ Keys ── Sign     one token, by the present key
//	          ├── SignID      one ID token (id.go)
//	          ├── Verify      from memory
//	          ├── ServeJWKS   the public keys, for whoever else verifies
//	          ├── Rotate      the next key signs as soon as everybody can know it
//	          └── Run         reads the keys again, makes new ones, deletes old ones
//
// The life of a key, whose successor is published by the time that it signs:
//
//	published ──(lead or longer)──▶ signs ──(age)──▶ retired ──(retention)──▶ deleted
//
// Begin with Claims in this file; keys.go has the keys in memory, rotate.go their life.
package token

import (
	"context"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"roster/secret"
)

// Claims are what an access token says. Sign and Verify require each of the first seven.
type Claims struct {
	Issuer    string    `json:"iss"`
	Audience  []string  `json:"aud"`
	Subject   string    `json:"sub"`
	ClientID  string    `json:"client_id"`
	IssuedAt  time.Time `json:"-"` // in whole seconds
	ExpiresAt time.Time `json:"-"` // in whole seconds
	ID        string    `json:"jti"`

	// Scope has the scopes of OpenID Connect that were asked for, with spaces between them.
	Scope            string   `json:"scope,omitempty"`
	SessionID        string   `json:"sid,omitempty"`
	OrganizationID   string   `json:"org_id,omitempty"`
	OrganizationCode string   `json:"org_code,omitempty"`
	Roles            []string `json:"roles,omitzero"`
	Permissions      []string `json:"permissions,omitzero"`
	// PermissionsOmitted is set by Sign if Permissions would take more than
	// maxPermissions, and are left out. Ask the API then.
	PermissionsOmitted bool `json:"permissions_omitted,omitzero"`
	// Revision is a revision of the directory that Roles and Permissions are as new as.
	Revision string `json:"rev,omitempty"`
}

const (
	// MaxLife is how long a token may be valid.
	MaxLife = time.Hour
	// maxLength is the length of the longest token, in bytes.
	maxLength = 16 << 10
	// maxPermissions is the size of the longest list of permissions, as JSON in bytes.
	maxPermissions = 4 << 10
	// leeway is how far the clocks of servers may be apart.
	leeway = 5 * time.Second
)

// ErrInvalid is the error of a token that proves nothing. What wraps it says why, for the
// log.
var ErrInvalid = errors.New("not a valid access token")

func invalid(reason string) error { return fmt.Errorf("%w: %s", ErrInvalid, reason) }

// Sign returns a token with these claims. Its issuer is the one of the options, and its id
// is new, if claims have none. It returns an error if a claim is missing, if the token would
// be valid for longer than MaxLife or longer than maxLength, and if the signing keys could
// not be read for too long.
func (k *Keys) Sign(ctx context.Context, claims Claims) (secret.Text, error) {
	if claims.Issuer == "" {
		claims.Issuer = k.options.Issuer
	}
	if claims.ID == "" {
		claims.ID = rand.Text()
	}
	if err := claims.complete(); err != nil {
		return secret.Text{}, fmt.Errorf("token: sign: %w", err)
	}
	encoded, err := claims.encode()
	if err != nil {
		return secret.Text{}, fmt.Errorf("token: sign: %w", err)
	}
	return k.sign(ctx, accessTokens, encoded)
}

// sign returns the encoded claims, signed as a token of the kind.
func (k *Keys) sign(ctx context.Context, of *kind, encoded []byte) (secret.Text, error) {
	signer, err := k.signer(ctx, of)
	if err != nil {
		return secret.Text{}, err
	}
	text, err := signer.sign(encoded)
	if err == nil && len(text) > maxLength {
		err = fmt.Errorf("token: sign: %d bytes are more than a token may have", len(text))
	}
	if err != nil {
		return secret.Text{}, err
	}
	return secret.New(text), nil
}

// encode returns the claims as JSON, without permissions if they are too many.
func (c Claims) encode() ([]byte, error) {
	list, err := json.Marshal(c.Permissions)
	if err != nil {
		return nil, err
	}
	if c.PermissionsOmitted = len(list) > maxPermissions; c.PermissionsOmitted {
		c.Permissions = nil
	}
	return json.Marshal(payload{Claims: c, IssuedAt: c.IssuedAt.Unix(), ExpiresAt: c.ExpiresAt.Unix()})
}

// complete returns ErrInvalid unless all claims are there that must be, with a life that
// is possible.
func (c *Claims) complete() error {
	switch {
	case c.Issuer == "":
		return invalid("no issuer")
	case len(c.Audience) == 0 || slices.Contains(c.Audience, ""):
		return invalid("no audience")
	case c.Subject == "":
		return invalid("no subject")
	case c.ClientID == "":
		return invalid("no client")
	case c.ID == "":
		return invalid("no id")
	case c.IssuedAt.IsZero() || c.ExpiresAt.IsZero():
		return invalid("no life")
	case !c.ExpiresAt.After(c.IssuedAt) || c.ExpiresAt.Sub(c.IssuedAt) > MaxLife:
		return invalid("an impossible life")
	}
	return nil
}

// payload is how tokens have their claims. Times are in seconds of Unix; 0 if they are
// missing.
type payload struct {
	Claims
	IssuedAt  int64 `json:"iat"`
	ExpiresAt int64 `json:"exp"`
	NotBefore int64 `json:"nbf,omitzero"` // of RFC 7519; Sign writes none
}

// Verify returns the claims of a token that was signed by one of the keys, for an audience
// of the options, and is valid now. Otherwise it returns ErrInvalid. It works from memory,
// except that a key that it does not know makes it read the keys, at most once in rereadAfter.
// The lists of the claims are shared: do not modify them.
//
// A token is accepted in the one form in which Sign writes it. So its header is not
// parsed, but compared with the headers that the keys write: there is no other
// algorithm or type, and no key or address of a key within it, that could be believed.
func (k *Keys) Verify(ctx context.Context, text string) (Claims, error) {
	claims, err := k.VerifyForAll(ctx, text)
	if err == nil && !slices.ContainsFunc(claims.Audience, func(a string) bool { return slices.Contains(k.options.Audiences, a) }) {
		err = invalid("another audience")
	}
	return claims, err
}

// VerifyForAll is Verify for tokens of any audience. Only what the token was made by may ask
// so: everybody else accepts no token that is for another one.
func (k *Keys) VerifyForAll(ctx context.Context, text string) (Claims, error) {
	if len(text) > maxLength {
		return Claims{}, invalid("too long")
	}
	header, rest, _ := strings.Cut(text, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	by, err := k.byHeader(ctx, header)
	if err != nil {
		return Claims{}, err
	}
	hash := sha256.Sum256([]byte(text))
	known, ok := k.verified.Get(hash)
	if !ok {
		if !canonical(claims) || !canonicalSignature(signature) {
			return Claims{}, invalid("not in base64url as it is written")
		}
		if known, err = by.verify(text); err != nil {
			return Claims{}, err
		}
		k.verified.Add(hash, known)
	}
	return known.Claims, known.check(k.clock(), &k.options)
}

// verify returns the claims of the token if the key has signed it.
func (k *key) verify(text string) (*payload, error) {
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{k.kind.algorithm})
	if err != nil {
		return nil, invalid("malformed")
	}
	encoded, err := signed.Verify(k.private.Public())
	if err != nil {
		return nil, invalid("wrong signature")
	}
	var p payload
	if err := json.Unmarshal(encoded, &p); err != nil { // duplicate members, too
		return nil, invalid("malformed claims")
	}
	if p.IssuedAt <= 0 || p.ExpiresAt <= 0 {
		return nil, invalid("no life")
	}
	p.Claims.IssuedAt, p.Claims.ExpiresAt = time.Unix(p.IssuedAt, 0), time.Unix(p.ExpiresAt, 0)
	return &p, p.complete()
}

// check returns ErrInvalid unless the claims count here and now.
func (p *payload) check(now time.Time, o *Options) error {
	c := &p.Claims
	switch {
	case c.Issuer != o.Issuer:
		return invalid("another issuer")
	case !now.Before(c.ExpiresAt.Add(leeway)):
		return invalid("expired")
	case c.IssuedAt.After(now.Add(leeway)) || time.Unix(p.NotBefore, 0).After(now.Add(leeway)):
		return invalid("not valid yet")
	}
	return nil
}

// canonical reports whether text is the one way to write some bytes in base64url. Decoders
// pass over line breaks, and over bits behind the last byte.
func canonical(text string) bool {
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && base64.RawURLEncoding.EncodeToString(decoded) == text
}

var halfOrder = new(big.Int).Rsh(elliptic.P256().Params().N, 1)

// canonicalSignature reports whether text is the one signature that Sign accepts of the two
// that come with each other: (r, s) with the smaller s. Whoever has a token could
// make the other one of it.
func canonicalSignature(text string) bool {
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && len(decoded) == 64 && canonical(text) && new(big.Int).SetBytes(decoded[32:]).Cmp(halfOrder) <= 0
}
