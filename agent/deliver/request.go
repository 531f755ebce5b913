package deliver

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// A request is one attempt at a body, in a goroutine of its own. It gives up the lane's permit as
// soon as there is an answer: the lane may be held up elsewhere.
type request struct {
	lane     *lane
	ctx      context.Context
	cancel   context.CancelFunc
	body     *Body
	asks     bool
	probe    probe
	results  chan attemptResult
	over     atomic.Bool // it has a result, or none is waited for any more
	reviewAt time.Time
}

const (
	// requestLimit is when a request is told to end: later than the longest timeout that an output
	// can be given.
	requestLimit = 11 * time.Minute
	// maxAbandoned is how many requests of an output may be abandoned, each of which keeps its
	// goroutine and its body.
	maxAbandoned = 4
)

func (l *lane) newRequest(ctx context.Context, asks bool, p probe) *request {
	r := &request{lane: l, body: l.inFlight, asks: asks, probe: p, results: make(chan attemptResult, 1)}
	r.ctx, r.cancel = context.WithCancel(ctx)
	r.reviewAt = l.attemptAt.Add(requestLimit)
	return r
}

// result returns where the result comes; nil where there is no request.
func (r *request) result() <-chan attemptResult {
	if r == nil {
		return nil
	}
	return r.results
}

func (r *request) run() {
	defer r.cancel()
	result := r.lane.d.attempt(r.ctx, r.body, r.asks, r.probe)
	if !r.over.CompareAndSwap(false, true) {
		return
	}
	r.lane.permit.releaseAfter(signalOf(result.err, len(r.body.Items)))
	r.results <- result
}

// reviewRequest ends a request that has taken too long. One that ignores that is abandoned, with
// what it was given: the records are sent again by another.
func (l *lane) reviewRequest() {
	r := l.request
	if l.inFlight == nil || time.Now().Before(r.reviewAt) {
		return
	}
	r.reviewAt = time.Now().Add(abandonAfter)
	if r.ctx.Err() == nil {
		r.cancel()
		return
	}
	if l.d.abandoned.Load() >= maxAbandoned || !r.over.CompareAndSwap(false, true) {
		return // its result is there, or is waited for without end
	}
	l.d.abandoned.Add(1)
	l.d.Log.Error("a request does not end, although it was told to, and is abandoned; its records are sent again",
		"records", len(r.body.Items), "stacks", pipeline.Stacks())
	l.inFlight = r.body.clone()
	result := failedRequest(l.inFlight, r.asks, r.probe,
		fmt.Sprintf("a request has not ended in %v, although it was told to", requestLimit))
	l.permit.releaseAfter(signalOf(result.err, len(r.body.Items)))
	l.onResult(result)
}

// failedRequest returns the result of a request of which nobody knows what became.
func failedRequest(b *Body, asks bool, p probe, reason string) attemptResult {
	result := attemptResult{
		err: &pipeline.SendError{Outcome: pipeline.Retry, Uncertain: true, Reason: reason}, probe: p,
	}
	if asks {
		result.stored = make([]bool, len(b.Items))
	}
	return result
}
