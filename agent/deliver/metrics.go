package deliver

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count records, and requests where the name says so.
type metrics struct {
	delivered, refused, filtered, skipped, retried *atomic.Uint64
	found, unknowable                              *atomic.Uint64
	requests, failed                               *atomic.Uint64
	bytes                                          *atomic.Uint64
	spooled, restored                              *atomic.Uint64
	taken                                          *atomic.Uint64
	inFlight                                       *atomic.Int64
	queued                                         *atomic.Int64
}

func newMetrics(reg prometheus.Registerer, g *gate) metrics {
	m := metrics{
		delivered: new(atomic.Uint64), refused: new(atomic.Uint64), filtered: new(atomic.Uint64),
		skipped: new(atomic.Uint64), retried: new(atomic.Uint64),
		found: new(atomic.Uint64), unknowable: new(atomic.Uint64),
		requests: new(atomic.Uint64), failed: new(atomic.Uint64), bytes: new(atomic.Uint64),
		spooled: new(atomic.Uint64), restored: new(atomic.Uint64), taken: new(atomic.Uint64), inFlight: new(atomic.Int64), queued: new(atomic.Int64),
	}
	if reg == nil {
		return m
	}
	counter(reg, "records_taken_total", "Records handed over by the pipelines: the sum of delivered, refused, filtered, skipped and in flight.", m.taken)
	counter(reg, "records_delivered_total", "Records the destination has stored.", m.delivered)
	counter(reg, "records_rejected_total", "Records the destination refused for good; they are dead letters.", m.refused)
	counter(reg, "records_filtered_total", "Records left out by the output's filter or dropped by a rule.", m.filtered)
	counter(reg, "records_skipped_total", "Records that an earlier run had already delivered.", m.skipped)
	counter(reg, "records_retried_total", "Records sent again.", m.retried)
	counter(reg, "records_reconciled_total", "Records whose delivery was uncertain and that the destination proved to hold.", m.found)
	counter(reg, "records_unknowable_total", "Records sent again because the destination cannot say what it holds; they may be there twice.", m.unknowable)
	counter(reg, "records_spooled_total", "Records kept on disk because the destination lags.", m.spooled)
	counter(reg, "records_restored_total", "Records that an earlier run kept on disk.", m.restored)
	counter(reg, "requests_total", "Requests made.", m.requests)
	counter(reg, "requests_failed_total", "Requests that did not store every record.", m.failed)
	counter(reg, "bytes_total", "Bytes of records sent, before compression.", m.bytes)
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "longshore_output_in_flight_records", Help: "Records that wait or are being sent.",
	}, func() float64 { return float64(m.inFlight.Load()) }))
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "longshore_output_queued_bytes", Help: "Encoded records that wait or are in flight.",
	}, func() float64 { return float64(m.queued.Load()) }))
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "longshore_output_concurrency", Help: "Requests that may be in flight by now: from 1 to the setting of that name, as many as the destination takes.",
	}, func() float64 { return float64(g.limitNow()) }))
	return m
}

func counter(reg prometheus.Registerer, name, help string, n *atomic.Uint64) {
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "longshore_output_" + name, Help: help,
	}, func() float64 { return float64(n.Load()) }))
}

// take counts records in, or back out again.
func (m *metrics) take(n int) {
	m.taken.Add(uint64(n))
	m.inFlight.Add(int64(n))
}

// end counts records out, as one of the outcomes.
func (m *metrics) end(outcome *atomic.Uint64, n int) {
	outcome.Add(uint64(n))
	m.inFlight.Add(-int64(n))
}

func (m *metrics) counts() Counts {
	return Counts{
		Taken: m.taken.Load(), InFlight: m.inFlight.Load(),
		Delivered: m.delivered.Load(), Rejected: m.refused.Load(), Filtered: m.filtered.Load(),
		Retried: m.retried.Load(), Skipped: m.skipped.Load(), Reconciled: m.found.Load(), Spooled: m.spooled.Load(), Restored: m.restored.Load(),
	}
}
