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

// Stored implements pipeline.Reconciler. It counts what each stream holds in the time range of the
// body, and where that is not zero, fetches it and compares time and line. Late streams are
// included.
//
// Loki shows a push within a second of its answer; one that timed out may still be in progress, so
// the caller pauses before it asks. Entries older than Loki's look-back are shown only once they
// are in its store: those not found are sent again, with a warning.
func (o *Output) Stored(ctx context.Context, body *pipeline.Body, stored []bool) error {
	if o.querier == nil {
		return fmt.Errorf("reconcile is off: %w", pipeline.ErrUnknowable)
	}
	found := make([]bool, len(body.Items))
	err := o.searchAll(ctx, body, found)
	if moved, items := o.movedForms(body, func(i int) bool { return !found[i] }); err == nil && moved != nil {
		foundMoved := make([]bool, len(items))
		err = o.searchAll(ctx, moved, foundMoved)
		for k, i := range items {
			found[i] = foundMoved[k]
		}
	}
	if err != nil {
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
			defer func() {
				if panicked := recover(); panicked != nil {
					once.Do(func() { first = fmt.Errorf("asking has panicked: %v", panicked); cancel() })
				}
			}()
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

func (o *Output) searchFailed(err error) error {
	var rejected *queryRejected
	if !errors.As(err, &rejected) {
		o.metrics.reconciliations.WithLabelValues("failed").Inc()
		return err
	}
	o.metrics.reconciliations.WithLabelValues("rejected").Inc()
	return fmt.Errorf("%w: %w; let longshore query, at url or at query.url, or set reconcile: off",
		pipeline.ErrUnknowable, rejected)
}

// lookbackMargin allows for clocks that differ.
const lookbackMargin = 10 * time.Minute

// allShown reports whether what was not found is certainly not stored.
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
		o.log.Warn("Loki cannot show all that it holds of entries with old times; what it does not show is sent "+
			"again, and may be stored twice",
			"url", httpclient.Location(o.querier.base),
			"hint", "in Loki, set ingester.query_store_max_look_back_period: -1ns (one process) or "+
				"querier.query_ingesters_within: 0")
	}
}
