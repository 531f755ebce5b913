package graph

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Impatient makes the scripted input one that cannot wait.
func (c *scriptConfig) Impatient() bool { return c.world.impatient }

const spooling = `
shutdown_timeout: 5s
inputs: {in: {type: script}}
parsers: {words: {type: words}}
outputs: {x: {type: memory, queue: 64KiB, spool: %s, concurrency: %d}}
`

// TestWhatCannotWaitIsSpooled fills the spool while the destination is away,
// and empties it in later runs with fewer lanes and without a size.
func TestWhatCannotWaitIsSpooled(t *testing.T) {
	dir, w := t.TempDir(), newWorld()
	w.impatient, w.away["x"] = true, true
	var want []string
	for i := range 8 {
		for k := range 400 {
			line := fmt.Sprintf("info %0500d", 1000*i+k)
			w.sources[fmt.Sprint("source ", i)] = append(w.sources[fmt.Sprint("source ", i)], line)
			want = append(want, line)
		}
	}
	run := func(size string, lanes int) Counts {
		var c Counts
		synctest.Test(t, func(t *testing.T) {
			g := w.build(t, dir, fmt.Sprintf(spooling, size, lanes))
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			if err := g.Run(ctx); err != nil {
				t.Error(err)
			}
			c = g.Counts()
		})
		return c
	}
	if c := run("16MiB", 3); c.Read != uint64(len(want)) || c.Spooled < 2800 || c.Delivered != 0 {
		t.Fatalf("with a destination that is away: %+v", c)
	}
	w.away["x"] = false
	first := run("0", 2)
	if first.Restored < 2800 {
		t.Errorf("in the run after it: %+v", first)
	}
	if c := run("16MiB", 2); c.Read != 0 || c.Restored != 0 {
		t.Errorf("a third run has something left: %+v", c)
	}
	var got []string
	for _, stored := range w.stored["x"] {
		got = append(got, stored[len(stored)-len(want[0]):])
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d records are stored, %d of them different, want %d", len(got), len(slices.Compact(got)), len(want))
	}
	if damaged, _ := filepath.Glob(filepath.Join(dir, "spool", "x", "*", "*.damaged")); len(damaged) > 0 {
		t.Errorf("damaged: %v", damaged)
	}
}

func TestNoSizeIsNoSpool(t *testing.T) {
	dir, w := t.TempDir(), newWorld()
	w.impatient, w.away["x"] = true, true
	for k := range 1000 {
		w.sources["a"] = append(w.sources["a"], fmt.Sprintf("info %0500d", k))
	}
	synctest.Test(t, func(t *testing.T) {
		g := w.build(t, dir, fmt.Sprintf(spooling, "0", 1))
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
		if c := g.Counts(); c.Spooled != 0 || c.Read == 1000 {
			t.Errorf("counts: %+v", c)
		}
	})
	if files, _ := filepath.Glob(filepath.Join(dir, "spool", "x", "0", "*")); len(files) > 0 {
		if info, err := os.Stat(files[0]); err == nil && info.Size() > 1024 {
			t.Errorf("there are %d bytes in %s", info.Size(), files[0])
		}
	}
}
