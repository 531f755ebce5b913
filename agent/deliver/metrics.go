package deliver

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/metric"
)

// metrics count records, and requests where the name says so.
type metrics struct {
	taken, delivered, rejected, filtered, skipped, retried atomic.Uint64
	reconciled, unknowable, spooled, restored, lost, left  atomic.Uint64
	requests, failed, bytes                                atomic.Uint64
	inFlight, queued, behind, aside                        atomic.Int64

	backlog   backlog
	durations prometheus.Histogram
	answers   *prometheus.CounterVec // by status
}

func (m *metrics) register(reg prometheus.Registerer, l *limiter) {
	counter := func(name, help string, n *atomic.Uint64) { metric.CounterOf(reg, "longshore_output_"+name, help, n) }
	gauge := func(name, help string, value func() float64) {
		metric.GaugeOf(reg, "longshore_output_"+name, help, value)
	}
	counter("records_taken_total",
		"Records from the pipelines: the sum of delivered, rejected, filtered, "+
			"skipped, lost, left and in flight.", &m.taken)
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
	counter("records_left_total",
		"Records that a reload of the config took from this output undone; it reads them again.", &m.left)
	m.durations = metric.Histogram(reg, "longshore_output_request_duration_seconds",
		"How long requests with records took, with their answers.", requestBuckets)
	m.answers = metric.CounterVec(reg, "longshore_output_answers_total",
		"Answers to requests with records, by HTTP status: ok where all were stored, none where there was no answer.",
		"code")
	gauge("lag_seconds", "For how long the oldest of the records has waited that have not ended; 0 where none waits.",
		func() float64 { return m.lag(time.Now()).Seconds() })
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

// requestBuckets are upper bounds of seconds: from a server beside us to the longest timeout.
var requestBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// lag returns for how long the oldest record has waited. What waits aside, or is done out of order
// otherwise, is not looked for.
func (m *metrics) lag(now time.Time) time.Duration {
	waiting, taken := m.inFlight.Load(), m.taken.Load()
	if waiting <= 0 {
		return 0
	}
	return m.backlog.age(now, taken-min(taken, uint64(waiting)))
}

// observe counts an answer to a request with records.
func (m *metrics) observe(took time.Duration, err error) {
	m.durations.Observe(took.Seconds())
	m.answers.WithLabelValues(codeOf(err)).Inc()
}

// codeOf returns the status of an answer: "ok" for success and "none" for no answer.
func codeOf(err error) string {
	switch answer := (*pipeline.SendError)(nil); {
	case err == nil:
		return "ok"
	case errors.As(err, &answer) && answer.Status >= 100 && answer.Status < 600:
		return strconv.Itoa(answer.Status)
	case errors.As(err, &answer) && answer.Status != 0:
		return "other"
	case errors.As(err, &answer) && answer.Items != nil:
		return "200" // of a bulk request: the items have their own
	}
	return "none"
}

// add counts records in, or back out again.
func (m *metrics) add(n int) {
	m.backlog.note(time.Now(), m.taken.Load())
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
		Behind: m.behind.Load(), Lost: m.lost.Load(), Left: m.left.Load(),
	}
}
