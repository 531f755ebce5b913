package graph

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/agent/recent"
	"github.com/longshore/longshore/agent/spool"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/condition"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// Options make a Graph. All but Recent, OnlyRecent and Refused must be set.
type Options struct {
	Config  *config.Config
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// Health returns the function by which a component reports how it is.
	Health func(kind pipeline.Kind, name string) func(error)
	// Vital returns that of a part of the graph itself.
	Vital func(name string) func(error)
	// Found takes what an input found at first, see pipeline.Env. Any goroutine calls it.
	Found func(input, what string)
	// Now is the clock that dates lines without a time.
	Now func() time.Time
	// Recent keeps what has gone through the pipelines, to be looked at; nil for none.
	Recent *recent.Store
	// OnlyRecent has nothing sent: there are no outputs, whatever the config says.
	OnlyRecent bool
	// Refused is told when a destination refuses us, perhaps for who we are. Any goroutine calls
	// it, and it must not wait.
	Refused func()
}

// A Graph is everything between the sources and the destinations.
type Graph struct {
	Options
	ledger    *ledger.Ledger
	batches   *batchPool
	inputs    []*input
	outputs   []*output
	parsers   map[string]parserFactory
	pipelines []*sharedPipeline
	workers   []*worker
	redact    func(string) string // see config.Config.Redactor
	shares    bool                // the ledger, with other graphs
	all       []string            // names of all outputs, of other graphs too; see deliver.Options.Number
	stopsIn   func() time.Duration
	reloads   atomic.Bool            // it ends for a reload
	relays    *relays                // nil where nothing outlives it
	onBroken  func()                 // is called once when the graph is broken; Run ends then where it is nil
	broken    atomic.Pointer[string] // the component that has broken it
	left      atomic.Uint64          // see leave
	observer  *observer              // nil for none
}

type input struct {
	name      string
	ephemeral bool
	// Traits that its spec has.
	acknowledges, wholeRecords bool

	once  bool // what it has read cannot be read again
	input pipeline.Input
	relay *relay // nil where the graph runs it
	feed  *feed
}

type output struct {
	name      string
	output    pipeline.Output
	target    []byte // see pipeline.Targeted
	deliverer *deliver.Deliverer
	spools    *spools
	catchUps  []*catchUp // one for each lane
	log       *slog.Logger
}

