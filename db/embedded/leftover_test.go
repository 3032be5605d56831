package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// After a crash of Roster on macOS, nobody has told PostgreSQL to stop.
func TestOrphanIsStopped(t *testing.T) {
	t.Parallel()
	s, o := startOnce(t)
	orphan, err := s.cluster.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = next.Stop() }()
	<-orphan.exited
}

// After a crash, another program may have the process id in postmaster.pid.
// PostgreSQL alone would refuse to start while that program runs.
func TestReusedProcessID(t *testing.T) {
	t.Parallel()
	s, o := startOnce(t)
	other := command(context.Background(), s.cluster.account, syscall.SIGKILL, "/bin/sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	for _, name := range []string{"postmaster.pid", ".s.PGSQL.5432.lock"} {
		text := fmt.Sprintf("%d\n%s\n1\n5432\n.\n", other.Process.Pid, s.cluster.path)
		if err := os.WriteFile(filepath.Join(s.cluster.path, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	next, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	_ = next.Stop()
}

// startOnce returns a server that was started and stopped, so that its cluster exists.
func startOnce(t *testing.T) (*Server, Options) {
	t.Helper()
	o := Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Settings: map[string]string{"fsync": "off"}}
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	return s, o
}
