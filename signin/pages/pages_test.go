package pages_test

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/uptrace/bun"

	"roster/graph/graphtest"
	"roster/queue"
)

const password = "correct horse battery staple"

// visitor is a browser that follows redirects within the pages.
type visitor struct {
	t      *testing.T
	base   string
	client *http.Client
}

// answer is a page, or a redirect to elsewhere.
type answer struct {
	status         int
	path, location string
	header         http.Header
	body           string
}

// serve serves the pages of the business.
func serve(t *testing.T, b *graphtest.Server) string {
	t.Helper()
	web := httptest.NewServer(b.Pages)
	t.Cleanup(web.Close)
	return web.URL
}

func newVisitor(t *testing.T, base string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	graphtest.Must(t, err)
	return &visitor{t, base, &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), base) {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

func (v *visitor) do(method, path string, form url.Values, header ...string) *answer {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(form.Encode()))
	graphtest.Must(v.t, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w, err := v.client.Do(r)
	graphtest.Must(v.t, err)
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	graphtest.Must(v.t, err)
	return &answer{w.StatusCode, w.Request.URL.Path, w.Header.Get("Location"), w.Header, html.UnescapeString(string(body))}
}

func (v *visitor) get(path string) *answer { v.t.Helper(); return v.do(http.MethodGet, path, nil) }

// post sends a form of names and values.
func (v *visitor) post(path string, form ...string) *answer {
	v.t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Add(form[i], form[i+1])
	}
	return v.do(http.MethodPost, path, values)
}

// want fails the test unless the answer is the page at the path, with the status, and says
// all of that.
func (a *answer) want(t *testing.T, status int, path string, says ...string) *answer {
	t.Helper()
	if a.status != status || a.path != path {
		t.Fatalf("%s answers %d, want %s and %d: %s", a.path, a.status, path, status, a.body)
	}
	for _, text := range says {
		if !strings.Contains(a.body, text) {
			t.Errorf("%s does not say %q: %s", a.path, text, a.body)
		}
	}
	return a
}

// value returns the value of the button that says something in text.
func (a *answer) value(t *testing.T, text string) string {
	t.Helper()
	found := regexp.MustCompile(`value="([^"]*)"[^>]*>` + text).FindStringSubmatch(a.body)
	if found == nil {
		t.Fatalf("there is no button %s: %s", text, a.body)
	}
	return found[1]
}

const ada = "ada@example.com"

// business returns a business with Ada in two organizations, and where its pages are.
func business(t *testing.T) (*graphtest.Server, string) {
	t.Helper()
	b := graphtest.New(t)
	b.Ask(t, graphtest.SmallBusiness)
	return b, serve(t, b)
}

// temporary sets a temporary password of Ada.
func temporary(t *testing.T, b *graphtest.Server, text string) {
	t.Helper()
	b.Ask(t, `mutation($p: String!) { setTemporaryPassword(input: {user: {email: "ada@example.com"}, password: $p}) { user { id } } }`, graphtest.Object{"p": text})
}

func TestSignUpToAccount(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	v := newVisitor(t, serve(t, b))
	const email = "grace@example.com"
	v.get("/signin").want(t, 200, "/signin", "<title>Sign in – Roster</title>", "Create an account")
	v.post("/signin/signup", "email", email, "givenName", "Grace", "password", "short").
		want(t, 422, "/signin/signup", `value="grace@example.com"`, `aria-describedby="password-error password-hint"`, `href="#password"`)
	v.post("/signin/signup", "email", email, "givenName", "Grace", "password", password).want(t, 200, "/signin/continue", `autocomplete="one-time-code" inputmode="numeric"`, email)
	code := b.Mail.Last(t, email, 1).Code
	v.post("/signin/continue", "code", "0"+code).want(t, 422, "/signin/continue", "This code is wrong")
	newVisitor(t, v.base).post("/signin/continue", "code", code).want(t, 410, "/signin/continue", "Begin again") // another browser
	v.post("/signin/continue", "code", code).want(t, 200, "/signin/account", "Grace", email, "this browser")
	v.get("/signin").want(t, 200, "/signin/account")
	v.post("/signin/account/signout").want(t, 200, "/signin", "You are signed out.")
	if a := v.get("/signin").want(t, 200, "/signin"); strings.Contains(a.body, "You are signed out.") {
		t.Error("it is said twice")
	}
	v.get("/signin/account").want(t, 200, "/signin")
	v.post("/signin", "account", email, "by", "code").want(t, 200, "/signin/continue")
	v.post("/signin/continue", "code", b.Mail.Last(t, email, 2).Code).want(t, 200, "/signin/account")
	v.post("/signin/continue", "code", code).want(t, 410, "/signin/continue")
}

