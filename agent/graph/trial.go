package graph

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// A Trial takes lines through one pipeline of a config, and returns what becomes of them. Nothing
// is stored or sent. It is the Feed of one input, whose lines Run then takes.
type Trial struct {
	pipeline   *pipelineInstance
	transforms []string // their names
	outputs    []string // of the pipeline
	bits       []uint32 // of each output in ExcludedOutputs
	src        *event.Source
	now        func() time.Time
	pos        uint64
	batches    chan *event.Batch
}

var _ pipeline.Feed = (*Trial)(nil)

// An Outcome is what became of one record.
type Outcome struct {
	Line     string // as it was read; of joined lines, all of them
	Format   event.Format
	Steps    []Step // the first one is by the parsers
	Dropped  string // who dropped it, if somebody did
	Rejected bool   // it would become a dead letter
	Outputs  []string
}

// A Step is a record, in the default shape, as somebody left it.
type Step struct {
	By     string
	Record []byte
}

// Record returns the record as it leaves the pipeline.
func (o *Outcome) Record() []byte { return o.Steps[len(o.Steps)-1].Record }

// byParsers is the name of the first step.
const byParsers = "parsers"

// NewTrial prepares the trial of a pipeline; an empty name is the first one's. now is the time of
// lines without one.
func NewTrial(
	cfg *config.Config, name string, labels []event.Label, log *slog.Logger, now func() time.Time,
) (*Trial, error) {
	g := &Graph{Options: Options{
		Config: cfg, Log: log, Metrics: prometheus.NewRegistry(),
		Health: func(pipeline.Kind, string) func(error) { return func(error) {} },
	}, all: outputNames(cfg)}
	if err := g.addPipelines(); err != nil {
		return nil, err
	}
	labels, options := splitOptions(labels)
	k, err := g.pipelineToTry(name, options)
	if err != nil {
		return nil, err
	}
	shared := g.pipelines[k]
	parsing, err := options.parsing(shared.parsing, g.parsers, cfg)
	if err != nil {
		return nil, err
	}
	t := &Trial{
		transforms: cfg.Pipelines[k].Transforms, outputs: cfg.Pipelines[k].Outputs,
		src: event.NewSource(1, "try", "try", labels), now: now, batches: make(chan *event.Batch),
	}
	t.pipeline = &pipelineInstance{shared: shared, parsing: parsing, parsers: parsing.chains.get(0, t.src)}
	if parsing.newJoiner != nil {
		t.pipeline.join = newJoin(parsing, t.src, 0, nil)
	}
	for _, output := range t.outputs {
		bit := slices.IndexFunc(cfg.Outputs, func(o config.Output) bool { return o.Name == output })
		t.bits = append(t.bits, 1<<bit)
	}
	return t, nil
}

// pipelineToTry returns the index of a pipeline: the one named, or the first that the options
// choose.
func (g *Graph) pipelineToTry(name string, o sourceOptions) (int, error) {
	if name == "" {
		chosen, err := o.pipelines(g.pipelines, g.pipelines)
		return slices.Index(g.pipelines, chosen[0]), err
	}
	var names []string
	for k, p := range g.pipelines {
		if p.name == name {
			return k, nil
		}
		names = append(names, p.name)
	}
	return 0, fmt.Errorf("there is no pipeline %q; there is %s", name, strings.Join(names, ", "))
}

// Run calls visit for every record of the input that feeds the trial, in order, until the input
// closes its source, ctx ends or visit returns an error.
func (t *Trial) Run(ctx context.Context, visit func(Outcome) error) error {
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		var outcomes []Outcome
		taken := false
		select {
		case b, ok := <-t.batches:
			if !ok {
				return visitAll(t.End(), visit)
			}
			outcomes, taken = t.join(b), true
		case <-wait.C:
			outcomes = t.End()
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := visitAll(outcomes, visit); err != nil {
			return err
		}
		if taken { // only now: the next lines may have waited meanwhile
			wait.Reset(t.pipeline.join.wait())
		}
	}
}

func visitAll(outcomes []Outcome, visit func(Outcome) error) error {
	for _, o := range outcomes {
		if err := visit(o); err != nil {
			return err
		}
	}
	return nil
}

// Lines takes lines of a time, or of none that is known (zero), and returns the records that are
// whole. Call it, and End after it, instead of Run.
func (t *Trial) Lines(lines []string, at time.Time) []Outcome {
	b := t.Batch(t.src)
	b.From = t.pos
	var ns int64
	if !at.IsZero() {
		ns = at.UnixNano()
	}
	for _, line := range lines {
		b.Add(t.pos, ns, b.PutString(line))
		t.pos += uint64(len(line)) + 1
	}
	b.To = t.pos
	return t.join(b)
}

