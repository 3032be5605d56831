// Package dbtest makes databases for tests: each test has a PostgreSQL database of
// its own, migrated and empty.
//
// A package whose tests call New or DSN calls Main from its TestMain. The first
// call starts PostgreSQL (see package embedded), with its files in memory if the
// machine has space for them, on a copy of a migrated cluster; a database is a copy of its
// template, made and dropped in some 30 ms of processor time. Each connection to it
// takes another 7 to 40 ms, since the machine has to copy a process. What many tests begin
// with is made once: see Filled.
package dbtest

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
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

var (
	start  = sync.OnceValues(startServer)
	number atomic.Int64
	// stop stops the server; nil until there is one.
	stop = func() {}
)

// gcPercent lets the heap of tests, which is small, grow to a multiple before garbage is
// collected: that takes a tenth of their processor time otherwise.
const gcPercent = 400

// Main runs the tests of a package, stops the server if a test has started one,
// and exits. It fails if goroutines are left then.
func Main(m *testing.M) {
	debug.SetGCPercent(gcPercent)
	goleak.VerifyTestMain(stopping{m})
}

// stopping runs the tests of M, and then stops the server.
type stopping struct{ *testing.M }

func (s stopping) Run() int {
	defer func() { stop() }()
	return s.M.Run()
}

// New returns an empty, migrated database, which is dropped after the test.
// The tracers see each statement.
func New(t testing.TB, tracers ...pgx.QueryTracer) *db.DB {
	t.Helper()
	return Open(t, DSN(t), tracers...)
}

// Open connects to a database until the end of the test. The tracers see each
// statement.
func Open(t testing.TB, dsn string, tracers ...pgx.QueryTracer) *db.DB {
	t.Helper()
	var o db.Options
	for _, tracer := range tracers {
		o.Tracer = tracer
	}
	d, err := db.Open(t.Context(), secret.New(dsn), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// DSN returns the connection string of an empty, migrated database, which is
// dropped after the test.
func DSN(t testing.TB) string {
	t.Helper()
	return newDatabase(t, template)
}

// Filled is a database that is filled once, and copied for each test: filling it takes
// many times as long as copying it.
type Filled struct {
	fill func(ctx context.Context, database *db.DB) error
	name string
	once sync.Once
	err  error
}

// NewFilled returns a database that fill fills when a test first asks for it. fill gets
// a migrated and empty one, and must leave no connection to it open.
func NewFilled(fill func(ctx context.Context, database *db.DB) error) *Filled {
	return &Filled{fill: fill, name: fmt.Sprintf("%s_%d", template, number.Add(1))}
}

// DSN returns the connection string of a copy, which is dropped after the test.
func (f *Filled) DSN(t testing.TB) string {
	t.Helper()
	f.once.Do(func() { f.err = f.make(context.Background()) })
	if f.err != nil {
		t.Fatal(f.err)
	}
	return newDatabase(t, f.name)
}

func (f *Filled) make(ctx context.Context) error {
	s, err := start()
	if err != nil {
		return err
	}
	if _, err := s.admin.Exec(ctx, "create database "+f.name+" template "+template+" strategy file_copy"); err != nil {
		return err
	}
	d, err := db.Open(ctx, secret.New(s.DSN(f.name)), db.Options{})
	if err != nil {
		return err
	}
	defer d.Close()
	return f.fill(ctx, d)
}

func newDatabase(t testing.TB, from string) string {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("test_%d", number.Add(1))
	// Copying files leaves out the log, and brings PostgreSQL's cache of its catalogue
	// along, which the first connection would have to make.
	s.execute(t, "create database "+name+" template "+from+" strategy file_copy")
	t.Cleanup(func() { s.execute(t, "drop database "+name+" with (force)") })
	return s.DSN(name)
}

// NewServer starts a PostgreSQL for a test that stops or kills it; it ends with the
// test. Its database "postgres" is migrated. Commits survive a crash of PostgreSQL, but
// not of the machine. To Roster, all such servers are one and the same PostgreSQL: they have
// one system identifier.
func NewServer(t testing.TB) *embedded.Server {
	t.Helper()
	dir := TempDir(t)
	PutCluster(t, dir)
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: dir, Log: slog.New(slog.DiscardHandler), Settings: noSync})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

// server is the PostgreSQL that has the databases, and the connections that make
// and drop them.
type server struct {
	*embedded.Server
	admin *pgxpool.Pool
}

// settings turn off all work for surviving a crash of the machine, and for copies of the
// database elsewhere. An odd time zone reveals statements that forget to ask for UTC.
var settings = map[string]string{
	"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
	"wal_level": "minimal", "max_wal_senders": "0", "min_wal_size": "32MB", "max_wal_size": "64MB",
	"max_connections": "500", "autovacuum": "off", "deadlock_timeout": "200ms", "timezone": "Canada/Newfoundland",
}

func startServer() (*server, error) {
	dir, remove, err := newFolder()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	if err := putCluster(ctx, dir); err != nil {
		remove()
		return nil, err
	}
	postgres, err := embedded.Start(ctx, embedded.Options{Dir: dir, Log: slog.New(slog.DiscardHandler), Settings: settings})
	if err != nil {
		remove()
		return nil, err
	}
	stopPostgres := func() {
		_ = postgres.Stop()
		remove()
	}
	stop = stopPostgres
	admin, err := pgxpool.New(ctx, postgres.DSN(administration))
	if err != nil {
		return nil, err
	}
	stop = func() {
		admin.Close()
		stopPostgres()
	}
	return &server{postgres, admin}, cacheCatalogue(ctx, postgres.DSN(template))
}

// cacheCatalogue makes PostgreSQL write its cache of the catalogue of a database, which it
// removes when it starts. Otherwise, the first connection to each copy would make it.
func cacheCatalogue(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

func (s *server) execute(t testing.TB, text string) {
	t.Helper()
	if _, err := s.admin.Exec(context.Background(), text); err != nil {
		t.Fatal(err)
	}
}
