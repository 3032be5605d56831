package embedded

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// The pinned binaries: zonky's relocatable builds of PostgreSQL, as npm packages.
const (
	pinnedMajor   = 18
	pinnedVersion = "18.4.0-beta.17" // the package's; PostgreSQL's is 18.4
)

// integrity is the SHA-512 of each platform's package, as npm writes it.
var integrity = map[string]string{
	"linux-x64":    "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
	"linux-arm64":  "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
	"darwin-x64":   "4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
	"darwin-arm64": "Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
}

// download returns the folder of the pinned binaries. It downloads them if they are
// not in the cache yet. Several processes may call it at the same time.
func download(ctx context.Context, log *slog.Logger) (bin string, err error) {
	platform := runtime.GOOS + "-" + strings.Replace(runtime.GOARCH, "amd64", "x64", 1)
	if integrity[platform] == "" {
		return "", fmt.Errorf("there are no pinned binaries for %s", platform)
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	home := filepath.Join(cache, pinnedVersion+"-"+platform)
	bin = filepath.Join(home, "bin")
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	log.InfoContext(ctx, "downloading PostgreSQL, once", "version", pinnedVersion, "to", home)
	began := time.Now()
	if err := install(ctx, platform, cache, home); err != nil {
		return "", err
	}
	log.InfoContext(ctx, "PostgreSQL is downloaded and verified", "took", time.Since(began).Round(time.Millisecond))
	return bin, nil
}

// cacheFolder returns a folder that PostgreSQL's account can enter. For root it is
// the cache of the machine, because root's own is below a home that is closed to
// other accounts.
func cacheFolder() (string, error) {
	base, err := os.UserCacheDir()
	if os.Geteuid() == 0 && os.Getenv("XDG_CACHE_HOME") == "" {
		base, err = "/var/cache", nil
	}
	if err != nil {
		return "", err
	}
	cache := filepath.Join(base, "roster", "postgres")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	return cache, errors.Join(readable(filepath.Dir(cache)), readable(cache))
}

// readable lets every account enter dir, regardless of the umask.
func readable(dir string) error { return os.Chmod(dir, 0o755) }

// install downloads to a folder beside home and renames it, so that home is always complete.
func install(ctx context.Context, platform, cache, home string) error {
	scratch, err := os.MkdirTemp(cache, "download-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	pack, err := npmPack(ctx, scratch, "@embedded-postgres/"+platform+"@"+pinnedVersion)
	if err != nil {
		return err
	}
	if err := verify(pack, integrity[platform]); err != nil {
		return err
	}
	unpacked := filepath.Join(scratch, "unpacked")
	if err := unpack(pack, unpacked); err != nil {
		return fmt.Errorf("unpacking %s: %w", filepath.Base(pack), err)
	}
	err = os.Rename(unpacked, home)
	if _, there := os.Stat(home); there == nil {
		return nil // from this process, or from a faster one
	}
	return err
}

// npmPack downloads a package and returns the path of the archive. It leaves the
// download to npm, which has settings for proxies and mirrors.
func npmPack(ctx context.Context, dir, spec string) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("npm, which downloads it, is not installed")
	}
	cmd := exec.CommandContext(ctx, npm, "pack", spec, "--silent")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack %s: %w: %s", spec, err, strings.TrimSpace(string(out)))
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("npm pack %s left %d archives, not one", spec, len(found))
	}
	return found[0], nil
}

func verify(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha512.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("the downloaded %s is not the pinned one: its SHA-512 is %s, not %s", filepath.Base(path), got, want)
	}
	return nil
}