// Build makes the graph and locks its data folder. Nothing runs yet. Run or Close must follow.
func Build(o Options) (*Graph, error) {
	l, err := ledger.Open(o.Config.DataDir, o.Log)
	if err != nil {
		return nil, err
	}
	g := &Graph{Options: o, batches: &batchPool{}, ledger: l, all: outputNames(o.Config)}
	g.stopsIn = func() time.Duration { return time.Duration(o.Config.ShutdownTimeout) }
	warnOfLeftovers(o.Config, o.Log)
	if err := g.build(); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func outputNames(cfg *config.Config) (names []string) {
	for _, c := range cfg.Outputs {
		names = append(names, c.Name)
	}
	return names
}

func (g *Graph) build() error {
	var err error
	if g.redact, err = g.Config.Redactor(); err != nil {
		return err
	}
	for range runtime.GOMAXPROCS(0) {
		g.workers = append(g.workers, newWorker(g.batches, g.Now))
	}
	for _, c := range g.Config.Inputs {
		if err := g.addInput(c); err != nil {
			return fmt.Errorf("input %s: %w", c.Name, err)
		}
	}
	for _, c := range g.Config.Outputs {
		if g.OnlyRecent {
			break
		}
		if err := g.addOutput(c); err != nil {
			return fmt.Errorf("output %s: %w", c.Name, err)
		}
	}
	if err := g.addPipelines(); err != nil {
		return err
	}
	for _, in := range g.inputs {
		f := in.feed
		f.parsers, f.config, f.all, f.pipelines = g.parsers, g.Config, g.pipelines, g.pipelinesOf(in.name)
		f.observer = g.observer.of(in)
		f.registerLag(g.env(pipeline.KindInput, in.name).Metrics)
	}
	return nil
}

func (g *Graph) env(kind pipeline.Kind, name string) pipeline.Env {
	return pipeline.Env{
		Name:     name,
		Log:      g.Log.With(string(kind), name),
		Metrics:  prometheus.WrapRegistererWith(prometheus.Labels{string(kind): name}, g.Metrics),
		Health:   g.Health(kind, name),
		Found:    func(what string) { g.Found(name, what) },
		Panicked: func(value any) { g.panicked(string(kind)+" "+name, value) },
	}
}

// fileReserveAhead is what is reserved ahead where an input's traits do not say: in a file, bytes.
const fileReserveAhead = 1 << 20

func (g *Graph) addInput(c config.Input) error {
	env := g.env(pipeline.KindInput, c.Name)
	env.Folder = filepath.Join(g.Config.DataDir, inputFolder, c.Name, c.Type)
	in, via, err := g.makeInput(c, env)
	if err != nil {
		return err
	}
	f := &feed{
		input: c.Name, log: env.Log, batches: g.batches, workers: g.workers, ledger: g.ledger,
		sources: map[event.SourceID]*openSource{}, reserveAhead: cmp.Or(c.Traits.ReserveAhead, fileReserveAhead),
	}
	for name, value := range c.Common.Labels {
		f.labels = append(f.labels, event.Label{Name: name, Value: value})
	}
	f.register(env.Metrics)
	f.in = &input{
		name: c.Name, ephemeral: c.Traits.Ephemeral, acknowledges: c.Traits.Acknowledges,
		wholeRecords: c.Traits.WholeRecords, once: isReadOnce(c.Traits), input: in, relay: via, feed: f,
	}
	g.inputs = append(g.inputs, f.in)
	if c.Traits.Observes {
		g.setObserver(f.in)
	}
	return nil
}

// isReadOnce reports whether what an input has read does not come again: a journal is there to be
// read again, and what is not acknowledged is sent again.
func isReadOnce(t pipeline.Traits) bool { return !t.Rereadable && !t.Observes && !t.Acknowledges }

// makeInput makes an input. One that can be read only once outlives the graph, where reloads do.
func (g *Graph) makeInput(c config.Input, env pipeline.Env) (pipeline.Input, *relay, error) {
	if g.relays == nil || !isReadOnce(c.Traits) {
		in, err := c.Settings.Input(env)
		return in, nil, err
	}
	r, err := g.relays.of(c, env)
	if err != nil {
		return nil, nil, err
	}
	return r.input, r, nil
}

func (g *Graph) addOutput(c config.Output) error {
	env := g.env(pipeline.KindOutput, c.Name)
	env.Folder = OutputFolder(g.Config, c)
	out, err := c.Settings.Output(env)
	if err != nil {
		return err
	}
	spools, err := openSpools(SpoolFolder(g.Config, c), c, spool.Options{KeepFree: spoolKeepFree, Log: env.Log})
	if err != nil {
		return errors.Join(err, out.Close())
	}
	o := &output{name: c.Name, output: out, spools: spools, log: env.Log}
	if t, ok := out.(pipeline.Targeted); ok {
		o.target = t.Target()
	}
	letters := DeadLetters(g.Config, c)
	o.register(env.Metrics, letters)
	o.deliverer = deliver.New(deliver.Options{
		Name: c.Name, Type: c.Type, Number: slices.Index(g.all, c.Name), Output: out, Settings: c.Common, Log: env.Log,
		Health: env.Health, Metrics: env.Metrics, DeadLetters: letters, Panicked: env.Panicked,
		Redact: g.redact, Refused: g.Refused, Aside: Aside(g.Config, c),
		Spool: spools.lane, SpoolAfter: g.spoolAfter(c.Name), HurriedSpoolAfter: spoolAfterEphemeral,
		WaitedFor: g.isWaitedFor(c.Name),
	})
	for range max(1, c.Common.Lanes) {
		o.catchUps = append(o.catchUps, g.newCatchUp(o))
	}
	g.outputs = append(g.outputs, o)
	return nil
}

// OutputFolder returns where an output keeps what it must know after a restart. Its type is in the
// name, as in that of its spool.
func OutputFolder(cfg *config.Config, c config.Output) string {
	return filepath.Join(cfg.DataDir, outputFolder, c.Name, c.Type)
}

// DeadLetters returns the dead letters of an output.
func DeadLetters(cfg *config.Config, c config.Output) *deliver.DeadLetterFile {
	file := deliver.NewDeadLetterFile(filepath.Join(cfg.DataDir, config.DeadLetterFolder), c.Name)
	file.Max = int64(c.Common.DeadLetters)
	return file
}

// Aside returns the records of an output that wait aside.
func Aside(cfg *config.Config, c config.Output) *deliver.DeadLetterFile {
	return deliver.NewDeadLetterFile(filepath.Join(cfg.DataDir, asideFolder), c.Name)
}

func (g *Graph) addPipelines() error {
	g.parsers = map[string]parserFactory{}
	for _, c := range g.Config.Parsers {
		p, err := newParserFactory(c)
		if err != nil {
			return fmt.Errorf("parser %s: %w", c.Name, err)
		}
		g.parsers[c.Name] = p
	}
	for _, c := range g.Config.Pipelines {
		p := &sharedPipeline{name: c.Name, transformNames: c.Transforms}
		p.panics = &pipeline.Panics{Log: g.Log.With("pipeline", c.Name)}
		var parsers []parserFactory
		for _, name := range c.Parsers {
			parsers = append(parsers, g.parsers[name])
		}
		p.parsing = newParsing(parsers)
		for _, name := range c.Transforms {
			t, err := g.newTransform(name, c.Name, g.Metrics)
			if err != nil {
				return fmt.Errorf("transform %s: %w", name, err)
			}
			p.transforms = append(p.transforms, t)
		}
		for _, name := range c.Outputs {
			for _, o := range g.outputs {
				if o.name == name {
					p.outputs = append(p.outputs, o)
				}
			}
		}
		if g.Recent != nil {
			redact, err := g.Config.LeftToRedact(c)
			if err != nil {
				return err
			}
			p.recent = g.Recent.Tap(c.Name, redact)
		}
		p.register(prometheus.WrapRegistererWith(prometheus.Labels{"pipeline": p.name}, g.Metrics))
		g.pipelines = append(g.pipelines, p)
	}
	return nil
}

// newTransform makes a transform. Every pipeline has its own, since it may remember records.
func (g *Graph) newTransform(name, pipelineName string, to prometheus.Registerer) (pipeline.Transform, error) {
	i := slices.IndexFunc(g.Config.Transforms, func(c config.Transform) bool { return c.Name == name })
	c := g.Config.Transforms[i]
	env := pipeline.TransformEnv{Env: g.env(pipeline.KindTransform, name)}
	env.Log = env.Log.With("pipeline", pipelineName)
	labels := prometheus.Labels{string(pipeline.KindTransform): name, "pipeline": pipelineName}
	env.Metrics = prometheus.WrapRegistererWith(labels, to)
	env.Outputs = g.all
	if c.Common.If != "" {
		when, err := condition.Compile(c.Common.If)
		if err != nil {
			return nil, fmt.Errorf("its condition: %w", err)
		}
		env.If = when.Holds
	}
	return c.Settings.Transform(env)
}

func (g *Graph) pipelinesOf(input string) []*sharedPipeline {
	var of []*sharedPipeline
	for i, c := range g.Config.Pipelines {
		if slices.Contains(c.Inputs, input) {
			of = append(of, g.pipelines[i])
		}
	}
	return of
}

// Run runs the graph until ctx ends or every input has ended by itself, and then delivers what was
// read: when ctx has ended, for as long as the config's shutdown_timeout. What is not delivered by
// then is read again next time. The error is that an input could not go on, or that progress could
// not be stored.
func (g *Graph) Run(ctx context.Context) error {
	hard, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	reading, stopReading := context.WithCancel(hard)
	defer stopReading()
	defer context.AfterFunc(ctx, func() {
		g.waitForLeaving(hard)
		g.reloads.Store(context.Cause(ctx) == errReload)
		stopReading()
		if context.Cause(ctx) == errReload {
			g.waitForProgress(hard)
			stop()
		}
	})()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(g.stopsIn()):
			stop()
		case <-hard.Done():
		}
	})()
	g.beginObserving()
	if g.onBroken == nil {
		g.onBroken = stop
	}
	var delivering, working, catchingUp, watching sync.WaitGroup
	for _, o := range g.outputs {
		delivering.Go(func() { o.deliverer.Run(hard) })
	}
	for _, w := range g.workers {
		working.Go(func() {
			if !g.contained(thePipelines, func() { w.run(hard) }) {
				w.discard()
			}
		})
	}
	for _, c := range g.catchUps() {
		catchingUp.Go(func() { g.contained("output "+c.output.name, func() { c.run(reading) }) })
	}
	watching.Go(func() { g.watchStuck(reading) })
	defer watching.Wait()
	defer stopReading()
	stopStoring := func() {}
	if !g.shares {
		stopStoring = storeIn(g.ledger, g.Vital)
	}
	err := g.runInputs(reading)
	g.endCatchingUp(hard)
	g.waitFor(hard, "reading for outputs that lag", &catchingUp)
	for _, w := range g.workers {
		w.ended.Store(ctx.Err() == nil && g.broken.Load() == nil)
		close(w.quit)
	}
	g.waitFor(hard, thePipelines, &working)
	for _, o := range g.outputs {
		o.deliverer.Finish()
	}
	g.waitFor(hard, "the outputs", &delivering)
	stopStoring()
	if by := g.broken.Load(); by != nil && !g.shares {
		err = errors.Join(err, fmt.Errorf("%s has broken down; the log has why", *by))
	}
	return errors.Join(err, g.Close())
}

