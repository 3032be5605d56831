package access_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"roster/db/dbtest"
	"roster/db/embedded"
)

// duration returns how long clients work in one history.
func duration(short time.Duration) time.Duration {
	if *long {
		return time.Minute
	}
	return short
}

// Eight clients use two servers. One server takes all writes, and its answers are
// linearizable although they come from memory. So are the answers of the other server
// to a client that names the revision of the last write; to other clients, it answers
// what was true within the staleness bound. No order of the operations explains an
// answer after a late invalidation, from a reading that raced with one, or from grants
// and roles of two moments.
func TestChecksAreLinearizable(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]func(*world, context.Context){
		"calm":         nil,
		"feed cut":     (*world).disturbFeed,
		"slow and cut": (*world).disturb,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{faults: faults})
			w.run(duration(500 * time.Millisecond))
			w.verify()
		})
	}
}

// If both servers take writes, the answers of each are linearizable for a client that
// names a revision, and true within the bound for others.
func TestChecksAreLinearizableWhereverIsWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{writeBoth: true, faults: (*world).disturbFeed})
	w.run(duration(500 * time.Millisecond))
	w.verify()
}

// The same holds while PostgreSQL is restarted in an orderly way, and killed.
func TestChecksAreLinearizableThroughRestarts(t *testing.T) {
	t.Parallel()
	server := dbtest.NewServer(t)
	w := newWorld(t, worldOptions{dsn: server.DSN("postgres"), faults: func(_ *world, ctx context.Context) { restart(ctx, server) }})
	w.run(duration(4 * time.Second))
	w.verify()
}

// restart ends PostgreSQL twice, and then leaves it alone for twice as long as both
// restarts took, because PostgreSQL is started again later each time.
func restart(ctx context.Context, server *embedded.Server) {
	var outage time.Duration
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		sleep(ctx, 600*time.Millisecond)
		pid, ended := server.Pid(), time.Now()
		_ = syscall.Kill(pid, signal)
		for server.Pid() == pid && ctx.Err() == nil {
			sleep(ctx, 5*time.Millisecond)
		}
		outage += time.Since(ended)
	}
	sleep(ctx, max(time.Second, 2*outage))
}

// An engine that lacks one of its guards gives answers that were never true, and the
// verification of the tests above notices. Each guard has a history that needs it, in
// which every answer is explained as long as the guard is there.
func TestMissingGuardsAreNoticed(t *testing.T) {
	t.Parallel()
	for guard, o := range map[string]worldOptions{
		"ends":          {clients: (*world).revokeWhatIsCached},
		"announcements": {clients: (*world).revokeWhileReading},
		"committed":     {clients: (*world).revokeWhatIsCached},
		"staleness":     {clients: (*world).revokeUnheard},
		"staging":       {clients: (*world).revokeThenAdd},
		"pending":       {clients: (*world).removeThenGrant, entries: -1},
		"recheck":       {clients: (*world).changeWhileChecking},
	} {
		t.Run(guard, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, o)
			w.run(time.Minute)
			if violation := w.violation(); violation != "" {
				t.Error("with the guard: ", violation)
			}
			o.without = guard
			var violation string
			for range 5 { // on a busy machine, the history may come out in another order
				w = newWorld(t, o)
				w.run(time.Minute)
				if violation = w.violation(); violation != "" {
					break
				}
			}
			if violation == "" {
				t.Error("nobody noticed")
			}
			t.Logf("noticed: %.200s", violation)
		})
	}
}

// revokeWhatIsCached revokes what is in memory, and checks at once: first a permission
// that was granted to the member, then one that a role contains.
func (w *world) revokeWhatIsCached(ctx context.Context) {
	w.do(ctx, operation{kind: grantRole})
	for _, kinds := range [][2]kind{{grantPermission, revokePermission}, {addPermission, removePermission}} {
		for range 10 {
			w.do(ctx, operation{kind: kinds[0]})
			for range 3 {
				w.check(ctx, operation{awaited: true}) // only the next change ends an entry that was read after the feed's last one
				sleep(ctx, time.Millisecond)           // the cache takes new entries in its own time
			}
			w.do(ctx, operation{kind: kinds[1]})
			w.check(ctx, operation{})
		}
	}
}

// revokeWhileReading revokes a permission while a check reads the member into memory,
// and checks at once.
func (w *world) revokeWhileReading(ctx context.Context) {
	revoke := func() { w.do(ctx, operation{kind: revokePermission}) }
	for range 10 {
		w.do(ctx, operation{kind: grantPermission})
		for w.reading.Store(&revoke); w.reading.Load() != nil && ctx.Err() == nil; {
			w.check(ctx, operation{})
		}
		w.check(ctx, operation{})
	}
}

