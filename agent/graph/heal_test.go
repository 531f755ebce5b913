package graph

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// faults strike components at random, so many times.
type faults struct {
	mu            sync.Mutex
	rnd           *rand.Rand
	panics, hangs int
	free          chan struct{} // ends what hangs
}

// panic panics one time in n.
func (f *faults) panic(n int) {
	f.mu.Lock()
	strikes := f.panics > 0 && f.rnd.IntN(n) == 0
	if strikes {
		f.panics--
	}
	f.mu.Unlock()
	if strikes {
		panic("out of order")
	}
}

// hang hangs one time in n, whatever contexts say.
func (f *faults) hang(n int) {
	f.mu.Lock()
	strikes := f.hangs > 0 && f.rnd.IntN(n) == 0
	if strikes {
		f.hangs--
	}
	f.mu.Unlock()
	if strikes {
		<-f.free
	}
}

func (f *faults) left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.panics + f.hangs
}

// brittle is a script whose goroutines panic, one that it has started among them, and that may not
// end when it is told to.
type brittleConfig struct {
	scriptConfig
	faults *faults
	env    pipeline.Env
}

func (c *brittleConfig) Input(env pipeline.Env) (pipeline.Input, error) {
	return &brittleConfig{c.scriptConfig, c.faults, env}, nil
}

func (c *brittleConfig) Run(ctx context.Context, feed pipeline.Feed) error {
	var beside sync.WaitGroup
	beside.Go(func() {
		defer c.env.Panicked.Contain()
		for pause(ctx, 700*time.Millisecond) == nil {
			c.faults.panic(5)
		}
	})
	err := c.scriptConfig.Run(ctx, strikingFeed{feed, c.faults})
	beside.Wait()
	c.faults.hang(4)
	return err
}

type strikingFeed struct {
	pipeline.Feed
	faults *faults
}

func (f strikingFeed) Send(ctx context.Context, b *event.Batch) error {
	f.faults.panic(100)
	return f.Feed.Send(ctx, b)
}

// striking is a transform that panics and hangs in the middle of a batch.
type strikingConfig struct{ faults *faults }

func (c *strikingConfig) Transform(pipeline.TransformEnv) (pipeline.Transform, error) { return c, nil }

func (c *strikingConfig) Apply(b *event.Batch) {
	for i := range b.Records {
		b.AddField(i, event.Value{Kind: event.Text, Span: b.PutString("seen")}, event.Value{Kind: event.Text})
		c.faults.panic(200)
		c.faults.hang(200)
	}
}

const brittle = `
shutdown_timeout: 10s
inputs:
  in: {type: brittle}
  other: {type: script}
parsers: {words: {type: words}, none: {type: none}}
transforms: {strike: {type: striking}}
outputs:
  x: {type: store, index: a, queue_size: 64KiB}
  y: {type: store, index: y, queue_size: 64KiB, spool_size: 1MiB}
  still: {type: store, index: s}
pipelines:
  parsed: {inputs: [in], parsers: [words], transforms: [strike], outputs: [x, y]}
  raw: {inputs: [other], parsers: [none], outputs: [still]}
`

// TestBreakdownsAtRandom: an input, a goroutine of it, and a transform panic and hang again and
// again under load, while destinations are slow and lose answers. What is connected with them is
// started anew, each record is at each output once, and what is not connected goes on.
func TestBreakdownsAtRandom(t *testing.T) {
	restarts := 0.0
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 23))
			dir, w, s := t.TempDir(), newWorld(), newStore(seed)
			f := &faults{rnd: rnd, panics: 6, hangs: 2}
			w.endless = true
			w.more = []pipeline.Spec{
				s.spec(),
				{Kind: pipeline.KindInput, Type: "brittle", Traits: pipeline.Traits{Rereadable: true},
					New: func() any { return &brittleConfig{scriptConfig: scriptConfig{world: w}, faults: f} }},
				{Kind: pipeline.KindTransform, Type: "striking", New: func() any { return &strikingConfig{f} }},
			}
			for i := range 8 {
				key := fmt.Sprint("s", i)
				for k := range 100 + rnd.IntN(300) {
					line := fmt.Sprintf("info %s %s/%04d", strings.Repeat(".", 400), key, k)
					w.sources[key] = append(w.sources[key], line)
				}
			}
			synctest.Test(t, func(t *testing.T) {
				f.free = make(chan struct{})
				restarts += w.brokenRun(t, dir, f, s)
			})
			s.check(t, w)
		})
	}
	if restarts < 20 {
		t.Errorf("only %v restarts", restarts)
	}
}

// brokenRun runs until nothing strikes any more and all is delivered.
func (w *world) brokenRun(t *testing.T, dir string, f *faults, s *store) (restarts float64) {
	metrics := prometheus.NewRegistry()
	g := w.buildAll(t, metrics, w.load(t, dir, brittle))
	still := g.partOf("still")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	for began := time.Now(); time.Since(began) < 24*time.Hour && (f.left() > 0 || g.Counts().Pending() > 0); {
		time.Sleep(time.Minute)
	}
	s.mu.Lock()
	s.calm = true
	s.mu.Unlock()
	time.Sleep(10 * time.Minute)
	if n := f.left(); n > 0 {
		t.Errorf("%d faults have not struck", n)
	}
	if c := g.Counts(); c.Pending() != 0 || c.Due+c.Restored != c.Delivered+c.Rejected+c.Filtered+c.Skipped+
		c.Lost+c.Left {
		t.Errorf("the account is open: %d pending of %+v", c.Pending(), c)
	}
	checkStatus(t, g.Status())
	if g.partOf("still") != still {
		t.Error("an island in which nothing has broken was restarted")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	close(f.free)
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.Metric {
			if family.GetName() == "longshore_component_restarts_total" {
				restarts += m.Counter.GetValue()
			}
		}
	}
	return restarts
}
