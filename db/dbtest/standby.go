package dbtest

import (
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"roster/db/embedded"
)

// NewStandby starts a PostgreSQL that follows the primary, whose commits wait for it from
// then on, as docs/operations.md says; it ends with the test.
func NewStandby(t testing.TB, primary *embedded.Server) *embedded.Server {
	t.Helper()
	program, err := exec.LookPath("pg_basebackup")
	if err != nil {
		t.Skip("this needs pg_basebackup: on Debian, install postgresql-client")
	}
	dir := TempDir(t)
	if output, err := exec.CommandContext(t.Context(), program, "--pgdata="+filepath.Join(dir, "postgres"), "--dbname="+primary.DSN("postgres"),
		"--write-recovery-conf", "--checkpoint=fast", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, output)
	}
	_ = os.Remove(filepath.Join(dir, "postgres", ".s.PGSQL.5432.lock")) // the embedded primary has its socket there
	s, err := embedded.Start(t.Context(), embedded.Options{
		Dir: dir, Log: slog.New(slog.DiscardHandler), Settings: map[string]string{"fsync": "off", "full_page_writes": "off"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	Execute(t, primary, "alter system set synchronous_standby_names = '*'")
	Execute(t, primary, "select pg_reload_conf()")
	return s
}

// Execute runs a statement on the database "postgres" of the server, as the superuser.
func Execute(t testing.TB, s *embedded.Server, text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

// EitherDSN returns the connection string for the database "postgres" of whichever of the
// servers is the primary.
func EitherDSN(t testing.TB, servers ...*embedded.Server) string {
	t.Helper()
	var hosts, ports string
	var either *url.URL
	for _, s := range servers {
		u, err := url.Parse(s.DSN("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		if either != nil {
			hosts, ports = hosts+",", ports+","
		}
		hosts, ports, either = hosts+u.Query().Get("host"), ports+u.Query().Get("port"), u
	}
	query := either.Query()
	query.Set("host", hosts)
	query.Set("port", ports)
	query.Set("target_session_attrs", "read-write")
	either.RawQuery = query.Encode()
	return either.String()
}
