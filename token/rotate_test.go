package token

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"roster/db"
	"roster/db/dbtest"
	"roster/secret"
)

// copied is a set of public keys as somebody else keeps it.
type copied struct {
	jose.JSONWebKeySet
	at time.Time
}

func (s *server) copyKeys(t *testing.T) *copied {
	t.Helper()
	text, err := s.JWKS(t.Context())
	c := &copied{at: s.now}
	if err := errors.Join(err, json.Unmarshal(text, c)); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *copied) verify(text string) error {
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return err
	}
	keys := c.Key(signed.Signatures[0].Header.KeyID)
	if len(keys) != 1 {
		return errors.New("unknown key")
	}
	_, err = signed.Verify(keys[0])
	return err
}

// Two servers share the keys of a database while keys rotate, by age and by command, for
// some days. Each reads the table as rarely as it may, and their clocks differ. Every
// token is verified by both until it expires, and by whoever has a copy of the public keys
// that is an hour old.
func TestRotation(t *testing.T) {
	t.Parallel()
	d, ring := dbtest.New(t), newKeyring(t, secret.NewKey())
	const age, step, skew = 6 * time.Hour, 5 * time.Minute, 2 * time.Second
	servers := []*server{open(t, d, ring, start, age), open(t, d, ring, start.Add(skew), age)}
	type issued struct {
		text string
		at   time.Time
	}
	var tokens []issued
	var copies []*copied
	signers := map[string]bool{}
	for i := range 2 * 24 * 12 {
		for n, s := range servers {
			s.now = s.now.Add(step)
			if (i+n)%2 == 0 { // each reads every 10 minutes
				if err := s.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if rand.IntN(100) == 0 {
				if at, err := s.Rotate(t.Context()); err != nil || at.Before(s.now) || at.After(s.now.Add(age)) {
					t.Fatalf("rotates at %v: %v", at, err)
				}
			}
		}
		now := servers[0].now
		tokens = slices.DeleteFunc(tokens, func(one issued) bool { return !now.Before(one.at.Add(MaxLife)) })
		copies = slices.DeleteFunc(copies, func(c *copied) bool { return now.Sub(c.at) > jwksMaxAge })
		for _, s := range servers {
			copies = append(copies, s.copyKeys(t))
			claims := s.claims()
			claims.ExpiresAt = s.now.Add(MaxLife)
			fresh := s.mustSign(t, claims)
			tokens = append(tokens, issued{fresh, s.now})
			signers[s.table.Load().at(accessTokens, s.now).KID] = true
			for _, c := range copies[:min(2, len(copies))] { // the oldest one of each server
				if err := c.verify(fresh); err != nil {
					t.Fatalf("a copy of the keys that is %v old, step %d: %v", now.Sub(c.at), i, err)
				}
			}
		}
		for _, s := range servers {
			if n := len(s.table.Load().keys[accessTokens]); n < 2 || n > 6 {
				t.Fatalf("there are %d keys", n)
			}
			public := s.copyKeys(t)
			for _, one := range slices.Concat(tokens[:2], tokens[len(tokens)-2:]) {
				if _, err := s.Verify(t.Context(), one.text); err != nil {
					t.Fatalf("a token of %v ago, step %d: %v", now.Sub(one.at), i, err)
				}
				if err := public.verify(one.text); err != nil {
					t.Fatalf("the public keys lack the one of a token of %v ago: %v", now.Sub(one.at), err)
				}
			}
		}
	}
	if len(signers) < 8 {
		t.Errorf("only %d keys have signed", len(signers))
	}
}

// Rotate lets a key sign at once that was published for long enough, and one that is new
// when everybody can know it. The next key comes after it.
func TestRotate(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.New(t), newKeyring(t, secret.NewKey()), start, 0)
	present := s.table.Load().at(accessTokens, s.now).KID
	rotate := func(want time.Time) {
		t.Helper()
		if at, err := s.Rotate(t.Context()); err != nil || !at.Equal(want) {
			t.Errorf("rotates at %v, want %v: %v", at, want, err)
		}
	}
	rotate(start.Add(lead))
	rotate(start.Add(lead))
	if s.table.Load().at(accessTokens, s.now).KID != present {
		t.Error("a new key signs before everybody can know it")
	}
	s.now = start.Add(24 * time.Hour)
	if err := s.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(24 * time.Hour)
	if err := s.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := s.table.Load().at(accessTokens, s.now).KID
	rotate(s.now)
	if after := s.table.Load().at(accessTokens, s.now).KID; after == before || before == present {
		t.Error("the key that signs is the same")
	}
	if keys := s.table.Load().keys[accessTokens]; len(keys) != 3 || !keys[2].SignsFrom.After(s.now.Add(lead)) {
		t.Errorf("%d keys: a retired one, the present one and the next one are expected", len(keys))
	}
}

