package token

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"roster/db/dbtest"
	"roster/secret"
	"roster/signin/browser/browsertest"
)

// verify is the function of docs/tokens.md; TestDocumentedVerifier compares them.
func verify(text string, keys *jose.JSONWebKeySet, issuer, audience string) (*jwt.Claims, error) {
	signed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, err
	}
	if signed.Headers[0].ExtraHeaders[jose.HeaderType] != "at+jwt" {
		return nil, errors.New("not an access token")
	}
	var claims jwt.Claims
	if err := signed.Claims(keys, &claims); err != nil {
		return nil, err
	}
	if claims.Expiry == nil || claims.Subject == "" {
		return nil, errors.New("a claim is missing")
	}
	return &claims, claims.Validate(jwt.Expected{Issuer: issuer, AnyAudience: jwt.Audience{audience}})
}

// The function of docs/tokens.md accepts what Sign signs, for this issuer and audience only,
// and no token of another type.
func TestDocumentedVerifier(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/tokens.md")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("docs_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, documented, _ := strings.Cut(string(page), "```go\n")
	documented, _, _ = strings.Cut(documented, "```")
	if documented == "" || !strings.Contains(string(own), documented) {
		t.Error("docs/tokens.md has another function")
	}
	s := open(t, dbtest.New(t), newKeyring(t, secret.NewKey()), start, 0)
	s.now = time.Now()
	text := s.mustSign(t, s.claims())
	var keys jose.JSONWebKeySet
	jwks, err := s.JWKS(t.Context())
	if err := errors.Join(err, json.Unmarshal(jwks, &keys)); err != nil {
		t.Fatal(err)
	}
	m := &mutants{t: t, key: s.table.Load().at(accessTokens, s.now)}
	parts := strings.Split(text, ".")
	idToken := m.signed(encode(map[string]any{"alg": "ES256", "kid": m.key.KID, "typ": "JWT"}), parts[1])
	for _, c := range []struct {
		name, text, issuer, audience string
		ok                           bool
	}{
		{"good", text, issuer, audience, true},
		{"another issuer", text, issuer + "/", audience, false},
		{"another audience", text, issuer, issuer, false},
		{"an ID token", idToken, issuer, audience, false},
		{"another signature", parts[0] + "." + parts[1] + "." + strings.Repeat("A", 86), issuer, audience, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			claims, err := verify(c.text, &keys, c.issuer, c.audience)
			if (err == nil) != c.ok || c.ok && claims.Subject != s.claims().Subject {
				t.Errorf("%v, %v", claims, err)
			}
		})
	}
}

// The module of docs/tokens.md for Node does so, too.
func TestDocumentedNodeVerifier(t *testing.T) {
	t.Parallel()
	node, modules := browsertest.Program(t, "node"), browsertest.Modules(t, "../oauth/testdata/clients") // jose is there
	page, err := os.ReadFile("../docs/tokens.md")
	if err != nil {
		t.Fatal(err)
	}
	_, module, _ := strings.Cut(string(page), "```js\n")
	module, _, _ = strings.Cut(module, "```")
	folder := t.TempDir()
	const driver = `import { verify } from './verify.mjs'
for (const text of process.argv.slice(2)) console.log(await verify(text).then(claims => claims.sub, () => 'refused'))`
	if err := errors.Join(os.Symlink(modules, folder+"/node_modules"), os.WriteFile(folder+"/verify.mjs", []byte(module), 0o600), os.WriteFile(folder+"/run.mjs", []byte(driver), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := open(t, dbtest.New(t), newKeyring(t, secret.NewKey()), start, 0)
	s.now = time.Now()
	web := httptest.NewServer(http.HandlerFunc(s.ServeJWKS))
	t.Cleanup(web.Close)
	good, other := s.claims(), s.claims()
	good.Issuer, other.Issuer = web.URL, web.URL
	other.Audience = []string{"https://elsewhere.example"}
	text := s.mustSign(t, good)
	m := &mutants{t: t, key: s.table.Load().at(accessTokens, s.now)}
	parts := strings.Split(text, ".")
	run := exec.CommandContext(t.Context(), node, folder+"/run.mjs", text, s.mustSign(t, other), s.mustSign(t, s.claims()),
		m.signed(encode(map[string]any{"alg": "ES256", "kid": m.key.KID, "typ": "JWT"}), parts[1]), parts[0]+"."+parts[1]+"."+strings.Repeat("A", 86))
	run.Env = append(os.Environ(), "ISSUER="+web.URL, "AUDIENCE="+audience)
	said, err := run.CombinedOutput()
	if want := good.Subject + "\nrefused\nrefused\nrefused\nrefused\n"; err != nil || string(said) != want {
		t.Errorf("%v: %s", err, said)
	}
}
