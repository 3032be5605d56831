package embedded

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// usualPlaces are where packages put the binaries of a server.
var usualPlaces = []string{
	"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                   // PostgreSQL's own packages for Red Hat
	"/usr/libexec/postgresql*",                           // Alpine
	"/opt/homebrew/opt/postgresql*/bin",                  // Homebrew on Arm
	"/usr/local/opt/postgresql*/bin",                     // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",     // Homebrew on Linux
	"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
}

// installedFolders lists folders that may hold binaries: what the operator's
// PATH means first, then the usual places, newest version first.
func installedFolders(ctx context.Context) []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// The link in PATH has no initdb or share folder beside it, its target does.
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

// versionIn is the number in a folder's name, as in /usr/lib/postgresql/15/bin; 0 if there is none.
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
