package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"roster/db"
	"roster/db/dbtest"
	"roster/graph"
	"roster/graph/transport"
	"roster/telemetry"
	"roster/transfer"
)

// canary is part of every secret in the test.
const canary = "c4n4ry"

// told holds everything that a server outputs, by the way that it took.
type told struct {
	mu  sync.Mutex
	all map[string]*bytes.Buffer
}

func (o *told) tell(where string, text []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all[where] == nil {
		o.all[where] = &bytes.Buffer{}
	}
	o.all[where].Write(append(text, '\n'))
}

// writer records what is written to it.
type writer struct {
	*told
	where string
}

func (w writer) Write(text []byte) (int, error) { w.tell(w.where, text); return len(text), nil }

// wantNone fails the test if the end of a secret is in the outputs, in any case or in
// hexadecimal.
func (o *told) wantNone(t *testing.T, secrets ...string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for where, text := range o.all {
		folded := bytes.ToLower(text.Bytes())
		for _, s := range secrets {
			s = s[max(0, len(s)-32):] // names may stand before
			for _, form := range []string{strings.ToLower(s), hex.EncodeToString([]byte(s))} {
				if at := bytes.Index(folded, []byte(form)); at >= 0 {
					t.Errorf("%s: …%s…", where, text.Bytes()[max(0, at-300):min(text.Len(), at+100)])
				}
			}
		}
	}
}

// canaries is a whole server in this process. Each of its secrets contains the canary. It
// logs at all levels and traces everything.
type canaries struct {
	told
	t *testing.T
	*server
	key, url string
	made     []string // API keys that were shown, without the part that may be, and other secrets
	codes    []string // that were mailed
	box      *postbox
}

func startCanaries(t *testing.T) *canaries {
	t.Helper()
	c := &canaries{told: told{all: map[string]*bytes.Buffer{}}, t: t, key: "rk_AAAAAAAAA" + canary + strings.Repeat("B", 32)}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		c.tell("traces", text)
	}))
	t.Cleanup(collector.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization="+canary)
	c.box = openPostbox(t)
	env := map[string]string{
		"ROSTER_ADDR": "localhost:0", "ROSTER_DATA_DIR": t.TempDir(), "DATABASE_URL": dbtest.DSN(t) + "&password=" + canary,
		"ROSTER_ADMIN_KEY": c.key, "ROSTER_DEV": "false", "ROSTER_MAIL_FROM": "accounts@example.com", "ROSTER_SMTP_URL": "smtp://" + c.box.address + "?starttls=never",
	}
	config, err := readConfig(nil, func(name string) string { return env[name] }, writer{&c.told, "stdout"})
	must(t, err)
	log := telemetry.NewLogger(writer{&c.told, "log"}, telemetry.LogJSON, slog.LevelDebug)
	c.server = &server{config: config, log: log, metrics: telemetry.NewMetrics(), out: writer{&c.told, "stdout"}}
	t.Cleanup(c.end)
	must(t, c.start(t.Context()))
	c.url = c.serving(c.http.Handler)
	return c
}

// serving serves the handler, and returns its address.
func (c *canaries) serving(h http.Handler) string {
	web := httptest.NewServer(h)
	c.t.Cleanup(web.Close)
	return web.URL
}

func (c *canaries) end() {
	must(c.t, c.close())
	c.closers = nil
}

// send sends a request with secrets wherever a request can have them, and returns the
// answer. more are further headers, each a name and a value.
func (c *canaries) send(ctx context.Context, method, address, authorization, body string, more ...string) string {
	c.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	must(c.t, err)
	for i := 0; i < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	for name, value := range map[string]string{
		"Cookie": "session=" + canary, "X-Api-Key": canary, "User-Agent": canary, "X-Request-Id": canary + "!", "Baggage": "k=" + canary, "Tracestate": "k=" + canary,
		"Referer": "http://localhost/" + canary, "Content-Type": "application/json", "Authorization": authorization,
	} {
		if r.Header.Get(name) == "" && value != "" {
			r.Header.Set(name, value)
		}
	}
	answer, err := http.DefaultTransport.RoundTrip(r) // follows no redirects
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	var text strings.Builder
	_ = answer.Header.Write(&text)
	_, _ = io.Copy(&text, answer.Body)
	return text.String()
}

