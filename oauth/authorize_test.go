package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"roster/graph/graphtest"
)

// The application is told what is wrong with a request, but only at an address that is
// registered: nobody is sent anywhere else.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, native := w.create("SPA", nil), w.create("NATIVE", object{"redirectUrls": []string{"com.example.app:/callback", "http://127.0.0.1/callback", "http://[::1]:1/callback"}})
	machine := w.create("MACHINE", nil)
	b := w.browser()
	for name, c := range map[string]struct {
		app     app
		changes []string
		code    string // empty: a page, and no redirect
	}{
		"no application":        {a, []string{"client_id", ""}, ""},
		"an unknown one":        {a, []string{"client_id", "app_01h455vb4pex5vsknk084sn02q"}, ""},
		"a machine":             {machine, nil, ""},
		"no address":            {a, []string{"redirect_uri", ""}, ""},
		"another address":       {a, []string{"redirect_uri", "https://evil.example/"}, ""},
		"an address below":      {a, []string{"redirect_uri", callback + "&x"}, ""},
		"without the query":     {a, []string{"redirect_uri", "https://app.example/callback"}, ""},
		"in capitals":           {a, []string{"redirect_uri", strings.ToUpper(callback)}, ""},
		"with a user":           {a, []string{"redirect_uri", "https://evil@app.example/callback?from=roster"}, ""},
		"another host before":   {a, []string{"redirect_uri", "https://app.example.evil.example/callback?from=roster"}, ""},
		"of another":            {a, []string{"redirect_uri", "com.example.app:/callback"}, ""},
		"another scheme":        {native, []string{"redirect_uri", "com.example.evil:/callback"}, ""},
		"another path":          {native, []string{"redirect_uri", "http://127.0.0.1:3000/other"}, ""},
		"another machine":       {native, []string{"redirect_uri", "http://127.0.0.1.evil.example:3000/callback"}, ""},
		"no loopback address":   {native, []string{"redirect_uri", "http://localhost:3000/callback"}, ""},
		"a user on a loopback":  {native, []string{"redirect_uri", "http://127.0.0.1:3000@evil.example/callback"}, ""},
		"implicit":              {a, []string{"response_type", "token"}, "unsupported_response_type"},
		"hybrid":                {a, []string{"response_type", "code id_token"}, "unsupported_response_type"},
		"no response type":      {a, []string{"response_type", ""}, "unsupported_response_type"},
		"fragment":              {a, []string{"response_mode", "fragment"}, "invalid_request"},
		"no PKCE":               {a, []string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
		"plain PKCE":            {a, []string{"code_challenge_method", "plain"}, "invalid_request"},
		"plain by default":      {a, []string{"code_challenge_method", ""}, "invalid_request"},
		"a short challenge":     {a, []string{"code_challenge", "x"}, "invalid_request"},
		"a request object":      {a, []string{"request", "x.y.z"}, "request_not_supported"},
		"a request elsewhere":   {a, []string{"request_uri", "https://evil.example/"}, "request_uri_not_supported"},
		"none and login":        {a, []string{"prompt", "none login"}, "invalid_request"},
		"an unknown prompt":     {a, []string{"prompt", "please"}, "invalid_request"},
		"no age":                {a, []string{"max_age", "old"}, "invalid_request"},
		"a long nonce":          {a, []string{"nonce", strings.Repeat("n", 1001)}, "invalid_request"},
		"a nonce with a NUL":    {a, []string{"nonce", "n\x00"}, "invalid_request"},
		"a nonce of bytes":      {a, []string{"nonce", "n\xff"}, "invalid_request"},
		"not signed in":         {a, []string{"prompt", "none"}, "login_required"},
		"too long to come back": {a, []string{"nonce", strings.Repeat("n", 900), "scope", strings.Repeat("x", 900)}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &browser{w.with(t), b.client}
			p := b.get(w.wish(c.app, c.changes...))
			if c.code == "" {
				if p.elsewhere != nil || p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "<h1") {
					t.Errorf("%d, sent to %v: %s", p.status, p.elsewhere, p.body)
				}
				return
			}
			if p.elsewhere == nil || !strings.HasPrefix(p.elsewhere.String(), callback+"&") {
				t.Fatalf("%d, sent to %v", p.status, p.elsewhere)
			}
			if q := p.elsewhere.Query(); q.Get("error") != c.code || q.Get("state") != "st&te" || q.Get("iss") != w.Issuer || q.Has("code") {
				t.Errorf("%v, want %s", q, c.code)
			}
		})
	}
	twice := w.wish(a) + "&" + url.Values{"scope": {"openid"}}.Encode()
	if p := b.get(twice); p.elsewhere == nil || p.elsewhere.Query().Get("error") != "invalid_request" {
		t.Errorf("a parameter twice: %d %v", p.status, p.elsewhere)
	}
	if p := b.get(w.wish(a) + "&redirect_uri=https://evil.example/"); p.elsewhere != nil {
		t.Errorf("an address twice: sent to %v", p.elsewhere)
	}
	for _, address := range []string{"com.example.app:/callback", "http://127.0.0.1:49152/callback", "http://127.0.0.1/callback", "http://[::1]:2/callback"} {
		if p := b.get(w.wish(native, "redirect_uri", address, "prompt", "none")); p.elsewhere == nil || p.elsewhere.Query().Get("error") != "login_required" {
			t.Errorf("%s: %d %v", address, p.status, p.elsewhere)
		}
	}
	if p := b.do(http.MethodPost, "/oauth/authorize", url.Values{"client_id": {a.id}}); p.status != http.StatusUnprocessableEntity || p.path != "/oauth/authorize" {
		t.Errorf("by POST: %d %s", p.status, p.path)
	}
}

