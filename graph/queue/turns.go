package queue

import (
	"context"
	"sync"
)

// Turns lets those who come for the same thing go on one after the other. It is
// safe for concurrent use, and the zero value is ready.
type Turns[K comparable] struct {
	mu    sync.Mutex
	lines map[K]*line
}

// maxLine is how many wait for the same thing, or have it.
const maxLine = 256

type line struct {
	turn   chan struct{} // full while somebody has it
	people int
}

// Enter waits for a turn; Leave must follow when it succeeds. It fails with
// ErrBusy when too many wait already, or when ctx ends.
func (t *Turns[K]) Enter(ctx context.Context, thing K) error {
	l := t.join(thing)
	if l == nil {
		return ErrBusy
	}
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		t.quit(thing, l)
		return ctx.Err()
	}
}

// Leave gives the turn to the next one.
func (t *Turns[K]) Leave(thing K) {
	t.mu.Lock()
	l := t.lines[thing]
	t.mu.Unlock()
	<-l.turn
	t.quit(thing, l)
}

func (t *Turns[K]) join(thing K) *line {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lines[thing]
	if l == nil {
		if t.lines == nil {
			t.lines = map[K]*line{}
		}
		l = &line{turn: make(chan struct{}, 1)}
		t.lines[thing] = l
	}
	if l.people == maxLine {
		return nil
	}
	l.people++
	return l
}

func (t *Turns[K]) quit(thing K, l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.people--; l.people == 0 {
		delete(t.lines, thing)
	}
}
