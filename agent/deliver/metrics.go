package deliver

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/metric"
)

// metrics count records, and requests where the name says so.
type metrics struct {
	taken, delivered, rejected, filtered, skipped, retried atomic.Uint64
	reconciled, unknowable, spooled, restored, lost        atomic.Uint64
	requests, failed, bytes                                atomic.Uint64
	inFlight, queued, behind, aside                        atomic.Int64
}

func (m *metrics) register(reg prometheus.Registerer, l *limiter) {
	counter := func(name, help string, n *atomic.Uint64) { metric.CounterOf(reg, "longshore_output_"+name, help, n) }
	gauge := func(name, help string, value func() float64) {
		metric.GaugeOf(reg, "longshore_output_"+name, help, value)
	}
	counter("records_taken_total",
		"Records from the pipelines: the sum of delivered, rejected, filtered, skipped and in flight.", &m.taken)
	counter("records_delivered_total", "Records that the destination has stored.", &m.delivered)
	counter("records_rejected_total", "Records that the destination rejected; they are dead letters.", &m.rejected)
	counter("records_filtered_total", "Records left out by the output's filter or dropped by a rule.", &m.filtered)
	counter("records_skipped_total", "Records that an earlier run had already delivered.", &m.skipped)
	counter("records_retried_total", "Records sent again.", &m.retried)
	counter("records_reconciled_total",
		"Uncertain records that the destination was found to hold when it was asked.", &m.reconciled)
	counter("records_unknowable_total",
		"Uncertain records that the destination cannot be asked for; they may be duplicates.", &m.unknowable)
	counter("records_spooled_total", "Records kept on disk because the destination lags.", &m.spooled)
	counter("records_restored_total", "Records that an earlier run kept on disk.", &m.restored)
	counter("requests_total", "Requests made.", &m.requests)
	counter("requests_failed_total", "Requests that did not store every record.", &m.failed)
	counter("bytes_total", "Bytes of records sent, before compression.", &m.bytes)
	counter("records_lost_total",
		"Records whose source was gone before this output, which lagged, had read them.", &m.lost)
	gauge("in_flight_records", "Records that wait or are being sent.",
		func() float64 { return float64(m.inFlight.Load()) })
	gauge("behind_records",
		"Records in flight that the output has yet to read, since it lagged and the others went on without it.",
		func() float64 { return float64(m.behind.Load()) })
	gauge("aside_records", "Records in flight that are refused while others get through, and wait on disk.",
		func() float64 { return float64(m.aside.Load()) })
	gauge("queued_bytes", "Encoded records that wait in memory or are in flight.",
		func() float64 { return float64(m.queued.Load()) })
	gauge("concurrency", "Requests that may be in flight now: at most the setting, as many as the destination takes.",
		func() float64 { return float64(l.current()) })
}

// add counts records in, or back out again.
func (m *metrics) add(n int) {
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
		Taken: m.taken.Load(), InFlight: m.inFlight.Load(), Aside: m.aside.Load(),
		Delivered: m.delivered.Load(), Rejected: m.rejected.Load(),
		Filtered: m.filtered.Load(), Skipped: m.skipped.Load(),
		Retried: m.retried.Load(), Reconciled: m.reconciled.Load(),
		Spooled: m.spooled.Load(), Restored: m.restored.Load(),
		Behind: m.behind.Load(), Lost: m.lost.Load(),
	}
}
