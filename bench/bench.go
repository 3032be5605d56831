// Command bench measures how many requests per second the whole server answers over
// HTTP. It compares the server with a plain handler, which runs one hand-written SQL
// statement and sends the same answer. For checks, the plain handler only sends the
// same bytes.
//
//	go run ./bench [-queries user,page,members,can,checks,matrix,grant] [-rounds 5] [-duration 2s] [-cpuprofile roster.pprof]
//
//	                   ┌─> Roster ────────┐
//	load generator ────┤   (in turns)     ├─> PostgreSQL
//	                   └─> plain handler ─┘
//
// PostgreSQL, Roster, the plain handler and the load generator are four processes
// on the same machine, and share its cores. The load generator asks Roster and the
// plain handler in turns of a second or two, so that other load on the machine
// affects both. Only their ratio is meaningful on other machines. The plain handler
// has nothing but its statement: no API key, no query language, no permissions.
//
// Begin with run; queries.go holds what is measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// options holds the flags.
type options struct {
	duration    time.Duration
	rounds      int
	connections int
	queries     string
	cache       string
	cpuProfile  string
	entries     int
	gcPercent   int
	serve       string
}

func main() {
	var o options
	flag.DurationVar(&o.duration, "duration", 2*time.Second, "how long one turn of one server takes")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each server has its turn")
	flag.IntVar(&o.connections, "connections", 32, "how many connections ask at the same time")
	flag.StringVar(&o.queries, "queries", "user,page,members,can,checks,matrix,grant", "which queries to measure")
	flag.StringVar(&o.cache, "cache", cacheFolder(), "folder where the database is kept for the next run")
	flag.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile of Roster's process to this file")
	flag.IntVar(&o.entries, "entries", 0, "how many memberships Roster remembers; 0 is its own default, -1 none")
	flag.IntVar(&o.gcPercent, "gogc", 400, "GOGC of Roster's process, by default what the server sets; GOGC itself, if set, has the last word")
	flag.StringVar(&o.serve, "serve", "", "for the benchmark itself: be this server, on the database that is named")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o, flag.Args(), os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// cacheFolder returns the default folder of the database. For root, it is not in
// the home directory, which PostgreSQL's account cannot enter.
func cacheFolder() string {
	dir, err := os.UserCacheDir()
	if err != nil || os.Geteuid() == 0 {
		dir = "/var/cache"
	}
	return filepath.Join(dir, "roster-bench")
}

func run(ctx context.Context, o options, args []string, out io.Writer) (err error) {
	if o.serve != "" {
		if len(args) != 1 {
			return errors.New("name the database")
		}
		return (&child{options: o, dsn: args[0]}).run(ctx)
	}
	chosen, err := choose(o.queries)
	if err != nil {
		return err
	}
	database, err := openDatabase(ctx, o.cache, fullSize, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Stop()) }()
	dsn := database.DSN(databaseName)
	plain, err := startServer(ctx, "plain", dsn)
	if err != nil {
		return err
	}
	defer plain.stop()
	roster, err := startServer(ctx, "roster", dsn, "-cpuprofile", o.cpuProfile, "-entries", strconv.Itoa(o.entries),
		"-gogc", strconv.Itoa(o.gcPercent))
	if err != nil {
		return err
	}
	defer roster.stop()

	cases, err := gatherCases(ctx, dsn, roster)
	if err != nil {
		return err
	}
	m := measurement{options: o, postgres: database.Pid()}
	printHead(out)
	for _, q := range chosen {
		if err := compare(ctx, q, cases, plain, roster); err != nil {
			return err
		}
		result, err := m.measure(ctx, q, cases, plain, roster)
		if err := errors.Join(err, q.clean(context.WithoutCancel(ctx), dsn)); err != nil {
			return err
		}
		result.print(out)
	}
	return nil
}

// clean removes what the query has written into the database.
func (q query) clean(ctx context.Context, dsn string) error {
	if q.undo == "" {
		return nil
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, q.undo)
	return err
}

// choose returns the queries with the given names, separated by commas.
func choose(names string) ([]query, error) {
	var chosen []query
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(queries, func(q query) bool { return q.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no query %q", name)
		}
		chosen = append(chosen, queries[i])
	}
	return chosen, nil
}
