package pages_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"roster/directory"
	"roster/graph/graphtest"
	"roster/mail"
	"roster/provider/providertest"
	"roster/secret"
)

type object = graphtest.Object

// newProvider makes an identity provider of that key, and the provider itself.
func newProvider(t *testing.T, b *graphtest.Server, key string, more object) *providertest.Provider {
	t.Helper()
	p := providertest.New(t)
	input := object{"key": key, "kind": "OIDC", "issuer": p.URL, "clientId": providertest.ClientID, "clientSecret": providertest.ClientSecret}
	for name, value := range more {
		input[name] = value
	}
	b.Ask(t, `mutation($input: CreateIdentityProviderInput!) { createIdentityProvider(input: $input) { provider { id } } }`, object{"input": input})
	return p
}

// linkCode returns the code of the n-th mail to the address, which has to say that it links
// an account with the provider.
func linkCode(t *testing.T, b *graphtest.Server, email string, n int, provider string) string {
	t.Helper()
	m := b.Mail.Last(t, email, n)
	if m.Kind != mail.IdentityCode || !strings.Contains(m.Subject, "link "+provider+" to") || !strings.Contains(m.Text, "an account with "+provider+" ") || !strings.Contains(m.HTML, "an account with "+provider+" ") {
		t.Errorf("the mail is a %s: %s\n%s", m.Kind, m.Subject, m.Text)
	}
	return m.Code
}

// visit goes to an address of the provider, and returns where the browser is sent back to
// here.
func (v *visitor) visit(address string) string {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, address, http.NoBody)
	graphtest.Must(v.t, err)
	w, err := http.DefaultTransport.RoundTrip(r)
	graphtest.Must(v.t, err)
	graphtest.Must(v.t, w.Body.Close())
	back, ok := strings.CutPrefix(w.Header.Get("Location"), graphtest.Issuer)
	if !ok {
		v.t.Fatalf("%s answers %d and leads to %s", address, w.StatusCode, w.Header.Get("Location"))
	}
	return back
}

// by signs in by a provider.
func (v *visitor) by(key string) *answer {
	v.t.Helper()
	return v.get(v.visit(v.get("/signin/" + key).location))
}

const ownEmail = "me@d.example"

