package access

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"roster/changes"
	"roster/db"
)

// Options are what an engine may be told; the zero value suits.
type Options struct {
	// Entries is how many places the cache holds, and as many names; 0 means
	// DefaultEntries, and less than 0 that there is no cache.
	Entries int
	// Staleness is how long a server goes on answering from memory when it hears
	// nothing of what others change; 0 means DefaultStaleness.
	Staleness time.Duration
	Log       *slog.Logger

	without testHooks
}

// What an engine does unless it is told otherwise.
const (
	DefaultEntries   = 200_000
	DefaultStaleness = time.Second
)

// Engine answers what members may do, from memory where that is known to be as
// good as the database.
//
// Memory is a snapshot of the catalogue, and a cache with one entry for each
// place that was asked about; another one has the names by which users and
// organizations were asked for. All are disposable copies. They count only while
// the feed of changes is fresh: it was confirmed, within the staleness bound,
// that everything committed until then has been applied. Without a feed, and in
// a transaction, the database is read.
//
// An entry carries the epoch that was current before the database was read; a
// change raises the floors of what it concerns to a new epoch, and an entry
// below a floor is not used. So what raced with an invalidation is thrown away,
// and neither losing nor keeping an entry can make an answer wrong.
//
// A catalogue and an entry are used together only if some state of the database
// had both: a new catalogue is published when the changes that came before it
// have raised their floors, and an entry is read only when the feed has brought
// all changes of roles which the reading saw.
type Engine struct {
	db        *db.DB
	log       *slog.Logger
	staleness time.Duration
	began     time.Time
	without   testHooks

	roles       index[db.RoleID]
	permissions index[db.PermissionID]

	epoch  atomic.Uint64
	floors floors
	cache  *ristretto.Cache[uint64, *Entitlements]
	names  *ristretto.Cache[uint64, *named]

	feed     atomic.Pointer[changes.Follower]
	snapshot atomic.Pointer[snapshot]
	// staged is a catalogue which waits for the floors; only Apply uses it.
	staged *snapshot
	// generation counts the changes of roles that this server knows of, from 1:
	// only catalogues that were read after the last one will do.
	generation atomic.Uint64
	keyEpoch   atomic.Uint64

	hits, misses, exact, stale atomic.Uint64
}

// Stats tell how the engine fares.
type Stats struct {
	// Hits and Misses of the cache, and Exact the places which the database had
	// to work out because memory could not be trusted, each since the start.
	Hits, Misses, Exact uint64
	// Stale are the places for which memory was not used because the feed had not
	// been confirmed within the staleness bound.
	Stale uint64
	// Epoch counts the invalidations since the start.
	Epoch uint64
	// Lag is how long ago the feed was confirmed last; absurdly long without one.
	Lag time.Duration
	// Roles and Permissions are how many the catalogue in memory has.
	Roles, Permissions int
}

// Stats gives the figures of this moment.
func (e *Engine) Stats() Stats {
	s := Stats{
		Hits: e.hits.Load(), Misses: e.misses.Load(), Exact: e.exact.Load(), Stale: e.stale.Load(), Epoch: e.epoch.Load(), Lag: math.MaxInt64,
	}
	if feed := e.feed.Load(); feed != nil {
		s.Lag = time.Since(feed.Confirmed())
	}
	catalogue := e.snapshot.Load()
	s.Roles, s.Permissions = len(catalogue.Roles), len(catalogue.Permissions)
	return s
}

// snapshot is a catalogue, and the generation of the engine before it was read.
type snapshot struct {
	*Catalogue
	generation uint64
	// replaced is closed when there is a later one.
	replaced chan struct{}
}

func newSnapshot(c *Catalogue, generation uint64) *snapshot {
	return &snapshot{Catalogue: c, generation: generation, replaced: make(chan struct{})}
}