// ask sends an operation as the administrator, and records the answer as an output.
func (c *canaries) ask(query string, variables any, more ...string) {
	c.t.Helper()
	body, err := json.Marshal(object{"query": query, "variables": variables})
	must(c.t, err)
	c.post(string(body), more...)
}

func (c *canaries) post(body string, more ...string) {
	c.t.Helper()
	c.tell("answers", []byte(c.send(c.t.Context(), "POST", c.url+"/graphql", "Bearer "+c.key, body, more...)))
}

// No output has a secret, whether requests succeed or fail. The values in a document are
// secrets; the names in it are not.
func TestCanaries(t *testing.T) { // not parallel: it sets environment variables
	c := startCanaries(t)
	c.succeed()
	c.letPeopleIn()
	c.takePeopleOut()
	c.comeWithWrongKeys()
	c.sendNonsense()
	c.failInTheDatabase()
	c.takeTooLong()
	c.panics()
	for _, path := range []string{"/metrics", "/readyz", "/healthz", "/nothing?code=" + canary, "/graphql?query=" + canary, "/?code=" + canary} {
		c.tell("answers", []byte(c.send(t.Context(), "GET", c.url+path, "", "")))
	}
	c.tell("printed", fmt.Appendf(nil, "%v %+v %#v %v", c.config, *c.config, *c.config, c.server))
	tables, err := db.Select[string](t.Context(), c.db, "select table_name::text from information_schema.tables where table_schema = 'public'")
	must(t, err)
	for _, table := range tables {
		text, err := db.SelectOne[string](t.Context(), c.db, "select coalesce(string_agg(t::text, e'\\n'), '') from "+table+" t")
		must(t, err)
		c.tell("table "+table, []byte(*text))
	}
	c.end()
	for where, texts := range map[string][]string{
		"log":     {"internal error", "panic", "request ended before its answer", `"msg":"request"`},
		"answers": {"UNAUTHENTICATED", "INVALID", "INTERNAL", "LIMITED", "CONFLICT", "NOT_FOUND", "roster_http_requests_total", `"active":true`, "invalid_grant", "invalid_client", "server_error"},
		"traces":  {"select", "insert"}, "table changes": {"user.created", "user.password.changed", "users.exported"}, "table exports": {"CSV"}, "table sign_ins": {"UNAUTHENTICATED"}, "table flows": {"SIGN_IN"}, "table kept_answers": {"x"}, "printed": {"localhost:0"},
	} {
		t.Run(where, func(t *testing.T) {
			for _, text := range texts {
				if c.all[where] == nil || !bytes.Contains(c.all[where].Bytes(), []byte(text)) {
					t.Errorf("%s does not have %q, so that nothing is shown", where, text)
				}
			}
		})
	}
	c.wantNone(t, append(c.made, canary)...)
	c.wantNoCodes(t, c.codes)
}

// succeed sends requests that succeed. Only the client that asks for a secret may see it.
func (c *canaries) succeed() {
	c.ask(`{ viewer { apiKey { name prefix } } users(filter: {search: "`+canary+`"}) { totalCount } }`, nil, "Idempotency-Key", canary)
	c.ask(`query($e: String!) { user(by: {email: $e}) { id } }`, object{"e": canary + "@example.com", canary: 1})
	c.ask(`mutation { createUser(input: {email: "ada@example.com"}) { user { id } } }`, nil, "Idempotency-Key", canary+"-1")
	const make = `{"query":"mutation { createApiKey(input: {name: \"k\", permissions: [{key: \"roster:users:read\"}]}) { secret } }"}`
	for _, key := range []string{canary + "-2", canary + "-2", canary + "-3"} {
		answer := c.send(c.t.Context(), "POST", c.url+"/graphql", "Bearer "+c.key, make, "Idempotency-Key", key)
		_, shown, _ := strings.Cut(answer, `"secret":"`)
		shown, _, _ = strings.Cut(shown, `"`)
		if !strings.HasPrefix(shown, "rk_") {
			c.t.Fatal(answer)
		}
		c.made = append(c.made, shown[10:])
		c.tell("answers", []byte(strings.ReplaceAll(answer, shown, "")))
		for _, query := range []string{"{ viewer { apiKey { id prefix } } }", "{ users { totalCount } changes { totalCount } }"} {
			c.tell("answers", []byte(c.send(c.t.Context(), "POST", c.url+"/graphql", "Bearer "+shown, `{"query":"`+query+`"}`)))
		}
	}
	c.post(make, "Idempotency-Key", canary+"-1") // CONFLICT
	c.post(make, "Idempotency-Key", canary+" ä")
}

