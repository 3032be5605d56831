// Package dbtest gives each test a PostgreSQL database of its own, migrated and
// empty. The server is started once for each test binary, which calls Main; a
// database is a clone of a migrated one and takes some 50 ms.
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
	d, err := db.Open(t.Context(), secret.New(DSN(t)), tracers...)
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
	server, err := start()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("test_%d", number.Add(1))
	execute(t, server, "create database "+name+" template "+template)
	t.Cleanup(func() { execute(t, server, "drop database "+name+" with (force)") })
	return server.DSN(name)
}

func startServer() (*embedded.Server, error) {
	dir, err := os.MkdirTemp("", "roster-test-")
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	server, err := embedded.Start(ctx, embedded.Options{
		Dir: dir,
		Log: slog.New(slog.DiscardHandler),
		// What is lost in a crash of the machine, a test does not miss.
		Settings: map[string]string{
			"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
			"max_connections": "500", "autovacuum": "off",
		},
	})
	if err != nil {
		return nil, err
	}
	stop = func() {
		_ = server.Stop()
		_ = os.RemoveAll(dir)
	}
	return server, prepareTemplate(ctx, server)
}

func prepareTemplate(ctx context.Context, server *embedded.Server) error {
	admin, err := pgx.Connect(ctx, server.DSN("postgres"))
	if err != nil {
		return err
	}
	defer admin.Close(ctx)
	// An odd time zone shows what forgets to say UTC.
	for _, text := range []string{"create database " + template, "alter system set timezone = 'Canada/Newfoundland'", "select pg_reload_conf()"} {
		if _, err := admin.Exec(ctx, text); err != nil {
			return err
		}
	}
	d, err := db.Open(ctx, secret.New(server.DSN(template)))
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = d.Migrate(ctx)
	return err
}

func execute(t testing.TB, server *embedded.Server, text string) {
	t.Helper()
	ctx := context.Background()
	admin, err := pgx.Connect(ctx, server.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(ctx)
	if _, err := admin.Exec(ctx, text); err != nil {
		t.Fatal(err)
	}
}