// changeWhileChecking removes a permission from a role and then grants the role to a
// member, in the middle of a check: after the check has taken the catalogue from memory,
// and before it looks the member up there.
func (w *world) changeWhileChecking(ctx context.Context) {
	for range 4 { // in both ways of asking
		w.do(ctx, operation{kind: revokeRole})
		w.do(ctx, operation{kind: addPermission})
		w.warm(ctx, operation{})
		change := func() {
			w.do(ctx, operation{kind: removePermission})
			w.do(ctx, operation{kind: grantRole})
			w.warm(ctx, operation{awaited: true})
		}
		for w.meanwhile.Store(&change); w.meanwhile.Load() != nil && ctx.Err() == nil; {
			w.check(ctx, operation{})
			sleep(ctx, time.Millisecond)
		}
	}
}

// revokeUnheard revokes a permission that the other server has in memory, while that
// server hears nothing.
func (w *world) revokeUnheard(ctx context.Context) {
	w.do(ctx, operation{kind: grantPermission})
	w.warm(ctx, operation{far: true})
	w.proxy.Set(dbtest.Weather{Stalled: true}, dbtest.Weather{})
	w.do(ctx, operation{kind: revokePermission})
	for range 12 {
		sleep(ctx, 100*time.Millisecond)
		w.check(ctx, operation{far: true})
	}
	w.proxy.Set(dbtest.Weather{}, dbtest.Weather{})
}

// revokeThenAdd revokes a role from a member, and then adds a permission to the role,
// while the other server is about to read the roles for another reason. Those roles are
// later than what that server knows of the member.
func (w *world) revokeThenAdd(ctx context.Context) {
	for range 3 {
		w.proxy.Set(dbtest.Weather{}, dbtest.Weather{})
		w.do(ctx, operation{kind: removePermission})
		w.do(ctx, operation{kind: removePermission, role: 1})
		w.do(ctx, operation{kind: grantRole})
		sleep(ctx, w.staleness)
		w.warm(ctx, operation{far: true})
		w.proxy.Set(dbtest.Weather{Delay: 200 * time.Millisecond}, dbtest.Weather{})
		w.do(ctx, operation{kind: addPermission, role: 1})
		for asked := w.proxy.Asked.Load(); w.proxy.Asked.Load() == asked && ctx.Err() == nil; {
			sleep(ctx, time.Millisecond) // until the feed looks, and sees the change
		}
		w.do(ctx, operation{kind: revokeRole})
		w.do(ctx, operation{kind: addPermission})
		for range 40 {
			sleep(ctx, 10*time.Millisecond)
			w.check(ctx, operation{far: true})
		}
	}
}

// removeThenGrant removes a permission from a role, and then grants the role to a
// member, before the other server hears of the removal.
func (w *world) removeThenGrant(ctx context.Context) {
	for range 3 {
		w.proxy.Set(dbtest.Weather{}, dbtest.Weather{})
		w.do(ctx, operation{kind: revokeRole})
		w.do(ctx, operation{kind: addPermission})
		sleep(ctx, w.staleness)
		w.warm(ctx, operation{far: true})
		w.proxy.Set(dbtest.Weather{Delay: 200 * time.Millisecond}, dbtest.Weather{})
		w.do(ctx, operation{kind: removePermission})
		w.do(ctx, operation{kind: grantRole})
		for range 3 {
			w.check(ctx, operation{far: true})
		}
	}
}

// warm checks until the server has certainly put the answer into memory.
func (w *world) warm(ctx context.Context, o operation) {
	for range 10 {
		w.check(ctx, o)
		sleep(ctx, 20*time.Millisecond)
	}
}

// verify fails the test if an answer cannot be explained.
func (w *world) verify() {
	w.t.Helper()
	if violation := w.violation(); violation != "" {
		w.t.Error(violation)
	}
	writes, strict, bounded := w.count()
	w.t.Logf("%d writes, %d strict checks, %d checks within the bound, %d lost, %d refused", writes, strict, bounded, w.lost, w.refused)
	if !w.enough() {
		w.t.Error("too little happened to show anything")
	}
}

// count returns how many operations of each kind are on record.
func (w *world) count() (writes, strict, bounded int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.history {
		switch {
		case o.kind != check:
			writes++
		case o.strict:
			strict++
		default:
			bounded++
		}
	}
	return writes, strict, bounded
}

func (w *world) enough() bool {
	writes, strict, bounded := w.count()
	return writes >= 200 && strict >= 400 && bounded >= 200
}

