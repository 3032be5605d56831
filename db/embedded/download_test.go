package embedded

import (
	"archive/tar"
	"compress/gzip"
	"errors"
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

// TestCachedBinariesAreVerified changes a folder in each way that another account or
// a full disk could, and expects a refusal that says what to do.
func TestCachedBinariesAreVerified(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(dir string) error{
		"as it was": func(string) error { return nil },
		"another content": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "bin", "postgres"), []byte("evil"), 0o755)
		},
		"one file more": func(dir string) error { return os.WriteFile(filepath.Join(dir, "bin", "more"), nil, 0o644) },
		"one file less": func(dir string) error { return os.Remove(filepath.Join(dir, "bin", "postgres")) },
		"another mode":  func(dir string) error { return os.Chmod(filepath.Join(dir, "lib"), 0o755) },
		"a link in place": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "lib")), os.Symlink("bin/postgres", filepath.Join(dir, "lib")))
		},
		"a link elsewhere": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "link")), os.Symlink("/bin/sh", filepath.Join(dir, "link")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			err := errors.Join(os.Mkdir(filepath.Join(dir, "bin"), 0o755),
				os.WriteFile(filepath.Join(dir, "bin", "postgres"), []byte("good"), 0o755),
				os.WriteFile(filepath.Join(dir, "lib"), []byte("good"), 0o644),
				os.Symlink("lib", filepath.Join(dir, "link")))
			want, digestErr := treeDigest(dir)
			if err := errors.Join(err, digestErr, change(dir)); err != nil {
				t.Fatal(err)
			}
			switch err := verifyTree(dir, want); {
			case name == "as it was" && err != nil:
				t.Error(err)
			case name != "as it was" && (err == nil || !strings.Contains(err.Error(), "remove this folder")):
				t.Errorf("got error %v", err)
			}
		})
	}
	for platform := range integrity {
		if content[platform] == "" {
			t.Errorf("the content of %s is not pinned", platform)
		}
	}
}

func TestReasonOfNpm(t *testing.T) {
	t.Parallel()
	const said = "npm error code E404\nnpm error 404 Not Found - GET https://registry.example/x\nnpm error A complete log of this run can be found in: /root/x.log\n"
	if got, want := npmReason(said), "code E404; 404 Not Found - GET https://registry.example/x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
