package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"
)

// By default the heap may double before it is collected. Most of an agent's is buffers, which cost
// nothing to mark, so less will do; but a small heap would then be collected all the time. So it
// may grow as if it were larger by heapFloor: by 15 percent of its own and 3.6 MiB.
const (
	heapGrowth = 15 // percent
	heapFloor  = 24 << 20
)

// tuneMemory applies these limits, unless the user has set others, until restore is called.
func tuneMemory(env func(string) (string, bool)) (restore func()) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if value, _ := env(name); value != "" {
			return func() {}
		}
	}
	floor := make([]byte, heapFloor) // never written to, so it counts without taking memory
	before := debug.SetGCPercent(heapGrowth)
	return func() {
		debug.SetGCPercent(before)
		runtime.KeepAlive(floor)
	}
}

const idleCheckInterval = 5 * time.Second

// releaseMemoryWhenIdle calls release once whenever nothing was read for an interval after
// something was, until stop is called. An idle program would otherwise keep what a start with
// thousands of files or a burst took.
func releaseMemoryWhenIdle(read func() uint64, release func()) (stop func()) {
	return inBackground(func(ctx context.Context) {
		tick := time.NewTicker(idleCheckInterval)
		defer tick.Stop()
		var last, released uint64
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			now := read()
			if now == last && now != released {
				release()
				released = now
			}
			last = now
		}
	})
}
