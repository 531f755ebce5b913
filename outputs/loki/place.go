package loki

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

var _ pipeline.Targeted = (*Output)(nil)

// A place is by what an entry is found: its tenant, its stream and its line.
type place struct {
	Tenant  string            `json:"tenant,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"` // templates; none are the usual ones
	Line    string            `json:"line"`
	Schema  string            `json:"schema,omitempty"`
	MaxLine int               `json:"max_line"`
}

// Place implements pipeline.Targeted.
func (o *Output) Target() []byte {
	if o.querier == nil {
		return nil
	}
	p, err := json.Marshal(o.place)
	if err != nil {
		return nil // strings and numbers can always be written
	}
	return p
}

func (c *Config) place() place {
	p := place{Tenant: c.Tenant, Labels: maps.Clone(c.Labels), Line: "json", MaxLine: int(orDefault(c.MaxLine, defaultMaxLine))}
	if c.Line == "raw" {
		p.Line = c.Line
	}
	if c.Schema != "default" && p.Line == "json" {
		p.Schema = c.Schema
	}
	return p
}

// AtTarget implements pipeline.Targeted: it gives the output as it was with other
// labels, lines or another tenant. Where it asks has not changed.
func (o *Output) AtTarget(text []byte) (pipeline.PreviousTarget, error) {
	var p place
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("reading which stream it was: %w", err)
	}
	labels, problems := parseLabels(p.Labels)
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	was := &Output{
		tenant: p.Tenant, client: o.client, log: o.log, metrics: o.metrics,
		labels: labels, raw: p.Line == "raw", schema: event.SchemaNamed(p.Schema), maxLine: p.MaxLine, place: p,
		guard: newGuard(o.guard.max, o.log, o.metrics.replaced),
	}
	was.bare.Store(o.bare.Load())
	was.standings.now = o.standings.now
	if q := o.querier; q != nil {
		was.querier = &querier{base: q.base, tenant: p.Tenant, client: q.client, turns: q.turns}
		was.querier.sight.now = q.sight.now
	}
	return former{was}, nil
}

// A former is the output as it was, for asking alone.
type former struct{ output *Output }

// Encoder implements pipeline.PreviousTarget.
func (f former) Encoder() pipeline.Encoder {
	return &Encoder{output: f.output, sources: map[*event.Source]*source{}}
}

// Stored implements pipeline.PreviousTarget.
func (f former) Stored(ctx context.Context, body *pipeline.Body, stored []bool) error {
	return f.output.Stored(ctx, body, stored)
}
