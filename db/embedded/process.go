package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// shutdownTimeout is how long PostgreSQL may take to shut down before it is told to
// end at once; the next start then recovers from its log.
const shutdownTimeout = 30 * time.Second

// process is a process of the program postgres, and its log.
type process struct {
	cmd     *exec.Cmd
	exited  chan struct{} // closed when the process has ended and its log is read
	serving atomic.Bool   // between ready and stop
	log     logbook
}

// launch starts postgres and returns at once.
func (c *cluster) launch() (*process, error) {
	cmd := command(context.Background(), c.account, syscall.SIGINT, filepath.Join(c.bin.dir, "postgres"))
	name, err := handDown(cmd, c.path, c.account)
	if err != nil {
		return nil, err
	}
	cmd.Args = append(cmd.Args, "-D", name)
	for _, setting := range c.settings {
		cmd.Args = append(cmd.Args, "-c", setting)
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	p.log = logbook{to: c.log, serving: &p.serving, read: make(chan struct{})}
	return p, p.start()
}

func (p *process) start() error {
	// With a pipe made by exec.Cmd, Wait would not return until the last backend has
	// closed its end, too.
	in, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, out
	err = startLocked(p.cmd, func(error) {
		select {
		case <-p.log.read:
		case <-time.After(200 * time.Millisecond):
		}
		close(p.exited)
	})
	if err != nil {
		return errors.Join(err, in.Close())
	}
	go p.log.follow(in)
	return nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ready waits until the process serves the cluster. If it returns an error, the
// process has ended.
func (p *process) ready(ctx context.Context, c *cluster) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			_ = p.stop() // the first error is the one to report
			return context.Cause(ctx)
		case <-p.exited:
			return fmt.Errorf("postgres (%s): %w", p.cmd.ProcessState, p.log.failure())
		case <-tick.C:
			if pid, ready := c.pidFile(); pid != p.pid() || !ready {
				continue
			}
			if err := c.ping(ctx); err != nil {
				_ = p.stop() // the first error is the one to report
				return fmt.Errorf("postgres runs but does not answer: %w", err)
			}
			p.serving.Store(true)
			return nil
		}
	}
}

// stop tells PostgreSQL to disconnect its clients and shut down, and waits for its
// end.
func (p *process) stop() error {
	p.serving.Store(false)
	_ = p.cmd.Process.Signal(syscall.SIGINT) // it may have ended just now
	select {
	case <-p.exited:
	case <-time.After(shutdownTimeout):
		p.log.to.Warn("PostgreSQL does not shut down; it is told to drop everything", "pid", p.pid())
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		<-p.exited
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("stopping postgres: %s", p.cmd.ProcessState)
	}
	return nil
}

// ping fails unless PostgreSQL accepts a connection.
func (c *cluster) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.dsn("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}
