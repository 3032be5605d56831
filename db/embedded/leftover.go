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

// All in this file runs while the folder's lock is held: what it finds is of an
// earlier run, whose Roster is gone.

// succession is how long an earlier PostgreSQL on the folder, or what is left
// of it, is waited for.
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

// occupied recognises PostgreSQL's refusal to start beside an earlier one: its
// main process is still there, or backends which have outlived a killed one.
func occupied(err error) bool {
	text := err.Error()
	return strings.Contains(text, "lock file ") && strings.Contains(text, "already exists") ||
		strings.Contains(text, "pre-existing shared memory block")
}

// clearLeftovers deals with what PostgreSQL would wait for in vain: an earlier
// server that nobody has told to stop, and a lock file whose process id now
// belongs to another process. In a container, where few ids are used, the
// latter is likely after a crash.
func (c *cluster) clearLeftovers(ctx context.Context) {
	pid, _ := c.pidFile()
	if pid <= 1 || syscall.Kill(pid, 0) != nil {
		return // PostgreSQL itself sees that nobody is there
	}
	if absent(pid, c.path) {
		os.Remove(filepath.Join(c.path, "postmaster.pid"))
		os.Remove(filepath.Join(c.path, ".s.PGSQL.5432.lock"))
		return
	}
	// That it answers on our socket proves that the process id is meant.
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if c.ping(ctx) == nil {
		c.log.WarnContext(ctx, "stopping a PostgreSQL that an earlier run has left behind", "pid", pid)
		_ = syscall.Kill(pid, syscall.SIGINT) // it may have ended just now
	}
}

// pidFile reads which process runs the cluster, and whether it is ready; 0 means
// none. It is what pg_ctl goes by: the first line is the process id, the eighth
// the state.
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
