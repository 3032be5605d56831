package changes

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"

	"github.com/uptrace/bun"

	"roster/db"
	"roster/problem"
	"roster/queue"
)

// Writer is the only way to write to the database. A write records what it
// changes ([Writer.Write]), or says that it leaves no record
// ([Writer.Unrecorded]).
type Writer struct {
	db    *db.DB
	feed  *Follower
	log   *slog.Logger
	hooks Hooks
	// again admits transactions that run again.
	again      *queue.Queue
	interrupts *interrupts
}

// The errors of Hooks.Look.
var (
	ErrActorChanged = errors.New("the actor may do less than before")
	ErrActorLocked  = errors.New("somebody is changing what the actor may do")
)

// Hooks are called around the commit of each write. All are required.
type Hooks struct {
	// Check is called in the transaction of a write when all its work is done, and its
	// changes are in the log. The write fails with the error that it returns.
	Check func(ctx context.Context, w *Write) error
	// Look looks at the actor of ctx, in each transaction that has changed something, before
	// it commits, or else before it begins. It adds to b the statements which keep others
	// from taking anything from the actor until the transaction ends, and which read what the
	// actor may do; they must not wait for locks. The function that it returns is called when
	// they have run. It returns a context with the actor as it is now: with ErrActorChanged
	// if that may do less than ctx says, or than the writes of the transaction were
	// authorised by (see Written.Grounds). It returns ErrActorLocked if somebody is just
	// changing what the actor may do, and another error if the actor has ended.
	Look func(ctx context.Context, b *db.Batch) func() (context.Context, error)
	// Parties returns the ids, in text form, of all for whom ctx works: the API key, its
	// user, its organization.
	Parties func(ctx context.Context) []string
	// Committed is called with what was committed before the commit is acknowledged. It
	// is also called after a failed commit, because nobody knows whether the commit was
	// done if the connection broke.
	Committed func(rows []db.Change)
}

// NewWriter returns a writer to database. It notifies the followers of other servers
// through feed.
func NewWriter(database *db.DB, feed *Follower, log *slog.Logger, hooks Hooks) *Writer {
	return &Writer{
		db: database, feed: feed, log: log, hooks: hooks, again: queue.New(queue.Limits{Running: 1, Waiting: math.MaxInt}),
		interrupts: &interrupts{running: map[*attempt]struct{}{}, ending: map[string]chan struct{}{}},
	}
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
	unconfirmed, err := w.attempt(ctx, false, fn)
	if unconfirmed {
		// What the actor has lost, it may have taken from itself. If it is confirmed before
		// anything else, that makes no difference.
		_, err = w.attempt(ctx, true, fn)
	}
	if !mayRunAgain(err) {
		return err
	}
	// One transaction at a time runs again, because documents that name the same objects in
	// opposite orders would only meet again. One that waits here holds neither locks nor
	// a connection.
	leave, busy := w.again.Enter(ctx)
	if busy != nil {
		return err
	}
	defer leave()
	const more = 4
	for try := 1; try <= more && mayRunAgain(err) && ctx.Err() == nil; try++ {
		w.log.DebugContext(ctx, "transaction runs again", "try", try, "cause", err)
		_, err = w.attempt(ctx, true, fn)
	}
	return err
}

func mayRunAgain(err error) bool {
	return db.Retryable(err) || errors.Is(err, ErrActorLocked) || errors.Is(err, errInterrupted)
}

// attempt runs fn in a transaction of its own, once. The actor is confirmed before fn, or
// else after fn has changed something; unconfirmed reports that this failed then, or that
// the attempt was interrupted.
func (w *Writer) attempt(ctx context.Context, confirmFirst bool, fn func(ctx context.Context) error) (unconfirmed bool, err error) {
	var done Written
	var undone error
	var first db.Batch
	began := db.Queue[time.Time](&first, clock)
	ctx, running, err := w.interrupts.begin(ctx, w.hooks.Parties(ctx))
	if err != nil {
		return false, err
	}
	err = w.db.InNewTx(context.WithValue(ctx, writtenKey{}, &done), first, func(ctx context.Context, _ bun.IDB) error {
		done.began = *began.One()
		if confirmFirst {
			if ctx, undone = w.confirm(ctx); undone != nil && !errors.Is(undone, ErrActorChanged) {
				return undone
			}
			done.confirmed = true
		}
		if undone = fn(ctx); undone == nil && !done.confirmed && len(done.rows) > 0 {
			_, undone = w.confirm(ctx)
			unconfirmed = undone != nil
		}
		if undone == nil {
			undone = w.interrupts.keep(running) // nobody knows what an interrupted commit has done
		}
		return undone
	})
	err = w.interrupts.finish(running, err)
	unconfirmed = unconfirmed || errors.Is(err, errInterrupted)
	if undone == nil && len(done.rows) > 0 {
		w.hooks.Committed(done.rows)
		w.feed.Notify()
	}
	if err == nil {
		committed(ctx, &done)
		for _, fn := range done.then {
			fn()
		}
	}
	return unconfirmed, err
}

