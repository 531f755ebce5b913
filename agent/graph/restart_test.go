package graph

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

const filtered = `
shutdown_timeout: 1s
inputs: {in: {type: script}}
parsers: {words: {type: words}, none: {type: none}}
outputs:
  x: {type: memory, concurrency: 3}
  y: {type: memory, filter: {level: warn}, queue_size: 64KiB}
  z: {type: memory, filter: {labels: {key: "*1"}}}
pipelines:
  parsed: {inputs: [in], parsers: [words], outputs: [x, y]}
  raw: {inputs: [in], parsers: [none], outputs: [x, z]}
`

// An absence is that of an output that comes and goes: it is let go, catches up and joins again.
type absence struct {
	output string
	rnd    *rand.Rand
	of     *output // in the run of now
	gone   bool
	until  time.Time
	behind int64 // records
	reread int64 // that it has read by itself, having been let go
}

func newAbsence(output string, rnd *rand.Rand) *absence {
	return &absence{output: output, rnd: rand.New(rand.NewPCG(rnd.Uint64(), 5))}
}

// begin begins with another run.
func (a *absence) begin(g *Graph) {
	i := slices.IndexFunc(g.outputs, func(o *output) bool { return o.name == a.output })
	a.of, a.gone, a.behind, a.until = g.outputs[i], false, 0, time.Now()
}

// refuses reports whether an output that is asked for something is away.
func (a *absence) refuses(output string) bool {
	now, behind := time.Now(), a.of.deliverer.Counts().Behind
	a.reread += max(0, a.behind-behind)
	a.behind = behind
	if now.After(a.until) {
		a.gone = !a.gone
		a.until = now.Add(time.Duration(a.rnd.IntN(1500)) * time.Millisecond)
	}
	return a.gone && output == a.output
}

var errAway = &pipeline.SendError{Outcome: pipeline.Retry, Reason: "away"}

// TestRestartsAtRandom stops and starts a graph again and again, in order and in the middle of
// outages, before destinations that are away, reject and ask for smaller requests, of which one
// comes and goes. In the end each record is at each of its outputs once, or among its dead letters,
// in the order of its source.
func TestRestartsAtRandom(t *testing.T) {
	reread := int64(0)
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { reread += restartsAtRandom(t, rand.New(rand.NewPCG(seed, 7))) })
	}
	wantReread(t, reread)
}

// wantReread: a test in which no output was let go and has caught up would prove nothing.
func wantReread(t *testing.T, records int64) {
	t.Helper()
	if records == 0 {
		t.Error("no output was let go and has caught up")
	}
}

func restartsAtRandom(t *testing.T, rnd *rand.Rand) (reread int64) {
	dir, w := t.TempDir(), worldAtRandom(rnd)
	rejected, away := map[string]bool{}, newAbsence([]string{"x", "y"}[rnd.IntN(2)], rnd)
	w.answer = func(output string, lines []string) error {
		return away.answerAtRandom(rnd, rejected, output, lines)
	}
	for range 6 {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), time.Duration(rnd.IntN(6000))*time.Millisecond)
			defer stop()
			g := w.build(t, dir, filtered)
			g.haveLittleRoom()
			away.begin(g)
			if err := g.Run(ctx); err != nil {
				t.Fatal(err)
			}
		})
	}
	w.answer = nil
	synctest.Test(t, func(t *testing.T) {
		g := w.build(t, dir, filtered)
		g.haveLittleRoom()
		if err := g.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		c := g.Counts()
		ended := c.Delivered + c.Rejected + c.Filtered + c.Skipped
		if ended != 4*c.Read+c.Restored || c.Pending() != 0 {
			t.Errorf("%d records were read for 4 routes, and %d ended: %+v", c.Read, ended, c)
		}
	})
	w.check(t, dir, func(got, want int) bool { return got == want })
	w.checkOrder(t, "y")
	w.checkOrder(t, "z")
	return away.reread
}

func worldAtRandom(rnd *rand.Rand) *world {
	w := newWorld()
	for i := range 12 {
		key := fmt.Sprint("s", i)
		for k := range 20 + rnd.IntN(150) {
			level := []string{"info", "warn", "debug", "error", "nothing"}[rnd.IntN(5)]
			w.sources[key] = append(w.sources[key], fmt.Sprintf("%s %s/%03d", level, key, k))
		}
	}
	return w
}

// TestCrashesAtRandom goes on from what was on disk and at the destinations at some moment of a
// run: nothing is lost.
func TestCrashesAtRandom(t *testing.T) {
	reread := int64(0)
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { reread += crashAtRandom(t, rand.New(rand.NewPCG(seed, 11))) })
	}
	wantReread(t, reread)
}

