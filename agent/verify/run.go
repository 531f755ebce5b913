package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/agent/ledger"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

const (
	maxLanes   = 2 // requests in flight to an output
	maxBackoff = 2 * time.Second
)

// A pass is one run of the graph over ranges.
type pass struct {
	config.Config
	inputs map[string]*replayInput
}

// newPass returns a pass with the given outputs.
func (v *verification) newPass(r ranges, cancel context.CancelCauseFunc,
	output func(config.Output, *deadline) pipeline.OutputConfig) *pass {
	p := &pass{Config: *v.Config, inputs: map[string]*replayInput{}}
	p.ShutdownTimeout = 0
	p.Inputs, p.Outputs = slices.Clone(v.Config.Inputs), slices.Clone(v.Config.Outputs)
	p.Transforms = slices.Clone(v.Config.Transforms)
	for i, c := range p.Transforms {
		if c.Traits.Stateful {
			p.Transforms[i].Settings = noTransform{}
		}
	}
	for i, c := range p.Inputs {
		in := newReplayInput(c, v.Quiet, r.ends(v.states, c))
		p.Inputs[i].Settings, p.inputs[c.Name] = in, in
	}
	for i, c := range p.Outputs {
		own := &p.Outputs[i]
		own.Settings = output(c, &deadline{output: c.Name, after: v.AnswerTimeout, redact: v.redact, end: cancel})
		own.Common.Spool, own.Common.DeadLetters = 0, 0
		own.Common.Lanes = min(max(1, c.Common.Lanes), maxLanes)
		own.Common.Retry.Max = min(c.Common.Retry.Max, pipeline.Duration(maxBackoff))
		own.Common.Retry.Initial = min(c.Common.Retry.Initial, own.Common.Retry.Max)
	}
	return p
}

// run runs the graph in a folder of its own; after is called before that is removed.
func (p *pass) run(ctx context.Context, seeds []ledger.State, log *slog.Logger, now func() time.Time,
	after func() error) error {
	dir, err := os.MkdirTemp("", "longshore-verify-")
	if err != nil { // an image without /tmp
		dir, err = os.MkdirTemp(p.DataDir, "verify-")
	}
	if err != nil {
		return fmt.Errorf("making a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	agents := p.Config
	p.DataDir = dir
	if err := p.copyKnown(&agents); err != nil {
		return err
	}
	if err := ledger.Write(dir, seeds); err != nil {
		return err
	}
	ignore := func(error) {}
	g, err := graph.Build(graph.Options{
		Config: &p.Config, Log: log, Metrics: prometheus.NewRegistry(), Now: now,
		Health: func(pipeline.Kind, string) func(error) { return ignore },
		Vital:  func(string) func(error) { return ignore },
		Found:  func(_, _ string) {},
	})
	if err != nil {
		return err
	}
	err = g.Run(ctx)
	return errors.Join(err, after(), context.Cause(ctx))
}

// copyKnown copies what the agent's outputs know of earlier runs: records come out as they did.
func (p *pass) copyKnown(agents *config.Config) error {
	for i, c := range agents.Outputs {
		from := graph.OutputFolder(agents, c)
		if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.CopyFS(graph.OutputFolder(&p.Config, p.Outputs[i]), os.DirFS(from)); err != nil {
			return fmt.Errorf("output %s: copying what it knows of earlier runs: %w", c.Name, err)
		}
	}
	return nil
}

// audit looks up all records of the ranges, and adds the results to the report.
func (v *verification) audit(ctx context.Context, r ranges, report *Report) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	routes, mu := v.routes(), sync.Mutex{}
	states := map[event.SourceID]*ledger.State{}
	for i := range v.states {
		states[v.states[i].ID] = &v.states[i]
	}
	for at := range r {
		row := report.row(states[at.source], at.route, routes[at.route])
		row.dropper = statefulTransform(v.Config, row.Pipeline)
	}
	onResult := func(res result) {
		at := sourceRoute{res.run.Source.ID, res.run.Track.(*ledger.Track).Route()}
		mu.Lock()
		defer mu.Unlock()
		report.rows[at].add(res, v.undelivered[routes[at.route].output])
	}
	p := v.newPass(r, cancel, func(c config.Output, d *deadline) pipeline.OutputConfig {
		return &auditingConfig{settings: c.Settings, since: v.Since, deadline: d, progress: v.Progress,
			onResult: onResult}
	})
	epoch := func() time.Time { return time.Unix(0, 1) }
	err := p.run(ctx, r.seeds(v.states), slog.New(slog.DiscardHandler), epoch, func() error { return nil })
	for at := range r {
		if reason := p.unread(states[at.source].Input, at.source, r[at].End()); reason != "" {
			report.rows[at].Reasons[reason] = 0
		}
	}
	report.finish()
	return err
}

// unread returns why a source was not read up to its end, or "" if it was.
func (p *pass) unread(input string, id event.SourceID, end uint64) string {
	r := p.inputs[input]
	if r == nil {
		return "its input is no longer in the config"
	}
	reached, read := r.reached[id]
	traits := r.config.Traits
	switch {
	case read && (reached >= r.ends[id] || traits.ReserveAhead > 0): // then the last positions may be missing
		return ""
	case read:
		return fmt.Sprintf("it could only be read up to position %d of %d", reached, end)
	case !traits.Rereadable:
		return "this kind of input cannot be read twice"
	case r.problem != nil:
		return r.problem.Error()
	}
	return "it no longer exists"
}

// send sends the records of the ranges, but for those that their destination turns out to hold.
func (v *verification) send(ctx context.Context, r ranges) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := v.newPass(r, cancel, func(c config.Output, d *deadline) pipeline.OutputConfig {
		return &sendingConfig{settings: c.Settings, deadline: d}
	})
	return p.run(ctx, r.seeds(v.states), v.Log, time.Now, func() error { return v.keepDeadLetters(p) })
}

// keepDeadLetters adds the dead letters of a pass to those of the agent.
func (v *verification) keepDeadLetters(p *pass) error {
	for i, c := range v.Config.Outputs {
		var letters []deliver.DeadLetter
		err := graph.DeadLetters(&p.Config, p.Outputs[i]).Each(func(l *deliver.DeadLetter) error {
			letters = append(letters, *l)
			return nil
		})
		if err == nil && len(letters) > 0 {
			err = graph.DeadLetters(v.Config, c).Write(letters)
		}
		if err != nil {
			return fmt.Errorf("output %s: %w", c.Name, err)
		}
	}
	return nil
}

// noTransform replaces a transform that would not decide as it did, and is its own config.
type noTransform struct{}

// Transform implements pipeline.TransformConfig.
func (noTransform) Transform(pipeline.TransformEnv) (pipeline.Transform, error) {
	return noTransform{}, nil
}

// Apply implements pipeline.Transform.
func (noTransform) Apply(*event.Batch) {}

// statefulTransform returns the name of a transform of a pipeline that may have dropped a record
// which it would not drop now; "" if there is none.
func statefulTransform(cfg *config.Config, pipelineName string) string {
	for _, p := range cfg.Pipelines {
		for _, c := range cfg.Transforms {
			if c.Traits.Stateful && p.Name == pipelineName && slices.Contains(p.Transforms, c.Name) {
				return c.Name
			}
		}
	}
	return ""
}
