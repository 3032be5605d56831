package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"roster/db"
	"roster/db/dbtest"
	"roster/secret"
)

const issuer, audience = "https://accounts.example.com", "https://accounts.example.com/api"

var start = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// server is one of those that share the keys of a database, with a clock that tests set.
type server struct {
	*Keys
	now time.Time
}

func newKeyring(t testing.TB, keys ...secret.Text) *secret.Keyring {
	t.Helper()
	var texts []string
	for _, key := range keys {
		texts = append(texts, key.Reveal())
	}
	ring, err := secret.ParseKeyring(strings.Join(texts, ","))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func open(t testing.TB, d *db.DB, ring *secret.Keyring, now time.Time, age time.Duration) *server {
	t.Helper()
	s := &server{now: now}
	o := Options{Issuer: issuer, Audiences: []string{"https://other.example.com", audience}, Age: age, Log: slog.New(slog.DiscardHandler)}
	keys, err := Open(t.Context(), d, ring, func() time.Time { return s.now }, o)
	if err != nil {
		t.Fatal(err)
	}
	s.Keys = keys
	return s
}

func (s *server) claims() Claims {
	return Claims{
		Audience: []string{audience}, Subject: "user_01h455vb4pex5vsknk084sn02q", ClientID: "roster", IssuedAt: s.now, ExpiresAt: s.now.Add(10 * time.Minute),
		SessionID: "session_1", OrganizationID: "org_1", OrganizationCode: "acme", Roles: []string{"admin"}, Permissions: []string{"a:read", "ä\"<b"}, Revision: "1042",
	}
}

func (s *server) mustSign(t testing.TB, claims Claims) string {
	t.Helper()
	text, err := s.Sign(t.Context(), claims)
	if err != nil {
		t.Fatal(err)
	}
	return text.Reveal()
}

// What Sign has signed is what Verify returns, until it expires.
func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.New(t), newKeyring(t, secret.NewKey()), start, 0)
	text := s.mustSign(t, s.claims())
	for range 2 { // the second time from memory
		got, err := s.Verify(t.Context(), text)
		want := s.claims()
		want.Issuer, want.ID = issuer, got.ID
		if got.IssuedAt, got.ExpiresAt = got.IssuedAt.UTC(), got.ExpiresAt.UTC(); err != nil || got.ID == "" || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: %+v\nwant %+v", err, got, want)
		}
	}
	for after, ok := range map[time.Duration]bool{-leeway: true, -leeway - time.Second: false, 10 * time.Minute: true, 10*time.Minute + leeway: false} {
		s.now = start.Add(after)
		if _, err := s.Verify(t.Context(), text); (err == nil) != ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("after %v: %v", after, err)
		}
	}
	s.now = start

	many := s.claims()
	for i := range 300 {
		many.Permissions = append(many.Permissions, fmt.Sprintf("documents:%d", i))
	}
	got, err := s.Verify(t.Context(), s.mustSign(t, many))
	if err != nil || !got.PermissionsOmitted || got.Permissions != nil {
		t.Errorf("many permissions: %v, %t, %d", err, got.PermissionsOmitted, len(got.Permissions))
	}
	for name, change := range map[string]func(c *Claims){
		"no audience":       func(c *Claims) { c.Audience = nil },
		"an empty audience": func(c *Claims) { c.Audience = []string{""} },
		"no subject":        func(c *Claims) { c.Subject = "" },
		"no client":         func(c *Claims) { c.ClientID = "" },
		"no beginning":      func(c *Claims) { c.IssuedAt = time.Time{} },
		"no end":            func(c *Claims) { c.ExpiresAt = time.Time{} },
		"an early end":      func(c *Claims) { c.ExpiresAt = c.IssuedAt },
		"a late end":        func(c *Claims) { c.ExpiresAt = c.IssuedAt.Add(MaxLife + time.Second) },
		"too long":          func(c *Claims) { c.Roles = make([]string, maxLength) },
	} {
		t.Run(name, func(t *testing.T) {
			c := s.claims()
			change(&c)
			if _, err := s.Sign(t.Context(), c); err == nil {
				t.Error("it is signed")
			}
		})
	}
}