// secretsShown matches the secrets that answers show: of sessions, in a field or a cookie,
// tickets, tokens of invitations, links of exports, secrets of applications, their codes and
// refresh tokens, access tokens and ID tokens.
var secretsShown = regexp.MustCompile(`\br[acerist]_[\w-]{20,}|eyJ[\w-]+\.[\w-]+\.[\w-]+`)

// firefox is a User-Agent without a secret: where people sign in, it is kept.
const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// keep records an answer as an output, but for its secrets, which it returns. Only whoever
// asks for them may see them.
func (c *canaries) keep(answer string) []string {
	c.t.Helper()
	found := secretsShown.FindAllString(answer, -1)
	c.made = append(c.made, found...)
	c.tell("answers", []byte(secretsShown.ReplaceAllString(answer, "")))
	return found
}

// enter sends a mutation about signing in, and returns the secret that the answer shows, if
// any. more is as for send.
func (c *canaries) enter(credential, document string, variables any, more ...string) string {
	c.t.Helper()
	body, err := json.Marshal(object{"query": document, "variables": object{"input": variables}})
	must(c.t, err)
	authorization := ""
	if credential != "" {
		authorization = "Bearer " + credential
	}
	answer := c.send(c.t.Context(), "POST", c.url+"/graphql", authorization, string(body), append(more, "User-Agent", firefox)...)
	if found := c.keep(answer); len(found) > 0 {
		return found[0]
	}
	return ""
}

// code waits for a mail, and returns the code in it.
func (c *canaries) code() string {
	c.t.Helper()
	select {
	case text := <-c.box.mails:
		code := regexp.MustCompile(`(?m)^\d{8}\r?$`).FindString(text)
		if code == "" {
			c.t.Fatal(text)
		}
		c.codes = append(c.codes, strings.TrimSpace(code))
		return strings.TrimSpace(code)
	case <-time.After(30 * time.Second):
		c.t.Fatal("no mail has come")
	}
	return ""
}

