package changes

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"roster/db"
	"roster/problem"
)

// FollowerOptions configure a Follower. Reset is required; the zero value of each other
// option is its default.
type FollowerOptions struct {
	// Reset is called instead of apply if the changes in between cannot be delivered:
	// the consumer has to drop everything it knows. What it reads afterwards is at least
	// as new as the follower's next position. Another step, which calls apply, follows
	// at once.
	Reset func()
	// Poll is the time between steps when no notification arrives; 300 ms by default.
	Poll time.Duration
	// WaitTimeout is how long Wait waits at most; 2 s by default.
	WaitTimeout time.Duration
	// Backlog is the number of changes that one step delivers at most; 10,000 by
	// default. More than that cause a Reset, which bounds the memory of a step and costs
	// a consumer less than so many changes would.
	Backlog int
}

const (
	// stepTimeout is how long a step waits for the database at most. A step takes some
	// 0.2 ms, 150 ms with a full backlog, and 1 s after an import.
	stepTimeout = 5 * time.Second
	// stepPause is the least time between the beginnings of two steps that follow a
	// notification, so that busy servers do not cause a step for each single change.
	stepPause = 5 * time.Millisecond
)

// Follower delivers the changes in the log, whichever server writes them. Its methods
// may be called at any time and from any goroutine.
//
// A Follower knows the set of transactions that it has seen, not only the last one. It
// therefore finds transactions that commit late, and waits for none that is still open.
// A step reads what became visible since the previous step; a step that failed is
// repeated from the same position. Transactions are delivered whole and, if one waited
// for another, in the order of their commits: always from one step to the next, and
// within a step as sortByCommit describes.
//
// A Follower calls FollowerOptions.Reset instead if there are too many changes, or if
// the database crashed or was replaced by a copy: then changes that it has delivered
// may never have happened.
type Follower struct {
	db *db.DB
	// dedicated has connections for the feed alone, from Start to Close. The feed, and
	// with it the answers from memory, go on while all other connections are in use.
	dedicated *db.DB
	log       *slog.Logger
	options   FollowerOptions
	apply     func(context.Context, []db.Change) (again bool)

	progress atomic.Pointer[progress]
	wanted   chan struct{} // has an element if somebody waits for a step
	news     chan struct{} // has an element if something new was committed
	unsent   chan struct{} // has an element if the other servers have to be notified
	name     string        // marks the notifications of this follower

	open    context.Context // until Close
	stop    context.CancelFunc
	work    sync.WaitGroup
	failing bool // whether the last step failed; only follow uses it
}

// progress is the result of a successful step. It is immutable.
type progress struct {
	position    Revision
	incarnation string // see stateSQL
	confirmed   time.Time
	// superseded is closed when a later step has succeeded.
	superseded chan struct{}
}

// reached reports whether everything in r has been applied or, if r belongs to another
// timeline, everything that the database had at that moment.
func (p *progress) reached(r Revision, at time.Time) bool {
	return p.position.Covers(r) || p.position.differs(r) && p.confirmed.After(at)
}

// NewFollower returns a follower of the changes in d. At each step it calls apply with
// the changes that became visible, which can be none: in order, and each change exactly
// once. apply must not keep the slice. If apply returns true, another step follows at
// once. The context of apply ends when the step takes too long, and at Close. The
// follower never calls apply or Reset while one of them still runs. It panics if
// there is no Reset.
func NewFollower(d *db.DB, log *slog.Logger, o FollowerOptions, apply func(ctx context.Context, rows []db.Change) (again bool)) *Follower {
	if o.Reset == nil {
		panic("changes: a Follower without Reset")
	}
	orDefault(&o.Poll, 300*time.Millisecond)
	orDefault(&o.WaitTimeout, 2*time.Second)
	orDefault(&o.Backlog, 10_000)
	f := &Follower{
		db: d, log: log, options: o, apply: apply, name: newName(),
		wanted: make(chan struct{}, 1), news: make(chan struct{}, 1), unsent: make(chan struct{}, 1),
	}
	f.open, f.stop = context.WithCancel(context.Background())
	f.progress.Store(&progress{superseded: make(chan struct{})})
	return f
}

func orDefault[T ~int | ~int64](value *T, otherwise T) {
	if *value == 0 {
		*value = otherwise
	}
}

