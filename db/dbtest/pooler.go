package dbtest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Pooler starts pgbouncer before the database of dsn, in its default configuration
// except for the given lines, such as "pool_mode = transaction". It returns the
// connection string that leads through it, and stops it after the test.
func Pooler(t testing.TB, dsn string, lines ...string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // which is not in everybody's PATH
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("this needs pgbouncer: on Debian, install the package of this name")
	}
	address, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	dir := poolerFolder(t)
	query := address.Query()
	lines = append([]string{
		"[databases]", "* = host=" + query.Get("host") + " port=5432 user=" + address.User.Username(), "[pgbouncer]",
		"listen_port = 5432", "unix_socket_dir = " + dir, "auth_type = any", "log_connections = 0", "log_disconnections = 0",
	}, lines...)
	if os.Geteuid() == 0 {
		lines = append(lines, "user = "+owner(t, query.Get("host"))) // who may connect; it doesn't run as root
	}
	config := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, config)
	command.Stdout, command.Stderr = t.Output(), t.Output()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	awaitSocket(t, filepath.Join(dir, ".s.PGSQL.5432"))
	query.Set("host", dir)
	address.RawQuery = query.Encode()
	return address.String()
}

// poolerFolder makes a folder with a name short enough for sockets, which any
// account may write to.
func poolerFolder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "roster-pooler-")
	if err == nil {
		err = os.Chmod(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// owner returns the account that a folder belongs to.
func owner(t testing.TB, dir string) string {
	t.Helper()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	account, err := user.LookupId(strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Uid)))
	if err != nil {
		t.Fatal(err)
	}
	return account.Username
}

func awaitSocket(t testing.TB, path string) {
	t.Helper()
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var conn net.Conn
		if conn, err = net.Dial("unix", path); err == nil {
			_ = conn.Close()
			return
		}
	}
	t.Fatal(fmt.Errorf("pgbouncer does not listen: %w", err))
}

// EmptyDSN returns the connection string of a database in which nothing is yet,
// owned by PostgreSQL's administrator. It is dropped after the test.
func EmptyDSN(t testing.TB) string {
	t.Helper()
	return newDatabase(t, "template0")
}
