package token

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"roster/secret"
)

// IDClaims are what an ID token says (OpenID Connect Core, 2). All are required, except
// for Nonce, AccessTokenHash, SessionID and Profile.
type IDClaims struct {
	Issuer    string    `json:"iss"`
	Audience  string    `json:"aud"`
	Subject   string    `json:"sub"`
	IssuedAt  time.Time `json:"-"` // in whole seconds
	ExpiresAt time.Time `json:"-"` // in whole seconds
	// AuthTime is when the person signed in, in whole seconds, and Methods by what (RFC 8176).
	AuthTime time.Time `json:"-"`
	Methods  []string  `json:"amr"`

	Nonce           string `json:"nonce,omitempty"`
	AccessTokenHash string `json:"at_hash,omitempty"`
	SessionID       string `json:"sid,omitempty"`
	// Profile has more claims, such as email.
	Profile map[string]any `json:"-"`
}

// SignID returns an ID token with these claims. Its issuer is the one of the options.
func (k *Keys) SignID(ctx context.Context, claims IDClaims) (secret.Text, error) {
	claims.Issuer = k.options.Issuer
	all := maps.Clone(claims.Profile)
	if all == nil {
		all = map[string]any{}
	}
	plain, err := json.Marshal(claims)
	if err == nil {
		err = json.Unmarshal(plain, &all)
	}
	if err != nil {
		return secret.Text{}, fmt.Errorf("token: sign an ID token: %w", err)
	}
	all["iat"], all["exp"], all["auth_time"] = claims.IssuedAt.Unix(), claims.ExpiresAt.Unix(), claims.AuthTime.Unix()
	encoded, err := json.Marshal(all)
	if err != nil {
		return secret.Text{}, fmt.Errorf("token: sign an ID token: %w", err)
	}
	return k.sign(ctx, idTokens, encoded)
}

// ReadID returns the claims of an ID token that SignID has signed, without its profile,
// however long ago: logging out shows one as a hint. It returns ErrInvalid for all else, and
// for tokens by keys that were deleted since.
func (k *Keys) ReadID(text string) (IDClaims, error) {
	if len(text) > maxLength {
		return IDClaims{}, invalid("too long")
	}
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{idTokens.algorithm})
	if err != nil {
		return IDClaims{}, invalid("malformed")
	}
	for _, one := range k.table.Load().keys[idTokens] {
		if one.KID != signed.Signatures[0].Protected.KeyID {
			continue
		}
		var claims IDClaims
		encoded, err := signed.Verify(one.private.Public())
		if err != nil || json.Unmarshal(encoded, &claims) != nil || claims.Issuer != k.options.Issuer {
			return IDClaims{}, invalid("wrong signature")
		}
		return claims, nil
	}
	return IDClaims{}, invalid("by no key that is known")
}
