package embedded_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/db/dbtest"
	"roster/db/embedded"
)

func TestRestartKeepsData(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.start()
	b.exec(first, "create table kept (n int)", "insert into kept values (1)")
	b.stop(first)
	b.stop(first) // does nothing more

	second := b.start()
	if got := b.count(second); got != 1 {
		t.Errorf("rows after a restart: got %d, want 1", got)
	}
	if !strings.Contains(b.log.String(), `level=INFO msg="PostgreSQL started" version=`) {
		t.Errorf("the start is not logged:\n%s", b.log)
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t).withCluster()
	first := b.start()
	_, err := embedded.Start(t.Context(), b.options)
	wantError(t, err, "another Roster is already running on "+b.options.Dir)
	b.exec(first, "select 1")
}

// Without a character type that covers letters beyond ASCII, an index cannot find
// most of the names in the world.
func TestTrigramsOfEveryScript(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.wantTrigrams(b.start())
}

func TestOddAndDeepFolder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.Dir = filepath.Join(b.options.Dir, strings.Repeat("deep/", 30), "it's, 100% \\ odd")
	s := b.start()
	b.exec(s, "select 1", `create database "it's & odd?"`)
	conn, err := pgx.Connect(t.Context(), s.DSN("it's & odd?"))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close(t.Context())
}

func TestForeignFolderIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ file, text, want string }{
		"something else": {"notes.txt", "dear diary", "there is no PG_VERSION"},
		"old":            {"PG_VERSION", "9\n", `made by PostgreSQL "9"`},
		"old with dot":   {"PG_VERSION", "9.6\n", `made by PostgreSQL "9.6"`},
		"nonsense":       {"PG_VERSION", "", `made by PostgreSQL ""`},
		"future":         {"PG_VERSION", "99\n", "made by PostgreSQL 99, which is not among the binaries"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			file := filepath.Join(b.options.Dir, "postgres", test.file)
			must(t, os.MkdirAll(filepath.Dir(file), 0o755))
			must(t, os.WriteFile(file, []byte(test.text), 0o644))
			_, err := embedded.Start(t.Context(), b.options)
			wantError(t, err, test.want)
			if text, err := os.ReadFile(file); err != nil || string(text) != test.text {
				t.Errorf("the file is now %q, %v", text, err)
			}
			if got := entries(t, filepath.Dir(file)); len(got) != 1 {
				t.Errorf("the folder now holds %v", got)
			}
		})
	}
}

func TestUnusableBinaries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.Binaries = t.TempDir()
	_, err := embedded.Start(t.Context(), b.options)
	wantError(t, err, "no PostgreSQL server there")
}

func TestCancelledStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, stage := range []string{"lock", "postgres.init", "postgres.init/base"} {
		ctx, cancel := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		watching.Go(func() {
			defer cancel()
			for ctx.Err() == nil && !exists(filepath.Join(b.options.Dir, stage)) {
				time.Sleep(time.Millisecond)
			}
		})
		if s, err := embedded.Start(ctx, b.options); err == nil {
			t.Errorf("started, though it was told to stop when there was %s", stage)
			b.stop(s)
		}
		cancel()
		watching.Wait()
	}
	b.exec(b.start(), "select 1") // the unfinished cluster is no obstacle
}

// bundle is a data folder, the options to start a server on it, and the log.
type bundle struct {
	t       *testing.T
	options embedded.Options
	log     *logText
}

func setup(t *testing.T) *bundle {
	t.Helper()
	log := &logText{}
	handler := slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})
	return &bundle{t: t, log: log, options: embedded.Options{
		Dir:      filepath.Join(dbtest.TempDir(t), "data"),
		Log:      slog.New(handler),
		Settings: map[string]string{"fsync": "off"},
	}}
}

// withCluster puts a cluster into the data folder, which takes a tenth of the time that Start
// takes to make one, and returns b.
func (b *bundle) withCluster() *bundle {
	b.t.Helper()
	dbtest.PutCluster(b.t, b.options.Dir)
	return b
}

func (b *bundle) start() *embedded.Server {
	b.t.Helper()
	s, err := embedded.Start(b.t.Context(), b.options)
	if err != nil {
		b.t.Fatalf("%v\n%s", err, b.log)
	}
	b.t.Cleanup(func() { _ = s.Stop() })
	return s
}

// stop stops the server and checks that no process is left behind.
func (b *bundle) stop(s *embedded.Server) {
	b.t.Helper()
	pid := s.Pid()
	must(b.t, s.Stop())
	if err := syscall.Kill(pid, 0); err == nil {
		b.t.Errorf("process %d still runs", pid)
	}
	b.wantNobodyIn()
}

// wantNobodyIn checks that no process works in the cluster.
func (b *bundle) wantNobodyIn() {
	b.t.Helper()
	cluster := filepath.Join(b.options.Dir, "postgres")
	for _, cwd := range globs(b.t, "/proc/[0-9]*/cwd") {
		if dir, err := os.Readlink(cwd); err == nil && dir == cluster {
			b.t.Errorf("a process is left behind: %s", cwd)
		}
	}
}

func (b *bundle) connect(s *embedded.Server) *pgx.Conn {
	b.t.Helper()
	conn, err := pgx.Connect(b.t.Context(), s.DSN("postgres"))
	must(b.t, err)
	b.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func (b *bundle) exec(s *embedded.Server, statements ...string) {
	b.t.Helper()
	conn := b.connect(s)
	for _, statement := range statements {
		if _, err := conn.Exec(b.t.Context(), statement); err != nil {
			b.t.Fatalf("%s: %v", statement, err)
		}
	}
}

// count returns the number of rows that the test has inserted.
func (b *bundle) count(s *embedded.Server) (n int) {
	b.t.Helper()
	must(b.t, b.connect(s).QueryRow(b.t.Context(), "select count(*) from kept").Scan(&n))
	return n
}

func (b *bundle) wantTrigrams(s *embedded.Server) {
	b.t.Helper()
	b.exec(s, "create extension pg_trgm")
	for _, name := range []string{"王小明", "Ωραίο", "محمد", "Ångström"} {
		var found bool
		query := "select show_trgm($1) <> '{}' and lower('Ä') = 'ä'"
		must(b.t, b.connect(s).QueryRow(b.t.Context(), query, name).Scan(&found))
		if !found {
			b.t.Errorf("%s has no trigrams", name)
		}
	}
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("got error %v, want one with %q", err, part)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func entries(t *testing.T, dir string) []fs.DirEntry {
	t.Helper()
	found, err := os.ReadDir(dir)
	must(t, err)
	return found
}

func globs(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	must(t, err)
	return found
}

// eventuallyTimeout is long, so that eventually does not fail on a busy machine.
const eventuallyTimeout = 2 * time.Minute

// eventually calls try until it succeeds.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(eventuallyTimeout); ; time.Sleep(20 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(fmt.Errorf("after %v: %w", eventuallyTimeout, err))
		}
	}
}

// logText collects log lines from any goroutine.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
