package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"roster/problem"
)

// transaction is a transaction and the connection that it is on.
type transaction struct {
	bun.Tx
	conn *sql.Conn
	// leave gives back the connection's place in the shares of its pool.
	leave func()
}

// release returns the connection to its pool.
func (tx *transaction) release() {
	_ = tx.conn.Close()
	tx.leave()
}

type txKey struct{}

func txOf(ctx context.Context) *transaction {
	tx, _ := ctx.Value(txKey{}).(*transaction)
	return tx
}

// HasTx reports whether ctx carries a transaction.
func HasTx(ctx context.Context) bool {
	return txOf(ctx) != nil
}

// Executor returns the transaction that ctx carries, or else the database.
func (d *DB) Executor(ctx context.Context) bun.IDB {
	if tx := txOf(ctx); tx != nil {
		return tx.Tx
	}
	return d.DB
}

// InTx runs fn in the transaction that ctx carries, or else in one of its own, which it
// commits if fn succeeds. Work with the context that fn receives belongs to the
// transaction. InTx returns an UNAVAILABLE problem if the database went away; its
// message says so if the commit may have been carried out.
func (d *DB) InTx(ctx context.Context, fn func(ctx context.Context, tx bun.Tx) error) error {
	if tx := txOf(ctx); tx != nil {
		return Problem(fn(ctx, tx.Tx))
	}
	return Problem(d.transact(ctx, d.pools.writes, nil, fn))
}

// InSavepoint runs fn in the transaction that ctx carries. If fn fails, what it did is
// undone, and the transaction goes on. It returns another error than fn if the
// transaction cannot go on.
func (d *DB) InSavepoint(ctx context.Context, fn func(ctx context.Context) error) error {
	tx := txOf(ctx)
	if _, err := tx.ExecContext(ctx, "savepoint apart"); err != nil {
		return err
	}
	failed := fn(ctx)
	end := "release savepoint apart"
	if failed != nil {
		end = "rollback to savepoint apart; " + end
	}
	if _, err := tx.ExecContext(ctx, end); err != nil {
		return err
	}
	return failed
}

// InSnapshot runs fn in a read-only transaction whose statements all read one state of
// the database. fn runs once more if its connection had died. If ctx carries a
// transaction, fn joins it, and each statement reads the state at its own beginning.
func (d *DB) InSnapshot(ctx context.Context, fn func(ctx context.Context) error) error {
	if HasTx(ctx) {
		return fn(ctx)
	}
	options := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	return Problem(d.twice(ctx, func() error {
		return d.transact(ctx, d.pools.reads, options, func(ctx context.Context, _ bun.Tx) error { return fn(ctx) })
	}))
}

// transact runs fn in a new transaction, on a connection of the usual pool unless ctx
// has chosen another one.
func (d *DB) transact(ctx context.Context, usual *pool, options *sql.TxOptions, fn func(ctx context.Context, tx bun.Tx) error) error {
	var tx *transaction
	err := d.twice(ctx, func() (err error) { tx, err = d.begin(ctx, d.poolOf(ctx, usual), options); return err })
	if err != nil {
		return err
	}
	defer tx.release()
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if d.Pooled() {
		if _, err := tx.ExecContext(ctx, d.connector.limit); err != nil {
			return err
		}
	}
	if err := fn(context.WithValue(ctx, txKey{}, tx), tx.Tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return commitError(ctx, err)
	}
	return nil
}

// begin opens a transaction.
func (d *DB) begin(ctx context.Context, p *pool, options *sql.TxOptions) (*transaction, error) {
	leave, err := p.shares.Enter(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := d.Conn(context.WithValue(ctx, poolKey{}, p))
	if err != nil {
		leave()
		return nil, err
	}
	tx, err := conn.BeginTx(ctx, options)
	if err != nil {
		_ = conn.Close()
		leave()
		return nil, err
	}
	return &transaction{tx, conn.Conn, leave}, nil
}

// twice runs fn once more if it failed because its connection had died, or because a plan
// belonged to an earlier schema. The second run uses none of the earlier connections.
func (d *DB) twice(ctx context.Context, fn func() error) error {
	err := fn()
	if err == nil || ctx.Err() != nil || !cut(err) && !outdated(err) {
		return err
	}
	d.renew()
	return fn()
}

// renew closes all connections; the ones in use are closed when they are released.
func (d *DB) renew() {
	for _, pool := range d.pools.all() {
		pool.Reset()
	}
}

var errUnknownOutcome = problem.New(problem.Unavailable,
	"The database went away during the commit, so that this may have been done or not: look before you send it again. With an Idempotency-Key, sending it again is safe.")

// commitError returns the error of a commit. It includes errUnknownOutcome if nobody
// knows whether the commit was carried out.
func commitError(ctx context.Context, err error) error {
	if errors.Is(err, sql.ErrTxDone) || err == ctx.Err() || !mayHaveCommitted(err) { //nolint:errorlint // database/sql returns that before it sends anything
		return err
	}
	return fmt.Errorf("%w: %w", errUnknownOutcome, err)
}
