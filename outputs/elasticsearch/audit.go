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

// Audit implements pipeline.Auditor. Ids do not tell how old a document is, so
// that since means nothing here.
func (o *Output) Audit(time.Time) pipeline.Audit { return audit{o} }

type audit struct{ output *Output }

// Held implements pipeline.Audit: it searches for the ids, in an index as in
// what rolls over, where one id may be in several indices.
func (a audit) Held(ctx context.Context, body *pipeline.Body, held []pipeline.Presence) error {
	o := a.output
	if !o.ids {
		return fmt.Errorf("ids is false: %w", pipeline.ErrUnknowable)
	}
	targets, err := targetsOf(body)
	if err != nil {
		return fmt.Errorf("%w: %w", pipeline.ErrUnknowable, err)
	}
	times := make([]int, len(held))
	for _, t := range targets {
		if err := o.tally(ctx, o.whereItMayBe(t, body), times); err != nil {
			return err
		}
	}
	for i, n := range times {
		held[i].Copies = n
	}
	return nil
}

// whereItMayBe widens a target whose name has the date of records that have
// forgotten theirs: they may be in the index of any day.
func (o *Output) whereItMayBe(t *target, body *pipeline.Body) *target {
	one := t.items[t.sortedIDs()[0]] // all are of one day
	_, document, _ := bytes.Cut(body.Item(one), []byte("\n"))
	if o.indices.template.dated && bytes.HasPrefix(document, []byte(undated)) {
		return &target{index: o.indices.template.pattern(), items: t.items}
	}
	return t
}

// undated begins a document whose time is below pipeline.Undated.
const undated = `{"@timestamp":"1970-01-01T`

// tally counts how often each id of a target is there.
func (o *Output) tally(ctx context.Context, t *target, times []int) error {
	if err := o.refresh(ctx, t.index); err != nil {
		return err
	}
	for batch := range slices.Chunk(t.sortedIDs(), askedIDs) {
		if err := o.tallyBatch(ctx, t, batch, times); err != nil {
			return err
		}
	}
	return nil
}

// tallyBatch asks for fewer ids at a time where an answer is full of repeats, and
// takes the repeats of one id that fill it alone for all there are.
func (o *Output) tallyBatch(ctx context.Context, t *target, ids []string, times []int) error {
	shown, err := o.hits(ctx, t.index, ids)
	if err != nil {
		return err
	}
	if len(shown) >= shownIDs && len(ids) > 1 {
		half := len(ids) / 2
		if err := o.tallyBatch(ctx, t, ids[:half], times); err != nil {
			return err
		}
		return o.tallyBatch(ctx, t, ids[half:], times)
	}
	for _, id := range shown {
		if i, ours := t.items[id]; ours {
			times[i]++
		}
	}
	return nil
}
