package embedded

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// usualPlaces are the folders where packages install the binaries of a server.
var usualPlaces = []string{
	"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                   // PostgreSQL's own packages for Red Hat
	"/usr/libexec/postgresql*",                           // Alpine
	"/opt/homebrew/opt/postgresql*/bin",                  // Homebrew on Arm
	"/usr/local/opt/postgresql*/bin",                     // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",     // Homebrew on Linux
	"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
}

// installedFolders returns the folders that may contain binaries: those that the
// PATH leads to, and then the usual places, the newest version first.
func installedFolders(ctx context.Context) []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// PATH may lead to a link. Only its target has initdb and the share folder beside it.
		if target, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	var usual []string
	for _, pattern := range usualPlaces {
		found, _ := filepath.Glob(pattern)
		usual = append(usual, found...)
	}
	slices.SortStableFunc(usual, func(a, b string) int { return versionIn(b) - versionIn(a) })
	return unique(append(dirs, usual...))
}

// versionIn returns the number in a path, such as 15 in /usr/lib/postgresql/15/bin, or 0.
func versionIn(path string) int {
	digit := strings.IndexAny(path, "0123456789")
	if digit < 0 {
		return 0
	}
	return leadingNumber(path[digit:])
}

func unique(names []string) []string {
	var once []string
	for _, name := range names {
		if !slices.Contains(once, name) {
			once = append(once, name)
		}
	}
	return once
}