// Whether an account exists does not show, and what was typed stays, except passwords.
func TestUnknownAccounts(t *testing.T) {
	t.Parallel()
	b, base := business(t)
	temporary(t, b, password)
	var bodies []string
	for _, email := range []string{ada, "eve@example.com"} {
		v := newVisitor(t, base)
		wrong := v.post("/signin", "account", email, "password", "a wrong password").want(t, 401, "/signin", email, "unknown")
		code := v.post("/signin", "account", email, "by", "code").want(t, 200, "/signin/continue", email)
		tried := v.post("/signin/continue", "code", "12345678").want(t, 422, "/signin/continue")
		forgotten := v.post("/signin/forgotten", "email", email).want(t, 200, "/signin/reset", email)
		reset := v.post("/signin/reset", "code", "12345678", "password", password).want(t, 422, "/signin/reset")
		all := strings.ReplaceAll(wrong.body+code.body+tried.body+forgotten.body+reset.body, email, "")
		if strings.Contains(all, "a wrong password") || strings.Contains(all, password) {
			t.Error("a password is shown again")
		}
		bodies = append(bodies, all)
	}
	if bodies[0] != bodies[1] {
		t.Errorf("pages differ:\n%s\n%s", bodies[0], bodies[1])
	}
}

func TestTemporaryPasswordAndChooser(t *testing.T) {
	t.Parallel()
	b, base := business(t)
	const first = "a temporary password"
	temporary(t, b, first)
	v := newVisitor(t, base)
	back := graphtest.ReturnOrigin + "/inbox?x=1&y=2"
	in := "/signin?return_to=" + url.QueryEscape(back)
	a := v.post(in, "account", strings.ToUpper(ada), "password", first).want(t, 200, "/signin/continue", `autocomplete="new-password"`)
	if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' "+graphtest.ReturnOrigin+";") {
		t.Errorf("Chromium will not follow: %s", policy)
	}
	v.post("/signin/continue", "password", first).want(t, 422, "/signin/continue", "another password")
	a = v.post("/signin/continue", "password", password).want(t, 200, "/signin/continue", "Choose an organization")
	v.post("/signin/continue", "organization", "org_none").want(t, 404, "/signin/continue", "Choose an organization")
	if end := v.post("/signin/continue", "organization", a.value(t, "Acme")); end.status != 303 || end.location != back {
		t.Errorf("%d, to %s", end.status, end.location)
	}
	if again := v.get(in); again.status != 303 || again.location != back {
		t.Errorf("%d, to %s", again.status, again.location)
	}
}

