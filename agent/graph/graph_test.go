package graph

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// world is the outside of a graph under test: the lines of some sources, and what each output has
// stored.
type world struct {
	mu        sync.Mutex
	sources   map[string][]string
	endless   bool
	ephemeral bool
	once      bool                // nothing can be read again
	stored    map[string][]string // by output
	away      map[string]bool
	answer    func(output string, lines []string) error // nil: all is stored
	now       func() time.Time                          // nil: a clock that stands still
	more      []pipeline.Spec
	// unreadable is why a source cannot be read again from a position; nil where all can.
	unreadable func(key string, from uint64) error
	labels     map[string]string // of sources, by their keys: name=value
}

func (w *world) specs() []pipeline.Spec {
	return append([]pipeline.Spec{
		{Kind: pipeline.KindInput, Type: "script", Traits: pipeline.Traits{Ephemeral: w.ephemeral, Rereadable: true},
			New: func() any { return &scriptConfig{world: w} }},
		{Kind: pipeline.KindParser, Type: "words", New: func() any { return &wordsConfig{} }},
		{Kind: pipeline.KindParser, Type: "none", New: func() any { return &noneConfig{} }},
		{Kind: pipeline.KindOutput, Type: "memory", New: func() any { return &memoryConfig{world: w} }},
		{Kind: pipeline.KindOutput, Type: "other", New: func() any { return &memoryConfig{world: w} }},
	}, w.more...)
}

type scriptConfig struct{ world *world }

func (c *scriptConfig) Input(pipeline.Env) (pipeline.Input, error) { return c, nil }

// Run sends every source's lines in batches of three, from where the ledger says; position i is
// line i.
func (c *scriptConfig) Run(ctx context.Context, feed pipeline.Feed) error {
	known := map[string]pipeline.Known{}
	for _, k := range feed.Known() {
		known[k.Key] = k
	}
	for key, lines := range c.world.sources {
		k := known[key]
		state := string(k.Cursor.State)
		if k.ID != 0 && state != "" && state != "at "+strconv.Itoa(int(k.Cursor.Pos)) {
			return fmt.Errorf("state %q at %d", k.Cursor.State, k.Cursor.Pos)
		}
		name, value, _ := strings.Cut(c.world.labels[key], "=")
		src, err := feed.Open(k.ID, key, []event.Label{{Name: "key", Value: key}, {Name: name, Value: value}})
		if err != nil {
			return err
		}
		for at := int(k.Cursor.Pos); at < len(lines); at += 3 {
			if feed.Send(ctx, c.batch(feed, src, lines, at)) != nil {
				return nil
			}
		}
		feed.Close(src, false)
	}
	if c.world.endless {
		<-ctx.Done()
	}
	return nil
}

// Reread implements pipeline.Rereader.
func (c *scriptConfig) Reread(ctx context.Context, from pipeline.Known, feed pipeline.Feed) error {
	if c.world.unreadable != nil {
		if err := c.world.unreadable(from.Key, from.Cursor.Pos); err != nil {
			return err
		}
	}
	src, err := feed.Open(from.ID, from.Key, nil)
	if err != nil {
		return err
	}
	lines := c.world.sources[from.Key]
	for at := int(from.Cursor.Pos); at < len(lines); at += 3 {
		if err := feed.Send(ctx, c.batch(feed, src, lines, at)); err != nil {
			return err
		}
	}
	return nil
}

// CanReread implements pipeline.Rereader.
func (c *scriptConfig) CanReread(event.SourceID) bool { return !c.world.once }

func (c *scriptConfig) batch(feed pipeline.Feed, src *event.Source, lines []string, at int) *event.Batch {
	b := feed.Batch(src)
	b.From, b.To = uint64(at), uint64(min(at+3, len(lines)))
	for i := b.From; i < b.To; i++ {
		b.Add(i, 0, b.PutString(lines[i]))
	}
	b.Cursor = fmt.Appendf(b.Cursor, "at %d", b.To)
	return b
}

// words takes the first word as the level, and "t=N" as the time.
type wordsConfig struct{}

