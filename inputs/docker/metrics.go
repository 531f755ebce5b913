package docker

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/metric"
)

type metrics struct {
	containers prometheus.Gauge
	reconnects prometheus.Counter
	lines      prometheus.Counter
	truncated  prometheus.Counter
	gaps       prometheus.Counter
	skips      prometheus.Counter
	unreadable prometheus.Counter
	corrupt    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		containers: metric.Gauge(reg, "longshore_docker_containers", "Containers that are followed."),
		reconnects: metric.Counter(reg, "longshore_docker_reconnects_total", "Connections to the Docker Engine that broke and were made again."),
		lines:      metric.Counter(reg, "longshore_docker_lines_total", "Lines read from containers."),
		truncated:  metric.Counter(reg, "longshore_docker_cut_bytes_total", "Bytes left out of lines that were longer than max_line."),
		gaps:       metric.Counter(reg, "longshore_docker_gaps_total", "Times that the engine had rotated away the place where reading was to go on."),
		skips:      metric.Counter(reg, "longshore_docker_skips_total", "Times that the engine's stream had probably left out lines or had come to a standstill. Where its files may still hold them, the log was read again from there."),
		unreadable: metric.Counter(reg, "longshore_docker_unread_containers_total", "Containers that were removed before their log could be read to its end."),
		corrupt:    metric.Counter(reg, "longshore_docker_corrupt_entries_total", "Entries of the engine's json-file logs that were damaged, and left out."),
	}
}