// Whose account somebody enters whom a provider has signed in: the rules of linking.
func TestWhoArrives(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	base := serve(t, b)
	b.Ask(t, `mutation { updateSettings(input: {allowSelfSignUp: true}) { settings { allowSelfSignUp } } }`)
	const (
		enters    = "enters"     // at once
		code      = "code"       // after a code
		refused   = "refused"    // at once
		codeFirst = "code first" // refused, after a code
	)
	const unclaimed, claimed, suspended, ranking = "unclaimed", "claimed", "suspended", "ranking"
	bound := func(more string) func(domain string) object {
		return func(domain string) object {
			all := object{"domains": []string{domain}}
			for word := range strings.FieldsSeq(more) {
				all[word] = true
			}
			return all
		}
	}
	unbound := func(string) object { return object{"trusted": true} }
	entra := func(string) object {
		return object{"kind": "MICROSOFT", "tenant": "organizations", "trusted": true}
	}
	ofOrganization := func(domain string) object {
		return object{"organization": object{"code": strings.TrimSuffix(domain, ".example")}, "trusted": true}
	}
	none := map[string]any{}
	outside := map[string]any{"email": "ada@outside.example"}
	unverified := map[string]any{"email_verified": false}
	for i, test := range []struct {
		name, account string
		provider      func(domain string) object
		person        map[string]any
		closed        bool
		want          string
	}{
		{"nobody, its word counts", "", bound(""), none, false, enters},
		{"nobody, not bound to domains", "", unbound, none, false, code},
		{"nobody, another domain", "", bound("trusted"), outside, false, code},
		{"nobody, not verified there", "", bound("trusted"), unverified, false, code},
		{"nobody, any tenant", "", entra, none, false, code},
		{"nobody, no address", "", bound("trusted"), map[string]any{"email": "", "sub": "1"}, false, refused},
		{"nobody, no sign-up, its word counts", "", bound("trusted"), none, true, refused},
		{"nobody, no sign-up", "", unbound, none, true, codeFirst},
		{"unclaimed, trusted", unclaimed, bound("trusted"), none, false, enters},
		{"unclaimed, trusted, no sign-up", unclaimed, bound("trusted"), none, true, enters},
		{"unclaimed, not trusted", unclaimed, bound(""), none, false, code},
		{"unclaimed, not bound to domains", unclaimed, unbound, none, false, code},
		{"unclaimed, not verified there", unclaimed, bound("trusted"), unverified, false, code},
		{"unclaimed, any tenant", unclaimed, entra, none, false, code},
		{"claimed", claimed, bound("trusted"), none, false, code},
		{"claimed, any tenant", claimed, entra, none, false, code},
		{"claimed, no sign-up", claimed, bound("trusted"), none, true, code},
		{"suspended", suspended, bound("trusted"), none, false, refused},
		{"unclaimed, an administrator, trusted", ranking, bound("trusted"), none, false, enters},
		{"unclaimed, an administrator, an organization's", ranking, ofOrganization, none, false, code},
		{"an organization's, nobody", "", ofOrganization, none, false, enters},
		{"an organization's, unclaimed", unclaimed, ofOrganization, none, false, enters},
		{"an organization's, claimed", claimed, ofOrganization, none, false, code},
		{"an organization's, outside", unclaimed, ofOrganization, outside, false, refused},
		{"an organization's, not verified there", unclaimed, ofOrganization, unverified, false, refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			key := fmt.Sprint("p", i)
			domain, email := key+".example", "ada@"+key+".example"
			b.Ask(t, `mutation($c: String!, $d: [String!]) { createOrganization(input: {code: $c, name: $c, autoJoinDomains: $d}) { organization { id } } }`, object{"c": key, "d": []string{domain}})
			about := test.provider(domain)
			about["displayName"] = "Provider " + key
			p := newProvider(t, b, key, about)
			p.Person["email"], p.Person["tid"], p.Person["oid"] = email, "72f988bf-86f1-41af-91ab-2d7cd011db47", "object"
			for name, value := range test.person {
				p.Person[name] = value
			}
			if email, _ = p.Person["email"].(string); email == outside["email"] {
				email = key + email
				p.Person["email"] = email
			}
			if test.account != "" {
				b.Ask(t, `mutation($e: String!) { createUser(input: {email: $e}) { user { id } } }`, object{"e": email})
			}
			switch test.account {
			case claimed:
				b.Execute(t, "update users set sign_in_count = 1, last_signed_in_at = now(), email_verified = true where email = ?", email)
			case ranking:
				b.Ask(t, `mutation($e: String!) { grantRoles(input: {organization: {code: "default"}, users: [{email: $e}], roles: [{key: "roster-organization-administrator"}], startsAt: "2079-01-01T00:00:00Z"}) { memberships { id } } }`, object{"e": email})
			case suspended:
				b.Ask(t, `mutation($e: String!) { suspendUser(input: {user: {email: $e}}) { user { id } } }`, object{"e": email})
			}
			b.Ask(t, fmt.Sprintf(`mutation { updateSettings(input: {allowSelfSignUp: %t}) { settings { allowSelfSignUp } } }`, !test.closed))
			v := newVisitor(t, base)
			a := v.by(key)
			linked := func() int {
				return graphtest.Rows[int](t, b, "select count(*) from identities i join users u on u.id = i.user_id where u.email = $1", email)[0]
			}
			if test.want == code || test.want == codeFirst {
				a.want(t, 200, "/signin/continue", "one-time-code")
				if n := linked(); n != 0 {
					t.Errorf("%d identities are linked without a proof", n)
				}
				a = v.post("/signin/continue", "code", linkCode(t, b, email, 1, "Provider "+key))
			}
			if test.want == refused || test.want == codeFirst {
				if a.status != 403 || linked() != 0 {
					t.Errorf("answers %d with %d identities: %s", a.status, linked(), a.body)
				}
				v.get("/signin/account").want(t, 200, "/signin")
				return
			}
			if a.path == "/signin/continue" { // the person belongs to several organizations
				a = v.post("/signin/continue", "organization", a.value(t, key))
			}
			a.want(t, 200, "/signin/account", "Ada Lovelace", email)
			u := b.Ask(t, `query($e: String!) { user(by: {email: $e}) { name emailVerified identities { provider email } signIns { nodes { method } } } }`, object{"e": email})
			if u.At("user.emailVerified") != true || len(u.List("user.identities")) != 1 || u.Text("user.identities.0.provider") != key || u.Text("user.identities.0.email") != email ||
				!strings.HasPrefix(u.Text("user.signIns.nodes.0.method"), key) {
				t.Errorf("the user is %s", u.Body)
			}
			if _, own := test.provider(domain)["organization"]; own {
				v.get("/signin/account").want(t, 200, "/signin/account", key)
			}
			v.post("/signin/account/signout")
			if a := v.by(key); a.path == "/signin/continue" { // whoever is known proves nothing
				a.want(t, 200, "/signin/continue", "Choose an organization")
			} else {
				a.want(t, 200, "/signin/account", email)
			}
			name := u.Text("user.name")
			b.Ask(t, `mutation($e: String!) { suspendUser(input: {user: {email: $e}}) { user { id } } }`, object{"e": email})
			p.Person["given_name"] = "Eve"
			if a := newVisitor(t, base).by(key); a.status != 403 || !strings.Contains(a.body, "suspended") {
				t.Errorf("a suspended user gets %d: %s", a.status, a.body)
			}
			if now := b.Ask(t, `query($e: String!) { user(by: {email: $e}) { name } }`, object{"e": email}).Text("user.name"); now != name {
				t.Errorf("a refused sign-in has made the name %s", now)
			}
		})
	}
}

