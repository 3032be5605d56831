package graphtest

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"roster/credential"
	"roster/db"
	"roster/egress"
	"roster/graph/transport"
	"roster/mail"
	"roster/oauth"
	"roster/provider"
	"roster/secret"
	"roster/signin"
	"roster/signin/browser"
	"roster/signin/pages"
	"roster/token"
	"roster/transfer"
	"roster/transfer/download"
)

// Issuer is the public address of servers that are under test.
const Issuer = "https://accounts.test"

// Password is one that may be chosen.
const Password = "correct horse battery staple"

// keyring seals what the servers of all tests keep secret.
var keyring = sync.OnceValues(func() (*secret.Keyring, error) { return secret.ParseKeyring(secret.NewKey().Reveal()) })

// passwordHash is the hash of Password, which takes a while to make.
var passwordHash = sync.OnceValues(func() (string, error) {
	return credential.QuickPasswords(1, 100).Hash(context.Background(), secret.New(Password))
})

// ReturnOrigin is the origin that the pages send browsers back to.
const ReturnOrigin = "https://app.test"

// startSignIn lets people sign in to the server.
func (b *Server) startSignIn(t testing.TB, log *slog.Logger) {
	t.Helper()
	tokens, err := openTokens(t.Context(), b.Database, b.Issuer, b.Clock.Now, log)
	Must(t, err)
	ring, err := keyring()
	Must(t, err)
	templates, err := mail.ParseTemplates("")
	Must(t, err)
	if b.Mail == nil {
		b.Mail = &Mailbox{}
	}
	outbox := mail.NewOutbox(b.Database, mail.Options{Keyring: ring, Templates: templates, From: &netmail.Address{Address: "accounts@accounts.test"}, Sender: b.Mail, Log: log})
	b.SignIn = signin.New(signin.Options{
		Database: b.Database, Directory: b.Directory, Passwords: credential.QuickPasswords(2, 1000), Outbox: outbox, Tokens: tokens, Keyring: ring, Issuer: b.Issuer, Log: log, Clock: b.Clock.Now,
		Providers: provider.New(egress.NewClient(true), b.Clock.Now), Development: true,
	})
	b.Transfer = transfer.New(transfer.Options{Database: b.Database, Directory: b.Directory, PublicURL: b.Issuer, Keyring: ring, Log: log, Clock: b.Clock.Now})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { outbox.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// openTokens opens the signing keys, and makes them if the database has none.
func openTokens(ctx context.Context, database *db.DB, issuer string, clock func() time.Time, log *slog.Logger) (*token.Keys, error) {
	ring, err := keyring()
	if err != nil {
		return nil, err
	}
	return token.Open(ctx, database, ring, clock, token.Options{Issuer: issuer, Audiences: []string{issuer}, Log: log})
}

// Listen returns the same business on a server that listens at its public address, Issuer,
// with all its doors.
func (b *Server) Listen(t testing.TB) *Server {
	t.Helper()
	other, mux := *b, http.NewServeMux()
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	other.Issuer = web.URL
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	other.startSignIn(t, log)
	listening := other.WithOptions(t, transport.Options{})
	listening.openDoors(t, log)
	mux.Handle("/graphql", listening.Handler)
	mux.Handle(pages.Path, listening.Pages)
	mux.Handle(pages.Path+"/", listening.Pages)
	mux.Handle(oauth.Path, listening.Provider)
	mux.Handle(oauth.WellKnownPath, listening.Provider)
	mux.Handle(transfer.ExportsPath, listening.Downloads)
	return listening
}

// openDoors opens the doors beside the graph.
func (b *Server) openDoors(t testing.TB, log *slog.Logger) {
	t.Helper()
	var provider *oauth.Handler
	cookies := browser.NewCookies(false)
	b.Pages = pages.New(pages.Options{
		SignIn: b.SignIn, Directory: b.Directory, Cookies: cookies, ReturnOrigins: []string{ReturnOrigin}, Urgently: b.Handler.Urgently, Denied: b.Handler.Denied, Log: log,
		LeadsTo: func(ctx context.Context, path string) string { return provider.LeadsTo(ctx, path) },
	})
	provider = oauth.New(oauth.Options{
		SignIn: b.SignIn, Directory: b.Directory, Cookies: cookies, JWKS: b.SignIn.Tokens.ServeJWKS, Refuse: b.Pages.Refuse, Urgently: b.Handler.Urgently, Denied: b.Handler.Denied, Log: log,
	})
	b.Provider = provider
	var err error
	b.Downloads, err = download.New(download.Options{Transfer: b.Transfer, Log: log})
	Must(t, err)
}

// SignedIn starts a session of the user with that email address in an organization, and
// returns its secret. Password becomes the user's password.
func (b *Server) SignedIn(t testing.TB, email, org string) string {
	t.Helper()
	hash, err := passwordHash()
	Must(t, err)
	b.Execute(t, `insert into passwords (user_id, hash, temporary, changed_at) select id, ?, false, now() from users where email = ?
		on conflict (user_id) do update set hash = excluded.hash, temporary = false`, hash, email)
	user := Rows[db.UserID](t, b, "select id from users where email = $1", email)[0]
	b.Execute(t, "insert into identities (provider, subject, user_id) values (?, ?, ?) on conflict do nothing", db.PasswordProvider, user.String(), user)
	session := credential.SessionName{User: user, Session: db.NewID[db.SessionKind]()}
	shown, sessionHash := credential.NewSession(session)
	b.Execute(t, `insert into sessions (user_id, id, hash, org_id, methods, created_at, last_used_at, expires_at)
		values (?, ?, ?, (select id from organizations where code = ?), '{password}', now(), now(), now() + interval '1 day')`,
		session.User, session.Session, sessionHash, org)
	return shown.Reveal()
}

// MachineToken returns an access token for this server of the MACHINE with that id and client
// secret.
func (b *Server) MachineToken(t testing.TB, id, secret string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "resource": {b.Issuer}}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, oauth.Path+"token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	b.Provider.ServeHTTP(w, r)
	var answer struct {
		Token string `json:"access_token"`
	}
	Must(t, json.Unmarshal(w.Body.Bytes(), &answer))
	if answer.Token == "" {
		t.Fatalf("the MACHINE gets no token: %s", w.Body)
	}
	return answer.Token
}

// Clock is the clock by which servers under test let people in: the machine's, moved ahead.
type Clock struct {
	mu      sync.Mutex
	ahead   time.Duration
	stopped time.Time // zero while it runs
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped.IsZero() {
		return c.stopped.Add(c.ahead)
	}
	return time.Now().Add(c.ahead)
}

// Advance moves the clock ahead.
func (c *Clock) Advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += by
}