func (c *wordsConfig) Parser() (pipeline.NewParser, error) {
	return func(*event.Source) pipeline.Parser { return c }, nil
}

func (c *wordsConfig) Parse(b *event.Batch, i int) bool {
	word, rest, _ := strings.Cut(string(b.Line(i)), " ")
	level := event.LevelNamed(word)
	if level == event.NoLevel {
		return false
	}
	b.Records[i].Level = level
	if at, ok := strings.CutPrefix(rest, "t="); ok {
		n, _ := strconv.Atoi(at)
		b.Records[i].Time = int64(n)
	}
	return true
}

type noneConfig struct{}

func (c *noneConfig) Parser() (pipeline.NewParser, error) {
	return func(*event.Source) pipeline.Parser { return c }, nil
}

func (c *noneConfig) Parse(*event.Batch, int) bool { return false }

// memory stores "level time line", or fails while it is away.
type memoryConfig struct {
	world *world
	name  string
}

func (c *memoryConfig) Output(env pipeline.Env) (pipeline.Output, error) {
	c.name = env.Name
	return c, nil
}
func (c *memoryConfig) Encoder() pipeline.Encoder               { return c }
func (c *memoryConfig) Limits() pipeline.Limits                 { return pipeline.Limits{Records: 4} }
func (c *memoryConfig) Close() error                            { return nil }
func (c *memoryConfig) Original(b *pipeline.Body, i int) []byte { return b.Item(i) }
func (c *memoryConfig) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	r := &b.Records[i]
	dst.Bytes = fmt.Appendf(dst.Bytes, "%s|%d|%s|%s", r.Level, r.Time, b.Source.Label("env"), b.Line(i))
	return 0, nil
}

func (c *memoryConfig) Send(_ context.Context, body *pipeline.Body) error {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	if c.world.away[c.name] {
		return &pipeline.SendError{Outcome: pipeline.Retry, Reason: "away"}
	}
	var lines []string
	for i := range body.Items {
		lines = append(lines, string(body.Item(i)))
	}
	if c.world.answer != nil {
		if err := c.world.answer(c.name, lines); err != nil {
			return err
		}
	}
	c.world.stored[c.name] = append(c.world.stored[c.name], lines...)
	return nil
}

func newWorld() *world {
	return &world{sources: map[string][]string{}, stored: map[string][]string{}, away: map[string]bool{}}
}

func (w *world) clock() time.Time {
	if w.now != nil {
		return w.now()
	}
	return time.Unix(100, 0)
}