// What a browser brings back counts once, in the browser that was sent, for the provider that
// it was sent to.
func TestAnswersAreBound(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	base := serve(t, b)
	newProvider(t, b, "one", object{"domains": []string{"example.com"}})
	newProvider(t, b, "two", object{"domains": []string{"example.com"}})
	begin := func() (*visitor, string) {
		v := newVisitor(t, base)
		back := v.visit(v.get("/signin/one?return_to=" + url.QueryEscape("/signin/account/profile")).location)
		return v, back
	}
	changed := func(back, name, value string) string {
		path, query, _ := strings.Cut(back, "?")
		values, err := url.ParseQuery(query)
		graphtest.Must(t, err)
		values.Set(name, value)
		return path + "?" + values.Encode()
	}
	const expired = "This took too long"
	t.Run("another browser", func(t *testing.T) {
		_, back := begin()
		newVisitor(t, base).get(back).want(t, 410, "/signin/one/callback", expired)
	})
	t.Run("the browser of another flow", func(t *testing.T) {
		_, back := begin()
		other, _ := begin()
		other.get(back).want(t, 410, "/signin/one/callback", expired)
	})
	t.Run("again", func(t *testing.T) {
		v, back := begin()
		cookies := v.client.Jar.Cookies(parse(t, base))
		v.get(back).want(t, 200, "/signin/account/profile")
		v.client.Jar.SetCookies(parse(t, base), cookies)
		v.get(back).want(t, 410, "/signin/one/callback", expired)
	})
	t.Run("another provider", func(t *testing.T) {
		v, back := begin()
		v.get(strings.Replace(back, "/one/", "/two/", 1)).want(t, 410, "/signin/two/callback", expired)
	})
	t.Run("another state", func(t *testing.T) {
		v, back := begin()
		v.get(changed(back, "state", "x")).want(t, 410, "/signin/one/callback", expired)
	})
	t.Run("another issuer", func(t *testing.T) {
		v, back := begin()
		v.get(changed(back, "iss", "https://accounts.google.com")).want(t, 401, "/signin/one/callback", "has not signed you in")
	})
	t.Run("another code", func(t *testing.T) {
		v, back := begin()
		v.get(changed(back, "code", "x")).want(t, 401, "/signin/one/callback", "has not signed you in", `href="/signin?return_to=`)
	})
	t.Run("cancelled", func(t *testing.T) {
		v, back := begin()
		v.get(changed(changed(back, "code", ""), "error", "access_denied")).want(t, 401, "/signin/one/callback", "You have cancelled")
	})
	t.Run("another error", func(t *testing.T) {
		v, back := begin()
		v.get(changed(back, "error", "<script>")).want(t, 401, "/signin/one/callback", "has not signed you in")
	})
	t.Run("too late", func(t *testing.T) {
		late := graphtest.New(t)
		newProvider(t, late, "one", nil)
		v := newVisitor(t, serve(t, late))
		back := v.visit(v.get("/signin/one").location)
		late.Clock.Advance(11 * time.Minute)
		v.get(back).want(t, 410, "/signin/one/callback", expired)
	})
	for _, odd := range []string{"https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"} {
		t.Run("return to "+odd, func(t *testing.T) {
			v := newVisitor(t, base)
			v.get(v.visit(v.get("/signin/one?return_to="+url.QueryEscape(odd)).location)).want(t, 200, "/signin/account")
		})
	}
	t.Run("unknown, switched off", func(t *testing.T) {
		v := newVisitor(t, base)
		v.get("/signin/three").want(t, 404, "/signin/three")
		back := v.visit(v.get("/signin/two").location)
		id := b.Ask(t, "{ identityProviders { id key } }").Text("identityProviders.1.id")
		b.Ask(t, `mutation($p: ID!) { updateIdentityProvider(input: {provider: $p, enabled: false}) { provider { enabled } } }`, object{"p": id})
		v.get(back).want(t, 410, "/signin/two/callback", expired)
		v.get("/signin/two").want(t, 404, "/signin/two")
	})
	t.Run("does not answer", func(t *testing.T) {
		p := newProvider(t, b, "away", nil)
		p.Serve = func(w http.ResponseWriter, _ *http.Request) bool {
			if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = c.Close() // it is cut
			}
			return true
		}
		newVisitor(t, base).get("/signin/away").want(t, 503, "/signin/away", "does not answer")
	})
}

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	graphtest.Must(t, err)
	return u
}

