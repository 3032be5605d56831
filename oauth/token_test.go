package oauth_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"roster/graph/graphtest"
)

// codeFor returns a code of Ada's for the application.
func (w *world) codeFor(a app) string {
	w.t.Helper()
	b := w.browser()
	return b.code(b.signIn(b.get(w.wish(a))))
}

// A code is good for the application, the address and the verifier that it was made for,
// once, and for a minute. Shown again, it ends what it was exchanged for.
func TestCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, web, other := w.create("SPA", nil), w.create("WEB", nil), w.create("SPA", nil)
	code := w.codeFor(a)
	token := func(form ...string) *answer {
		all := map[string]string{"grant_type": "authorization_code", "code": code, "redirect_uri": callback, "code_verifier": verifier, "client_id": a.id}
		for i := 0; i < len(form); i += 2 {
			all[form[i]] = form[i+1]
		}
		var flat []string
		for name, value := range all {
			if value != "" {
				flat = append(flat, name, value)
			}
		}
		return w.post("/oauth/token", "", flat...)
	}
	for name, c := range map[string]struct {
		form []string
		code string
	}{
		"another code":           {[]string{"code", swapped(code)}, "invalid_grant"},
		"no code":                {[]string{"code", ""}, "invalid_grant"},
		"another address":        {[]string{"redirect_uri", "https://app.example/callback"}, "invalid_grant"},
		"no address":             {[]string{"redirect_uri", ""}, "invalid_grant"},
		"no verifier":            {[]string{"code_verifier", ""}, "invalid_grant"},
		"another verifier":       {[]string{"code_verifier", verifier + "x"}, "invalid_grant"},
		"the challenge":          {[]string{"code_verifier", challengeOf(verifier)}, "invalid_grant"},
		"another application":    {[]string{"client_id", other.id}, "invalid_grant"},
		"one that has a secret":  {[]string{"client_id", web.id}, "invalid_client"},
		"with another's secret":  {[]string{"client_id", web.id, "client_secret", web.secret}, "invalid_grant"},
		"a secret where is none": {[]string{"client_secret", web.secret}, "invalid_client"},
		"no application":         {[]string{"client_id", ""}, "invalid_client"},
		"another backend":        {[]string{"resource", "https://evil.example"}, "invalid_target"},
		"another kind of grant":  {[]string{"grant_type", "password"}, "unsupported_grant_type"},
		"what machines get":      {[]string{"grant_type", "client_credentials"}, "unauthorized_client"},
		"as a refresh token":     {[]string{"grant_type", "refresh_token", "refresh_token", code}, "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) { token(c.form...).want(t, c.code) })
	}
	first := token().want(t, "")
	if first.text("token_type") != "Bearer" || first.body["expires_in"] != 600.0 || first.text("scope") != "openid profile email offline_access" {
		t.Errorf("%v", first.body)
	}
	w.userInfo(first.text("access_token")).want(t, "")
	token().want(t, "invalid_grant")
	w.userInfo(first.text("access_token")).want(t, "invalid_token")
	w.refresh(a, first.text("refresh_token")).want(t, "invalid_grant")

	code = w.codeFor(a)
	w.Clock.Advance(61 * time.Second)
	token().want(t, "invalid_grant")

	b := w.browser()
	code = b.code(b.signIn(b.get(w.wish(a))))
	b.do(http.MethodPost, "/signin/account/signout", nil)
	token().want(t, "invalid_grant")

	// Of 50 that show it at once, one gets tokens at most, and they do not last.
	code = w.codeFor(a)
	var racers sync.WaitGroup
	answers := make([]*answer, 50)
	for i := range answers {
		racers.Go(func() { answers[i] = token() })
	}
	racers.Wait()
	var winners []*answer
	for _, one := range answers {
		if one.status == http.StatusOK {
			winners = append(winners, one)
		} else if one.text("error") != "invalid_grant" {
			t.Errorf("%d %v", one.status, one.body)
		}
	}
	if len(winners) > 1 {
		t.Fatalf("%d of 50 got tokens", len(winners))
	}
	for _, one := range winners {
		w.userInfo(one.text("access_token")).want(t, "invalid_token")
	}
}