func TestResetAccountAndSessions(t *testing.T) {
	t.Parallel()
	b, base := business(t)
	v := newVisitor(t, base)
	v.post("/signin/forgotten", "email", ada).want(t, 200, "/signin/reset")
	code := b.Mail.Last(t, ada, 1).Code
	v.post("/signin/reset", "code", code, "password", "short").want(t, 422, "/signin/reset", "password-error", `value="`+code)
	v.post("/signin/reset", "code", code, "password", password).want(t, 200, "/signin", "Your new password is set")
	v.post("/signin/reset", "code", code, "password", password).want(t, 410, "/signin/reset")
	enter := func() *visitor {
		v := newVisitor(t, base)
		a := v.post("/signin?return_to=/signin/account/profile", "account", ada, "password", password)
		v.post("/signin/continue", "organization", a.value(t, "Acme")).want(t, 200, "/signin/account/profile")
		return v
	}
	v, other := enter(), enter()

	v.post("/signin/account/profile", "givenName", "Ada", "phone", "12").want(t, 422, "/signin/account/profile", "phone-error", `value="Ada"`)
	v.post("/signin/account/profile", "givenName", "Ada", "phone", "+49 30 123456").want(t, 200, "/signin/account", "Your profile is changed.", "+4930123456")
	v.post("/signin/account/email", "email", "no address").want(t, 422, "/signin/account/email", "email-error")
	v.post("/signin/account/email", "email", "ada@example.org").want(t, 200, "/signin/account/email/code", "ada@example.org")
	v.post("/signin/continue", "code", b.Mail.Last(t, "ada@example.org", 1).Code).want(t, 410, "/signin/continue") // of another flow
	v.post("/signin/account/email", "email", "ada@example.org").want(t, 200, "/signin/account/email/code")
	v.post("/signin/account/email/code", "code", "12345678").want(t, 422, "/signin/account/email/code", "code-error")
	v.post("/signin/account/email/code", "code", b.Mail.Last(t, "ada@example.org", 2).Code).want(t, 200, "/signin/account", "Your email address is changed.", "ada@example.org")

	account := v.get("/signin/account").want(t, 200, "/signin/account")
	v.post("/signin/account/switch", "organization", account.value(t, "Switch")).want(t, 200, "/signin/account", "You have switched")
	left := "/signin/account/leave"
	leave := regexp.MustCompile(`leave\?organization=([^"]*)">Leave<span class="unseen"> Default`).FindStringSubmatch(account.body)[1]
	v.get(left+"?organization="+leave).want(t, 200, left, "Leave Default?")
	v.post(left, "organization", leave).want(t, 200, "/signin/account", "You have left")
	v.get(left+"?organization="+leave).want(t, 404, left)
	v.get("/signin/account").want(t, 200, "/signin/account", "Acme")

	v.post("/signin/account/sessions/end", "session", "session_none").want(t, 404, "/signin/account/sessions/end", "There is no such session.")
	other.get("/signin/account").want(t, 200, "/signin/account")
	v.post("/signin/account/sessions/end", "session", account.value(t, "End")).want(t, 200, "/signin/account", "The session is ended.")
	other.get("/signin/account").want(t, 200, "/signin")

	v.post("/signin/account/password", "currentPassword", "wrong", "newPassword", password+"!").want(t, 422, "/signin/account/password", "currentPassword-error")
	v.post("/signin/account/password", "currentPassword", password, "newPassword", password+"!").want(t, 200, "/signin/account", "Your password is changed.")
	v.post("/signin/account/signout/everywhere").want(t, 200, "/signin", "You are signed out.")
}

// Doors that are closed are closed on every page, and a suspended person is told so once it is
// clear who they are.
func TestClosedAndSuspended(t *testing.T) {
	t.Parallel()
	b, base := business(t)
	temporary(t, b, password)
	b.Ask(t, `mutation { updateSettings(input: {allowSelfSignUp: false, allowCodeSignIn: false}) { settings { allowSelfSignUp } } suspendUser(input: {user: {email: "ada@example.com"}}) { user { id } } }`)
	v := newVisitor(t, base)
	if a := v.get("/signin").want(t, 200, "/signin"); strings.Contains(a.body, "signup") || strings.Contains(a.body, "Mail me a code") {
		t.Errorf("%s", a.body)
	}
	v.get("/signin/signup").want(t, 403, "/signin/signup", "By invitation only")
	v.post("/signin/signup", "email", "grace@example.com", "password", password).want(t, 403, "/signin/signup", "By invitation only")
	v.post("/signin", "account", ada, "password", "wrong").want(t, 401, "/signin")
	v.post("/signin", "account", ada, "password", password).want(t, 403, "/signin", "This account is suspended.")
}

// However busy the server is, people sign out.
func TestSigningOutIsUrgent(t *testing.T) {
	t.Parallel()
	b, base := business(t)
	v := newVisitor(t, base)
	temporary(t, b, "a temporary password")
	v.post("/signin", "account", ada, "password", "a temporary password").want(t, 200, "/signin/continue")
	a := v.post("/signin/continue", "password", password).want(t, 200, "/signin/continue")
	v.post("/signin/continue", "organization", a.value(t, "Acme")).want(t, 200, "/signin/account")
	var held, busy sync.WaitGroup
	release := make(chan struct{})
	defer func() { close(release); busy.Wait() }()
	writes, _ := b.Directory.Writers()
	for i := range writes {
		held.Add(1)
		busy.Go(func() {
			_ = b.Database.InTx(queue.WithHolders(t.Context(), i), func(context.Context, bun.IDB) error {
				held.Done()
				<-release
				return nil
			})
		})
	}
	held.Wait()
	v.post("/signin/account/signout").want(t, 200, "/signin", "You are signed out.")
}