// signedInVisitor returns a browser in which Ada is signed in by a password.
func signedInVisitor(t *testing.T, b *graphtest.Server, base string) *visitor {
	t.Helper()
	b.SignedIn(t, ada, "acme")
	v := newVisitor(t, base)
	a := v.post("/signin", "account", ada, "password", password).want(t, 200, "/signin/continue")
	v.post("/signin/continue", "organization", a.value(t, "Acme")).want(t, 200, "/signin/account")
	return v
}

// Somebody who is signed in links a provider, signs in by it, and unlinks it, but never the
// last way in.
func TestLinking(t *testing.T) {
	t.Parallel()
	b, base := business(t)
	p := newProvider(t, b, "okta", object{"displayName": "Okta"})
	p.Person["email"] = "another@address.example"
	newVisitor(t, base).get("/signin/okta/link").want(t, 200, "/signin", "Sign in")
	v := signedInVisitor(t, b, base)
	v.get("/signin/account").want(t, 200, "/signin/account", `href="/signin/okta/link"`, "Link Okta")
	v.get("/signin/okta/link").want(t, 200, "/signin/okta/link", "Continue to Okta")
	v.do(http.MethodPost, "/signin/okta/link", nil, "Sec-Fetch-Site", "cross-site").want(t, 403, "/signin/okta/link")
	link := func(v *visitor) *answer {
		t.Helper()
		a := v.post("/signin/okta/link").want(t, 200, "/signin/okta/link", "One moment")
		_, there, _ := strings.Cut(a.header.Get("Refresh"), "url=")
		return v.get(v.visit(there))
	}
	link(v).want(t, 200, "/signin/account", "from now on", "Okta", "another@address.example")
	if m := b.Mail.Last(t, ada, 1); !strings.Contains(m.Text, "Okta") {
		t.Errorf("the owner is told %q", m.Text)
	}
	if email := b.Ask(t, `{ user(by: {email: "ada@example.com"}) { email } }`).Text("user.email"); email != ada {
		t.Errorf("linking has changed the address to %s", email)
	}

	other := newVisitor(t, base)
	other.post("/signin/signup", "email", "eve@example.com", "password", password)
	other.post("/signin/continue", "code", b.Mail.Last(t, "eve@example.com", 1).Code).want(t, 200, "/signin/account")
	link(other).want(t, 409, "/signin/okta/callback", "belongs to another account", `href="/signin/account"`)
	t.Run("begun by another person", func(t *testing.T) {
		a := other.post("/signin/okta/link")
		_, there, _ := strings.Cut(a.header.Get("Refresh"), "url=")
		back := other.visit(there)
		flow := other.client.Jar.Cookies(parse(t, base))
		for _, c := range flow {
			if c.Name == "roster-flow" {
				v.client.Jar.SetCookies(parse(t, base), []*http.Cookie{c})
			}
		}
		v.get(back).want(t, 410, "/signin/okta/callback")
	})

	fresh := newVisitor(t, base)
	a := fresh.by("okta").want(t, 200, "/signin/continue", "Choose an organization")
	fresh.post("/signin/continue", "organization", a.value(t, "Acme")).want(t, 200, "/signin/account")
	b.Ask(t, `mutation { updateSettings(input: {allowCodeSignIn: false}) { settings { allowCodeSignIn } } }`)
	account := v.get("/signin/account")
	v.post("/signin/account/unlink", "identity", account.value(t, `Remove<span class="unseen"> Password`)).want(t, 200, "/signin/account", "no longer sign in")
	last := v.get("/signin/account").value(t, `Remove<span class="unseen"> Okta`)
	v.post("/signin/account/unlink", "identity", last).want(t, 422, "/signin/account/unlink", "It is the last way in.")
	b.Ask(t, `mutation { updateSettings(input: {allowCodeSignIn: true}) { settings { allowCodeSignIn } } }`)
	v.post("/signin/account/unlink", "identity", last).want(t, 200, "/signin/account", "no longer sign in")
}

