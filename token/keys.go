package token

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	lru "github.com/hashicorp/golang-lru/v2"

	"roster/db"
	"roster/problem"
	"roster/secret"
)

// Keys are the signing keys of a database, as one server has them in memory. It is safe
// for concurrent use.
type Keys struct {
	db      *db.DB
	keyring *secret.Keyring
	clock   func() time.Time
	options Options

	reading sync.Mutex // held while the table is read or changed
	table   atomic.Pointer[table]
	// verified holds tokens whose signature was verified, by their hash.
	verified *lru.Cache[[32]byte, *payload]
}

// Options say what tokens are for. Issuer and Audiences are required.
type Options struct {
	// Issuer is who issues tokens: the public URL.
	Issuer string
	// Audiences are the ones whose tokens Verify accepts.
	Audiences []string
	// Age is how long each key signs: DefaultAge if it is 0, and never less than lead.
	Age time.Duration
	// Log is slog.Default() if it is nil.
	Log *slog.Logger
}

// kind is a kind of tokens, which has keys of its own.
type kind struct {
	algorithm jose.SignatureAlgorithm
	// typ is the type in the header of its tokens.
	typ string
	// newKey returns a private key for it.
	newKey func() (crypto.Signer, error)
}

var (
	// accessTokens are signed by the first keys of a database (RFC 9068, 2.1).
	accessTokens = &kind{jose.ES256, "at+jwt", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }}
	// idTokens have keys from when the first one is needed: it takes a fifth of a second to
	// make them. Every client knows their algorithm (OpenID Connect Core, 15.1).
	idTokens = &kind{jose.RS256, "JWT", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, rsaBits) }}

	kinds = []*kind{accessTokens, idTokens}
)

const rsaBits = 2048

// table is what was read from the database at a time. It is not modified.
type table struct {
	readAt time.Time
	// keys are in the order in which they sign, of each kind.
	keys map[*kind][]*key
	// byHeader has the keys of access tokens, by the headers that they write.
	byHeader map[string]*key
	jwks     []byte
}

// key is one signing key.
type key struct {
	db.SigningKey
	kind    *kind
	private crypto.Signer
	signer  jose.Signer
	// header is the first part of each token that it signs.
	header string
}

const (
	purpose = "signing key"
	// maxVerified is how many tokens are remembered. Each takes some 2 kB.
	maxVerified = 10_000
	// rereadAfter is how long after reading the keys a token with an unknown one makes
	// Verify read them again.
	rereadAfter = 5 * time.Second
)