func TestLimited(t *testing.T) {
	t.Parallel()
	_, base := business(t)
	v := newVisitor(t, base)
	for range 15 {
		a := v.post("/signin", "account", ada, "password", "wrong")
		if a.status == 429 && a.header.Get("Retry-After") != "" && strings.Contains(a.body, ada) {
			return
		}
	}
	t.Error("nothing limits the tries")
}

// Requests that are not what the pages send are refused, in the same look.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	_, base := business(t)
	form := url.Values{"account": {ada}, "password": {password}}
	for name, c := range map[string]struct {
		method, path string
		form         url.Values
		header       []string
		status       int
	}{
		"another site":                {"POST", "/signin", form, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"another port":                {"POST", "/signin", form, []string{"Sec-Fetch-Site", "same-site"}, 403},
		"another site, old browser":   {"POST", "/signin", form, []string{"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, 403},
		"another site, signing out":   {"POST", "/signin/account/signout", nil, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a link from another site":    {"GET", "/signin", nil, []string{"Sec-Fetch-Site", "cross-site"}, 200},
		"an unknown path":             {"GET", "/signin/nothing", nil, nil, 404},
		"an unknown path, posted":     {"POST", "/signin/account/nothing", form, nil, 404},
		"a path of an action":         {"GET", "/signin/account/switch", nil, nil, 405},
		"a page without form, posted": {"POST", "/signin/account", form, nil, 405},
		"another method":              {"DELETE", "/signin", nil, nil, 405},
		"a stylesheet, posted":        {"POST", "/signin/style.css", form, nil, 405},
		"a long body":                 {"POST", "/signin", url.Values{"account": {strings.Repeat("a", 9000)}}, nil, 413},
		"a broken body":               {"POST", "/signin", form, []string{"Content-Type", "multipart/form-data"}, 401},
		"no flow":                     {"GET", "/signin/continue", nil, nil, 410},
		"a made-up flow":              {"POST", "/signin/continue", url.Values{"code": {"1"}}, []string{"Cookie", "roster-flow=eyJ0IjoicnRfeCIsInAiOiIvc2lnbmluL2NvbnRpbnVlIn0"}, 410},
		"a broken flow":               {"GET", "/signin/reset", nil, []string{"Cookie", "roster-flow=%%%"}, 410},
		"a made-up session":           {"GET", "/signin", nil, []string{"Cookie", "roster=rs_x"}, 200},
		"an API key as a session":     {"GET", "/signin", nil, []string{"Cookie", "roster=rk_" + strings.Repeat("x", 40)}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newVisitor(t, base).do(c.method, c.path, c.form, c.header...)
			if a.status != c.status || !strings.Contains(a.body, `<html lang="en">`) {
				t.Fatalf("%d: %s", a.status, a.body)
			}
			if policy := a.header.Get("Content-Security-Policy"); policy != "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'" {
				t.Error(policy)
			}
			if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Referrer-Policy") != "same-origin" || strings.Contains(a.body, "style=") || strings.Contains(a.body, "<script") {
				t.Errorf("%v %s", a.header, a.body)
			}
			if (a.status == 405) != (a.header.Get("Allow") != "") {
				t.Errorf("Allow: %s", a.header.Get("Allow"))
			}
		})
	}
}

func TestBranding(t *testing.T) {
	t.Parallel()
	b, base := business(t)
	b.Ask(t, `mutation { updateSettings(input: {branding: {name: "Bücher <b>", colour: "#ffdd00", logoUrl: "https://cdn.example/logo.svg", termsUrl: "https://example.com/terms"}}) { settings { branding { name } } } }`)
	v := newVisitor(t, base)
	a := v.get("/signin").want(t, 200, "/signin", `src="https://cdn.example/logo.svg"`, "https://example.com/terms", "/signin/brand.css?v=ffdd00")
	if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "img-src 'self' https://cdn.example;") {
		t.Error(policy)
	}
	for path, cached := range map[string]bool{"/signin/brand.css?v=ffdd00": true, "/signin/brand.css?v=4f46e5": false, "/signin/icon.svg?v=ffdd00": true, "/signin/style.css": false} {
		file := v.get(path)
		if file.status != 200 || strings.Contains(file.header.Get("Cache-Control"), "immutable") != cached || strings.Contains(path, "brand") && file.body != ":root { --brand: #ffdd00; --on-brand: #000000; }\n" {
			t.Errorf("%s: %v %s", path, file.header, file.body)
		}
	}
}

