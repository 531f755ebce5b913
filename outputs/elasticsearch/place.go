package elasticsearch

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Targeted = (*Output)(nil)

// A place is by which index a record is found. Its id is the same everywhere.
type place struct {
	Index string `json:"index"`
}

// Place implements pipeline.Targeted.
func (o *Output) Target() []byte {
	if !o.ids {
		return nil
	}
	p, err := json.Marshal(place{o.indices.template.text})
	if err != nil {
		return nil // a string can always be written
	}
	return p
}

// AtTarget implements pipeline.Targeted.
func (o *Output) AtTarget(text []byte) (pipeline.PreviousTarget, error) {
	var p place
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("reading which index it was: %w", err)
	}
	template, err := parseIndex(p.Index)
	if err != nil {
		return nil, fmt.Errorf("index %q %w", p.Index, err)
	}
	f := &former{Output: o, indices: newIndices(template, o.indices.max, o.indices.log, o.indices.overflowed)}
	return f, nil
}

// A former is the output as it was with another index.
type former struct {
	*Output
	indices *indices
}

// Encoder implements pipeline.PreviousTarget.
func (f *former) Encoder() pipeline.Encoder {
	return &encoder{ids: true, schema: f.schema, naming: naming{indices: f.indices}}
}

// Stored implements pipeline.PreviousTarget. Nothing is sent there any more that an index
// could refuse as a repeat, so that it is asked whatever it is.
func (f *former) Stored(ctx context.Context, body *pipeline.Body, stored []bool) error {
	targets, err := targetsOf(body)
	if err != nil {
		return fmt.Errorf("%w: %w", pipeline.ErrUnknowable, err)
	}
	times := make([]int, len(stored))
	for _, t := range targets {
		if err := f.tally(ctx, t, times); err != nil {
			return err
		}
	}
	for i, n := range times {
		stored[i] = n > 0
	}
	return nil
}
