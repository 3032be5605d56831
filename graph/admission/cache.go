package admission

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Cache keeps what was used last, by a text, within a number of bytes. It is
// safe for concurrent use.
type Cache[V any] struct {
	mu      sync.Mutex
	entries *simplelru.LRU[string, sized[V]]
	bytes   int
	limit   int
}

type sized[V any] struct {
	value V
	bytes int
}

// bytesPerEntry is what an entry takes besides its key and value.
const bytesPerEntry = 200

// NewCache makes a cache of so many bytes.
func NewCache[V any](limit int) *Cache[V] {
	c := &Cache[V]{limit: limit}
	entries, err := simplelru.NewLRU(1<<30, func(_ string, v sized[V]) { c.bytes -= v.bytes })
	if err != nil {
		panic(err) // the number above is wrong
	}
	c.entries = entries
	return c
}

// Get returns the value of a key.
func (c *Cache[V]) Get(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.entries.Get(key)
	return found.value, ok
}

// Add keeps a value of so many bytes, its key included, in place of what was not
// used for the longest time.
func (c *Cache[V]) Add(key string, value V, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries.Remove(key)
	c.entries.Add(key, sized[V]{value, bytes + bytesPerEntry})
	c.bytes += bytes + bytesPerEntry
	for c.bytes > c.limit {
		c.entries.RemoveOldest()
	}
}

// Bytes is how much the entries take.
func (c *Cache[V]) Bytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}