// invite invites the address to Acme, and returns the path of the page that the link leads to.
func invite(t *testing.T, b *graphtest.Server, email string, mailed bool) string {
	t.Helper()
	before := len(b.Mail.To(email))
	text := b.Ask(t, `mutation($e: String!, $m: Boolean!) { invite(input: {email: $e, organization: {code: "acme"}, givenName: "Mary", sendEmail: $m}) { link } }`, graphtest.Object{"e": email, "m": mailed}).Text("invite.link")
	if mailed {
		text = b.Mail.Last(t, email, before+1).Text
	}
	found := regexp.MustCompile(regexp.QuoteMeta(b.SignIn.Issuer) + `(/signin/invitation\?token=[\w%-]+)`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("there is no link: %s", text)
	}
	return found[1]
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	b, base := business(t)
	temporary(t, b, password)
	b.Ask(t, `mutation { updateSettings(input: {allowSelfSignUp: false}) { settings { allowSelfSignUp } } }`)
	const page, back = "/signin/invitation", "/signin/account/profile"
	for _, c := range []struct{ name, path string }{{"no token", page}, {"a made-up token", page + "?token=ri_x"}} {
		t.Run(c.name, func(t *testing.T) {
			newVisitor(t, base).get(c.path).want(t, 410, page, "This invitation is not valid")
			newVisitor(t, base).post(c.path, "token", "x").want(t, 410, page, "This invitation is not valid")
		})
	}
	t.Run("new, by mail", func(t *testing.T) {
		v, path := newVisitor(t, base), invite(t, b, "mary@example.com", true)
		a := v.get(path).want(t, 200, page, "You are invited to Acme", `value="Mary"`, "mary@example.com", `autocomplete="new-password"`)
		token := regexp.MustCompile(`name="token" value="([^"]*)"`).FindStringSubmatch(a.body)[1]
		v.post(page, "token", token, "account", "mary@example.com", "password", "short").want(t, 422, page, "password-error", token)
		v.post(page+"?return_to="+back, "token", token, "account", "mary@example.com", "givenName", "Mia", "password", password).want(t, 200, back, "Mia")
		v.get(path).want(t, 410, page)
		v.get(invite(t, b, "other@example.com", true)).want(t, 403, page, "You are signed in with another account", "other@example.com")
		v.post(page, "token", strings.TrimPrefix(invite(t, b, "other@example.com", false), page+"?token=")).want(t, 403, page, "another account")
	})
	t.Run("by a link", func(t *testing.T) {
		// Nothing shows whether there is an account.
		for i, email := range []string{"unknown@example.com", "ada@globex.example"} {
			if i > 0 {
				b.Ask(t, `mutation($e: String!) { createUser(input: {email: $e, organizations: [{code: "globex"}]}) { user { id } } }`, graphtest.Object{"e": email})
			}
			v, path := newVisitor(t, base), invite(t, b, email, false)
			v.get(path).want(t, 200, page, "We mail a code to "+email, "Password (optional)")
			before := len(b.Mail.To(email))
			v.post(path, "token", strings.TrimPrefix(path, page+"?token="), "account", email).want(t, 200, "/signin/continue", email)
			v.post("/signin/continue", "code", b.Mail.Last(t, email, before+1).Code).want(t, 200, "/signin/account", "Acme")
		}
	})
	t.Run("with an account, by mail", func(t *testing.T) {
		b.Ask(t, `mutation { removeMembers(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}]}) { deletedIds } }`)
		v, path := newVisitor(t, base), invite(t, b, ada, true)
		if a := v.get(path).want(t, 200, page, "Accept with your account ada@example.com."); strings.Contains(a.body, "assword") {
			t.Errorf("it asks for a password: %s", a.body)
		}
		v.post(path, "token", strings.TrimPrefix(path, page+"?token=")).want(t, 200, "/signin/account", "Acme")
	})
}
