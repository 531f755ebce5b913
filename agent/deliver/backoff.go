package deliver

import (
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
)

// pauses are those between attempts.
type pauses struct {
	backoff.Failures
	settings pipeline.RetrySettings
}

// next returns the pause before the next attempt: what the destination asked for, or one that
// doubles from failure to failure. On Hold it is the longest at once.
func (p *pauses) next(answer *pipeline.SendError) time.Duration {
	if answer.RetryAfter > 0 {
		return answer.RetryAfter
	}
	initial, longest := time.Duration(p.settings.Initial), time.Duration(p.settings.Max)
	if answer.Outcome == pipeline.Hold {
		initial = longest
	}
	return p.Next(initial, longest)
}

// first returns the shortest pause.
func (p *pauses) first() time.Duration {
	return min(time.Duration(p.settings.Initial), time.Duration(p.settings.Max))
}
