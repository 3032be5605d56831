// Package cli is the program as a client of a server: it takes people out and brings them in
// from the command line. It knows the public API, and nothing of the server behind it.
//
//	roster export [flags]        exportUsers, and a GET of the link
//	roster import [flags] FILE   planImport, applyImport, and a look at the import now and then
//
// Begin with Run.
package cli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"roster/secret"
)

// Options are what the commands need of the program. All are required unless it says otherwise.
type Options struct {
	// Key is the API key; empty for the one that a server on this machine keeps.
	Key secret.Text
	// DataDir is the data folder of a server on this machine unless a flag names another one;
	// empty stands for the usual one.
	DataDir string
	// LocalKey returns the administrator's API key that a server on this machine keeps in its
	// data folder.
	LocalKey func(dataDir string) (secret.Text, error)
	// IsLocal reports whether a host is this machine.
	IsLocal func(host string) bool
	In      io.Reader
	// Out gets what was asked for, and Err all that is told beside it.
	Out, Err io.Writer
	// Watched is true if somebody sees Err, and Answers if they can answer by In, too.
	Watched, Answers bool
}

// The exit codes of the commands.
const (
	exitFailed = 1
	exitUsage  = 2
	exitRows   = 3
)

// exitError is an error with an exit code.
type exitError struct {
	error
	code int
}

// Unwrap returns the cause.
func (e exitError) Unwrap() error { return e.error }

// Usage returns the error of a command that was not called rightly.
func Usage(format string, args ...any) error {
	return exitError{fmt.Errorf(format, args...), exitUsage}
}

// ExitCode returns the code with which the program ends after the error: 1 after a failure, 2
// for a command that was not called rightly, 3 if rows of a file failed; 0 for nil, and for
// flag.ErrHelp.
func ExitCode(err error) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if e, ok := errors.AsType[exitError](err); ok {
		return e.code
	}
	return exitFailed
}

// IsCommand reports whether Run runs a command of that name.
func IsCommand(name string) bool { return name == "export" || name == "import" }

// Run runs the command that the first argument names. It returns flag.ErrHelp after it has
// printed the help. If ctx ends, it stops what it has begun: see importing.
func Run(ctx context.Context, args []string, o Options) error {
	if args[0] == "export" {
		return runExport(ctx, args[1:], o)
	}
	return runImport(ctx, args[1:], o)
}

// newFlags returns the flags that all commands have, which set s.
func newFlags(name string, o Options, s *server) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints errors
	flags.StringVar(&s.address, "url", "http://localhost:8080/graphql", "the `address` of the server's API")
	flags.StringVar(&s.dataDir, "data-dir", cmp.Or(o.DataDir, "./data"), "the data `folder` of a server on this machine, which has the key if ROSTER_KEY is not set")
	return flags
}

// parse parses the arguments of a command whose help begins with that line. Flags may stand
// behind other arguments, which it returns.
func parse(flags *flag.FlagSet, line string, args []string, o Options) (rest []string, err error) {
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				fmt.Fprintf(o.Out, "%s\n\nROSTER_KEY is the API key. Flags:\n", line)
				flags.SetOutput(o.Out)
				flags.PrintDefaults()
				return nil, err
			}
			return nil, Usage("%w; -help lists the flags", err)
		}
		if args = flags.Args(); len(args) > 0 {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	return rest, nil
}

// choice returns the value of an enum of the API for what was typed, such as KINDE_NDJSON for
// kinde-ndjson. The empty text stays as it is: it leaves the choice to the server.
func choice(name, typed string, values ...string) (string, error) {
	if typed == "" {
		return "", nil
	}
	for _, value := range values {
		if value == strings.ReplaceAll(strings.ToUpper(typed), "-", "_") {
			return value, nil
		}
	}
	known := strings.ReplaceAll(strings.ToLower(strings.Join(values, ", ")), "_", "-")
	return "", Usage("-%s is one of %s, not %q", name, known, typed)
}

// open finds out where the server is, and which key goes to it. The key of the data folder
// goes nowhere but to this machine.
func (s *server) open(o Options) error {
	u, err := url.Parse(s.address)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return Usage("-url is an address such as https://accounts.example.com/graphql") // without the value, which may hold a password
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/graphql"
	}
	s.address = u.String()
	s.http = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if s.key = o.Key; !s.key.Empty() {
		return nil
	}
	if !o.IsLocal(u.Hostname()) {
		return Usage("set ROSTER_KEY to an API key of %s", u.Host)
	}
	if s.key, err = o.LocalKey(s.dataDir); err != nil {
		return Usage("set ROSTER_KEY to an API key, or -data-dir to the data folder of the server: %w", err)
	}
	return nil
}
