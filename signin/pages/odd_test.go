package pages_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"roster/graph/graphtest"
)

var (
	formPattern = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)".*?</form>`)
	namePattern = regexp.MustCompile(`name="([^"]*)"`)
	linkPattern = regexp.MustCompile(`href="(/signin[^"#]*)"`)
)

// crawl calls visit for every page that links lead to from the given ones on.
func (v *visitor) crawl(from []string, visit func(a *answer)) {
	v.t.Helper()
	for i := 0; i < len(from); i++ {
		a := v.get(from[i])
		visit(a)
		for _, link := range linkPattern.FindAllStringSubmatch(a.body, -1) {
			if path, _, _ := strings.Cut(link[1], "?"); !slices.Contains(from, path) && !strings.HasSuffix(path, ".css") && !strings.HasSuffix(path, ".svg") {
				from = append(from, path)
			}
		}
	}
}

// Text that no database holds is an answer for people in every field of every form, and in every
// parameter of every page, and never a fault of the server. A new form takes part by itself.
func TestOddTextInForms(t *testing.T) {
	t.Parallel()
	b, base := business(t)
	b.SignedIn(t, ada, "acme") // sets the password
	a := b.Ask(t, `mutation { invite(input: {email: "guest@example.com", organization: {code: "acme"}, sendEmail: false}) { link } }`)
	invitation := strings.TrimPrefix(a.Text("invite.link"), graphtest.Issuer)
	p := newProvider(t, b, "own", object{"domains": []string{"own.example"}})
	p.Answer = func(q url.Values) { q.Set("error", "access_denied") }
	signedIn := newVisitor(t, base)
	chooses := signedIn.post("/signin", "account", ada, "password", password).want(t, 200, "/signin/continue")
	signedIn.post("/signin/continue", "organization", chooses.value(t, "Acme")).want(t, 200, "/signin/account")
	signingIn, forgetful := newVisitor(t, base), newVisitor(t, base)
	signingIn.post("/signin", "account", ada, "by", "code").want(t, 200, "/signin/continue")
	forgetful.post("/signin/forgotten", "email", ada).want(t, 200, "/signin/reset")
	seen := map[string]bool{}
	for name, v := range map[string]*visitor{"nobody": newVisitor(t, base), "somebody": signedIn, "signing in": signingIn, "forgetful": forgetful} {
		forms := map[string][]string{}
		v.crawl([]string{"/signin/continue", "/signin/reset", "/signin", "/signin/account", "/signin/organization", invitation}, func(a *answer) {
			for _, form := range formPattern.FindAllStringSubmatch(a.body, -1) {
				for _, field := range namePattern.FindAllStringSubmatch(form[0], -1) {
					forms[form[1]] = append(forms[form[1]], field[1])
				}
			}
		})
		for action, fields := range forms {
			for _, field := range fields {
				path, _, _ := strings.Cut(action, "?")
				if seen[path+" "+field] || strings.HasPrefix(action, "/signin/account/signout") { // which takes nothing
					continue
				}
				seen[path+" "+field] = true
				for _, odd := range []string{"ada\x00@example.com", "\xff"} {
					values := url.Values{}
					for _, other := range fields {
						values.Set(other, "ada@example.com")
					}
					values.Set(field, odd)
					b.Execute(t, "delete from attempts")
					if a := v.do(http.MethodPost, action, values); a.status >= 500 {
						t.Errorf("%s, %s of %s is %q: %d", name, field, action, odd, a.status)
					}
				}
			}
		}
		if name != "nobody" && name != "somebody" {
			continue
		}
		for _, page := range []string{"/signin", "/signin/signup", "/signin/invitation", "/signin/organization", "/signin/forgotten", "/signin/own", "/signin/own/callback", "/signin/own/link"} {
			for _, parameter := range []string{"organization", "return_to", "login_hint", "token", "prompt", "state", "code", "error", "iss"} {
				for _, odd := range []string{"%00", "%ff", `%5cu0000`} {
					if a := v.get(page + "?" + parameter + "=" + odd); a.status >= 500 {
						t.Errorf("%s, %s?%s=%s: %d", name, page, parameter, odd, a.status)
					}
				}
			}
		}
	}
	if len(seen) < 25 {
		t.Errorf("only %d fields: %v", len(seen), seen)
	}
}
