package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/db/dbtest"
)

// What the log says of mail in development.
const mailsShown = "mails are not sent but shown, in the browser that has the session of the playground; ROSTER_SMTP_URL sends them"

func TestStart(t *testing.T) {
	t.Parallel()
	p := setup(t)
	first := p.start()
	first.wantLines("PostgreSQL started", "database migrated", mailsShown, "filled the empty database with the demo business", "people of the demo business can sign in", "listening")
	if first.logged("database migrated")["migrations"] == 0.0 {
		t.Error("no migration is counted")
	}
	first.wantKeyKept()
	first.wantPages()
	first.wantReadme()
	demo := len(first.emails())
	must(t, first.create(t.Context(), "ann@example.com"))
	first.stop()

	second := p.start()
	second.wantLines("PostgreSQL started", mailsShown, "people of the demo business can sign in", "listening")
	if second.stdout.String() != first.stdout.String() || second.key != first.key {
		t.Errorf("the second start says %q, and the key is another: %t", &second.stdout, second.key != first.key)
	}
	if emails := second.emails(); !emails["ann@example.com"] || demo < 10 || len(emails) != demo+1 {
		t.Errorf("there are %d users, want %d of the demo and one more", len(emails), demo)
	}
	second.stop()

	closed := p.start("-dev=false", "-cache-entries=1234")
	closed.wantPage("/", 404, "not found")
	closed.wantPage("/metrics", 200, "\nroster_access_entries_limit 1234\n")
	if _, err := closed.ask(t.Context(), "{ __schema { description } }", nil); err == nil {
		t.Error("introspection is open")
	}
}

// BenchmarkStart measures the time until a server listens: in an empty folder, where it
// makes a database and fills it with the demo business, and in a folder that has all of
// that.
func BenchmarkStart(b *testing.B) {
	b.Setenv("TMPDIR", os.TempDir()) // on a disk, like the folder of a server
	var empty, filled time.Duration
	for b.Loop() {
		p := setup(b)
		for _, took := range []*time.Duration{&empty, &filled} {
			r := p.start()
			*took += r.took
			r.stop()
		}
	}
	b.ReportMetric(empty.Seconds()/float64(b.N), "s/empty")
	b.ReportMetric(filled.Seconds()/float64(b.N), "s/filled")
	b.ReportMetric(0, "ns/op")
}

// wantLines fails the test unless the log consists of these messages, with durations as
// text.
func (r *process) wantLines(messages ...string) {
	r.t.Helper()
	var got []string
	for text := range strings.Lines(r.stderr.String()) {
		var line struct {
			Level, Msg string
			Took       any
		}
		must(r.t, json.Unmarshal([]byte(text), &line))
		got = append(got, line.Msg)
		if took, ok := line.Took.(string); line.Took != nil && !ok || line.Level != "INFO" {
			r.t.Errorf("%s has a duration %q", text, took)
		}
	}
	if strings.Join(got, "\n") != strings.Join(messages, "\n") {
		r.t.Errorf("the log is\n%s\nwant\n%s", &r.stderr, strings.Join(messages, "\n"))
	}
}

func (r *process) wantKeyKept() {
	r.t.Helper()
	if printed := r.stdout.String(); printed != "The administrator's API key is kept in data/admin-key.\n" {
		r.t.Errorf("on standard output: %q, want where the key is", printed)
	}
	if all := r.stdout.String() + r.stderr.String(); strings.Contains(all, r.key) || strings.Contains(all, "token=") {
		r.t.Error("a secret goes to what is no terminal")
	}
	info, err := os.Stat(adminKeyPath(r.data()))
	must(r.t, err)
	if info.Mode().Perm() != 0o600 {
		r.t.Errorf("the key is kept with mode %v", info.Mode())
	}
}

func (r *process) wantPages() {
	r.t.Helper()
	if ok, _ := regexp.MatchString(`^http://localhost:[1-9][0-9]+$`, r.url); !ok {
		r.t.Errorf("listening at %q", r.url)
	}
	r.wantPage("/", 200, "<html")
	r.wantPage("/graphiql/config.json", 200, `{"endpoint":"/graphql","examples":[`)
	r.wantPage("/graphql/", 400, `"extensions":{"revision":`)
	r.wantPage("/healthz", 200, "ok")
	r.wantReady()
	for _, metric := range []string{"http_requests_total", "access_hits_total", "access_misses_total", "access_evictions_total 0\n", "access_entries", "access_names"} {
		r.wantPage("/metrics", 200, "\nroster_"+metric)
	}
	r.wantPage("/nothing", 404, "not found")
	data, err := r.ask(r.t.Context(), "{ viewer { __typename } organization(by: {code: \"default\"}) { code } }", nil)
	must(r.t, err)
	if got, _ := data["organization"].(object); data["viewer"] == nil || got["code"] != "default" {
		r.t.Errorf("GraphQL answers %v", data)
	}
	stranger := &process{program: r.program, url: r.url, key: "rk_" + strings.Repeat("x", 40)}
	if _, err := stranger.ask(r.t.Context(), "{ viewer { __typename } }", nil); err == nil || !strings.Contains(err.Error(), "401") {
		r.t.Errorf("with a wrong key: %v", err)
	}
}

