package changes_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/goleak"

	"roster/changes"
	"roster/db"
	"roster/db/dbtest"
	"roster/problem"
)

// consumer collects the changes that its follower delivers.
type consumer struct {
	*changes.Follower
	mu        sync.Mutex
	delivered []db.Change
	resets    int
	resetting bool          // whether the step that follows a reset is still to come
	arrived   chan struct{} // has an element after a change or a reset
	applied   chan struct{} // has an element after a step
	ready     func()        // called after the first step
}

// lazy has a Poll so long that a follower takes a step only when a test makes it, and a
// long WaitTimeout, because a step takes long on a busy machine.
var lazy = changes.FollowerOptions{Poll: time.Hour, WaitTimeout: time.Minute}

// follow starts a follower, which is closed after the test, and waits for its first
// step, which follows when it begins to listen. A lazy follower takes no other step
// by itself.
func follow(t testing.TB, d *db.DB, o changes.FollowerOptions) *consumer {
	t.Helper()
	return followWith(t, d, o, slog.New(slog.DiscardHandler))
}

func followWith(t testing.TB, d *db.DB, o changes.FollowerOptions, log *slog.Logger) *consumer {
	t.Helper()
	ready := make(chan struct{})
	c := &consumer{arrived: make(chan struct{}, 1), applied: make(chan struct{}, 1), ready: sync.OnceFunc(func() { close(ready) })}
	o.Reset = func() { c.note(nil, 1) }
	c.Follower = changes.NewFollower(d, log, o, c.apply)
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	<-ready
	return c
}