// A refresh token is good once. Whoever shows it again within ten seconds gets the same
// successor; later, it was stolen, and the family ends.
func TestRefreshTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Clock.Stop()
	a, other, web := w.create("SPA", nil), w.create("SPA", nil), w.create("WEB", nil)
	first := w.tokens(a)
	r1 := first.text("refresh_token")
	w.refresh(other, r1).want(t, "invalid_grant")
	w.refresh(web, r1).want(t, "invalid_grant")
	w.refresh(a, r1, "resource", "https://evil.example").want(t, "invalid_target")

	var racers sync.WaitGroup
	answers := make([]*answer, 50)
	for i := range answers {
		racers.Go(func() { answers[i] = w.refresh(a, r1) })
	}
	racers.Wait()
	r2 := answers[0].want(t, "").text("refresh_token")
	for _, one := range answers {
		if one.want(t, "").text("refresh_token") != r2 || r2 == r1 {
			t.Errorf("another successor: %v", one.body)
		}
	}
	said := claims(t, w.refresh(a, r1, "resource", w.Issuer).want(t, "").text("access_token"))
	if texts(said["aud"])[0] != w.Issuer {
		t.Errorf("for %v", said["aud"])
	}
	w.Clock.Advance(10 * time.Second)
	w.refresh(a, r1).want(t, "")
	r3 := w.refresh(a, r2).want(t, "").text("refresh_token")
	w.refresh(a, r2).want(t, "")
	w.userInfo(first.text("access_token")).want(t, "")
	w.refresh(a, r1).want(t, "invalid_grant") // its successor was used: it is stolen
	for name, token := range map[string]string{"the last one": r3, "the one before": r2} {
		t.Run(name, func(t *testing.T) { w.with(t).refresh(a, token).want(t, "invalid_grant") })
	}
	w.userInfo(first.text("access_token")).want(t, "invalid_token")

	r1 = w.tokens(a).text("refresh_token")
	w.refresh(a, r1).want(t, "")
	w.Clock.Advance(11 * time.Second)
	w.refresh(a, r1).want(t, "invalid_grant")

	// Nobody ends a family with what was never one of its tokens, and no other token is good.
	tokens := w.tokens(a)
	good := tokens.text("refresh_token")
	for i := range good {
		for _, altered := range []string{good[:i] + string(good[i]^1) + good[i+1:], good[:i], good[:i] + "=" + good[i:]} {
			if got := w.refresh(a, altered); got.text("error") != "invalid_grant" {
				t.Fatalf("altered at %d: %v", i, got.body)
			}
		}
	}
	for name, token := range map[string]string{"an access token": tokens.text("access_token"), "an ID token": tokens.text("id_token"), "nothing": "", "in capitals": strings.ToUpper(good)} {
		t.Run(name, func(t *testing.T) { w.with(t).refresh(a, token).want(t, "invalid_grant") })
	}
	w.refresh(a, good).want(t, "")
	w.Execute(t, "update settings set session_idle_seconds = 3600")
	w.Clock.Advance(time.Hour + time.Minute)
	w.refresh(a, good).want(t, "invalid_grant")

	once := w.tokens(a, "scope", "openid")
	if once.text("refresh_token") != "" || claims(t, once.text("id_token"))["email"] != nil {
		t.Errorf("%v", once.body)
	}
	if info := w.userInfo(once.text("access_token")).want(t, ""); info.body["sub"] == "" || info.body["email"] != nil {
		t.Errorf("%v", info.body)
	}
	if without := w.tokens(a, "scope", ""); without.text("id_token") != "" {
		t.Errorf("%v", without.body)
	} else {
		w.userInfo(without.text("access_token")).want(t, "insufficient_scope")
	}
}