// mutants makes bad tokens out of a good one.
type mutants struct {
	t        *testing.T
	s        *server
	key      *key
	good     string
	header   map[string]any
	payload  map[string]any
	parts    [3]string
	rejected int
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return b64(text)
}

// try wants a token to be refused.
func (m *mutants) try(what, text string) {
	m.t.Helper()
	if text == m.good {
		m.t.Errorf("%s: nothing is altered", what)
		return
	}
	claims, err := m.s.Verify(m.t.Context(), text)
	if !errors.Is(err, ErrInvalid) {
		m.t.Errorf("%s is accepted (%v): %s\n%+v", what, err, text, claims)
	}
	m.rejected++
}

// signed returns header and payload signed by the real key, in its canonical form.
func (m *mutants) signed(header, payload string) string {
	m.t.Helper()
	text := header + "." + payload
	hash := crypto.SHA256.New()
	hash.Write([]byte(text))
	for {
		r, s, err := ecdsa.Sign(rand.Reader, m.key.private.(*ecdsa.PrivateKey), hash.Sum(nil))
		if err != nil {
			m.t.Fatal(err)
		}
		if s.Cmp(halfOrder) <= 0 {
			return text + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
		}
	}
}

func with(object map[string]any, name string, value any) map[string]any {
	changed := maps.Clone(object)
	changed[name] = value
	return changed
}

func without(object map[string]any, name string) map[string]any {
	changed := maps.Clone(object)
	delete(changed, name)
	return changed
}

// No token but the good one is accepted: not one whose claims or header are wrong though
// the real key has signed them, and not one that was altered in any way.
func TestBadTokens(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.New(t), newKeyring(t, secret.NewKey()), start, 0)
	m := &mutants{t: t, s: s, key: s.table.Load().at(accessTokens, s.now), good: s.mustSign(t, s.claims())}
	m.parts = [3]string(strings.Split(m.good, "."))
	for i, to := range []*map[string]any{&m.header, &m.payload} {
		text, err := base64.RawURLEncoding.DecodeString(m.parts[i])
		if err != nil || json.Unmarshal(text, to) != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Verify(t.Context(), m.signed(m.parts[0], encode(m.payload))); err != nil {
		t.Fatalf("the mutants do not begin with a good token: %v", err)
	}
	m.claims()
	m.headers()
	m.algorithms()
	m.texts()
	if m.rejected < 1000 {
		t.Errorf("only %d mutants", m.rejected)
	}
	t.Logf("%d mutants are refused", m.rejected)
	if _, err := s.Verify(t.Context(), m.good); err != nil {
		t.Errorf("the good token: %v", err)
	}
}

