package provider_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"roster/db"
	"roster/egress"
	"roster/provider"
	"roster/provider/providertest"
	"roster/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var trip = provider.Trip{State: "state", Nonce: "nonce", Verifier: strings.Repeat("v", 43)}

const (
	tenant      = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	otherTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"
	object      = "00000000-0000-0000-66f3-3332eca7ea81"
)

// config returns how this server is known to the provider: as to one of that tenant, if it is
// Microsoft's.
func config(p *providertest.Provider, kind db.IdentityProviderKind, tenant string) *provider.Config {
	c := &provider.Config{Kind: kind, Issuer: p.URL, ClientID: providertest.ClientID, ClientSecret: secret.New(providertest.ClientSecret), RedirectURL: "https://accounts.test/signin/it/callback"}
	if kind == db.MicrosoftProvider {
		c.Issuer += "/" + tenant + "/v2.0"
	}
	return c
}

// walk goes to the provider and back, and returns whom it has signed in.
func walk(t *testing.T, client *provider.Client, p *providertest.Provider, c *provider.Config) (*provider.Profile, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	address, err := client.AuthURL(ctx, c, trip, "")
	if err != nil {
		return nil, err
	}
	return client.Exchange(ctx, c, trip, p.Visit(t, address))
}

func newClient(t *testing.T) *provider.Client {
	t.Helper()
	by := egress.NewClient(true)
	t.Cleanup(by.CloseIdleConnections)
	return provider.New(by, time.Now)
}

func TestHonestProvider(t *testing.T) {
	t.Parallel()
	p := providertest.New(t)
	client := newClient(t)
	for range 2 {
		got, err := walk(t, client, p, config(p, db.OIDCProvider, ""))
		want := provider.Profile{
			Issuer: p.URL, Subject: "ada", Email: "ada@example.com", Vouched: true, Name: "Ada Lovelace", GivenName: "Ada", FamilyName: "Lovelace", PictureURL: "https://example.com/ada.png",
		}
		if err != nil || *got != want {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	once := func(path string) bool {
		return strings.Count(strings.Join(p.Asked(), " ")+" ", path+" ") == 1
	}
	if !once("/.well-known/openid-configuration") || !once("/keys") {
		t.Errorf("what does not change was asked again: %v", p.Asked())
	}
}

// hostile has what a provider must not do, by what that is.
var hostile = map[string]func(p *providertest.Provider){
	"another issuer":             claim("iss", "https://accounts.google.com"),
	"its issuer with a slash":    func(p *providertest.Provider) { claim("iss", p.URL+"/")(p) },
	"no issuer":                  claim("iss", nil),
	"another audience":           claim("aud", "somebody"),
	"no audience":                claim("aud", nil),
	"audiences without a party":  claim("aud", []string{"roster", "somebody"}),
	"another party":              claim("azp", "somebody"),
	"audiences, another party":   claims(map[string]any{"aud": []string{"roster", "somebody"}, "azp": "somebody"}),
	"another nonce":              claim("nonce", "nonce of another"),
	"no nonce":                   claim("nonce", nil),
	"nobody":                     claim("sub", ""),
	"no subject":                 claim("sub", nil),
	"a long subject":             claim("sub", strings.Repeat("x", 256)),
	"a subject with a NUL":       claim("sub", "ada\x00"),
	"expired":                    claim("exp", time.Now().Add(-time.Minute).Unix()),
	"never expires":              claim("exp", nil),
	"made tomorrow":              claim("iat", time.Now().Add(24*time.Hour).Unix()),
	"made never":                 claim("iat", nil),
	"not valid yet":              claim("nbf", time.Now().Add(time.Hour).Unix()),
	"an access token of another": claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
	"claims that are no object": signed(func(p *providertest.Provider, _ []byte) string {
		return providertest.Signed(jose.RS256, p.Key, "1", []byte(`[]`))
	}),
	"no token":                  signed(func(*providertest.Provider, []byte) string { return "" }),
	"alg none":                  signed(func(_ *providertest.Provider, text []byte) string { return providertest.Unsigned(text) }),
	"alg HS256, the public key": signed(symmetric(publicPEM)),
	"alg HS256, the modulus":    signed(symmetric(func(p *providertest.Provider) []byte { return p.Key.N.Bytes() })),
	"alg HS256, the secret":     signed(symmetric(func(*providertest.Provider) []byte { return []byte(strings.Repeat(providertest.ClientSecret, 2)) })),
	"an unknown kid": signed(func(_ *providertest.Provider, text []byte) string {
		return providertest.Signed(jose.RS256, otherKey, "2", text)
	}),
	"another key of the same kid": signed(func(_ *providertest.Provider, text []byte) string {
		return providertest.Signed(jose.RS256, otherKey, "1", text)
	}),
	"a changed token": signed(func(p *providertest.Provider, text []byte) string {
		good := strings.Split(providertest.Signed(jose.RS256, p.Key, "1", text), ".")
		bad := strings.Split(providertest.Signed(jose.RS256, p.Key, "1", []byte(strings.Replace(string(text), "ada", "eve", 1))), ".")
		return good[0] + "." + bad[1] + "." + good[2]
	}),
	"a key in the token": signed(func(_ *providertest.Provider, text []byte) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: otherKey}}, &jose.SignerOptions{EmbedJWK: true})
		if err != nil {
			panic(err)
		}
		one, err := signer.Sign(text)
		if err != nil {
			panic(err)
		}
		compact, _ := one.CompactSerialize()
		return compact
	}),

	"the answer of another provider": answer("iss", "https://accounts.google.com"),
	"an answer that has to name it":  about("authorization_response_iss_parameter_supported", true),
	"discovery of another":           about("issuer", "https://accounts.google.com"),
	"discovery without an issuer":    about("issuer", nil),
	"sends people to a script":       about("authorization_endpoint", "javascript:alert(1)"),
	"sends people nowhere":           about("authorization_endpoint", ""),
	"a token endpoint inside":        about("token_endpoint", "http://169.254.169.254/latest/meta-data"),
	"keys inside":                    about("jwks_uri", "http://10.0.0.1/keys"),
	"keys in a file":                 about("jwks_uri", "file:///etc/passwd"),
	"a token endpoint in the clear":  about("token_endpoint", "http://93.184.216.34/token"),
	"huge discovery":                 huge("/.well-known/openid-configuration"),
	"huge keys":                      huge("/keys"),
	"a huge token":                   huge("/token"),
	"keys that are none":             served("/keys", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys": "none"}`) }),
	"discovery that leads elsewhere": elsewhere("/.well-known/openid-configuration"),
	"keys that lead elsewhere":       elsewhere("/keys"),
	"a token that is elsewhere":      elsewhere("/token"),
	"discovery that is missing":      served("/.well-known/openid-configuration", http.NotFound),
	"a token endpoint that refuses": served("/token", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
	}),
	"people of whom another is asked": func(p *providertest.Provider) {
		claim("email", nil)(p)
		p.UserInfo = func(info map[string]any) { info["sub"] = "eve" }
	},
}

