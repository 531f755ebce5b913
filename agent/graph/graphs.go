package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/metric"
)

// Graphs are those of a config: one for each of its islands (config.Config.Islands), over one
// ledger. Reload changes the config while they run: an island that is the same goes on, and the
// others are stopped and started as a restart of the program would, with the ledger open.
//
//   - A graph that was stopped has released its sources (ledger.Release) before another one is
//     built: each is cut at one position, on disk before the new graph sends. Whatever the old one
//     left below it that has no answer is uncertain, and is reconciled as after a restart, at the
//     former target where the output has another one now.
//   - A new island is made once for trial, without touching anything, before an old one is stopped.
//     If it cannot start all the same, the old ones are started again.
//   - The account of a graph that was stopped is closed: what it had not done is "left", and counts
//     anew where it is read again. Counters go on (islandMetrics).
type Graphs struct {
	Options
	ledger   *ledger.Ledger
	batches  *batchPool
	metrics  *islandMetrics
	relays   *relays
	stopsIn  atomic.Int64 // the config's shutdown_timeout
	requests chan reloadRequest
	ended    chan struct{} // one more has, or is broken
	over     chan struct{} // Run has returned
	restarts *prometheus.CounterVec
	healings []*healing // of Run's goroutine

	mu     sync.Mutex // guards Config, and:
	parts  []*part
	past   Counts // of graphs that a reload has stopped
	before Status // the same, by component
}

// A part is a graph that runs, or has ended by itself.
type part struct {
	*Graph
	metrics *prometheus.Registry
	cancel  context.CancelCauseFunc
	done    chan struct{} // nil before it runs
	err     error
}

type reloadRequest struct {
	config *config.Config
	answer chan<- reloadAnswer
}

type reloadAnswer struct {
	Changes
	err error
}

// Changes are what a reload has done, as kinds and names of components: "input files".
type Changes struct {
	Restarted []string `json:"restarted"` // new, changed, or in an island that is
	Untouched []string `json:"untouched"`
	Removed   []string `json:"removed"`
}

var (
	// errReload is the cause of the end of a graph that a reload stops.
	errReload = errors.New("the config is reloaded")
	errEnded  = errors.New("the pipelines have ended")
)

const (
	// reloadDrain is how long what was read may go on being delivered when a reload stops a graph,
	// and reloadStuck how long nothing of it may get on. Nothing is read meanwhile.
	reloadDrain = 5 * time.Second
	reloadStuck = time.Second
	reloadTick  = 50 * time.Millisecond
)

