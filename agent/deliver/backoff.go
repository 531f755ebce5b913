package deliver

import (
	"math/rand/v2"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// backoff doubles a pause from one failure to the next.
type backoff struct {
	settings pipeline.RetrySettings
	failures int
}

func (b *backoff) reset() { b.failures = 0 }

// next returns the pause before the next attempt: what the destination asked for, or a random time
// between half and all of the doubled pause. On Hold it is the longest pause at once.
func (b *backoff) next(answer *pipeline.SendError) time.Duration {
	if answer.RetryAfter > 0 {
		return answer.RetryAfter
	}
	longest := time.Duration(b.settings.Max)
	pause := longest
	if answer.Outcome != pipeline.Hold && b.failures < 30 {
		pause = min(time.Duration(b.settings.Initial)<<b.failures, longest)
	}
	b.failures++
	if pause < 2 {
		return pause
	}
	return pause/2 + rand.N(pause/2)
}
