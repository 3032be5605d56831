package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"roster/db/embedded"
)

// helperDir is the variable that makes this test binary a helper: a small Roster on
// the data folder that the variable names.
const helperDir = "ROSTER_TEST_EMBEDDED_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		if err := help(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// help starts a server, commits a row, prints the server's process id, and stops when
// its input ends.
func help(dir string) error {
	ctx := context.Background()
	s, err := embedded.Start(ctx, embedded.Options{Dir: dir, Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "create table if not exists kept (n int); insert into kept values (1)"); err != nil {
		return err
	}
	fmt.Println("pid", s.Pid())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return s.Stop()
}

// helper is a Roster in a process of its own.
type helper struct {
	cmd      *exec.Cmd
	input    io.Closer
	postgres int
}

// startHelper starts the test binary as a helper and waits until it has committed its
// row. The helper runs under account, or under ours if that is nil.
func (b *bundle) startHelper(binary string, account *syscall.Credential) *helper {
	b.t.Helper()
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), helperDir+"="+b.options.Dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account}
	input, err := cmd.StdinPipe()
	must(b.t, err)
	output, err := cmd.StdoutPipe()
	must(b.t, err)
	must(b.t, cmd.Start())
	b.t.Cleanup(func() { input.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(output).ReadString('\n')
	must(b.t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "pid ")))
	if err != nil {
		b.t.Fatalf("the helper says: %s", line)
	}
	return &helper{cmd: cmd, input: input, postgres: pid}
}

// kill ends the helper by kill -9 and waits for its end.
func (h *helper) kill() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}
