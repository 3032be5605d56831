package db_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3/lock"
	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"roster/db"
	"roster/db/dbtest"
)

// Servers that start on an empty database at the same time all find it ready, and none
// waits for long after the migrations are done.
func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]string{
		"alone":           dbtest.EmptyDSN(t),
		"behind a pooler": dbtest.Pooler(t, dbtest.EmptyDSN(t), "pool_mode = transaction", "default_pool_size = 2", "server_round_robin = 1"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all errgroup.Group
			var took [3]time.Duration
			for i := range took {
				d := open(t, dsn, db.Options{})
				all.Go(func() error {
					began := time.Now()
					_, err := d.Migrate(t.Context(), slog.New(slog.DiscardHandler))
					took[i] = time.Since(began)
					return err
				})
			}
			must(t, all.Wait())
			first, last := min(took[0], took[1], took[2]), max(took[0], took[1], took[2])
			if last-first > 3*time.Second {
				t.Errorf("they took %v", took)
			}
			locks, err := db.SelectOne[int](t.Context(), open(t, dsn, db.Options{}), "select count(*)::int from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())")
			must(t, err)
			if *locks != 0 {
				t.Errorf("%d locks are left", *locks)
			}
		})
	}
}

// A server that finds no migration missing waits for no other one, and works on the connection
// that it opened first.
func TestNothingToMigrate(t *testing.T) {
	t.Parallel()
	dsn := dbtest.DSN(t)
	other := open(t, dsn, db.Options{})
	must(t, other.InTx(t.Context(), func(ctx context.Context, tx bun.IDB) error {
		if _, err := tx.ExecContext(ctx, "select pg_advisory_xact_lock(?)", lock.DefaultLockID); err != nil { // as a server that migrates does
			return err
		}
		d := open(t, dsn, db.Options{})
		soon, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		applied, err := d.Migrate(soon, slog.New(slog.DiscardHandler))
		if err != nil || applied != 0 {
			t.Errorf("%d migrations, %v", applied, err)
		}
		for name, pool := range d.Pools() {
			want := int64(0)
			if name == "reads" {
				want = 1
			}
			if got := pool().NewConnsCount(); got != want {
				t.Errorf("%d connections for %s, want %d", got, name, want)
			}
		}
		return nil
	}))
}

// Roster works with a schema of a newer Roster, unless the migrations of that one say
// otherwise.
func TestMigrateNewerSchema(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	migrate := func(statement string) error {
		_, err := d.ExecContext(t.Context(), statement)
		must(t, err)
		_, err = d.Migrate(t.Context(), slog.New(slog.DiscardHandler))
		return err
	}
	must(t, migrate("insert into goose_db_version (version_id, is_applied) values (99999, true)"))
	err := migrate("update schema_compatibility set least_version = 99999")
	if err == nil || !strings.Contains(err.Error(), "works with version 99999 of the schema and later") {
		t.Error(err)
	}
}

// The error of a user without the rights to migrate says what to do.
func TestMigrateAdvises(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		user       string
		statements []string
		want       string
	}{
		"no extension": {user: "extension_end", statements: []string{"grant create on schema public to extension_end"},
			want: `permission denied to create extension "pg_trgm" (SQLSTATE 42501): run "create extension pg_trgm" in the database`},
		"no tables": {user: "table_end", want: `permission denied for schema public (SQLSTATE 42501): run "grant create on schema public to "table_end""`},
		"an extension elsewhere": {user: "postgres", statements: []string{"create schema extra", "create extension pg_trgm schema extra"},
			want: "the extension pg_trgm is in the schema extra, which is not in the search_path"},
		"no schema": {user: "postgres", statements: []string{"drop schema public"}, want: "none of the schemas in the search_path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := dbtest.EmptyDSN(t)
			if c.user != "postgres" {
				execute(t, dsn, "create role "+c.user+" login")
			}
			execute(t, dsn, c.statements...)
			_, err := open(t, as(t, dsn, c.user), db.Options{}).Migrate(t.Context(), slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}