// letPeopleIn takes a person through all that they do with a secret, rightly and wrongly.
func (c *canaries) letPeopleIn() {
	const step = ` { secret result { __typename ... on SignInStep { ticket next } ... on Session { id device } } } }`
	const email, password = "person@example.com", "a " + canary + " of some length"
	proceed := func(input object, more ...string) string {
		c.t.Helper()
		return c.enter("", `mutation($input: ContinueSignInInput!) { continueSignIn(input: $input)`+step, input, more...)
	}
	signIn := func(input object, more ...string) string {
		c.t.Helper()
		return c.enter("", `mutation($input: SignInInput!) { signIn(input: $input)`+step, input, more...)
	}
	ticket := c.enter("", `mutation($input: SignUpInput!) { signUp(input: $input)`+step, object{"email": email, "password": password})
	code := c.code()
	proceed(object{"ticket": ticket, "code": canary})
	session := proceed(object{"ticket": ticket, "code": code})
	proceed(object{"ticket": ticket, "code": code})
	signIn(object{"email": email, "password": canary})
	signIn(object{"username": canary, "password": canary})
	cookie := signIn(object{"email": email, "password": password}, "Origin", c.url)
	c.tell("answers", []byte(c.send(c.t.Context(), "POST", c.url+"/graphql", "", `{"query":"{ viewer { session { id } sessions { id } } }"}`, "Cookie", "roster="+cookie)))
	token := c.enter(session, `mutation($input: AccessTokenInput!) { accessToken(input: $input) { accessToken { token } } }`, object{"audience": c.publicAddress()})
	for _, credential := range []string{token, token + canary, session + canary, session[:len(session)-7] + canary} {
		c.enter(credential, `{ viewer { session { id } can(permission: "x:y") } }`, nil)
	}
	ticket = c.enter(session, `mutation($input: RequestEmailChangeInput!) { requestEmailChange(input: $input) { step { ticket } } }`, object{"email": "other@example.com"}, "Idempotency-Key", canary+"-8")
	c.enter(session, `mutation($input: ConfirmEmailChangeInput!) { confirmEmailChange(input: $input) { user { id } } }`, object{"ticket": ticket, "code": canary})
	if c.code(); ticket == "" || token == "" || cookie == "" {
		c.t.Fatalf("ticket %q, token %q, cookie %q", ticket, token, cookie)
	}
	c.letApplicationsIn(cookie)
	invitation := c.enter(c.key, `mutation($input: InviteInput!) { invite(input: $input) { link } }`, object{"email": "guest@example.com", "sendEmail": false}, "Idempotency-Key", canary+"-9")
	c.tell("pages", []byte(strings.ReplaceAll(c.send(c.t.Context(), "GET", c.url+"/signin/invitation?token="+invitation, "", ""), invitation, "")))
	for _, token := range []string{canary, invitation + canary, invitation} {
		ticket = c.enter("", `mutation($input: AcceptInvitationInput!) { acceptInvitation(input: $input)`+step, object{"token": token, "password": password})
	}
	if proceed(object{"ticket": ticket, "code": c.code()}) == "" {
		c.t.Fatal("the invitation is not accepted")
	}
	c.enter(session, `mutation($input: ChangePasswordInput!) { changePassword(input: $input) { accepted } }`, object{"currentPassword": password, "newPassword": "another " + password})
	<-c.box.mails // the notice of it
	c.enter(c.key, `mutation($input: CreateUserInput!) { createUser(input: $input) { user { id } } }`, object{"username": "made", "password": "first " + password})
	c.enter(c.key, `mutation($input: SetTemporaryPasswordInput!) { setTemporaryPassword(input: $input) { user { id } } }`, object{"user": object{"email": email}, "password": "temporary " + password})
	ticket = signIn(object{"email": email, "password": "temporary " + password})
	proceed(object{"ticket": ticket, "password": "temporary " + password})
	ticket = c.enter("", `mutation($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { step { ticket } } }`, object{"email": email})
	c.enter("", `mutation($input: ResetPasswordInput!) { resetPassword(input: $input) { accepted } }`, object{"ticket": ticket, "code": c.code(), "password": "third " + password})
	<-c.box.mails
	signIn(object{"email": email}) // a flow is left
	c.code()
}

