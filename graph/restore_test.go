package graph_test

import (
	"log/slog"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"roster/db"
	"roster/db/dbtest"
	"roster/db/embedded"
	"roster/graph/graphtest"
	"roster/secret"
)

// A backup is restored into another cluster as docs/operations.md says. The numbers of
// the earlier cluster's transactions are ahead there: clients that send a revision of it
// are answered all the same, and read what was restored.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	dsn := dbtest.DSN(t)
	before := graphtest.Over(t, open(t, dsn))
	_, err := before.Database.ExecContext(t.Context(), "do $$ begin for i in 1..5000 loop perform pg_current_xact_id(); commit; end loop; end $$")
	graphtest.Must(t, err)
	a := before.Ask(t, `mutation { createUser(input: {email: "ada@example.com"}) { user { id } } }`)
	revision, _ := graphtest.At(graphtest.ParseJSON(t, string(a.Body)), "extensions.revision").(string)

	key := before.Holding(t, "", "roster:users:read")

	backup := filepath.Join(t.TempDir(), "roster.dump")
	run(t, "pg_dump", "--format=custom", "--file="+backup, dsn)
	// A PostgreSQL of another origin: those of dbtest.NewServer are copies of one.
	server, err := embedded.Start(t.Context(), embedded.Options{Dir: dbtest.TempDir(t), Log: slog.New(slog.DiscardHandler), Settings: map[string]string{"fsync": "off"}})
	graphtest.Must(t, err)
	t.Cleanup(func() { _ = server.Stop() })
	admin, err := pgx.Connect(t.Context(), server.DSN("postgres"))
	graphtest.Must(t, err)
	_, err = admin.Exec(t.Context(), "create database roster")
	graphtest.Must(t, err)
	graphtest.Must(t, admin.Close(t.Context()))
	run(t, "pg_restore", "--exit-on-error", "--no-owner", "--dbname="+server.DSN("roster"), backup)

	restored := graphtest.Over(t, open(t, server.DSN("roster")))
	header := graphtest.Headers(key) // which goes on working
	header.Set("Roster-At-Least", revision)
	got := restored.Send(t, http.MethodPost, "/graphql", header, []byte(`{"query":"{ user(by: {email: \"ada@example.com\"}) { id } }"}`))
	if got.Status != http.StatusOK || got.Text("user.id") != a.Text("createUser.user.id") {
		t.Errorf("after %s: %d %s", revision, got.Status, got.Body)
	}
}

func open(t *testing.T, dsn string) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), secret.New(dsn), db.Options{})
	graphtest.Must(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// run runs a program of PostgreSQL's client.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		t.Skip("this needs " + name + ": on Debian, install postgresql-client")
	}
	if output, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, output)
	}
}
