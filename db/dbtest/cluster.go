package dbtest

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"roster/db"
	"roster/db/embedded"
	"roster/secret"
)

const (
	// template is the name of the database that others are cloned from.
	template = "roster_template"
	// administration is the name of the database whose connections make and drop others.
	administration = "template1"
)

// noSync leaves out all work for surviving a crash of the machine.
var noSync = map[string]string{"fsync": "off", "full_page_writes": "off"}

// PutCluster puts a cluster into a data folder, as if a Roster had run on it. Its database
// "postgres" is migrated and empty.
func PutCluster(t testing.TB, dir string) {
	t.Helper()
	if err := putCluster(context.WithoutCancel(t.Context()), dir); err != nil {
		t.Fatal(err)
	}
}

// putCluster puts a cluster with a template into a data folder. Making one takes 1.5 s of
// processor time, and copying it a tenth of that, so all packages under test have copies of
// one.
func putCluster(ctx context.Context, dir string) error {
	work, shared := workFolder()
	if !shared {
		return makeCluster(ctx, dir)
	}
	unlock, err := lock(filepath.Join(work, prefix+"lock"))
	if err != nil {
		return err
	}
	original := filepath.Join(work, prefix+"original")
	_, err = os.Stat(original)
	if errors.Is(err, fs.ErrNotExist) {
		err = makeOriginal(ctx, original)
	}
	unlock()
	if err != nil {
		return err
	}
	to := filepath.Join(dir, "postgres")
	if err := os.CopyFS(to, os.DirFS(filepath.Join(original, "postgres"))); err != nil {
		return err
	}
	return os.Chmod(to, 0o700) // PostgreSQL refuses to run on one that others can read
}

// workFolder returns the folder in which go test builds the tests. All packages under test
// share it, and go test removes it in the end. It reports false if go test has not started
// this process.
func workFolder() (dir string, ok bool) {
	program, err := os.Executable()
	dir = filepath.Dir(filepath.Dir(program)) // the program is go-build…/b001/db.test
	return dir, err == nil && strings.HasPrefix(filepath.Base(dir), "go-build")
}

// lock locks a file, which it makes if it is missing, against other processes.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN); f.Close() }, nil
}

// makeOriginal makes the cluster that others are copies of. It works under another name and
// renames the result, so that the original is always complete.
func makeOriginal(ctx context.Context, original string) error {
	unfinished := original + ".new"
	if err := errors.Join(os.RemoveAll(unfinished), makeCluster(ctx, unfinished)); err != nil {
		return err
	}
	return os.Rename(unfinished, original)
}

// makeCluster makes a cluster in a data folder. Its database "postgres" is migrated and empty,
// and so is the template.
func makeCluster(ctx context.Context, dir string) (err error) {
	s, err := embedded.Start(ctx, embedded.Options{Dir: dir, Log: slog.New(slog.DiscardHandler), Settings: noSync})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := migrate(ctx, s.DSN("postgres")); err != nil {
		return err
	}
	admin, err := pgx.Connect(ctx, s.DSN(administration))
	if err != nil {
		return err
	}
	defer admin.Close(ctx)
	_, err = admin.Exec(ctx, "create database "+template+" template postgres strategy file_copy")
	return err
}

func migrate(ctx context.Context, dsn string) error {
	d, err := db.Open(ctx, secret.New(dsn), db.Options{})
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = d.Migrate(ctx, slog.New(slog.DiscardHandler))
	return err
}
