package loki

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/metric"
)

type metrics struct {
	replaced   *prometheus.CounterVec
	cut        prometheus.Counter
	bare       prometheus.Gauge
	late       prometheus.Counter
	reconciled *prometheus.CounterVec
	found      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		replaced:   metric.CounterVec(reg, "longshore_loki_label_values_replaced_total", "Label sets in which a label had too many values and became \"other\".", "label"),
		cut:        metric.Counter(reg, "longshore_loki_lines_cut_total", "Lines that were longer than max_line, and were cut."),
		bare:       metric.Gauge(reg, "longshore_loki_structured_metadata_refused", "1 since Loki refused structured metadata and is sent none."),
		late:       metric.Counter(reg, "longshore_loki_late_total", "Entries that came too late for their stream, and were stored in one with late=\"1\"."),
		reconciled: metric.CounterVec(reg, "longshore_loki_reconcile_total", "Times that Loki was asked what it has stored of a request: complete, incomplete (it cannot show all entries with old times), refused, or failed (asked again later).", "result"),
		found:      metric.Counter(reg, "longshore_loki_reconcile_found_total", "Entries that were found stored when Loki was asked, and not sent again."),
	}
}