// Servers that start at the same time make the keys once.
func TestKeysAreMadeOnce(t *testing.T) {
	t.Parallel()
	d, ring := dbtest.New(t), newKeyring(t, secret.NewKey())
	if exist, err := Exist(t.Context(), d); exist || err != nil {
		t.Errorf("there are keys: %v", err)
	}
	var starts sync.WaitGroup
	var servers [4]*server
	for i := range servers {
		starts.Go(func() { servers[i] = open(t, d, ring, start, 0) })
	}
	starts.Wait()
	if t.Failed() {
		return
	}
	for _, s := range servers {
		if keys := s.table.Load().keys[accessTokens]; len(keys) != 2 || keys[0].KID != servers[0].table.Load().keys[accessTokens][0].KID {
			t.Errorf("%d keys", len(keys))
		}
	}
	if exist, err := Exist(t.Context(), d); !exist || err != nil {
		t.Errorf("there are no keys: %v", err)
	}
}

// A server verifies tokens by a key that others have made since it read the keys. Keys that
// nobody has made are not looked for again and again.
func TestUnknownKey(t *testing.T) {
	t.Parallel()
	d, ring := dbtest.New(t), newKeyring(t, secret.NewKey())
	one, other := open(t, d, ring, start, 0), open(t, d, ring, start, 0)
	if _, err := d.NewRaw("update signing_keys set created_at = created_at - interval '1 day'").Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time, the key is one that the other server has not read
		if _, err := other.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := d.NewRaw("update signing_keys set created_at = created_at - interval '1 day'").Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	text := other.mustSign(t, other.claims())
	if _, err := one.Verify(t.Context(), text); !errors.Is(err, ErrInvalid) {
		t.Errorf("the keys are read again at once: %v", err)
	}
	one.now = one.now.Add(rereadAfter)
	if _, err := one.Verify(t.Context(), text); err != nil {
		t.Errorf("the keys are not read again: %v", err)
	}
}

// A keyring that lacks the key of the others opens nothing and changes nothing. A ring that
// is replaced seals the keys again, and servers that have the older ring go on.
func TestKeyrings(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	older, newer := secret.NewKey(), secret.NewKey()
	s := open(t, d, newKeyring(t, older), start, 0)
	text := s.mustSign(t, s.claims())
	sealed := func() [][]byte {
		t.Helper()
		all, err := db.Select[[]byte](t.Context(), d, "select private_key from signing_keys order by kid")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := sealed()
	later := func() time.Time { return start.Add(DefaultAge) } // the next key is due to be made
	_, err := Open(t.Context(), d, newKeyring(t, newer), later, Options{Issuer: issuer})
	if !errors.Is(err, secret.ErrUnknownKey) || len(sealed()) != len(before) {
		t.Errorf("by another key: %v, and there are %d keys", err, len(sealed()))
	}
	both := open(t, d, newKeyring(t, newer, older), start, 0)
	for _, key := range sealed() {
		if !newKeyring(t, newer).Current(key) {
			t.Error("a key is not sealed again")
		}
	}
	only := open(t, d, newKeyring(t, newer), start, 0)
	for _, one := range []*server{s, both, only} {
		if err := one.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := one.Verify(t.Context(), text); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.NewRaw("update signing_keys set private_key = (select private_key from signing_keys order by kid limit 1)").Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), d, newKeyring(t, newer), func() time.Time { return start }, Options{Issuer: issuer}); err == nil {
		t.Error("a key under the name of another one is used")
	}
}

// Without the database a server goes on for a while, and then neither signs nor tells the
// public keys, since others may have retired the ones that it knows. It still verifies.
func TestWithoutDatabase(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	s := open(t, d, newKeyring(t, secret.NewKey()), start, 0)
	claims := s.claims()
	claims.ExpiresAt = claims.IssuedAt.Add(MaxLife)
	text := s.mustSign(t, claims)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	answer := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.ServeJWKS(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/.well-known/jwks.json", nil))
		return w
	}
	s.now = start.Add(maxStale / 2)
	if w := answer(); w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "public, max-age=3600" {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
	s.mustSign(t, s.claims())
	if _, err := s.Verify(t.Context(), text); err != nil {
		t.Error(err)
	}
	s.now = start.Add(maxStale + time.Second)
	if w := answer(); w.Code < 500 {
		t.Errorf("%d", w.Code)
	}
	if _, err := s.Sign(t.Context(), s.claims()); err == nil {
		t.Error("it signs by keys that may be retired")
	}
	if _, err := s.Verify(t.Context(), text); err != nil {
		t.Error(err)
	}
}