// Names and picture follow the provider, the address only if its word counts and nobody else
// has it; what administrators have set stays.
func TestProfilesFollow(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	base := serve(t, b)
	p := newProvider(t, b, "idp", object{"domains": []string{"d.example"}, "trusted": true})
	p.Person["email"] = ownEmail
	b.Ask(t, `mutation { me: createUser(input: {email: "me@d.example", username: "me", externalId: "E-1", givenName: "Old"}) { user { id } } other: createUser(input: {email: "other@d.example"}) { user { id } } }`)
	id := b.Ask(t, `{ user(by: {username: "me"}) { id } }`).Text("user.id")
	provider := b.Ask(t, "{ identityProviders { id } }").Text("identityProviders.0.id")
	for _, step := range []struct {
		name, setting string
		person        map[string]any
		want          string // name, address, picture
	}{
		{"at the first sign-in", "", nil, "Ada Lovelace, me@d.example, https://example.com/ada.png"},
		{"switched off", "syncProfiles: false", map[string]any{"given_name": "Eve"}, "Ada Lovelace, me@d.example, https://example.com/ada.png"},
		{"names and picture", "syncProfiles: null", map[string]any{"given_name": "Grace", "family_name": "Hopper", "picture": "https://example.com/grace.png"}, "Grace Hopper, me@d.example, https://example.com/grace.png"},
		{"what cannot be", "", map[string]any{"given_name": "Gra\x00ce", "family_name": strings.Repeat("x", 300), "picture": "javascript:alert(1)"}, "Grace Hopper, me@d.example, https://example.com/grace.png"},
		{"nothing said", "", map[string]any{"given_name": "", "family_name": "", "name": "", "picture": ""}, "Grace Hopper, me@d.example, https://example.com/grace.png"},
		{"one name for all", "", map[string]any{"name": "Rear Admiral Hopper"}, "Rear Admiral Hopper, me@d.example, https://example.com/grace.png"},
		{"another domain", "", map[string]any{"email": "me@elsewhere.example"}, "Rear Admiral Hopper, me@d.example, https://example.com/grace.png"},
		{"not verified there", "", map[string]any{"email": "new@d.example", "email_verified": false}, "Rear Admiral Hopper, me@d.example, https://example.com/grace.png"},
		{"the address", "", map[string]any{"email": "new@d.example", "email_verified": true}, "Rear Admiral Hopper, new@d.example, https://example.com/grace.png"},
		{"the address of another user", "", map[string]any{"email": "other@d.example", "name": "Grace"}, "Grace, new@d.example, https://example.com/grace.png"},
	} {
		t.Run(step.name, func(t *testing.T) {
			for name, value := range step.person {
				p.Person[name] = value
			}
			if step.setting != "" {
				b.Ask(t, `mutation { updateIdentityProvider(input: {provider: "`+provider+`", `+step.setting+`}) { provider { id } } }`)
			}
			newVisitor(t, base).by("idp").want(t, 200, "/signin/account")
			a := b.Ask(t, `query($id: ID!) { user(by: {id: $id}) { name email pictureUrl username externalId emailVerified } }`, object{"id": id})
			if got := a.Text("user.name") + ", " + a.Text("user.email") + ", " + a.Text("user.pictureUrl"); got != step.want {
				t.Errorf("got %s, want %s", got, step.want)
			}
			if a.Text("user.username") != "me" || a.Text("user.externalId") != "E-1" {
				t.Errorf("what was locked is changed: %s", a.Body)
			}
		})
	}
	if m := b.Mail.Last(t, ownEmail, 1); !strings.Contains(m.Text, "new@d.example") {
		t.Errorf("the old address is told %q", m.Text)
	}
	said := b.Ask(t, `query($id: ID!) { changes(last: 100, filter: {subject: $id, action: "user.updated"}) { nodes { after } } }`, object{"id": id})
	all := said.List("changes.nodes")
	if last := all[len(all)-1]; graphtest.At(last, "after.emailTaken") != true || graphtest.At(last, "after.name") != "Grace" {
		t.Errorf("the change says %v", last)
	}
	n := len(all)
	newVisitor(t, base).by("idp").want(t, 200, "/signin/account")
	if again := b.Ask(t, `query($id: ID!) { changes(last: 100, filter: {subject: $id, action: "user.updated"}) { nodes { after } } }`, object{"id": id}); len(again.List("changes.nodes")) != n {
		t.Errorf("the same is recorded again: %s", again.Body)
	}
	t.Run("deleted with its provider", func(t *testing.T) {
		b.Ask(t, `mutation($p: ID!) { deleteIdentityProvider(input: {provider: $p}) { deletedIds } }`, object{"p": provider})
		newVisitor(t, base).get("/signin/idp").want(t, 404, "/signin/idp")
		a := b.Ask(t, `query($id: ID!) { user(by: {id: $id}) { identities { provider } } }`, object{"id": id})
		if a.Text("user.identities.0.provider") != p.URL {
			t.Errorf("%s", a.Body)
		}
		b.Ask(t, `mutation($input: CreateIdentityProviderInput!) { createIdentityProvider(input: $input) { provider { id } } }`, object{"input": object{
			"key": "again", "kind": "OIDC", "issuer": p.URL, "clientId": providertest.ClientID, "clientSecret": providertest.ClientSecret}})
		newVisitor(t, base).by("again").want(t, 200, "/signin/account", "Grace")
	})
}

