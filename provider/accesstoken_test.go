package provider_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"roster/egress"
	"roster/provider"
	"roster/provider/providertest"
)

const audience = "https://api.example.com"

// hands is a clock that tests move.
type hands struct {
	mu  sync.Mutex
	now time.Time
}

func (h *hands) read() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.now }

func (h *hands) advance(by time.Duration) { h.mu.Lock(); defer h.mu.Unlock(); h.now = h.now.Add(by) }

// trusting returns tokens of the provider for the audience, and their clock.
func trusting(t *testing.T, p *providertest.Provider) (*provider.AccessTokens, *hands) {
	t.Helper()
	by := egress.NewClient(true)
	t.Cleanup(by.CloseIdleConnections)
	clock := &hands{now: time.Now()}
	return provider.NewAccessTokens(by, clock.read, provider.TrustedIssuer{Issuer: p.URL, Audience: "another"}, provider.TrustedIssuer{Issuer: p.URL, Audience: audience}), clock
}

// claimsOf returns the claims of a good token, with changes.
func claimsOf(p *providertest.Provider, changes map[string]any) []byte {
	now := time.Now()
	claims := map[string]any{"iss": p.URL, "aud": audience, "sub": "ada", "client_id": "app", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": "1"}
	maps.Copy(claims, changes)
	for name, value := range claims {
		if value == nil {
			delete(claims, name)
		}
	}
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return text
}

func (h *hands) asked(p *providertest.Provider) (n int) {
	for _, path := range p.Asked() {
		if path == "/keys" {
			n++
		}
	}
	return n
}

func TestAccessTokens(t *testing.T) {
	t.Parallel()
	p := providertest.New(t)
	tokens, _ := trusting(t, p)
	good := providertest.Signed(jose.RS256, p.Key, "1", claimsOf(p, nil))
	for range 2 { // read, and remembered
		subject, err := tokens.Verify(t.Context(), good)
		if err != nil || subject.Issuer != p.URL || subject.Subject != "ada" {
			t.Fatalf("%+v, %v", subject, err)
		}
	}
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(jose.JSONWebKey{Key: &p.Key.PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Hour)
	signed := func(changes map[string]any) string {
		return providertest.Signed(jose.RS256, p.Key, "1", claimsOf(p, changes))
	}
	bad := map[string]string{
		"nothing":                              "",
		"two parts":                            good[:strings.LastIndexByte(good, '.')],
		"another issuer":                       signed(map[string]any{"iss": "https://elsewhere.example"}),
		"an issuer with more":                  signed(map[string]any{"iss": p.URL + "/"}),
		"no issuer":                            signed(map[string]any{"iss": nil}),
		"another audience":                     signed(map[string]any{"aud": "https://other.example.com"}),
		"no audience":                          signed(map[string]any{"aud": nil}),
		"a longer audience":                    signed(map[string]any{"aud": audience + "/x"}),
		"expired":                              signed(map[string]any{"exp": past.Unix()}),
		"without an end":                       signed(map[string]any{"exp": nil}),
		"not yet":                              signed(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}),
		"nobody":                               signed(map[string]any{"sub": ""}),
		"no subject":                           signed(map[string]any{"sub": nil}),
		"a subject too long":                   signed(map[string]any{"sub": strings.Repeat("a", 256)}),
		"a subject with a NUL":                 signed(map[string]any{"sub": "ada\x00"}),
		"an ID token":                          signed(map[string]any{"nonce": "n"}),
		"an ID token of a hash":                signed(map[string]any{"at_hash": "aGFzaA"}),
		"another key":                          providertest.Signed(jose.RS256, foreign, "1", claimsOf(p, nil)),
		"an unknown key":                       providertest.Signed(jose.RS256, foreign, "2", claimsOf(p, nil)),
		"no signature":                         providertest.Unsigned(claimsOf(p, nil)),
		"signed by the public key as a secret": providertest.Signed(jose.HS256, public, "1", claimsOf(p, nil)),
		"a large one":                          signed(map[string]any{"more": strings.Repeat("a", 20<<10)}),
	}
	for i := range len(good) { // each byte changed
		changed := []byte(good)
		changed[i] ^= 4
		bad[fmt.Sprint("byte ", i)] = string(changed)
	}
	for name, text := range bad {
		if subject, err := tokens.Verify(t.Context(), text); !errors.Is(err, provider.ErrToken) || subject != nil {
			t.Errorf("%s: %+v, %v", name, subject, err)
		}
	}
	if several, err := tokens.Verify(t.Context(), signed(map[string]any{"aud": []string{"x", audience}, "sub": "grace"})); err != nil || several.Subject != "grace" {
		t.Errorf("%+v, %v", several, err)
	}
}

// Keys of kinds that are not known here, or that take long to verify by, do not keep those beside
// them from counting (RFC 7517, 5).
func TestKeysOfOtherKinds(t *testing.T) {
	t.Parallel()
	p := providertest.New(t)
	good, err := json.Marshal(jose.JSONWebKey{Key: p.Key.Public(), KeyID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	p.Serve = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/keys" {
			fmt.Fprintf(w, `{"keys": [{"kty": "AKP", "alg": "ML-DSA-65", "kid": "1", "pub": "AA"}, {"kty": "RSA", "kid": "1", "e": "AQAB", "n": %q}, %s]}`, strings.Repeat("_", 170_000), good)
		}
		return r.URL.Path == "/keys"
	}
	tokens, _ := trusting(t, p)
	if got, err := tokens.Verify(t.Context(), providertest.Signed(jose.RS256, p.Key, "1", claimsOf(p, nil))); err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// The keys of an issuer are asked for when they are needed: not for each token that names an
// unknown one, again when they are five minutes old, and old ones count for a day while the issuer is away.
func TestKeysOfIssuers(t *testing.T) {
	t.Parallel()
	p := providertest.New(t)
	tokens, clock := trusting(t, p)
	exp := time.Now().Add(100 * time.Hour).Unix()
	good := providertest.Signed(jose.RS256, p.Key, "1", claimsOf(p, map[string]any{"exp": exp}))
	unknown := providertest.Signed(jose.RS256, p.Key, "2", claimsOf(p, map[string]any{"exp": exp}))
	verify := func(text string, want error, asked int) {
		t.Helper()
		if _, err := tokens.Verify(t.Context(), text); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		if n := clock.asked(p); n != asked {
			t.Errorf("the keys were asked for %d times, want %d", n, asked)
		}
	}
	away := false
	p.Serve = func(w http.ResponseWriter, _ *http.Request) bool {
		if away {
			w.WriteHeader(http.StatusBadGateway)
		}
		return away
	}
	away = true
	for range 3 {
		verify(good, provider.ErrNoKeys, 0)
	}
	away = false
	verify(good, provider.ErrNoKeys, 0)
	clock.advance(11 * time.Second)
	for range 3 {
		verify(good, nil, 1)
	}
	for range 3 {
		verify(unknown, provider.ErrToken, 1)
	}
	clock.advance(11 * time.Second)
	verify(good, nil, 1)
	for range 3 {
		verify(unknown, provider.ErrToken, 2)
	}
	p.Keys = func(set *jose.JSONWebKeySet) { set.Keys[0].KeyID = "2" }
	clock.advance(11 * time.Second)
	verify(unknown, nil, 3)
	verify(good, provider.ErrToken, 3) // its key is gone
	clock.advance(time.Hour)
	verify(unknown, nil, 4)
	away = true
	for range 23 {
		clock.advance(time.Hour)
		verify(unknown, nil, 4)
	}
	clock.advance(2 * time.Hour)
	verify(unknown, provider.ErrNoKeys, 4)
}

// A key that the issuer withdraws counts for five minutes at most, also for tokens that were
// verified by it; and nobody waits while keys are read again that are not that old.
func TestWithdrawnKeysOfIssuers(t *testing.T) {
	t.Parallel()
	p := providertest.New(t)
	tokens, clock := trusting(t, p)
	good := providertest.Signed(jose.RS256, p.Key, "1", claimsOf(p, nil))
	verify := func(want error) {
		t.Helper()
		if _, err := tokens.Verify(t.Context(), good); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	verify(nil)
	slow := make(chan struct{})
	p.Serve = func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-slow:
		case <-r.Context().Done():
		}
		return false
	}
	p.Keys = func(set *jose.JSONWebKeySet) { set.Keys[0].Key = &otherKey.PublicKey }
	clock.advance(4 * time.Minute)
	for range 3 {
		verify(nil)
	}
	close(slow)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := tokens.Verify(t.Context(), good); errors.Is(err, provider.ErrToken) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the keys are not read again")
		}
	}
	if n := clock.asked(p); n != 2 {
		t.Errorf("the keys were asked for %d times", n)
	}

	p = providertest.New(t)
	tokens, clock = trusting(t, p)
	good = providertest.Signed(jose.RS256, p.Key, "1", claimsOf(p, nil))
	verify(nil)
	p.Keys = func(set *jose.JSONWebKeySet) { set.Keys[0].Key = &otherKey.PublicKey }
	clock.advance(5 * time.Minute)
	verify(provider.ErrToken)
}
