package main

import (
	"runtime/debug"
	"testing"
)

func TestSpareMemory(t *testing.T) {
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
		restore := spareMemory(func(name string) (string, bool) {
			if name == c.name {
				return c.value, true
			}
			return "", false
		})
		if got := percent(); got != c.want {
			t.Errorf("with %s=%s the heap grows by %d percent, want %d", c.name, c.value, got, c.want)
		}
		if restore(); percent() != usual {
			t.Errorf("with %s=%s the pace is not restored", c.name, c.value)
		}
	}
}
