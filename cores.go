package main

import (
	"context"
	"os"
	"runtime"
	"time"
)

// shareCores lets other requests go on beside work that keeps one of Go's processors busy
// for many milliseconds: passwords that are hashed, and large requests. Meanwhile there are
// two of them for each core, so that the kernel shares the cores, at once; Go's scheduler
// would do so every 10 ms. It costs other requests some time, and so it ends when there was
// no such work for a second. The function long returns how much of it has begun so far.
func shareCores(ctx context.Context, long func() uint64) {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	defer runtime.SetDefaultGOMAXPROCS()
	const often, rest = 50 * time.Millisecond, time.Second
	cores := runtime.GOMAXPROCS(0)
	ticker := time.NewTicker(often)
	defer ticker.Stop()
	var begun uint64
	var last time.Time
	for shared := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		if n := long(); n != begun {
			begun, last = n, now
		}
		switch busy := now.Sub(last) < rest; {
		case busy && !shared:
			runtime.GOMAXPROCS(2 * cores)
			shared = true
		case !busy && shared:
			runtime.SetDefaultGOMAXPROCS()
			shared = false
		}
	}
}
