package graph

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// A store is a destination that takes its time, loses answers, rejects, and can be asked.
type store struct {
	mu       sync.Mutex
	rnd      *rand.Rand
	calm     bool
	away     map[string]bool
	held     map[string][]string // items in the order of arrival, by output
	rejected map[string]bool
	failed   map[string]bool // records, by output, that were the first of a request
}

func newStore(seed uint64) *store {
	return &store{rnd: rand.New(rand.NewPCG(seed, 3)), away: map[string]bool{}, held: map[string][]string{},
		rejected: map[string]bool{}, failed: map[string]bool{}}
}

func (s *store) spec() pipeline.Spec {
	return pipeline.Spec{Kind: pipeline.KindOutput, Type: "store", New: func() any { return &storeConfig{store: s} }}
}

// count returns how many items an output has stored.
func (s *store) count(output string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held[output])
}

// below returns a random number of milliseconds.
func (s *store) below(n int) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.rnd.IntN(n)) * time.Millisecond
}

type storeConfig struct {
	store *store
	name  string

	Index string `yaml:"index"`
	Bad   bool   `yaml:"bad"` // it cannot be made
}

func (c *storeConfig) Output(env pipeline.Env) (pipeline.Output, error) {
	if c.Bad {
		return nil, errors.New("this store cannot be made")
	}
	o := *c
	o.name = env.Name
	return &o, nil
}

func (c *storeConfig) Encoder() pipeline.Encoder               { return c }
func (c *storeConfig) Limits() pipeline.Limits                 { return pipeline.Limits{Records: 5, InOrder: true} }
func (c *storeConfig) Close() error                            { return nil }
func (c *storeConfig) Original(b *pipeline.Body, i int) []byte { return b.Item(i) }
func (c *storeConfig) Target() []byte                          { return []byte(c.Index) }

func (c *storeConfig) AtTarget(target []byte) (pipeline.PreviousTarget, error) {
	o := *c
	o.Index = string(target)
	return &o, nil
}

func (c *storeConfig) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	dst.Bytes = fmt.Appendf(dst.Bytes, "%s|%s", c.Index, b.Line(i))
	return 0, nil
}

// Send takes a while before it stores, and a while until it answers.
func (c *storeConfig) Send(ctx context.Context, body *pipeline.Body) error {
	s := c.store
	if err := pause(ctx, s.below(30)); err != nil {
		return err
	}
	if err := c.store.take(c.name, body); err != nil {
		return err
	}
	return pause(ctx, s.below(30))
}

