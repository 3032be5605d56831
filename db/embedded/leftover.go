package embedded

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The functions of this file run while the folder is locked. What they find belongs
// to an earlier run, whose Roster has ended.

// succession is how long run waits for the end of an earlier PostgreSQL on the
// folder, and of the processes that it has left behind.
const succession = 10 * time.Second

// run starts PostgreSQL and waits until it serves.
func (c *cluster) run(ctx context.Context) (*process, error) {
	deadline := time.Now().Add(succession)
	for {
		c.clearLeftovers(ctx)
		p, err := c.launch()
		if err != nil {
			return nil, err
		}
		if err = p.ready(ctx, c); err == nil {
			return p, nil
		}
		if !occupied(err) || time.Now().After(deadline) || !pause(ctx, 50*time.Millisecond) {
			return nil, err
		}
	}
}

// occupied reports whether err is PostgreSQL's refusal to start because the main
// process of an earlier one still runs, or backends of one that was killed.
func occupied(err error) bool {
	text := err.Error()
	return strings.Contains(text, "lock file ") && strings.Contains(text, "already exists") ||
		strings.Contains(text, "pre-existing shared memory block")
}

// clearLeftovers removes obstacles that do not disappear by themselves: it stops an
// earlier server that nobody has told to stop, and removes lock files whose process
// id now belongs to another process. A container uses few process ids, so that the
// latter is likely there after a crash.
func (c *cluster) clearLeftovers(ctx context.Context) {
	pid, _ := c.pidFile()
	if pid <= 1 || syscall.Kill(pid, 0) != nil {
		return // PostgreSQL sees by itself that the process is gone
	}
	if absent(pid, c.path) {
		os.Remove(filepath.Join(c.path, "postmaster.pid"))
		os.Remove(filepath.Join(c.path, ".s.PGSQL.5432.lock"))
		return
	}
	// An answer on our socket proves that the process is a PostgreSQL of this cluster.
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if c.ping(ctx) == nil {
		c.log.WarnContext(ctx, "stopping a PostgreSQL that an earlier run has left behind", "pid", pid)
		_ = syscall.Kill(pid, syscall.SIGINT) // it may have ended just now
	}
}

// pidFile returns the id of the process that runs the cluster, or 0, and reports
// whether it is ready. It reads the file that pg_ctl reads, too: the first line is
// the process id, the eighth the state.
func (c *cluster) pidFile() (pid int, ready bool) {
	text, err := os.ReadFile(filepath.Join(c.path, "postmaster.pid"))
	if err != nil {
		return 0, false
	}
	lines := strings.Split(string(text), "\n")
	pid, err = strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return 0, false
	}
	return pid, len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready"
}