// claims tries claims that are missing, of a wrong type or wrong.
func (m *mutants) claims() {
	required := []string{"iss", "aud", "sub", "client_id", "iat", "exp", "jti"}
	wrongType := []any{nil, true, 0, -1, 1.5, 1e300, "", []any{}, []any{1}, []any{nil}, []any{""}, map[string]any{}, map[string]any{"a": 1}, "\x00"}
	for _, name := range required {
		m.try("no "+name, m.signed(m.parts[0], encode(without(m.payload, name))))
		m.try(name+" in capitals", m.signed(m.parts[0], encode(with(without(m.payload, name), strings.ToUpper(name), m.payload[name]))))
		for _, value := range wrongType {
			if text, ok := value.(string); ok && text != "" && (name == "sub" || name == "client_id" || name == "jti") {
				continue // they may be any text
			}
			m.try(fmt.Sprintf("%s is %v", name, value), m.signed(m.parts[0], encode(with(m.payload, name, value))))
		}
		text, _ := json.Marshal(m.payload)
		for _, twice := range []any{m.payload[name], "x", nil} {
			value, _ := json.Marshal(twice)
			m.try(name+" twice", m.signed(m.parts[0], b64(fmt.Appendf(nil, `{"%s":%s,%s`, name, value, text[1:]))))
		}
	}
	for _, name := range []string{"sid", "org_id", "org_code", "roles", "permissions", "permissions_omitted", "rev", "nbf"} {
		for _, value := range []any{1.5e300, []any{[]any{}}, map[string]any{}, []any{1}} {
			m.try(fmt.Sprintf("%s is %v", name, value), m.signed(m.parts[0], encode(with(m.payload, name, value))))
		}
	}
	now := float64(start.Unix())
	for what, payload := range map[string]map[string]any{
		"another issuer":         with(m.payload, "iss", "https://evil.example.com"),
		"an issuer with a slash": with(m.payload, "iss", issuer+"/"),
		"an issuer in capitals":  with(m.payload, "iss", strings.ToUpper(issuer)),
		"another audience":       with(m.payload, "aud", []string{"https://evil.example.com"}),
		"an audience like ours":  with(m.payload, "aud", []string{audience + "/"}),
		"expired":                with(with(m.payload, "iat", now-600), "exp", now-leeway.Seconds()),
		"expires with leeway":    with(m.payload, "exp", now-1),
		"milliseconds":           with(with(m.payload, "iat", now*1000), "exp", now*1000+600),
		"issued in future":       with(with(m.payload, "iat", now+60), "exp", now+600),
		"not before":             with(m.payload, "nbf", now+60),
		"long-lived":             with(m.payload, "exp", now+MaxLife.Seconds()+1),
		"for ever":               with(m.payload, "exp", 1e15),
		"backwards":              with(with(m.payload, "exp", now), "iat", now+1),
	} {
		m.try(what, m.signed(m.parts[0], encode(payload)))
	}
	text, _ := json.Marshal(m.payload)
	for _, payload := range []string{"", "null", "[]", "{}", "1", `"x"`, string(text) + string(text), string(text) + "x", "[" + string(text) + "]", "\ufeff" + string(text), string(text[:len(text)-1]),
		strings.Replace(string(text), "acme", "\xff", 1), strings.Replace(string(text), `"acme"`, `"\ud800"`, 1), strings.Replace(string(text), ":", ":/**/", 1), strings.Repeat("[", 10000)} {
		m.try(fmt.Sprintf("the payload %.20q", payload), m.signed(m.parts[0], b64([]byte(payload))))
	}
}

