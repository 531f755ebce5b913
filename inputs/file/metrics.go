package file

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
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
		followed: register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "longshore_file_followed", Help: "Files that are followed, open or not."})),
		open: register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "longshore_file_open", Help: "Files that are open."})),
		cut: register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "longshore_file_cut_lines_total", Help: "Lines that were longer than max_line and were cut."})),
		skipped: register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "longshore_file_cut_bytes_total", Help: "Bytes cut off lines that were longer than max_line."})),
		lost: register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "longshore_file_lost_bytes_total", Help: "Bytes known to have been in files that were deleted or truncated before they were read."})),
	}
}

// register registers a metric, or gives the one that an earlier run of the
// input registered.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	var already prometheus.AlreadyRegisteredError
	if errors.As(reg.Register(c), &already) {
		if before, ok := already.ExistingCollector.(C); ok {
			return before
		}
	}
	return c
}
