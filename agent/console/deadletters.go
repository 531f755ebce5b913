package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/longshore/longshore/agent/admin"
	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/pipeline/config"
)

// DeadLetters are those of one output.
type DeadLetters struct {
	Output string `json:"output"`
	Type   string `json:"type"`
	Max    int64  `json:"max_bytes"`
	deliver.Summary
	// Error is why they cannot be read.
	Error string `json:"error,omitempty"`
	// Replay is the one that runs, or the last one since the start.
	Replay *ReplayStatus `json:"replay,omitempty"`
}

// A ReplayStatus is how a replay does.
type ReplayStatus struct {
	Running   bool       `json:"running"`
	Started   time.Time  `json:"started"`
	Ended     *time.Time `json:"ended,omitempty"`
	Total     int        `json:"total"`
	Delivered uint64     `json:"delivered"`
	Rejected  uint64     `json:"rejected"` // once more
	// Problem is why nothing gets through at present, or what has ended it.
	Problem string `json:"problem,omitempty"`
}

// summaryOf is the summary of dead letters as they were.
type summaryOf struct {
	stamp [4]int64
	is    deliver.Summary
}

// DeadLetters returns the dead letters of all outputs.
func (c *Console) DeadLetters() any {
	cfg := c.Options.Config()
	all := []DeadLetters{}
	redact, err := cfg.Redactor()
	for _, o := range cfg.Outputs {
		d := DeadLetters{Output: o.Name, Type: o.Type, Max: int64(o.Common.DeadLetters)}
		if err == nil {
			d.Summary, d.Error = c.summary(cfg, o, redact)
		} else {
			d.Error = err.Error()
		}
		d.Replay = c.replayOf(o.Name).status()
		all = append(all, d)
	}
	return map[string][]DeadLetters{"outputs": all}
}

// summary returns what dead letters an output has. They are read only when they have changed.
func (c *Console) summary(cfg *config.Config, o config.Output, redact func(string) string) (deliver.Summary, string) {
	c.mu.Lock()
	defer c.mu.Unlock() // they are read once, however many ask
	file := graph.DeadLetters(cfg, o)
	stamp := file.Stamp()
	if known, ok := c.summaries[o.Name]; ok && known.stamp == stamp {
		return known.is, ""
	}
	s, err := file.Summarize(o.Type)
	if err != nil {
		return deliver.Summary{Reasons: []deliver.ReasonSummary{}}, err.Error()
	}
	for i := range s.Reasons {
		r := &s.Reasons[i]
		r.Reason = redact(r.Reason)
		for k := range r.Samples {
			r.Samples[k].Record, r.Samples[k].Reason = redact(r.Samples[k].Record), redact(r.Samples[k].Reason)
		}
	}
	c.summaries[o.Name] = summaryOf{stamp, s}
	return s, ""
}

// A replay is one of an output's dead letters.
type replay struct {
	running *graph.Replay
	stop    context.CancelFunc
	started time.Time

	mu      sync.Mutex
	problem error
	ended   *time.Time
}

func (c *Console) replayOf(output string) *replay {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replays[output]
}

// Replay sends the dead letters of an output again, in the background, and returns how that does at
// its beginning.
func (c *Console) Replay(output string) (any, error) {
	cfg := c.Options.Config()
	i := slices.IndexFunc(cfg.Outputs, func(o config.Output) bool { return o.Name == output })
	if i < 0 {
		return nil, admin.Missing(fmt.Sprintf("there is no output %q", output))
	}
	o := cfg.Outputs[i]
	if c.ctx.Err() != nil {
		return nil, admin.Busy("the agent is stopping")
	}
	r := &replay{started: time.Now().UTC()}
	fits := func(l *deliver.DeadLetter) bool { return l.Fits(o.Type) }
	var err error
	r.running, err = graph.OpenReplay(cfg, o, fits, c.Log, r.setProblem)
	switch {
	case errors.Is(err, deliver.ErrReplaying):
		return nil, admin.Busy(err.Error())
	case err != nil:
		return nil, err
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(c.ctx)
	c.mu.Lock()
	c.replays[output] = r
	c.mu.Unlock()
	c.Log.Info("replaying dead letters, as was asked for on the page or the API", "output", output,
		"records", r.running.DeadLetters())
	c.replaying.Go(func() { r.run(ctx) })
	return r.status(), nil
}

// StopReplay ends the replay of an output, if one runs. What it has not sent is left to the next.
func (c *Console) StopReplay(output string) (any, error) {
	r := c.replayOf(output)
	if r == nil {
		return nil, admin.Missing(fmt.Sprintf("no dead letters of %q are being replayed", output))
	}
	r.stop()
	return r.status(), nil
}

func (r *replay) run(ctx context.Context) {
	defer r.stop()
	r.running.Run(ctx)
	n := r.running.Counts()
	err := r.running.Close()
	if left := uint64(r.running.DeadLetters()) - n.Delivered - n.Rejected; left > 0 && err == nil {
		err = fmt.Errorf("it was ended before %d records were sent; the next replay begins with them", left)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now().UTC()
	r.ended, r.problem = &now, err
}

func (r *replay) setProblem(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problem = err
}

// status returns how a replay does; nil for none.
func (r *replay) status() *ReplayStatus {
	if r == nil {
		return nil
	}
	n := r.running.Counts()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &ReplayStatus{Running: r.ended == nil, Started: r.started, Ended: r.ended, Total: r.running.DeadLetters(),
		Delivered: n.Delivered, Rejected: n.Rejected}
	if r.problem != nil {
		s.Problem = r.problem.Error()
	}
	return s
}
