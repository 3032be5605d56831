package dbtest

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Not parallel: it sets TMPDIR.
func TestAbandonedFoldersAreRemoved(t *testing.T) {
	parent := t.TempDir()
	t.Setenv("TMPDIR", parent)
	used := TempDir(t)
	abandoned, fresh := filepath.Join(parent, prefix+"abandoned"), filepath.Join(parent, prefix+"fresh")
	foreign := filepath.Join(parent, "foreign")
	for _, dir := range []string{abandoned, fresh, foreign} {
		if err := os.MkdirAll(filepath.Join(dir, "postgres"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-time.Hour)
	for _, dir := range []string{used, abandoned, foreign} {
		if err := os.Chtimes(dir, past, past); err != nil {
			t.Fatal(err)
		}
	}
	TempDir(t)
	for dir, want := range map[string]bool{used: true, fresh: true, foreign: true, abandoned: false} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s is there: %t, want %t", dir, err == nil, want)
		}
	}
}