// familyEnds are ways to end what somebody has with an application, beside those to stop them:
// fields of mutations, in which $a stands for the application, $s for the session in it and $b
// for the one of the browser, in which the person ends them if asPerson.
var familyEnds = map[string]familyEnd{
	"application deleted":   {Stop: graphtest.Stop{Ends: `deleteApplication(input: {application: $a}) { deletedIds }`}},
	"password set":          {Stop: graphtest.Stop{Ends: `setTemporaryPassword(input: {user: {email: $e}, password: "another ` + password + `"}) { user { id } }`}},
	"session there ended":   {Stop: graphtest.Stop{Ends: `endSession(input: {session: $s}) { endedSessions }`}, alone: true},
	"session here ended":    {Stop: graphtest.Stop{Ends: `endSession(input: {session: $b}) { endedSessions }`}},
	"signed out":            {Stop: graphtest.Stop{Ends: `signOut { endedSessions }`}, asPerson: true},
	"signed out everywhere": {Stop: graphtest.Stop{Ends: `signOut(input: {everywhere: true}) { endedSessions }`}, asPerson: true},
}

type familyEnd struct {
	graphtest.Stop
	asPerson bool
	// alone is true if nothing else ends than the family.
	alone bool
}

// What people have with an application ends with what it stands on, and so does a MACHINE
// with whoever answers for it: on the server that ends it at once, on another one when it
// hears of it.
func TestFamiliesEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	far := w.Restarted(t)
	w.Ask(t, `mutation { createRole(input: {key: "maker", permissions: [{key: "roster:settings:write"}]}) { role { id } } }`)
	for name, s := range graphtest.Stops {
		w.end(t, far, name, familyEnd{Stop: s})
	}
	for name, end := range familyEnds {
		w.end(t, far, name, end)
	}
}

// end ends what somebody has with applications in that way, and looks for what still
// works.
func (w *world) end(t *testing.T, far *graphtest.Server, name string, end familyEnd) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		w := w.with(t)
		h := w.newHolder()
		for _, on := range []*graphtest.Server{w.Server, far} {
			graphtest.Eventually(t, 30*time.Second, "all works at first", func() bool { return h.signedIn(on) && h.acts(on) })
		}
		s := end.Of(h.email, h.org)
		key := w.Key
		if end.asPerson {
			key = h.session()
		}
		here := w.As(t, h.session(), `{ viewer { session { id } } }`, nil).Text("viewer.session.id")
		ids := strings.NewReplacer("$a", graphtest.Quote(h.app.id), "$s", graphtest.Quote(fmt.Sprint(claims(t, h.access)["sid"])), "$b", graphtest.Quote(here))
		if did := w.As(t, key, ids.Replace(s.Ends), nil); len(did.Errors) > 0 {
			t.Fatalf("%s", did.Body)
		}
		h.isOver(far, end.alone, name == "application deleted")
		if s.Everywhere || s.Everybody {
			h.machineStops(far)
		} else if !h.acts(w.Server) {
			t.Error("the MACHINE ends with what it does not stand on")
		}
		if s.Restores == "" {
			return
		}
		w.Ask(t, s.Restores)
		w.refresh(h.app, h.refreshToken).want(t, "")
		w.userInfo(h.access).want(t, "")
		h.askAsMachine().want(t, "")
		for _, on := range []*graphtest.Server{w.Server, far} {
			graphtest.Eventually(t, 30*time.Second, "all works again", func() bool { return h.signedIn(on) && h.acts(on) })
		}
	})
}

// holder is somebody with all that can be had with applications in an organization: the
// tokens of a WEB one, a code that it has not exchanged, and a MACHINE that they have made,
// with a token.
type holder struct {
	*world
	email, org                                      string
	browser                                         *browser
	app, machine                                    app
	access, refreshToken, unexchanged, machineToken string
}

