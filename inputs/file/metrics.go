package file

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/metric"
)

type metrics struct {
	followed prometheus.Gauge
	open     prometheus.Gauge
	cut      prometheus.Counter
	skipped  prometheus.Counter
	lost     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		followed: metric.Gauge(reg, "longshore_file_followed", "Files that are followed, open or not."),
		open:     metric.Gauge(reg, "longshore_file_open", "Files that are open."),
		cut:      metric.Counter(reg, "longshore_file_cut_lines_total", "Lines that were longer than max_line and were cut."),
		skipped:  metric.Counter(reg, "longshore_file_cut_bytes_total", "Bytes cut off lines that were longer than max_line."),
		lost:     metric.Counter(reg, "longshore_file_lost_bytes_total", "Bytes known to have been in files that were deleted or truncated before they were read."),
	}
}
