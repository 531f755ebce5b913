package deliver

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// send sends a body. What the destination says of it is without secrets from here on.
func (d *Deliverer) send(ctx context.Context, body *pipeline.Body) error {
	began := time.Now()
	err := d.Output.Send(ctx, body)
	d.metrics.observe(time.Since(began), err)
	return d.withoutSecrets(err)
}

func (d *Deliverer) withoutSecrets(err error) error { return WithoutSecrets(err, d.Redact) }

// WithoutSecrets returns an error of an output with what redact, which may be nil, makes of its
// words. A destination may repeat what it was sent, headers included, and what it says is logged,
// shown and kept with dead letters.
func WithoutSecrets(err error, redact func(string) string) error {
	if err == nil || redact == nil {
		return err
	}
	var answer *pipeline.SendError
	if errors.As(err, &answer) && !errors.Is(err, pipeline.ErrUnknowable) {
		return redactAnswer(answer, redact)
	}
	if text := redact(err.Error()); text != err.Error() {
		return &redactedError{text, err}
	}
	return err
}

func redactAnswer(answer *pipeline.SendError, redact func(string) string) *pipeline.SendError {
	redacted := *answer
	redacted.Reason = redact(answer.Reason)
	redacted.Items = slices.Clone(answer.Items)
	before, after := answer.Reason, redacted.Reason // reasons tend to be the same
	for i, item := range answer.Items {
		if item.Reason != before {
			before, after = item.Reason, redact(item.Reason)
		}
		redacted.Items[i].Reason = after
	}
	return &redacted
}

// A redactedError is an error in other words.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }

// Is reports what the error is. It cannot be unwrapped to its own words.
func (e *redactedError) Is(target error) bool { return errors.Is(e.err, target) }