// BuildAll makes the graphs of a config, and locks the data folder. Nothing runs yet. Run or Close
// must follow.
func BuildAll(o Options) (*Graphs, error) {
	l, err := ledger.Open(o.Config.DataDir, o.Log)
	if err != nil {
		return nil, err
	}
	g := &Graphs{
		Options: o, ledger: l, batches: &batchPool{}, metrics: &islandMetrics{}, requests: make(chan reloadRequest),
		ended: make(chan struct{}, 1), over: make(chan struct{}),
	}
	g.relays = &relays{metrics: g.metrics, all: map[string]*relay{}}
	g.stopsIn.Store(int64(o.Config.ShutdownTimeout))
	g.metrics.of(o.Config)
	if err := o.Metrics.Register(g.metrics); err != nil {
		return nil, errors.Join(fmt.Errorf("registering the metrics: %w", err), l.Close())
	}
	g.restarts = metric.CounterVec(o.Metrics, "longshore_component_restarts_total",
		"How often what is connected with a component was started anew, as that had panicked or was stuck.",
		"component")
	warnOfLeftovers(o.Config, o.Log)
	if g.parts, err = g.build(o.Config, o.Config.Islands()); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// build makes the graphs of some islands of a config, or none.
func (g *Graphs) build(whole *config.Config, islands []*config.Config) (parts []*part, err error) {
	for _, island := range islands {
		p := &part{metrics: prometheus.NewRegistry()}
		p.Graph = g.newGraph(whole, island, g.metrics.add(p.metrics))
		if err := p.build(); err != nil {
			return nil, errors.Join(err, p.Close(), g.closeAll(parts))
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// newGraph returns the graph of an island, which is yet to be built.
func (g *Graphs) newGraph(whole, island *config.Config, metrics prometheus.Registerer) *Graph {
	o := g.Options
	o.Config, o.Metrics = island, metrics
	return &Graph{
		Options: o, batches: g.batches, ledger: g.ledger, shares: true, all: outputNames(whole),
		relays:  g.relays,
		stopsIn: func() time.Duration { return time.Duration(g.stopsIn.Load()) }, onBroken: g.signal,
	}
}

// signal has serve look what has happened.
func (g *Graphs) signal() {
	select {
	case g.ended <- struct{}{}:
	default:
	}
}

// closeAll frees what parts took that never ran.
func (g *Graphs) closeAll(parts []*part) error {
	var errs []error
	for _, p := range parts {
		errs = append(errs, p.Close())
		g.metrics.end(p.metrics)
	}
	return errors.Join(errs...)
}

// Close frees what BuildAll took. Run does so itself.
func (g *Graphs) Close() error {
	return errors.Join(g.closeAll(g.parts), g.ledger.Close())
}

// Run runs all graphs as Graph.Run does, and the reloads that are asked for meanwhile.
func (g *Graphs) Run(ctx context.Context) error {
	defer close(g.over)
	stopStoring := storeIn(g.ledger, g.Vital)
	for _, p := range g.parts {
		g.start(ctx, p)
	}
	errs := []error{g.serve(ctx)}
	for _, p := range g.parts {
		errs = append(errs, p.err)
	}
	g.relays.end()
	stopStoring()
	return errors.Join(append(errs, g.ledger.Close())...)
}

func (g *Graphs) start(ctx context.Context, p *part) {
	ctx, p.cancel = context.WithCancelCause(ctx)
	p.done = make(chan struct{})
	go func() {
		p.err = p.Run(ctx)
		close(p.done)
		g.signal()
	}()
}

// serve answers requests to reload until all graphs have ended.
func (g *Graphs) serve(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for g.running() {
		if wait, any := g.nextHealing(); any {
			timer.Reset(wait)
		}
		select {
		case r := <-g.requests:
			changes, err := g.reload(ctx, r.config)
			r.answer <- reloadAnswer{changes, err}
			var fatal *fatalError
			if errors.As(err, &fatal) {
				g.stop(g.parts)
				return err
			}
		case <-g.ended:
			g.heal(ctx)
		case <-timer.C:
			g.heal(ctx)
		case <-ctx.Done():
			for _, p := range g.parts {
				<-p.done
			}
			return nil
		}
	}
	return nil
}

func (g *Graphs) running() bool {
	_, heals := g.nextHealing()
	return heals || slices.ContainsFunc(g.parts, func(p *part) bool { return !p.hasEnded() || p.broken.Load() != nil })
}

// Reload has the graphs go on by another config. After an error they go on by the one they had.
func (g *Graphs) Reload(ctx context.Context, cfg *config.Config) (Changes, error) {
	answer := make(chan reloadAnswer, 1)
	select {
	case g.requests <- reloadRequest{cfg, answer}:
	case <-g.over:
		return Changes{}, errEnded
	case <-ctx.Done():
		return Changes{}, ctx.Err()
	}
	a := <-answer
	return a.Changes, a.err
}

// A fatalError leaves nothing to go on by.
type fatalError struct{ error }

func (g *Graphs) reload(ctx context.Context, cfg *config.Config) (Changes, error) {
	if was := g.Config.DataDir; cfg.DataDir != was {
		return Changes{}, fmt.Errorf("data_dir has changed from %s to %s, which needs a restart: what is known of the "+
			"sources, and what waits, is in the old one", was, cfg.DataDir)
	}
	kept, old, islands := g.compare(cfg)
	if err := onlyOnce(old, cfg); err != nil {
		return Changes{}, err
	}
	for _, island := range islands {
		if err := g.try(cfg, island); err != nil {
			return Changes{}, err
		}
	}
	g.stop(old)
	if ctx.Err() != nil {
		return Changes{}, errEnded
	}
	former := g.Config
	g.release(old, kept)
	g.metrics.of(cfg)
	made, err := g.build(cfg, islands)
	if err != nil {
		return Changes{}, g.goBack(ctx, former, kept, old, err)
	}
	g.adopt(ctx, cfg, append(kept, made...), made)
	g.forgetHealings()
	g.stopsIn.Store(int64(cfg.ShutdownTimeout))
	warnOfLeftovers(cfg, g.Log)
	return changesOf(kept, old, made), nil
}

// compare divides what is there into parts that stay and others, and returns which islands of a
// config are new. A part that has ended with an error does not stay.
func (g *Graphs) compare(cfg *config.Config) (kept, old []*part, islands []*config.Config) {
	islands = cfg.Islands()
	for _, p := range g.parts {
		i := slices.IndexFunc(islands, func(c *config.Config) bool { return config.SameIsland(c, p.Config) })
		if i < 0 || p.failed() {
			old = append(old, p)
			continue
		}
		kept = append(kept, p)
		islands = slices.Delete(islands, i, i+1)
	}
	return kept, old, islands
}

func (p *part) failed() bool { return p.hasEnded() && p.err != nil }

func (p *part) hasEnded() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// onlyOnce returns an error if a change of some parts would lose lines that can be read only once:
// their input must go on as it is, and what their outputs have in memory must find room on disk.
func onlyOnce(parts []*part, cfg *config.Config) error {
	for _, p := range parts {
		for i, in := range p.inputs {
			if !in.once || p.hasEnded() {
				continue
			}
			is := p.Config.Inputs[i]
			if !slices.ContainsFunc(cfg.Inputs, func(c config.Input) bool { return c.SameSettings(is) }) {
				return fmt.Errorf("the input %s has changed, whose lines can be read only once: a reload would "+
					"lose some of them; restart longshore to apply it", in.name)
			}
			if err := p.hasRoom(in.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// onceBytes is what is on the way to an output, beside its queue.
const onceBytes = 8 << 20

func (g *Graph) hasRoom(input string) error {
	for _, o := range g.outputs {
		needed := int64(o.deliverer.Settings.Queue) + onceBytes
		if room := o.spools.size - o.spools.bytes(); room < needed {
			return fmt.Errorf("the lines of the input %s can be read only once, and the spool of the output %s has no "+
				"room for those on the way, should it be away: it has %s left and must have %s; set spool_size to "+
				"more and restart longshore, or try again when it has caught up",
				input, o.name, pipeline.Size(max(0, room)), pipeline.Size(needed))
		}
	}
	return nil
}

// relays are those of all inputs whose lines can be read only once, by name.
type relays struct {
	metrics *islandMetrics
	all     map[string]*relay
}

// of returns the relay of an input, which may be running.
func (r *relays) of(c config.Input, env pipeline.Env) (*relay, error) {
	switch known := r.all[c.Name]; {
	case known == nil:
	case known.started:
		return known, nil
	default: // of a graph that was never run
		r.metrics.end(known.metrics)
	}
	metrics := prometheus.NewRegistry()
	labels := prometheus.Labels{string(pipeline.KindInput): c.Name}
	env.Metrics = prometheus.WrapRegistererWith(labels, r.metrics.add(metrics))
	in, err := c.Settings.Input(env)
	if err != nil {
		return nil, err
	}
	r.all[c.Name] = newRelay(in, metrics)
	return r.all[c.Name], nil
}

// keep forgets those of inputs that are not in a config; they have ended.
func (r *relays) keep(cfg *config.Config) {
	for name, one := range r.all {
		if !slices.ContainsFunc(cfg.Inputs, func(c config.Input) bool { return c.Name == name }) {
			r.metrics.end(one.metrics)
			delete(r.all, name)
		}
	}
}

// end ends what is between two graphs.
func (r *relays) end() {
	for _, one := range r.all {
		one.end()
	}
}

// try makes all components of an island once, and leaves them.
func (g *Graphs) try(whole, island *config.Config) error {
	trial := g.newGraph(whole, island, prometheus.NewRegistry())
	trial.Log = slog.New(slog.DiscardHandler)
	trial.Health = func(pipeline.Kind, string) func(error) { return func(error) {} }
	trial.Found = func(string, string) {}
	trial.relays = nil
	if _, err := island.Redactor(); err != nil {
		return err
	}
	for _, c := range island.Inputs {
		if _, err := c.Settings.Input(trial.env(pipeline.KindInput, c.Name)); err != nil {
			return fmt.Errorf("input %s: %w", c.Name, err)
		}
	}
	for _, c := range island.Outputs {
		out, err := c.Settings.Output(trial.env(pipeline.KindOutput, c.Name))
		if err == nil {
			err = out.Close()
		}
		if err != nil {
			return fmt.Errorf("output %s: %w", c.Name, err)
		}
	}
	return trial.addPipelines()
}

// stop ends parts for a reload, all at the same time.
func (g *Graphs) stop(parts []*part) {
	for _, p := range parts {
		p.cancel(errReload)
	}
	for _, p := range parts {
		<-p.done
	}
}

// release cuts the sources of parts that were stopped, and closes their account.
func (g *Graphs) release(old, kept []*part) {
	var inputs []string
	for _, p := range old {
		for _, in := range p.inputs {
			inputs = append(inputs, in.name)
			g.Health(pipeline.KindInput, in.name)(nil)
		}
		for _, o := range p.outputs {
			g.Health(pipeline.KindOutput, o.name)(nil)
		}
	}
	if err := g.ledger.Release(inputs); err != nil {
		g.Log.Warn("progress cannot be stored; nothing of what is reloaded is sent until it can be", "error", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range old {
		p.endObserving()
		p.leave()
		g.past.add(p.Counts())
		g.before.add(p.Status())
		g.metrics.end(p.metrics)
	}
	g.parts = kept
}

// adopt makes parts those of a config, and starts some of them.
func (g *Graphs) adopt(ctx context.Context, cfg *config.Config, parts, made []*part) {
	for _, p := range made {
		g.start(ctx, p)
	}
	g.relays.keep(cfg)
	g.metrics.prune()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.Config, g.parts = cfg, parts
}

// goBack starts what was stopped once more, after its successors could not be built.
func (g *Graphs) goBack(ctx context.Context, former *config.Config, kept, old []*part, why error) error {
	var islands []*config.Config
	for _, p := range old {
		islands = append(islands, p.Config)
	}
	g.metrics.of(former)
	again, err := g.build(former, islands)
	if err != nil {
		return &fatalError{fmt.Errorf("%w; and what ran before cannot be started again: %w", why, err)}
	}
	g.adopt(ctx, former, append(kept, again...), again)
	return why
}

func changesOf(kept, old, made []*part) Changes {
	c := Changes{Restarted: []string{}, Untouched: []string{}, Removed: []string{}}
	for _, p := range kept {
		c.Untouched = append(c.Untouched, p.components()...)
	}
	for _, p := range made {
		c.Restarted = append(c.Restarted, p.components()...)
	}
	for _, p := range old {
		for _, name := range p.components() {
			if !slices.Contains(c.Restarted, name) && !slices.Contains(c.Untouched, name) {
				c.Removed = append(c.Removed, name)
			}
		}
	}
	return c
}

// components returns the kinds and names of what a graph reads and sends to.
func (g *Graph) components() (names []string) {
	for _, in := range g.inputs {
		names = append(names, "input "+in.name)
	}
	for _, p := range g.pipelines {
		names = append(names, "pipeline "+p.name)
	}
	for _, o := range g.outputs {
		names = append(names, "output "+o.name)
	}
	return names
}

// waitForProgress waits until what was read is delivered, for as long as something of it gets on.
func (g *Graph) waitForProgress(ctx context.Context) {
	began := time.Now()
	last, since := g.ends(), began
	for backoff.Sleep(ctx, reloadTick, nil) == nil {
		now := time.Now()
		if n := g.ends(); n != last {
			last, since = n, now
		}
		if now.Sub(since) >= reloadStuck || now.Sub(began) >= reloadDrain {
			return
		}
	}
}

// ends returns how often a record has come to its end, or to disk.
func (g *Graph) ends() uint64 {
	c := g.Counts()
	return c.Delivered + c.Rejected + c.Filtered + c.Skipped + c.Lost + c.Spooled
}

// Probe is Graph.Probe for all graphs.
func (g *Graphs) Probe(ctx context.Context) []Probe {
	g.mu.Lock()
	parts, order := slices.Clone(g.parts), outputNames(g.Config)
	g.mu.Unlock()
	answers, asking := make([][]Probe, len(parts)), sync.WaitGroup{}
	for i, p := range parts {
		asking.Go(func() { answers[i] = p.Probe(ctx) })
	}
	asking.Wait()
	probes := slices.Concat(answers...)
	slices.SortStableFunc(probes, func(a, b Probe) int {
		return slices.Index(order, a.Output) - slices.Index(order, b.Output)
	})
	return probes
}

// Counts returns the sums as they are now, with those of graphs that a reload has stopped.
func (g *Graphs) Counts() Counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.past
	for _, p := range g.parts {
		c.add(p.Counts())
	}
	return c
}

func (c *Counts) add(o Counts) {
	c.Read += o.Read
	c.Due += o.Due
	c.Joined += o.Joined
	c.Counts.Add(o.Counts)
}

// Status returns the account as it is now. What components of the same name have done before a
// reload counts, too.
func (g *Graphs) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	var now Status
	for _, p := range g.parts {
		s := p.Status()
		now.Inputs = append(now.Inputs, s.Inputs...)
		now.Pipelines = append(now.Pipelines, s.Pipelines...)
		now.Outputs = append(now.Outputs, s.Outputs...)
	}
	now.addTo(g.before)
	return now.inOrderOf(g.Config)
}
