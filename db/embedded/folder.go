package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lockWait is how long a start waits for the lock of a folder. An earlier Roster
// that was killed holds it until the kernel has closed its files.
const lockWait = 2 * time.Second

// lockFolder makes dir if it is missing and locks it for this process. The lock
// ends when unlockFolder is called, or when the process ends, in whatever way.
func lockFolder(ctx context.Context, dir string) (*os.File, error) {
	// Others may pass through (PostgreSQL's account must, if Roster is root) but not look.
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("the data folder cannot be made: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data folder cannot be used: %w", err)
	}
	deadline := time.Now().Add(lockWait)
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) || !pause(ctx, 20*time.Millisecond) {
			break
		}
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("another Roster is already running on %s", dir)
	}
	return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
}

// unlockFolder unlocks what lockFolder has locked. Closing the file alone would
// not: a program that this process is starting at that moment has a copy of the
// open file, and the lock with it, until it runs.
func unlockFolder(lock *os.File) error {
	return errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_UN), lock.Close())
}

// longestHost is the longest folder, in bytes, of a socket: its address may have 104
// bytes on macOS and 108 on Linux, with "/.s.PGSQL.5432" and a closing zero.
const longestHost = 103 - len("/.s.PGSQL.5432")

// socketFolder returns a name for the cluster's folder that clients can use to reach
// the socket in it. PostgreSQL itself opens the socket under the relative name ".",
// which is never too long. If the folder's path is too long, or contains a comma,
// which drivers read as a list of hosts, the name is a short link, which drop removes.
func socketFolder(cluster string) (host string, drop func(), err error) {
	if usableHost(cluster) {
		return cluster, func() {}, nil
	}
	for _, base := range []string{os.TempDir(), "/tmp"} {
		dir, err := os.MkdirTemp(base, "roster-")
		if err != nil {
			return "", nil, fmt.Errorf("making a short name for the socket: %w", err)
		}
		drop := func() { os.RemoveAll(dir) }
		host := filepath.Join(dir, "db")
		if !usableHost(host) {
			drop()
			continue
		}
		if err := os.Symlink(cluster, host); err != nil {
			drop()
			return "", nil, fmt.Errorf("making a short name for the socket: %w", err)
		}
		return host, drop, nil
	}
	return "", nil, fmt.Errorf("no folder for temporary files is short enough for a socket (TMPDIR is %s)", os.TempDir())
}

func usableHost(path string) bool {
	return len(path) <= longestHost && !strings.Contains(path, ",")
}
