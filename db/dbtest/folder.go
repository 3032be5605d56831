package dbtest

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	// memory is a folder whose files Linux keeps in memory.
	memory = "/dev/shm"
	// enough is more than the databases of all packages under test take, in bytes.
	enough = 2 << 30
	// prefix begins the names of the folders that newFolder makes.
	prefix = "roster-dbtest-"
)

// TempDir returns a new folder for a PostgreSQL that a test starts by itself, in
// memory if possible. It is removed after the test.
func TempDir(t testing.TB) string {
	t.Helper()
	dir, remove, err := newFolder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	return dir
}

// newFolder makes a folder for the files of a PostgreSQL, which remove removes.
// The folder is locked until then, so that others can recognize what a killed
// test has left behind.
func newFolder() (dir string, remove func(), err error) {
	parent := parentFolder()
	removeAbandoned(parent)
	dir, err = os.MkdirTemp(parent, prefix)
	if err == nil {
		err = os.Chmod(dir, 0o711) // a pooler, which runs under the account of PostgreSQL, passes
	}
	if err != nil {
		return "", nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(dir); f.Close() }
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		remove()
		return "", nil, err
	}
	return dir, remove, nil
}

// parentFolder returns a folder in memory if the machine has one with enough
// space: making a database is making 300 files, which takes some file systems
// twenty times as long. A TMPDIR that is set takes precedence.
func parentFolder() string {
	var stat syscall.Statfs_t
	if os.Getenv("TMPDIR") != "" || syscall.Statfs(memory, &stat) != nil || stat.Bavail*uint64(stat.Bsize) < enough {
		return os.TempDir()
	}
	return memory
}

// removeAbandoned removes the folders in parent that nobody has locked, because
// what is left in memory is missing there until the machine restarts. It ignores
// new folders, whose lock may not have been taken yet.
func removeAbandoned(parent string) {
	found, _ := filepath.Glob(filepath.Join(parent, prefix+"*"))
	for _, dir := range found {
		f, err := os.Open(dir)
		if err != nil {
			continue // another account's, or removed just now
		}
		info, err := f.Stat()
		if err == nil && time.Since(info.ModTime()) > time.Minute && syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		f.Close()
	}
}