// letApplicationsIn takes applications through all that they do with a secret, rightly, wrongly,
// and while the database fails. cookie is the session of a browser.
func (c *canaries) letApplicationsIn(cookie string) {
	c.t.Helper()
	const callback, verifier = "https://app.example/callback", "a-" + canary + "-verifier-of-forty-three-characters-or-more"
	create := func(kind string, more object) (id, secret string) {
		c.t.Helper()
		input := object{"name": "app", "kind": kind, "audiences": []string{c.publicAddress()}}
		maps.Copy(input, more)
		secret = c.enter(c.key, `mutation($input: CreateApplicationInput!) { createApplication(input: $input) { clientSecret } }`, input, "Idempotency-Key", canary+"-"+kind)
		found, err := db.SelectOne[db.ApplicationID](c.t.Context(), c.db, "select id from applications order by created_at desc limit 1")
		must(c.t, err)
		return found.String(), secret
	}
	id, secret := create("WEB", object{"redirectUrls": []string{callback}})
	machine, own := create("MACHINE", object{"permissions": []object{{"key": "roster:users:read"}}})
	post := func(path, authorization string, form ...string) []string {
		c.t.Helper()
		values := url.Values{}
		for i := 0; i < len(form); i += 2 {
			values.Set(form[i], form[i+1])
		}
		return c.keep(c.send(c.t.Context(), "POST", c.url+"/oauth/"+path, authorization, values.Encode(), "Content-Type", "application/x-www-form-urlencoded", "User-Agent", firefox))
	}
	challenge := sha256.Sum256([]byte(verifier))
	authorize := "/oauth/authorize?" + url.Values{
		"client_id": {id}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid profile email offline_access"}, "state": {canary}, "nonce": {"n"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
	var refresh, access string
	enter := func() []string {
		c.t.Helper()
		back := c.send(c.t.Context(), "GET", c.url+authorize, "", "", "Cookie", "roster="+cookie, "User-Agent", firefox)
		shown := c.keep(strings.ReplaceAll(back, canary, "")) // the application's own state
		if len(shown) == 0 {
			return nil
		}
		code := shown[0]
		for _, wrong := range []string{canary, code + canary} {
			post("token", basic, "grant_type", "authorization_code", "code", wrong, "redirect_uri", callback, "code_verifier", verifier)
		}
		return post("token", basic, "grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier, "resource", c.publicAddress())
	}
	use := func() {
		c.t.Helper()
		again := post("token", "", "client_id", id, "client_secret", secret, "grant_type", "refresh_token", "refresh_token", refresh)
		post("token", "", "client_id", machine, "client_secret", own, "grant_type", "client_credentials", "resource", c.publicAddress())
		post("token", basic+canary, "grant_type", "refresh_token", "refresh_token", refresh+canary)
		post("token", "", "client_id", machine, "client_secret", canary, "grant_type", "client_credentials")
		for _, token := range append(again, access, access+canary) {
			post("introspect", basic, "token", token)
			c.keep(c.send(c.t.Context(), "GET", c.url+"/oauth/userinfo", "Bearer "+token, ""))
			c.enter(token, `{ viewer { user { id } } }`, nil)
		}
		c.keep(c.send(c.t.Context(), "GET", c.url+"/oauth/logout?id_token_hint="+canary+"&state="+canary, "", "", "Cookie", "session=x"))
	}
	for _, token := range enter() {
		if strings.HasPrefix(token, "rr_") {
			refresh = token
		} else if access == "" {
			access = token
		}
	}
	if secret == "" || own == "" || refresh == "" || access == "" {
		c.t.Fatalf("secret %q, MACHINE %q, refresh token %q, access token %q", secret, own, refresh, access)
	}
	use()
	for _, table := range []string{"applications", "authorization_codes", "sessions", "api_keys"} {
		_, err := c.db.ExecContext(c.t.Context(), "alter table "+table+" rename to gone")
		must(c.t, err)
		enter()
		use()
		_, err = c.db.ExecContext(c.t.Context(), "alter table gone rename to "+table)
		must(c.t, err)
	}
	c.enter(c.key, `mutation($input: ApplicationActionInput!) { rollApplicationSecret(input: $input) { clientSecret } }`, object{"application": id}, "Idempotency-Key", canary+"-roll")
	post("revoke", basic, "token", refresh)
}

// takePeopleOut fetches an export by its link, twice, and lets another link lie.
func (c *canaries) takePeopleOut() {
	c.t.Helper()
	const export = `mutation($input: ExportUsersInput!) { exportUsers(input: $input) { export { url } } }`
	secret := c.enter(c.key, export, object{"format": "NDJSON", "hashes": true}, "Idempotency-Key", canary+"-10")
	for _, want := range []string{"person@example.com", "has been used"} {
		file := c.send(c.t.Context(), "GET", c.url+transfer.ExportsPath+secret, "", "")
		if !strings.Contains(file, want) {
			c.t.Fatal(file)
		}
		c.tell("answers", []byte(file))
	}
	c.enter(c.key, export, object{})
}

// wantNoCodes fails the test if a code is in the outputs, as a word.
func (o *told) wantNoCodes(t *testing.T, codes []string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	word := regexp.MustCompile(`(^|[^0-9a-z.])(` + strings.Join(codes, "|") + `)($|[^0-9a-z])`)
	for where, text := range o.all {
		if at := word.FindIndex(text.Bytes()); at != nil {
			t.Errorf("%s: …%s…", where, text.Bytes()[max(0, at[0]-300):min(text.Len(), at[1]+100)])
		}
	}
}

// postbox is an SMTP server that hands over the mails that it takes.
type postbox struct {
	address string
	mails   chan string
}

func openPostbox(t *testing.T) *postbox {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	must(t, err)
	p := &postbox{address: listener.Addr().String(), mails: make(chan string, 100)}
	server := smtp.NewServer(p)
	server.Domain = "localhost"
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })
	return p
}

func (p *postbox) NewSession(*smtp.Conn) (smtp.Session, error) { return p, nil }
func (*postbox) Mail(string, *smtp.MailOptions) error          { return nil }
func (*postbox) Rcpt(string, *smtp.RcptOptions) error          { return nil }
func (*postbox) Reset()                                        {}
func (*postbox) Logout() error                                 { return nil }

