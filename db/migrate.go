package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"roster/db/migrations"
)

// Migrate brings the schema of the database up to date, and returns the number of
// migrations that were missing. Servers that start at the same time take turns.
//
// A schema that a newer Roster has made is left as it is. It fails on one whose
// migrations say that this program can't work with it (schema_compatibility).
//
// It logs the rows that a migration leaves to people.
func (d *DB) Migrate(ctx context.Context, log *slog.Logger) (applied int, err error) {
	pending, err := d.hasPending(ctx, log)
	if err == nil && pending {
		applied, err = d.migrateAlone(ctx, log)
	}
	if err == nil {
		err = d.checkCompatibility(ctx, log)
	}
	if err != nil {
		return 0, fmt.Errorf("migrate the database: %w", d.advise(ctx, err))
	}
	return applied, nil
}

// hasPending reports whether migrations are missing. It changes nothing, and takes no turn.
func (d *DB) hasPending(ctx context.Context, log *slog.Logger) (bool, error) {
	begun, err := SelectOne[bool](ctx, d, "select to_regclass($1) is not null", goose.DefaultTablename)
	if err != nil || !*begun {
		return true, err
	}
	provider, err := d.provider(log)
	if err != nil {
		return false, err
	}
	return provider.HasPending(ctx)
}

// migrateAlone applies the migrations that are missing, on connections without time limits,
// while no other server does.
func (d *DB) migrateAlone(ctx context.Context, log *slog.Logger) (applied int, err error) {
	const holdingLock, migrating = 1, 1
	config := d.connector.unlimited("migrations", holdingLock+migrating)
	config.ConnConfig.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		if notice.SeverityUnlocalized == "WARNING" { // raised by a migration in SQL
			log.WarnContext(ctx, notice.Message)
		}
	}
	own, err := open(ctx, d.connector, config)
	if err != nil {
		return 0, err
	}
	defer own.Close()
	err = own.alone(ctx, func() error { applied, err = own.migrate(ctx, log); return err })
	return applied, err
}

func (d *DB) migrate(ctx context.Context, log *slog.Logger) (applied int, err error) {
	provider, err := d.provider(log)
	if err != nil {
		return 0, err
	}
	results, err := provider.Up(ctx)
	return len(results), err
}

// These are the numbers of the migrations that only Go can do.
const (
	refoldVersion  = 5
	lineageVersion = 7
)

// provider returns all migrations: the ones in SQL, and the ones in Go.
func (d *DB) provider(log *slog.Logger) (*goose.Provider, error) {
	refold := &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error { return refolding{db: d, tx: tx, log: log}.run(ctx) }}
	lineage := &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error { return lineage{db: d, tx: tx, log: log}.run(ctx) }}
	return goose.NewProvider(goose.DialectPostgres, d.DB.DB, migrations.Files,
		goose.WithGoMigrations(goose.NewGoMigration(refoldVersion, refold, nil), goose.NewGoMigration(lineageVersion, lineage, nil)))
}

// turnPause is how long a server waits before it asks again whether it is its turn.
const turnPause = 50 * time.Millisecond

// alone runs fn while no other server runs it. The lock belongs to a transaction, because
// a pooler would not release the lock of a session. A server that waits holds neither a
// transaction nor a connection, because a pooler may have few.
func (d *DB) alone(ctx context.Context, fn func() error) error {
	for {
		done, err := d.tryAlone(ctx, fn)
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(turnPause):
		}
	}
}

func (d *DB) tryAlone(ctx context.Context, fn func() error) (done bool, err error) {
	tx, err := d.pools.reads.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, "set local idle_in_transaction_session_timeout = 0"); err != nil {
		return false, err
	}
	// The lock of goose, which earlier versions of Roster take for their session.
	if err := tx.QueryRow(ctx, "select pg_try_advisory_xact_lock($1)", lock.DefaultLockID).Scan(&done); err != nil || !done {
		return false, err
	}
	return true, fn()
}

// checkCompatibility fails if the schema is newer than what this program knows,
// and the migrations since say that a program has to know more.
func (d *DB) checkCompatibility(ctx context.Context, log *slog.Logger) error {
	provider, err := d.provider(log)
	if err != nil {
		return err
	}
	sources := provider.ListSources()
	known := sources[len(sources)-1].Version
	least, err := SelectOne[int64](ctx, d, "select least_version from schema_compatibility")
	if err != nil {
		return err
	}
	if least != nil && *least > known {
		return fmt.Errorf("a newer Roster has changed the database, which works with version %d of the schema and later, and this program knows %d: start the newer one", *least, known)
	}
	return nil
}

// advise returns the error of a migration with advice for the operator, if there is any.
func (d *DB) advise(ctx context.Context, err error) error {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	user, database := d.connector.config.ConnConfig.User, d.connector.config.ConnConfig.Database
	advice := ""
	switch {
	case refused.Code == "42501" && strings.Contains(refused.Message, "extension"):
		advice = fmt.Sprintf("run \"create extension pg_trgm\" in the database %q as its owner, or \"grant create on database %q to %q\"", database, database, user)
	case refused.Code == "42501" && strings.Contains(refused.Message, "schema"):
		advice = fmt.Sprintf("run \"grant create on schema public to %q\" in the database %q, or make %q its owner", user, database, user)
	case refused.Code == "42501":
		advice = fmt.Sprintf("the tables belong to another user: start Roster as that one, or run \"reassign owned by … to %q\"", user)
	case refused.Code == "3F000":
		advice = fmt.Sprintf("none of the schemas in the search_path of %q exists: create one", user)
	case strings.Contains(refused.Message, "gin_trgm_ops"):
		advice = d.adviseExtension(ctx, user)
	case strings.Contains(refused.Message, "pg_trgm") && strings.Contains(refused.Message, "not available"):
		advice = "install the extensions that come with PostgreSQL (on Debian, they are in its package; elsewhere, in postgresql-contrib)"
	}
	if advice == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, advice)
}

// adviseExtension returns the advice for a user who does not find the extension.
func (d *DB) adviseExtension(ctx context.Context, user string) string {
	schema, err := SelectOne[string](ctx, d, "select extnamespace::regnamespace::text from pg_extension where extname = 'pg_trgm'")
	if err != nil || schema == nil {
		return "the extension pg_trgm is missing"
	}
	return fmt.Sprintf("the extension pg_trgm is in the schema %s, which is not in the search_path: run \"alter extension pg_trgm set schema public\", or \"alter role %q set search_path = public, %s\"", *schema, user, *schema)
}
