package main

import (
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// cacheShare is the part of the memory that the cache of the engine takes by
	// default. The heap grows to five times what is in use (gcPercent), so that a full
	// cache makes the server take up to five times as much.
	cacheShare = 20
	// entryBytes is what a member with some grants, and a name, take in the cache
	// (docs/performance.md).
	entryBytes = 600
	// leastCacheEntries take some 5 MB.
	leastCacheEntries = 10_000
)

// defaultCacheEntries returns how many entries the engine's cache has unless the
// operator says otherwise.
func defaultCacheEntries() int {
	return max(leastCacheEntries, int(memory()/cacheShare/entryBytes))
}

// memory returns how many bytes this process can use: GOMEMLIMIT, the limit of the
// control group, or the memory of the machine, whichever is the least.
func memory() uint64 {
	least := uint64(debug.SetMemoryLimit(-1)) // reads the limit
	for _, limit := range []memlimit.Provider{memlimit.FromCgroup, memlimit.FromSystem} {
		if bytes, err := limit(); err == nil {
			least = min(least, bytes)
		}
	}
	if least == math.MaxInt64 {
		return 0 // unknown
	}
	return least
}
