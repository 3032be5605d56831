package main

import (
	"runtime/debug"
	"testing"
)

// The cache takes a share of the memory that the process can use, even if the machine
// has more.
func TestDefaultCacheEntries(t *testing.T) {
	const limit = 1 << 30
	unlimited, before := defaultCacheEntries(), debug.SetMemoryLimit(limit) // of the process: no parallel test
	limited := defaultCacheEntries()
	debug.SetMemoryLimit(before)
	if most := limit / cacheShare / entryBytes; limited > most || limited < leastCacheEntries || unlimited < limited {
		t.Errorf("%d entries in 1 GiB, %d without that limit; want at most %d", limited, unlimited, most)
	}
}
