package access

import "sync"

// index numbers ids in the order in which they are first asked for. An id keeps its
// number for as long as the process runs, so that an entry of the cache that was
// made with one catalogue can be used with every later one.
type index[K comparable] struct {
	mu      sync.RWMutex
	numbers map[K]uint32
}

// number returns the number of the id.
func (x *index[K]) number(id K) uint32 {
	x.mu.RLock()
	n, ok := x.numbers[id]
	x.mu.RUnlock()
	if ok {
		return n
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if n, ok := x.numbers[id]; ok {
		return n
	}
	if x.numbers == nil {
		x.numbers = map[K]uint32{}
	}
	n = uint32(len(x.numbers))
	x.numbers[id] = n
	return n
}