// Whoever proves an address that nobody has proven takes away the ways in that others may
// have prepared: passwords, identities and sessions.
func TestPreparedAccounts(t *testing.T) {
	t.Parallel()
	b, base := business(t)
	newProvider(t, b, "honest", nil)
	evil := newProvider(t, b, "evil", nil)
	evil.Person["email"], evil.Person["sub"] = "eve@example.com", "eve"
	v := signedInVisitor(t, b, base) // who has never proven that the address is theirs
	a := v.post("/signin/evil/link")
	_, there, _ := strings.Cut(a.header.Get("Refresh"), "url=")
	v.get(v.visit(there)).want(t, 200, "/signin/account", "from now on")

	owner := newVisitor(t, base)
	owner.by("honest").want(t, 200, "/signin/continue", "one-time-code")
	code := b.Mail.Code(t, ada, 1)
	chooser := owner.post("/signin/continue", "code", code).want(t, 200, "/signin/continue", "Choose an organization")
	owner.post("/signin/continue", "organization", chooser.value(t, "Acme")).want(t, 200, "/signin/account", "Ada Lovelace")
	v.get("/signin/account").want(t, 200, "/signin")
	newVisitor(t, base).post("/signin", "account", ada, "password", password).want(t, 401, "/signin")
	newVisitor(t, base).by("evil").want(t, 200, "/signin/continue", "one-time-code")
	if got := b.Ask(t, `{ user(by: {email: "ada@example.com"}) { identities { provider } } }`).Texts("user.identities", "provider"); len(got) != 1 || got[0] != "honest" {
		t.Errorf("the ways in are %v", got)
	}
}

