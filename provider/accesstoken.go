package provider

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
)

// TrustedIssuer is somebody else's authorization server. Its access tokens for the audience
// say who asks.
type TrustedIssuer struct{ Issuer, Audience string }

// AccessTokens verifies access tokens of trusted issuers. It is safe for concurrent use.
type AccessTokens struct{ issuers map[string]*tokenIssuer }

// NewAccessTokens returns the tokens of the issuers, whose keys are asked for by the HTTP
// client (package egress) when they are needed. Tokens expire by the clock.
func NewAccessTokens(by *http.Client, clock func() time.Time, trusted ...TrustedIssuer) *AccessTokens {
	all := &AccessTokens{issuers: make(map[string]*tokenIssuer, len(trusted))}
	for _, one := range trusted {
		i := all.issuers[one.Issuer]
		if i == nil {
			verified, err := lru.New[[sha256.Size]byte, *Subject](maxVerified)
			if err != nil {
				panic(err) // only for no size
			}
			i = &tokenIssuer{url: one.Issuer, http: by, clock: clock, verified: verified}
			all.issuers[one.Issuer] = i
		}
		i.audiences = append(i.audiences, one.Audience)
	}
	return all
}

// Subject is whom an access token is about: an identity.
type Subject struct {
	Issuer, Subject string
	expiresAt       time.Time
}

// The errors of Verify, which errors.Is finds.
var (
	// ErrToken reports a token that proves nothing.
	ErrToken = errors.New("not a valid access token of a trusted issuer")
	// ErrNoKeys reports an issuer whose keys could not be read.
	ErrNoKeys = errors.New("the keys of the issuer could not be read")
)

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrToken, fmt.Sprintf(format, args...))
}

// What a token may be at most: its length in bytes, and how many that were verified are
// remembered for each issuer.
const (
	maxToken    = 16 << 10
	maxVerified = 10_000
)

// Names reports whether the text is a token that says that it is of one of the issuers.
func (a *AccessTokens) Names(text string) bool { return a.issuerOf(text) != nil }

