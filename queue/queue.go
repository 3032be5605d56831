// Package queue bounds how much work of one class runs at a time and how much waits,
// and shares the places among the holders: API keys, organizations, addresses.
// Work beyond the bounds is refused at once: an answer that comes after its client
// has given up serves nobody.
//
//	Enter ─▶ waiting (bounded, for WaitTimeout at most) ─▶ running (bounded) ─▶ leave
//	   └───▶ ErrBusy ◀──────────┘
//
// Begin with Queue, and with WithHolders, which says for whom a context works. Room
// shares memory in the same way. Turns is for work that must go one after the other
// because it is about the same thing.
package queue

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// ErrBusy is the error of work that is refused.
var ErrBusy = errors.New("too much work at a time")

// Queue admits work of one class. No holder has more than a quarter of the places,
// neither to run nor to wait, but one of each in any case. A place that becomes free
// goes to the waiting holder that was admitted longest ago. A Queue is safe for
// concurrent use.
type Queue struct {
	limits Limits

	mu      sync.Mutex
	running int
	waiting []*visit // in the order in which they came
	holders map[any]*holder
	// admitted counts the visits that were admitted.
	admitted uint64
}

// Limits bound a queue: how many run, how many wait, and for how long. Without a
// WaitTimeout, work waits until its context ends.
type Limits struct {
	Running, Waiting int
	WaitTimeout      time.Duration
}

// holder is a holder that has work in the queue.
type holder struct {
	running, waiting int
	// admitted is the number of its last visit that was admitted; 0 if there was none
	// since it last had no work in the queue.
	admitted uint64
}

// visit is one piece of work in the queue.
type visit struct {
	names   []any
	holders []*holder
	runs    chan struct{} // closed when the visit is admitted
}

// New returns an empty queue.
func New(limits Limits) *Queue {
	return &Queue{limits: limits, holders: map[any]*holder{}}
}

// Enter waits for a place for the holders of ctx; the caller gives it back by leave.
// It returns ErrBusy if there is no place in time, or ctx.Err() if ctx ends.
func (q *Queue) Enter(ctx context.Context) (leave func(), err error) {
	v, err := q.join(ctx)
	if err == nil {
		err = q.await(ctx, v)
	}
	if err != nil {
		return nil, err
	}
	return func() { q.leave(v) }, nil
}

// join returns a visit that runs or waits.
func (q *Queue) join(ctx context.Context) (*visit, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	v := q.visit(ctx)
	switch {
	case q.mayRun(v):
		q.admit(v)
	case q.mayWait(v):
		q.wait(v, 1)
		q.waiting = append(q.waiting, v)
	default:
		q.forget(v)
		return nil, ErrBusy
	}
	return v, nil
}

// await returns nil when the visit is admitted.
func (q *Queue) await(ctx context.Context, v *visit) (err error) {
	select {
	case <-v.runs:
		return nil
	default:
	}
	var late <-chan time.Time // never, without a WaitTimeout
	if q.limits.WaitTimeout > 0 {
		timer := time.NewTimer(q.limits.WaitTimeout)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-v.runs:
		return nil
	case <-late:
		err = ErrBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, v)
	if i < 0 { // it was admitted at the same moment
		return nil
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	q.wait(v, -1)
	q.forget(v)
	return err
}

// leave frees a place, and admits whoever waits for it.
func (q *Queue) leave(v *visit) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running--
	for _, h := range v.holders {
		h.running--
	}
	q.forget(v)
	for next := q.next(); next >= 0; next = q.next() {
		v := q.waiting[next]
		q.waiting = slices.Delete(q.waiting, next, next+1)
		q.wait(v, -1)
		q.admit(v)
	}
}

// next returns the index of the visit that is admitted next; -1 if none can be.
func (q *Queue) next() int {
	best, since := -1, uint64(0)
	if q.running >= q.limits.Running {
		return best
	}
	for i, v := range q.waiting {
		if last := v.lastAdmitted(); q.mayRun(v) && (best < 0 || last < since) {
			best, since = i, last
		}
	}
	return best
}

func (v *visit) lastAdmitted() (last uint64) {
	for _, h := range v.holders {
		last = max(last, h.admitted)
	}
	return last
}

func (q *Queue) visit(ctx context.Context) *visit {
	v := &visit{names: holdersOf(ctx), runs: make(chan struct{})}
	for _, name := range v.names {
		if q.holders[name] == nil {
			q.holders[name] = &holder{}
		}
		v.holders = append(v.holders, q.holders[name])
	}
	return v
}

// forget drops the holders of a visit that have no work in the queue any more.
func (q *Queue) forget(v *visit) {
	for i, h := range v.holders {
		if h.running+h.waiting == 0 {
			delete(q.holders, v.names[i])
		}
	}
}

func (q *Queue) mayRun(v *visit) bool {
	return q.running < q.limits.Running && !slices.ContainsFunc(v.holders, func(h *holder) bool { return h.running >= share(q.limits.Running) })
}

func (q *Queue) mayWait(v *visit) bool {
	return len(q.waiting) < q.limits.Waiting && !slices.ContainsFunc(v.holders, func(h *holder) bool { return h.waiting >= share(q.limits.Waiting) })
}

func (q *Queue) wait(v *visit, n int) {
	for _, h := range v.holders {
		h.waiting += n
	}
}

func (q *Queue) admit(v *visit) {
	q.running++
	q.admitted++
	for _, h := range v.holders {
		h.running++
		h.admitted = q.admitted
	}
	close(v.runs)
}
