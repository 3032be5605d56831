package access

import "sync"

// index numbers ids in the order in which they are first met. A number stays
// for as long as the process runs, so that what was numbered under one catalogue
// can be read under every later one.
type index[K comparable] struct {
	mu      sync.RWMutex
	numbers map[K]uint32
}

func (x *index[K]) of(id K) uint32 {
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