// Open returns the signing keys of the database. It makes the first ones if there are none,
// and seals those again that were sealed by an older key of the keyring. It returns an error
// that wraps secret.ErrUnknownKey if the keyring does not open them.
func Open(ctx context.Context, d *db.DB, keyring *secret.Keyring, clock func() time.Time, o Options) (*Keys, error) {
	verified, err := lru.New[[32]byte, *payload](maxVerified)
	if err != nil {
		return nil, err
	}
	o.Age = max(cmp.Or(o.Age, DefaultAge), lead)
	o.Log = cmp.Or(o.Log, slog.Default())
	k := &Keys{db: d, keyring: keyring, clock: clock, options: o, verified: verified}
	k.table.Store(&table{})
	if err := k.Refresh(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// Exist reports whether the database has signing keys.
func Exist(ctx context.Context, d *db.DB) (bool, error) {
	exist, err := db.SelectOne[bool](ctx, d, "select exists (select from signing_keys)")
	return exist != nil && *exist, err
}

// fresh returns the table in memory. If that is older than maxStale, it reads the table
// first, and returns the error if that fails: others may have retired what is in memory.
func (k *Keys) fresh(ctx context.Context) (*table, error) {
	if t := k.table.Load(); k.clock().Sub(t.readAt) <= maxStale {
		return t, nil
	}
	err := k.Refresh(ctx)
	return k.table.Load(), err
}

// at returns the key that signs tokens of the kind at a time, or nil if it has none yet.
func (t *table) at(of *kind, now time.Time) *key {
	keys := t.keys[of]
	if len(keys) == 0 {
		return nil
	}
	signs := keys[0]
	for _, next := range keys[1:] {
		if !next.SignsFrom.After(now) {
			signs = next
		}
	}
	return signs
}

// byHeader returns the key that writes the header, or ErrInvalid.
func (k *Keys) byHeader(ctx context.Context, header string) (*key, error) {
	t := k.table.Load()
	known := t.byHeader[header]
	if known == nil && isHeader(header, t) && k.clock().Sub(t.readAt) >= rereadAfter {
		if err := k.Refresh(ctx); err != nil {
			return nil, err
		}
		known = k.table.Load().byHeader[header]
	}
	if known == nil {
		return nil, invalid("the header is of no key")
	}
	return known, nil
}

// isHeader reports whether the header could be of a key that is not in the table: it is like
// the headers of those that are, except for the name of the key.
func isHeader(header string, t *table) bool {
	for _, one := range t.keys[accessTokens] {
		decoded, err := base64.RawURLEncoding.DecodeString(header)
		want, _ := base64.RawURLEncoding.DecodeString(one.header)
		before, after, _ := strings.Cut(string(want), one.KID)
		return err == nil && len(decoded) == len(want) && strings.HasPrefix(string(decoded), before) && strings.HasSuffix(string(decoded), after)
	}
	return false
}

// Refresh reads the table of keys, and does what is due: it makes the next key, deletes
// those that nobody needs, and seals again what an older key of the keyring has sealed.
func (k *Keys) Refresh(ctx context.Context) error {
	before := k.table.Load()
	k.reading.Lock()
	defer k.reading.Unlock()
	if k.table.Load() != before {
		return nil // somebody else has just done it
	}
	now := k.clock()
	rows, err := k.read(ctx)
	if err == nil && k.isDue(rows, now) {
		rows, err = k.maintain(ctx, now, nil, nil)
	}
	if err != nil {
		return err
	}
	return k.keep(rows, now)
}

// keep makes the rows the table in memory.
func (k *Keys) keep(rows signingKeys, now time.Time) error {
	t, err := k.build(rows, now)
	if err == nil {
		k.table.Store(t)
	}
	return err
}

// signer returns the key that signs tokens of the kind now. It makes the first keys of
// a kind when they are needed.
func (k *Keys) signer(ctx context.Context, of *kind) (*key, error) {
	t, err := k.fresh(ctx)
	if err != nil {
		return nil, err
	}
	now := k.clock()
	if signs := t.at(of, now); signs != nil {
		return signs, nil
	}
	k.reading.Lock()
	defer k.reading.Unlock()
	if signs := k.table.Load().at(of, now); signs != nil {
		return signs, nil // somebody else has just made it
	}
	rows, err := k.maintain(ctx, now, of, nil)
	if err == nil {
		err = k.keep(rows, now)
	}
	if err != nil {
		return nil, err
	}
	return k.table.Load().at(of, now), nil
}

// signingKeys are the keys of a database, of each kind in the order in which they sign.
type signingKeys map[*kind][]db.SigningKey

// read returns the keys of the database.
func (k *Keys) read(ctx context.Context) (signingKeys, error) {
	all, err := db.Select[db.SigningKey](ctx, k.db, "select * from signing_keys order by signs_from, created_at, kid")
	rows := signingKeys{}
	for _, row := range all {
		for _, of := range kinds {
			if row.Algorithm == string(of.algorithm) {
				rows[of] = append(rows[of], row)
			}
		}
	}
	return rows, err
}

// build returns the table of these keys. Keys that are in memory already are not opened
// again: another server may have sealed them by a key that this one will be given later.
func (k *Keys) build(rows signingKeys, now time.Time) (*table, error) {
	t := &table{readAt: now, keys: map[*kind][]*key{}, byHeader: map[string]*key{}}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	before := k.table.Load()
	for _, of := range kinds {
		known := map[string]*key{}
		for _, one := range before.keys[of] {
			known[one.KID] = one
		}
		for _, row := range rows[of] {
			one := known[row.KID]
			if one == nil {
				var err error
				if one, err = k.open(of, row); err != nil {
					return nil, fmt.Errorf("the signing key %s is %w", row.KID, err)
				}
			}
			now := *one
			now.SigningKey = row
			t.keys[of] = append(t.keys[of], &now)
			if of == accessTokens {
				t.byHeader[now.header] = &now
			}
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: now.private.Public(), KeyID: row.KID, Algorithm: row.Algorithm, Use: "sig"})
		}
	}
	var err error
	t.jwks, err = json.Marshal(set)
	return t, err
}

// open opens a key. The name must be the key's own: otherwise somebody has put the
// private key of one row into another.
func (k *Keys) open(of *kind, row db.SigningKey) (*key, error) {
	der, err := k.keyring.Open(purpose, row.PrivateKey)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("no key to sign with")
	}
	if kid, err := thumbprint(private); err != nil || kid != row.KID {
		return nil, errors.Join(errors.New("another one than its name says"), err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: of.algorithm, Key: jose.JSONWebKey{Key: private, KeyID: row.KID}}, (&jose.SignerOptions{}).WithType(jose.ContentType(of.typ)))
	if err != nil {
		return nil, err
	}
	opened := &key{SigningKey: row, kind: of, private: private, signer: signer}
	text, err := opened.sign(nil)
	opened.header, _, _ = strings.Cut(text, ".")
	return opened, err
}

// thumbprint returns the name of a key (RFC 7638).
func thumbprint(private crypto.Signer) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: private.Public()}).Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// sign returns the claims as a compact JWS. It signs until the signature is the
// canonical one, which takes ES256 two times on average.
func (k *key) sign(encoded []byte) (string, error) {
	for {
		signed, err := k.signer.Sign(encoded)
		if err != nil {
			return "", err
		}
		text, err := signed.CompactSerialize()
		if err != nil || k.kind.algorithm != jose.ES256 || canonicalSignature(text[strings.LastIndexByte(text, '.')+1:]) {
			return text, err
		}
	}
}

// JWKS returns the public keys as a JSON Web Key Set (RFC 7517): the present one, the next
// one, and retired ones whose tokens are still valid. It may be kept for an hour. It returns
// an error if the keys could not be read for too long.
func (k *Keys) JWKS(ctx context.Context) ([]byte, error) {
	t, err := k.fresh(ctx)
	return t.jwks, err
}

// ServeJWKS answers a request for the public keys. If they are not known well enough, the
// status is 503, so that those who verify go on with the ones that they have.
func (k *Keys) ServeJWKS(w http.ResponseWriter, r *http.Request) {
	jwks, err := k.JWKS(r.Context())
	if err != nil {
		k.options.Log.WarnContext(r.Context(), "the public keys are not known", "cause", err)
		status := http.StatusInternalServerError
		if problem.Is(err, problem.Unavailable) {
			status = http.StatusServiceUnavailable
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(jwksMaxAge.Seconds())))
	_, _ = w.Write(jwks) // whoever asked may have gone
}
