// Package queue bounds how much work of one class runs at a time, and how much
// waits. What is beyond both is turned away at once: an answer that comes after
// its client has given up is work for nobody.
package queue

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// ErrBusy is told to those who are turned away.
var ErrBusy = errors.New("too much work at a time")

// Queue admits work of one class. It is safe for concurrent use.
type Queue struct {
	slots   chan struct{}
	waiting atomic.Int64
	limits  Limits
}

// Limits are those of a queue: how many run, how many wait, and how long.
type Limits struct {
	Running, Waiting int
	WaitTimeout      time.Duration
}

// New makes a queue.
func New(limits Limits) *Queue {
	return &Queue{slots: make(chan struct{}, limits.Running), limits: limits}
}

// Enter waits for a place; Leave must follow when it succeeds. It fails with
// ErrBusy, or when ctx ends.
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

// Leave gives the place to the next one.
func (q *Queue) Leave() { <-q.slots }

// Room is a number of bytes which requests share.
type Room struct {
	used  atomic.Int64
	limit int64
}

// NewRoom makes a room of so many bytes.
func NewRoom(limit int64) *Room { return &Room{limit: limit} }

// Take takes up bytes, until they are given back; false when there are not so
// many.
func (r *Room) Take(bytes int64) bool {
	if r.used.Add(bytes) > r.limit {
		r.used.Add(-bytes)
		return false
	}
	return true
}

// Give gives back what was taken.
func (r *Room) Give(bytes int64) { r.used.Add(-bytes) }
