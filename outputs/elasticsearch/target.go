package elasticsearch

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Targeted = (*Output)(nil)

// An esTarget is the index of a record; its id is the same everywhere. Its JSON is stored in the
// ledger.
type esTarget struct {
	Index string `json:"index"`
}

// Target implements pipeline.Targeted.
func (o *Output) Target() []byte {
	if !o.ids {
		return nil
	}
	p, err := json.Marshal(esTarget{o.indexNames.template.text})
	if err != nil {
		return nil // a string can always be written
	}
	return p
}

// AtTarget implements pipeline.Targeted.
func (o *Output) AtTarget(text []byte) (pipeline.PreviousTarget, error) {
	var p esTarget
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("reading which index it was: %w", err)
	}
	template, err := parseIndex(p.Index)
	if err != nil {
		return nil, fmt.Errorf("index %q %w", p.Index, err)
	}
	f := &previousTarget{Output: o, indexNames: newIndexNames(template, o.indexNames.max, o.indexNames.log,
		o.indexNames.overflowed)}
	return f, nil
}

// A previousTarget is the output with another index.
type previousTarget struct {
	*Output
	indexNames *indexNames
}

// Encoder implements pipeline.PreviousTarget.
func (f *previousTarget) Encoder() pipeline.Encoder {
	return f.encoder(true, f.indexNames)
}

// Stored implements pipeline.PreviousTarget. It always searches: nothing is sent there any more
// that an index could reject as a duplicate.
func (f *previousTarget) Stored(ctx context.Context, body *pipeline.Body, stored []bool) error {
	copies, err := f.copiesOf(ctx, body, f.findBatch, func(t *indexItems) (*indexItems, error) { return t, nil })
	for i, n := range copies {
		stored[i] = n > 0
	}
	return err
}