// headers tries headers that the real key has signed and does not write.
func (m *mutants) headers() {
	kid := m.key.KID
	for _, name := range []string{"alg", "kid", "typ"} {
		m.try("no "+name, m.signed(encode(without(m.header, name)), m.parts[1]))
		for _, value := range []any{nil, true, 1, "", []any{m.header[name]}, map[string]any{}, "x", " " + fmt.Sprint(m.header[name]), strings.ToUpper(fmt.Sprint(m.header[name])) + "x"} {
			m.try(fmt.Sprintf("%s is %v", name, value), m.signed(encode(with(m.header, name, value)), m.parts[1]))
		}
	}
	for _, value := range []string{"JWT", "jwt", "at+JWT", "AT+JWT", "application/at+jwt", "id_token", "logout+jwt", "dpop+jwt", "secevent+jwt"} {
		m.try("typ is "+value, m.signed(encode(with(m.header, "typ", value)), m.parts[1]))
	}
	for _, value := range []string{"../" + kid, kid + "\x00", kid[1:], kid + kid, strings.ToLower(kid), "' or 1=1 --", "/dev/null", b64(make([]byte, 32)), strings.Repeat("a", len(kid))} {
		m.try("kid is "+value, m.signed(encode(with(m.header, "kid", value)), m.parts[1]))
		m.s.now = m.s.now.Add(rereadAfter) // so that the keys are read again
	}
	m.s.now = start
	own := jose.JSONWebKey{Key: m.key.private.Public()}
	for name, value := range map[string]any{
		"jwk": own, "jku": "https://evil.example.com/jwks", "x5u": "https://evil.example.com/x5u", "x5c": []string{"AAAA"}, "x5t": "AAAA", "x5t#S256": "AAAA",
		"crit": []string{"exp"}, "b64": false, "cty": "JWT", "zip": "DEF", "enc": "A128GCM", "nonce": "x", "iss": issuer, "": "",
	} {
		m.try("with "+name, m.signed(encode(with(m.header, name, value)), m.parts[1]))
		m.try("with crit and "+name, m.signed(encode(with(with(m.header, name, value), "crit", []string{name})), m.parts[1]))
	}
	text, _ := json.Marshal(m.header)
	for _, header := range []string{"", "null", "{}", "[]", " " + string(text), string(text) + " ", string(text) + string(text), `{"alg":"none",` + string(text[1:]), string(text[:len(text)-1]) + `,"alg":"none"}`,
		fmt.Sprintf(`{"typ":"at+jwt","kid":"%s","alg":"ES256"}`, kid), strings.Replace(string(text), "ES256", `\u0045S256`, 1), strings.Replace(string(text), "alg", "ALG", 1)} {
		m.try(fmt.Sprintf("the header %q", header), m.signed(b64([]byte(header)), m.parts[1]))
	}
}

// algorithms tries other algorithms and other keys.
func (m *mutants) algorithms() {
	public := m.key.private.Public()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		m.t.Fatal(err)
	}
	jwk, _ := json.Marshal(jose.JSONWebKey{Key: public})
	raw, _ := public.(*ecdsa.PublicKey).Bytes()
	for _, alg := range []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512} {
		for _, key := range [][]byte{der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), jwk, raw, make([]byte, 64), []byte(m.key.KID + m.key.KID)} {
			if len(key) < 64 {
				key = append(bytes.Clone(key), make([]byte, 64)...)
			}
			m.foreign(string(alg), jose.SigningKey{Algorithm: alg, Key: key})
		}
	}
	for alg, curve := range map[jose.SignatureAlgorithm]elliptic.Curve{jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			m.t.Fatal(err)
		}
		m.foreign("another key with "+string(alg), jose.SigningKey{Algorithm: alg, Key: key})
	}
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", "ES256K", "EdDSA", "RS256", "PS256", "HS256"} {
		header := encode(with(m.header, "alg", alg))
		for _, signature := range []string{"", m.parts[2], b64([]byte{0}), b64(make([]byte, 64))} {
			m.try("alg is "+alg, header+"."+m.parts[1]+"."+signature)
		}
		m.try("alg is "+alg, header+"."+m.parts[1])
		m.try("alg is "+alg+", signed", m.signed(header, m.parts[1]))
	}
}

// foreign tries a token by another key, under the real key's name, and with its header.
func (m *mutants) foreign(what string, key jose.SigningKey) {
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType(jose.ContentType(accessTokens.typ)).WithHeader("kid", m.key.KID))
	if err != nil {
		m.t.Fatal(err)
	}
	payload, _ := json.Marshal(m.payload)
	signed, err := signer.Sign(payload)
	if err != nil {
		m.t.Fatal(err)
	}
	text, _ := signed.CompactSerialize()
	m.try(what, text)
	m.try(what+", under the real header", m.parts[0]+text[strings.IndexByte(text, '.'):])
}