// issuerOf returns the issuer that a token names, or nil. There is one text for each token
// (RFC 4648, 3.5).
func (a *AccessTokens) issuerOf(text string) *tokenIssuer {
	if a == nil || len(a.issuers) == 0 || len(text) > maxToken {
		return nil
	}
	var parts [][]byte
	for part := range strings.SplitSeq(text, ".") {
		decoded, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil {
			return nil
		}
		parts = append(parts, decoded)
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if len(parts) != 3 || json.Unmarshal(parts[1], &claims) != nil {
		return nil
	}
	return a.issuers[claims.Issuer]
}

// Verify returns whom a token is about that one of the issuers has signed, for one of its
// audiences, and that is valid now. Otherwise it returns ErrToken, or ErrNoKeys. It works
// from memory, and reads keys again in the background while tokens are shown. A token waits
// for that only if the keys are 5 minutes old, or if its key is unknown, once in 10 seconds
// at most.
func (a *AccessTokens) Verify(ctx context.Context, text string) (*Subject, error) {
	issuer := a.issuerOf(text)
	if issuer == nil {
		return nil, refuse("of no trusted issuer")
	}
	now, hash := issuer.clock(), sha256.Sum256([]byte(text))
	keys := issuer.keys.Load()
	issuer.refresh(ctx, keys)
	if known, ok := issuer.verified.Get(hash); ok && now.Before(known.expiresAt) && issuer.isFresh(keys) {
		return known, nil
	}
	subject, err := issuer.verify(ctx, text)
	if err == nil {
		issuer.verified.Add(hash, subject)
	}
	return subject, err
}

// tokenIssuer is a trusted issuer.
type tokenIssuer struct {
	url       string
	audiences []string
	http      *http.Client
	clock     func() time.Time
	// keys are those that were read last; nil before.
	keys       atomic.Pointer[keySet]
	reading    singleflight.Group
	refreshing atomic.Bool // in the background
	// verified are tokens that were verified by keys, by their hashes.
	verified *lru.Cache[[sha256.Size]byte, *Subject]
}

// keySet is what an issuer has answered last.
type keySet struct {
	jose.JSONWebKeySet
	// askedAt is when it was asked, and answeredAt when it has answered with these keys.
	askedAt, answeredAt time.Time
	// err is why there are no keys.
	err error
}

// How old keys are at least when they are read again because of a token, since anybody can
// make one that names an unknown key; when they are read again in the background, so that
// nobody waits for a slow issuer; and how long they count while the issuer is away.
const (
	minAge     = 10 * time.Second
	refreshAge = maxAge * 4 / 5
	keepAge    = 24 * time.Hour
)

// isFresh reports whether keys are new enough to be believed.
func (i *tokenIssuer) isFresh(keys *keySet) bool {
	return keys != nil && keys.err == nil && i.age(keys) < maxAge
}

// mayAsk reports whether the issuer may be asked again.
func (i *tokenIssuer) mayAsk(keys *keySet) bool {
	return keys == nil || i.age(keys) >= minAge
}

// age returns how long ago the issuer was asked for the keys.
func (i *tokenIssuer) age(keys *keySet) time.Duration { return i.clock().Sub(keys.askedAt).Abs() }

// refresh begins to read keys that are fresh, and soon too old, in the background.
func (i *tokenIssuer) refresh(ctx context.Context, keys *keySet) {
	if !i.isFresh(keys) || i.age(keys) < refreshAge || !i.refreshing.CompareAndSwap(false, true) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	go func() {
		defer i.refreshing.Store(false)
		_, _ = i.read(ctx) // an issuer that is away is asked again later
	}()
}

// isSigned returns an error unless one of the issuer's keys has signed the token.
func (i *tokenIssuer) isSigned(ctx context.Context, text string) error {
	allowed := make([]jose.SignatureAlgorithm, len(algorithms))
	for n, name := range algorithms {
		allowed[n] = jose.SignatureAlgorithm(name)
	}
	signed, err := jose.ParseSignedCompact(text, allowed)
	if err != nil {
		return refuse("malformed")
	}
	id := signed.Signatures[0].Header.KeyID
	keys := i.keys.Load()
	if i.mayAsk(keys) && (!i.isFresh(keys) || len(keys.Key(id)) == 0) {
		if keys, err = i.read(ctx); err != nil {
			return err
		}
	}
	if keys.err != nil {
		return keys.err
	}
	for _, key := range keys.Key(id) {
		if _, err := signed.Verify(key); err == nil && key.Valid() && key.IsPublic() && key.Use != "enc" {
			return nil
		}
	}
	return refuse("signed by none of the issuer's keys")
}

// read reads the keys of the issuer. Those who need them at the same time wait for one
// answer.
func (i *tokenIssuer) read(ctx context.Context) (*keySet, error) {
	answers := i.reading.DoChan("", func() (any, error) {
		before, keys := i.keys.Load(), &keySet{askedAt: i.clock()}
		keys.answeredAt = keys.askedAt
		// Not of whoever came first: others wait for it, too.
		if err := i.fetch(context.WithoutCancel(ctx), &keys.JSONWebKeySet); err != nil {
			keys.err = fmt.Errorf("%w: %w", ErrNoKeys, err)
			if before != nil && before.err == nil && keys.askedAt.Sub(before.answeredAt) < keepAge {
				keys.JSONWebKeySet, keys.answeredAt, keys.err = before.JSONWebKeySet, before.answeredAt, nil
			}
		}
		i.keys.Store(keys)
		i.verified.Purge()
		return keys, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case answer := <-answers:
		keys, _ := answer.Val.(*keySet)
		return keys, answer.Err
	}
}

// fetch asks the issuer for its keys.
func (i *tokenIssuer) fetch(ctx context.Context, into *jose.JSONWebKeySet) error {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, i.http), i.url)
	if err != nil {
		return err
	}
	var about struct {
		Keys string `json:"jwks_uri"`
	}
	if err := found.Claims(&about); err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, about.Keys, nil)
	if err != nil {
		return err
	}
	response, err := i.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the keys are answered by %s", response.Status)
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
		return err
	}
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil { // others are of kinds that are not known here (RFC 7517, 5)
			into.Keys = append(into.Keys, key)
		}
	}
	return nil
}

// verify is AccessTokens.Verify for a token that names this issuer and was not verified
// before.
func (i *tokenIssuer) verify(ctx context.Context, text string) (*Subject, error) {
	if err := i.isSigned(ctx, text); err != nil {
		return nil, err
	}
	// The rest of what OpenID Connect Core, 3.1.3.7, and RFC 9068, 4, say of claims.
	config := &oidc.Config{SkipClientIDCheck: true, InsecureSkipSignatureCheck: true, SupportedSigningAlgs: algorithms, Now: i.clock}
	token, err := oidc.NewVerifier(i.url, nil, config).Verify(ctx, text)
	switch {
	case err != nil:
		return nil, refuse("%v", err)
	case !slices.ContainsFunc(token.Audience, func(one string) bool { return slices.Contains(i.audiences, one) }):
		return nil, refuse("for another audience")
	case token.Nonce != "" || token.AccessTokenHash != "":
		return nil, refuse("it is an ID token")
	}
	var all claims
	if err := token.Claims(&all); err != nil {
		return nil, refuse("malformed claims")
	}
	subject := token.Subject
	if isMicrosoft(i.url) && all.ObjectID != "" {
		subject = all.ObjectID // as for those who sign in here
	}
	if !isSubject(subject) {
		return nil, refuse("it names nobody")
	}
	return &Subject{Issuer: i.url, Subject: subject, expiresAt: token.Expiry}, nil
}

// isMicrosoft reports whether an issuer is a tenant of Microsoft.
func isMicrosoft(issuer string) bool {
	return slices.ContainsFunc(microsoftClouds, func(cloud string) bool { return strings.HasPrefix(issuer, cloud+"/") })
}
