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

// FollowerOptions are how a Follower goes about its work; Reset must be given.
type FollowerOptions struct {
	// Reset is called in place of apply when the changes in between are not
	// told: the consumer drops everything it knows. What it reads afterwards is at
	// least as new as the position that follows. A step, and so apply, comes next
	// at once.
	Reset func()
	// Poll is how long the follower rests when nobody rings; 0 is 300 ms.
	Poll time.Duration
	// WaitTimeout is how long Wait waits; 0 is 2 s.
	WaitTimeout time.Duration
	// Backlog is how many changes one step tells at most: more are a Reset, which
	// bounds the memory of a step and costs a consumer less than that many changes
	// would; 0 is 10,000.
	Backlog int
}

const (
	// stepTimeout is when a step that hears nothing of the database gives up. A
	// step takes some 0.2 ms, 150 ms with a full backlog, and 1 s after an import.
	stepTimeout = 5 * time.Second
	// gather is the least time from one step that was rung for to the next one,
	// so that busy servers do not make one another look for each single change.
	gather = 5 * time.Millisecond
)

// Follower follows the log of changes, whichever server writes it. Its methods
// may be called at any time and from any goroutine.
//
// It knows which transactions it has seen, not only the last one, so it finds
// those that commit late, and waits for none that is still open. A step reads
// what became visible since the step before, and a step that fails is repeated
// from the same place. Transactions are told whole and, where one waited for
// another, in the order of their commits: from one step to the next that is
// always so, and within a step, see sortByCommit.
//
// Changes are not told one by one, but as FollowerOptions.Reset, when there are
// too many of them, and when the database lost its memory in a crash or was
// replaced by a copy: then what was told may never have happened.
type Follower struct {
	db *db.DB
	// dedicated are connections for the feed alone, from Start to Close: when the
	// others are all in use, the feed goes on, and with it what is answered from
	// memory.
	dedicated *db.DB
	log       *slog.Logger
	options   FollowerOptions
	apply     func(context.Context, []db.Change) (again bool)

	reached atomic.Pointer[reached]
	wanted  chan struct{} // somebody waits for a step
	bell    chan struct{} // a step is worth while
	rope    chan struct{} // the other servers' bells are to be rung
	name    string        // tells the own rings from others'

	open    context.Context // until Close
	stop    context.CancelFunc
	work    sync.WaitGroup
	failing bool // the last step failed; for follow alone
}

// reached is what a successful step led to; immutable.
type reached struct {
	position  Revision
	memory    string // see now
	confirmed time.Time
	// passed is closed when a later step has been successful.
	passed chan struct{}
}

// NewFollower gives a follower of the changes in d. It calls apply at every step
// with what became visible, which may be nothing, in order and each change
// exactly once; apply must be done with them when it returns. Asking for another
// step, again comes at once, so apply must not always ask. The context ends when
// the step takes too long, or at Close. Neither apply nor Reset is called while
// one of them still runs.
func NewFollower(d *db.DB, log *slog.Logger, o FollowerOptions, apply func(ctx context.Context, news []db.Change) (again bool)) *Follower {
	if o.Reset == nil {
		panic("changes: a Follower without Reset")
	}
	orDefault(&o.Poll, 300*time.Millisecond)
	orDefault(&o.WaitTimeout, 2*time.Second)
	orDefault(&o.Backlog, 10_000)
	f := &Follower{
		db: d, log: log, options: o, apply: apply, name: newName(),
		wanted: make(chan struct{}, 1), bell: make(chan struct{}, 1), rope: make(chan struct{}, 1),
	}
	f.open, f.stop = context.WithCancel(context.Background())
	f.reached.Store(&reached{passed: make(chan struct{})})
	return f
}

func orDefault[T ~int | ~int64](value *T, otherwise T) {
	if *value == 0 {
		*value = otherwise
	}
}

// Start reads where the log stands now; every change that is not yet visible
// then will be told. The context bounds Start only. After an error, Start may be
// tried again.
func (f *Follower) Start(ctx context.Context) error {
	began := time.Now()
	const following, ringing = 1, 1
	dedicated, err := f.db.Dedicated(ctx, "feed", following+ringing)
	if err != nil {
		return err
	}
	position, memory, err := readPlace(ctx, dedicated)
	if err != nil {
		_ = dedicated.Close()
		return err
	}
	f.dedicated = dedicated
	f.reach(&reached{position: position, memory: memory, confirmed: began})
	f.work.Go(f.follow)
	f.work.Go(f.ring)
	if f.db.Pooled() {
		f.log.Info("behind a pooler no server hears of the others' changes; each looks for them by itself", "every", f.options.Poll)
		return nil
	}
	f.work.Go(f.listen)
	return nil
}

// Close ends the following and waits until apply has returned. It leaves the
// database open.
func (f *Follower) Close() {
	f.stop()
	f.work.Wait()
	if f.dedicated != nil {
		_ = f.dedicated.Close()
	}
}

// Position is what has been applied.
func (f *Follower) Position() Revision { return f.reached.Load().position }

// Confirmed is the local time at which the last successful step began:
// everything that was committed before has been applied. It costs one atomic
// load, and is the zero time before Start.
func (f *Follower) Confirmed() time.Time { return f.reached.Load().confirmed }

// Wait returns when everything in r has been applied, looking at once if that
// is not yet so. It gives a STALE problem when it takes longer than WaitTimeout,
// and the error of ctx when that ends first.
func (f *Follower) Wait(ctx context.Context, r Revision) error {
	at := f.reached.Load()
	if at.position.Covers(r) {
		return nil
	}
	patience := time.NewTimer(f.options.WaitTimeout)
	defer patience.Stop()
	signal(f.wanted)
	for !at.position.Covers(r) {
		select {
		case <-at.passed:
			at = f.reached.Load()
		case <-patience.C:
			return problem.New(problem.Stale, "The stated revision was not reached in time.")
		case <-f.open.Done():
			return problem.New(problem.Stale, "The server is shutting down.")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// follow takes a step when somebody waits, when the bell rings, and in any case
// at every Poll.
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
		case <-f.bell:
			f.gather(began)
		}
		began = time.Now()
		f.tell(f.step())
		poll.Reset(f.options.Poll)
	}
}

// gather lets changes come together since the step that began then, unless
// somebody waits.
func (f *Follower) gather(began time.Time) {
	rest := time.NewTimer(time.Until(began.Add(gather)))
	defer rest.Stop()
	select {
	case <-f.open.Done():
	case <-f.wanted:
	case <-rest.C:
	}
}

// step moves the position to where the log stands now. When it fails, nothing
// has happened.
func (f *Follower) step() error {
	ctx, cancel := context.WithTimeout(f.open, stepTimeout)
	defer cancel()
	began, last := time.Now(), f.reached.Load()
	position, memory, changes, err := readSince(ctx, f.dedicated, last.position, f.options.Backlog+1)
	if err != nil {
		return err
	}
	switch {
	case memory != last.memory || !position.Covers(last.position):
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
	f.reach(&reached{position: position, memory: memory, confirmed: began})
	return nil
}

func (f *Follower) reach(next *reached) {
	next.passed = make(chan struct{})
	last := f.reached.Swap(next)
	close(last.passed)
}

// tell logs the beginning and the end of a row of failures.
func (f *Follower) tell(err error) {
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

// signal fills a channel of one place, and never waits.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