// Stop stops the clock, so that only Advance moves it, however slow the machine is.
func (c *Clock) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = time.Now()
}

// Mailbox keeps the mails that it is to send.
type Mailbox struct {
	mu    sync.Mutex
	mails []*mail.Mail
}

// Send keeps the mail.
func (m *Mailbox) Send(_ context.Context, one *mail.Mail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails = append(m.mails, one)
	return nil
}

// To returns the mails to the address so far.
func (m *Mailbox) To(address string) []*mail.Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	var to []*mail.Mail
	for _, one := range m.mails {
		if one.To == address {
			to = append(to, one)
		}
	}
	return to
}

// Code waits for a mail to the address that has a code, after the first n mails, and
// returns the code.
func (m *Mailbox) Code(t testing.TB, address string, n int) (code string) {
	t.Helper()
	Eventually(t, 30*time.Second, "a code is mailed to "+address, func() bool {
		for _, one := range m.To(address)[n:] {
			code = cmp.Or(code, one.Code)
		}
		return code != ""
	})
	return code
}

// Last waits for the n-th mail to the address, and returns it.
func (m *Mailbox) Last(t testing.TB, address string, n int) *mail.Mail {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if all := m.To(address); len(all) >= n {
			return all[n-1]
		}
	}
	t.Fatalf("%s got %d mails, not %d", address, len(m.To(address)), n)
	return nil
}

// WithReturnOrigins returns the same business whose pages send browsers back to the
// origins.
func (b *Server) WithReturnOrigins(t testing.TB, origins ...string) *Server {
	t.Helper()
	other := *b
	o := b.Pages.Options
	o.ReturnOrigins = origins
	other.Pages = pages.New(o)
	return &other
}