// otherKey is one that no provider has published.
var otherKey = func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}()

func claim(name string, value any) func(p *providertest.Provider) {
	return claims(map[string]any{name: value})
}

// claims changes claims of ID tokens; nil takes one away.
func claims(values map[string]any) func(p *providertest.Provider) {
	return func(p *providertest.Provider) { p.Claims = func(into map[string]any) { set(into, values) } }
}

func about(name string, value any) func(p *providertest.Provider) {
	return func(p *providertest.Provider) {
		p.Discovery = func(into map[string]any) { set(into, map[string]any{name: value}) }
	}
}

func set(into, values map[string]any) {
	for name, value := range values {
		if into[name] = value; value == nil {
			delete(into, name)
		}
	}
}

func answer(name, value string) func(p *providertest.Provider) {
	return func(p *providertest.Provider) { p.Answer = func(into url.Values) { into.Set(name, value) } }
}

func signed(sign func(p *providertest.Provider, text []byte) string) func(p *providertest.Provider) {
	return func(p *providertest.Provider) { p.Sign = sign }
}

func symmetric(key func(p *providertest.Provider) []byte) func(p *providertest.Provider, text []byte) string {
	return func(p *providertest.Provider, text []byte) string {
		return providertest.Signed(jose.HS256, key(p), "1", text)
	}
}

func publicPEM(p *providertest.Provider) []byte {
	der, err := x509.MarshalPKIXPublicKey(&p.Key.PublicKey)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func served(path string, handler http.HandlerFunc) func(p *providertest.Provider) {
	return func(p *providertest.Provider) {
		p.Serve = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == path {
				handler(w, r)
			}
			return r.URL.Path == path
		}
	}
}

