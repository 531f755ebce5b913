package graph

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/agent/spool"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

const spooling = `
shutdown_timeout: 5s
inputs: {in: {type: script}}
parsers: {words: {type: words}}
outputs: {x: {type: memory, queue_size: 64KiB, spool_size: %s, concurrency: %d}}
`

// TestEphemeralSourcesAreSpooled fills the spool while the destination is away, and empties it in
// later runs with fewer lanes and without a size.
func TestEphemeralSourcesAreSpooled(t *testing.T) {
	dir, w := t.TempDir(), newWorld()
	w.ephemeral, w.away["x"] = true, true
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
	if damaged, _ := filepath.Glob(filepath.Join(dir, "spool", "x", "memory", "*", "*.damaged")); len(damaged) > 0 {
		t.Errorf("damaged: %v", damaged)
	}
}

// TestAnInputThatHurriesIsSpooled: what waits for a destination goes to disk within a second, and
// takes room there.
func TestAnInputThatHurriesIsSpooled(t *testing.T) {
	dir, w := t.TempDir(), newWorld()
	w.away["x"] = true
	random := rand.NewChaCha8([32]byte{})
	for range 4000 {
		w.sources["a"] = append(w.sources["a"], "info "+noise(random, 500))
	}
	synctest.Test(t, func(t *testing.T) {
		g := w.build(t, dir, fmt.Sprintf(spooling, "16MiB", 1))
		f := g.inputs[0].feed
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		time.AfterFunc(2*time.Second, func() {
			if c := g.Counts(); c.Spooled > 0 || f.SpoolRoom() < 16<<20-1<<10 {
				t.Errorf("before it hurries: %+v, room for %d bytes", c, f.SpoolRoom())
			}
			f.Hurry(true)
		})
		time.AfterFunc(4*time.Second, func() {
			if c := g.Counts(); c.Read != 4000 || c.Spooled < 3000 || f.SpoolRoom() > 15<<20 {
				t.Errorf("two seconds after: %+v, room for %d bytes", c, f.SpoolRoom())
			}
		})
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestNoSizeMeansNoSpool(t *testing.T) {
	dir, w := t.TempDir(), newWorld()
	w.ephemeral, w.away["x"] = true, true
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
	if files, _ := filepath.Glob(filepath.Join(dir, "spool", "x", "memory", "0", "*")); len(files) > 0 {
		if info, err := os.Stat(files[0]); err == nil && info.Size() > 1024 {
			t.Errorf("there are %d bytes in %s", info.Size(), files[0])
		}
	}
}

// TestLeftoversAreReported: what waits for an output that is no more in the config is not forgotten
// silently, and is delivered when it is back.
func TestLeftoversAreReported(t *testing.T) {
	dir, w := t.TempDir(), newWorld()
	w.ephemeral, w.away["x"] = true, true
	for k := range 1000 {
		w.sources["a"] = append(w.sources["a"], fmt.Sprintf("info %0500d", k))
	}
	run := func(yaml string) (said string, c Counts) {
		synctest.Test(t, func(t *testing.T) {
			g := w.build(t, dir, yaml)
			var log bytes.Buffer
			g.Log = slog.New(slog.NewTextHandler(&log, nil))
			warnOfLeftovers(g.Config, g.Log)
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			if err := g.Run(ctx); err != nil {
				t.Error(err)
			}
			said, c = log.String(), g.Counts()
		})
		return said, c
	}
	here := fmt.Sprintf(spooling, "16MiB", 1)
	if said, c := run(here); said != "" || c.Spooled == 0 {
		t.Fatalf("%+v; it says %s", c, said)
	}
	file := deliver.NewDeadLetterFile(filepath.Join(dir, config.DeadLetterFolder), "x")
	if err := file.Write([]deliver.DeadLetter{{Record: "a"}}); err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct{ name, kind string }{{"y", "memory"}, {"x", "other"}} {
		said, _ := run(strings.Replace(here, "x: {type: memory", of.name+": {type: "+of.kind, 1))
		deadLetters := strings.Contains(said, filepath.Join(dir, config.DeadLetterFolder, "x.jsonl"))
		if !strings.Contains(said, filepath.Join(dir, "spool", "x", "memory")) || deadLetters != (of.name == "y") {
			t.Errorf("with %v it says %s", of, said)
		}
	}
	w.away["x"] = false
	if _, c := run(here); c.Restored == 0 || len(w.stored["x"]) != int(c.Delivered) {
		t.Errorf("when it is back: %+v, %d stored", c, len(w.stored["x"]))
	}
}

// TestUnreadableBodyIsSetAside, and what comes after it is delivered.
func TestUnreadableBodyIsSetAside(t *testing.T) {
	dir, w := t.TempDir(), newWorld()
	lane := filepath.Join(dir, "spool", "x", "memory", "0")
	s, err := spool.Open(disk.OS{}, lane, spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	good := new(spool.BodyCoder).Append(nil, &deliver.Body{
		Body: pipeline.Body{Bytes: []byte("good"), Items: []pipeline.Item{{End: 4}}},
		Runs: deliver.Runs{{Source: event.NewSource(1, "in", "a", nil), To: 1}},
	})
	for _, record := range []string{"\xffno body", string(good), "nor this"} {
		if err := s.Append([]byte(record)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			g := w.build(t, dir, fmt.Sprintf(spooling, "16MiB", 1))
			if err := g.Run(t.Context()); err != nil {
				t.Error(err)
			}
		})
		if got := w.stored["x"]; !slices.Equal(got, []string{"good"}) {
			t.Errorf("stored: %q", got)
		}
	}
	kept, _ := filepath.Glob(filepath.Join(lane, "*"))
	if len(kept) != 2 || filepath.Ext(kept[0]) != ".damaged" || filepath.Ext(kept[1]) != ".damaged" {
		t.Errorf("left: %v", kept)
	}
}
