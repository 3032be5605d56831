package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"roster/db/dbtest"
	"roster/mail"
	"roster/secret"
	"roster/telemetry"
)

// startInProcess starts a server in this process with the settings, and returns it and
// what it logs.
func startInProcess(t *testing.T, env map[string]string) (*server, *text) {
	t.Helper()
	config, err := readConfig(nil, func(name string) string { return env[name] }, io.Discard)
	must(t, err)
	log := &text{}
	s := &server{config: config, log: telemetry.NewLogger(log, telemetry.LogJSON, slog.LevelInfo), metrics: telemetry.NewMetrics(), out: io.Discard}
	t.Cleanup(func() { must(t, s.close()) })
	must(t, s.start(t.Context()))
	return s, log
}

const mailTestKey = "rk_0123456789abcdefghijklmnopqrstuvwxyz"

func mailSettings(t *testing.T, more ...string) map[string]string {
	env := map[string]string{
		"ROSTER_ADDR": "localhost:0", "ROSTER_DATA_DIR": t.TempDir(), "DATABASE_URL": dbtest.DSN(t),
		"ROSTER_ADMIN_KEY": mailTestKey, "ROSTER_SECRET_KEY": secret.NewKey().Reveal(),
	}
	for i := 0; i < len(more); i += 2 {
		env[more[i]] = more[i+1]
	}
	return env
}

// In development, mails are shown to the browser that has the playground's session, and
// to scripts with the administrator's key: to nobody else, wherever they come from.
func TestMailsOfDevelopment(t *testing.T) {
	t.Parallel()
	s, log := startInProcess(t, mailSettings(t))
	if !s.outbox.Configured() || !strings.Contains(log.String(), "mails are not sent but shown") {
		t.Error(log)
	}
	must(t, s.db.InTx(t.Context(), func(ctx context.Context, tx bun.IDB) error {
		return s.outbox.Add(ctx, tx, mail.Message{Kind: mail.SignInCode, To: "ada@example.com", Code: secret.New("27182818"), Lifetime: 10 * time.Minute, Branding: mail.Branding{Name: "Example"}})
	}))
	s.outbox.Wake()
	web := httptest.NewServer(s.http.Handler)
	t.Cleanup(web.Close)
	cookie, half := playgroundSession(t, s, web.URL)
	ask := func(method, path string, header ...string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, web.URL+path, nil)
		must(t, err)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w, err := web.Client().Do(r)
		must(t, err)
		defer w.Body.Close()
		body, err := io.ReadAll(w.Body)
		must(t, err)
		return w.StatusCode, string(body)
	}
	const messages = "/dev/mail/messages"
	eventually(t, func() error {
		_, body := ask("GET", messages, "Authorization", "Bearer "+mailTestKey)
		var mails []mail.Mail
		if err := json.Unmarshal([]byte(body), &mails); err != nil || len(mails) != 1 || mails[0].Code != "27182818" || mails[0].To != "ada@example.com" {
			return errors.New("the mails are " + body)
		}
		return nil
	})
	for name, c := range map[string]struct {
		method string
		header []string
		want   int
	}{
		"the session":                 {"POST", []string{"Cookie", cookie, "Roster-Playground", half, "Origin", web.URL}, 200},
		"the session's cookie alone":  {"POST", []string{"Cookie", cookie}, 401},
		"the page's half alone":       {"POST", []string{"Roster-Playground", half}, 401},
		"the session on another site": {"POST", []string{"Cookie", cookie, "Roster-Playground", half, "Sec-Fetch-Site", "cross-site"}, 401},
		"the session on another port": {"POST", []string{"Cookie", cookie, "Roster-Playground", half, "Sec-Fetch-Site", "same-site"}, 401},
		"the session, as a link":      {"GET", []string{"Cookie", cookie, "Roster-Playground", half}, 401},
		"the key":                     {"POST", []string{"Authorization", "Bearer " + mailTestKey}, 200},
		"another key":                 {"GET", []string{"Authorization", "Bearer rk_" + strings.Repeat("x", 40)}, 401},
		"nothing":                     {"GET", nil, 401},
		"nothing, posted":             {"POST", nil, 401},
		"a stranger, through a proxy": {"POST", []string{"X-Forwarded-For", "127.0.0.1", "Host", "localhost"}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := ask(c.method, messages, c.header...)
			if status != c.want || (c.want == 200) != strings.Contains(body, "27182818") {
				t.Errorf("%d: %s", status, body)
			}
		})
	}
	for _, path := range []string{"/dev/mail", "/dev/mail/", "/dev/mail/mailbox.js", "/dev/mail/mailbox.css"} {
		if status, body := ask("GET", path); status != 200 || strings.Contains(body, "ada@") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// playgroundSession opens the session of the playground, and returns its halves.
func playgroundSession(t *testing.T, s *server, url string) (cookie, half string) {
	t.Helper()
	_, token, _ := strings.Cut(s.sessions.Link(url), "#token=")
	w, err := http.Post(url+"/graphiql/session", "application/json", strings.NewReader(`{"token":"`+token+`"}`))
	must(t, err)
	defer w.Body.Close()
	var body struct{ Session string }
	must(t, json.NewDecoder(w.Body).Decode(&body))
	return w.Cookies()[0].Name + "=" + w.Cookies()[0].Value, body.Session
}

// Only development shows mails: elsewhere there is a server for them, or none are kept.
func TestMailsElsewhere(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		more       []string
		configured bool
		says       string
	}{
		"an SMTP server": {[]string{"ROSTER_MAIL_FROM", "a@example.com", "ROSTER_SMTP_URL", "smtp://me:c4n4ry@localhost:1"}, true, ""},
		"in production":  {[]string{"ROSTER_DEV", "false"}, false, "mails are not sent, and nobody can sign in by mail"},
		"open to others": {[]string{"ROSTER_DEV", "true", "ROSTER_ADDR", ":0", "ROSTER_PUBLIC_URL", "https://users.example.com"}, false, "mails are not sent, and nobody can sign in by mail"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, log := startInProcess(t, mailSettings(t, test.more...))
			if s.outbox.Configured() != test.configured || !strings.Contains(log.String(), test.says) || strings.Contains(log.String(), "shown") || strings.Contains(log.String(), "c4n4ry") {
				t.Error(log)
			}
			w := httptest.NewRecorder()
			s.http.Handler.ServeHTTP(w, httptest.NewRequest("GET", "/dev/mail", nil))
			if w.Code != 404 {
				t.Errorf("/dev/mail answers %d", w.Code)
			}
			w = httptest.NewRecorder()
			s.http.Handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
			for _, metric := range []string{"roster_mails_sent_total 0", "roster_mails_failed_total 0", "roster_mails_given_up_total 0", "roster_mails_waiting 0"} {
				if !strings.Contains(w.Body.String(), "\n"+metric+"\n") {
					t.Errorf("no metric %s", metric)
				}
			}
		})
	}
}