// judgeTimeout is how long the history of one member is judged at most, also on a busy
// machine.
const judgeTimeout = 5 * time.Minute

// violation describes an answer that cannot be explained. It is empty if all can. The
// test fails if a history cannot be judged in time, which is no violation.
func (w *world) violation() string {
	w.t.Helper()
	for member, operations := range w.histories() {
		switch porcupine.CheckOperationsTimeout(model, operations, judgeTimeout) {
		case porcupine.Illegal:
			return fmt.Sprintf("%v: %d operations are not linearizable", member, len(operations))
		case porcupine.Unknown:
			w.t.Fatalf("%v: %d operations could not be judged within %v", member, len(operations), judgeTimeout)
		case porcupine.Ok:
		}
	}
	for _, o := range w.history {
		if o.kind == check && !o.strict && !w.explained(o) {
			return fmt.Sprintf("at no moment within %v: %v", w.staleness, o)
		}
	}
	return ""
}

// run lets the clients work for the duration, and then, without the faults, until enough
// has happened to show something, which takes longer on a busy machine.
func (w *world) run(d time.Duration) {
	ctx, cancel := context.WithTimeout(w.ctx, max(2*d, time.Minute))
	defer cancel()
	var work sync.WaitGroup
	work.Go(func() {
		for sleep(ctx, d); w.clients == nil && ctx.Err() == nil && !w.enough(); {
			sleep(ctx, 100*time.Millisecond)
		}
		cancel()
	})
	if w.faults != nil {
		work.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, d)
			defer cancel()
			for ctx.Err() == nil {
				w.faults(w, ctx)
			}
			w.proxy.Set(dbtest.Weather{}, dbtest.Weather{})
		})
	}
	if w.clients != nil {
		w.clients(w, ctx)
		cancel()
	} else {
		for n := range 8 {
			work.Go(func() { w.client(ctx, n) })
		}
	}
	work.Wait()
	w.settle()
}

// client writes and checks at random. Now and then it does something that is hard to get
// right: it grants a role to a member and adds a permission to the role in turns, so
// that there is no moment at which the member has the permission by the role.
func (w *world) client(ctx context.Context, n int) {
	for ctx.Err() == nil {
		o := operation{user: rand.IntN(users), org: rand.IntN(orgs), role: rand.IntN(roles), permission: rand.IntN(permissions)}
		switch r := rand.IntN(20); {
		case r < 2:
			o.role, o.permission = n%roles, n%permissions // which no other client uses
			for _, o.kind = range []kind{revokeRole, addPermission, removePermission, grantRole} {
				w.do(ctx, o)
				w.ask(ctx, o)
			}
		case r < 6:
			o.kind = kind(rand.IntN(int(check)))
			w.do(ctx, o)
		default:
			for o.permission = range permissions {
				w.ask(ctx, o)
			}
		}
		sleep(ctx, rand.N(time.Millisecond))
	}
}

// disturbFeed keeps the feed from the second server: it stalls the feed's connections,
// cuts them, and ends the one that listens.
func (w *world) disturbFeed(ctx context.Context) {
	w.stallFeed(ctx)
	w.proxy.Set(dbtest.Weather{Down: true}, dbtest.Weather{})
	sleep(ctx, 700*time.Millisecond)
	w.proxy.Set(dbtest.Weather{}, dbtest.Weather{})
	sleep(ctx, 100*time.Millisecond)
	w.endListening()
	sleep(ctx, 200*time.Millisecond)
}

// stallFeed lets nothing of the feed through for a while, without closing its
// connections.
func (w *world) stallFeed(ctx context.Context) {
	w.proxy.Set(dbtest.Weather{Stalled: true}, dbtest.Weather{})
	sleep(ctx, 700*time.Millisecond)
	w.proxy.Set(dbtest.Weather{}, dbtest.Weather{})
	sleep(ctx, 200*time.Millisecond)
}

// disturb delays, stalls and cuts all connections of the second server.
func (w *world) disturb(ctx context.Context) {
	for _, step := range []dbtest.Weather{{Delay: 3 * time.Millisecond}, {Delay: 20 * time.Millisecond}, {Stalled: true}, {}, {Down: true}, {}} {
		w.proxy.Set(step, step)
		sleep(ctx, 250*time.Millisecond)
	}
}

// endListening ends the connections that listen for notifications.
func (w *world) endListening() {
	_, _ = w.db.ExecContext(w.ctx, `select pg_terminate_backend(pid) from pg_stat_activity
		where datname = current_database() and query like 'listen %' and pid <> pg_backend_pid()`)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
