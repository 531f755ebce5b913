package loki

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Reconciler = (*Output)(nil)

// Stored implements pipeline.Reconciler. It counts what each stream holds in the
// time of the body's entries, and where that is not zero, fetches it and compares
// time and line. Entries of the late lane are found as well.
//
// Loki shows a push within a second of its answer; one that timed out may still
// be at work, so the caller pauses before it asks. Entries that are older than
// what Loki asks its ingesters for show only once they are in its store: of
// those, the ones found are set, and the others are sent again, with a warning.
func (o *Output) Stored(ctx context.Context, body *pipeline.Body, stored []bool) error {
	if o.querier == nil {
		return fmt.Errorf("reconcile is off: %w", pipeline.ErrUnknowable)
	}
	found := make([]bool, len(body.Items))
	if err := o.searchAll(ctx, body, found); err != nil {
		return o.searchFailed(err)
	}
	complete := o.allShown(ctx, body, found)
	for i := range found {
		if found[i] {
			stored[i] = true
			o.metrics.reconciled.Inc()
		}
	}
	o.reportResult(complete)
	return nil
}

// searchAll sets found for what Loki holds, some streams at a time.
func (o *Output) searchAll(ctx context.Context, body *pipeline.Body, found []bool) error {
	searches := o.searches(body, found)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		next  atomic.Int64
		first error
		once  sync.Once
		wg    sync.WaitGroup
	)
	for range min(maxQueries, len(searches)) {
		wg.Go(func() {
			for k := int(next.Add(1)) - 1; k < len(searches); k = int(next.Add(1)) - 1 {
				if err := searches[k].run(ctx); err != nil {
					once.Do(func() { first = err; cancel() })
					return
				}
			}
		})
	}
	wg.Wait()
	return first
}

// searchFailed is the error of a search that failed.
func (o *Output) searchFailed(err error) error {
	var rejected *queryRejected
	if !errors.As(err, &rejected) {
		o.metrics.reconciliations.WithLabelValues("failed").Inc()
		return err
	}
	o.metrics.reconciliations.WithLabelValues("rejected").Inc()
	return fmt.Errorf("%w: %w; let longshore query, at url or at query.url, or set reconcile: off", pipeline.ErrUnknowable, rejected)
}

// lookbackMargin is how much younger than what Loki sees an entry must be to be
// surely seen, whatever the clocks.
const lookbackMargin = 10 * time.Minute

// allShown says whether what was not found is not there.
func (o *Output) allShown(ctx context.Context, body *pipeline.Body, found []bool) bool {
	oldest := int64(1<<63 - 1)
	for i := range found {
		if !found[i] {
			oldest = min(oldest, timeOf(body.Item(i)))
		}
	}
	age := func(limit time.Duration) bool { return oldest > o.health.now().Add(-limit).UnixNano() }
	if age(defaultLookback - lookbackMargin) {
		return true
	}
	lookback := o.querier.maxLookback(ctx)
	return lookback == unlimitedLookback || age(lookback-lookbackMargin)
}

func (o *Output) reportResult(complete bool) {
	if complete {
		o.metrics.reconciliations.WithLabelValues("complete").Inc()
		return
	}
	o.metrics.reconciliations.WithLabelValues("incomplete").Inc()
	if !o.warnedIncomplete.Swap(true) {
		o.log.Warn("Loki cannot show all that it holds of entries with old times; what it does not show is sent again, and may be there twice",
			"url", httpclient.Location(o.querier.base),
			"hint", "in Loki, set ingester.query_store_max_look_back_period: -1ns (one process) or querier.query_ingesters_within: 0")
	}
}
