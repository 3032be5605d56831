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
	// again holds an element while a transaction runs again.
	again chan struct{}
}

// Hooks are called around the commit of each write. All are required.
type Hooks struct {
	// Check is called in the transaction of a write when all its work is done, and its
	// changes are in the log. The write fails with the error that it returns.
	Check func(ctx context.Context, w *Write) error
	// Committed is called with what was committed before the commit is acknowledged. It
	// is also called after a failed commit, because nobody knows whether the commit was
	// done if the connection broke.
	Committed func(rows []db.Change)
}

// NewWriter returns a writer to database. It notifies the followers of other servers
// through feed.
func NewWriter(database *db.DB, feed *Follower, log *slog.Logger, hooks Hooks) *Writer {
	return &Writer{db: database, feed: feed, log: log, hooks: hooks, again: make(chan struct{}, 1)}
}

// Atomically runs fn in one transaction, which everything that fn does with its context
// joins: all of it happens, or nothing. If the transaction lost a race against another
// one, fn runs again, so it must be repeatable; if it keeps losing, Atomically returns an
// error that is db.Retryable. After Atomically has returned, no answer of this server
// is older than what fn wrote.
func (w *Writer) Atomically(ctx context.Context, fn func(ctx context.Context) error) error {
	if db.HasTx(ctx) {
		return fn(ctx)
	}
	err := w.attempt(ctx, fn)
	if !db.Retryable(err) {
		return err
	}
	// One transaction at a time runs again, because documents that name the same objects in
	// opposite orders would only meet again. One that waits here holds neither locks nor
	// a connection.
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
	var first db.Batch
	began := db.Queue[time.Time](&first, clock)
	err := w.db.InNewTx(context.WithValue(ctx, writtenKey{}, &done), first, func(ctx context.Context, _ bun.IDB) error {
		done.began = *began.One()
		undone = fn(ctx)
		return undone
	})
	if undone == nil && len(done.rows) > 0 {
		w.hooks.Committed(done.rows)
		w.feed.Notify()
	}
	if err == nil {
		committed(ctx, done.rows)
	}
	return err
}

// errDryRun rolls a dry run back.
var errDryRun = errors.New("dry run")

// DryRun is Atomically, except that it rolls the transaction back in the end. It returns
// the error that Atomically would return.
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

// Apart runs fn in the transaction of ctx, which must be rolled back in the end: it
// serves to find faults. If fn fails, Apart undoes what it did and returns its error,
// and the transaction goes on; any other error means that it cannot go on.
func (w *Writer) Apart(ctx context.Context, fn func(ctx context.Context) error) error {
	return w.db.InSavepoint(ctx, fn)
}

// Unrecorded returns an executor for statements that leave no record, such as the last
// use of something, attempts to sign in, or mail to be sent. They join the transaction
// of ctx if there is one. Followers do not learn of them, so no answer from memory may
// depend on what they write.
func (w *Writer) Unrecorded(ctx context.Context) bun.IDB { return w.db.Executor(ctx) }

// RunFirst runs the statements of the batch, which may wait for locks, in the
// transaction of ctx and before its first write, whose moment is later.
func (w *Writer) RunFirst(ctx context.Context, b *db.Batch) error {
	if b.Len() == 0 {
		return nil
	}
	began := db.Queue[time.Time](b, clock)
	if err := w.db.Run(ctx, b); err != nil {
		return err
	}
	WrittenIn(ctx).began = *began.One()
	return nil
}

// Write is a write under way: its transaction, its moment, the faults of its input, and
// the record of what it changes.
type Write struct {
	bun.IDB
	// At is the moment of the write. It is read from the database's clock, because the
	// clocks of servers differ. It is later than the start of the transaction, because
	// the later fields of a document happen after its earlier ones.
	At time.Time
	// Faults are the faults of the input that were found so far. A look-up that finds
	// nothing adds a fault and returns nil, so that the rest of the input is checked as
	// well. Nothing may be written while there are faults.
	Faults problem.List

	db    *db.DB
	actor string
	// later holds statements that are not sent yet; see Later.
	later db.Batch
	// rows are still to be written into the log; appended were, as far as memory
	// keeps them (see Summarize).
	rows     []*db.Change
	appended []db.Change
}

// Write runs fn on behalf of actor, in text form, in the transaction of ctx or in one of
// its own, and appends the changes that fn recorded to the log. It returns all faults
// that fn found.
func (w *Writer) Write(ctx context.Context, actor string, fn func(ctx context.Context, write *Write) error) error {
	return w.Atomically(ctx, func(ctx context.Context) error {
		return w.db.InTx(ctx, func(ctx context.Context, tx bun.IDB) error {
			write := &Write{IDB: tx, db: w.db, actor: actor}
			if err := write.begin(ctx); err != nil {
				return err
			}
			if err := fn(ctx, write); err != nil {
				return db.Problem(err)
			}
			if err := write.Faults.Err(); err != nil {
				return err
			}
			if err := write.append(ctx); err != nil {
				return err
			}
			if err := w.hooks.Check(ctx, write); err != nil {
				return err
			}
			WrittenIn(ctx).add(write)
			return nil
		})
	})
}

// clock selects the present time.
const clock = "select clock_timestamp()"

// begin sets the moment of the write. The first one of a transaction begins with that.
func (w *Write) begin(ctx context.Context) error {
	done := WrittenIn(ctx)
	w.At, done.began = done.began.UTC(), time.Time{}
	if !w.At.IsZero() {
		return nil
	}
	return w.ReadClock(ctx)
}

// ReadClock sets the moment of the write to the database's present time. Call it again
// after waiting for a lock, and before recording anything, so that the moment follows
// the write that it waited for.
func (w *Write) ReadClock(ctx context.Context) error {
	return w.RunThenReadClock(ctx, &db.Batch{})
}

// RunThenReadClock runs the statements of the batch, which may wait for locks, and then
// reads the clock, all in one round trip.
func (w *Write) RunThenReadClock(ctx context.Context, b *db.Batch) error {
	at := db.Queue[time.Time](b, clock)
	if err := w.db.Run(ctx, b); err != nil {
		return err
	}
	w.At = at.One().UTC()
	return nil
}

// Later adds a statement to those that are sent along with the record of the write, in
// their order: after everything else that the write does. Nothing in the write may
// depend on what it does. See db.Select for text and args.
func (w *Write) Later(text string, args ...any) { w.later.Exec(text, args...) }

// Written holds what a transaction has written so far.
type Written struct {
	// began is when the transaction began, until its first write; see Write.begin.
	began time.Time
	rows  []db.Change
	// Last holds the changes of the last write, and At its moment.
	Last []db.Change
	At   time.Time
}

type writtenKey struct{}

// WrittenIn returns what the transaction of ctx has written so far. It is empty if ctx
// does not belong to a transaction of a Writer.
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

// Revision returns the revision that the commit of the transaction will lead to; 0 if
// nothing was changed.
func (w *Written) Revision() db.Revision {
	if len(w.rows) == 0 {
		return 0
	}
	return w.rows[0].XID
}

type committedKey struct{}

// WithCommitted returns a context whose transactions set revision when they have
// committed changes.
func WithCommitted(ctx context.Context, revision *db.Revision) context.Context {
	return context.WithValue(ctx, committedKey{}, revision)
}

// committed sets the revision of WithCommitted after a commit of these changes.
func committed(ctx context.Context, rows []db.Change) {
	if revision, ok := ctx.Value(committedKey{}).(*db.Revision); ok && len(rows) > 0 {
		*revision = rows[0].XID
	}
}
