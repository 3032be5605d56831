// Package queue bounds how much work of one class runs at a time and how much waits.
// Work beyond both bounds is refused at once: an answer that comes after its client
// has given up serves nobody.
//
//	Enter ─▶ waiting (bounded, for WaitTimeout at most) ─▶ running (bounded) ─▶ Leave
//	   └───▶ ErrBusy ◀──────────┘
//
// Begin with Queue. Turns is for work that must go one after the other because it is
// about the same thing.
package queue

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// ErrBusy is the error of work that is refused.
var ErrBusy = errors.New("too much work at a time")

// Queue admits work of one class. It is safe for concurrent use.
type Queue struct {
	slots   chan struct{}
	waiting atomic.Int64
	limits  Limits
}

// Limits bound a queue: how many run, how many wait, and for how long.
type Limits struct {
	Running, Waiting int
	WaitTimeout      time.Duration
}

// New returns an empty queue.
func New(limits Limits) *Queue {
	return &Queue{slots: make(chan struct{}, limits.Running), limits: limits}
}

// Enter waits for a place, which Leave must give back. It returns ErrBusy if there is
// none in time, or ctx.Err() if ctx ends.
func (q *Queue) Enter(ctx context.Context) error {
	select {
	case q.slots <- struct{}{}:
		return nil
	default:
		return q.wait(ctx)
	}
}

func (q *Queue) wait(ctx context.Context) error {
	defer q.waiting.Add(-1)
	if q.waiting.Add(1) > int64(q.limits.Waiting) {
		return ErrBusy
	}
	timer := time.NewTimer(q.limits.WaitTimeout)
	defer timer.Stop()
	select {
	case q.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Leave frees the place.
func (q *Queue) Leave() { <-q.slots }
