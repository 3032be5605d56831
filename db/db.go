// Package db holds the rows of the database, the connection to it, and what
// its constraints mean.
//
// Rows are bun models with foreign keys only: no relations, so that nothing is
// loaded by accident. The JSON name of a column is the name of its GraphQL
// field; a column without one ("-") is never shown or logged.
package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"roster/secret"
)

// DB is the database, or the transaction that a context carries.
type DB struct {
	*bun.DB
	connector *connector
	// pool is where statements run. PostgreSQL keeps one plan of each in it; in
	// planning, if that is another pool, it makes one for the values of each run.
	pool, planning *pgxpool.Pool
}

// Options describe a connection beyond its URL; the zero value is fine.
type Options struct {
	// Pooler is what stands between this program and PostgreSQL.
	Pooler Pooler
	// Tracer sees each statement; nil sees none.
	Tracer pgx.QueryTracer
}

// Open connects to the PostgreSQL that dsn names (a URL or key=value pairs) and
// checks that Roster can work with it. The error is one line for the operator.
func Open(ctx context.Context, dsn secret.Text, o Options) (*DB, error) {
	c, err := newConnector(dsn, o)
	if err == nil {
		err = c.probe(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	d, err := open(ctx, c, c.statements())
	if err != nil || c.pooled {
		return d, err
	}
	if d.planning, err = pgxpool.NewWithConfig(ctx, c.planning()); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// open returns the database over one pool.
func open(ctx context.Context, c *connector, config *pgxpool.Config) (*DB, error) {
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	d := &DB{connector: c, pool: pool, planning: pool}
	// A newer Roster may have added columns: see scan.
	d.DB = bun.NewDB(openSQL(d), dialect{pgdialect.New()}, bun.WithDiscardUnknownColumns())
	return d, nil
}

// Pools returns the figures of each pool of connections, by the pool's name:
// "statements" runs most, "planning" what is planned for each run.
func (d *DB) Pools() map[string]func() *pgxpool.Stat {
	return map[string]func() *pgxpool.Stat{"statements": d.pool.Stat, "planning": d.planning.Stat}
}

// Dedicated returns the same database over connections of its own, at most so
// many, which carry a name that PostgreSQL shows: for what has to go on while all
// others are in use. The caller closes it.
func (d *DB) Dedicated(ctx context.Context, name string, connections int32) (*DB, error) {
	return open(ctx, d.connector, d.connector.dedicated(name, connections))
}

// Pooled reports whether a pooler gives each transaction another connection, so
// that nothing of a session outlives a transaction: neither LISTEN, nor settings,
// locks or prepared statements.
func (d *DB) Pooled() bool { return d.connector.pooled }

// Connect opens a connection outside the pool, for what must keep one to itself,
// such as LISTEN, which carries a name that PostgreSQL shows. The caller closes it.
func (d *DB) Connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.ConnectConfig(ctx, d.pool.Config().ConnConfig)
}

// Close closes the connections.
func (d *DB) Close() error {
	err := d.DB.Close()
	d.pool.Close()
	d.planning.Close()
	return err
}
