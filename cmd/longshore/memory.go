package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// By default the heap may double before it is collected. Most of an agent's is buffers, which cost
// nothing to mark, so less will do; but a small heap would then be collected all the time. So it
// may grow as if it were larger by heapFloor: by 15 percent of its own and 3.6 MiB. A large heap is
// what is known of very many sources, which is dear to mark: a quarter of what the start with
// 100,000 files costs, and it peaks at a sixth more for it.
const (
	heapGrowth      = 15 // percent
	heapFloor       = 24 << 20
	largeHeap       = 72<<20 + heapFloor
	largeHeapGrowth = 100 // percent
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
	g := &growthLimit{percent: heapGrowth}
	g.afterNextCollection()
	return func() {
		g.end(before)
		runtime.KeepAlive(floor)
	}
}

// A growthLimit follows the size of the heap: after each collection it is set anew.
type growthLimit struct {
	mu      sync.Mutex
	percent int
	ended   bool
}

// afterNextCollection has the limit set when the heap was collected the next time.
func (g *growthLimit) afterNextCollection() {
	runtime.AddCleanup(new([16]byte), (*growthLimit).set, g)
}

func (g *growthLimit) set() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if percent := growthOf(live[0].Value.Uint64()); percent != g.percent {
		g.percent = percent
		debug.SetGCPercent(percent)
	}
	g.afterNextCollection()
}

// growthOf returns by how many percent a heap of this size may grow.
func growthOf(live uint64) int {
	if live < largeHeap {
		return heapGrowth
	}
	return largeHeapGrowth
}

func (g *growthLimit) end(before int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	debug.SetGCPercent(before)
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
