package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// room remembers that the database has no room for more connections. Meanwhile, nothing
// tries to connect, because refusing connections would keep the database busy.
type room struct{ until atomic.Int64 } // in nanoseconds since 1970

const (
	// fullPause is how long nothing tries to connect to a full database.
	fullPause = 100 * time.Millisecond
	// fullWait is the pause before a request looks again for a connection.
	fullWait = 5 * time.Millisecond
)

var errFull = errors.New("the database has no room for another connection")

func (r *room) beforeConnect(context.Context, *pgx.ConnConfig) error {
	if time.Now().UnixNano() < r.until.Load() {
		return errFull
	}
	return nil
}

// lacks reports whether err means that there is no room, and remembers it.
func (r *room) lacks(err error) bool {
	if errors.Is(err, errFull) {
		return true
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	// 53300 is too_many_connections; pgbouncer has no code for it.
	if !ok || refused.Code != "53300" && !strings.Contains(refused.Message, "no more connections allowed") {
		return false
	}
	r.until.Store(time.Now().Add(fullPause).UnixNano())
	return true
}

// acquire takes a connection out of the pool, when the holders of ctx have less than
// their share of it; the caller releases both. If the database has no room for another
// connection, acquire waits for one that this server has already, and takes it from any
// pool: a plan that fits less well is better than none.
func (d *DB) acquire(ctx context.Context, p *pool) (conn *pgxpool.Conn, release func(), err error) {
	leave, err := p.shares.Enter(ctx)
	if err != nil {
		return nil, nil, err
	}
	err = d.waitForRoom(ctx, p, func(p *pool) error { conn, err = p.Acquire(ctx); return err })
	if err != nil {
		leave()
		return nil, nil, err
	}
	return conn, func() { conn.Release(); leave() }, nil
}

// waitForRoom runs connect, for the pool or else for other ones, until it gets a
// connection. It returns the error if there is neither room nor a connection to wait
// for.
func (d *DB) waitForRoom(ctx context.Context, p *pool, connect func(*pool) error) error {
	for {
		err := connect(p)
		if err == nil || !d.connector.room.lacks(err) {
			return err
		}
		there := connections(p)
		for _, other := range d.pools.all() {
			if other == p || connections(other) == 0 {
				continue
			}
			there += connections(other)
			if err = connect(other); err == nil || !d.connector.room.lacks(err) {
				return err
			}
		}
		if there == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(fullWait):
		}
	}
}

// connections returns how many connections the pool has, or may be about to have.
func connections(p *pool) int32 {
	s := p.Stat()
	return s.AcquiredConns() + s.IdleConns() + s.ConstructingConns()
}

// openSQL returns a database/sql database over the pool of d. It keeps no connections of
// its own.
func openSQL(d *DB) *sql.DB {
	s := sql.OpenDB(waiting{d})
	s.SetMaxIdleConns(0)
	return s
}

// waiting is a connector that waits for room.
type waiting struct{ db *DB }

// Connect takes a connection out of the pool for ctx, as acquire does.
func (w waiting) Connect(ctx context.Context) (conn driver.Conn, err error) {
	from := w.db.poolOf(ctx, w.db.pools.reads)
	err = w.db.waitForRoom(ctx, from, func(p *pool) error {
		conn, err = stdlib.GetPoolConnector(p.Pool).Connect(ctx)
		return err
	})
	if err != nil {
		return nil, Problem(err)
	}
	return bunConn{conn.(*stdlib.Conn)}, nil
}

// Driver returns pgx's.
func (waiting) Driver() driver.Driver { return stdlib.GetDefaultDriver() }

// bunConn is a connection as bun uses it. bun writes arguments into the text, so that no
// two statements are alike, and preparing them would cost ×1.5. Its errors are as Problem
// returns them, so that they name the function that has run the statement.
type bunConn struct{ *stdlib.Conn }

// ExecContext runs a statement without preparing it.
func (c bunConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	result, err := c.Conn.ExecContext(ctx, text, unprepared(args))
	return result, Problem(err)
}

// QueryContext runs a statement without preparing it.
func (c bunConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.Conn.QueryContext(ctx, text, unprepared(args))
	return rows, Problem(err)
}

// unprepared puts the mode in which pgx runs the statement before the arguments.
func unprepared(args []driver.NamedValue) []driver.NamedValue {
	return append([]driver.NamedValue{{Value: pgx.QueryExecModeExec}}, args...)
}
