package embedded_test

import (
	"flag"
	"path/filepath"
	"strings"
	"testing"
)

var long = flag.Bool("long", false, "run the tests which download PostgreSQL, too (needs npm and the internet)")

func TestDownloaded(t *testing.T) {
	if !*long {
		t.Skip("downloads 24 MB: run with -long")
	}
	cache := openFolder(t)
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", t.TempDir()) // for macOS, whose cache folder is below it
	t.Run("two at once", func(t *testing.T) {
		for _, name := range []string{"one", "other"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				b.options.Binaries = "download"
				s := b.start()
				b.wantTrigrams(s)
				b.stop(s)
			})
		}
	})
	if got := globs(t, filepath.Join(cache, "roster", "postgres", "*")); len(got) != 1 {
		t.Errorf("the cache holds %v", got)
	}
	b := setup(t)
	b.options.Binaries = "download"
	b.exec(b.start(), "select 1")
	if strings.Contains(b.log.String(), "downloading") {
		t.Errorf("downloaded again:\n%s", b.log)
	}
}
