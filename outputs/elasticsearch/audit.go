package elasticsearch

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Auditor = (*Output)(nil)

// Audit implements pipeline.Auditor. Ids do not tell how old a document is, so since is not used.
func (o *Output) Audit(time.Time) pipeline.Audit { return audit{o} }

type audit struct{ output *Output }

// Held implements pipeline.Audit: it searches for the ids, as one may be in several indices after a
// rollover.
func (a audit) Held(ctx context.Context, body *pipeline.Body, held []pipeline.Presence) error {
	o := a.output
	if !o.ids {
		return fmt.Errorf("document_ids is false: %w", pipeline.ErrUnknowable)
	}
	targets, err := groupByIndex(body)
	if err != nil {
		return fmt.Errorf("%w: %w", pipeline.ErrUnknowable, err)
	}
	copies := make([]int, len(held))
	for _, t := range targets {
		if err := o.countIDs(ctx, o.searchTarget(t, body), copies); err != nil {
			return err
		}
	}
	for i, n := range copies {
		held[i].Copies = n
	}
	return nil
}

// searchTarget widens a dated index name for records without a time of their own: they may be in
// the index of any day.
func (o *Output) searchTarget(t *indexItems, body *pipeline.Body) *indexItems {
	one := t.items[t.sortedIDs()[0]] // all are of one day
	_, document, _ := bytes.Cut(body.Item(one), []byte("\n"))
	if o.indexNames.template.dated && bytes.HasPrefix(document, []byte(untimed)) {
		return &indexItems{index: o.indexNames.template.pattern(), items: t.items}
	}
	return t
}

// untimed begins a document whose time is below pipeline.UntimedUntil.
const untimed = `{"@timestamp":"1970-01-01T`

// countIDs counts the copies of each id.
func (o *Output) countIDs(ctx context.Context, t *indexItems, copies []int) error {
	if err := o.refresh(ctx, t.index); err != nil {
		return err
	}
	for batch := range slices.Chunk(t.sortedIDs(), maxSearchIDs) {
		if err := o.countBatch(ctx, t, batch, copies); err != nil {
			return err
		}
	}
	return nil
}

// countBatch searches for fewer ids at a time if an answer is full of duplicates; those of a single
// id need not be counted further.
func (o *Output) countBatch(ctx context.Context, t *indexItems, ids []string, copies []int) error {
	shown, err := o.hits(ctx, t.index, ids)
	if err != nil {
		return err
	}
	if len(shown) >= maxHits && len(ids) > 1 {
		half := len(ids) / 2
		if err := o.countBatch(ctx, t, ids[:half], copies); err != nil {
			return err
		}
		return o.countBatch(ctx, t, ids[half:], copies)
	}
	for _, id := range shown {
		if i, ours := t.items[id]; ours {
			copies[i]++
		}
	}
	return nil
}
