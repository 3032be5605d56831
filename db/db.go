// Package db is the connection to PostgreSQL: the rows of its tables, the statements and
// transactions that run on it, and the meaning of its errors.
//
//	Open ──▶ DB ── Select, SelectOne      read by prepared statements, in a transaction or not
//	          ├── InTx, InSnapshot        run a function in a transaction, which its context carries
//	          ├── Executor                run statements of bun on the same transaction
//	          └── Migrate                 bring the schema up to date
//
//	Problem                               turns an error into what callers see
//
// A row, such as User, is a bun model with foreign keys only. It has no relations, so
// that nothing is loaded by accident. The JSON name of a column is the name of its
// GraphQL field; a column without one ("-") is never shown or logged. Each kind of row
// has ids of its own type (id.go).
//
// Begin with DB in this file, then see select.go and transaction.go. Package list reads
// lists page by page, embedded runs a PostgreSQL, and dbtest makes databases for tests.
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

// DB is the database. Its methods join the transaction that their context carries, if
// there is one.
type DB struct {
	*bun.DB
	connector *connector
	pools     pools
}

// Options describe a connection beyond its URL. The zero value has the defaults.
type Options struct {
	// Pooler is the pooler between this program and PostgreSQL; it is detected by default.
	Pooler Pooler
	// Tracer sees each statement; nil sees none.
	Tracer pgx.QueryTracer
}

// Open connects to the PostgreSQL that dsn names (a URL or key=value pairs) and
// checks that Roster can work with it. The error is one line for the operator.
func Open(ctx context.Context, dsn secret.Text, o Options) (*DB, error) {
	c, err := newConnector(dsn, o)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	d, err := openProbed(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	if err := d.addPools(ctx, c.share()); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// open returns the database over one pool.
func open(ctx context.Context, c *connector, config *pgxpool.Config) (*DB, error) {
	p, err := newPool(ctx, config)
	if err != nil {
		return nil, err
	}
	d := &DB{connector: c, pools: pools{reads: p, planning: p, writes: p, urgent: p}}
	// A newer Roster may have added columns: see scan.
	d.DB = bun.NewDB(openSQL(d), dialect{pgdialect.New()}, bun.WithDiscardUnknownColumns())
	return d, nil
}

// addPools makes a pool for each kind of work that n has connections for.
func (d *DB) addPools(ctx context.Context, n shares) (err error) {
	add := func(to **pool, config *pgxpool.Config) {
		if err == nil && config.MaxConns > 0 {
			var p *pool
			if p, err = newPool(ctx, config); err == nil {
				*to = p
			}
		}
	}
	add(&d.pools.planning, d.connector.planning(n.planning))
	add(&d.pools.writes, d.connector.extra(n.writes))
	add(&d.pools.urgent, d.connector.extra(n.urgent))
	return err
}

// Pools returns the figures of each pool of connections, by the pool's name: "writes"
// runs transactions that write, "urgent" what Urgently asks for, "planning" statements
// that are planned for each run, and "reads" all others.
func (d *DB) Pools() map[string]func() *pgxpool.Stat {
	stats := map[string]func() *pgxpool.Stat{}
	for name, pool := range d.pools.all() {
		stats[name] = pool.Stat
	}
	return stats
}

// Writers returns how many transactions can write at a time, and how many urgent ones
// beside them.
func (d *DB) Writers() (writes, urgent int) {
	return int(d.pools.writes.Config().MaxConns), int(d.pools.urgent.Config().MaxConns)
}

// Dedicated returns the same database over connections of its own, at most that many,
// for work that has to go on while all other connections are in use. PostgreSQL shows
// the name on them. The caller closes it.
func (d *DB) Dedicated(ctx context.Context, name string, connections int32) (*DB, error) {
	return open(ctx, d.connector, d.connector.dedicated(name, connections))
}

// Pooled reports whether a pooler gives each transaction another connection, so
// that nothing of a session outlives a transaction: neither LISTEN, nor settings,
// locks or prepared statements.
func (d *DB) Pooled() bool { return d.connector.pooled }

// Connect opens a connection outside the pool, for work that must keep a connection to
// itself, such as LISTEN. The caller closes it.
func (d *DB) Connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.ConnectConfig(ctx, d.pools.reads.Config().ConnConfig)
}

// Close closes the connections.
func (d *DB) Close() error {
	err := d.DB.Close()
	for _, pool := range d.pools.all() {
		pool.Close()
	}
	return err
}
