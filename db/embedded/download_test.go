package embedded

import (
	"archive/tar"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDownloadOfAnotherContentIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pack.tgz")
	if err := os.WriteFile(file, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := verify(file, integrity["linux-x64"])
	if err == nil || !strings.Contains(err.Error(), "pack.tgz is not the pinned one") {
		t.Errorf("got error %v", err)
	}
}

func TestUnpackStaysInItsFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "pack.tgz")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	zip := gzip.NewWriter(f)
	archive := tar.NewWriter(zip)
	if err := archive.WriteHeader(&tar.Header{Name: "package/native/../../../evil", Typeflag: tar.TypeReg, Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	archive.Close()
	zip.Close()
	f.Close()
	if err := unpack(file, filepath.Join(dir, "a", "b")); err == nil {
		t.Error("unpacked without its parent folder")
	}
	if err := unpack(file, filepath.Join(dir, "unpacked")); err == nil {
		t.Error("a name which leads out of the folder was taken")
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(dir), "evil")); err == nil {
		t.Error("a file was written outside the folder")
	}
}
