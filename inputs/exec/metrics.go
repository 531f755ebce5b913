package exec

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/metric"
)

type metrics struct{ starts, failures, truncated prometheus.Counter }

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		starts: metric.Counter(reg, "longshore_exec_starts_total", "Times the command was started."),
		failures: metric.Counter(reg, "longshore_exec_failures_total",
			"Times the command could not be started, or ended with an error."),
		truncated: metric.Counter(reg, "longshore_exec_truncated_bytes_total",
			"Bytes truncated from lines that were longer than max_line_size."),
	}
}