// build makes the graph of a config in a folder.
func (w *world) build(t *testing.T, dir, yaml string) *Graph {
	t.Helper()
	loader := config.Loader{Components: w.specs()}
	cfg, err := loader.Load("test.yml", []byte("version: 1\ndata_dir: "+dir+"\n"+yaml))
	if err != nil {
		t.Fatal(err)
	}
	g, err := Build(Options{
		Config: cfg, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		Health: func(pipeline.Kind, string) func(error) { return func(error) {} },
		Vital:  func(string) func(error) { return func(error) {} },
		Found:  func(_, _ string) {},
		Now:    w.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

const oneOutput = `
inputs: {in: {type: script, labels: {env: test}}}
parsers: {words: {type: words}}
outputs: {out: {type: memory}}
pipelines: {main: {inputs: [in], parsers: [words], outputs: [out]}}
`

func TestRecordsArriveParsedAndOnce(t *testing.T) {
	w := newWorld()
	w.sources["a"] = []string{"info t=5", "warn t=5", "no level", "error t=9", "info"}
	g := w.build(t, t.TempDir(), oneOutput)
	if err := g.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	anchor := time.Unix(100, 0).UnixNano()
	want := []string{
		"info|5|test|info t=5", "warn|6|test|warn t=5", fmt.Sprintf("|%d|test|no level", anchor),
		"error|9|test|error t=9", fmt.Sprintf("info|%d|test|info", anchor+1),
	}
	if diff := cmp.Diff(want, w.stored["out"]); diff != "" {
		t.Error(diff)
	}
	if c := g.Counts(); c.Read != 5 || c.Delivered != 5 {
		t.Errorf("counts: %+v", c)
	}
}

func TestRestartGoesOnWhereItWas(t *testing.T) {
	dir, w := t.TempDir(), newWorld()
	w.sources["a"] = []string{"info t=5", "info t=5", "info t=5", "info t=5"}
	w.sources["b"] = []string{"info t=5"}
	run := func() {
		if err := w.build(t, dir, oneOutput).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run()
	run()
	w.sources["a"] = append(w.sources["a"], "info t=5", "info t=6")
	run()
	slices.Sort(w.stored["out"])
	want := []string{
		"info|10|test|info t=6", "info|5|test|info t=5", "info|5|test|info t=5", "info|6|test|info t=5",
		"info|7|test|info t=5", "info|8|test|info t=5", "info|9|test|info t=5",
	}
	if diff := cmp.Diff(want, w.stored["out"]); diff != "" {
		t.Error(diff)
	}
}

const twoPipelines = `
shutdown_timeout: 5s
inputs: {in: {type: script}}
parsers: {words: {type: words}, none: {type: none}}
outputs: {x: {type: memory}, y: {type: memory}, z: {type: memory}}
pipelines:
  parsed: {inputs: [in], parsers: [words], outputs: [x, y]}
  raw: {inputs: [in], parsers: [none], outputs: [z]}
`

// TestAnOutputThatIsAwayGetsEverythingLater runs three outputs of which one is away, and again when
// it is back: nothing is lost, nothing repeated.
func TestAnOutputThatIsAwayGetsEverythingLater(t *testing.T) {
	dir, w := t.TempDir(), newWorld()
	for i := range 10 {
		for k := range 50 {
			key := fmt.Sprint("source ", i)
			w.sources[key] = append(w.sources[key], fmt.Sprintf("info t=%d", 100*i+k))
		}
	}
	w.away["y"] = true
	synctest.Test(t, func(t *testing.T) {
		g := w.build(t, dir, twoPipelines)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := g.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if c := g.Counts(); c.Due != 3*c.Read || c.Pending() != c.Due-c.Delivered || c.Pending() < c.Read {
			t.Errorf("with one of three outputs away: %+v", c)
		}
	})
	w.away["y"] = false
	synctest.Test(t, func(t *testing.T) {
		if err := w.build(t, dir, twoPipelines).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	for _, name := range []string{"x", "y", "z"} {
		got := w.stored[name]
		slices.Sort(got)
		if len(got) != 500 || len(slices.Compact(got)) != 500 {
			t.Errorf("output %s has %d records, want 500 different ones", name, len(got))
		}
		if parsed := strings.HasPrefix(got[0], "info|"); parsed != (name != "z") {
			t.Errorf("output %s has %q", name, got[0])
		}
	}
}

func TestDataDirInUse(t *testing.T) {
	dir, w := t.TempDir(), newWorld()
	g := w.build(t, dir, oneOutput)
	defer g.Close()
	again := g.Options
	again.Metrics = prometheus.NewRegistry()
	_, err := Build(again)
	if err == nil || !strings.Contains(err.Error(), "another longshore") {
		t.Errorf("a second graph on the same folder: %v", err)
	}
}

type brokenConfig struct{}

func (brokenConfig) Input(pipeline.Env) (pipeline.Input, error) { return brokenConfig{}, nil }
func (brokenConfig) Run(context.Context, pipeline.Feed) error {
	return errors.New("the disk is gone")
}

func TestAnInputThatStopsIsReported(t *testing.T) {
	w := newWorld()
	g := w.build(t, t.TempDir(), oneOutput)
	var log bytes.Buffer
	g.Log = slog.New(slog.NewTextHandler(&log, nil))
	g.inputs[0].input = brokenConfig{}
	err := g.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "in stopped: the disk is gone") ||
		!strings.Contains(log.String(), "the disk is gone") {
		t.Errorf("Run: %v; log: %s", err, log.String())
	}
}
