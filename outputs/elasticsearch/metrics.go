package elasticsearch

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/metric"
)

type metrics struct {
	overflowed   prometheus.Counter
	failureStore prometheus.Counter
	conflicts    prometheus.Counter
	found        prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		overflowed:   metric.Counter(reg, "longshore_elasticsearch_index_names_refused_total", "Times that an index name was one too many, and its records went to the overflow index."),
		failureStore: metric.Counter(reg, "longshore_elasticsearch_failure_store_total", "Documents that the server put into a data stream's failure store, since they did not fit its mapping."),
		conflicts:    metric.Counter(reg, "longshore_elasticsearch_already_there_total", "Documents that were stored before already: sent again, and not stored twice."),
		found:        metric.Counter(reg, "longshore_elasticsearch_reconcile_found_total", "Documents that were found stored in a data stream or behind an alias when the server was asked, and not sent again."),
	}
}
