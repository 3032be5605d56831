package oauth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"roster/graph/graphtest"
)

type object = graphtest.Object

const (
	password = graphtest.Password
	ada      = "ada@example.com"
	// callback is where the applications of tests have browsers sent back to.
	callback = "https://app.example/callback?from=roster"
	api      = "https://api.example"
)

// world is a business that listens, with applications.
type world struct {
	*graphtest.Server
	t *testing.T
}

// newWorld returns a business in which Ada is a clerk of acme and belongs to the default
// organization.
func newWorld(t *testing.T) *world {
	t.Helper()
	b := graphtest.New(t).Listen(t)
	b.Ask(t, graphtest.SmallBusiness)
	b.SignedIn(t, ada, "acme") // sets the password
	return &world{b, t}
}

// with returns the world for a part of the test.
func (w *world) with(t *testing.T) *world { return &world{w.Server, t} }

// app is an application and its secret.
type app struct{ id, secret, callback string }

// create makes an application of the kind. input has what differs.
func (w *world) create(kind string, input object) app {
	w.t.Helper()
	in := object{"name": "App of tests", "kind": kind}
	if kind != "MACHINE" {
		in["redirectUrls"], in["logoutUrls"], in["audiences"] = []string{callback}, []string{"https://app.example/bye"}, []string{api, w.Issuer}
	}
	for name, value := range input {
		in[name] = value
	}
	a := w.Ask(w.t, `mutation($input: CreateApplicationInput!) { createApplication(input: $input) { clientSecret application { id clientId } } }`, object{"input": in})
	if a.Text("createApplication.application.id") != a.Text("createApplication.application.clientId") || (a.Text("createApplication.clientSecret") != "") != (kind == "WEB" || kind == "MACHINE") {
		w.t.Errorf("%s", a.Body)
	}
	return app{a.Text("createApplication.application.id"), a.Text("createApplication.clientSecret"), callback}
}

const verifier = "a-verifier-of-forty-three-characters-or-more"

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// wish returns the address at which the application asks for a code; changes are names and
// values, and an empty value takes a parameter away.
func (w *world) wish(a app, changes ...string) string {
	q := url.Values{
		"client_id": {a.id}, "redirect_uri": {a.callback}, "response_type": {"code"}, "scope": {"openid profile email offline_access"}, "state": {"st&te"},
		"code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"}, "nonce": {"n-1"}, "organization": {"acme"},
	}
	for i := 0; i < len(changes); i += 2 {
		q.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			q.Del(changes[i])
		}
	}
	return "/oauth/authorize?" + q.Encode()
}

// browser is one that stays on the server, and says where it is sent to elsewhere.
type browser struct {
	w      *world
	client *http.Client
}