func crashAtRandom(t *testing.T, rnd *rand.Rand) (reread int64) {
	dir, w := t.TempDir(), worldAtRandom(rnd)
	rejected, away := map[string]bool{}, newAbsence([]string{"x", "y"}[rnd.IntN(2)], rnd)
	for range 4 {
		next, stored, requests := t.TempDir(), map[string][]string(nil), rnd.IntN(500)
		w.answer = func(output string, lines []string) error {
			if requests--; requests == 0 {
				stored = copyOf(w.stored)
				copyDir(t, next, dir)
			}
			return away.answerAtRandom(rnd, rejected, output, lines)
		}
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			g := w.build(t, dir, filtered)
			g.haveLittleRoom()
			away.begin(g)
			if err := g.Run(ctx); err != nil {
				t.Fatal(err)
			}
		})
		if stored != nil {
			dir, w.stored = next, stored
		}
	}
	w.answer = nil
	synctest.Test(t, func(t *testing.T) {
		if err := w.build(t, dir, filtered).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	w.check(t, dir, func(got, want int) bool { return got >= want && (got == 0) == (want == 0) })
	return away.reread
}

func copyOf(m map[string][]string) map[string][]string {
	c := map[string][]string{}
	for k, v := range m {
		c[k] = append([]string(nil), v...)
	}
	return c
}

// copyDir copies what is on disk at some moment of a run: the dead letters last, as what they hold
// is on disk before the ledger says that it is done.
func copyDir(t *testing.T, to, from string) {
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Error(err)
	}
	slices.SortStableFunc(entries, func(a, b os.DirEntry) int {
		const last = config.DeadLetterFolder
		return cmp.Compare(strings.Index(a.Name(), last), strings.Index(b.Name(), last))
	})
	for _, e := range entries {
		if err := copyEntry(filepath.Join(to, e.Name()), filepath.Join(from, e.Name()), e.IsDir()); err != nil {
			t.Error(err)
		}
	}
}

func copyEntry(to, from string, folder bool) error {
	if folder {
		return os.CopyFS(to, os.DirFS(from))
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

// answerAtRandom answers for any output. The one that comes and goes has no longer pauses of its
// own.
func (a *absence) answerAtRandom(rnd *rand.Rand, rejected map[string]bool, output string, lines []string) error {
	if a.refuses(output) {
		return errAway
	}
	for _, line := range lines {
		if rejected[output+line] {
			return &pipeline.SendError{Outcome: pipeline.Bisect, Reason: "one is bad"}
		}
	}
	switch rnd.IntN(8) {
	case 0:
		if output == a.output {
			return errAway
		}
		return &pipeline.SendError{Outcome: pipeline.Hold, Reason: "forbidden", RetryAfter: 10 * time.Second}
	case 1, 2:
		return errAway
	case 3:
		return &pipeline.SendError{Outcome: pipeline.Split, Reason: "too large"}
	case 4:
		rejected[output+lines[rnd.IntN(len(lines))]] = true
		return &pipeline.SendError{Outcome: pipeline.Bisect, Reason: "one is bad"}
	}
	return nil
}

// check holds what is stored and the dead letters against the sources.
func (w *world) check(t *testing.T, dir string, good func(got, want int) bool) {
	t.Helper()
	deadLetters := map[string]int{}
	for _, name := range []string{"x", "y", "z"} {
		content, _ := os.ReadFile(filepath.Join(dir, "dead-letters", name+".jsonl"))
		for line := range strings.Lines(string(content)) {
			var l struct{ Record string }
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			deadLetters[name+text(l.Record)]++
		}
	}
	for key, lines := range w.sources {
		for _, line := range lines {
			want := map[string]int{"x": 2}
			if strings.HasPrefix(line, "warn") || strings.HasPrefix(line, "error") {
				want["y"] = 1
			}
			if strings.HasSuffix(key, "1") {
				want["z"] = 1
			}
			for _, name := range []string{"x", "y", "z"} {
				got := deadLetters[name+line]
				for _, s := range w.stored[name] {
					if text(s) == line {
						got++
					}
				}
				if !good(got, want[name]) {
					t.Errorf("%s has %q %d times, want %d", name, line, got, want[name])
				}
			}
		}
	}
}

// checkOrder: the numbers of a source ascend.
func (w *world) checkOrder(t *testing.T, output string) {
	t.Helper()
	last := map[string]string{}
	for _, s := range w.stored[output] {
		_, rest, _ := strings.Cut(text(s), " ")
		key, number, _ := strings.Cut(rest, "/")
		if number <= last[key] {
			t.Errorf("%s has %s of %s after %s", output, number, key, last[key])
		}
		last[key] = number
	}
}

// text returns the line of a stored record.
func text(stored string) string { return stored[strings.LastIndexByte(stored, '|')+1:] }
