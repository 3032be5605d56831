// Package providertest is an identity provider for tests: an honest one, which can be made to
// do whatever a provider must not do.
//
//	p := providertest.New(t)
//	p.Claims = func(c map[string]any) { c["aud"] = "somebody else" }
package providertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"roster/provider"
)

// ClientID and ClientSecret are how a provider knows this server.
const (
	ClientID     = "roster"
	ClientSecret = "secret of the client"
)

// Provider is an identity provider on this machine. Its fields may be changed between
// requests; each may be nil.
type Provider struct {
	// URL is its address, and the issuer of an OIDC provider. A tenant of Microsoft has the
	// issuer URL/tenant/v2.0.
	URL string
	// Person has the claims of whoever is signed in.
	Person map[string]any
	// Discovery, Claims, Answer, Keys and UserInfo change what it says: of itself, in ID
	// tokens, in the address that browsers are sent back to, of its keys, and of people.
	Discovery, Claims, UserInfo func(map[string]any)
	Answer                      func(url.Values)
	Keys                        func(*jose.JSONWebKeySet)
	// Sign signs ID tokens in another way.
	Sign func(p *Provider, claims []byte) string
	// Serve answers a request in its place; it returns false for those that it leaves.
	Serve func(w http.ResponseWriter, r *http.Request) bool

	// Key is the key that signs.
	Key   *rsa.PrivateKey
	mu    sync.Mutex
	grant map[string]url.Values // by code
	asked []string
}

// keys returns the key of all providers: an RSA key takes a while to make.
var keys = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// New returns a provider that runs until the end of the test.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{Key: keys(), grant: map[string]url.Values{}}
	p.Person = map[string]any{"sub": "ada", "email": "ada@example.com", "email_verified": true, "given_name": "Ada", "family_name": "Lovelace", "name": "Ada Lovelace", "picture": "https://example.com/ada.png"}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Asked returns the paths that were asked for so far.
func (p *Provider) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.asked...)
}

// Visit goes to an address of the provider as a browser does, and returns what it is sent back
// with.
func (p *Provider) Visit(t testing.TB, address string) provider.Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	back, err := w.Result().Location()
	if err != nil {
		t.Fatal(err)
	}
	query := back.Query()
	return provider.Answer{State: query.Get("state"), Code: query.Get("code"), Issuer: query.Get("iss"), Error: query.Get("error")}
}

const wellKnown = "/.well-known/openid-configuration"

// ServeHTTP answers as a provider does, unless it was made to do otherwise.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.URL.Path)
	p.mu.Unlock()
	if p.Serve != nil && p.Serve(w, r) {
		return
	}
	switch {
	case strings.HasSuffix(r.URL.Path, wellKnown):
		p.discovery(w, strings.TrimSuffix(r.URL.Path, wellKnown))
	case strings.HasSuffix(r.URL.Path, "/authorize"):
		p.authorize(w, r)
	case strings.HasSuffix(r.URL.Path, "/token"):
		p.token(w, r)
	case r.URL.Path == "/keys":
		set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &p.Key.PublicKey, KeyID: "1", Algorithm: "RS256", Use: "sig"}}}
		if p.Keys != nil {
			p.Keys(&set)
		}
		write(w, set)
	case r.URL.Path == "/userinfo":
		info := maps.Clone(p.Person)
		if p.UserInfo != nil {
			p.UserInfo(info)
		}
		write(w, info)
	default:
		http.NotFound(w, r)
	}
}

func write(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// issuer returns the issuer below a path, as Microsoft has it where it serves many tenants.
func (p *Provider) issuer(path string) string {
	return p.URL + strings.NewReplacer("/organizations/", "/{tenantid}/", "/common/", "/{tenantid}/").Replace(path)
}

func (p *Provider) discovery(w http.ResponseWriter, path string) {
	about := map[string]any{
		"issuer": p.issuer(path), "authorization_endpoint": p.URL + path + "/authorize", "token_endpoint": p.URL + path + "/token", "jwks_uri": p.URL + "/keys",
		"userinfo_endpoint": p.URL + "/userinfo", "id_token_signing_alg_values_supported": []string{"RS256"}, "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
	}
	if p.Discovery != nil {
		p.Discovery(about)
	}
	write(w, about)
}

// authorize sends the browser back at once.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	code := rand.Text()
	p.mu.Lock()
	p.grant[code] = query
	p.mu.Unlock()
	answer := url.Values{"code": {code}, "state": {query.Get("state")}}
	if p.Answer != nil {
		p.Answer(answer)
	}
	w.Header().Set("Location", query.Get("redirect_uri")+"?"+answer.Encode())
	w.WriteHeader(http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	grant, known := p.grant[r.FormValue("code")]
	delete(p.grant, r.FormValue("code"))
	p.mu.Unlock()
	id, password, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	password, _ = url.QueryUnescape(password)
	challenge := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !known || id != ClientID || password != ClientSecret || r.FormValue("redirect_uri") != grant.Get("redirect_uri") ||
		grant.Get("code_challenge_method") != "S256" || grant.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) {
		w.WriteHeader(http.StatusBadRequest)
		write(w, map[string]any{"error": "invalid_grant"})
		return
	}
	now := time.Now()
	claims := maps.Clone(p.Person)
	tenant, _ := claims["tid"].(string)
	path := strings.TrimSuffix(r.URL.Path, "/token")
	maps.Copy(claims, map[string]any{
		"iss": strings.Replace(p.issuer(path), "{tenantid}", tenant, 1), "aud": ClientID, "nonce": grant.Get("nonce"), "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	if p.Claims != nil {
		p.Claims(claims)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	sign := p.Sign
	if sign == nil {
		sign = func(p *Provider, claims []byte) string { return Signed(jose.RS256, p.Key, "1", claims) }
	}
	write(w, map[string]any{"access_token": "of the provider", "token_type": "Bearer", "expires_in": 3600, "id_token": sign(p, text)})
}

// Signed returns a token that is signed by the key.
func Signed(algorithm jose.SignatureAlgorithm, key any, keyID string, claims []byte) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", keyID).WithType("JWT"))
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		panic(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return text
}

// Unsigned returns a token whose header says that it is signed by none.
func Unsigned(claims []byte) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims) + "."
}

// NewECDSA returns a key for ES256.
func NewECDSA() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}