// texts tries alterations of the text of the good token.
func (m *mutants) texts() {
	for i, part := range m.parts {
		decoded, _ := base64.RawURLEncoding.DecodeString(part)
		for bit := range 8 * len(decoded) {
			altered := bytes.Clone(decoded)
			altered[bit/8] ^= 1 << (bit % 8)
			parts := m.parts
			parts[i] = b64(altered)
			m.try(fmt.Sprintf("bit %d of part %d", bit, i), strings.Join(parts[:], "."))
		}
		for _, more := range []string{"=", "==", "A", "\n", "\r\n", " ", "\x00", "%", "."} {
			parts := m.parts
			parts[i] = part + more
			m.try(fmt.Sprintf("%q behind part %d", more, i), strings.Join(parts[:], "."))
			parts[i] = part[:8] + more + part[8:]
			m.try(fmt.Sprintf("%q within part %d", more, i), strings.Join(parts[:], "."))
		}
		// The last character has bits that belong to no byte.
		for _, last := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/" {
			parts := m.parts
			parts[i] = part[:len(part)-1] + string(last)
			if parts[i] != part {
				m.try("another last character", strings.Join(parts[:], "."))
			}
		}
	}
	for n := range m.good {
		m.try("cut at the end", m.good[:n])
		m.try("cut at the beginning", m.good[n+1:])
	}
	s := new(big.Int)
	signature, _ := base64.RawURLEncoding.DecodeString(m.parts[2])
	s.Sub(elliptic.P256().Params().N, s.SetBytes(signature[32:]))
	r, zero, one := signature[:32], make([]byte, 32), append(make([]byte, 31), 1)
	order := elliptic.P256().Params().N.Bytes()
	der, _ := m.key.private.Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
	for what, other := range map[string][]byte{
		"the other signature": append(bytes.Clone(r), s.FillBytes(make([]byte, 32))...), "no signature": {}, "zeros": append(bytes.Clone(zero), zero...), "r is zero": append(bytes.Clone(zero), signature[32:]...),
		"s is zero": append(bytes.Clone(r), zero...), "r is the order": append(bytes.Clone(order), signature[32:]...), "s is the order": append(bytes.Clone(r), order...), "ones": append(bytes.Clone(one), one...),
		"swapped": append(bytes.Clone(signature[32:]), r...), "ASN.1": der, "with zeros": append(bytes.Clone(zero), signature...), "with zeros behind": append(bytes.Clone(signature), 0),
	} {
		m.try(what, m.parts[0]+"."+m.parts[1]+"."+b64(other))
	}
	flat := map[string]any{"protected": m.parts[0], "payload": m.parts[1], "signature": m.parts[2]}
	general := map[string]any{"payload": m.parts[1], "signatures": []any{map[string]any{"protected": m.parts[0], "signature": m.parts[2]}}}
	for _, serialised := range []any{flat, general, []any{m.good}, m.good, with(flat, "header", m.header)} {
		text, _ := json.Marshal(serialised)
		m.try("another serialisation", string(text))
		m.try("another serialisation, encoded", b64(text))
	}
	for what, text := range map[string]string{
		"nothing": "", "dots": "..", "many dots": strings.Repeat(".", maxLength), "a space before": " " + m.good, "a scheme before": "Bearer " + m.good, "twice": m.good + m.good, "two": m.good + "." + m.good,
		"detached": m.parts[0] + ".." + m.parts[2], "encrypted": m.good + ".a.b", "too long": m.good + strings.Repeat("A", maxLength), "standard base64": strings.NewReplacer("-", "+", "_", "/").Replace(m.good) + "=",
		"escaped": strings.ReplaceAll(m.good, ".", "%2e"), "another dot": strings.ReplaceAll(m.good, ".", "。"),
	} {
		m.try(what, text)
	}
}

func BenchmarkVerify(b *testing.B) {
	s := open(b, dbtest.New(b), newKeyring(b, secret.NewKey()), start, 0)
	text := s.mustSign(b, s.claims())
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Verify(b.Context(), text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			s.verified.Purge()
			if _, err := s.Verify(b.Context(), text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			s.mustSign(b, s.claims())
		}
	})
}
