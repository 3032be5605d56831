package db_test

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"roster/db"
	"roster/db/dbtest"
	"roster/secret"
)

// with returns the URL with another parameter.
func with(t testing.TB, dsn, name, value string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	must(t, err)
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

// as returns the URL for another user.
func as(t testing.TB, dsn, user string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	must(t, err)
	u.User = url.User(user)
	return u.String()
}

// execute runs statements one by one on a connection of their own.
func execute(t testing.TB, dsn string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer conn.Close(t.Context())
	for _, text := range statements {
		_, err := conn.Exec(t.Context(), text)
		must(t, err)
	}
}

func open(t testing.TB, dsn string, o db.Options) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), secret.New(dsn), o)
	must(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// Open refuses a database that Roster cannot work with, in one line that says what to
// do.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dsn := dbtest.DSN(t)
	for name, c := range map[string]struct{ dsn, want string }{
		"not a URL":                         {"s3cret", "not a PostgreSQL connection string"},
		"a bad setting of pgx":              {with(t, dsn, "pool_max_conns", "s3cret"), "one of the settings of pgx in it"},
		"too few connections":               {with(t, dsn, "pool_max_conns", "5"), "pool_max_conns is 5, and Roster needs at least 6 connections"},
		"a pooler of statements":            {dbtest.Pooler(t, dsn, "pool_mode = statement"), "set its pool_mode to transaction"},
		"a parameter that a pooler refuses": {with(t, dbtest.Pooler(t, dsn), "search_path", "public"), "unsupported startup parameter: search_path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := db.Open(t.Context(), secret.New(c.dsn), db.Options{})
			if err == nil || !strings.HasPrefix(err.Error(), "DATABASE_URL: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// The settings of pgx and of the session in the URL apply, and all pools together keep
// to its number of connections.
func TestSettingsInURLHold(t *testing.T) {
	t.Parallel()
	dsn := with(t, with(t, dbtest.DSN(t), "statement_timeout", "7s"), "application_name", "mine")
	for most, want := range map[int]map[string]int32{
		6:   {"reads": 1, "planning": 1, "writes": 1}, // the pool of reads runs what is urgent
		7:   {"reads": 1, "planning": 1, "writes": 1, "urgent": 1},
		10:  {"reads": 3, "planning": 1, "writes": 2, "urgent": 1},
		23:  nil,
		100: nil,
	} {
		pools, total := map[string]int32{}, int32(0)
		for name, stat := range open(t, with(t, dsn, "pool_max_conns", strconv.Itoa(most)), db.Options{}).Pools() {
			pools[name] = stat().MaxConns()
			total += pools[name]
		}
		if total+3 != int32(most) || want != nil && !maps.Equal(pools, want) {
			t.Errorf("%d connections: %v beside the three of the feed, want %v", most, pools, want)
		}
	}
	d := open(t, dsn, db.Options{})
	got, err := db.SelectOne[string](t.Context(), d, "select current_setting('statement_timeout') || ' ' || current_setting('application_name') || ' ' || current_setting('jit')")
	must(t, err)
	if *got != "7s mine off" {
		t.Error(*got)
	}
}

// If the database is full, requests wait for a connection that the server has already.
func TestFullDatabase(t *testing.T) {
	t.Parallel()
	dsn := dbtest.DSN(t)
	full := fmt.Sprintf("connections_end_%d", time.Now().UnixNano()) // roles are of the whole cluster
	execute(t, dsn, "create role "+full+" login connection limit 3")
	d := open(t, as(t, dsn, full), db.Options{})
	var all errgroup.Group
	for i := range 40 {
		all.Go(func() error {
			read := db.Select[string]
			if i%4 == 0 {
				read = db.SelectPlanned[string]
			}
			if i%4 == 1 {
				return d.InSnapshot(t.Context(), func(ctx context.Context) error {
					_, err := db.Select[string](ctx, d, "select pg_sleep(0.02)::text")
					return err
				})
			}
			_, err := read(t.Context(), d, "select pg_sleep(0.02)::text")
			return err
		})
	}
	must(t, all.Wait())
}
