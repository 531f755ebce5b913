package deliver

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
)

// TestWordsOfADestination: no way in which a destination's words come keeps a secret in them, and
// what they mean stays.
func TestWordsOfADestination(t *testing.T) {
	t.Parallel()
	d := &Deliverer{Options: Options{Redact: func(text string) string {
		return strings.ReplaceAll(text, "hunter2", "***")
	}}}
	const said = "no: hunter2"
	answer := &pipeline.SendError{Outcome: pipeline.Hold, Status: 403, Uncertain: true, Reason: said,
		Items: []pipeline.ItemError{{Index: 1, Outcome: pipeline.Reject, Reason: said},
			{Index: 2, Reason: "hunter2 again"}}}
	for name, err := range map[string]error{
		"an answer": answer, "one that is wrapped": fmt.Errorf("hunter2: %w", answer),
		"another error": errors.New(said), "it cannot say": fmt.Errorf("%w: %w", pipeline.ErrUnknowable, answer),
	} {
		got := d.withoutSecrets(err)
		if strings.Contains(got.Error()+asSendError(got).Reason, "hunter2") {
			t.Errorf("%s: %v", name, got)
		}
		if errors.Is(got, pipeline.ErrUnknowable) != errors.Is(err, pipeline.ErrUnknowable) {
			t.Errorf("%s: it means something else now: %v", name, got)
		}
	}
	got := d.withoutSecrets(answer).(*pipeline.SendError)
	if got.Outcome != pipeline.Hold || got.Status != 403 || !got.Uncertain || got.Items[0].Reason != "no: ***" ||
		got.Items[1].Reason != "*** again" || got.Items[0].Outcome != pipeline.Reject {
		t.Errorf("got %+v", got)
	}
	if answer.Items[0].Reason != said || d.withoutSecrets(nil) != nil {
		t.Error("what was given has changed")
	}
}
