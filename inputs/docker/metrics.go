package docker

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	containers prometheus.Gauge
	reconnects prometheus.Counter
	lines      prometheus.Counter
	cut        prometheus.Counter
	gaps       prometheus.Counter
	skips      prometheus.Counter
	unread     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		containers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "longshore_docker_containers",
			Help: "Containers that are followed.",
		}),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "longshore_docker_reconnects_total",
			Help: "Connections to the Docker Engine that broke and were made again.",
		}),
		lines: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "longshore_docker_lines_total",
			Help: "Lines read from containers.",
		}),
		cut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "longshore_docker_cut_bytes_total",
			Help: "Bytes left out of lines that were longer than max_line.",
		}),
		gaps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "longshore_docker_gaps_total",
			Help: "Times that the engine had rotated away the place where reading was to go on.",
		}),
		skips: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "longshore_docker_skips_total",
			Help: "Times that the engine's stream had probably left out lines or had come to a standstill. Where its files may still hold them, the log was read again from there.",
		}),
		unread: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "longshore_docker_unread_containers_total",
			Help: "Containers that were removed before their log could be read to its end.",
		}),
	}
	m.containers = register(reg, m.containers)
	for _, c := range []*prometheus.Counter{&m.reconnects, &m.lines, &m.cut, &m.gaps, &m.skips, &m.unread} {
		*c = register(reg, *c)
	}
	return m
}

// register gives the collector that counts: that of before, if the input was
// made anew by a reload.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	var already prometheus.AlreadyRegisteredError
	if errors.As(reg.Register(c), &already) {
		if before, ok := already.ExistingCollector.(C); ok {
			return before
		}
	}
	return c
}