// wantReadme fails the test unless the operations in the README and docs/scripts.md
// succeed, with the answers that they show.
func (r *process) wantReadme() {
	r.t.Helper()
	readme, err := os.ReadFile("README.md")
	must(r.t, err)
	scripts, err := os.ReadFile("docs/scripts.md")
	must(r.t, err)
	readme = append(append(readme, '\n'), scripts...)
	asked := 0
	blocks := regexp.MustCompile(`(?m)(^    .*\n)+`).FindAllString(string(readme), -1)
	for i, block := range blocks {
		var body struct{ Query string }
		query := strings.TrimSpace(block)
		if _, sent, isCurl := strings.Cut(query, " -d '"); isCurl {
			must(r.t, json.Unmarshal([]byte(strings.TrimSuffix(sent, "'")), &body))
			query = body.Query
		} else if !strings.HasPrefix(query, "{ ") && !strings.HasPrefix(query, "mutation ") {
			continue
		}
		asked++
		data, err := r.ask(r.t.Context(), query, nil)
		if err != nil {
			r.t.Errorf("%s\n%v", query, err)
		}
		if body.Query != "" {
			var shown struct{ Data object }
			answer, _, _ := strings.Cut(blocks[i+1], `,"extensions"`)
			must(r.t, json.Unmarshal([]byte(answer+"}"), &shown))
			if !reflect.DeepEqual(data, shown.Data) {
				r.t.Errorf("%s\nis answered\n%v\nwhere the README has\n%v", query, data, shown.Data)
			}
		}
	}
	if asked != 3 {
		r.t.Errorf("README and scripts show %d operations", asked)
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	t.Parallel()
	p := setup(t).withCluster()
	first := p.start("-demo=false")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(first.url, "http://"))
	must(t, err)
	p.launch("-addr", "localhost:0").wantRefusal("another Roster is already running on " + p.data())
	p.launch("-addr", "localhost:"+port).wantRefusal("address already in use by a Roster that runs there; choose another one by ROSTER_ADDR (-addr)")
	must(t, first.create(t.Context(), "ann@example.com"))
	first.wantReady()
	first.stop()
}

// With a database that others run, the program starts none and leaves out the demo. Only
// the first server makes the administrator's key, and the others are given its secret key.
func TestDatabaseURL(t *testing.T) {
	t.Parallel()
	dsn := dbtest.DSN(t)
	first, second := setup(t), setup(t)
	first.env, second.env = []string{"DATABASE_URL=" + dsn}, []string{"DATABASE_URL=" + dsn}
	one := first.start()
	one.wantLines(mailsShown, "listening")
	one.wantKeyKept()
	if files := names(t, first.data()); strings.Join(files, " ") != "admin-key secret-key" {
		t.Errorf("the data folder holds %v", files)
	}
	if emails := one.emails(); len(emails) != 0 {
		t.Errorf("there are users: %v", emails)
	}

	key, err := secretKeyFile(first.data()).read()
	must(t, err)
	second.env = append(second.env, "ROSTER_SECRET_KEY="+key.Reveal())
	two := second.start()
	two.wantLines("mails are not sent, and nobody can sign in by mail: ROSTER_SMTP_URL is not set", "listening")
	if files := names(t, second.dir); len(files) != 0 || two.stdout.String() != "" {
		t.Errorf("the second server makes %v and says %s", files, &two.stdout)
	}
	two.key = one.key
	must(t, two.create(t.Context(), "ann@example.com"))
	if !one.emails()["ann@example.com"] {
		t.Error("the servers do not share their database")
	}
	two.stop()
	one.stop()

	again := first.start()
	if again.stdout.String() != one.stdout.String() || !again.emails()["ann@example.com"] {
		t.Errorf("the next start says %s, and the user is there: %v", &again.stdout, again.emails())
	}
}