// A person is asked to sign in, or for an organization, when that is needed, and otherwise
// not.
func TestHowPeopleAreAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.create("SPA", nil), w.browser()
	org := func(code string) string {
		t.Helper()
		tokens := w.exchange(a, code).want(t, "")
		said, _ := claims(t, tokens.text("access_token"))["org_code"].(string)
		return said
	}
	// Nobody is signed in: Ada signs in, chooses an organization once, and is back.
	p := b.get(w.wish(a, "organization", "", "login_hint", "ada@hint.example"))
	if !strings.Contains(p.body, `value="ada@hint.example"`) || !strings.Contains(p.header.Get("Content-Security-Policy"), "form-action 'self' https://app.example;") {
		t.Errorf("%v %s", p.header, p.body)
	}
	p = b.signIn(p)
	if p.path != "/signin/continue" || !strings.Contains(p.body, "Choose an organization") {
		t.Fatalf("%s: %s", p.path, p.body)
	}
	acme := choice(t, p.body, "Acme")
	if got := org(b.code(b.submit(p, url.Values{"organization": {acme}}))); got != "acme" {
		t.Errorf("signed in to %s", got)
	}
	// She is signed in: an organization that is named is taken, without a question.
	if got := org(b.code(b.get(w.wish(a)))); got != "acme" {
		t.Errorf("signed in to %s", got)
	}
	if got := org(b.code(b.get(w.wish(a, "organization", "", "org_code", "default")))); got != "default" {
		t.Errorf("signed in to %s", got)
	}
	// Without a name she chooses, and the session remembers what it did.
	p = b.get(w.wish(a, "organization", ""))
	if p.path != "/signin/organization" || !strings.Contains(p.header.Get("Content-Security-Policy"), "https://app.example;") {
		t.Fatalf("%s: %s", p.path, p.body)
	}
	if got := org(b.code(b.submit(p, url.Values{"organization": {choice(t, p.body, "Default")}}))); got != "default" {
		t.Errorf("signed in to %s", got)
	}
	if got := org(b.code(b.get(w.wish(a, "organization", "", "prompt", "none")))); got != "acme" {
		t.Errorf("without a question, signed in to %s", got)
	}
	for name, changes := range map[string][]string{"not hers": {"organization", "globex"}, "unknown": {"organization", "nowhere"}} {
		if p := b.get(w.wish(a, changes...)); p.elsewhere == nil || p.elsewhere.Query().Get("error") != "access_denied" || p.elsewhere.Query().Get("error_description") != "You belong to no such organization." {
			t.Errorf("%s: %d %v", name, p.status, p.elsewhere)
		}
	}
	// She is asked again if the application wants so.
	w.Clock.Advance(time.Minute)
	for name, changes := range map[string][]string{"login": {"prompt", "login"}, "another account": {"prompt", "select_account"}, "too long ago": {"max_age", "30"}, "just now": {"max_age", "0"}} {
		t.Run(name, func(t *testing.T) {
			b := &browser{w.with(t), b.client}
			before := time.Now()
			w.Clock.Advance(time.Minute)
			code := b.code(b.signIn(b.get(w.wish(a, changes...))))
			said := claims(t, w.with(t).exchange(a, code).want(t, "").text("id_token"))
			if at, _ := said["auth_time"].(float64); int64(at) < before.Unix() {
				t.Errorf("auth_time is %v", said["auth_time"])
			}
			w.Clock.Advance(time.Minute)
		})
	}
	if p := b.get(w.wish(a, "max_age", "30", "prompt", "none")); p.elsewhere == nil || p.elsewhere.Query().Get("error") != "login_required" {
		t.Errorf("max_age, without a question: %d %v", p.status, p.elsewhere)
	}
	b.code(b.get(w.wish(a, "max_age", "3600")))
	if p := w.browser().get(w.wish(a, "prompt", "create")); p.path != "/signin/signup" {
		t.Errorf("create: %s", p.path)
	}
	for name, value := range map[string]string{"consent": "consent", "nothing": ""} {
		t.Run(name, func(t *testing.T) { (&browser{w.with(t), b.client}).code(b.get(w.wish(a, "prompt", value))) })
	}
}

