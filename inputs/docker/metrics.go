package docker

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/metric"
)

type metrics struct {
	containers    prometheus.Gauge
	reconnects    prometheus.Counter
	lines         prometheus.Counter
	truncated     prometheus.Counter
	gaps          prometheus.Counter
	skippedRanges prometheus.Counter
	unreadable    prometheus.Counter
	corrupt       prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		containers: metric.Gauge(reg, "longshore_docker_containers", "Containers being followed."),
		reconnects: metric.Counter(reg, "longshore_docker_reconnects_total",
			"Connections to the Docker Engine that ended and were made again."),
		lines: metric.Counter(reg, "longshore_docker_lines_total", "Lines read from containers."),
		truncated: metric.Counter(reg, "longshore_docker_truncated_bytes_total",
			"Bytes removed from lines longer than max_line_size."),
		gaps: metric.Counter(reg, "longshore_docker_gaps_total",
			"Times the engine had rotated away the position where reading was to continue."),
		skippedRanges: metric.Counter(reg, "longshore_docker_skipped_ranges_total",
			"Times the engine's stream had probably left out lines or stood still. "+
				"Where its files may still hold the lines, the log was read again from there."),
		unreadable: metric.Counter(reg, "longshore_docker_unreadable_containers_total",
			"Containers removed before their log could be read to its end."),
		corrupt: metric.Counter(reg, "longshore_docker_corrupt_entries_total",
			"Damaged entries of the engine's json-file logs, which were left out."),
	}
}