// A key in the configuration takes the place of the one in the file, which no longer works.
func TestAdminKeyIsSet(t *testing.T) {
	t.Parallel()
	const chosen = "rk_chosen-by-the-operator-0123456789"
	p := setup(t)
	p.env = []string{"DATABASE_URL=" + dbtest.DSN(t)}
	p.start().stop()
	set := p.start("-admin-key", chosen)
	if _, err := set.ask(t.Context(), "{ viewer { __typename } }", nil); err == nil {
		t.Error("the former key still works")
	}
	set.key = chosen
	must(t, set.create(t.Context(), "ann@example.com"))
	if strings.Contains(set.stdout.String()+set.stderr.String(), chosen) {
		t.Error("the key is printed")
	}
	set.stop()

	must(t, os.WriteFile(filepath.Join(p.dir, "chosen"), []byte(chosen+"\n"), 0o644))
	filed := p.start("-admin-key-file", "chosen")
	filed.key = chosen
	must(t, filed.create(t.Context(), "cid@example.com"))
	filed.stop()

	// The key of the file was revoked, and the chosen one administers the business.
	without := p.start()
	if line := without.logged("the administrator's API key was revoked: others administer the business"); line == nil {
		t.Errorf("nobody is warned:\n%s", &without.stderr)
	}
	without.stop()
	must(t, os.Remove(adminKeyPath(p.data())))
	keyless := p.start()
	if keyless.stdout.String() != "" {
		t.Errorf("another key is made: %s", &keyless.stdout)
	}
	keyless.key = chosen
	must(t, keyless.create(t.Context(), "bob@example.com"))
}

// On a terminal, a new key and the playground's link are printed, this once.
func TestSecretsGoToTerminals(t *testing.T) {
	t.Parallel()
	script, err := exec.LookPath("script")
	if err != nil {
		t.Skip("script, which makes a terminal, is not installed")
	}
	p := setup(t)
	p.env = []string{"DATABASE_URL=" + dbtest.DSN(t), "SHELL=/bin/sh"}
	program := p.binary
	p.binary = script
	r := p.launch("-qec", "exec "+program+" -addr localhost:0", "/dev/null")
	eventually(t, func() error {
		if !strings.Contains(r.stdout.String(), "#token=") {
			return errors.New("no link is printed")
		}
		return nil
	})
	if printed := r.stdout.String(); p.key() == "" || strings.Count(printed, p.key()) != 1 {
		t.Errorf("on the terminal:\n%s", printed)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"version", "-version", "--version"} {
		p := setup(t)
		r := p.launch(arg)
		r.wantEnd(0)
		if said := r.stdout.String(); !strings.HasPrefix(said, "roster ") || !strings.Contains(said, "go1.") || len(names(t, p.dir)) > 0 {
			t.Errorf("%s says %q and makes %v", arg, said, names(t, p.dir))
		}
	}
}

// While the database is away, every door says that it is to be tried again, in its own form.
func TestNotReadyWithoutDatabase(t *testing.T) {
	t.Parallel()
	dsn := dbtest.DSN(t)
	p := setup(t)
	p.env = []string{"DATABASE_URL=" + dsn}
	r := p.start()
	r.wantReady()
	config, err := pgx.ParseConfig(dsn)
	must(t, err)
	name := config.Database
	config.Database = "postgres"
	admin, err := pgx.ConnectConfig(t.Context(), config)
	must(t, err)
	defer admin.Close(context.WithoutCancel(t.Context()))
	exec := func(statement string) {
		_, err := admin.Exec(t.Context(), statement)
		must(t, err)
	}
	data, err := r.ask(t.Context(), `mutation { exportUsers(input: {}) { export { url } }
		createApplication(input: {name: "app", kind: WEB, redirectUrls: ["https://app.example/callback"]}) { application { id } } }`, nil)
	must(t, err)
	link := data["exportUsers"].(object)["export"].(object)["url"].(string)
	application, _ := data["createApplication"].(object)["application"].(object)["id"].(string)
	exec("alter database " + name + " with allow_connections false")
	// More than once, since a connection may just have been let in.
	cut := func() { exec("select pg_terminate_backend(pid) from pg_stat_activity where datname = '" + name + "'") }
	eventually(t, func() error { // once the feed has not been heard from for a while
		cut()
		if status, body := r.get("/readyz"); status != 503 {
			return fmt.Errorf("/readyz answers %d, %.200s", status, body)
		}
		return nil
	})
	r.wantPage("/healthz", 200, "ok")
	eventually(t, func() error { // until the key has to be looked up again
		cut()
		if _, err := r.ask(t.Context(), "{ viewer { permissions } }", nil); err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "The database does not answer") {
			return fmt.Errorf("without a database: %w", err)
		}
		return nil
	})
	for _, door := range []struct{ path, form, contentType string }{
		{"/signin", "", "text/html"}, {"/signin", "account=ada&password=x", "text/html"}, {"/signin/account", "", "text/html"},
		{"/oauth/authorize?client_id=" + application, "", "text/html"}, {"/oauth/token", "grant_type=refresh_token&client_id=" + application, "application/json"},
		{"/oauth/revoke", "token=x&client_id=" + application, "application/json"}, {strings.TrimPrefix(link, r.url), "", "text/plain"},
	} {
		t.Run(door.path+" "+door.form, func(t *testing.T) {
			cut()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+door.path, strings.NewReader(door.form))
			must(t, err)
			if door.form != "" {
				request.Method = http.MethodPost
				request.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {r.url}}
			}
			answer, err := client.Do(request)
			must(t, err)
			defer answer.Body.Close()
			if answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" || !strings.HasPrefix(answer.Header.Get("Content-Type"), door.contentType) {
				t.Errorf("%s, %v", answer.Status, answer.Header)
			}
		})
	}
	exec("alter database " + name + " with allow_connections true")
	r.wantReady()
	r.wantPage("/signin", 200, "<form")
	r.stop()
}

