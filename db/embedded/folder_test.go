package embedded

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"
)

// A program that is being started has a copy of every open file until it runs.
func TestUnlockedWhileAProgramStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock := mustLock(t, dir)
	copied, err := syscall.Dup(int(lock.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(copied)
	if err := unlockFolder(lock); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it does not wait
	next, err := lockFolder(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	next.Close()
}

// An earlier Roster that is ending has the lock for a moment.
func TestLockIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock := mustLock(t, dir)
	began := time.Now()
	time.AfterFunc(lockWait/10, func() { _ = unlockFolder(lock) })
	next, err := lockFolder(t.Context(), dir)
	// On a machine that stands still for lockWait, the wait is over first.
	if err != nil && time.Since(began) < lockWait {
		t.Fatal(err)
	}
	if err == nil {
		_ = unlockFolder(next)
	}
}

func mustLock(t *testing.T, dir string) *os.File {
	t.Helper()
	lock, err := lockFolder(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return lock
}