// People of a domain are led to its provider, and nobody learns of it by other addresses.
func TestProvidersOfDomains(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	base := serve(t, b)
	v := newVisitor(t, base)
	if a := v.get("/signin"); strings.Contains(a.body, "organization's") {
		t.Error("there is a button for nothing")
	}
	newProvider(t, b, "everybody", object{"displayName": "Everybody"})
	newProvider(t, b, "acme", object{"displayName": "Acme", "domains": []string{"acme.example"}})
	v.get("/signin?return_to=%2Fx").want(t, 200, "/signin", `href="/signin/everybody?return_to=%2Fx"`, "Continue with Everybody", "Use your organization's sign-in")
	if a := v.get("/signin"); strings.Contains(a.body, "Acme") {
		t.Error("everybody sees who has a provider")
	}
	a := v.post("/signin", "account", "ada@ACME.example", "by", "provider").want(t, 200, "/signin", "One moment")
	_, there, _ := strings.Cut(a.header.Get("Refresh"), "url=")
	if hint := parse(t, there).Query().Get("login_hint"); hint != "ada@ACME.example" {
		t.Errorf("the hint is %q", hint)
	}
	v.get(v.visit(there)).want(t, 200, "/signin/continue") // Ada's address is of another domain there
	for _, typed := range []string{"ada@sub.acme.example", "ada@other.example", "ada", ""} {
		v.post("/signin", "account", typed, "by", "provider").want(t, 422, "/signin", "no organization's sign-in")
	}
	for email, want := range map[string]string{"": "everybody", "ada@acme.example": "acme everybody", "ada@sub.acme.example": "everybody", "acme.example": "acme everybody"} {
		variables := object{"e": email}
		got := b.As(t, "", `query($e: String) { identityProviders(email: $e) { key } }`, variables).Texts("identityProviders", "key")
		if strings.Join(got, " ") != want {
			t.Errorf("%q gets %v, want %s", email, got, want)
		}
	}
}

// No provider has a key that is the word of a page.
func TestReservedKeys(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	for _, key := range []string{"signup", "continue", "forgotten", "reset", "account", "password", "code"} {
		a := b.As(t, b.Key, `mutation($k: String!) { createIdentityProvider(input: {key: $k, kind: GOOGLE, clientId: "x", clientSecret: "x"}) { provider { id } } }`, object{"k": key})
		if a.Codes() != "INVALID" || a.Field(0) != "input.key" {
			t.Errorf("%s: %s", key, a.Body)
		}
	}
}

