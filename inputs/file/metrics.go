package file

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/metric"
)

type metrics struct {
	followed       prometheus.Gauge
	open           prometheus.Gauge
	waiting        prometheus.Gauge
	truncatedLines prometheus.Counter
	truncatedBytes prometheus.Counter
	nuls           prometheus.Counter
	lost           prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		followed: metric.Gauge(reg, "longshore_file_followed_files", "Files that are followed, open or not."),
		open:     metric.Gauge(reg, "longshore_file_open_files", "Files that are open."),
		waiting: metric.Gauge(reg, "longshore_file_waiting_files",
			"Files with something to read that are not open, since as many are open as may be."),
		truncatedLines: metric.Counter(reg, "longshore_file_truncated_lines_total",
			"Lines that were longer than max_line_size and were truncated."),
		truncatedBytes: metric.Counter(reg, "longshore_file_truncated_bytes_total",
			"Bytes truncated from lines that were longer than max_line_size."),
		nuls: metric.Counter(reg, "longshore_file_skipped_nul_bytes_total",
			"Bytes of holes and NULs before lines, which writers leave that do not append to a truncated file."),
		lost: metric.Counter(reg, "longshore_file_lost_bytes_total",
			"Bytes known to have been in files that were deleted or truncated before they were read."),
	}
}