// choice returns the value of the button of an organization.
func choice(t *testing.T, body, name string) string {
	t.Helper()
	before, _, found := strings.Cut(body, name+"</button>")
	at := strings.LastIndex(before, `value="`)
	if !found || at < 0 {
		t.Fatalf("there is no %s: %s", name, body)
	}
	value, _, _ := strings.Cut(before[at+len(`value="`):], `"`)
	return value
}

// An application that sends people to sign out gets them back at an address of its own, and
// what they have begun with it is over. Nobody is signed out by a page that has no token of
// theirs.
func TestLogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, other := w.create("SPA", nil), w.create("SPA", object{"logoutUrls": []string{"https://other.example/bye"}})
	bye := func(changes ...string) string {
		q := url.Values{"client_id": {a.id}, "post_logout_redirect_uri": {"https://app.example/bye"}, "state": {"s&t"}}
		for i := 0; i < len(changes); i += 2 {
			q.Set(changes[i], changes[i+1])
			if changes[i+1] == "" {
				q.Del(changes[i])
			}
		}
		return "/oauth/logout?" + q.Encode()
	}
	signedIn := func() (*browser, *answer) {
		b := w.browser()
		return b, w.exchange(a, b.code(b.signIn(b.get(w.wish(a))))).want(t, "")
	}
	goes := func(p *page, to string) {
		t.Helper()
		if p.elsewhere == nil || p.elsewhere.String() != to {
			t.Errorf("%d at %s, sent to %v, want %s", p.status, p.path, p.elsewhere, to)
		}
	}
	const back = "https://app.example/bye?state=s%26t"
	stillIn := func(b *browser) bool { return b.get("/signin/account").path == "/signin/account" }

	b, tokens := signedIn()
	for name, changes := range map[string][]string{
		"not its address":      {"post_logout_redirect_uri", "https://evil.example/"},
		"another's address":    {"post_logout_redirect_uri", "https://other.example/bye"},
		"another's token":      {"client_id", other.id, "id_token_hint", tokens.text("id_token"), "post_logout_redirect_uri", "https://other.example/bye"},
		"nobody's":             {"client_id", ""},
		"a token that is none": {"client_id", "", "id_token_hint", "x.y.z"},
		"an access token":      {"client_id", "", "id_token_hint", tokens.text("access_token")},
	} {
		t.Run(name, func(t *testing.T) {
			if p := b.get(bye(changes...)); p.elsewhere != nil || p.status != http.StatusUnprocessableEntity {
				t.Errorf("%d, sent to %v", p.status, p.elsewhere)
			}
		})
	}
	if !stillIn(b) {
		t.Error("signed out by a request that was refused")
	}
	// Without a token, the person is asked.
	p := b.get(bye())
	if p.path != "/signin/account/signout" || !stillIn(b) {
		t.Fatalf("%d at %s", p.status, p.path)
	}
	goes(b.submit(p, nil), back)
	if stillIn(b) {
		t.Error("still signed in")
	}
	w.refresh(a, tokens.text("refresh_token")).want(t, "invalid_grant")
	goes(b.get(bye()), back) // again, when nobody is signed in

	// With one of theirs, they are not.
	b, tokens = signedIn()
	goes(b.get(bye("client_id", "", "id_token_hint", tokens.text("id_token"))), back)
	if stillIn(b) {
		t.Error("still signed in")
	}
	w.userInfo(tokens.text("access_token")).want(t, "invalid_token")
	w.refresh(a, tokens.text("refresh_token")).want(t, "invalid_grant")

	// The token of somebody else ends what is theirs, and asks.
	b, _ = signedIn()
	_, elsewhere := signedIn()
	w.Ask(t, `mutation { createUser(input: {email: "bob@example.com", organizations: [{code: "acme"}]}) { user { id } } }`)
	w.SignedIn(t, "bob@example.com", "acme") // sets a password
	bob := w.browser()
	p = bob.get(w.wish(a))
	his := w.exchange(a, bob.code(bob.submit(p, url.Values{"account": {"bob@example.com"}, "password": {password}}))).want(t, "")
	if p := b.get(bye("id_token_hint", his.text("id_token"))); p.path != "/signin/account/signout" || !stillIn(b) {
		t.Errorf("%d at %s", p.status, p.path)
	}
	w.refresh(a, his.text("refresh_token")).want(t, "invalid_grant")
	w.refresh(a, elsewhere.text("refresh_token")).want(t, "")
	if p := b.get(bye("post_logout_redirect_uri", "", "id_token_hint", elsewhere.text("id_token"))); p.path != "/signin" {
		t.Errorf("without an address: %s", p.path)
	}
}