func huge(path string) func(p *providertest.Provider) {
	return served(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"x": "`, strings.Repeat("x", egress.MaxBody), `"}`)
	})
}

func elsewhere(path string) func(p *providertest.Provider) {
	return served(path, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Host+"/other"+path, http.StatusTemporaryRedirect)
	})
}

// Nobody is signed in by a provider that does one thing wrong.
func TestHostileProviders(t *testing.T) {
	t.Parallel()
	for name, spoil := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := providertest.New(t)
			spoil(p)
			if got, err := walk(t, newClient(t), p, config(p, db.OIDCProvider, "")); err == nil {
				t.Errorf("signs in %+v", got)
			}
			if slices.ContainsFunc(p.Asked(), func(path string) bool { return strings.HasPrefix(path, "/other") }) {
				t.Error("it was followed elsewhere")
			}
		})
	}
}

// A provider that does not answer ends with the patience of the caller.
func TestSlowProviders(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/.well-known/openid-configuration", "/token", "/keys"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			p := providertest.New(t)
			served(path, func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, "{")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})(p)
			by := egress.NewClient(true)
			t.Cleanup(by.CloseIdleConnections)
			by.Timeout /= 40
			if got, err := walk(t, provider.New(by, time.Now), p, config(p, db.OIDCProvider, "")); err == nil {
				t.Errorf("signs in %+v", got)
			}
		})
	}
}

// A key that was not known is asked for once with each token, not for each look at it; a new
// one is taken then.
func TestNewKeys(t *testing.T) {
	t.Parallel()
	p := providertest.New(t)
	client, c := newClient(t), config(p, db.OIDCProvider, "")
	key := providertest.NewECDSA()
	about("id_token_signing_alg_values_supported", []string{"RS256", "ES256"})(p)
	if _, err := walk(t, client, p, c); err != nil {
		t.Fatal(err)
	}
	p.Sign = func(_ *providertest.Provider, text []byte) string {
		return providertest.Signed(jose.ES256, key, "new", text)
	}
	if _, err := walk(t, client, p, c); err == nil {
		t.Error("a key that is not published is believed")
	}
	p.Keys = func(all *jose.JSONWebKeySet) {
		all.Keys = append(all.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: "new", Algorithm: "ES256", Use: "sig"})
	}
	if _, err := walk(t, client, p, c); err != nil {
		t.Errorf("a new key is not taken: %v", err)
	}
	if n := strings.Count(strings.Join(p.Asked(), " ")+" ", "/keys "); n != 3 {
		t.Errorf("the keys were asked for %d times", n)
	}
}

// A key that the provider withdraws counts for five minutes at most.
func TestWithdrawnKeys(t *testing.T) {
	t.Parallel()
	p := providertest.New(t)
	by := egress.NewClient(true)
	t.Cleanup(by.CloseIdleConnections)
	clock := &hands{now: time.Now()}
	client, c := provider.New(by, clock.read), config(p, db.OIDCProvider, "")
	if _, err := walk(t, client, p, c); err != nil {
		t.Fatal(err)
	}
	p.Keys = func(all *jose.JSONWebKeySet) { all.Keys[0].Key = &otherKey.PublicKey }
	clock.advance(5 * time.Minute)
	if got, err := walk(t, client, p, c); err == nil {
		t.Errorf("signs in %+v", got)
	}
}

// What providers say of addresses, and whom they speak of.
func TestVouching(t *testing.T) {
	t.Parallel()
	entra := map[string]any{"tid": tenant, "oid": object}
	with := func(base map[string]any, more string) map[string]any {
		all := map[string]any{}
		set(all, base)
		if err := json.Unmarshal([]byte(more), &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	for name, test := range map[string]struct {
		kind    db.IdentityProviderKind
		tenant  string
		claims  map[string]any
		subject string // empty if nobody is signed in
		vouched bool
	}{
		"OIDC":                             {db.OIDCProvider, "", nil, "ada", true},
		"OIDC, verified as a text":         {db.OIDCProvider, "", map[string]any{"email_verified": "true"}, "ada", true},
		"OIDC, does not say":               {db.OIDCProvider, "", map[string]any{"email_verified": nil}, "ada", true},
		"OIDC, not verified":               {db.OIDCProvider, "", map[string]any{"email_verified": false}, "ada", false},
		"OIDC, not verified as a text":     {db.OIDCProvider, "", map[string]any{"email_verified": "false"}, "ada", false},
		"OIDC, verified is an object":      {db.OIDCProvider, "", map[string]any{"email_verified": map[string]any{}}, "ada", false},
		"Google, a mailbox":                {db.GoogleProvider, "", map[string]any{"email": "ada@GMAIL.com"}, "ada", true},
		"Google, a mailbox not verified":   {db.GoogleProvider, "", map[string]any{"email": "ada@gmail.com", "email_verified": false}, "ada", false},
		"Google, a mailbox, does not say":  {db.GoogleProvider, "", map[string]any{"email": "ada@gmail.com", "email_verified": nil}, "ada", false},
		"Google, a customer":               {db.GoogleProvider, "", map[string]any{"hd": "Example.com"}, "ada", true},
		"Google, another customer":         {db.GoogleProvider, "", map[string]any{"hd": "other.example"}, "ada", false},
		"Google, a part of a customer":     {db.GoogleProvider, "", map[string]any{"hd": "ample.com"}, "ada", false},
		"Google, below a customer":         {db.GoogleProvider, "", map[string]any{"hd": "com"}, "ada", false},
		"Google, an address of elsewhere":  {db.GoogleProvider, "", nil, "ada", false},
		"Google, a mailbox look-alike":     {db.GoogleProvider, "", map[string]any{"email": "ada@gmail.com.evil.example"}, "ada", false},
		"Entra, its tenant":                {db.MicrosoftProvider, tenant, entra, object, true},
		"Entra, its tenant owns it":        {db.MicrosoftProvider, tenant, with(entra, `{"xms_edov": true}`), object, true},
		"Entra, its tenant owns it, 1":     {db.MicrosoftProvider, tenant, with(entra, `{"xms_edov": "1"}`), object, true},
		"Entra, its tenant owns it not":    {db.MicrosoftProvider, tenant, with(entra, `{"xms_edov": false}`), object, false},
		"Entra, its tenant owns it not, 0": {db.MicrosoftProvider, tenant, with(entra, `{"xms_edov": "0"}`), object, false},
		"Entra, many":                      {db.MicrosoftProvider, "organizations", entra, object, false},
		"Entra, many, owned":               {db.MicrosoftProvider, "common", with(entra, `{"xms_edov": true}`), object, false},
		"Entra, another tenant":            {db.MicrosoftProvider, tenant, map[string]any{"tid": otherTenant, "oid": object}, "", false},
		"Entra, no tenant":                 {db.MicrosoftProvider, "organizations", map[string]any{"oid": object}, "", false},
		"Entra, a tenant that is a path":   {db.MicrosoftProvider, "organizations", map[string]any{"oid": object, "tid": "../" + tenant}, "", false},
		"Entra, no object":                 {db.MicrosoftProvider, "organizations", map[string]any{"tid": tenant}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := providertest.New(t)
			set(p.Person, test.claims)
			got, err := walk(t, newClient(t), p, config(p, test.kind, test.tenant))
			if test.subject == "" {
				if err == nil {
					t.Errorf("signs in %+v", got)
				}
				return
			}
			if err != nil || got.Subject != test.subject || got.Vouched != test.vouched {
				t.Fatalf("got %+v, %v", got, err)
			}
			if test.kind == db.MicrosoftProvider && got.Issuer != p.URL+"/"+tenant+"/v2.0" {
				t.Errorf("the issuer is %s", got.Issuer)
			}
		})
	}
	t.Run("Entra, the issuer of another tenant", func(t *testing.T) {
		t.Parallel()
		p := providertest.New(t)
		set(p.Person, entra)
		p.Claims = func(c map[string]any) { c["iss"] = p.URL + "/" + otherTenant + "/v2.0" }
		for _, of := range []string{tenant, "organizations"} {
			if got, err := walk(t, newClient(t), p, config(p, db.MicrosoftProvider, of)); err == nil {
				t.Errorf("%s signs in %+v", of, got)
			}
		}
	})
	t.Run("the address is asked for", func(t *testing.T) {
		t.Parallel()
		p := providertest.New(t)
		claims(map[string]any{"email": nil, "email_verified": nil, "given_name": nil})(p)
		got, err := walk(t, newClient(t), p, config(p, db.OIDCProvider, ""))
		if err != nil || got.Email != "ada@example.com" || !got.Vouched || got.GivenName != "Ada" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}
