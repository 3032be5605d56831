package queue

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, ctx := New(Limits{Running: 2, Waiting: 1, WaitTimeout: time.Second}), t.Context()
		var leaves []func()
		leave := func() {
			out := leaves[0]
			leaves = leaves[1:] // first, since whoever is admitted adds one
			out()
		}
		enter := func(want error, after time.Duration) {
			t.Helper()
			began := time.Now()
			out, err := q.Enter(ctx)
			if !errors.Is(err, want) || time.Since(began) != after {
				t.Errorf("%v after %v, want %v after %v", err, time.Since(began), want, after)
			}
			if err == nil {
				leaves = append(leaves, out)
			}
		}
		enter(nil, 0)
		enter(nil, 0)
		enter(ErrBusy, time.Second) // nobody leaves

		go func() { time.Sleep(time.Second / 2); leave() }()
		go func() { time.Sleep(time.Second / 4); enter(ErrBusy, 0) }() // one waits already
		enter(nil, time.Second/2)

		gone, cancel := context.WithTimeout(ctx, time.Second/10)
		defer cancel()
		if _, err := q.Enter(gone); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		leave()
		leave()
		enter(nil, 0) // as if nothing had been
		leave()
		if q.running != 0 || len(q.waiting)+len(q.holders) != 0 {
			t.Errorf("%d run, %d wait for %d holders", q.running, len(q.waiting), len(q.holders))
		}
	})
}

// No holder has more than its share, under whatever other name it comes, and the
// places that become free go round among those that wait.
func TestShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{Running: 8, Waiting: 8})
		running, most := map[string]int{}, map[string]int{}
		var order []string
		var mu sync.Mutex // of all that visits note
		visit := func(holders ...string) (refused bool) {
			var names []any
			for _, h := range holders {
				names = append(names, h)
			}
			leave, err := q.Enter(WithHolders(t.Context(), names...))
			if err != nil {
				return true
			}
			note := func(n int) (place int) {
				mu.Lock()
				defer mu.Unlock()
				for _, h := range holders {
					running[h] += n
					most[h] = max(most[h], running[h])
				}
				if n > 0 {
					order = append(order, holders[0])
				}
				return len(order)
			}
			place := note(1)
			time.Sleep(time.Second + time.Duration(place)*time.Millisecond) // so that one leaves after the other
			note(-1)
			leave()
			return false
		}
		refused := 0
		for _, key := range []string{"a", "b", "c"} { // three keys of one organization
			go func() { visit(key, "org") }()
			synctest.Wait()
		}
		for range 5 {
			go func() {
				if visit("x") {
					refused++
				}
			}()
			synctest.Wait()
		}
		for _, key := range []string{"y", "z", "y", "z", "w"} {
			go visit(key)
			synctest.Wait()
		}
		mu.Lock() // the detector does not see that synctest's clock orders this
		if len(order) != 8 || refused != 1 {
			t.Errorf("%v run, %d are refused", order, refused)
		}
		mu.Unlock()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if most["org"] != 2 || most["x"] != 2 || len(order) != 12 || len(q.holders) != 0 {
			t.Errorf("%v ran, at most %v at a time", order, most)
		}
		if order[8] != "w" {
			t.Errorf("%v: a holder that had nothing comes after those that had their share", order)
		}
	})
}

func TestRoom(t *testing.T) {
	r := NewRoom(100)
	ctx := WithHolders(t.Context(), "a", "org")
	leave, ok := r.TryEnter(ctx, 20)
	if _, more := r.TryEnter(WithHolders(t.Context(), "b", "org"), 10); !ok || more {
		t.Error("an organization has more than its share")
	}
	var others []func()
	for _, name := range []string{"c", "d", "e", "f"} {
		if out, ok := r.TryEnter(WithHolders(t.Context(), name), 20); ok {
			others = append(others, out)
		}
	}
	if _, more := r.TryEnter(t.Context(), 1); len(others) != 4 || more {
		t.Errorf("%d others have room, and there is more", len(others))
	}
	leave()
	for _, leave := range others {
		leave()
	}
	if r.used != 0 || len(r.heldBy) != 0 {
		t.Errorf("%d are taken by %v", r.used, r.heldBy)
	}
}

func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns[string]
		ctx := t.Context()
		inside, most, done := 0, 0, 0
		visit := func(thing string) {
			if err := turns.Enter(ctx, thing); err != nil {
				t.Error(err)
			}
			inside++
			most = max(most, inside)
			time.Sleep(time.Second)
			inside--
			done++
			turns.Leave(thing)
		}
		began := time.Now()
		for range maxLine {
			go visit("a")
		}
		synctest.Wait()
		if err := turns.Enter(ctx, "a"); !errors.Is(err, ErrBusy) {
			t.Error("too many wait")
		}
		if err := turns.Enter(ctx, "b"); err != nil {
			t.Error("what is another thing waits")
		}
		gone, leave := context.WithTimeout(ctx, time.Second/10)
		defer leave()
		if err := turns.Enter(gone, "b"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		turns.Leave("b")
		time.Sleep(maxLine * time.Second)
		synctest.Wait()
		if most != 1 || done != maxLine || time.Since(began) < maxLine*time.Second || len(turns.lines) != 0 {
			t.Errorf("%d at a time, %d in all, %d lines are left", most, done, len(turns.lines))
		}
	})
}
