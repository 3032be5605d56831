package access

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"roster/changes"
)

// shardCount is the number of parts of a cache that are read independently of each
// other.
const shardCount = 256

// cache holds values by their keys, at most limit of them. A value ends when its key
// or one of the parties that it belongs to ends: then get no longer returns it, and
// other values are not affected. A nil cache holds nothing.
//
// Each value was read at an epoch. An end has a later one, and the cache remembers it:
// keep refuses a value that was read before. So it does not matter whether a value
// that raced with an end is kept before the end or after it. Where a change can be
// seen before what it changed, a later reading may still be too old: saw reports that.
//
// get costs little more than looking a value up in a map. Everything that changes the
// cache waits for one lock. The algorithm SIEVE chooses the value that makes room for
// a new one: of the values in the order in which they came, the next one that was not
// read since the last look at it.
type cache[K comparable, V any] struct {
	limit  int
	seed   maphash.Seed
	shards [shardCount]shard[K, V]

	mu             sync.Mutex
	count          int
	newest, oldest *node[K, V]
	// next is the value that is looked at next to make room; nil is the oldest one.
	next    *node[K, V]
	parties map[uuid.UUID]*party
	// keysEnded and partiesEnded are the announcements.
	keysEnded    announcements[K]
	partiesEnded announcements[uuid.UUID]

	evictions atomic.Uint64
}

// shard is a part of a cache. Two keys can share a slot: the later one has it.
type shard[K comparable, V any] struct {
	sync.RWMutex
	nodes map[uint64]*node[K, V]
	_     [32]byte // so that processors do not share a line of their caches
}

// node is a value in a cache.
type node[K comparable, V any] struct {
	key          K
	value        V
	parties      [2]*party
	newer, older *node[K, V]
	// read reports whether the value was read since the last look at it.
	read atomic.Bool
}

// party is shared by all values that end with it.
type party struct {
	id     uuid.UUID
	values int
	over   atomic.Bool
}

func newCache[K comparable, V any](limit int) *cache[K, V] {
	c := &cache[K, V]{limit: limit, seed: maphash.MakeSeed(), parties: map[uuid.UUID]*party{}}
	for i := range c.shards {
		c.shards[i].nodes = map[uint64]*node[K, V]{}
	}
	return c
}

// get returns the value of the key, which must not be modified; nil if the cache has
// none.
func (c *cache[K, V]) get(key K) *V {
	if c == nil {
		return nil
	}
	s, slot := c.slot(key)
	s.RLock()
	n := s.nodes[slot]
	s.RUnlock()
	if n == nil || n.key != key || n.isOver() {
		return nil
	}
	if !n.read.Load() {
		n.read.Store(true)
	}
	return &n.value
}

// isOver reports whether a party of the value has ended.
func (n *node[K, V]) isOver() bool {
	for _, p := range n.parties {
		if p != nil && p.over.Load() {
			return true
		}
	}
	return false
}

// keep keeps the value of the key, which belongs to at most two parties. The value was
// read at that epoch or later. keep does nothing if it may have ended since.
func (c *cache[K, V]) keep(key K, value V, epoch uint64, parties ...uuid.UUID) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ended := c.keysEnded.since(key, epoch)
	for _, id := range parties {
		ended = ended || c.partiesEnded.since(id, epoch)
	}
	if ended {
		return
	}
	if present := c.at(key); present != nil {
		c.remove(present)
	} else if c.count >= c.limit {
		c.makeRoom()
	}
	n := &node[K, V]{key: key, value: value}
	for i, id := range parties {
		n.parties[i] = c.join(id)
	}
	c.insert(n)
}

// saw reports whether a reading of the key at that epoch, which has seen that much of
// history, saw the ends of the key and the parties that had been announced.
func (c *cache[K, V]) saw(key K, epoch uint64, seen changes.Revision, parties ...uuid.UUID) bool {
	if c == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.keysEnded.saw(key, epoch, seen)
	for _, id := range parties {
		all = all && c.partiesEnded.saw(id, epoch, seen)
	}
	return all
}

