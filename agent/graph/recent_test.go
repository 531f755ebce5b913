package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/agent/recent"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// runKept runs a config with a store of recent records, whose messages it returns, for an hour at
// most.
func (w *world) runKept(t *testing.T, dir, yaml string) []string {
	t.Helper()
	store, err := recent.Open(recent.Options{DataDir: dir, Size: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	o := w.build(t, t.TempDir(), yaml)
	options := o.Options
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	options.Recent, options.Metrics, options.Config.DataDir = store, prometheus.NewRegistry(), dir
	g, err := Build(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	keeping.Go(func() { store.Run(ctx) })
	limit, stop := context.WithTimeout(t.Context(), time.Hour)
	defer stop()
	if err := g.Run(limit); err != nil {
		t.Fatal(err)
	}
	cancel()
	keeping.Wait()
	page, err := store.Query(t.Context(), recent.Query{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, record := range page.Records {
		var r struct{ Pipeline, Level, Message string }
		if err := json.Unmarshal(record, &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %s %s", r.Pipeline, r.Level, r.Message))
	}
	return all
}

const noOutput = `
inputs: {in: {type: script}}
parsers: {words: {type: words}}
pipelines: {main: {inputs: [in], parsers: [words]}}
`

// TestWithoutOutputs: records are read, parsed, kept to be looked at, and done: the next run does
// not read them again.
func TestWithoutOutputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, w := t.TempDir(), newWorld()
		w.sources["a"] = []string{"info t=5", "warn t=6", "error t=7", "info t=8"}
		want := []string{"main info info t=5", "main warn warn t=6", "main error error t=7", "main info info t=8"}
		if diff := cmp.Diff(want, w.runKept(t, dir, noOutput)); diff != "" {
			t.Error(diff)
		}
		w.sources["a"] = append(w.sources["a"], "info t=9")
		if diff := cmp.Diff(append(want, "main info info t=9"), w.runKept(t, dir, noOutput)); diff != "" {
			t.Error(diff)
		}
		g := w.build(t, dir, noOutput)
		if err := g.Run(t.Context()); err != nil || g.Counts() != (Counts{}) {
			t.Errorf("a third run counts %+v: %v", g.Counts(), err)
		}
	})
}

// TestKeptOnce: records of an output that is away are read again in the next run, and are there
// once. What the pipeline has not redacted is.
func TestKeptOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, w := t.TempDir(), newWorld()
		w.more = []pipeline.Spec{{Kind: pipeline.KindTransform, Type: "redact",
			New: func() any { return &starsConfig{} }}}
		w.sources["a"] = []string{"info t=5", "warn t=6"}
		const yaml = `
redact: false
inputs: {in: {type: script}}
parsers: {words: {type: words}}
transforms: {stars: {type: redact, if: level == "fatal"}}
outputs: {out: {type: memory}}
pipelines: {main: {inputs: [in], parsers: [words], transforms: [stars], outputs: [out]}}
`
		want := []string{"main info ********", "main warn ********"}
		for _, away := range []bool{true, false} {
			w.away["out"] = away
			if diff := cmp.Diff(want, w.runKept(t, dir, yaml)); diff != "" {
				t.Error(diff)
			}
		}
		if diff := cmp.Diff([]string{"info|5||info t=5", "warn|6||warn t=6"}, w.stored["out"]); diff != "" {
			t.Errorf("the output: %s", diff)
		}
	})
}

// stars is a transform that hides the whole text of records for which its condition holds.
type starsConfig struct{}

func (*starsConfig) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	return stars{env.If}, nil
}

type stars struct {
	when func(*event.Batch, int) bool
}

func (s stars) Apply(b *event.Batch) {
	for i := range b.Records {
		if s.when == nil || s.when(b, i) {
			copy(b.Line(i), "********")
		}
	}
}

// BenchmarkRecent is what a record costs from the input on, by a pipeline without outputs, where
// recent records are not kept and where they are. What the store does beside it counts, too.
func BenchmarkRecent(b *testing.B) {
	for _, kept := range []bool{false, true} {
		b.Run(fmt.Sprint("kept=", kept), func(b *testing.B) {
			w := newWorld()
			in := &benchInput{records: b.N}
			w.more = []pipeline.Spec{{Kind: pipeline.KindInput, Type: "bench", New: func() any { return in }}}
			loader := config.Loader{Components: w.specs()}
			cfg, err := loader.Load("bench.yml", []byte("data_dir: "+b.TempDir()+"\ninputs: {in: {type: bench}}\n"+
				"parsers: {words: {type: words}}\npipelines: {main: {inputs: [in], parsers: [words]}}\n"))
			if err != nil {
				b.Fatal(err)
			}
			o := Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
				Health: func(pipeline.Kind, string) func(error) { return func(error) {} },
				Vital:  func(string) func(error) { return func(error) {} },
				Found:  func(_, _ string) {}, Now: time.Now}
			ctx, cancel := context.WithCancel(b.Context())
			var keeping sync.WaitGroup
			if kept {
				o.Recent, err = recent.Open(recent.Options{DataDir: cfg.DataDir, Size: 64 << 20, Log: o.Log})
				if err != nil {
					b.Fatal(err)
				}
				keeping.Go(func() { o.Recent.Run(ctx) })
			}
			g, err := Build(o)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			if err := g.Run(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			cancel()
			keeping.Wait()
			if kept {
				b.ReportMetric(float64(o.Recent.LeftOut())/float64(b.N), "left-out/op")
			}
		})
	}
}

// benchInput sends records in batches of 500.
type benchInput struct{ records int }

func (in *benchInput) Input(pipeline.Env) (pipeline.Input, error) { return in, nil }

func (in *benchInput) Run(ctx context.Context, feed pipeline.Feed) error {
	const line = "info user=42 method=GET path=/api/orders status=200 duration=12ms request=0123456789abcdef"
	src, err := feed.Open(0, "bench", nil)
	if err != nil {
		return err
	}
	defer feed.Close(src, false)
	for at := 0; at < in.records; at += 500 {
		b := feed.Batch(src)
		b.From, b.To = uint64(at), uint64(min(at+500, in.records))
		for i := b.From; i < b.To; i++ {
			b.Add(i, int64(i)+1, b.PutString(line))
		}
		b.Cursor = append(b.Cursor, 1)
		if err := feed.Send(ctx, b); err != nil {
			return err
		}
	}
	return nil
}
