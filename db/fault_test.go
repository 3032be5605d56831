package db_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/uptrace/bun"

	"roster/db"
	"roster/db/dbtest"
	"roster/problem"
)

type thing struct {
	Name string
}

// Select skips a column that a newer Roster has added, even in statements that were
// prepared or described before. A column that only the statement has is an error.
func TestUnknownColumns(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]string{"alone": dbtest.DSN(t), "behind a pooler": dbtest.Pooler(t, dbtest.DSN(t), "pool_mode = transaction")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t, dsn, db.Options{})
			for _, change := range []string{
				"create table things (name text); insert into things values ('a')", "alter table things add column x text default 'y'",
				"alter table things add column z text", "alter table things drop column x",
			} {
				_, err := d.ExecContext(t.Context(), change)
				must(t, err)
				for range 3 {
					for _, text := range []string{"select * from things", "select t.* from (select * from things) t", "with t as (select * from things) select t.* from t"} {
						if got, err := db.SelectOne[thing](t.Context(), d, text); err != nil || got.Name != "a" {
							t.Fatalf("%s, after %s: %v, %v", text, change, got, err)
						}
					}
				}
			}
			_, err := db.SelectOne[thing](t.Context(), d, "select name as named from (select upper(name) as name from things) t")
			if err == nil || !strings.Contains(err.Error(), "has no field for column named") {
				t.Error(err)
			}
		})
	}
}

// A transaction that meets an outdated plan, or an outdated description of a statement, is
// retryable, and meets none when it runs again.
func TestOutdatedPlanIsRetryable(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]string{"alone": dbtest.DSN(t), "behind a pooler": dbtest.Pooler(t, dbtest.DSN(t), "pool_mode = transaction")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t, dsn, db.Options{})
			change := func(text string) {
				_, err := d.ExecContext(t.Context(), text)
				must(t, err)
			}
			change("create table things (name text, n int)")
			for way, read := range map[string]func(ctx context.Context) error{
				"a statement": func(ctx context.Context) error {
					_, err := db.Select[thing](ctx, d, "select * from things")
					return err
				},
				"a batch": func(ctx context.Context) error {
					var b db.Batch
					db.Queue[thing](&b, "update things set name = name returning *")
					return d.Run(ctx, &b)
				},
			} {
				again := func() error {
					return d.InTx(t.Context(), func(ctx context.Context, _ bun.IDB) error { return read(ctx) })
				}
				must(t, again())
				change("alter table things add column x text")
				if err := again(); !db.Retryable(err) {
					t.Errorf("%s: got %v, want a retryable error", way, err)
				}
				must(t, again())
				change("alter table things drop column x")
				_ = again() // it is outdated, too
				must(t, again())
			}
		})
	}
}

// Errors of the database name the function that met them, once, and unwrap to their
// cause.
func TestErrorsNameTheirFunction(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	for name, err := range map[string]error{
		"a statement":   lost(t.Context(), d),
		"a transaction": d.InTx(t.Context(), func(ctx context.Context, _ bun.IDB) error { return lost(ctx, d) }),
		"a snapshot":    d.InSnapshot(t.Context(), func(ctx context.Context) error { return lost(ctx, d) }),
		"a statement of bun": d.InTx(t.Context(), func(ctx context.Context, tx bun.IDB) error {
			_, err := tx.ExecContext(ctx, "select from lost")
			return err
		}),
		"a statement of bun by itself": runByBun(t.Context(), d),
	} {
		t.Run(name, func(t *testing.T) {
			refused, ok := errors.AsType[*pgconn.PgError](err)
			if !ok || refused.Code != "42P01" || !strings.HasPrefix(err.Error(), "db_test.TestErrorsNameTheirFunction") ||
				strings.Count(err.Error(), "db_test.") != 1 || len(problem.All(err)) > 0 {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func runByBun(ctx context.Context, d *db.DB) error {
	_, err := d.NewRaw("select from lost").Exec(ctx)
	return err
}

func lost(ctx context.Context, d *db.DB) error {
	_, err := db.Select[thing](ctx, d, "select * from lost")
	return err
}

// The first read and the first transaction after the database has cut all
// connections find new ones.
func TestDeadConnections(t *testing.T) {
	t.Parallel()
	dsn := dbtest.DSN(t)
	d := open(t, dsn, db.Options{})
	u, err := url.Parse(dsn)
	must(t, err)
	for name, work := range map[string]func() error{
		"a read": func() error { _, err := db.Select[int](t.Context(), d, "select 1"); return err },
		"a transaction": func() error {
			return d.InTx(t.Context(), func(ctx context.Context, _ bun.IDB) error { _, err := db.Select[int](ctx, d, "select 1"); return err })
		},
		"a snapshot": func() error {
			return d.InSnapshot(t.Context(), func(ctx context.Context) error { _, err := db.Select[int](ctx, d, "select 1"); return err })
		},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, work())
			execute(t, dsn, "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = '"+u.Path[1:]+"'")
			if err := work(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// The error of a commit that may have been carried out says so; the error of an earlier
// failure does not.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		early bool
		want  string
	}{"before the commit": {true, "The database does not answer"}, "during the commit": {false, "may have been done or not"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, dsn := dbtest.NewProxy(t, dbtest.DSN(t))
			d := open(t, dsn, db.Options{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := d.InTx(ctx, func(ctx context.Context, tx bun.IDB) error {
				if c.early {
					proxy.Set(dbtest.Weather{Down: true}, dbtest.Weather{Down: true})
					_, err := tx.ExecContext(ctx, "select 1")
					return err
				}
				proxy.Set(dbtest.Weather{Stalled: true}, dbtest.Weather{Stalled: true})
				time.AfterFunc(300*time.Millisecond, func() { proxy.Set(dbtest.Weather{Down: true}, dbtest.Weather{Down: true}) })
				return nil
			})
			if !problem.Is(err, problem.Unavailable) || !strings.Contains(problem.All(err)[0].Message, c.want) || !db.Unavailable(err) || db.Retryable(err) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
