package graph

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// readersConfig reads the lines of the world as files are read: two readers take the sources in
// turn, and wait where the pipeline does. No line is late but by that.
type readersConfig struct {
	*slowConfig
	mu    sync.Mutex
	queue []*readSource
	all   map[event.SourceID]*readSource
}

type readSource struct {
	src *event.Source
	at  uint64
}

func (c *readersConfig) Input(pipeline.Env) (pipeline.Input, error) { return c, nil }

func (c *readersConfig) Run(ctx context.Context, feed pipeline.Feed) error {
	known := map[string]pipeline.Known{}
	for _, k := range feed.Known() {
		known[k.Key] = k
	}
	c.queue, c.all = nil, map[event.SourceID]*readSource{}
	for _, key := range slices.Sorted(maps.Keys(c.world.sources)) {
		k := known[key]
		src, err := feed.Open(k.ID, key, nil)
		if err != nil {
			return err
		}
		s := &readSource{src: src, at: k.Cursor.Pos}
		c.queue, c.all[src.ID] = append(c.queue, s), s
	}
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() { c.serve(ctx, feed) })
	}
	readers.Wait()
	return nil
}

func (c *readersConfig) serve(ctx context.Context, feed pipeline.Feed) {
	for {
		s, b := c.take(feed)
		if s == nil {
			return
		}
		if feed.Send(ctx, b) != nil {
			return
		}
		c.mu.Lock()
		c.queue = append(c.queue, s)
		c.mu.Unlock()
	}
}

// take reads on in the next source; nil if all are read to their ends.
func (c *readersConfig) take(feed pipeline.Feed) (*readSource, *event.Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 {
		s := c.queue[0]
		c.queue = c.queue[1:]
		lines := c.world.sources[s.src.Key]
		if s.at == uint64(len(lines)) {
			c.mu.Unlock() // the worker may ask HeldUpUntil
			feed.Close(s.src, false)
			c.mu.Lock()
			continue
		}
		b := feed.Batch(s.src)
		b.From, b.To = s.at, min(s.at+1+c.world.rnd.Uint64N(7), uint64(len(lines)))
		for i := b.From; i < b.To; i++ {
			b.Add(i, 0, b.PutString(lines[i]))
		}
		b.Cursor = fmt.Appendf(b.Cursor, "at %d", b.To)
		s.at = b.To
		return s, b
	}
	return nil, nil
}

// HeldUpUntil implements pipeline.Lookout.
func (c *readersConfig) HeldUpUntil(src *event.Source) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.all[src.ID]; s != nil && s.at < uint64(len(c.world.sources[src.Key])) {
		return time.Now()
	}
	return time.Time{}
}

// TestNoOutageSplitsARecord: outputs come and go, one at a time and together, for longer than a
// record waits for its lines; the program is stopped and killed meanwhile. Whatever is stored is a
// whole record, the same at every output, with the same time whenever it is stored again.
func TestNoOutageSplitsARecord(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { outagesAtRandom(t, rand.New(rand.NewPCG(seed, 31))) })
	}
}

func outagesAtRandom(t *testing.T, rnd *rand.Rand) {
	w, dir := slowWorldAtRandom(rnd), t.TempDir()
	for i := range w.more {
		if w.more[i].Type == "slow" {
			w.more[i].New = func() any { return &readersConfig{slowConfig: &slowConfig{w}} }
		}
	}
	for run := range 5 {
		last := run == 4
		next, stored, requests := t.TempDir(), map[string][]string(nil), rnd.IntN(120)
		if last {
			requests = -1
		}
		lost := rnd.IntN(2) == 0
		w.answer = func(output string, lines []string) error {
			if requests--; requests == 0 && run%2 == 0 {
				stored = copyOf(w.stored)
				if lost { // the answer was
					stored[output] = append(stored[output], lines...)
				}
				copyDir(t, next, dir)
			}
			return nil
		}
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			if !last {
				time.AfterFunc(time.Duration(rnd.IntN(60))*time.Second, stop)
			}
			g := w.buildWithRests(t, dir, joining)
			var coming sync.WaitGroup
			destinations := rand.New(rand.NewPCG(w.rnd.Uint64(), 1))
			coming.Go(func() { w.comeAndGo(ctx, destinations) })
			if err := g.Run(ctx); err != nil {
				t.Fatal(err)
			}
			stop()
			coming.Wait()
			joinedCloses(t, g)
		})
		if stored != nil {
			dir, w.stored = next, stored
		}
	}
	limits := map[string]pipeline.JoinLimits{"x": {Lines: 9, Bytes: 1000}, "z": {Lines: 3, Bytes: 40}}
	limits["y"] = limits["x"]
	for output := range w.stored {
		w.checkJoined(t, output, true)
		w.checkWhole(t, output, limits[output])
	}
}

// comeAndGo has the outputs be away, each for itself, for up to some seconds at a time.
func (w *slowWorld) comeAndGo(ctx context.Context, rnd *rand.Rand) {
	for ctx.Err() == nil {
		w.mu.Lock()
		for _, output := range []string{"x", "y", "z"} {
			w.away[output] = ctx.Err() == nil && rnd.IntN(3) > 0
		}
		wait := time.Duration(1+rnd.IntN(8000)) * time.Millisecond
		w.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.away)
}

// checkWhole: what is stored is what the lines are joined to when they come without any pause.
func (w *slowWorld) checkWhole(t *testing.T, output string, limits pipeline.JoinLimits) {
	t.Helper()
	var want []string
	for _, lines := range w.sources {
		j := newTestJoin(limits)
		end := uint64(len(lines))
		b := &event.Batch{To: end}
		for pos, line := range lines {
			b.Add(uint64(pos), 0, b.PutString(line))
		}
		j.joinLines(b)
		for i := range b.Records {
			want = append(want, string(b.Line(i)))
		}
		if rest := (&event.Batch{}); j.pending() {
			j.release(rest, end)
			want = append(want, string(rest.Line(0)))
		}
	}
	var got []string
	for _, stored := range w.stored[output] {
		_, _, line := split(stored)
		got = append(got, line)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("%s: records (-want +got)\n%s", output, diff)
	}
}