// How long a transaction tries to look at its actor while somebody is changing that, and
// how often.
const (
	lookTime  = time.Second
	lookPause = 2 * time.Millisecond
	lookRest  = 50 * time.Millisecond
)

// Confirm looks at the actor of ctx, and keeps others from taking anything from it until the
// transaction of ctx ends. It returns a context with the actor as it is now, also with
// ErrActorChanged; see Hooks.Look. It is for writes that rest on what somebody else may do
// than whoever makes the request.
func (w *Writer) Confirm(ctx context.Context) (context.Context, error) { return w.confirm(ctx) }

// confirm looks at the actor of ctx until nobody is changing it; see Hooks.Look.
func (w *Writer) confirm(ctx context.Context) (context.Context, error) {
	began := time.Now()
	for pause := lookPause; ; pause = min(2*pause, lookRest) {
		var b db.Batch
		judge := w.hooks.Look(ctx, &b)
		if err := w.db.Run(ctx, &b); err != nil {
			return ctx, err
		}
		confirmed, err := judge()
		if !errors.Is(err, ErrActorLocked) || time.Since(began) > lookTime {
			return confirmed, err
		}
		select {
		case <-ctx.Done():
			return ctx, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// appendAndLook writes what was recorded into the log. In the first write of a transaction
// that has changed something, a look at the actor goes along, in the same round trip: if
// it finds all in order, the transaction is confirmed; otherwise confirm says what is
// wrong in the end.
func (w *Writer) appendAndLook(ctx context.Context, write *Write) error {
	done := WrittenIn(ctx)
	if done.confirmed || len(write.rows) == 0 {
		return write.append(ctx)
	}
	judge := w.hooks.Look(ctx, &write.later)
	if err := write.append(ctx); err != nil {
		return err
	}
	_, err := judge()
	done.confirmed = err == nil
	return nil
}

// errDryRun rolls a dry run back.
var errDryRun = errors.New("dry run")

type dryRunKey struct{}

// DryRun is Atomically, except that it rolls the transaction back in the end. It returns
// the error that Atomically would return.
func (w *Writer) DryRun(ctx context.Context, fn func(ctx context.Context) error) error {
	err := w.Atomically(context.WithValue(ctx, dryRunKey{}, true), func(ctx context.Context) error {
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
			if err := w.appendAndLook(ctx, write); err != nil {
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
	// confirmed is true once a look at the actor has found all in order.
	confirmed bool
	// Last holds the changes of the last write, and At its moment.
	Last []db.Change
	At   time.Time
	// Grounds is what has authorised the writes, for Hooks.Look.
	Grounds any
	// then is called after the commit.
	then []func()
}

type writtenKey struct{}

// WrittenIn returns what the transaction of ctx has written so far. If ctx does not belong to
// a transaction of a Writer, it is what the last one has written that committed with ctx (see
// WithCommitted), or nothing.
func WrittenIn(ctx context.Context) *Written {
	if written, ok := ctx.Value(writtenKey{}).(*Written); ok {
		return written
	}
	if last, ok := ctx.Value(committedKey{}).(*commit); ok {
		return &last.written
	}
	return &Written{}
}

// Then makes fn run when the transaction has committed.
func (w *Written) Then(fn func()) { w.then = append(w.then, fn) }

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

// commit is the last commit with a context.
type commit struct {
	revision *db.Revision
	written  Written
}

// WithCommitted returns a context whose transactions set revision when they have
// committed changes.
func WithCommitted(ctx context.Context, revision *db.Revision) context.Context {
	return context.WithValue(ctx, committedKey{}, &commit{revision: revision})
}

// committed notes a commit for WithCommitted, if it has changed something.
func committed(ctx context.Context, done *Written) {
	if last, ok := ctx.Value(committedKey{}).(*commit); ok && len(done.rows) > 0 {
		*last.revision = done.rows[0].XID
		last.written = Written{Last: done.Last, At: done.At}
	}
}