// NewEngine gives the engine over the grants in database.
func NewEngine(database *db.DB, o Options) *Engine {
	e := &Engine{db: database, log: o.Log, staleness: o.Staleness, began: time.Now(), without: o.without}
	if e.staleness == 0 {
		e.staleness = DefaultStaleness
	}
	e.generation.Store(1)
	e.snapshot.Store(newSnapshot(&Catalogue{}, 0))
	if o.Entries == 0 {
		o.Entries = DefaultEntries
	}
	if o.Entries > 0 {
		e.cache, e.names = newCache[*Entitlements](o.Entries), newCache[*named](o.Entries)
	}
	return e
}

// newCache gives a cache of so many entries. It may lose any of them.
func newCache[T any](entries int) *ristretto.Cache[uint64, T] {
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, T]{
		NumCounters: 10 * int64(entries), MaxCost: int64(entries), BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		panic(err) // the numbers above are good
	}
	return cache
}

// Follow lets the engine trust its memory as far as the feed goes; the feed must
// call Apply.
func (e *Engine) Follow(feed *changes.Follower) { e.feed.Store(feed) }

// Close stops the cache. Nothing may use the engine any more.
func (e *Engine) Close() {
	if e.cache != nil {
		e.cache.Close()
		e.names.Close()
	}
}

// Staleness is how long a server goes on answering from memory when it hears
// nothing of what others change.
func (e *Engine) Staleness() time.Duration { return e.staleness }

// now is the time of the engine.
func (e *Engine) now() time.Duration { return time.Since(e.began) }

// fresh tells whether memory can be trusted now: the feed was confirmed within
// the staleness bound.
func (e *Engine) fresh(now time.Duration) bool {
	feed := e.feed.Load()
	return feed != nil && (now-feed.Confirmed().Sub(e.began) <= e.staleness || e.without.staleness)
}

// current tells whether the catalogue is that of the last change of roles which
// this server knows of. It is asked before memory is used, and once more
// afterwards: an entry that was read in between can be one of later roles.
func (e *Engine) current(s *snapshot) bool { return s.generation == e.generation.Load() }

// Catalogue gives the roles and permissions as they are now or, as far as other
// servers change them, within the staleness bound. Within a transaction it sees
// the transaction's own changes.
func (e *Engine) Catalogue(ctx context.Context) (*Catalogue, error) {
	if !db.HasTx(ctx) {
		for range tries {
			s := e.snapshot.Load()
			if !e.fresh(e.now()) {
				break
			}
			if e.current(s) {
				if e.now() >= s.until {
					break
				}
				return s.Catalogue, nil
			}
			if err := await(ctx, s.replaced); err != nil {
				return nil, err
			}
		}
	}
	return e.readCatalogue(ctx)
}

const (
	// tries is how often memory is tried while roles are changing. Where they
	// change all the time, the database gives the answer.
	tries = 3
	// patience is how long one try waits for the feed, which takes some 5 ms to
	// bring a change and the catalogue after it. To wait is cheap; if each
	// request read the whole catalogue meanwhile, they would be in its way.
	patience = 100 * time.Millisecond
)

// await waits for the catalogue that follows, though not for long; it fails only
// with ctx.
func await(ctx context.Context, replaced <-chan struct{}) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-replaced:
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// cached gives the entry of a place, if it is good.
func (e *Engine) cached(place *MemberKey, now time.Duration) *Entitlements {
	if e.without.meanwhile != nil {
		e.without.meanwhile()
	}
	if e.cache == nil {
		return nil
	}
	h, ok := e.cache.Get(placeHash(place))
	if !ok || h.place != *place || now >= h.until || !e.floors.good(place, h.epoch) && !e.without.floors {
		return nil
	}
	return h
}

// Check tells whether the user may do what the permission names at the place, if
// memory knows; else known is false, and View has to be asked.
func (e *Engine) Check(place MemberKey, permission string) (allowed, known bool) {
	now := e.now()
	s := e.snapshot.Load()
	if !e.fresh(now) || !e.current(s) {
		return false, false
	}
	h := e.cached(&place, now)
	if h == nil || s.mayHaveEnded(now, permission) || !e.current(s) && !e.without.recheck {
		return false, false
	}
	e.hits.Add(1)
	return s.Allows(h, permission), true
}

