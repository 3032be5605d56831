package embedded

import (
	"context"
	"errors"
	"fmt"
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

// download returns the folder of the pinned binaries, and verifies them, also those
// from the cache. It downloads them if they are not in the cache yet. Several
// processes may call it at the same time.
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
	if _, err := os.Stat(home); err == nil {
		return bin, verifyTree(home, content[platform])
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
	if err := verifyTree(unpacked, content[platform]); err != nil {
		return err
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
	cmd := exec.CommandContext(ctx, npm, "pack", spec, "--loglevel=error")
	cmd.Dir = dir
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("npm pack %s: %w: %s", spec, err, npmReason(said.String()))
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("npm pack %s left %d archives, not one", spec, len(found))
	}
	return found[0], nil
}

// npmReason returns what npm says of a failure, without the prefix of its lines and
// without what repeats it.
func npmReason(said string) string {
	var reasons []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(line), "npm ERR!"), "npm error"))
		if line != "" && !strings.HasPrefix(line, "A complete log") && len(reasons) < 4 {
			reasons = append(reasons, line)
		}
	}
	return strings.Join(reasons, "; ")
}
