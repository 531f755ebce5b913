package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A moved track belongs to a route whose output has put records elsewhere before.
type moved interface {
	// AtTarget gives the other places where the record at a position may be.
	AtTarget(pos uint64) (places [][]byte)
}

// formerly gives the positions of those records of a batch that are stored at a place
// that the config named before. What is uncertain stands before what is not. It can only be after a crash, when the config was
// changed in between: so the lane waits for the answers. false means that ctx ended.
func (l *lane) formerly(ctx context.Context, dl delivery) (stored map[uint64]bool, ok bool) {
	track, tells := dl.track.(moved)
	output, isPlaced := l.d.Output.(pipeline.Targeted)
	records := dl.batch.Records
	if !tells || !isPlaced || len(records) == 0 || !dl.track.Uncertain(records[0].Pos) {
		return nil, true
	}
	byPlace := map[string][]int{}
	for i := range records {
		pos := records[i].Pos
		if !dl.track.Uncertain(pos) || dl.track.Skip(pos) {
			continue
		}
		for _, place := range track.AtTarget(pos) {
			byPlace[string(place)] = append(byPlace[string(place)], i)
		}
	}
	stored = map[uint64]bool{}
	for place, sent := range byPlace {
		if !l.askFormer(ctx, output, []byte(place), dl.batch.Batch, sent, stored) {
			return nil, false
		}
	}
	return stored, true
}

// askFormer asks for records at one place until there is an answer.
func (l *lane) askFormer(ctx context.Context, output pipeline.Targeted, place []byte, b *event.Batch, records []int, stored map[uint64]bool) bool {
	former, err := output.AtTarget(place)
	if err != nil {
		l.cannotAsk(len(records), err)
		return true
	}
	body := encodeFor(former.Encoder(), b, records)
	for pause := time.Until(l.began.Add(settleTime)); ; pause = l.retry.next(asSendError(err)) {
		if !sleep(ctx, pause) {
			return false
		}
		found := make([]bool, len(body.Items))
		err = former.Stored(ctx, body, found)
		switch {
		case errors.Is(err, pipeline.ErrUnknowable):
			l.cannotAsk(len(body.Items), err)
			return true
		case err == nil:
			l.retry.reset()
			for k, is := range found {
				if is {
					stored[body.Items[k].Pos] = true
				}
			}
			return true
		}
		l.d.Log.Warn("it cannot be learnt yet what was sent before the config was changed, will try again", "error", err)
	}
}

func (l *lane) cannotAsk(records int, why error) {
	l.d.metrics.unknowable.Add(uint64(records))
	l.d.unknowable.warn(records, "records may be where the config said before it was changed, and here again: that cannot be asked", "why", why)
}

// encodeFor encodes records of a batch. What cannot be encoded was not sent either.
func encodeFor(encoder pipeline.Encoder, b *event.Batch, records []int) *pipeline.Body {
	body := &pipeline.Body{}
	for _, i := range records {
		start := len(body.Bytes)
		group, err := encoder.Encode(body, b, i)
		if err != nil {
			body.Bytes = body.Bytes[:start]
			continue
		}
		body.Items = append(body.Items, pipeline.Item{Pos: b.Records[i].Pos, End: uint32(len(body.Bytes)), Group: group})
	}
	return body
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