// Start reads the present position, and begins to deliver every change that becomes
// visible after it. The context bounds Start only. After an error, Start may be called
// again.
func (f *Follower) Start(ctx context.Context) error {
	began := time.Now()
	const following, notifying = 1, 1
	dedicated, err := f.db.Dedicated(ctx, "feed", following+notifying)
	if err != nil {
		return err
	}
	position, incarnation, err := readState(ctx, dedicated)
	if err != nil {
		_ = dedicated.Close()
		return err
	}
	f.dedicated = dedicated
	f.advance(&progress{position: position, incarnation: incarnation, confirmed: began})
	f.work.Go(f.follow)
	f.work.Go(f.notifyOthers)
	if f.db.Pooled() {
		f.log.Info("behind a pooler no server hears of the others' changes; each looks for them by itself", "every", f.options.Poll)
		return nil
	}
	f.work.Go(f.listen)
	return nil
}

// Close stops the follower, and waits until apply has returned. It leaves the database
// open.
func (f *Follower) Close() {
	f.stop()
	f.work.Wait()
	if f.dedicated != nil {
		_ = f.dedicated.Close()
	}
}

// Position returns the set of transactions that have been applied.
func (f *Follower) Position() Revision { return f.progress.Load().position }

// Confirmed returns the local time at which the last successful step began: everything
// that was committed before has been applied. It is the zero time before Start. It
// costs one atomic load.
func (f *Follower) Confirmed() time.Time { return f.progress.Load().confirmed }

// Wait returns nil when everything in r has been applied. If that is not so yet, it
// causes a step at once. It returns STALE after WaitTimeout, and the error of ctx if
// that ends first.
//
// The numbers of another timeline mean nothing here: after a restore they can be ahead
// for months. Then Wait returns nil after a step that began later than the call:
// everything that the database has now has been applied.
func (f *Follower) Wait(ctx context.Context, r Revision) error {
	began, at := time.Now(), f.progress.Load()
	if at.reached(r, began) {
		return nil
	}
	timeout := time.NewTimer(f.options.WaitTimeout)
	defer timeout.Stop()
	signal(f.wanted)
	for !at.reached(r, began) {
		select {
		case <-at.superseded:
			at = f.progress.Load()
		case <-timeout.C:
			return problem.New(problem.Stale, "The stated revision was not reached in time.")
		case <-f.open.Done():
			return problem.New(problem.Stale, "The server is shutting down.")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// follow takes a step when somebody waits, when something new was committed, and at
// every Poll.
func (f *Follower) follow() {
	poll := time.NewTimer(f.options.Poll)
	defer poll.Stop()
	var began time.Time
	for {
		select {
		case <-f.open.Done():
			return
		case <-poll.C:
		case <-f.wanted:
		case <-f.news:
			f.restAfter(began)
		}
		began = time.Now()
		f.logFailures(f.step())
		poll.Reset(f.options.Poll)
	}
}

// restAfter waits until stepPause after the step that began then, so that changes
// gather. It returns early if somebody waits for a step.
func (f *Follower) restAfter(began time.Time) {
	rest := time.NewTimer(time.Until(began.Add(stepPause)))
	defer rest.Stop()
	select {
	case <-f.open.Done():
	case <-f.wanted:
	case <-rest.C:
	}
}

// step applies what became visible, and advances the position. If it fails, nothing has
// happened.
func (f *Follower) step() error {
	// What apply reads must not wait for the requests.
	ctx, cancel := context.WithTimeout(f.dedicated.On(f.open), stepTimeout)
	defer cancel()
	began, last := time.Now(), f.progress.Load()
	position, incarnation, changes, err := readSince(ctx, f.dedicated, last.position, f.options.Backlog+1)
	if err != nil {
		return err
	}
	switch {
	case incarnation != last.incarnation || !position.Covers(last.position):
		f.log.Warn("the database crashed or was replaced: what is known of it is dropped",
			"position", last.position.String(), "now", position.String())
		f.options.Reset()
		signal(f.wanted)
	case len(changes) > f.options.Backlog:
		f.log.Info("too many changes to follow one by one: what is known is dropped", "limit", f.options.Backlog)
		f.options.Reset()
		signal(f.wanted)
	case f.apply(ctx, changes):
		signal(f.wanted)
	}
	f.advance(&progress{position: position, incarnation: incarnation, confirmed: began})
	return nil
}

// advance publishes the result of a step.
func (f *Follower) advance(next *progress) {
	next.superseded = make(chan struct{})
	last := f.progress.Swap(next)
	close(last.superseded)
}

// logFailures logs the first of several failed steps, and the first success after them.
func (f *Follower) logFailures(err error) {
	switch {
	case f.open.Err() != nil:
	case err != nil && !f.failing:
		f.failing = true
		f.log.Warn("the changes cannot be followed", "error", err)
	case err == nil && f.failing:
		f.failing = false
		f.log.Info("the changes are followed again")
	}
}

// signal puts an element into a channel that holds one, unless it has one already. It
// never waits.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