// newHolder makes a holder, and their organization.
func (w *world) newHolder() *holder {
	w.t.Helper()
	n := graphtest.Rows[int](w.t, w.Server, "select count(*) from organizations")[0]
	h := &holder{world: w, email: fmt.Sprintf("p%d@example.com", n), org: fmt.Sprintf("org%d", n), browser: w.browser(), app: w.create("WEB", nil)}
	w.Ask(w.t, `mutation($e: String!, $o: String!) {
		o: createOrganization(input: {code: $o, name: $o}) { organization { id } }
		u: createUser(input: {email: $e, organizations: [{code: $o}, {code: "default"}]}) { user { id } }
		c: grantRoles(input: {organization: {code: $o}, users: [{email: $e}], roles: [{key: "clerk"}]}) { memberships { id } }
		m: addMembers(input: {organization: {code: "roster"}, users: [{email: $e}], roles: [{key: "maker"}]}) { memberships { id } }
	}`, object{"e": h.email, "o": h.org})
	session := w.SignedIn(w.t, h.email, h.org) // sets the password
	made := w.As(w.t, session, `mutation($o: String!, $a: String!) { createApplication(input: {name: "of a holder", kind: MACHINE, organization: {code: $o}, audiences: [$a], permissions: [{key: "invoices:read"}]}) { clientSecret application { id } } }`, object{"o": h.org, "a": w.Issuer})
	if len(made.Errors) > 0 {
		w.t.Fatalf("%s", made.Body)
	}
	h.machine = app{id: made.Text("createApplication.application.id"), secret: made.Text("createApplication.clientSecret")}
	h.machineToken = h.askAsMachine().want(w.t, "").text("access_token")
	entered := h.browser.submit(h.browser.get(w.wish(h.app, "organization", h.org)), url.Values{"account": {h.email}, "password": {password}})
	tokens := w.exchange(h.app, h.browser.code(entered), "resource", w.Issuer).want(w.t, "")
	h.access, h.refreshToken = tokens.text("access_token"), tokens.text("refresh_token")
	h.unexchanged = h.browser.code(h.browser.get(w.wish(h.app, "organization", h.org)))
	return h
}

// session returns the session of the browser.
func (h *holder) session() string {
	for _, cookie := range h.browser.client.Jar.Cookies(mustParse(h.t, h.Issuer)) {
		if cookie.Name == "roster" {
			return cookie.Value
		}
	}
	return ""
}

// askAsMachine asks for a token of the MACHINE.
func (h *holder) askAsMachine() *answer {
	h.t.Helper()
	return h.post("/oauth/token", basic(h.machine), "grant_type", "client_credentials", "resource", h.Issuer)
}

// signedIn reports whether the access token of the person is a credential of the server.
func (h *holder) signedIn(on *graphtest.Server) bool {
	h.t.Helper()
	return on.As(h.t, h.access, `{ viewer { user { id } } }`, nil).Text("viewer.user.id") != ""
}

// acts reports whether the server lets the MACHINE read invoices.
func (h *holder) acts(on *graphtest.Server) bool {
	h.t.Helper()
	return on.As(h.t, h.machineToken, `{ viewer { can(permission: "invoices:read") } }`, nil).At("viewer.can") == true
}

// isOver fails the test if anything works that the person has with the WEB application. It may
// be deleted. If the family has ended alone, what the browser has begun since goes on.
func (h *holder) isOver(far *graphtest.Server, alone, deleted bool) {
	h.t.Helper()
	if h.signedIn(h.Server) {
		h.t.Error("the access token works")
	}
	h.userInfo(h.access).want(h.t, "invalid_token")
	refused := "invalid_grant"
	if deleted {
		refused = "invalid_client"
	}
	h.refresh(h.app, h.refreshToken).want(h.t, refused)
	if alone {
		refused = ""
	}
	h.exchange(h.app, h.unexchanged).want(h.t, refused)
	if !deleted {
		if got := h.post("/oauth/introspect", basic(h.app), "token", h.access).want(h.t, ""); got.body["active"] != false {
			h.t.Errorf("%v", got.body)
		}
	}
	graphtest.Eventually(h.t, 30*time.Second, "the token is refused elsewhere", func() bool { return !h.signedIn(far) })
}