// endCatchingUp has the catchUps end once nothing is behind: nothing more is let go.
func (g *Graph) endCatchingUp(ctx context.Context) {
	for _, w := range g.workers {
		w.patient.Store(true)
		passed := make(chan position, 1)
		select {
		case w.in <- message{ask: func() position { return position{} }, reply: passed}:
			select {
			case <-passed:
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
	}
	for _, c := range g.catchUps() {
		c.end()
	}
}

const (
	// leavingNotice is how long inputs take to notice what was deleted just now.
	leavingNotice = 200 * time.Millisecond
	// leavingStuck is how long waitForLeaving waits while nothing is read.
	leavingStuck = 2 * time.Second
)

// waitForLeaving waits until outputs that lag have all of the sources that cannot be read for much
// longer: they would not be there in the next run. It gives up where nothing of it gets on.
func (g *Graph) waitForLeaving(ctx context.Context) {
	if !slices.ContainsFunc(g.catchUps(), (*catchUp).isBehind) {
		return
	}
	wait, last, since := leavingNotice, int64(-1), time.Now()
	for backoff.Sleep(ctx, wait, nil) == nil && time.Since(since) < leavingStuck {
		left, any := int64(0), false
		for _, c := range g.catchUps() {
			missed, some := c.leaving()
			left, any = left+missed, any || some
		}
		if !any {
			return
		}
		if left != last {
			last, since = left, time.Now()
		}
		wait = leavingNotice / 10
	}
}

// catchUps returns those of all outputs; none where no output has another beside it.
func (g *Graph) catchUps() (all []*catchUp) {
	if len(g.outputs) < 2 {
		return nil
	}
	for _, o := range g.outputs {
		all = append(all, o.catchUps...)
	}
	return all
}

func (g *Graph) newCatchUp(o *output) *catchUp {
	return &catchUp{
		output: o, batches: g.batches, now: g.Now, newPipeline: g.newCatchUpPipeline,
		pipelines: map[*sharedPipeline]*sharedPipeline{}, changed: make(chan struct{}, 1),
	}
}

// newCatchUpPipeline returns a pipeline as a catchUp of an output uses it.
func (g *Graph) newCatchUpPipeline(p *sharedPipeline, o *output) (*sharedPipeline, error) {
	own := &sharedPipeline{name: p.name, parsing: p.parsing, outputs: []*output{o}, panics: p.panics}
	for _, name := range p.transformNames {
		t, err := g.newTransform(name, p.name, prometheus.NewRegistry())
		if err != nil {
			return nil, fmt.Errorf("transform %s: %w", name, err)
		}
		own.transforms = append(own.transforms, t)
	}
	return own, nil
}

// storeIn runs a ledger until the returned function is called.
func storeIn(l *ledger.Ledger, vital func(string) func(error)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var storing sync.WaitGroup
	storing.Go(func() { l.Run(ctx, vital("ledger")) })
	return func() {
		cancel()
		storing.Wait()
	}
}

// runInputs runs all inputs to their end.
func (g *Graph) runInputs(ctx context.Context) error {
	errs := make([]error, len(g.inputs))
	var running sync.WaitGroup
	for i, in := range g.inputs {
		running.Go(func() {
			if err := g.runInput(ctx, in); err != nil && ctx.Err() == nil {
				errs[i] = fmt.Errorf("input %s stopped: %w", in.name, err)
				g.Log.Error("an input stopped", "input", in.name, "error", err)
				g.Health(pipeline.KindInput, in.name)(err)
			}
		})
	}
	if !g.waitFor(ctx, "reading", &running) {
		return nil
	}
	return errors.Join(errs...)
}

func (g *Graph) runInput(ctx context.Context, in *input) (err error) {
	if in.relay == nil {
		g.contained("input "+in.name, func() { err = in.input.Run(ctx, in.feed) })
		return err
	}
	return in.relay.serve(ctx, in.feed, g.reloads.Load)
}

// Close frees what Build took. Run does so itself.
func (g *Graph) Close() error {
	var errs []error
	for _, o := range g.outputs {
		errs = append(errs, o.output.Close())
		o.spools.close()
	}
	if g.shares {
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, g.ledger.Close())...)
}
