package credential

import (
	"context"
	"sync"

	"roster/queue"
)

// lookUps reads credentials from the database, by one statement at a time for each source.
// Secrets that come from a source meanwhile are read together by its next statement. A
// client that makes secrets up therefore costs one connection at most, and a key that
// works gets through between as many of them as there may be.
type lookUps[R any] struct {
	// read returns the credentials with these names that work.
	read func(ctx context.Context, names []name) (map[name]*R, error)
	// unknown bounds the statements for keys that are not known to work, from all sources.
	unknown *queue.Queue
	work    sync.WaitGroup

	mu sync.Mutex
	// gathering holds each source for which a statement runs, and what waits for its next
	// one; nil if nothing does.
	gathering map[source]*lookUp[R]
}

// source is where secrets come from: a credential that was seen to work, by its name, or the
// holder of the context for all others.
type source struct{ known, holder any }

// maxUnknown is how many connections look for credentials that are not known to work: few of
// those for reads.
const maxUnknown = 4

func newLookUps[R any](read func(ctx context.Context, names []name) (map[name]*R, error)) *lookUps[R] {
	return &lookUps[R]{read: read, unknown: queue.New(queue.Limits{Running: maxUnknown, Waiting: 1 << 20}), gathering: map[source]*lookUp[R]{}}
}

// lookUp is one statement. Its result may be read when done is closed.
type lookUp[R any] struct {
	names []name
	done  chan struct{}
	rows  map[name]*R
	err   error
}

// find returns the credential with that name if it works; otherwise nil. The statement that
// reads it begins after the call.
func (s *lookUps[R]) find(ctx context.Context, name name, known bool) (*R, error) {
	from := source{holder: queue.HolderOf(ctx)}
	if known {
		from = source{known: name}
	}
	l := s.join(ctx, from, name)
	select {
	case <-l.done:
		return l.rows[name], l.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join returns a look-up of the name that has not begun. It starts one unless the source
// has one that runs.
func (s *lookUps[R]) join(ctx context.Context, from source, name name) *lookUp[R] {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, runs := s.gathering[from]
	if l == nil {
		l = &lookUp[R]{done: make(chan struct{})}
		s.gathering[from] = l
	}
	l.names = append(l.names, name)
	if !runs {
		s.gathering[from] = nil
		s.work.Go(func() { s.run(context.WithoutCancel(ctx), from, l) })
	}
	return l
}

// run runs the look-up, and the ones that gather meanwhile.
func (s *lookUps[R]) run(ctx context.Context, from source, l *lookUp[R]) {
	for l != nil {
		l.rows, l.err = s.readInTurn(ctx, from, l.names)
		close(l.done)
		s.mu.Lock()
		if l = s.gathering[from]; l == nil {
			delete(s.gathering, from)
		} else {
			s.gathering[from] = nil
		}
		s.mu.Unlock()
	}
}

// readInTurn is read, for which those that are not known wait.
func (s *lookUps[R]) readInTurn(ctx context.Context, from source, names []name) (map[name]*R, error) {
	ctx, cancel := context.WithTimeout(ctx, WaitTimeout)
	defer cancel()
	if from.known == nil {
		leave, err := s.unknown.Enter(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	return s.read(ctx, names)
}
