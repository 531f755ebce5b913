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
		overflowed:   metric.Counter(reg, "longshore_elasticsearch_rejected_index_names_total", "Index names beyond max_indices, whose records went to the overflow index."),
		failureStore: metric.Counter(reg, "longshore_elasticsearch_failure_store_records_total", "Records that the server put into a data stream's failure store because they did not fit its mapping."),
		conflicts:    metric.Counter(reg, "longshore_elasticsearch_duplicates_total", "Records that were already stored: sent again, but not stored twice."),
		found:        metric.Counter(reg, "longshore_elasticsearch_reconciled_records_total", "Records that turned out to be stored in a data stream or behind an alias, and that were not sent again."),
	}
}