func (s *store) take(output string, body *pipeline.Body) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away[output] {
		return &pipeline.SendError{Outcome: pipeline.Retry, Reason: "away"}
	}
	chance := 12
	if first := output + lineOf(body.Item(0)); s.calm || s.failed[first] {
		chance = 1 << 30 // what fails again and again waits aside, and comes late
	} else {
		s.failed[first] = true
	}
	switch c := s.rnd.IntN(chance); {
	case c == 0:
		return &pipeline.SendError{Outcome: pipeline.Retry, Reason: "busy"}
	case c == 1 && len(body.Items) > 1:
		return &pipeline.SendError{Outcome: pipeline.Split, Reason: "too large"}
	case c == 2:
		i := s.rnd.IntN(len(body.Items))
		s.rejected[output+lineOf(body.Item(i))] = true
	}
	var items []pipeline.ItemError
	for i := range body.Items {
		if s.rejected[output+lineOf(body.Item(i))] {
			items = append(items, pipeline.ItemError{Index: i, Outcome: pipeline.Reject, Reason: "bad"})
			continue
		}
		s.held[output] = append(s.held[output], string(body.Item(i)))
	}
	if s.rnd.IntN(chance) == 3 {
		return &pipeline.SendError{Outcome: pipeline.Retry, Uncertain: true, Reason: "the answer was lost"}
	}
	if items != nil {
		return &pipeline.SendError{Items: items}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lineOf returns the line of an item.
func lineOf(item []byte) string {
	_, line, _ := strings.Cut(string(item), "|")
	return line
}

func (c *storeConfig) Stored(ctx context.Context, body *pipeline.Body, stored []bool) error {
	if err := pause(ctx, c.store.below(20)); err != nil {
		return err
	}
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away[c.name] {
		return &pipeline.SendError{Outcome: pipeline.Retry, Reason: "away"}
	}
	for i := range body.Items {
		stored[i] = slices.Contains(s.held[c.name], string(body.Item(i)))
	}
	return nil
}

// load reads a config of a world in a folder.
func (w *world) load(t *testing.T, dir, yaml string) *config.Config {
	t.Helper()
	cfg, err := config.Loader{Components: w.specs()}.Load("test.yml", []byte("data_dir: "+dir+"\n"+yaml))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// buildAll makes the graphs of a config.
func (w *world) buildAll(t *testing.T, metrics prometheus.Registerer, cfg *config.Config) *Graphs {
	t.Helper()
	g, err := BuildAll(Options{
		Config: cfg, Log: slog.New(slog.DiscardHandler), Metrics: metrics,
		Health: func(pipeline.Kind, string) func(error) { return func(error) {} },
		Vital:  func(string) func(error) { return func(error) {} },
		Found:  func(_, _ string) {}, Now: w.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// islandsAtRandom is a config of two islands. Of one of them it changes with chance how it works,
// and never what comes out; the other stays as it is.
func islandsAtRandom(rnd *rand.Rand) string {
	return fmt.Sprintf(`
shutdown_timeout: %ds
inputs:
  in: {type: script, labels: {run: "%d"}}
  other: {type: script}
parsers: {words: {type: words}, none: {type: none}}
outputs:
  x: {type: store, index: %s, queue_size: 64KiB, concurrency: %d}
  y: {type: store, index: y, queue_size: 64KiB, spool_size: %s, retry: {max_backoff: 2s}}
  still: {type: store, index: s}
pipelines:
  parsed: {inputs: [in], parsers: [words], outputs: [x, y]}
  raw: {inputs: [other], parsers: [none], outputs: [still]}
`, 1+rnd.IntN(20), rnd.IntN(3), []string{"a", "b"}[rnd.IntN(2)], 1+rnd.IntN(4), []string{"0", "1MiB"}[rnd.IntN(2)])
}

// TestReloadsAtRandom reloads the config again and again while destinations are slow, away, lose
// answers and reject, and restarts the program now and then. In the end each record is at each of
// its outputs once, or was rejected, in the order of its source; the account is closed, counters
// have never gone back, and an island that stays was left alone.
func TestReloadsAtRandom(t *testing.T) {
	reloads := 0
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { reloads += reloadsAtRandom(t, seed) })
	}
	if reloads < 30 {
		t.Errorf("only %d reloads went through", reloads)
	}
}

func reloadsAtRandom(t *testing.T, seed uint64) (reloads int) {
	rnd := rand.New(rand.NewPCG(seed, 17))
	dir, w, s := t.TempDir(), newWorld(), newStore(seed)
	w.more = []pipeline.Spec{s.spec()}
	w.ephemeral, w.endless = rnd.IntN(3) == 0, true
	padding := strings.Repeat(".", 400)
	for i := range 8 {
		key := fmt.Sprint("s", i)
		for k := range 100 + rnd.IntN(300) {
			w.sources[key] = append(w.sources[key], fmt.Sprintf("info %s %s/%04d", padding, key, k))
		}
	}
	for range 2 {
		synctest.Test(t, func(t *testing.T) { reloads += w.reloadedRun(t, dir, s, rnd, false) })
	}
	s.calm = true
	synctest.Test(t, func(t *testing.T) { reloads += w.reloadedRun(t, dir, s, rnd, true) })
	s.check(t, w)
	return reloads
}

// reloadedRun is one run of the program with some reloads; the last one ends when all is delivered.
func (w *world) reloadedRun(t *testing.T, dir string, s *store, rnd *rand.Rand, last bool) (reloads int) {
	metrics := prometheus.NewRegistry()
	g := w.buildAll(t, metrics, w.load(t, dir, islandsAtRandom(rnd)))
	still := g.partOf("still")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	watched := counters{}
	for range 5 {
		s.mu.Lock()
		s.away[[]string{"x", "y"}[rnd.IntN(2)]] = rnd.IntN(2) == 0 && !s.calm
		s.mu.Unlock()
		time.Sleep(time.Duration(rnd.IntN(4000)) * time.Millisecond)
		watched.watch(t, metrics)
		changes, err := g.Reload(ctx, w.load(t, dir, islandsAtRandom(rnd)))
		if err != nil {
			t.Fatal(err)
		}
		watched.watch(t, metrics)
		if len(changes.Restarted) > 0 {
			reloads++
		}
	}
	if g.partOf("still") != still {
		t.Error("an island that has not changed was restarted")
	}
	if last {
		s.mu.Lock()
		clear(s.away)
		s.mu.Unlock()
		for began := time.Now(); time.Since(began) < time.Hour && g.Counts().Pending() > 0; {
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		watched.watch(t, metrics)
		if c := g.Counts(); c.Pending() != 0 || c.Due+c.Restored != c.Delivered+c.Rejected+c.Filtered+c.Skipped+
			c.Lost+c.Left {
			t.Errorf("the account is open: %d pending of %+v", c.Pending(), c)
		}
		checkStatus(t, g.Status())
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return reloads
}

// partOf returns the part that has an output.
func (g *Graphs) partOf(output string) *part {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.IndexFunc(g.parts, func(p *part) bool { return slices.Contains(outputNames(p.Config), output) })
	return g.parts[i]
}

// checkStatus holds the parts of an account against each other when all is done.
func checkStatus(t *testing.T, s Status) {
	t.Helper()
	for _, o := range s.Outputs {
		if o.Taken != o.Delivered+o.Rejected+o.Filtered+o.Skipped+o.Lost+o.Left || o.InFlight != 0 {
			t.Errorf("the account of output %s is open: %+v", o.Name, o.Counts)
		}
	}
	for _, in := range s.Inputs {
		if in.InFlight != 0 {
			t.Errorf("input %s still has %d records in flight", in.Name, in.InFlight)
		}
	}
}

// counters are the values of all counters when they were last looked at.
type counters map[string]float64

// watch looks whether a counter has gone back, or is not there any more.
func (c counters) watch(t *testing.T, from prometheus.Gatherer) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Error(err)
	}
	now := counters{}
	for _, f := range families {
		for _, series := range f.Metric {
			if series.Counter != nil {
				now[f.GetName()+" "+labelsOf(series)] = series.Counter.GetValue()
			}
		}
	}
	for name, was := range c {
		if n, there := now[name]; !there || n < was {
			t.Errorf("%q was %v, and is %v (there: %v)", name, was, n, there)
		}
	}
	clear(c)
	for name, n := range now {
		c[name] = n
	}
}

// check looks whether each record is at each output once, or rejected, in order.
func (s *store) check(t *testing.T, w *world) {
	t.Helper()
	for _, output := range []string{"x", "y", "still"} {
		times, last := map[string]int{}, map[string]string{}
		for _, item := range s.held[output] {
			line := lineOf([]byte(item))
			times[line]++
			key, number, _ := strings.Cut(line[strings.LastIndexByte(line, ' ')+1:], "/")
			// What a spool has of an earlier run comes before what that had in memory.
			if number <= last[key] && !w.ephemeral {
				t.Errorf("%s has %s of %s after %s", output, number, key, last[key])
			}
			last[key] = number
		}
		for _, lines := range w.sources {
			for _, line := range lines {
				if n := times[line]; n != 1 && !(n == 0 && s.rejected[output+line]) {
					t.Errorf("%s has %q %d times", output, line[len(line)-8:], n)
				}
			}
		}
	}
}

// TestAReloadThatFails leaves what runs as it is.
func TestAReloadThatFails(t *testing.T) {
	const before = `
inputs: {in: {type: script}}
parsers: {words: {type: words}}
outputs: {x: {type: store, index: a}}
`
	for _, tt := range []struct{ name, yaml, folder, want string }{
		{"an output that cannot be made", strings.Replace(before, "index: a", "bad: true", 1), "", "cannot be made"},
		{"another data_dir", before, "elsewhere", "data_dir has changed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, w, s := t.TempDir(), newWorld(), newStore(1)
			w.more, w.endless, s.calm = []pipeline.Spec{s.spec()}, true, true
			w.sources["a"] = []string{"info a/1", "info a/2"}
			synctest.Test(t, func(t *testing.T) {
				g := w.buildAll(t, prometheus.NewRegistry(), w.load(t, dir, before))
				was := g.partOf("x")
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- g.Run(ctx) }()
				_, err := g.Reload(ctx, w.load(t, dir+tt.folder, tt.yaml))
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("the error is %v, want %q", err, tt.want)
				}
				if g.partOf("x") != was {
					t.Error("what ran was stopped")
				}
				time.Sleep(time.Second)
				if s.count("x") != 2 {
					t.Errorf("%d of 2 records have arrived", s.count("x"))
				}
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestAnOutputThatGoesLeavesItsRecords: what was in flight to an output that a reload takes out of
// the config is not counted as pending for ever, and what others have of it goes on.
func TestAnOutputThatGoesLeavesItsRecords(t *testing.T) {
	const both = `
inputs: {in: {type: script}}
parsers: {words: {type: words}}
outputs: {x: {type: store, index: a}, y: {type: store, index: b}}
`
	dir, w, s := t.TempDir(), newWorld(), newStore(1)
	w.more, w.endless, s.calm = []pipeline.Spec{s.spec()}, true, true
	s.away["y"] = true
	for k := range 100 {
		w.sources["a"] = append(w.sources["a"], fmt.Sprintf("info a/%04d", k))
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		g := w.buildAll(t, prometheus.NewRegistry(), w.load(t, dir, both))
		g.Log = slog.New(slog.NewTextHandler(&log, nil))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- g.Run(ctx) }()
		time.Sleep(10 * time.Second)
		changes, err := g.Reload(ctx, w.load(t, dir, strings.Replace(both, ", y: {type: store, index: b}", "", 1)))
		if err != nil || !slices.Equal(changes.Removed, []string{"output y"}) {
			t.Errorf("changes %+v, error %v", changes, err)
		}
		time.Sleep(10 * time.Second)
		if c := g.Counts(); c.Pending() != 0 || c.Left != 100 || s.count("x") != 100 {
			t.Errorf("%d pending, %d at the output that stays: %+v", c.Pending(), s.count("x"), c)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A stream is an input that can be read only once: lines come now and then, and never again.
type stream struct {
	store *store
	lines int

	Setting string `yaml:"setting"`
}

func (s *stream) Input(pipeline.Env) (pipeline.Input, error) { return s, nil }

// Run sends lines in batches until all are sent, and then waits for the end.
func (s *stream) Run(ctx context.Context, feed pipeline.Feed) error {
	src, err := feed.Open(0, "stream", nil)
	if err != nil {
		return err
	}
	defer feed.Close(src, true)
	pos := uint64(0)
	for n := 0; n < s.lines; n += 3 {
		if pause(ctx, s.store.below(40)) != nil {
			return nil
		}
		b := feed.Batch(src)
		b.From, b.Cursor = pos, append(b.Cursor, 1)
		for i := n; i < min(n+3, s.lines); i++ {
			line := fmt.Sprintf("info %s stream/%04d", strings.Repeat(".", 400), i)
			b.Add(pos, 0, b.PutString(line))
			pos += uint64(len(line)) + 1
		}
		b.To = pos
		if feed.Send(ctx, b) != nil {
			return nil
		}
	}
	<-ctx.Done()
	return nil
}

// TestReloadsOfWhatCanBeReadOnlyOnce: a reload neither stops the input nor loses a line of it,
// while destinations are away.
func TestReloadsOfWhatCanBeReadOnlyOnce(t *testing.T) {
	const yaml = `
inputs: {in: {type: stream, labels: {run: "%d"}}}
parsers: {words: {type: words}}
outputs:
  x: {type: store, index: a, queue_size: 64KiB, concurrency: %d, retry: {max_backoff: 2s}}
  y: {type: store, index: b, queue_size: 64KiB, retry: {max_backoff: 2s}}
`
	const lines = 1500
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 23))
			w, s := newWorld(), newStore(seed)
			w.more = []pipeline.Spec{s.spec(), {Kind: pipeline.KindInput, Type: "stream",
				Traits: pipeline.Traits{Ephemeral: true}, New: func() any { return &stream{store: s, lines: lines} }}}
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				metrics, watched := prometheus.NewRegistry(), counters{}
				g := w.buildAll(t, metrics, w.load(t, dir, fmt.Sprintf(yaml, 0, 1)))
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- g.Run(ctx) }()
				for i := range 8 {
					s.mu.Lock()
					s.away[[]string{"x", "y"}[rnd.IntN(2)]] = rnd.IntN(2) == 0
					s.mu.Unlock()
					time.Sleep(time.Duration(rnd.IntN(2000)) * time.Millisecond)
					watched.watch(t, metrics)
					_, err := g.Reload(ctx, w.load(t, dir, fmt.Sprintf(yaml, i+1, 1+rnd.IntN(4))))
					if err != nil {
						t.Fatal(err)
					}
				}
				s.mu.Lock()
				clear(s.away)
				s.calm = true
				s.mu.Unlock()
				time.Sleep(5 * time.Minute)
				watched.watch(t, metrics)
				if c := g.Counts(); c.Pending() != 0 || c.Read != lines {
					t.Errorf("%d were read, and %d are pending: %+v", c.Read, c.Pending(), c)
				}
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
			for _, output := range []string{"x", "y"} {
				times := map[string]int{}
				for _, item := range s.held[output] {
					times[lineOf([]byte(item))]++
				}
				for i := range lines {
					line := fmt.Sprintf("info %s stream/%04d", strings.Repeat(".", 400), i)
					if n := times[line]; n != 1 && !(n == 0 && s.rejected[output+line]) {
						t.Errorf("%s has line %d %d times", output, i, n)
					}
				}
			}
		})
	}
}

// TestWhatCanBeReadOnlyOnceStays: a reload that would stop such an input is refused, and so is one
// where its lines might find no room.
func TestWhatCanBeReadOnlyOnceStays(t *testing.T) {
	const yaml = `
inputs: {in: {type: stream}}
parsers: {words: {type: words}}
outputs: {x: {type: store, index: a}}
`
	for _, tt := range []struct{ name, before, after, want string }{
		{"another setting", yaml, strings.Replace(yaml, "stream}", "stream, setting: b}", 1), "has changed"},
		{"gone", yaml, strings.Replace(yaml, "stream}", "script}", 1), "has changed"},
		{"no room", strings.Replace(yaml, "index: a", "index: a, spool_size: 1MiB", 1), yaml, "no room"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, s := newWorld(), newStore(1)
			s.calm = true
			w.more = []pipeline.Spec{s.spec(), {Kind: pipeline.KindInput, Type: "stream",
				New: func() any { return &stream{store: s, lines: 30} }}}
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				g := w.buildAll(t, prometheus.NewRegistry(), w.load(t, dir, tt.before))
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- g.Run(ctx) }()
				time.Sleep(100 * time.Millisecond)
				_, err := g.Reload(ctx, w.load(t, dir, tt.after))
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("the error is %v", err)
				}
				time.Sleep(time.Minute)
				if s.count("x") != 30 {
					t.Errorf("%d of 30 lines have arrived", s.count("x"))
				}
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