// machineStops fails the test if the secret of the MACHINE works, or its token.
func (h *holder) machineStops(far *graphtest.Server) {
	h.t.Helper()
	if h.acts(h.Server) {
		h.t.Error("the token of the MACHINE works")
	}
	if got := h.askAsMachine(); got.status == http.StatusOK {
		h.t.Errorf("the MACHINE gets %v", got.body)
	}
	graphtest.Eventually(h.t, 30*time.Second, "the MACHINE is refused elsewhere", func() bool { return !h.acts(far) })
}

// A token is asked about by its application, or by the backend that it is for; it is given
// back by its application.
func TestIntrospectionAndRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.create("WEB", nil)
	backend, stranger, spa := w.create("MACHINE", object{"audiences": []string{api}}), w.create("MACHINE", nil), w.create("SPA", nil)
	ask := func(who app, token string) bool {
		t.Helper()
		active, _ := w.post("/oauth/introspect", basic(who), "token", token).want(t, "").body["active"].(bool)
		return active
	}
	tokens := w.tokens(a)
	access, refresh := tokens.text("access_token"), tokens.text("refresh_token")
	for name, c := range map[string]struct {
		who   app
		token string
		want  bool
	}{
		"its own":               {a, access, true},
		"its refresh token":     {a, refresh, true},
		"an ID token":           {a, tokens.text("id_token"), false},
		"the backend's":         {backend, access, true},
		"a backend, to refresh": {backend, refresh, false},
		"a stranger's":          {stranger, access, false},
		"nonsense":              {a, "x", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ask(c.who, c.token); got != c.want {
				t.Errorf("active: %t", got)
			}
		})
	}
	if got := w.post("/oauth/introspect", basic(a), "token", access); got.text("org_code") != "acme" || got.text("client_id") != a.id || got.text("token_type") != "Bearer" || got.body["exp"] == nil {
		t.Errorf("%v", got.body)
	}
	w.post("/oauth/introspect", "", "token", access, "client_id", spa.id).want(t, "unauthorized_client")
	w.post("/oauth/introspect", "", "token", access).want(t, "invalid_client")
	w.post("/oauth/introspect", basic(app{id: a.id, secret: "ra_wrong"}), "token", access).want(t, "invalid_client")

	w.post("/oauth/revoke", basic(stranger), "token", refresh).want(t, "")
	w.post("/oauth/revoke", basic(a), "token", "x").want(t, "")
	w.userInfo(access).want(t, "")
	w.post("/oauth/revoke", basic(a), "token", refresh, "token_type_hint", "refresh_token").want(t, "")
	w.userInfo(access).want(t, "invalid_token")
	if ask(a, refresh) || ask(a, access) {
		t.Error("revoked, and active")
	}
	again := w.tokens(a)
	w.post("/oauth/revoke", basic(a), "token", again.text("access_token")).want(t, "")
	w.refresh(a, again.text("refresh_token")).want(t, "invalid_grant")
	machine := w.post("/oauth/token", basic(backend), "grant_type", "client_credentials").want(t, "").text("access_token")
	w.post("/oauth/revoke", basic(backend), "token", machine).want(t, "unsupported_token_type")
}