// A server that is told to stop finishes the requests under way.
func TestStopLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			p := setup(t).withCluster()
			r := p.start("-demo=false")
			other := p.connect()
			exec := func(statement string) {
				_, err := other.Exec(t.Context(), statement)
				must(t, err)
			}
			exec("begin")
			exec("lock table users in exclusive mode")
			created := make(chan error, 1)
			go func() { created <- r.create(context.WithoutCancel(t.Context()), "ann@example.com") }()
			eventually(t, func() error {
				var waiting int
				err := other.QueryRow(t.Context(), "select count(*) from pg_locks where not granted").Scan(&waiting)
				if err == nil && waiting == 0 {
					err = errors.New("the request does not wait for the lock yet")
				}
				return err
			})
			must(t, r.cmd.Process.Signal(signal))
			eventually(t, func() error {
				conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
				if err != nil {
					return nil
				}
				return errors.Join(errors.New("new connections are still accepted"), conn.Close())
			})
			select {
			case err := <-created:
				t.Fatalf("the request ended early: %v", err)
			case <-time.After(100 * time.Millisecond):
			}
			exec("commit")
			must(t, <-created)
			r.wantEnd(0)
			p.wantNobody()
			if !p.start("-demo=false").emails()["ann@example.com"] {
				t.Error("what was acknowledged is lost")
			}
		})
	}
}

// A server that is told to stop while it starts does so at any stage, and the next one
// starts as usual.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	p := setup(t)
	// The stages of a start, in order. The next server continues what the one before began.
	for _, stage := range []struct {
		name    string
		reached func(*process) bool
	}{
		{"the data folder is taken", func(*process) bool { return true }},
		{"the cluster is being made", func(*process) bool { return len(p.workers()) > 0 }},
		{"PostgreSQL starts", func(*process) bool { return exists(filepath.Join(p.data(), "postgres", "postmaster.pid")) }},
		{"PostgreSQL has started", func(r *process) bool { return r.logged("PostgreSQL started") != nil }},
		{"there is a key", func(r *process) bool { return r.logged("PostgreSQL started") != nil && p.key() != "" }},
	} {
		r := p.launch("-addr", "localhost:0")
		eventually(t, func() error {
			if !r.runs() {
				t.Fatalf("%s: the server has ended: %s\n%s", stage.name, r.cmd.ProcessState, &r.stderr)
			}
			// Before it takes the folder, it may not handle signals yet. A stage that was over
			// too soon to be seen counts as reached.
			if r.holdsFolder() && stage.reached(r) || r.logged("listening") != nil {
				return nil
			}
			return errors.New("not reached: " + stage.name)
		})
		r.stop()
	}
	last := p.start()
	if emails := last.emails(); len(emails) < 10 {
		t.Errorf("the demo has %d users: a part of it was kept", len(emails))
	}
	last.stop()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// The server runs as root and as an ordinary account.
func TestUnprivileged(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, which can act as another account; the other tests run unprivileged now")
	}
	p := setup(t)
	nobody, err := user.Lookup("nobody")
	must(t, err)
	uid, err := strconv.Atoi(nobody.Uid)
	must(t, err)
	must(t, os.Chown(p.dir, uid, uid))
	p.account = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	content, err := os.ReadFile(p.binary)
	must(t, err)
	p.binary = filepath.Join(p.dir, "roster") // the test binary lies where only root can go
	// A process that another test forks at this moment would keep the file from being run.
	syscall.ForkLock.RLock()
	err = os.WriteFile(p.binary, content, 0o755)
	syscall.ForkLock.RUnlock()
	must(t, err)

	r := p.start()
	r.wantKeyKept()
	for _, name := range []string{"admin-key", "postgres"} {
		info, err := os.Stat(filepath.Join(p.data(), name))
		must(t, err)
		if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != uid {
			t.Errorf("%s belongs to %d, want %d", name, owner, uid)
		}
	}
	must(t, r.create(t.Context(), "ann@example.com"))
	r.stop()
	if again := p.start(); !again.emails()["ann@example.com"] {
		t.Error("what was written is lost")
	}
}

// names returns the names of the files in a folder; none if there is no folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	all := []string{}
	entries, err := os.ReadDir(dir)
	if !os.IsNotExist(err) {
		must(t, err)
	}
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}
