package changes

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/uptrace/bun"

	"roster/db"
	"roster/problem"
)

// Writer is the only way to write to the database. A write records what it
// changes ([Writer.Write]), or says that it leaves no record
// ([Writer.Unrecorded]).
type Writer struct {
	db    *db.DB
	feed  *Follower
	log   *slog.Logger
	hooks Hooks
	// again has room for the one transaction that runs again.
	again chan struct{}
}

// Hooks are what must happen around the commit of a write; all must be given.
type Hooks struct {
	// Check refuses a write by an error, in its transaction, when everything that
	// it does is done and recorded.
	Check func(ctx context.Context, w *Write) error
	// Committed hears of what was committed before that is acknowledged. It also
	// hears of a commit that failed: when a connection breaks meanwhile, nobody
	// knows whether it was done.
	Committed func(rows []db.Change)
}

// NewWriter returns a writer to database, whose other servers feed tells of what
// it commits.
func NewWriter(database *db.DB, feed *Follower, log *slog.Logger, hooks Hooks) *Writer {
	return &Writer{db: database, feed: feed, log: log, hooks: hooks, again: make(chan struct{}, 1)}
}

// Atomically runs fn in one transaction, which everything that fn does with its
// context joins: all of it happens or nothing. A transaction that lost a race
// against another runs again, so fn must be repeatable; one that keeps losing
// fails with an error that is db.Retryable. Once Atomically has returned, no
// answer of this server is older than what fn wrote.
func (w *Writer) Atomically(ctx context.Context, fn func(ctx context.Context) error) error {
	if db.HasTx(ctx) {
		return fn(ctx)
	}
	err := w.attempt(ctx, fn)
	if !db.Retryable(err) {
		return err
	}
	// One at a time: documents that name the same in opposite orders would only meet
	// again. A transaction that waits here holds neither locks nor a connection.
	select {
	case w.again <- struct{}{}:
		defer func() { <-w.again }()
	case <-ctx.Done():
		return err
	}
	const more = 4
	for try := 1; try <= more && db.Retryable(err) && ctx.Err() == nil; try++ {
		w.log.DebugContext(ctx, "transaction runs again", "try", try, "cause", err)
		err = w.attempt(ctx, fn)
	}
	return err
}

// attempt runs fn in a transaction of its own, once.
func (w *Writer) attempt(ctx context.Context, fn func(ctx context.Context) error) error {
	var done Written
	var undone error
	err := w.db.InTx(context.WithValue(ctx, writtenKey{}, &done), func(ctx context.Context, _ bun.Tx) error {
		undone = fn(ctx)
		return undone
	})
	if undone == nil && len(done.rows) > 0 {
		w.hooks.Committed(done.rows)
		w.feed.Ring()
	}
	if err == nil {
		committed(ctx, done.rows)
	}
	return err
}

// errDryRun undoes a dry run.
var errDryRun = errors.New("dry run")

// DryRun is Atomically, except that all is undone in the end. It fails just as
// Atomically would.
func (w *Writer) DryRun(ctx context.Context, fn func(ctx context.Context) error) error {
	err := w.Atomically(ctx, func(ctx context.Context) error {
		if err := fn(ctx); err != nil {
			return err
		}
		if _, err := w.db.Executor(ctx).NewRaw("set constraints all immediate").Exec(ctx); err != nil {
			return err
		}
		return errDryRun
	})
	if errors.Is(err, errDryRun) {
		return nil
	}
	return err
}

// Unrecorded returns what statements run on that leave no record: the last use of
// something, attempts to sign in, mail on its way. Nobody follows them, so that
// no answer from memory may depend on what they write. They join the transaction
// of ctx if there is one.
func (w *Writer) Unrecorded(ctx context.Context) bun.IDB { return w.db.Executor(ctx) }

// Write is one write under way: its transaction, the moment at which it happens,
// what is wrong with its input, and the record of what it changes.
type Write struct {
	bun.Tx
	// At is the moment of the write by the database's clock, since servers differ.
	// It is not that of the transaction's start, since the later fields of a document
	// happen after its earlier ones.
	At time.Time
	// Faults are what is wrong with the input so far. What is looked up for a write
	// adds what is missing to them, and stands as nil, so that the rest of the
	// input is judged as well; nothing may be written while there are some.
	Faults problem.List

	actor string
	rows  []*db.Change
}

// Write runs fn on behalf of actor, in text form, in the transaction of ctx or in
// one of its own, and appends what fn has recorded to the log of changes. It fails
// with all faults that fn has found.
func (w *Writer) Write(ctx context.Context, actor string, fn func(ctx context.Context, write *Write) error) error {
	return w.Atomically(ctx, func(ctx context.Context) error {
		return w.db.InTx(ctx, func(ctx context.Context, tx bun.Tx) error {
			write := &Write{Tx: tx, actor: actor}
			if err := write.ReadClock(ctx); err != nil {
				return err
			}
			if err := fn(ctx, write); err != nil {
				return db.Problem(err)
			}
			if err := write.Faults.Err(); err != nil {
				return err
			}
			if err := w.hooks.Check(ctx, write); err != nil {
				return err
			}
			if err := write.append(ctx); err != nil {
				return err
			}
			WrittenIn(ctx).add(write)
			return nil
		})
	})
}

// ReadClock sets the moment of the write. Call it again after waiting for a lock,
// and before anything is recorded, so that the write does not seem to come before
// what it waited for.
func (w *Write) ReadClock(ctx context.Context) error {
	if err := w.NewRaw("select clock_timestamp()").Scan(ctx, &w.At); err != nil {
		return err
	}
	w.At = w.At.UTC()
	return nil
}

// Written is what a transaction has written so far.
type Written struct {
	rows []db.Change
	// Last are the changes of the last write, and At is its moment.
	Last []db.Change
	At   time.Time
}

type writtenKey struct{}

// WrittenIn returns what the transaction of ctx has written so far; nothing
// outside the transactions of a Writer.
func WrittenIn(ctx context.Context) *Written {
	if written, ok := ctx.Value(writtenKey{}).(*Written); ok {
		return written
	}
	return &Written{}
}

func (w *Written) add(write *Write) {
	w.Last, w.At = write.Changes(), write.At
	w.rows = append(w.rows, w.Last...)
}

// Revision returns where the commit of the transaction will lead; 0 if nothing
// was changed.
func (w *Written) Revision() db.Revision {
	if len(w.rows) == 0 {
		return 0
	}
	return w.rows[0].XID
}

type committedKey struct{}

// WithCommitted returns a context whose transactions note, in revision, what they
// have committed.
func WithCommitted(ctx context.Context, revision *db.Revision) context.Context {
	return context.WithValue(ctx, committedKey{}, revision)
}

// committed notes that a transaction of ctx with these changes was committed.
func committed(ctx context.Context, rows []db.Change) {
	if revision, ok := ctx.Value(committedKey{}).(*db.Revision); ok && len(rows) > 0 {
		*revision = rows[0].XID
	}
}
