package verify

import (
	"context"
	"errors"
	"fmt"
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
	// lanes are how many questions, or requests, are on their way to an output at most.
	lanes = 2
	// retryMax is the longest pause after one that failed.
	retryMax = 2 * time.Second
)

// A pass is one run of the graph through a todo.
type pass struct {
	config.Config
	inputs map[string]*reread
	cancel context.CancelCauseFunc
}

// newPass gives a pass whose outputs are made by output.
func (v *verification) newPass(t todo, cancel context.CancelCauseFunc, output func(config.Output, *patience) pipeline.OutputConfig) *pass {
	p := &pass{Config: *v.Config, inputs: map[string]*reread{}, cancel: cancel}
	p.ShutdownTimeout = 0
	p.Inputs, p.Outputs = slices.Clone(v.Config.Inputs), slices.Clone(v.Config.Outputs)
	p.Transforms = slices.Clone(v.Config.Transforms)
	for i, c := range p.Transforms {
		if c.Traits.Stateful {
			p.Transforms[i].Settings = nothing{}
		}
	}
	for i, c := range p.Inputs {
		r := newReread(c, v.Quiet, t.ends(v.states, c))
		p.Inputs[i].Settings, p.inputs[c.Name] = r, r
	}
	for i, c := range p.Outputs {
		own := &p.Outputs[i]
		own.Settings = output(c, &patience{name: c.Name, most: v.Patience, end: cancel})
		own.Common.Spool, own.Common.DeadLetters = 0, 0
		own.Common.Lanes = min(max(1, c.Common.Lanes), lanes)
		own.Common.Retry.Max = min(c.Common.Retry.Max, pipeline.Duration(retryMax))
		own.Common.Retry.Initial = min(c.Common.Retry.Initial, own.Common.Retry.Max)
	}
	return p
}

// run goes through the todo, in a folder of its own, which after sees before it is
// removed.
func (p *pass) run(ctx context.Context, seeds []ledger.State, log *slog.Logger, now func() time.Time, after func() error) error {
	dataDir := p.DataDir
	dir, err := os.MkdirTemp("", "longshore-verify-")
	if err != nil { // an image without /tmp
		dir, err = os.MkdirTemp(dataDir, "verify-")
	}
	if err != nil {
		return fmt.Errorf("making a folder to work in: %w", err)
	}
	defer os.RemoveAll(dir)
	p.DataDir = dir
	if err := ledger.Write(dir, seeds); err != nil {
		return err
	}
	nobody := func(error) {}
	g, err := graph.Build(graph.Options{
		Config: &p.Config, Log: log, Metrics: prometheus.NewRegistry(), Now: now,
		Health: func(pipeline.Kind, string) func(error) { return nobody },
		Vital:  func(string) func(error) { return nobody },
	})
	if err != nil {
		return err
	}
	err = g.Run(ctx)
	return errors.Join(err, after(), context.Cause(ctx))
}

// audit asks for all that is to be done, and puts it into the report.
func (v *verification) audit(ctx context.Context, t todo, report *Report) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	routes, mu := v.routes(), sync.Mutex{}
	states := map[event.SourceID]*ledger.State{}
	for i := range v.states {
		states[v.states[i].ID] = &v.states[i]
	}
	for at := range t {
		name := at.route
		row := report.row(states[at.source], name, routes[name])
		row.dropper = dropper(v.Config, row.Pipeline)
	}
	note := func(a answer) {
		at := place{a.run.Source.ID, a.run.Track.(*ledger.Track).Route()}
		mu.Lock()
		defer mu.Unlock()
		report.rows[at].note(a, v.exempt[routes[at.route].output])
	}
	p := v.newPass(t, cancel, func(c config.Output, patient *patience) pipeline.OutputConfig {
		return &asking{settings: c.Settings, since: v.Since, patience: patient, progress: v.Progress, note: note}
	})
	epoch := func() time.Time { return time.Unix(0, 1) }
	err := p.run(ctx, t.seeds(v.states), slog.New(slog.DiscardHandler), epoch, func() error { return nil })
	p.explain(t, states, report)
	report.finish()
	return err
}

// explain says of each source that was not read as far as it should have been, why.
func (p *pass) explain(t todo, states map[event.SourceID]*ledger.State, report *Report) {
	for at := range t {
		r := p.inputs[states[at.source].Input]
		if r == nil {
			report.rows[at].Why["its input is not in the config any more"] = 0
			continue
		}
		reached, read := r.reached[at.source]
		why := "it is not there any more"
		traits := r.config.Traits
		switch {
		case read && (traits.ReserveAhead > 0 || // the last of its positions need not come again
			reached >= r.ends[at.source]):
			continue
		case read:
			why = fmt.Sprintf("it could be read up to position %d of %d only", reached, t[at].End())
		case !traits.Rereadable:
			why = "this kind of input cannot be read twice"
		case r.trouble != nil:
			why = r.trouble.Error()
		}
		report.rows[at].Why[why] = 0
	}
}

// send sends what is to be done, but for what its destination turns out to hold.
func (v *verification) send(ctx context.Context, t todo) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := v.newPass(t, cancel, func(c config.Output, patient *patience) pipeline.OutputConfig {
		return &sending{settings: c.Settings, patience: patient}
	})
	return p.run(ctx, t.seeds(v.states), v.Log, time.Now, func() error { return v.keepLetters(p) })
}

// keepLetters puts the dead letters of a pass among the others.
func (v *verification) keepLetters(p *pass) error {
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
