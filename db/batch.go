package db

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// Batch collects statements that DB.Run sends together, so that all of them take one
// round trip. Each one sees what the ones before it have written and waited for, as if
// they had been sent one by one. The zero Batch is empty.
type Batch struct {
	statements []queued
}

// queued is a statement that waits to be sent.
type queued struct {
	text string
	args []any
	// read takes the result.
	read func(d *DB, rows pgx.Rows) error
}

// Rows are the rows of a statement of a batch, after DB.Run.
type Rows[T any] struct{ All []T }

// One returns the first row, or nil if there are no rows.
func (r *Rows[T]) One() *T {
	if len(r.All) == 0 {
		return nil
	}
	return &r.All[0]
}

// Queue adds a statement to the batch. It returns the rows, which DB.Run fills as
// Select would return them. See Select for text and args.
func Queue[T any](b *Batch, text string, args ...any) *Rows[T] {
	r := &Rows[T]{}
	b.statements = append(b.statements, queued{text, args, func(d *DB, rows pgx.Rows) (err error) {
		r.All, err = scan[T](d, rows)
		return err
	}})
	return r
}

// Exec adds a statement whose rows, if it has any, do not matter.
func (b *Batch) Exec(text string, args ...any) {
	b.statements = append(b.statements, queued{text, args, func(_ *DB, rows pgx.Rows) error {
		rows.Close()
		return rows.Err()
	}})
}

// Len returns the number of statements.
func (b *Batch) Len() int { return len(b.statements) }

var errNoTransaction = errors.New("a batch runs in a transaction")

// Run runs the statements of the batch in the transaction that ctx carries, and empties
// the batch. It stops at the first statement that fails, and returns its error as
// Problem does.
func (d *DB) Run(ctx context.Context, b *Batch) error {
	tx := txOf(ctx)
	if tx == nil {
		return errNoTransaction
	}
	if b.Len() == 0 {
		return nil
	}
	err := tx.on(func(conn *pgx.Conn) error { return d.send(ctx, conn, b) })
	b.statements = nil
	if outdated(err) {
		d.renew(ctx) // the transaction is lost, and runs again on another connection
	}
	return Problem(err)
}

// send runs the statements of the batch on the connection.
func (d *DB) send(ctx context.Context, conn *pgx.Conn, b *Batch) error {
	together := &pgx.Batch{}
	for _, s := range b.statements {
		together.Queue(s.text, s.args...)
	}
	traces := d.traceBatch(ctx, conn, b)
	results := conn.SendBatch(ctx, together)
	err := func() error {
		for i, s := range b.statements {
			rows, _ := results.Query() // rows reports the same error
			err := s.read(d, rows)
			traces.end(i, pgx.TraceQueryEndData{CommandTag: rows.CommandTag(), Err: err})
			if err != nil {
				return err
			}
		}
		return nil
	}()
	return errors.Join(err, ignore(err, results.Close()))
}

// ignore returns the second error unless there is a first one, which it repeats.
func ignore(first, second error) error {
	if first != nil {
		return nil
	}
	return second
}

// tracer sees statements outside of batches. Package db itself traces those of batches:
// pgx would report their ends, but not their beginnings.
type tracer struct{ pgx.QueryTracer }

// TraceBatchStart does nothing.
func (tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery does nothing.
func (tracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd does nothing.
func (tracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// traces are the traces of the statements of a batch.
type traces struct {
	tracer pgx.QueryTracer
	conn   *pgx.Conn
	each   []context.Context
}

// traceBatch begins to trace each statement of the batch.
func (d *DB) traceBatch(ctx context.Context, conn *pgx.Conn, b *Batch) traces {
	t := traces{tracer: conn.Config().Tracer, conn: conn}
	if t.tracer == nil {
		return t
	}
	for _, s := range b.statements {
		t.each = append(t.each, t.tracer.TraceQueryStart(ctx, conn, pgx.TraceQueryStartData{SQL: s.text, Args: s.args}))
	}
	return t
}

var errNotRun = errors.New("an earlier statement of the batch failed")

// end ends the trace of a statement. If the statement failed, it ends the traces of all
// later ones as well, which did not run.
func (t traces) end(i int, data pgx.TraceQueryEndData) {
	if t.tracer == nil {
		return
	}
	t.tracer.TraceQueryEnd(t.each[i], t.conn, data)
	for i++; data.Err != nil && i < len(t.each); i++ {
		t.tracer.TraceQueryEnd(t.each[i], t.conn, pgx.TraceQueryEndData{Err: errNotRun})
	}
}
