package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"

	"roster/problem"
)

// transaction is a transaction on a connection of its own. This package begins and ends
// it itself, rather than database/sql, so that the first statements can be sent along
// with "begin".
type transaction struct {
	bun.Conn
	// leave returns the connection's place in the shares of its pool.
	leave func()
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
		return tx.Conn
	}
	return d.DB
}

// InTx runs fn in the transaction that ctx carries, or else in one of its own, which it
// commits if fn succeeds. Work with the context that fn receives belongs to the
// transaction. InTx returns an UNAVAILABLE problem if the database went away; its
// message says so if the commit may have been carried out.
func (d *DB) InTx(ctx context.Context, fn func(ctx context.Context, tx bun.IDB) error) error {
	if tx := txOf(ctx); tx != nil {
		return Problem(fn(ctx, tx.Conn))
	}
	return d.InNewTx(ctx, Batch{}, fn)
}

// InNewTx is InTx for a ctx that carries no transaction. It sends the statements of first
// along with "begin", in one round trip. They may run twice, if their connection had died.
func (d *DB) InNewTx(ctx context.Context, first Batch, fn func(ctx context.Context, tx bun.IDB) error) error {
	return Problem(d.transact(ctx, d.pools.writes, "begin", first, fn))
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
	const begin = "begin isolation level repeatable read read only"
	return Problem(d.twice(ctx, func() error {
		return d.transact(ctx, d.pools.reads, begin, Batch{}, func(ctx context.Context, _ bun.IDB) error { return fn(ctx) })
	}))
}

// transact runs fn in a new transaction, on a connection of the usual pool unless ctx
// has chosen another one.
func (d *DB) transact(ctx context.Context, usual *pool, begin string, first Batch, fn func(ctx context.Context, tx bun.IDB) error) error {
	opening := Batch{}
	opening.Exec(begin)
	if d.Pooled() {
		opening.Exec(d.connector.limit)
	}
	opening.statements = append(opening.statements, first.statements...)
	var tx *transaction
	err := d.twice(ctx, func() (err error) { tx, err = d.begin(ctx, d.poolOf(ctx, usual), &opening); return err })
	if err != nil {
		return err
	}
	defer tx.close(ctx)
	if err := fn(context.WithValue(ctx, txKey{}, tx), tx.Conn); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // and nothing is committed
	}
	return commitError(tx.commit(ctx))
}

// begin opens a transaction on a connection of the pool, by the statements of opening.
func (d *DB) begin(ctx context.Context, p *pool, opening *Batch) (*transaction, error) {
	leave, err := p.shares.Enter(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := d.Conn(context.WithValue(ctx, poolKey{}, p))
	if err != nil {
		leave()
		return nil, err
	}
	tx := &transaction{conn, leave}
	if err := tx.on(func(conn *pgx.Conn) error { return d.send(ctx, conn, opening) }); err != nil {
		tx.close(ctx)
		return nil, err
	}
	return tx, nil
}

// on calls fn with the connection of the transaction.
func (tx *transaction) on(fn func(conn *pgx.Conn) error) error {
	return tx.Raw(func(conn any) error { return fn(conn.(bunConn).Conn.Conn()) })
}

// commit commits the transaction.
func (tx *transaction) commit(ctx context.Context) error {
	return tx.on(func(conn *pgx.Conn) error {
		tag, err := conn.Exec(ctx, "commit")
		if err == nil && tag.String() == "ROLLBACK" {
			err = pgx.ErrTxCommitRollback // a statement had failed, and nobody noticed
		}
		return err
	})
}

// close returns the connection to its pool. It rolls the transaction back unless it was committed.
// If ctx has ended, the pool closes the connection instead, which still has its
// transaction.
func (tx *transaction) close(ctx context.Context) {
	_ = tx.on(func(conn *pgx.Conn) error {
		if conn.IsClosed() || conn.PgConn().TxStatus() == 'I' {
			return nil
		}
		_, err := conn.Exec(ctx, "rollback")
		return err
	})
	_ = tx.Close()
	tx.leave()
}

// twice runs fn once more if it failed because its connection had died, or because a plan
// belonged to an earlier schema. The second run uses none of the earlier connections.
func (d *DB) twice(ctx context.Context, fn func() error) error {
	err := fn()
	if err == nil || ctx.Err() != nil || !cut(err) && !outdated(err) {
		return err
	}
	d.renew(ctx)
	return fn()
}

// renew closes all connections, and those that ctx has chosen; the ones in use are closed
// when they are released.
func (d *DB) renew(ctx context.Context) {
	d.poolOf(ctx, d.pools.reads).Reset()
	for _, pool := range d.pools.all() {
		pool.Reset()
	}
}

var errUnknownOutcome = problem.New(problem.Unavailable,
	"The database went away during the commit, so that this may have been done or not: look before you send it again. With an Idempotency-Key, sending it again is safe.")

// commitError returns the error of a commit. It includes errUnknownOutcome if nobody
// knows whether the commit was carried out.
func commitError(err error) error {
	if err == nil || !mayHaveCommitted(err) {
		return err
	}
	return fmt.Errorf("%w: %w", errUnknownOutcome, err)
}
