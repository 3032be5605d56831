package queue

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, ctx := New(Limits{Running: 2, Waiting: 1, WaitTimeout: time.Second}), t.Context()
		enter := func(want error, after time.Duration) {
			t.Helper()
			began := time.Now()
			if err := q.Enter(ctx); !errors.Is(err, want) || time.Since(began) != after {
				t.Errorf("%v after %v, want %v after %v", err, time.Since(began), want, after)
			}
		}
		enter(nil, 0)
		enter(nil, 0)
		enter(ErrBusy, time.Second) // nobody leaves

		go func() { time.Sleep(time.Second / 2); q.Leave() }()
		go func() { time.Sleep(time.Second / 4); enter(ErrBusy, 0) }() // one waits already
		enter(nil, time.Second/2)

		gone, leave := context.WithTimeout(ctx, time.Second/10)
		defer leave()
		if err := q.Enter(gone); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		q.Leave()
		q.Leave()
		enter(nil, 0) // as if nothing had been
	})
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