// A MACHINE acts for itself, where and as far as it may, as long as who answers for it.
func TestMachines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := func(a app) string {
		t.Helper()
		return w.post("/oauth/token", basic(a), "grant_type", "client_credentials", "resource", w.Issuer).want(t, "").text("access_token")
	}
	works := func(token string) bool {
		return w.As(t, token, `{ viewer { permissions } }`, nil).At("viewer.permissions") != nil
	}
	may := object{"permissions": graphtest.Refs("key", "roster:keys:write", "roster:users:read", "roster:users:write"), "audiences": []string{w.Issuer}}
	a := w.create("MACHINE", may)
	shown := token(a)
	if said := claims(t, shown); said["sub"] != a.id || said["client_id"] != a.id || said["org_code"] != nil || !slices.Contains(texts(said["permissions"]), "roster:users:write") {
		t.Errorf("%v", said)
	}
	// It is the actor of what it does, and answers for the keys that it makes.
	made := w.As(t, shown, `mutation { createUser(input: {email: "new@example.com"}) { user { id } } createApiKey(input: {name: "by a machine", permissions: [{key: "roster:users:read"}]}) { secret apiKey { createdBy { ... on Application { id } } responsible { __typename ... on Application { id name } } } } }`, nil)
	if made.Text("createApiKey.apiKey.createdBy.id") != a.id || made.Text("createApiKey.apiKey.responsible.id") != a.id {
		t.Fatalf("%s", made.Body)
	}
	log := w.Ask(t, `{ changes(filter: {action: "user.created", actor: "`+a.id+`"}) { nodes { actor { ... on Application { id name } } } } }`)
	if log.Text("changes.nodes.0.actor.name") != "App of tests" {
		t.Errorf("%s", log.Body)
	}
	if listed := w.Ask(t, `{ apiKeys(first: 100) { nodes { id name } } }`); strings.Contains(string(listed.Body), "Application") || strings.Contains(string(listed.Body), strings.TrimPrefix(a.id, "app_")) {
		t.Errorf("%s", listed.Body)
	}
	keyID := "key" + strings.TrimPrefix(a.id, "app")
	w.Refused(t, "NOT_FOUND", `mutation { revokeApiKey(input: {apiKey: "`+keyID+`"}) { apiKey { id } } }`)
	w.Refused(t, "NOT_FOUND", `mutation { adoptApiKey(input: {apiKey: "`+keyID+`"}) { apiKey { id } } }`)

	// A new secret; the old one works for a day.
	old := a
	a.secret = w.Ask(t, `mutation { rollApplicationSecret(input: {application: "`+a.id+`"}) { clientSecret } }`).Text("rollApplicationSecret.clientSecret")
	token(a)
	token(old)
	w.Clock.Advance(24*time.Hour + time.Second)
	token(a)
	w.post("/oauth/token", basic(old), "grant_type", "client_credentials").want(t, "invalid_client")
	shown = token(a)

	// What it may do changes at once.
	w.Ask(t, `mutation { updateApplication(input: {application: "`+a.id+`", permissions: [{key: "roster:users:read"}], organization: {code: "acme"}}) { application { id } } }`)
	if got := w.As(t, shown, `{ viewer { permissions organization { code } } }`, nil); len(got.List("viewer.permissions")) != 1 || got.Text("viewer.organization.code") != "acme" {
		t.Errorf("%s", got.Body)
	}
	w.Ask(t, `mutation { suspendOrganization(input: {organization: {code: "acme"}}) { organization { id } } }`)
	if works(shown) {
		t.Error("it works in a suspended organization")
	}
	w.post("/oauth/token", basic(a), "grant_type", "client_credentials").want(t, "invalid_grant")
	w.Ask(t, `mutation { restoreOrganization(input: {organization: {code: "acme"}}) { organization { id } } }`)
	if !works(shown) {
		t.Error("it does not work again")
	}
	key := made.Text("createApiKey.secret")
	if !works(key) {
		t.Error("the key that it made does not work")
	}
	w.Ask(t, `mutation { deleteApplication(input: {application: "`+a.id+`"}) { deletedIds } }`)
	if works(shown) || works(key) {
		t.Error("it works, or what it made")
	}
	w.post("/oauth/token", basic(a), "grant_type", "client_credentials").want(t, "invalid_client")

	// Whoever makes it can hand out no more than they hold, and answers for it.
	settings := w.Holding(t, "", "roster:settings:write", "roster:settings:read", "roster:users:read")
	create := `mutation($p: [PermissionRef!]) { createApplication(input: {name: "m", kind: MACHINE, audiences: ["` + w.Issuer + `"], permissions: $p}) { clientSecret application { id } } }`
	if got := w.As(t, settings, create, object{"p": graphtest.Refs("key", "roster:users:write")}); got.Codes() != "ESCALATION" {
		t.Errorf("%s", got.Body)
	}
	got := w.As(t, settings, create, object{"p": graphtest.Refs("key", "roster:users:read")})
	child := app{id: got.Text("createApplication.application.id"), secret: got.Text("createApplication.clientSecret")}
	strong := w.create("MACHINE", may)
	for _, mutation := range []string{`rollApplicationSecret(input: {application: "` + strong.id + `"}) { clientSecret }`, `updateApplication(input: {application: "` + strong.id + `", organization: {code: "acme"}}) { application { id } }`} {
		if got := w.As(t, settings, "mutation { "+mutation+" }", nil); got.Codes() != "ESCALATION" {
			t.Errorf("%s", got.Body)
		}
	}
	shown = token(child)
	w.Ask(t, `mutation($id: ID!) { revokeApiKey(input: {apiKey: $id}) { apiKey { id } } }`, object{"id": w.As(t, settings, `{ viewer { apiKey { id } } }`, nil).Text("viewer.apiKey.id")})
	if works(shown) {
		t.Error("it works without who answers for it")
	}
	w.post("/oauth/token", basic(child), "grant_type", "client_credentials").want(t, "invalid_client")
}

