package embedded_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestKilledChildIsReplaced(t *testing.T) {
	t.Parallel()
	b := setup(t).withCluster()
	s := b.start()
	b.exec(s, "create table kept (n int)", "insert into kept values (1)")
	for range 2 {
		dead := s.Pid()
		must(t, syscall.Kill(dead, syscall.SIGKILL))
		killed := time.Now()
		eventually(t, func() error {
			conn, err := pgx.Connect(t.Context(), s.DSN("postgres"))
			if err != nil {
				return err
			}
			return conn.Close(t.Context())
		})
		t.Logf("replaced in %v", time.Since(killed))
		eventually(t, func() error {
			if s.Pid() == dead {
				return fmt.Errorf("Pid is still %d", dead)
			}
			return nil
		})
		if got := b.count(s); got != 1 {
			t.Errorf("rows afterwards: got %d, want 1", got)
		}
	}
	if !strings.Contains(b.log.String(), `level=WARN msg="PostgreSQL has died`) {
		t.Errorf("no warning:\n%s", b.log)
	}
	b.stop(s)
}

func TestStopWhileReplacing(t *testing.T) {
	t.Parallel()
	b := setup(t).withCluster()
	s := b.start()
	must(t, syscall.Kill(s.Pid(), syscall.SIGKILL))
	_ = s.Stop() // an error if it has not seen the death yet
	b.exec(b.start(), "select 1")
}

// After kill -9 of a Roster, its PostgreSQL must end, and the next Roster, started at
// once, must have everything that was committed.
func TestKilledRoster(t *testing.T) {
	t.Parallel()
	for name, killChild := range map[string]bool{"alone": false, "with its PostgreSQL": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t).withCluster()
			h := b.startHelper(os.Args[0], nil)
			h.kill()
			if killChild {
				_ = syscall.Kill(h.postgres, syscall.SIGKILL)
			}
			s := b.start()
			if got := b.count(s); got != 1 {
				t.Errorf("rows afterwards: got %d, want 1", got)
			}
			if s.Pid() == h.postgres {
				t.Error("the server of the dead Roster runs on")
			}
			b.stop(s)
		})
	}
}
