// Package console is what the agent's page shows of it, and does for it: how it is, its config, a
// trial of lines, the dead letters and their replay. Package admin serves it.
package console

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/agent/admin"
	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// Options make a Console. All must be set.
type Options struct {
	Version string
	Config  func() *config.Config // of now
	Status  func() graph.Status
	Reload  func() any // what the last reload of the config came to; nil if there was none
	Health  *admin.Health
	Metrics prometheus.Gatherer
	Log     *slog.Logger
}

// A Console implements admin.Console. Close must follow.
type Console struct {
	Options
	started time.Time
	trials  chan struct{} // one for each that runs

	ctx       context.Context // of replays
	stop      context.CancelFunc
	replaying sync.WaitGroup

	mu        sync.Mutex
	replays   map[string]*replay   // the last one of each output
	summaries map[string]summaryOf // by output
}

var _ admin.Console = (*Console)(nil)

// New returns a Console of an agent that starts now.
func New(o Options) *Console {
	ctx, stop := context.WithCancel(context.Background())
	return &Console{Options: o, started: time.Now().UTC(), trials: make(chan struct{}, maxTrials), ctx: ctx, stop: stop,
		replays: map[string]*replay{}, summaries: map[string]summaryOf{}}
}

// Close ends the replays: what they have not sent is left to the next one of its output.
func (c *Console) Close() {
	c.stop()
	c.replaying.Wait()
}

// Status is how the agent does.
type Status struct {
	Version  string          `json:"version"`
	Started  time.Time       `json:"started"`
	Now      time.Time       `json:"now"` // by which rates can be told
	Ready    bool            `json:"ready"`
	Problems []admin.Problem `json:"problems"`
	graph.Status
	// Dropped are the records that transforms have dropped.
	Dropped []Dropped `json:"dropped"`
	// DeadLetters are the outputs that have some.
	DeadLetters []DeadLetterSize `json:"dead_letters"`
	// Reload is what the last reload of the config came to.
	Reload any `json:"reload,omitempty"`
}

// DeadLetterSize is what the dead letters of an output take on disk.
type DeadLetterSize struct {
	Output string `json:"output"`
	Bytes  int64  `json:"bytes"`
}

// Dropped is how many records a transform of a pipeline has dropped.
type Dropped struct {
	Pipeline  string `json:"pipeline"`
	Transform string `json:"transform"`
	Records   uint64 `json:"records"`
}

// Status returns how the agent does now.
func (c *Console) Status() any {
	started, problems := c.Health.Readiness()
	return Status{
		Version: c.Version, Started: c.started, Now: time.Now().UTC(), Ready: started && len(problems) == 0,
		Problems: problems, Status: c.Options.Status(), Dropped: c.dropped(),
		DeadLetters: c.deadLetterSizes(), Reload: c.Options.Reload(),
	}
}

func (c *Console) deadLetterSizes() []DeadLetterSize {
	all, cfg := []DeadLetterSize{}, c.Options.Config()
	for _, o := range cfg.Outputs {
		if n := graph.DeadLetters(cfg, o).Bytes(); n > 0 {
			all = append(all, DeadLetterSize{o.Name, n})
		}
	}
	return all
}

const droppedMetric = "longshore_transform_dropped_records_total"

// dropped reads what the transforms count: they are no part of the graph's account.
func (c *Console) dropped() []Dropped {
	all := []Dropped{}
	families, err := c.Metrics.Gather()
	if err != nil {
		c.Log.Debug("gathering metrics", "error", err)
	}
	for _, family := range families {
		if family.GetName() != droppedMetric {
			continue
		}
		for _, m := range family.GetMetric() {
			d := Dropped{Records: uint64(m.GetCounter().GetValue())}
			for _, label := range m.GetLabel() {
				switch label.GetName() {
				case "pipeline":
					d.Pipeline = label.GetValue()
				case string(pipeline.KindTransform):
					d.Transform = label.GetValue()
				}
			}
			if d.Records > 0 {
				all = append(all, d)
			}
		}
	}
	return all
}

// Config is the config that the agent runs by.
type Config struct {
	File     string    `json:"file"`
	DataDir  string    `json:"data_dir"`
	Text     string    `json:"text"` // with secrets masked
	Warnings []Warning `json:"warnings"`
	// Pipelines are the names of those that lines can be tried in.
	Pipelines []string `json:"pipelines"`
}

// A Warning is about what works, but should be changed.
type Warning struct {
	Line    int    `json:"line"` // 0: the file as a whole
	Message string `json:"message"`
}

// Config returns the config that the agent runs by.
func (c *Console) Config() any {
	cfg := c.Options.Config()
	answer := Config{File: cfg.File, DataDir: cfg.DataDir, Text: cfg.Text(), Warnings: []Warning{},
		Pipelines: []string{}}
	for _, w := range cfg.Warnings {
		answer.Warnings = append(answer.Warnings, Warning{w.Line, w.What()})
	}
	for _, p := range cfg.Pipelines {
		answer.Pipelines = append(answer.Pipelines, p.Name)
	}
	return answer
}
