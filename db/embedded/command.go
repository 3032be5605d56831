package embedded

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// command returns a command that runs a program of PostgreSQL under the account. The
// program does not receive the signals of our terminal. Its working folder is one
// that every account can enter. It does not inherit our environment, because
// variables named PG… would change settings. It receives the signal onDeath when
// this process dies (Linux only).
func command(ctx context.Context, account *syscall.Credential, onDeath syscall.Signal, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = attributes(account, onDeath)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// runLocked runs a short program to its end and returns its whole output.
func runLocked(cmd *exec.Cmd) (output string, err error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ended := make(chan error, 1)
	if err := startLocked(cmd, func(err error) { ended <- err }); err != nil {
		return "", err
	}
	err = <-ended
	return out.String(), err
}

// startLocked starts cmd, closes the files handed down to it, and calls ended with
// its result. It keeps one thread of the operating system until then, because the
// kernel signals the child at the end of the thread that started it, not at the end
// of the process.
func startLocked(cmd *exec.Cmd, ended func(error)) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		for _, f := range cmd.ExtraFiles {
			f.Close()
		}
		started <- err
		if err == nil {
			ended(cmd.Wait())
		}
	}()
	return <-started
}
