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
	busy   pipeline.Stopwatch
}

func (c *brittleConfig) Input(env pipeline.Env) (pipeline.Input, error) {
	return &brittleConfig{scriptConfig: c.scriptConfig, faults: c.faults, env: env}, nil
}

// Stuck implements pipeline.Supervised.
func (c *brittleConfig) Stuck(now time.Time) bool { return c.busy.IsStuck(now) }

func (c *brittleConfig) Run(ctx context.Context, feed pipeline.Feed) error {
	var beside sync.WaitGroup
	beside.Go(func() {
		defer c.env.Panicked.Contain()
		for pause(ctx, 700*time.Millisecond) == nil {
			c.faults.panic(5)
		}
	})
	err := c.scriptConfig.Run(ctx, strikingFeed{feed, c.faults, &c.busy})
	beside.Wait()
	c.faults.hang(4)
	return err
}

type strikingFeed struct {
	pipeline.Feed
	faults *faults
	busy   *pipeline.Stopwatch
}

func (f strikingFeed) Send(ctx context.Context, b *event.Batch) error {
	f.busy.Begin()
	f.faults.panic(100)
	f.faults.hang(100)
	f.busy.End()
	return f.Feed.Send(ctx, b)
}

// strikingStore is a store at whose records encoding hangs.
type strikingStore struct {
	storeConfig
	faults *faults
}

func (c *strikingStore) Output(env pipeline.Env) (pipeline.Output, error) {
	o := &strikingStore{c.storeConfig, c.faults}
	o.name = env.Name
	return o, nil
}

func (c *strikingStore) Encoder() pipeline.Encoder { return c }

func (c *strikingStore) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	c.faults.hang(200)
	return c.storeConfig.Encode(dst, b, i)
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
  x: {type: brittle, index: a, queue_size: 64KiB}
  y: {type: store, index: y, queue_size: 64KiB, spool_size: 1MiB}
  still: {type: store, index: s}
pipelines:
  parsed: {inputs: [in], parsers: [words], transforms: [strike], outputs: [x, y]}
  raw: {inputs: [other], parsers: [none], outputs: [still]}
`

// TestBreakdownsAtRandom: an input, a goroutine of it, a transform and an encoder panic and hang
// again and again under load, while destinations are slow and lose answers. What is connected with
// them is started anew, each record is at each output once, and what is not connected goes on.
func TestBreakdownsAtRandom(t *testing.T) {
	restarts := 0.0
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 23))
			dir, w, s := t.TempDir(), newWorld(), newStore(seed)
			f := &faults{rnd: rnd, panics: 6, hangs: 4}
			w.endless = true
			w.more = []pipeline.Spec{
				s.spec(),
				{Kind: pipeline.KindInput, Type: "brittle", Traits: pipeline.Traits{Rereadable: true},
					New: func() any { return &brittleConfig{scriptConfig: scriptConfig{world: w}, faults: f} }},
				{Kind: pipeline.KindOutput, Type: "brittle", New: func() any {
					return &strikingStore{storeConfig{store: s}, f}
				}},
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

// TestWhatHangsIsStartedAnew: an input and an encoder, one at a time, that hang whatever they are
// told are noticed after a minute, named, and started anew with what is connected; each record is
// there once, also once they go on after all.
func TestWhatHangsIsStartedAnew(t *testing.T) {
	for component, strike := range map[string]func(input, output *faults){
		"input in": func(input, _ *faults) { input.hangs = 1 },
		"output x": func(_, output *faults) { output.hangs = 1 },
	} {
		t.Run(component, func(t *testing.T) {
			dir, w, s := t.TempDir(), newWorld(), newStore(1)
			rnd := rand.New(rand.NewPCG(1, 2))
			input, output, none := &faults{rnd: rnd}, &faults{rnd: rnd}, &faults{rnd: rnd}
			strike(input, output)
			w.endless = true
			w.more = []pipeline.Spec{
				s.spec(),
				{Kind: pipeline.KindInput, Type: "brittle", Traits: pipeline.Traits{Rereadable: true},
					New: func() any { return &brittleConfig{scriptConfig: scriptConfig{world: w}, faults: input} }},
				{Kind: pipeline.KindOutput, Type: "brittle", New: func() any {
					return &strikingStore{storeConfig{store: s}, output}
				}},
				{Kind: pipeline.KindTransform, Type: "striking", New: func() any { return &strikingConfig{none} }},
			}
			for i := range 600 {
				w.sources["s"] = append(w.sources["s"], fmt.Sprintf("info s/%04d", i))
			}
			synctest.Test(t, func(t *testing.T) { w.hangsOnce(t, dir, s, component, input, output) })
			s.check(t, w)
		})
	}
}

func (w *world) hangsOnce(t *testing.T, dir string, s *store, component string, all ...*faults) {
	free := make(chan struct{})
	for _, f := range all {
		f.free = free
	}
	metrics := prometheus.NewRegistry()
	g := w.buildAll(t, metrics, w.load(t, dir, brittle))
	still := g.partOf("still")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	time.Sleep(pipeline.StuckAfter / 2)
	if n := restartsOf(t, metrics, component); n != 0 {
		t.Errorf("%v restarts after half a minute", n)
	}
	time.Sleep(2 * pipeline.StuckAfter)
	if n := restartsOf(t, metrics, component); n != 1 {
		t.Errorf("%v restarts for %s, want 1", n, component)
	}
	if g.partOf("still") != still {
		t.Error("an island in which nothing has broken was restarted")
	}
	close(free)
	s.mu.Lock()
	s.calm = true
	s.mu.Unlock()
	time.Sleep(10 * time.Minute)
	if c := g.Counts(); c.Pending() != 0 {
		t.Errorf("%d records are pending: %+v", c.Pending(), c)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// restartsOf returns how often something was started anew for a component; "" is for all.
func restartsOf(t *testing.T, metrics *prometheus.Registry, component string) (n float64) {
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.Metric {
			if family.GetName() == "longshore_component_restarts_total" &&
				(component == "" || m.Label[0].GetValue() == component) {
				n += m.Counter.GetValue()
			}
		}
	}
	return n
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
	return restartsOf(t, metrics, "")
}
