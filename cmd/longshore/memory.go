package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"
)

// Go's own pace of garbage collection is to let the heap double. Most of what an agent
// holds is buffers, which cost nothing to mark, so that it can do with less; but a small heap
// would then be collected all the time. So it may grow as if it were larger by heapFloor
// than it is: by 15 percent of its own and 3.6 MiB.
const (
	heapGrowth = 15 // percent
	heapFloor  = 24 << 20
)

// spareMemory sets that pace, unless the user has set another, until the function it
// gives is called.
func spareMemory(env func(string) (string, bool)) (restore func()) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if value, _ := env(name); value != "" {
			return func() {}
		}
	}
	floor := make([]byte, heapFloor) // never written to, it takes no memory, but counts
	before := debug.SetGCPercent(heapGrowth)
	return func() {
		debug.SetGCPercent(before)
		runtime.KeepAlive(floor)
	}
}

// lookForQuiet is how often to look whether anything was read.
const lookForQuiet = 5 * time.Second

// restWhenQuiet calls rest, once, when nothing was read between two looks after something
// was, until the function it gives is called. What a start with thousands of files or a burst
// took would otherwise stay with a program that does nothing.
func restWhenQuiet(read func() uint64, rest func()) (stop func()) {
	return inBackground(func(ctx context.Context) {
		tick := time.NewTicker(lookForQuiet)
		defer tick.Stop()
		var last, rested uint64
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			now := read()
			if now == last && now != rested {
				rest()
				rested = now
			}
			last = now
		}
	})
}
