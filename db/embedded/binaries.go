package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// binaries is a folder with postgres and initdb, both of which have been tried.
type binaries struct {
	dir     string
	version string // such as 15.18
	major   int
}

// search holds the conditions that binaries have to meet.
type search struct {
	account *syscall.Credential // has to be able to run them
	major   int                 // their major version; 0 means any
	data    string              // the cluster that needs the major version
	log     *slog.Logger
}

// find returns the binaries that where, an Options.Binaries, asks for.
func (s search) find(ctx context.Context, where string) (binaries, error) {
	switch where {
	case "":
		if bin, ok := s.installed(ctx); ok {
			return bin, nil
		}
		return s.download(ctx)
	case "download":
		return s.download(ctx)
	}
	dir, err := filepath.Abs(where)
	if err != nil {
		return binaries{}, err
	}
	return s.try(ctx, dir)
}

// installed returns the first fitting binaries in the usual folders.
func (s search) installed(ctx context.Context) (binaries, bool) {
	for _, dir := range installedFolders(ctx) {
		bin, err := s.try(ctx, dir)
		if err == nil {
			return bin, true
		}
		s.log.DebugContext(ctx, "these PostgreSQL binaries are passed over", "folder", dir, "reason", err)
	}
	return binaries{}, false
}

// download returns the pinned binaries. It fails if they cannot run the cluster.
func (s search) download(ctx context.Context) (binaries, error) {
	if s.major != 0 && s.major != pinnedMajor {
		return binaries{}, s.wrongMajor()
	}
	dir, err := download(ctx, s.log)
	if err != nil {
		return binaries{}, fmt.Errorf("no PostgreSQL of version %d or newer is found, and none can be downloaded: %w\n%s", oldest, err, remedies)
	}
	bin, err := s.try(ctx, dir)
	if err != nil {
		return binaries{}, fmt.Errorf("the downloaded PostgreSQL does not run here: %w\n%s", err, remedies)
	}
	return bin, nil
}

const remedies = `Install PostgreSQL (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql), ` +
	`or set DATABASE_URL to a PostgreSQL that runs already.`

func (s search) wrongMajor() error {
	return fmt.Errorf("%s was made by PostgreSQL %d, which is not among the binaries at hand, and another major version "+
		"cannot read it; install PostgreSQL %[2]d (Debian, Ubuntu: apt-get install postgresql-%[2]d; macOS: brew install postgresql@%[2]d), "+
		"upgrade the data with pg_upgrade, or choose another data folder", s.data, s.major)
}

// try returns the binaries in dir. It fails if the account cannot run them, or if they do
// not fit.
func (s search) try(ctx context.Context, dir string) (binaries, error) {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return binaries{}, fmt.Errorf("no PostgreSQL server there: %w", err)
		}
	}
	cmd := command(ctx, s.account, syscall.SIGKILL, filepath.Join(dir, "initdb"), "--show", "--pgdata=/")
	output, err := runLocked(cmd)
	if errors.Is(err, os.ErrPermission) && s.account != nil {
		return binaries{}, fmt.Errorf("the account with uid %d, which runs PostgreSQL since it does not run as root, cannot reach %s", s.account.Uid, dir)
	}
	if err != nil {
		return binaries{}, fmt.Errorf("running initdb: %w: %s", err, lastLine(output))
	}
	return s.judge(dir, output)
}

// judge returns the binaries in dir according to initdb's report on itself, which
// has lines of name=value.
func (s search) judge(dir, report string) (binaries, error) {
	said := map[string]string{}
	for line := range strings.Lines(report) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			said[name] = value
		}
	}
	version, _, _ := strings.Cut(said["VERSION"], " ")
	bin := binaries{dir: dir, version: version, major: leadingNumber(version)}
	switch {
	case bin.major < oldest:
		return binaries{}, fmt.Errorf("%s holds PostgreSQL %q; %d or newer is needed", dir, version, oldest)
	case s.major != 0 && bin.major != s.major:
		return binaries{}, s.wrongMajor()
	}
	if _, err := os.Stat(filepath.Join(said["share_path"], "extension", "pg_trgm.control")); err != nil {
		return binaries{}, fmt.Errorf("the PostgreSQL in %s lacks the extension pg_trgm, which the system's package of contributed extensions brings", dir)
	}
	return bin, nil
}

func leadingNumber(text string) int {
	digits := strings.IndexFunc(text+".", func(r rune) bool { return r < '0' || r > '9' })
	n, _ := strconv.Atoi(text[:digits])
	return n
}
