package main

import (
	"runtime/debug"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTuneMemory(t *testing.T) {
	const usual = 100
	defer debug.SetGCPercent(debug.SetGCPercent(usual))
	percent := func() int {
		now := debug.SetGCPercent(usual)
		debug.SetGCPercent(now)
		return now
	}
	for _, c := range []struct {
		name, value string
		want        int
	}{
		{"PATH", "/bin", heapGrowth},
		{"GOGC", "", heapGrowth},
		{"GOGC", "50", usual},
		{"GOMEMLIMIT", "1GiB", usual},
	} {
		restore := tuneMemory(func(name string) (string, bool) {
			if name == c.name {
				return c.value, true
			}
			return "", false
		})
		if got := percent(); got != c.want {
			t.Errorf("with %s=%s the heap grows by %d percent, want %d", c.name, c.value, got, c.want)
		}
		if restore(); percent() != usual {
			t.Errorf("with %s=%s the limit is not restored", c.name, c.value)
		}
	}
}

func TestALargeHeapMayGrowByMore(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, heapGrowth}, {heapFloor, heapGrowth}, {largeHeap - 1, heapGrowth}, {largeHeap, largeHeapGrowth},
	} {
		if got := growthOf(c.live); got != c.want {
			t.Errorf("a heap of %d bytes may grow by %d percent, want %d", c.live, got, c.want)
		}
	}
}

func TestReleaseMemoryWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var read, releases atomic.Uint64
		defer releaseMemoryWhenIdle(read.Load, func() { releases.Add(1) })()
		later := func(reads, want uint64, when string) {
			t.Helper()
			read.Add(reads)
			time.Sleep(idleCheckInterval)
			if synctest.Wait(); releases.Load() != want {
				t.Errorf("%s: %d releases, want %d", when, releases.Load(), want)
			}
		}
		time.Sleep(time.Second)
		later(0, 0, "nothing was ever read")
		later(5, 0, "something was read")
		later(1, 0, "and more")
		later(0, 1, "nothing more")
		later(0, 1, "once is enough")
		later(1, 1, "a line")
		later(0, 2, "and nothing after it")
	})
}
