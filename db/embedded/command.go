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

// command prepares a program of PostgreSQL: under the account, apart from our
// terminal's signals, away from a working folder that the account may not be
// able to enter, and without our environment, whose PG… variables would change
// settings. When this process dies, the program gets the signal onDeath (Linux).
func command(ctx context.Context, account *syscall.Credential, onDeath syscall.Signal, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = attributes(account, onDeath)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// runLocked runs a short program to its end and returns all that it wrote.
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

// startLocked starts cmd, closes the files handed down to it, and calls ended
// with its result. All happens on one thread of the operating system, for it is
// that thread's end, not the process's, at which the kernel signals the child.
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
