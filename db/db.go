// Package db holds the rows of the database, the connection to it, and what
// its constraints mean.
//
// Rows are bun models with foreign keys only: no relations, so that nothing is
// loaded by accident. The JSON name of a column is the name of its GraphQL
// field; a column without one ("-") is never shown or logged.
package db

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"roster/db/migrations"
	"roster/secret"
)

// DB is the database, or the transaction that a context carries.
type DB struct {
	*bun.DB
	config *pgxpool.Config
	// pool is where statements run. In it PostgreSQL keeps one plan of each; in
	// planning, if that is another one, it makes one for the values of each run.
	pool, planning *pgxpool.Pool
}

// maxConnections keeps PostgreSQL's processes few: beyond a few for each core,
// more of them only take turns. Waiting for one costs less than 1 ms.
func maxConnections() int { return max(8, 4*runtime.NumCPU()) }

// Open connects to the PostgreSQL that dsn names (a URL or key=value pairs) and
// checks that it answers.
func Open(ctx context.Context, dsn secret.Text, tracers ...pgx.QueryTracer) (*DB, error) {
	pooled, err := pgxpool.ParseConfig(dsn.Reveal())
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	config := pooled.ConnConfig
	for _, tracer := range tracers {
		config.Tracer = tracer
	}
	// bun writes arguments into the text, so that no two statements are alike:
	// preparing them would cost ×1.5. Select prepares its own.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.RuntimeParams["application_name"] = "roster"
	config.RuntimeParams["timezone"] = "UTC"
	config.RuntimeParams["client_encoding"] = "UTF8"
	// Left to itself, PostgreSQL takes unnest($1) for 10 rows, and so plans anew,
	// in 0.4 ms, whatever asks for fewer.
	config.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	config.RuntimeParams["jit"] = "off"               // costs more than it gains on statements of some ms
	config.RuntimeParams["statement_timeout"] = "30s" // nothing here runs for longer
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "60s"

	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second // what accepts, and says nothing, is no database
	}
	pooled.MaxConns = int32(maxConnections())
	pooled.MaxConnIdleTime = 5 * time.Minute
	d, err := open(ctx, pooled)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	if err := d.checkEncoding(ctx); err != nil {
		d.pool.Close()
		return nil, err
	}
	replanned := pooled.Copy()
	replanned.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_custom_plan"
	replanned.MaxConns = int32(max(2, runtime.NumCPU())) // searches keep the database busy, and are few
	if d.planning, err = pgxpool.NewWithConfig(ctx, replanned); err != nil {
		d.pool.Close()
		return nil, err
	}
	return d, nil
}

// checkEncoding checks that the database answers, and that it can hold all text.
func (d *DB) checkEncoding(ctx context.Context) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Release()
	if encoding := conn.Conn().PgConn().ParameterStatus("server_encoding"); encoding != "UTF8" {
		return fmt.Errorf("the database keeps text in %s, which has no room for most names: make one with the encoding UTF8", encoding)
	}
	return nil
}

// open gives the database over one pool.
func open(ctx context.Context, config *pgxpool.Config) (*DB, error) {
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &DB{bun.NewDB(stdlib.OpenDBFromPool(pool), pgdialect.New()), config, pool, pool}, nil
}

// Pools gives the figures of each pool of connections, by the pool's name:
// "statements" runs most, "planning" what is planned for each run.
func (d *DB) Pools() map[string]func() *pgxpool.Stat {
	return map[string]func() *pgxpool.Stat{"statements": d.pool.Stat, "planning": d.planning.Stat}
}

// Apart gives the same database over connections of its own, at most so many,
// which carry a name that PostgreSQL shows: for what has to go on while all
// others are in use. The caller closes it.
func (d *DB) Apart(ctx context.Context, name string, connections int32) (*DB, error) {
	config := d.config.Copy()
	config.ConnConfig.RuntimeParams["application_name"] += " " + name
	config.MaxConns = connections
	return open(ctx, config)
}

// Connect opens a connection outside the pool, for what must keep one to itself,
// such as LISTEN. The caller closes it.
func (d *DB) Connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.ConnectConfig(ctx, d.config.ConnConfig.Copy())
}

// Migrate brings the schema of the database up to date, and gives the number of
// migrations that were missing. Servers that start at the same time take turns.
// It fails on a schema that is newer than its own, whose rules this program does
// not know.
func (d *DB) Migrate(ctx context.Context) (applied int, err error) {
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return 0, err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, d.DB.DB, migrations.Files, goose.WithSessionLocker(locker))
	if err != nil {
		return 0, err
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return 0, fmt.Errorf("migrate the database: %w", err)
	}
	current, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return 0, fmt.Errorf("migrate the database: %w", err)
	}
	if current > newest {
		return 0, fmt.Errorf("the database was migrated by a newer Roster, to version %d, and this one knows %d: start that one", current, newest)
	}
	return len(results), nil
}

// transaction is a transaction and the connection that it is on.
type transaction struct {
	bun.Tx
	conn *sql.Conn
}

type txKey struct{}

func txOf(ctx context.Context) *transaction {
	tx, _ := ctx.Value(txKey{}).(*transaction)
	return tx
}

// InTx runs fn in the transaction that ctx carries, or else in one of its own,
// which it commits when fn succeeds. Work on the context that fn is given
// belongs to the transaction.
func (d *DB) InTx(ctx context.Context, fn func(ctx context.Context, tx bun.Tx) error) error {
	if tx := txOf(ctx); tx != nil {
		return fn(ctx, tx.Tx)
	}
	return Problem(d.begin(ctx, nil, fn))
}

// begin runs fn in a new transaction.
func (d *DB) begin(ctx context.Context, options *sql.TxOptions, fn func(ctx context.Context, tx bun.Tx) error) error {
	conn, err := d.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.RunInTx(ctx, options, func(ctx context.Context, tx bun.Tx) error {
		return fn(context.WithValue(ctx, txKey{}, &transaction{tx, conn.Conn}), tx)
	})
}

// InSnapshot runs fn so that all its statements read one and the same state of
// the database: in a transaction that writes nothing. Where ctx carries a
// transaction, fn joins that, and each statement reads the state at its own
// beginning.
func (d *DB) InSnapshot(ctx context.Context, fn func(ctx context.Context) error) error {
	if HasTx(ctx) {
		return fn(ctx)
	}
	options := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	return d.begin(ctx, options, func(ctx context.Context, _ bun.Tx) error { return fn(ctx) })
}

// HasTx tells whether ctx carries a transaction.
func HasTx(ctx context.Context) bool {
	return txOf(ctx) != nil
}

// Of gives what statements of ctx run on: its transaction, or the database.
func (d *DB) Of(ctx context.Context) bun.IDB {
	if tx := txOf(ctx); tx != nil {
		return tx.Tx
	}
	return d.DB
}

// Close closes the connections.
func (d *DB) Close() error {
	err := d.DB.Close()
	d.pool.Close()
	d.planning.Close()
	return err
}
