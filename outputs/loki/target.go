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

// A lokiTarget is what identifies where an entry was sent. Its JSON is stored in the ledger.
type lokiTarget struct {
	Tenant  string            `json:"tenant,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"` // templates; none are the default ones
	Line    string            `json:"line"`
	Schema  string            `json:"schema,omitempty"`
	MaxLine int               `json:"max_line"`
	// NoMetadata is set with structured_metadata: off. What Loki itself rejects is looked for in
	// either form.
	NoMetadata bool `json:"no_metadata,omitempty"`
}

// Target implements pipeline.Targeted.
func (o *Output) Target() []byte {
	if o.querier == nil {
		return nil
	}
	p, err := json.Marshal(o.target)
	if err != nil {
		return nil // strings and numbers can always be written
	}
	return p
}

func (c *Config) target() lokiTarget {
	p := lokiTarget{Tenant: c.TenantID, Labels: maps.Clone(c.Labels), Line: c.LineFormat, MaxLine: int(c.MaxLineSize),
		NoMetadata: c.StructuredMetadata == "off"}
	if c.Schema != "default" && p.Line == "json" {
		p.Schema = c.Schema
	}
	return p
}

// AtTarget implements pipeline.Targeted: it returns the output with other labels, lines or another
// tenant, querying the same Loki.
func (o *Output) AtTarget(text []byte) (pipeline.PreviousTarget, error) {
	var p lokiTarget
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("reading which stream it was: %w", err)
	}
	labels, problems := parseLabels(p.Labels)
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	o.recall()
	previous := &Output{
		tenant: p.Tenant, client: o.client, log: o.log, metrics: o.metrics,
		labels: labels, raw: p.Line == "raw", schema: event.SchemaNamed(p.Schema), maxLine: p.MaxLine, target: p,
		limiter: o.limiter.clone(), memory: &memory{}, recalled: o.recalled, shifts: o.shifts,
	}
	previous.metadataOff.Store(p.NoMetadata)
	previous.health.now = o.health.now
	if q := o.querier; q != nil {
		previous.querier = &querier{base: q.base, tenant: p.Tenant, client: q.client, slots: q.slots}
		previous.querier.lookback.now = q.lookback.now
	}
	return previousTarget{previous}, nil
}

// A previousTarget is the output with former settings, for queries only.
type previousTarget struct{ output *Output }

// Encoder implements pipeline.PreviousTarget.
func (f previousTarget) Encoder() pipeline.Encoder {
	return &Encoder{output: f.output, sources: map[*event.Source]*source{}}
}

// Stored implements pipeline.PreviousTarget.
func (f previousTarget) Stored(ctx context.Context, body *pipeline.Body, stored []bool) error {
	return f.output.Stored(ctx, body, stored)
}
