package credential

import (
	"context"
	"crypto/sha256"
	"sync"

	"roster/db"
	"roster/queue"
)

// lookUps reads keys from the database, by one statement at a time for each source.
// Secrets that come from a source meanwhile are read together by its next statement. A
// client that makes secrets up therefore costs one connection at most, and a key that
// works gets through between as many of them as there may be.
type lookUps struct {
	db *db.DB
	// unknown bounds the statements for keys that are not known to work, from all sources.
	unknown *queue.Queue
	work    sync.WaitGroup

	mu sync.Mutex
	// gathering holds each source for which a statement runs, and what waits for its next
	// one; nil if nothing does.
	gathering map[source]*lookUp
}

// source is where secrets come from: a key that was seen to work, by its hash, or the
// holder of the context for all others.
type source struct{ known, holder any }

// maxUnknown is how many connections look for keys that are not known to work: few of
// those for reads.
const maxUnknown = 4

func newLookUps(d *db.DB) *lookUps {
	return &lookUps{db: d, unknown: queue.New(queue.Limits{Running: maxUnknown, Waiting: 1 << 20}), gathering: map[source]*lookUp{}}
}

// lookUp is one statement. Its result may be read when done is closed.
type lookUp struct {
	hashes [][]byte
	done   chan struct{}
	rows   map[[sha256.Size]byte]*workingKey
	err    error
}

// find returns the key with that hash if it works; otherwise nil. The statement that
// reads it begins after the call.
func (s *lookUps) find(ctx context.Context, hash [sha256.Size]byte, known bool) (*workingKey, error) {
	from := source{holder: queue.HolderOf(ctx)}
	if known {
		from = source{known: hash}
	}
	l := s.join(ctx, from, hash)
	select {
	case <-l.done:
		return l.rows[hash], l.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join returns a look-up of the hash that has not begun. It starts one unless the source
// has one that runs.
func (s *lookUps) join(ctx context.Context, from source, hash [sha256.Size]byte) *lookUp {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, runs := s.gathering[from]
	if l == nil {
		l = &lookUp{done: make(chan struct{})}
		s.gathering[from] = l
	}
	l.hashes = append(l.hashes, hash[:])
	if !runs {
		s.gathering[from] = nil
		s.work.Go(func() { s.run(context.WithoutCancel(ctx), from, l) })
	}
	return l
}

// run runs the look-up, and the ones that gather meanwhile.
func (s *lookUps) run(ctx context.Context, from source, l *lookUp) {
	for l != nil {
		l.rows, l.err = s.read(ctx, from, l.hashes)
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

// read returns the keys with these hashes that work.
func (s *lookUps) read(ctx context.Context, from source, hashes [][]byte) (map[[sha256.Size]byte]*workingKey, error) {
	ctx, cancel := context.WithTimeout(ctx, WaitTimeout)
	defer cancel()
	if from.known == nil {
		leave, err := s.unknown.Enter(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	rows, err := db.Select[workingKey](ctx, s.db, workingKeyText, hashes)
	if err != nil {
		return nil, err
	}
	byHash := make(map[[sha256.Size]byte]*workingKey, len(rows))
	for i := range rows {
		byHash[[sha256.Size]byte(rows[i].Hash)] = &rows[i]
	}
	return byHash, nil
}
