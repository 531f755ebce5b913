package elasticsearch

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	overflowed   prometheus.Counter
	failureStore prometheus.Counter
	conflicts    prometheus.Counter
	found        prometheus.Counter
}

// newMetrics registers the output's metrics, or goes on with those that an
// output of the same name registered before a reload.
func newMetrics(to prometheus.Registerer) (*metrics, error) {
	m := &metrics{}
	for _, c := range []struct {
		counter    *prometheus.Counter
		name, help string
	}{
		{&m.overflowed, "longshore_elasticsearch_index_names_refused_total", "Times that an index name was one too many, and its records went to the overflow index."},
		{&m.failureStore, "longshore_elasticsearch_failure_store_total", "Documents that the server put into a data stream's failure store, since they did not fit its mapping."},
		{&m.conflicts, "longshore_elasticsearch_already_there_total", "Documents that were stored before already: sent again, and not stored twice."},
		{&m.found, "longshore_elasticsearch_reconcile_found_total", "Documents that were found stored in a data stream or behind an alias when the server was asked, and not sent again."},
	} {
		counter, err := register(to, prometheus.NewCounter(prometheus.CounterOpts{Name: c.name, Help: c.help}))
		if err != nil {
			return nil, err
		}
		*c.counter = counter
	}
	return m, nil
}

func register(to prometheus.Registerer, c prometheus.Counter) (prometheus.Counter, error) {
	if to == nil {
		return c, nil
	}
	err := to.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if earlier, ok := already.ExistingCollector.(prometheus.Counter); ok {
			return earlier, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("registering a metric of the elasticsearch output: %w", err)
	}
	return c, nil
}
