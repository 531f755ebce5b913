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

// Progress counts the records that were looked up.
type Progress struct{ checked atomic.Int64 }

// Checked returns the number so far.
func (p *Progress) Checked() int64 { return p.checked.Load() }

// A deadline ends everything when a destination gives no answer for too long.
type deadline struct {
	output string
	after  time.Duration
	redact func(string) string // see config.Config.Redactor
	end    context.CancelCauseFunc

	mu    sync.Mutex
	since time.Time // of the first failure after the last answer; zero after an answer
}

// answered notes an answer, which an error that is not nil says was none.
func (d *deadline) answered(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.since = time.Time{}
		return
	}
	if d.since.IsZero() {
		d.since = time.Now()
	}
	if time.Since(d.since) >= d.after {
		d.end(fmt.Errorf("output %s: %w: %w", d.output, ErrUnreachable, deliver.WithoutSecrets(err, d.redact)))
	}
}

// auditingConfig is the config of an output that looks records up instead of sending them.
type auditingConfig struct {
	settings pipeline.OutputConfig
	since    time.Time
	deadline *deadline
	progress *Progress
	onResult func(result)
}

// Output implements pipeline.OutputConfig.
func (c *auditingConfig) Output(env pipeline.Env) (pipeline.Output, error) {
	out, err := c.settings.Output(env)
	if err != nil {
		return nil, err
	}
	a := &auditingOutput{Output: out, auditingConfig: c}
	if auditor, ok := out.(pipeline.Auditor); ok {
		a.audit = auditor.Audit(c.since)
	}
	return a, nil
}

// A result is what a destination holds of one run of a body.
type result struct {
	run      *deliver.Run
	items    []pipeline.Item
	presence []pipeline.Presence
	text     func(i int) []byte // of an item, for people
}

type auditingOutput struct {
	pipeline.Output
	*auditingConfig
	audit pipeline.Audit // nil for a destination that cannot be asked
}

// Encoder implements pipeline.Output.
func (a *auditingOutput) Encoder() pipeline.Encoder {
	return sinceEncoder{a.Output.Encoder(), a.since.UnixNano()}
}

// sinceEncoder encodes older records to nothing: Send leaves out items without bytes.
type sinceEncoder struct {
	encoder pipeline.Encoder
	since   int64
}

// Encode implements pipeline.Encoder.
func (e sinceEncoder) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	if at := b.Records[i].Time; at < e.since && (at < 0 || at >= pipeline.UntimedUntil) {
		return 0, nil
	}
	return e.encoder.Encode(dst, b, i)
}

// Send implements pipeline.Output.
func (a *auditingOutput) Send(ctx context.Context, body *pipeline.Body) error {
	part := withoutEmpty(body)
	presence := make([]pipeline.Presence, len(part.Items))
	err := a.lookUp(ctx, &part.Body, presence)
	if errors.Is(err, pipeline.ErrUnknowable) {
		why := deliver.WithoutSecrets(err, a.deadline.redact).Error()
		for i := range presence {
			presence[i] = pipeline.Presence{Uncertain: why}
		}
		err = nil
	}
	a.deadline.answered(err)
	if err != nil {
		return err
	}
	for k := range part.Runs {
		first, end := part.Runs[k].First, len(part.Items)
		if k+1 < len(part.Runs) {
			end = part.Runs[k+1].First
		}
		a.onResult(result{
			run: &part.Runs[k], items: part.Items[first:end], presence: presence[first:end],
			text: func(i int) []byte { return a.Original(&part.Body, first+i) },
		})
	}
	a.progress.checked.Add(int64(len(part.Items)))
	return nil
}

var errCannotAsk = fmt.Errorf("this kind of output cannot be asked: %w", pipeline.ErrUnknowable)

func (a *auditingOutput) lookUp(ctx context.Context, body *pipeline.Body, presence []pipeline.Presence) error {
	switch {
	case a.audit == nil:
		return errCannotAsk
	case len(presence) == 0:
		return nil
	}
	return a.audit.Presence(ctx, body, presence)
}

// withoutEmpty returns a body without the items that have no bytes, which shares memory with the
// other.
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

// sendingConfig is the config of an output that sends until a deadline.
type sendingConfig struct {
	settings pipeline.OutputConfig
	deadline *deadline
}

// Output implements pipeline.OutputConfig.
func (c *sendingConfig) Output(env pipeline.Env) (pipeline.Output, error) {
	out, err := c.settings.Output(env)
	if err != nil {
		return nil, err
	}
	return &sendingOutput{out, c.deadline}, nil
}

type sendingOutput struct {
	pipeline.Output
	deadline *deadline
}

// Send implements pipeline.Output.
func (s *sendingOutput) Send(ctx context.Context, body *pipeline.Body) error {
	err := s.Output.Send(ctx, body)
	s.note(err)
	return err
}

// Stored implements pipeline.Reconciler.
func (s *sendingOutput) Stored(ctx context.Context, body *pipeline.Body, stored []bool) error {
	r, ok := s.Output.(pipeline.Reconciler)
	if !ok {
		return errCannotAsk
	}
	err := r.Stored(ctx, body, stored)
	s.note(err)
	return err
}

// note notes a destination's answer: rejecting records, or having the body split, is one, too.
func (s *sendingOutput) note(err error) {
	var answer *pipeline.SendError
	if errors.Is(err, pipeline.ErrUnknowable) || errors.As(err, &answer) &&
		(answer.Items != nil || answer.Outcome != pipeline.Retry && answer.Outcome != pipeline.Hold) {
		err = nil
	}
	s.deadline.answered(err)
}