// The door tells libraries what there is, and lets pages of all origins call what they need,
// without cookies.
func TestConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/.well-known/jwks.json", "/oauth/userinfo"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.Issuer+path, nil)
		graphtest.Must(t, err)
		r.Header.Set("Origin", "https://spa.example")
		a := w.send(r)
		if a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", path, a.header)
		}
		if strings.Contains(path, "openid") && (a.text("issuer") != w.Issuer || a.text("token_endpoint") != w.Issuer+"/oauth/token") {
			t.Errorf("%v", a.body)
		}
	}
	for path, methods := range map[string]string{"/oauth/token": "POST", "/oauth/revoke": "POST", "/oauth/userinfo": "GET"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, w.Issuer+path, nil)
		graphtest.Must(t, err)
		for name, value := range map[string]string{"Origin": "https://spa.example", "Access-Control-Request-Method": methods, "Access-Control-Request-Headers": "authorization"} {
			r.Header.Set(name, value)
		}
		if a := w.send(r); a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Methods") != methods || a.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.Issuer+"/oauth/token", nil)
	graphtest.Must(t, err)
	got, err := http.DefaultClient.Do(r)
	graphtest.Must(t, err)
	_ = got.Body.Close()
	if got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "POST" {
		t.Errorf("GET of the token endpoint: %d %v", got.StatusCode, got.Header)
	}
}
