package verify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Progress counts the records that were asked for.
type Progress struct{ checked atomic.Int64 }

// Checked gives the number so far.
func (p *Progress) Checked() int64 { return p.checked.Load() }

// A patience ends everything when a destination gives no answer for too long.
type patience struct {
	name string
	most time.Duration
	end  context.CancelCauseFunc

	mu    sync.Mutex
	since time.Time // of the first failure after the last answer; zero after an answer
}

func (p *patience) worked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = time.Time{}
}

func (p *patience) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() {
		p.since = time.Now()
	}
	if time.Since(p.since) >= p.most {
		p.end(fmt.Errorf("output %s: %w: %w", p.name, ErrUnreachable, err))
	}
}

// asking is the config of an output that asks for records instead of sending them.
type asking struct {
	settings pipeline.OutputConfig
	since    time.Time
	patience *patience
	progress *Progress
	// note takes an answer.
	note func(answer)
}

// Output implements pipeline.OutputConfig.
func (c *asking) Output(env pipeline.Env) (pipeline.Output, error) {
	out, err := c.settings.Output(env)
	if err != nil {
		return nil, err
	}
	a := &asker{Output: out, asking: c}
	if auditor, ok := out.(pipeline.Auditor); ok {
		a.audit = auditor.Audit(c.since)
	}
	return a, nil
}

// An answer is what a destination says of the records of one run of a body.
type answer struct {
	run   *deliver.Run
	items []pipeline.Item
	held  []pipeline.Presence
	text  func(i int) []byte // of an item, for people
}

// An asker is an output as an audit has it.
type asker struct {
	pipeline.Output
	*asking
	audit pipeline.Audit // nil where the destination cannot be asked
}

// Encoder implements pipeline.Output.
func (a *asker) Encoder() pipeline.Encoder {
	if a.audit == nil {
		return ageOnly{nil, a.since.UnixNano()}
	}
	return ageOnly{a.Output.Encoder(), a.since.UnixNano()}
}

// ageOnly encodes what is young enough, and nothing of the rest: items without
// bytes are passed over.
type ageOnly struct {
	encoder pipeline.Encoder
	since   int64
}

// Encode implements pipeline.Encoder.
func (e ageOnly) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	if at := b.Records[i].Time; at < e.since && (at < 0 || at >= pipeline.UntimedUntil) {
		return 0, nil
	}
	if e.encoder == nil {
		dst.Bytes = append(dst.Bytes, '?')
		return 0, nil
	}
	return e.encoder.Encode(dst, b, i)
}

// Send implements pipeline.Output.
func (a *asker) Send(ctx context.Context, body *pipeline.Body) error {
	part := withoutEmpty(body)
	held := make([]pipeline.Presence, len(part.Items))
	err := a.ask(ctx, &part.Body, held)
	if errors.Is(err, pipeline.ErrUnknowable) {
		for i := range held {
			held[i] = pipeline.Presence{Uncertain: err.Error()}
		}
		err = nil
	}
	if err != nil {
		a.patience.failed(err)
		return err
	}
	a.patience.worked()
	for k := range part.Runs {
		first, end := part.Runs[k].First, len(part.Items)
		if k+1 < len(part.Runs) {
			end = part.Runs[k+1].First
		}
		a.note(answer{
			run: &part.Runs[k], items: part.Items[first:end], held: held[first:end],
			text: func(i int) []byte { return a.Original(&part.Body, first+i) },
		})
	}
	a.progress.checked.Add(int64(len(part.Items)))
	return nil
}

var errCannotAsk = fmt.Errorf("this kind of output cannot be asked: %w", pipeline.ErrUnknowable)

func (a *asker) ask(ctx context.Context, body *pipeline.Body, held []pipeline.Presence) error {
	switch {
	case a.audit == nil:
		return errCannotAsk
	case len(held) == 0:
		return nil
	}
	return a.audit.Held(ctx, body, held)
}

// withoutEmpty gives a body without the items that have no bytes. It shares the
// memory of the other.
func withoutEmpty(body *pipeline.Body) *deliver.Body {
	part := deliver.NewBody()
	part.Bytes, part.Groups = body.Bytes, body.Groups
	runs, run := *body.Sources.(*deliver.Runs), 0
	for i := range body.Items {
		for run < len(runs) && runs[run].First <= i {
			next := runs[run]
			next.First = len(part.Items)
			part.Runs = append(part.Runs, next)
			run++
		}
		if len(body.Item(i)) > 0 {
			part.Items = append(part.Items, body.Items[i])
		}
	}
	return part
}

// sending is the config of an output that sends, but not for ever.
type sending struct {
	settings pipeline.OutputConfig
	patience *patience
}

// Output implements pipeline.OutputConfig.
func (c *sending) Output(env pipeline.Env) (pipeline.Output, error) {
	out, err := c.settings.Output(env)
	if err != nil {
		return nil, err
	}
	return &sender{out, c.patience}, nil
}

type sender struct {
	pipeline.Output
	patience *patience
}

// Send implements pipeline.Output.
func (s *sender) Send(ctx context.Context, body *pipeline.Body) error {
	err := s.Output.Send(ctx, body)
	s.heard(err)
	return err
}

// Stored implements pipeline.Reconciler.
func (s *sender) Stored(ctx context.Context, body *pipeline.Body, stored []bool) error {
	r, ok := s.Output.(pipeline.Reconciler)
	if !ok {
		return errCannotAsk
	}
	err := r.Stored(ctx, body, stored)
	if errors.Is(err, pipeline.ErrUnknowable) {
		s.heard(nil)
	} else {
		s.heard(err)
	}
	return err
}

// heard takes note of an answer: what refuses records, or sends them back to be split,
// answers.
func (s *sender) heard(err error) {
	var answer *pipeline.SendError
	stuck := err != nil
	if errors.As(err, &answer) {
		stuck = answer.Items == nil && (answer.Outcome == pipeline.Retry || answer.Outcome == pipeline.Hold)
	}
	if stuck {
		s.patience.failed(err)
		return
	}
	s.patience.worked()
}
