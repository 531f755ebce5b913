package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/event"
)

// A movedTrack belongs to a route whose output has put records elsewhere before.
type movedTrack interface {
	// AtTarget returns the other targets where the record at a position may be.
	AtTarget(pos uint64) (targets [][]byte)
}

// storedAtPrevious returns the positions of a batch's records that are stored at a target that the
// config named before. Uncertain records come before all others. It happens only when the config
// was changed after a crash, so the lane may wait for the answers. ok is false if ctx ended.
func (l *lane) storedAtPrevious(ctx context.Context, dl delivery) (stored map[uint64]bool, ok bool) {
	track, moved := dl.track.(movedTrack)
	output, targeted := l.d.Output.(pipeline.Targeted)
	records := dl.batch.Records
	if !moved || !targeted || len(records) == 0 || !dl.track.Uncertain(records[0].Pos) {
		return nil, true
	}
	byTarget := map[string][]int{}
	for i := range records {
		pos := records[i].Pos
		if !dl.track.Uncertain(pos) || dl.track.Skip(pos) {
			continue
		}
		for _, target := range track.AtTarget(pos) {
			byTarget[string(target)] = append(byTarget[string(target)], i)
		}
	}
	stored = map[uint64]bool{}
	for target, sent := range byTarget {
		if !l.askPreviousTarget(ctx, output, []byte(target), dl.batch.Batch, sent, stored) {
			return nil, false
		}
	}
	return stored, true
}

// askPreviousTarget asks for records at one target until there is an answer.
func (l *lane) askPreviousTarget(
	ctx context.Context, output pipeline.Targeted, target []byte, b *event.Batch, records []int, stored map[uint64]bool,
) bool {
	previous, err := output.AtTarget(target)
	if err != nil {
		l.cannotAsk(len(records), err)
		return true
	}
	body := encodeFor(previous.Encoder(), b, records)
	for pause := time.Until(l.started.Add(reconcileDelay)); ; pause = l.pauses.next(asSendError(err)) {
		l.heldUp.Store(true)
		if backoff.Sleep(ctx, pause, nil) != nil {
			return false
		}
		found := make([]bool, len(body.Items))
		err = l.d.withoutSecrets(previous.Stored(ctx, body, found))
		switch {
		case errors.Is(err, pipeline.ErrUnknowable):
			l.cannotAsk(len(body.Items), err)
			return true
		case err == nil:
			l.pauses.Reset()
			for k, is := range found {
				if is {
					stored[body.Items[k].Pos] = true
				}
			}
			return true
		}
		l.d.Log.Warn("asking what was sent before the config was changed failed, will try again", "error", err)
	}
}

func (l *lane) cannotAsk(records int, why error) {
	l.d.metrics.unknowable.Add(uint64(records))
	l.d.unknowable.warn(l.d.Log, records,
		"records may be duplicates of what was sent before the config was changed: that cannot be asked", "why", why)
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
		item := pipeline.Item{Pos: b.Records[i].Pos, End: uint32(len(body.Bytes)), Group: group}
		body.Items = append(body.Items, item)
	}
	return body
}
