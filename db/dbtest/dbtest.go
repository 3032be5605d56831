// Package dbtest gives each test a PostgreSQL database of its own, migrated and
// empty. The server is started once for each test binary, which calls Main; a
// database is a clone of a migrated one and takes some 50 to 100 ms.
package dbtest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"roster/db"
	"roster/db/embedded"
	"roster/secret"
)

// template is the name of the database that others are cloned from.
const template = "roster_template"

var (
	start  = sync.OnceValues(startServer)
	number atomic.Int64
	// stop ends the server, once there is one.
	stop = func() {}
)

// Main runs the tests of a package and stops its server, if a test has started
// one. It fails when goroutines are left then. Call it from TestMain.
func Main(m *testing.M) {
	goleak.VerifyTestMain(stopping{m})
}

// stopping runs tests, and then stops the server.
type stopping struct{ *testing.M }

func (s stopping) Run() int {
	defer func() { stop() }()
	return s.M.Run()
}

// New gives an empty, migrated database, which is dropped after the test.
// Tracers see each statement.
func New(t testing.TB, tracers ...pgx.QueryTracer) *db.DB {
	t.Helper()
	var o db.Options
	for _, tracer := range tracers {
		o.Tracer = tracer
	}
	d, err := db.Open(t.Context(), secret.New(DSN(t)), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// DSN gives the connection string of an empty, migrated database, which is
// dropped after the test.
func DSN(t testing.TB) string {
	t.Helper()
	return newDatabase(t, template)
}

func newDatabase(t testing.TB, from string) string {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("test_%d", number.Add(1))
	s.execute(t, "create database "+name+" template "+from)
	t.Cleanup(func() { s.execute(t, "drop database "+name+" with (force)") })
	return s.DSN(name)
}

// server is where the databases are, and the connections by which they are made.
type server struct {
	*embedded.Server
	admin *pgxpool.Pool
}

func startServer() (*server, error) {
	dir, err := os.MkdirTemp("", "roster-test-")
	if err == nil {
		err = os.Chmod(dir, 0o711) // a pooler, which runs under the account of PostgreSQL, passes
	}
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	postgres, err := embedded.Start(ctx, embedded.Options{
		Dir: dir,
		Log: slog.New(slog.DiscardHandler),
		// What is lost in a crash of the machine, a test does not miss.
		Settings: map[string]string{
			"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
			"max_connections": "500", "autovacuum": "off", "deadlock_timeout": "200ms",
		},
	})
	if err != nil {
		return nil, err
	}
	stopPostgres := func() {
		_ = postgres.Stop()
		_ = os.RemoveAll(dir)
	}
	stop = stopPostgres
	admin, err := pgxpool.New(ctx, postgres.DSN("postgres"))
	if err != nil {
		return nil, err
	}
	stop = func() {
		admin.Close()
		stopPostgres()
	}
	s := &server{postgres, admin}
	if err := s.prepareTemplate(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *server) prepareTemplate(ctx context.Context) error {
	// An odd time zone shows what forgets to say UTC.
	for _, text := range []string{"create database " + template, "alter system set timezone = 'Canada/Newfoundland'", "select pg_reload_conf()"} {
		if _, err := s.admin.Exec(ctx, text); err != nil {
			return err
		}
	}
	d, err := db.Open(ctx, secret.New(s.DSN(template)), db.Options{})
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = d.Migrate(ctx)
	return err
}

func (s *server) execute(t testing.TB, text string) {
	t.Helper()
	if _, err := s.admin.Exec(context.Background(), text); err != nil {
		t.Fatal(err)
	}
}