func (p *postbox) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	p.mails <- string(text)
	return err
}

func (c *canaries) comeWithWrongKeys() {
	for _, authorization := range []string{
		"Bearer rk_" + canary + strings.Repeat("x", 40), "Bearer " + canary, "Basic " + canary, canary, "Bearer rk_" + strings.Repeat(canary, 500), "Bearer rk_\xff" + canary,
	} {
		c.tell("answers", []byte(c.send(c.t.Context(), "POST", c.url+"/graphql", authorization, `{"query":"{__typename}"}`)))
	}
}

func (c *canaries) sendNonsense() {
	for _, body := range []string{
		canary, `"` + canary + `"`, `["` + canary + `"]`, `{"` + canary, `{"query":"{__typename}","variables":{"password":"` + canary, `{"query":"{__typename}","variables":"` + canary + `"}`,
		`{"query":"{__typename}","operationName":"` + canary + `"}`, `{"query":["` + canary + `"]}`, `{"documentId":"` + canary + `"}`, `{"query":"{__typename}","documentId":"` + canary + `"}`,
		`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"` + canary + `"}}}`,
	} {
		c.post(body)
		c.post(body, "Content-Type", "text/"+canary)
		c.post(body, "Accept", canary+"/"+canary, "Content-Encoding", canary)
	}
	const q = `"` + canary + `"`
	for _, query := range []string{
		`{ user(by: {email: "` + canary, `{ user(by: {email: "` + canary + `\ud800"}) { id } }`, `{ users(first: ` + q + `) { totalCount } }`, `{ users(orderBy: {field: ` + q + `}) { totalCount } }`,
		`{ user(by: ` + q + `) { id } }`, `{ user(by: {id: ` + q + `, email: ` + q + `}) { id } }`, `{ users(after: ` + q + `) { totalCount } }`, `{ __typename @skip(if: ` + q + `) }`, `{ node(id: ` + q + `) { id } }`,
		`mutation { createUser(input: {email: ` + q + `}) { user { id } } }`, `mutation { suspendUser(input: {user: {email: ` + q + `}}) { user { id } } }`, `{ changes(filter: {after: ` + q + `}) { totalCount } }`,
		`mutation { createPermission(input: {key: "` + canary + `%"}) { permission { id } } }`, `mutation { createRole(input: {key: "r", permissions: [{key: "` + canary + `:x"}]}) { role { id } } }`,
		`mutation { revokeApiKey(input: {apiKey: "rk_` + canary + `"}) { apiKey { id } } }`,
		"{ " + `users(first: 100) { nodes { memberships(first: 100) { nodes { organization { members(first: 100, filter: {search: ` + q + `}) { nodes { id } } } } } } } ` + "}", // LIMITED
	} {
		c.ask(query, nil)
		c.ask(query, nil, "Roster-At-Least", canary, "Idempotency-Key", canary+"-4")
		c.tell("answers", []byte(c.send(c.t.Context(), "GET", c.url+"/graphql?variables="+canary+"&query="+url.QueryEscape(query), "Bearer "+c.key, "", "X-GraphQL-Preflight", "1")))
		c.tell("answers", []byte(c.send(c.t.Context(), "PUT", c.url+"/graphql?query="+url.QueryEscape(query), "Bearer "+c.key, query)))
	}
	for query, variables := range map[string]any{
		`query($v: Int) { users(first: $v) { totalCount } }`:                               object{"v": canary},
		`query($v: UserRef!) { user(by: $v) { id } }`:                                      object{"v": object{canary + "!": 1}},
		`query($v: [CheckInput!]!) { checks(input: $v) }`:                                  object{"v": []any{canary, object{"user": canary}}},
		`query($v: UserStatus) { users(filter: {status: $v}) { totalCount } }`:             object{"v": canary},
		`query($v: DateTime) { users(filter: {createdAfter: $v}) { totalCount } }`:         object{"v": canary},
		`mutation($v: CreateUserInput!) { createUser(input: $v) { user { id } } }`:         object{"v": object{"email": canary, "phone": canary, "password": canary, "passwordHash": "$2b$" + canary}},
		`mutation($v: JSON) { createUser(input: {properties: $v}) { user { id } } }`:       object{"v": canary},
		`mutation($v: CreateUserInput!) { createUser(input: $v) { user { name(a: 1) } } }`: object{"v": object{"email": canary}},
	} {
		c.ask(query, variables, "Idempotency-Key", canary+"-5")
	}
}