// The secret key is replaced without a provider noticing; one whose secret is lost keeps no
// server from starting.
func TestSecretKeyIsReplaced(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	base := serve(t, b)
	with := func(keys ...string) {
		ring, err := secret.ParseKeyring(strings.Join(keys, ","))
		graphtest.Must(t, err)
		b.Directory.SetProviderRules(directory.ProviderRules{Keyring: ring, Development: true})
		graphtest.Must(t, b.Directory.ResealProviders(t.Context()))
	}
	older, newer := secret.NewKey().Reveal(), secret.NewKey().Reveal()
	with(older)
	newProvider(t, b, "it", object{"domains": []string{"example.com"}})
	with(newer, older)
	with(newer)
	newVisitor(t, base).by("it").want(t, 200, "/signin/account")
	with(older)
	newVisitor(t, base).get("/signin/it").want(t, 500, "/signin/it", "Something went wrong")
}

// Somebody who is invited accepts by a provider that names their address, while nobody may
// sign up: at once if its word on the address counts, else after a code.
func TestInvitedByProvider(t *testing.T) {
	t.Parallel()
	b, base := business(t)
	b.Ask(t, `mutation { updateSettings(input: {allowSelfSignUp: false}) { settings { allowSelfSignUp } } createUser(input: {email: "known@bound.example", organizations: [{code: "globex"}]}) { user { id } } }`)
	bound := newProvider(t, b, "bound", object{"domains": []string{"bound.example"}, "displayName": "Bound", "trusted": true})
	unbound := newProvider(t, b, "unbound", object{"displayName": "Unbound"})
	for i, test := range []struct {
		name, key, email string
		p                *providertest.Provider
		code             bool
	}{
		{"its word counts", "bound", "mary@bound.example", bound, false},
		{"for an account that nobody has claimed", "bound", "known@bound.example", bound, false},
		{"its word does not count", "unbound", "mary@elsewhere.example", unbound, true},
		{"once more, with a known identity", "bound", "mary@bound.example", bound, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.p.Person["email"], test.p.Person["sub"] = test.email, test.email
			if i == 3 {
				b.Ask(t, `mutation { addMembers(input: {organization: {code: "globex"}, users: [{email: "mary@bound.example"}]}) { memberships { id } } removeMembers(input: {organization: {code: "acme"}, users: [{email: "mary@bound.example"}]}) { deletedIds } }`)
			}
			path := invite(t, b, test.email, i%2 == 0)
			v := newVisitor(t, base)
			a := v.get(path).want(t, 200, "/signin/invitation", "Continue with "+map[string]string{"bound": "Bound", "unbound": "Unbound"}[test.key])
			start := html.UnescapeString(regexp.MustCompile(`href="(/signin/` + test.key + `\?[^"]*)"`).FindStringSubmatch(a.body)[1])
			before := len(b.Mail.To(test.email))
			a = v.get(v.visit(v.get(start).location))
			if test.code {
				a.want(t, 200, "/signin/continue")
				a = v.post("/signin/continue", "code", linkCode(t, b, test.email, before+1, "Unbound"))
			}
			a.want(t, 200, "/signin/account", "Acme")
			if got := b.Ask(t, `query($e: String!) { user(by: {email: $e}) { memberships { nodes { organization { code } } } } }`, object{"e": test.email}); !strings.Contains(string(got.Body), `"acme"`) {
				t.Errorf("%s", got.Body)
			}
			newVisitor(t, base).get(start).want(t, 410, "/signin/"+test.key, "This invitation is not valid")
		})
	}
	t.Run("another address", func(t *testing.T) {
		path := invite(t, b, "eve@bound.example", true)
		bound.Person["email"], bound.Person["sub"] = "mallory@bound.example", "mallory"
		v := newVisitor(t, base)
		v.get(v.visit(v.get("/signin/bound?invitation="+strings.TrimPrefix(path, "/signin/invitation?token=")).location)).want(t, 403, "/signin/bound/callback", "This invitation is for eve@bound.example")
		newVisitor(t, base).get(path).want(t, 200, "/signin/invitation")
		if n := graphtest.Rows[int](t, b, "select count(*)::int from users where email = 'mallory@bound.example'")[0]; n != 0 {
			t.Errorf("there is an account: %d", n)
		}
	})
}
