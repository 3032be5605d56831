package embedded_test

import (
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// If this process runs as root, PostgreSQL's account cannot walk to the folder.
func TestBelowAClosedFolder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	closed := filepath.Join(t.TempDir(), "closed")
	must(t, os.MkdirAll(filepath.Join(closed, "data"), 0o700))
	b.options.Dir = filepath.Join(closed, "data")
	s := b.start()
	b.exec(s, "create table kept (n int)", "insert into kept values (1)", "checkpoint")
	b.stop(s)
	if got := b.count(b.start()); got != 1 {
		t.Errorf("rows after a restart: got %d, want 1", got)
	}
	for _, dir := range []string{closed, b.options.Dir} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s has now the mode %v, %v", dir, info.Mode(), err)
		}
	}
}

// A cluster that root has restored belongs to root, and PostgreSQL refuses it.
func TestClusterOfRoot(t *testing.T) {
	t.Parallel()
	asRoot(t)
	b := setup(t).withCluster()
	b.stop(b.start())
	must(t, filepath.WalkDir(filepath.Join(b.options.Dir, "postgres"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, 0, 0)
	}))
	b.exec(b.start(), "select 1")
}

// An ordinary account makes the folder, root uses it once, and then the account uses
// it again.
func TestUnprivileged(t *testing.T) {
	t.Parallel()
	asRoot(t)
	b := setup(t)
	nobody, err := user.Lookup("nobody")
	must(t, err)
	uid, err := strconv.Atoi(nobody.Uid)
	must(t, err)
	account := &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	home := openFolder(t)
	b.options.Dir = filepath.Join(home, "data")
	must(t, os.Mkdir(b.options.Dir, 0o700))
	must(t, os.Chown(b.options.Dir, uid, uid))
	binary := filepath.Join(home, "helper")
	copyFile(t, os.Args[0], binary)

	h := b.startHelper(binary, account)
	must(t, h.input.Close())
	must(t, h.cmd.Wait())
	s := b.start()
	b.exec(s, "insert into kept values (2)")
	b.stop(s)
	h = b.startHelper(binary, account)
	h.kill()
	if got := b.count(b.start()); got != 3 {
		t.Errorf("rows afterwards: got %d, want 3", got)
	}
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, which can act as two accounts; the other tests run unprivileged now")
	}
}

// openFolder returns a temporary folder that every account can enter.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "roster-test-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	must(t, err)
	// A file cannot be run while a process that another test forks has a copy of it, open for writing.
	syscall.ForkLock.RLock()
	err = os.WriteFile(to, content, 0o755)
	syscall.ForkLock.RUnlock()
	must(t, err)
	must(t, os.Chmod(to, 0o755))
}