func (c *consumer) apply(_ context.Context, all []db.Change) (again bool) {
	defer c.ready()
	if len(all) > 0 {
		c.note(all, 0)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resetting = false
	signal(c.applied)
	return false
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (c *consumer) note(all []db.Change, resets int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivered = append(c.delivered, all...)
	c.resets += resets
	c.resetting = resets > 0
	signal(c.arrived)
}

// take returns the changes and the number of resets since the last call.
func (c *consumer) take() (delivered []db.Change, resets int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delivered, resets = c.delivered, c.resets
	c.delivered, c.resets = nil, 0
	return delivered, resets
}

// subjects returns the subjects of the changes since the last call.
func (c *consumer) subjects() []string {
	delivered, _ := c.take()
	return subjectsOf(delivered)
}

func subjectsOf(all []db.Change) (subjects []string) {
	for _, one := range all {
		subjects = append(subjects, one.Subject)
	}
	return subjects
}

// begin opens a transaction. It is undone after the test unless the caller commits it.
func begin(t testing.TB, d *db.DB) bun.Tx {
	t.Helper()
	tx, err := d.BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

// record writes a change of each subject and returns the transaction's number.
func record(t testing.TB, tx bun.IDB, subjects ...string) (xid db.Revision) {
	t.Helper()
	for _, subject := range subjects {
		row := newChange(subject)
		if _, err := tx.NewInsert().Model(row).ExcludeColumn("xid").Returning("xid").Exec(context.Background(), &xid); err != nil {
			t.Fatal(err)
		}
	}
	return xid
}

func newChange(subject string) *db.Change {
	return &db.Change{ID: db.NewID[db.ChangeKind](), At: time.Now(), Actor: "system:test", Action: "test", Subject: subject}
}

func commit(t testing.TB, tx bun.Tx) {
	t.Helper()
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// catchUp waits until the follower has applied what is committed now, and until no step
// is to come of itself: after a reset another one follows, which would deliver a part of
// what the caller writes next.
func (c *consumer) catchUp(t testing.TB, d *db.DB) {
	t.Helper()
	if err := c.Wait(t.Context(), here(t, d)); err != nil {
		t.Fatal(err)
	}
	for c.isResetting() {
		<-c.applied
	}
}

func (c *consumer) isResetting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resetting
}

// here returns the revision that covers every transaction committed so far.
func here(t testing.TB, d *db.DB) changes.Revision {
	t.Helper()
	var text string
	if err := d.NewRaw("select pg_current_snapshot()::text").Scan(context.Background(), &text); err != nil {
		t.Fatal(err)
	}
	r, err := changes.ParseRevision(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func expect(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("delivered %v, want %v", got, want)
	}
}

func TestFollowerDeliversTheWholeRow(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	c := follow(t, d, lazy)
	var want db.Change
	_, err := d.NewRaw(`with o as (insert into organizations (id, code, name, name_key, search) values (gen_random_uuid(), 'o', 'O', 'o', 'o') returning id)
		insert into changes (id, actor, action, subject, org_id, before, after, request_id)
		select gen_random_uuid(), 'a', 'b', 'c', o.id, '{"x": 1}', '{"x": 2}', 'r' from o`).Exec(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.NewSelect().Model(&want).Scan(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(t.Context(), changes.Revision{}.With(want.XID)); err != nil {
		t.Fatal(err)
	}
	delivered, _ := c.take()
	if len(delivered) != 1 || fmt.Sprintf("%+v", flat(delivered[0])) != fmt.Sprintf("%+v", flat(want)) || want.XID == 0 {
		t.Errorf("delivered %+v, want %+v", delivered, want)
	}
}

// flat returns the columns of a row without pointers, so that printing compares them.
func flat(c db.Change) []any {
	return []any{c.ID, c.XID, c.At.UTC(), c.Actor, c.Action, c.Subject, *c.OrgID, string(c.Before), string(c.After), *c.RequestID}
}

func TestFollowerBeginsNow(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	record(t, d, "before")
	open := begin(t, d)
	record(t, open, "during")
	c := follow(t, d, lazy)
	record(t, d, "after")
	commit(t, open)
	c.catchUp(t, d)
	expect(t, c.subjects(), "during", "after")
}

func TestFollowerFindsLateCommits(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	c := follow(t, d, lazy)
	early, middle, undone := begin(t, d), begin(t, d), begin(t, d)
	first := record(t, early, "early")
	record(t, middle, "middle")
	record(t, undone, "undone")
	record(t, d, "late")

	c.catchUp(t, d)
	expect(t, c.subjects(), "late")
	if c.Position().Covers(changes.Revision{}.With(first)) {
		t.Error("the position covers a transaction that is still open")
	}

	commit(t, middle)
	if err := undone.Rollback(); err != nil {
		t.Fatal(err)
	}
	c.catchUp(t, d)
	expect(t, c.subjects(), "middle")

	record(t, early, "early 2")
	commit(t, early)
	c.catchUp(t, d)
	expect(t, c.subjects(), "early", "early 2")
	c.catchUp(t, d)
	expect(t, c.subjects())
}

func TestFollowerPolls(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	c := follow(t, d, changes.FollowerOptions{Poll: 10 * time.Millisecond})
	before := time.Now()
	record(t, d, "one")
	<-c.arrived
	expect(t, c.subjects(), "one")
	for c.Confirmed().Before(before) {
		time.Sleep(time.Millisecond)
	}
}

func TestIdleFollowerCostsOneStatementForEachPoll(t *testing.T) {
	t.Parallel()
	statements := dbtest.Statements{Feed: true}
	d := dbtest.New(t, &statements)
	const poll = 20 * time.Millisecond
	follow(t, d, changes.FollowerOptions{Poll: poll})
	awaitListeners(t, d, 1)
	statements.Take()
	began := time.Now()
	var steps []string
	for len(steps) < 5 {
		time.Sleep(5 * poll)
		steps = append(steps, statements.Take()...)
	}
	// Another step follows when the follower begins to listen.
	if limit := int(time.Since(began)/poll) + 2; len(steps) > limit {
		t.Errorf("%d statements, want %d at most", len(steps), limit)
	}
	for _, text := range steps {
		if text != changes.Since {
			t.Errorf("an idle follower asked %s", text)
		}
	}
}

func TestApplyAsksForAnotherStep(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	calls := make(chan int, 10)
	o := lazy
	o.Backlog = 1
	o.Reset = func() { calls <- -1 }
	f := changes.NewFollower(d, slog.New(slog.DiscardHandler), o, func(_ context.Context, all []db.Change) (again bool) {
		calls <- len(all)
		return len(all) == 1
	})
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	want := func(numbers ...int) {
		t.Helper()
		for _, number := range numbers {
			if got := <-calls; got != number {
				t.Errorf("delivered %d, want %d", got, number)
			}
		}
	}
	want(0) // when it begins to listen
	record(t, d, "one")
	f.Notify()
	want(1, 0)
	record(t, d, "one", "two")
	f.Notify()
	want(-1, 0)
}

func TestTooLargeABacklogIsAReset(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	c := follow(t, d, changes.FollowerOptions{Poll: time.Hour, Backlog: 5})
	for _, step := range []struct {
		transactions, changes int
		reset                 bool
	}{
		{transactions: 1, changes: 5},
		{transactions: 1, changes: 6, reset: true},
		{transactions: 5, changes: 1},
		{transactions: 6, changes: 1, reset: true},
		{transactions: 2, changes: 3, reset: true},
		{transactions: 1, changes: 1},
	} {
		t.Run(fmt.Sprintf("%d with %d", step.transactions, step.changes), func(t *testing.T) {
			for range step.transactions {
				tx := begin(t, d)
				record(t, tx, slices.Repeat([]string{"x"}, step.changes)...)
				commit(t, tx)
			}
			c.catchUp(t, d)
			delivered, resets := c.take()
			if reset := resets == 1; reset != step.reset || !reset && len(delivered) != step.transactions*step.changes || reset && len(delivered) != 0 {
				t.Errorf("%d delivered, %d resets", len(delivered), resets)
			}
		})
	}
}

func TestWaitGivesUp(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	hasty := follow(t, d, changes.FollowerOptions{Poll: time.Hour, WaitTimeout: 50 * time.Millisecond})
	c := follow(t, d, lazy)
	open := begin(t, d)
	xid := record(t, open, "open")
	r := changes.Revision{}.With(xid)

	if err := hasty.Wait(t.Context(), r); !problem.Is(err, problem.Stale) {
		t.Errorf("got %v, want STALE", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Wait(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	commit(t, open)
	if err := c.Wait(t.Context(), r); err != nil {
		t.Error(err)
	}
	c.Close()
	if err := c.Wait(t.Context(), c.Position()); err != nil {
		t.Error(err)
	}
	if err := c.Wait(t.Context(), r.With(1<<40)); !problem.Is(err, problem.Stale) {
		t.Errorf("got %v, want STALE", err)
	}
}

func TestWaitIsWokenByNotify(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	c := follow(t, d, lazy)
	open := begin(t, d)
	r := changes.Revision{}.With(record(t, open, "open"))
	result := make(chan error, 1)
	go func() { result <- c.Wait(t.Context(), r) }()
	time.Sleep(20 * time.Millisecond) // so that it has looked and found nothing
	commit(t, open)
	c.Notify()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestFailedStepIsRepeated(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	failing := &lines{}
	c := followWith(t, d, changes.FollowerOptions{Poll: 5 * time.Millisecond}, slog.New(slog.NewTextHandler(failing, nil)))
	hide := func(from, to string) {
		if _, err := d.ExecContext(context.Background(), "alter table "+from+" rename to "+to); err != nil {
			t.Fatal(err)
		}
	}
	record(t, d, "one")
	c.catchUp(t, d)
	hide("changes", "hidden")
	for !failing.has("the changes cannot be followed") {
		time.Sleep(time.Millisecond)
	}
	position, confirmed := c.Position(), c.Confirmed()
	if _, err := d.ExecContext(t.Context(), "insert into hidden (id, actor, action, subject) values (gen_random_uuid(), '', '', 'two')"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(30 * time.Millisecond)
	if c.Position().String() != position.String() || c.Confirmed() != confirmed {
		t.Error("a step that failed moved the position")
	}
	hide("hidden", "changes")
	c.catchUp(t, d)
	expect(t, c.subjects(), "one", "two")
}

// lines collects the lines of a log.
type lines struct {
	mu   sync.Mutex
	text []byte
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, line...)
	return len(line), nil
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.text, []byte(text))
}

func TestNotifyReachesOtherServers(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	near, far := follow(t, d, lazy), follow(t, d, lazy)
	awaitListeners(t, d, 2)
	for _, c := range []*consumer{near, far} {
		c.catchUp(t, d)
	}
	var took []time.Duration
	for range 100 {
		record(t, d, "x")
		began := time.Now()
		near.Notify()
		<-far.arrived
		took = append(took, time.Since(began))
		time.Sleep(6 * time.Millisecond)
	}
	slices.Sort(took)
	t.Logf("from Notify to another server's apply: p50 %v, p99 %v", took[50], took[99])
	for _, c := range []*consumer{near, far} {
		c.catchUp(t, d)
		if n := len(c.subjects()); n != 100 {
			t.Errorf("%d delivered, want 100", n)
		}
	}
}

// awaitListeners returns when n followers listen.
func awaitListeners(t testing.TB, d *db.DB, n int) {
	t.Helper()
	for {
		var listening int
		if err := d.NewRaw("select count(*) from pg_stat_activity where datname = current_database() and query like 'listen %'").
			Scan(t.Context(), &listening); err != nil {
			t.Fatal(err)
		}
		if listening == n {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestNotificationsAreCoalesced(t *testing.T) {
	t.Parallel()
	statements := dbtest.Statements{Feed: true}
	d := dbtest.New(t, &statements)
	c := follow(t, d, lazy)
	statements.Take()
	var calls atomic.Int64
	began := time.Now()
	for range 4 {
		go func() {
			for time.Since(began) < 100*time.Millisecond {
				c.Notify()
				calls.Add(1)
			}
		}()
	}
	sent := 0
	for sent == 0 || time.Since(began) < 150*time.Millisecond {
		time.Sleep(10 * time.Millisecond)
		for _, text := range statements.Take() {
			if text == "select true from pg_notify('roster_changes', $1)" {
				sent++
			}
		}
	}
	if limit := int(time.Since(began)/(5*time.Millisecond)) + 1; sent > limit {
		t.Errorf("%d calls sent %d notifications, want %d at most", calls.Load(), sent, limit)
	}
	t.Logf("%d calls sent %d notifications", calls.Load(), sent)
}

// Not parallel: it counts goroutines.
func TestCloseLeavesNothingBehind(t *testing.T) {
	d := dbtest.New(t)
	before := goleak.IgnoreCurrent()
	c := follow(t, d, lazy)
	awaitListeners(t, d, 1)
	record(t, d, "one")
	c.catchUp(t, d)
	c.Notify()
	c.Close()
	c.Close()
	c.Notify()
	d.SetMaxIdleConns(0)
	goleak.VerifyNone(t, before)

	unused := changes.NewFollower(d, slog.Default(), changes.FollowerOptions{Reset: func() {}}, func(context.Context, []db.Change) bool { return false })
	unused.Close()
	goleak.VerifyNone(t, before)
}
