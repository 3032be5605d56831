package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// oldest is the first major version that Roster supports.
const oldest = 15

// cluster is PostgreSQL's data folder and everything that is needed to run it.
type cluster struct {
	path     string // absolute
	host     string // the folder of the socket, as clients name it
	account  *syscall.Credential
	bin      binaries
	settings []string // name=value, ours first: the last one with a name counts
	log      *slog.Logger
}

// openCluster finds binaries that fit the cluster at path. It makes a new cluster if
// the folder is missing or empty.
func openCluster(ctx context.Context, o Options, path string) (*cluster, error) {
	major, err := madeBy(path)
	if err != nil {
		return nil, err
	}
	account, err := accountFor(path)
	if err != nil {
		return nil, err
	}
	bin, err := search{account: account, major: major, data: path, log: o.Log}.find(ctx, o.Binaries)
	if err != nil {
		return nil, err
	}
	c := &cluster{path: path, account: account, bin: bin, settings: settings(o.Settings), log: o.Log}
	if major == 0 {
		return c, c.create(ctx, o.Settings["fsync"] != "off")
	}
	return c, own(path, account)
}

// madeBy returns the major version of PostgreSQL that made the cluster, or 0 if
// there is no cluster yet.
func madeBy(path string) (int, error) {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the data folder: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(path, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%s holds files that are not a PostgreSQL database (there is no PG_VERSION); "+
			"they are left as they are: move them away, or choose another data folder", path)
	}
	if err != nil {
		return 0, fmt.Errorf("reading the data folder: %w", err)
	}
	version := strings.TrimSpace(string(text))
	major, err := strconv.Atoi(version)
	if err != nil || major < oldest {
		return 0, fmt.Errorf("%s was made by PostgreSQL %q, and Roster needs %d or newer; "+
			"it is left as it is: upgrade it with pg_upgrade, or choose another data folder", path, version, oldest)
	}
	return major, nil
}

// settings returns our settings and then extra, which takes precedence.
func settings(extra map[string]string) []string {
	all := []string{
		"listen_addresses=", // the socket is the only way in
		"port=5432",         // only a part of the socket's name
		"unix_socket_directories=.",
		"unix_socket_permissions=0700",
		"cluster_name=roster",
		"jit=off", // our statements are short: compiling them costs more than it saves
		"lc_messages=C",
		"timezone=UTC",
		// logbook.follow passes the lines on and adds the time. Statements and
		// details are left out because they contain personal data.
		"log_destination=stderr",
		"logging_collector=off",
		"log_line_prefix=",
		"log_error_verbosity=terse",
		"log_min_error_statement=panic",
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		all = append(all, name+"="+extra[name])
	}
	return all
}
