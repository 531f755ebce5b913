package graph

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// A panic that is not that of one record or request leaves a graph of which nobody knows what it
// has done, and so does a worker that is stuck. Such a graph is stopped as for a reload, and
// started anew from what is on disk: what it had handed on before is void, or uncertain.

// contained calls f, and reports whether it has returned. If it has panicked, the graph is broken.
func (g *Graph) contained(component string, f func()) (returned bool) {
	defer func() {
		if !returned {
			g.panicked(component, recover())
		}
	}()
	f()
	return true
}

// panicked notes that something has panicked on which the graph's state depends. It is called by
// the deferred function that has recovered.
func (g *Graph) panicked(component string, value any) {
	g.Log.Error("something has panicked, and what is connected with it is started anew; this is a bug: please report "+
		"it with the stack", "component", component, "panic", fmt.Sprint(value), "stack", string(debug.Stack()))
	g.breakDown(component)
}

// breakDown has the graph stopped.
func (g *Graph) breakDown(component string) {
	if g.broken.CompareAndSwap(nil, &component) {
		g.onBroken()
	}
}

// endGrace is how long a part of the graph may take to notice that it is to end. What takes longer
// is abandoned: it can no longer say anything.
const endGrace = 10 * time.Second

// waitFor waits for goroutines; once ctx has ended, for no longer than endGrace. It reports whether
// they have ended.
func (g *Graph) waitFor(ctx context.Context, what string, running *sync.WaitGroup) bool {
	ended := make(chan struct{})
	go func() {
		running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return true
	case <-ctx.Done():
	}
	select {
	case <-ended:
		return true
	case <-time.After(endGrace):
	}
	g.Log.Error("something does not end, although it was told to, and is abandoned; what it has is read again",
		"what", what, "stacks", pipeline.Stacks())
	return false
}

// discard takes what comes to a worker that has panicked, until the graph has stopped. Nothing of
// it is acknowledged.
func (w *worker) discard() {
	for {
		select {
		case m := <-w.in:
			m.discard()
		case <-w.quit:
			return
		}
	}
}

func (m *message) discard() {
	switch {
	case m.ask != nil:
		m.reply <- position{}
	case m.batch == nil:
		m.closed(false)
	default:
		m.of.coming.Add(-1)
	}
}

const stuckReview = 10 * time.Second

// watchStuck notices what is stuck, until ctx ends: workers at a batch, outputs at encoding, and
// inputs. Waiting for each other does not count.
func (g *Graph) watchStuck(ctx context.Context) {
	ticker := time.NewTicker(stuckReview)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		late := now.Sub(last) > 2*stuckReview // the program has stood still, and all workers with it
		last = now
		if late {
			continue
		}
		if component := g.stuck(now); component != "" {
			g.Log.Error("something is stuck, and what is connected with it is started anew; this is a bug: please "+
				"report it with the stacks", "component", component, "after", pipeline.StuckAfter,
				"stacks", pipeline.Stacks())
			g.breakDown(component)
			return
		}
	}
}

// stuck returns what is stuck, or "".
func (g *Graph) stuck(now time.Time) (component string) {
	if slices.ContainsFunc(g.workers, func(w *worker) bool { return w.busy.IsStuck(now) }) ||
		slices.ContainsFunc(g.catchUps(), func(c *catchUp) bool { return c.busy.IsStuck(now) }) {
		return thePipelines
	}
	for _, o := range g.outputs {
		if o.deliverer.IsStuck(now) {
			return "output " + o.name
		}
	}
	for _, in := range g.inputs {
		if s, ok := in.input.(pipeline.Supervised); ok && in.relay == nil && s.Stuck(now) {
			return "input " + in.name
		}
	}
	return ""
}

// thePipelines is the component that is named where it is not known which pipeline it was.
const thePipelines = "the pipelines"

const (
	// healPause is how long what has broken again is stopped before it is started, doubled each
	// time up to healPauseMax. What has run for healedAfter is started at once.
	healPause    = time.Second
	healPauseMax = time.Minute
	healedAfter  = 10 * time.Minute
)

// A healing is what is known of an island that has broken down.
type healing struct {
	island    *config.Config
	component string        // that broke it
	pause     time.Duration // before it was started last
	since     time.Time     // when that was
	due       time.Time     // when it is to be started; zero where it runs
}

// healingOf returns what is known of a part's island.
func (g *Graphs) healingOf(p *part) *healing {
	for _, h := range g.healings {
		if config.SameIsland(h.island, p.Config) {
			return h
		}
	}
	h := &healing{island: p.Config}
	g.healings = append(g.healings, h)
	return h
}

// heal stops parts that are broken, and starts those whose time has come.
func (g *Graphs) heal(ctx context.Context) {
	for _, p := range slices.Clone(g.parts) {
		if component := p.broken.Load(); component != nil {
			g.stopBroken(ctx, p, *component)
		}
	}
	for _, h := range g.healings {
		if ctx.Err() == nil && !h.due.IsZero() && !time.Now().Before(h.due) {
			g.startAgain(ctx, h)
		}
	}
}

func (g *Graphs) stopBroken(ctx context.Context, p *part, component string) {
	g.stop([]*part{p})
	if ctx.Err() != nil {
		return
	}
	g.release([]*part{p}, slices.DeleteFunc(slices.Clone(g.parts), func(o *part) bool { return o == p }))
	g.restarts.WithLabelValues(component).Inc()
	h := g.healingOf(p)
	h.component = component
	if h.since.IsZero() || time.Since(h.since) > healedAfter {
		h.pause = 0
	} else {
		h.pause = min(max(2*h.pause, healPause), healPauseMax)
	}
	h.due = time.Now().Add(h.pause)
	if h.pause > 0 {
		g.Vital(h.component)(fmt.Errorf("it has broken down again, and is started anew in %v; the log has why",
			h.pause))
	}
}

// startAgain starts an island that had broken down.
func (g *Graphs) startAgain(ctx context.Context, h *healing) {
	made, err := g.build(g.Config, []*config.Config{h.island})
	if err != nil {
		h.pause = min(max(2*h.pause, healPause), healPauseMax)
		h.due = time.Now().Add(h.pause)
		g.Vital(h.component)(fmt.Errorf("it has broken down, and cannot be started anew: %w", err))
		return
	}
	g.Vital(h.component)(nil)
	h.since, h.due = time.Now(), time.Time{}
	g.adopt(ctx, g.Config, append(slices.Clone(g.parts), made...), made)
}

// nextHealing returns how long it is until something is to be started, if anything is.
func (g *Graphs) nextHealing() (wait time.Duration, any bool) {
	for _, h := range g.healings {
		if left := time.Until(h.due); !h.due.IsZero() && (!any || left < wait) {
			wait, any = max(0, left), true
		}
	}
	return wait, any
}

// forgetHealings forgets what had broken down, as a reload has started all there is.
func (g *Graphs) forgetHealings() {
	for _, h := range g.healings {
		if !h.due.IsZero() {
			g.Vital(h.component)(nil)
		}
	}
	g.healings = nil
}
