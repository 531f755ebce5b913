package loki

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	replaced   *prometheus.CounterVec
	cut        prometheus.Counter
	bare       prometheus.Gauge
	late       prometheus.Counter
	reconciled *prometheus.CounterVec
	found      prometheus.Counter
}

// newMetrics registers the output's metrics, or goes on with those that an
// output of the same name registered before a reload.
func newMetrics(to prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		replaced: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "longshore_loki_label_values_replaced_total",
			Help: "Label sets in which a label had too many values and became \"other\".",
		}, []string{"label"}),
		cut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "longshore_loki_lines_cut_total",
			Help: "Lines that were longer than max_line, and were cut.",
		}),
		bare: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "longshore_loki_structured_metadata_refused",
			Help: "1 since Loki refused structured metadata and is sent none.",
		}),
		late: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "longshore_loki_late_total",
			Help: "Entries that came too late for their stream, and were stored in one with late=\"1\".",
		}),
		reconciled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "longshore_loki_reconcile_total",
			Help: "Times that Loki was asked what it has stored of a request: complete, incomplete (it cannot show all entries with old times), refused, or failed (asked again later).",
		}, []string{"result"}),
		found: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "longshore_loki_reconcile_found_total",
			Help: "Entries that were found stored when Loki was asked, and not sent again.",
		}),
	}
	if to == nil {
		return m, nil
	}
	var err error
	m.replaced, err = register(to, m.replaced, err)
	m.cut, err = register(to, m.cut, err)
	m.bare, err = register(to, m.bare, err)
	m.late, err = register(to, m.late, err)
	m.reconciled, err = register(to, m.reconciled, err)
	m.found, err = register(to, m.found, err)
	return m, err
}

func register[C prometheus.Collector](to prometheus.Registerer, c C, before error) (C, error) {
	if before != nil {
		return c, before
	}
	err := to.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if earlier, ok := already.ExistingCollector.(C); ok {
			return earlier, nil
		}
	}
	if err != nil {
		return c, fmt.Errorf("registering a metric of the loki output: %w", err)
	}
	return c, nil
}