// Secrets, codes and tokens are in no table. Sign-ins through applications are events, and
// stand among the person's sessions.
func TestNothingReadableIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.create("WEB", nil)
	code := w.codeFor(a)
	tokens := w.exchange(a, code).want(t, "")
	again := w.refresh(a, tokens.text("refresh_token")).want(t, "")
	for name, canary := range map[string]string{
		"secret": a.secret[3:], "code": code[3:], "end of the code": code[len(code)-40:], "refresh token": tokens.text("refresh_token")[3:], "end of the refresh token": again.text("refresh_token")[len(code)-40:],
		"access token": tokens.text("access_token"), "ID token": tokens.text("id_token"), "verifier": verifier,
	} {
		t.Run(name, func(t *testing.T) {
			if where := w.Search(t, canary); len(where) > 0 {
				t.Errorf("it is in %v", where)
			}
		})
	}
	log := w.Ask(t, `{ user(by: {email: "ada@example.com"}) { signIns(first: 2) { nodes { method succeeded device organization { code } } } sessions { nodes { device methods } } } }`)
	if log.Text("user.signIns.nodes.0.device") != "App of tests, Go-http-client" || log.Text("user.signIns.nodes.0.organization.code") != "acme" || log.Text("user.sessions.nodes.0.device") != "App of tests, Go-http-client" {
		t.Errorf("%s", log.Body)
	}
	for _, credential := range []string{tokens.text("id_token"), tokens.text("access_token"), tokens.text("refresh_token"), code, a.secret} {
		if got := w.As(t, credential, `{ viewer { user { id } } }`, nil); got.Codes() != "UNAUTHENTICATED" {
			t.Errorf("a credential here: %s", got.Body)
		}
	}
}

// swapped returns the code with two neighbours of its random part exchanged that differ.
func swapped(code string) string {
	bytes := []byte(code)
	for i := len(bytes) - 10; ; i-- {
		if bytes[i] != bytes[i-1] {
			bytes[i], bytes[i-1] = bytes[i-1], bytes[i]
			return string(bytes)
		}
	}
}
