package queue

import (
	"context"
	"sync"
)

// Turns runs work on the same key one after the other. It is safe for concurrent use,
// and the zero value is ready.
type Turns[K comparable] struct {
	mu    sync.Mutex
	lines map[K]*line
}

// maxLine is how many wait for the same key, or have it.
const maxLine = 256

type line struct {
	turn   chan struct{} // full while somebody has it
	length int
}

// Enter waits for a turn, which Leave must give back. It returns ErrBusy if too many
// wait already, or ctx.Err() if ctx ends.
func (t *Turns[K]) Enter(ctx context.Context, key K) error {
	l := t.join(key)
	if l == nil {
		return ErrBusy
	}
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		t.quit(key, l)
		return ctx.Err()
	}
}

// Leave ends the turn.
func (t *Turns[K]) Leave(key K) {
	t.mu.Lock()
	l := t.lines[key]
	t.mu.Unlock()
	<-l.turn
	t.quit(key, l)
}

func (t *Turns[K]) join(key K) *line {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lines[key]
	if l == nil {
		if t.lines == nil {
			t.lines = map[K]*line{}
		}
		l = &line{turn: make(chan struct{}, 1)}
		t.lines[key] = l
	}
	if l.length == maxLine {
		return nil
	}
	l.length++
	return l
}

func (t *Turns[K]) quit(key K, l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.length--; l.length == 0 {
		delete(t.lines, key)
	}
}