// End ends the record that is pending.
func (t *Trial) End() []Outcome {
	if !t.pipeline.join.pending() {
		return nil
	}
	b := t.Batch(t.src)
	t.pipeline.join.release(b, t.pos)
	return t.outcomes(b)
}

func (t *Trial) join(b *event.Batch) []Outcome {
	t.pos = b.To
	if t.pipeline.join != nil {
		t.pipeline.join.joinLines(b)
	}
	return t.outcomes(b)
}

func (t *Trial) outcomes(b *event.Batch) []Outcome {
	all := make([]Outcome, len(b.Records))
	for i := range b.Records {
		t.pipeline.parsers.parse(b, i)
		r := &b.Records[i]
		if r.Time == 0 {
			r.Time = t.now().UnixNano()
		}
		r.Time = t.pipeline.uniquifier.unique(r.Time)
		t.pipeline.dropBelowLevel(r)
		all[i] = Outcome{Line: string(b.Line(i)), Format: r.Format}
	}
	t.step(all, b, byParsers)
	for k, transform := range t.pipeline.shared.transforms {
		transform.Apply(b)
		t.step(all, b, t.transforms[k])
	}
	for i := range all {
		all[i].Outputs = t.outputsOf(&b.Records[i])
	}
	return all
}

// step notes what each record has become, if it has changed.
func (t *Trial) step(all []Outcome, b *event.Batch, by string) {
	for i := range all {
		o, r := &all[i], &b.Records[i]
		if o.Dropped != "" || o.Rejected {
			continue
		}
		record := event.AppendRecord(nil, b, i, true)
		if len(o.Steps) == 0 || string(record) != string(o.Record()) {
			o.Steps = append(o.Steps, Step{by, record})
		}
		o.Rejected = r.Flags&event.Rejected != 0
		if r.Flags&event.Dropped != 0 {
			o.Dropped = by
		}
	}
}

func (t *Trial) outputsOf(r *event.Record) []string {
	var names []string
	for k, name := range t.outputs {
		if r.ExcludedOutputs&t.bits[k] == 0 {
			names = append(names, name)
		}
	}
	return names
}

// Known implements pipeline.Feed.
func (t *Trial) Known() []pipeline.Known { return nil }

// Open implements pipeline.Feed. The labels are those of the trial.
func (t *Trial) Open(event.SourceID, string, []event.Label) (*event.Source, error) { return t.src, nil }

// Adopt implements pipeline.Feed. The labels are those of the trial.
func (t *Trial) Adopt(
	at pipeline.Known, _ uint64, _ []event.Label,
) (*event.Source, pipeline.Cursor, error) {
	return t.src, at.Cursor, nil
}

// Describe implements pipeline.Feed.
func (t *Trial) Describe(id event.SourceID, key string, labels []event.Label) *event.Source {
	return event.NewSource(id, t.src.Input, key, labels)
}

// Batch implements pipeline.Feed.
func (t *Trial) Batch(src *event.Source) *event.Batch {
	b := &event.Batch{}
	b.Reset(src)
	return b
}

// Send implements pipeline.Feed.
func (t *Trial) Send(ctx context.Context, b *event.Batch) error {
	select {
	case t.batches <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close implements pipeline.Feed.
func (t *Trial) Close(*event.Source, bool) { close(t.batches) }

// Hurry implements pipeline.Feed.
func (t *Trial) Hurry(bool) {}

// Behind implements pipeline.Feed.
func (t *Trial) Behind(*event.Source, uint64) (from uint64, behind bool) {
	return math.MaxUint64, false
}

// SpoolRoom implements pipeline.Feed.
func (t *Trial) SpoolRoom() int64 { return 0 }

// PipelinesOf returns the names of the pipelines that a source of an input goes through: those that
// its labels choose, or else those of the input. An error is that a label names one that is not
// there; then those of the input are taken.
func PipelinesOf(cfg *config.Config, input string, labels []event.Label) ([]string, error) {
	var all, ofInput []*sharedPipeline
	for _, c := range cfg.Pipelines {
		p := &sharedPipeline{name: c.Name, panics: &pipeline.Panics{}}
		all = append(all, p)
		if slices.Contains(c.Inputs, input) {
			ofInput = append(ofInput, p)
		}
	}
	_, options := splitOptions(labels)
	chosen, err := options.pipelines(ofInput, all)
	var names []string
	for _, p := range chosen {
		names = append(names, p.name)
	}
	return names, err
}