// View gives what is held at the places, in the order asked, and the catalogue
// that it goes with. What is not in memory is read by one statement. The keys are
// those of the permissions that Allows will be asked for: where one of them is a
// former key whose time may be over, the database answers.
func (e *Engine) View(ctx context.Context, places []MemberKey, keys ...string) (*Catalogue, []*Entitlements, error) {
	if len(places) == 0 {
		c, err := e.Catalogue(ctx)
		return c, nil, err
	}
	if !db.HasTx(ctx) {
		again := true
		for try := 0; again && try < tries; try++ {
			var c *Catalogue
			var held []*Entitlements
			var err error
			if c, held, again, err = e.fromMemory(ctx, places, keys); err != nil || c != nil {
				return c, held, err
			}
		}
	}
	return e.exactly(ctx, places)
}

// exactly is View where the catalogue in memory will not do.
func (e *Engine) exactly(ctx context.Context, places []MemberKey) (c *Catalogue, held []*Entitlements, err error) {
	e.exact.Add(uint64(len(places)))
	err = e.db.InSnapshot(ctx, func(ctx context.Context) error {
		if held, err = e.readExact(ctx, places); err != nil {
			return err
		}
		c, err = e.readCatalogue(ctx)
		return err
	})
	return c, held, err
}

// fromMemory is one try of View; without a catalogue it has failed, and again
// tells whether it is worth while to try once more. When the feed is not fresh,
// no entry counts, but the catalogue still does if the statement that reads the
// places finds no change of roles that the feed has not brought.
func (e *Engine) fromMemory(ctx context.Context, places []MemberKey, keys []string) (c *Catalogue, held []*Entitlements, again bool, err error) {
	now := e.now()
	s, fresh := e.snapshot.Load(), e.fresh(now)
	if !fresh {
		e.stale.Add(uint64(len(places)))
	}
	if !e.current(s) {
		if fresh {
			err = await(ctx, s.replaced)
		}
		return nil, nil, fresh, err
	}
	if s.mayHaveEnded(now, keys...) {
		return nil, nil, false, nil
	}
	held = make([]*Entitlements, len(places))
	var cold []int
	for i := range places {
		if fresh {
			held[i] = e.cached(&places[i], now)
		}
		if held[i] == nil {
			cold = append(cold, i)
		}
	}
	e.hits.Add(uint64(len(places) - len(cold)))
	if len(cold) > 0 {
		seen, err := e.fill(ctx, places, held, cold)
		if err != nil {
			return nil, nil, false, err
		}
		if seen != "" {
			if fresh {
				err = e.catchUp(ctx, seen)
			}
			return nil, nil, fresh, err
		}
	}
	if !e.current(s) && !e.without.recheck {
		return nil, nil, true, nil
	}
	return s.Catalogue, held, false, nil
}

// fill reads what is cold among the places. When that has seen changes of roles
// which the feed has not brought, it gives the snapshot that did.
func (e *Engine) fill(ctx context.Context, places []MemberKey, held []*Entitlements, cold []int) (seen string, err error) {
	e.misses.Add(uint64(len(cold)))
	wanted := make([]MemberKey, len(cold))
	for i, at := range cold {
		wanted[i] = places[at]
	}
	read, seen, err := e.readLive(ctx, wanted, e.feed.Load().Position())
	if err != nil || seen != "" {
		return seen, err
	}
	for i, at := range cold {
		held[at] = read[i]
		if e.cache != nil {
			place := &read[i].place
			e.cache.Set(placeHash(place), read[i], 1)
		}
	}
	return "", nil
}

// catchUp waits until the feed has brought what a statement has seen, though not
// for long; it fails only with ctx.
func (e *Engine) catchUp(ctx context.Context, seen string) error {
	revision, err := changes.ParseRevision(seen)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = e.feed.Load().Wait(waiting, revision)
	return ctx.Err()
}
