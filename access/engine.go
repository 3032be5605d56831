package access

import (
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"roster/changes"
	"roster/db"
)

// Options configure an engine. Log is required; the zero value of each other option
// is its default.
type Options struct {
	// Entries is the number of members that the cache holds at most, and the number of
	// names beside them. 0 means DefaultEntries; less than 0 means no cache.
	Entries int
	// Staleness is how long a server answers from memory while it does not hear from
	// the feed; 0 means DefaultStaleness.
	Staleness time.Duration
	Log       *slog.Logger

	without testHooks
}

// The defaults of Options.
const (
	DefaultEntries   = 200_000
	DefaultStaleness = time.Second
)

// Engine answers what members may do: from memory if that is known to be as good as
// the database, and else from the database.
//
// Memory holds a snapshot of the catalogue, one cache of the members that were asked
// about, and another one of the names by which users and organizations were asked
// for. They are disposable copies. They count only while the feed of changes is
// fresh: within the staleness bound, it was confirmed that everything committed
// until then has been applied. Without a feed, and in a transaction, the engine reads
// the database.
//
// A change ends the entries of what it concerns, and no others: the entry of a member,
// or all entries of a user, of an organization, or of their names. An entry that was
// read before the change was announced is not kept afterwards (see cache), so that
// neither losing nor keeping an entry can make an answer wrong.
//
// A catalogue and an entry are used together only if both were true in one state of
// the database: a new catalogue is published when all changes before it have ended
// what they concern, and an entry is kept only if the feed has delivered all changes
// of roles that its reading saw.
type Engine struct {
	db        *db.DB
	log       *slog.Logger
	staleness time.Duration
	entries   int
	start     time.Time // of the engine's time
	without   testHooks

	roles       index[db.RoleID]
	permissions index[db.PermissionID]

	// epoch counts the invalidations.
	epoch   atomic.Uint64
	members *cache[MemberKey, Entitlements]
	names   *cache[Name, uuid.UUID]

	feed     atomic.Pointer[changes.Follower]
	snapshot atomic.Pointer[snapshot]
	// staged is a catalogue that waits for the entries of before to end. Only Apply uses
	// it.
	staged *snapshot
	// generation counts the changes of roles that this server knows of, from 1. Only a
	// catalogue that was read after the last of them is current.
	generation atomic.Uint64
	keyEpoch   atomic.Uint64

	hits, misses, exact, stale atomic.Uint64
}

// Stats are figures of an engine, counted since its start.
type Stats struct {
	// Hits and Misses count the members that were found in the cache and were not.
	// Exact counts those that the database had to work out, because memory could not
	// be trusted.
	Hits, Misses, Exact uint64
	// Stale counts the members for which memory was not used, because the feed had not
	// been confirmed within the staleness bound.
	Stale uint64
	// Entries and Names are the numbers of members and of names in memory, and Limit is
	// the most that there can be of each. Evictions counts the ones that made room for
	// others.
	Entries, Names, Limit int
	Evictions             uint64
	// Epoch counts the invalidations.
	Epoch uint64
	// Lag is the time since the feed was last confirmed; the longest Duration without a
	// feed.
	Lag time.Duration
	// Roles and Permissions are the sizes of the catalogue in memory.
	Roles, Permissions int
}

// Stats returns the current figures.
func (e *Engine) Stats() Stats {
	s := Stats{
		Hits: e.hits.Load(), Misses: e.misses.Load(), Exact: e.exact.Load(), Stale: e.stale.Load(), Epoch: e.epoch.Load(), Lag: math.MaxInt64,
		Entries: e.members.size(), Names: e.names.size(), Limit: e.entries, Evictions: e.members.evicted() + e.names.evicted(),
	}
	if feed := e.feed.Load(); feed != nil {
		s.Lag = time.Since(feed.Confirmed())
	}
	catalogue := e.snapshot.Load()
	s.Roles, s.Permissions = len(catalogue.Roles), len(catalogue.Permissions)
	return s
}

// snapshot is a catalogue with the generation of the engine before it was read.
type snapshot struct {
	*Catalogue
	generation uint64
	// replaced is closed when a later snapshot is published.
	replaced chan struct{}
}

func newSnapshot(c *Catalogue, generation uint64) *snapshot {
	return &snapshot{Catalogue: c, generation: generation, replaced: make(chan struct{})}
}

// NewEngine returns an engine for the grants in database. It answers from memory
// only after Follow.
func NewEngine(database *db.DB, o Options) *Engine {
	e := &Engine{db: database, log: o.Log, staleness: o.Staleness, start: time.Now(), without: o.without}
	if e.staleness == 0 {
		e.staleness = DefaultStaleness
	}
	e.generation.Store(1)
	e.snapshot.Store(newSnapshot(&Catalogue{}, 0))
	if o.Entries == 0 {
		o.Entries = DefaultEntries
	}
	if o.Entries > 0 {
		e.entries = o.Entries
		e.members, e.names = newCache[MemberKey, Entitlements](o.Entries), newCache[Name, uuid.UUID](o.Entries)
	}
	return e
}

// Follow lets the engine trust its memory while the feed is fresh. The feed must
// call Apply and Reset.
func (e *Engine) Follow(feed *changes.Follower) { e.feed.Store(feed) }

// Staleness returns how long the server answers from memory while it does not hear
// from the feed.
func (e *Engine) Staleness() time.Duration { return e.staleness }

// now returns the engine's time: how long ago it was made.
func (e *Engine) now() time.Duration { return time.Since(e.start) }

// fresh reports whether memory can be trusted: the feed was confirmed within the
// staleness bound.
func (e *Engine) fresh(now time.Duration) bool {
	feed := e.feed.Load()
	return feed != nil && (now-feed.Confirmed().Sub(e.start) <= e.staleness || e.without.staleness)
}

// current reports whether the catalogue was read after the last change of roles that
// this server knows of. Callers ask before they use memory and once more afterwards,
// because an entry that was made in between can belong to later roles.
func (e *Engine) current(s *snapshot) bool { return s.generation == e.generation.Load() }