func (w *world) browser() *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	graphtest.Must(w.t, err)
	return &browser{w, &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), w.Issuer) {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

// page is what a browser got in the end: a page of the server, or an address elsewhere.
type page struct {
	status    int
	path      string
	elsewhere *url.URL
	body      string
	header    http.Header
}

func (b *browser) do(method, address string, form url.Values) *page {
	b.w.t.Helper()
	r, err := http.NewRequestWithContext(b.w.t.Context(), method, b.w.Issuer+address, strings.NewReader(form.Encode()))
	graphtest.Must(b.w.t, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	answer, err := b.client.Do(r)
	graphtest.Must(b.w.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	graphtest.Must(b.w.t, err)
	p := &page{status: answer.StatusCode, path: answer.Request.URL.Path, body: string(body), header: answer.Header}
	if to := answer.Header.Get("Location"); to != "" {
		p.elsewhere, err = url.Parse(to)
		graphtest.Must(b.w.t, err)
	}
	return p
}

func (b *browser) get(address string) *page {
	b.w.t.Helper()
	return b.do(http.MethodGet, address, nil)
}

var action = regexp.MustCompile(`<form method="post" action="([^"]*)"`)

// submit sends the form of the page.
func (b *browser) submit(p *page, form url.Values) *page {
	b.w.t.Helper()
	found := action.FindStringSubmatch(p.body)
	if found == nil {
		b.w.t.Fatalf("%s has no form: %s", p.path, p.body)
	}
	return b.do(http.MethodPost, strings.ReplaceAll(found[1], "&amp;", "&"), form)
}

// signIn signs Ada in on the page.
func (b *browser) signIn(p *page) *page {
	b.w.t.Helper()
	if p.path != "/signin" || p.status != http.StatusOK {
		b.w.t.Fatalf("%d at %s: %s", p.status, p.path, p.body)
	}
	return b.submit(p, url.Values{"account": {ada}, "password": {password}})
}

// code returns the code with which the browser is sent back, and checks the rest.
func (b *browser) code(p *page) string {
	b.w.t.Helper()
	if p.elsewhere == nil || !strings.HasPrefix(p.elsewhere.String(), callback+"&") || p.status != http.StatusSeeOther {
		b.w.t.Fatalf("%d at %s, and sent to %s: %s", p.status, p.path, p.elsewhere, p.body)
	}
	q := p.elsewhere.Query()
	if q.Get("state") != "st&te" || q.Get("iss") != b.w.Issuer || q.Get("code") == "" || p.header.Get("Cache-Control") != "no-store" {
		b.w.t.Fatalf("sent back with %v", q)
	}
	return q.Get("code")
}

// answer is the answer of an endpoint.
type answer struct {
	status int
	header http.Header
	body   object
}

func (a *answer) text(name string) string {
	text, _ := a.body[name].(string)
	return text
}

// want fails the test unless the answer has that error, or none.
func (a *answer) want(t *testing.T, code string) *answer {
	t.Helper()
	status := map[string]int{"": 200, "invalid_client": 401, "invalid_token": 401, "insufficient_scope": 403}[code]
	if status == 0 {
		status = 400
	}
	if a.text("error") != code || a.status != status {
		t.Fatalf("%d %v, want %q", a.status, a.body, code)
	}
	return a
}

// post sends a form of names and values to an endpoint, with an Authorization unless it is
// empty.
func (w *world) post(path, authorization string, form ...string) *answer {
	w.t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Add(form[i], form[i+1])
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.Issuer+path, strings.NewReader(values.Encode()))
	graphtest.Must(w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return w.send(r)
}

func (w *world) send(r *http.Request) *answer {
	w.t.Helper()
	got, err := http.DefaultClient.Do(r)
	graphtest.Must(w.t, err)
	defer got.Body.Close()
	a := &answer{status: got.StatusCode, header: got.Header}
	body, err := io.ReadAll(got.Body)
	graphtest.Must(w.t, err)
	if len(body) > 0 {
		graphtest.Must(w.t, json.Unmarshal(body, &a.body))
	}
	return a
}

func basic(a app) string {
	if a.secret == "" {
		return ""
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(a.id)+":"+url.QueryEscape(a.secret)))
}

// exchange exchanges a code.
func (w *world) exchange(a app, code string, more ...string) *answer {
	w.t.Helper()
	form := []string{"grant_type", "authorization_code", "code", code, "redirect_uri", a.callback, "code_verifier", verifier}
	if a.secret == "" {
		form = append(form, "client_id", a.id)
	}
	return w.post("/oauth/token", basic(a), append(form, more...)...)
}

// refresh asks for new tokens.
func (w *world) refresh(a app, token string, more ...string) *answer {
	w.t.Helper()
	form := []string{"grant_type", "refresh_token", "refresh_token", token}
	if a.secret == "" {
		form = append(form, "client_id", a.id)
	}
	return w.post("/oauth/token", basic(a), append(form, more...)...)
}

// tokens signs Ada in to the application, and returns what it gets.
func (w *world) tokens(a app, changes ...string) *answer {
	w.t.Helper()
	b := w.browser()
	return w.exchange(a, b.code(b.signIn(b.get(w.wish(a, changes...))))).want(w.t, "")
}

// userInfo asks who the person is.
func (w *world) userInfo(token string) *answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.Issuer+"/oauth/userinfo", nil)
	graphtest.Must(w.t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	return w.send(r)
}

// claims returns the claims of a token, which is not verified.
func claims(t *testing.T, token string) (all object) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no token: %q", token)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	graphtest.Must(t, err)
	graphtest.Must(t, json.Unmarshal(text, &all))
	return all
}

func mustParse(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	graphtest.Must(t, err)
	return u
}