// failInTheDatabase makes PostgreSQL return errors, whose texts quote values.
func (c *canaries) failInTheDatabase() {
	_, err := c.db.ExecContext(c.t.Context(), "alter table api_keys rename to gone")
	must(c.t, err)
	c.comeWithWrongKeys()
	_, err = c.db.ExecContext(c.t.Context(), "alter table gone rename to api_keys")
	must(c.t, err)
	create := func() {
		c.ask(`mutation($e: String!) { createUser(input: {email: $e}) { user { id } } }`, object{"e": canary + "@example.com"}, "Idempotency-Key", canary+"-6")
		c.ask(`query($e: String!) { user(by: {email: $e}) { id } users(filter: {search: $e}) { totalCount } }`, object{"e": canary + "@example.com"})
	}
	for _, broken := range []struct{ breaks, mends string }{
		{"alter table users rename to gone", "alter table gone rename to users"},
		{"alter table users add constraint no_canaries check (email not like '" + canary + "%')", "alter table users drop constraint no_canaries"},
		{"alter table users drop column picture_url cascade", "alter table users add column picture_url text"},
		{"alter table kept_answers rename to gone", "alter table gone rename to kept_answers"},
	} {
		_, err := c.db.ExecContext(c.t.Context(), broken.breaks)
		must(c.t, err)
		create()
		_, err = c.db.ExecContext(c.t.Context(), broken.mends)
		must(c.t, err)
	}
}

// takeTooLong runs operations that time out, or whose clients disconnect.
func (c *canaries) takeTooLong() {
	hasty := c.serving(c.metrics.Middleware(c.log, transport.NewHandler(transport.Options{Schema: graph.NewSchema(c.directory, nil, nil), Directory: c.directory, Log: c.log, Metrics: c.metrics, Timeout: 50 * time.Millisecond})))
	tx, err := c.db.BeginTx(c.t.Context(), nil)
	must(c.t, err)
	defer func() { _ = tx.Rollback() }()
	// Keys are found without roles. That a client has gone is noticed once its body is read,
	// which is after its key is found.
	_, err = tx.ExecContext(c.t.Context(), "lock table roles in access exclusive mode")
	must(c.t, err)
	const search, create = `{"query":"{ roles(search: \"` + canary + `\") { totalCount } }"}`, `{"query":"mutation { createRole(input: {key: \"` + canary + `\"}) { role { id } } }"}`
	for _, body := range []string{search, create} {
		c.tell("answers", []byte(c.send(c.t.Context(), "POST", hasty+"/graphql", "Bearer "+c.key, body, "Idempotency-Key", canary+"-7")))
	}
	clientTimeout := 50 * time.Millisecond // it hangs up once its request waits for the table
	eventually(c.t, func() error {
		for _, body := range []string{search, create} {
			ctx, hangUp := context.WithTimeout(c.t.Context(), clientTimeout)
			c.send(ctx, "POST", c.url+"/graphql", "Bearer "+c.key, body, "Idempotency-Key", canary+"-7")
			hangUp()
		}
		clientTimeout = min(2*clientTimeout, 2*time.Second)
		c.mu.Lock()
		defer c.mu.Unlock()
		if !bytes.Contains(c.all["log"].Bytes(), []byte("request ended before its answer")) {
			return io.ErrNoProgress
		}
		return nil
	})
}

// panics makes a handler panic, which has no directory.
func (c *canaries) panics() {
	broken := c.serving(c.metrics.Middleware(c.log, transport.NewHandler(transport.Options{Schema: graph.NewSchema(nil, nil, nil), Log: c.log})))
	for _, authorization := range []string{"Bearer " + c.key, ""} {
		c.tell("answers", []byte(c.send(c.t.Context(), "POST", broken+"/graphql", authorization, `{"query":"{ user(by: {email: \"`+canary+`\"}) { id } }"}`)))
	}
}