// end ends the value of the key. The epoch is later than the epoch at which any value
// was read without what ended it.
func (c *cache[K, V]) end(key K, e ending) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keysEnded.add(key, e)
	if n := c.at(key); n != nil && n.key == key {
		c.remove(n)
	}
}

// endParty ends all values that belong to the party. They go on taking room until
// others take their places.
func (c *cache[K, V]) endParty(id uuid.UUID, e ending) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.partiesEnded.add(id, e)
	if p := c.parties[id]; p != nil {
		p.over.Store(true)
		delete(c.parties, id)
	}
}

// endAll ends all values.
func (c *cache[K, V]) endAll(epoch uint64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keysEnded.addAll(epoch)
	c.partiesEnded.addAll(epoch)
	for i := range c.shards {
		s := &c.shards[i]
		s.Lock()
		s.nodes = map[uint64]*node[K, V]{}
		s.Unlock()
	}
	c.count, c.newest, c.oldest, c.next = 0, nil, nil, nil
	c.parties = map[uuid.UUID]*party{}
}

// size returns the number of values.
func (c *cache[K, V]) size() int {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// evicted returns how many values have made room for others.
func (c *cache[K, V]) evicted() uint64 {
	if c == nil {
		return 0
	}
	return c.evictions.Load()
}

// slot returns where the key belongs.
func (c *cache[K, V]) slot(key K) (*shard[K, V], uint64) {
	slot := maphash.Comparable(c.seed, key)
	return &c.shards[slot%shardCount], slot
}

// at returns the value in the slot of the key, which can be the value of another key.
func (c *cache[K, V]) at(key K) *node[K, V] {
	s, slot := c.slot(key)
	return s.nodes[slot] // only holders of c.mu write
}

// maxSkipped bounds the search for a value that was not read, because nothing can be
// kept meanwhile.
const maxSkipped = 64

// makeRoom removes a value. Each one that it passes over was read since the last look
// at it, and is not passed over again unless it is read again.
func (c *cache[K, V]) makeRoom() {
	n := c.next
	for skipped := 0; ; skipped++ {
		if n == nil {
			n = c.oldest
		}
		if n.isOver() || skipped == maxSkipped || !n.read.Swap(false) {
			break
		}
		n = n.newer
	}
	c.next = n.newer
	c.remove(n)
	c.evictions.Add(1)
}

// insert adds the newest value. Its slot must be free.
func (c *cache[K, V]) insert(n *node[K, V]) {
	n.older = c.newest
	if c.newest == nil {
		c.oldest = n
	} else {
		c.newest.newer = n
	}
	c.newest = n
	c.count++
	s, slot := c.slot(n.key)
	s.Lock()
	s.nodes[slot] = n
	s.Unlock()
}

func (c *cache[K, V]) remove(n *node[K, V]) {
	s, slot := c.slot(n.key)
	s.Lock()
	delete(s.nodes, slot)
	s.Unlock()
	c.count--
	if c.next == n {
		c.next = n.newer
	}
	if n.newer == nil {
		c.newest = n.older
	} else {
		n.newer.older = n.older
	}
	if n.older == nil {
		c.oldest = n.newer
	} else {
		n.older.newer = n.newer
	}
	for _, p := range n.parties {
		c.leave(p)
	}
}

// join returns the party with that id for one more value.
func (c *cache[K, V]) join(id uuid.UUID) *party {
	p := c.parties[id]
	if p == nil {
		p = &party{id: id}
		c.parties[id] = p
	}
	p.values++
	return p
}

// leave forgets a party, which can be nil, with the last of its values.
func (c *cache[K, V]) leave(p *party) {
	if p == nil {
		return
	}
	if p.values--; p.values == 0 && c.parties[p.id] == p {
		delete(c.parties, p.id)
	}
}
