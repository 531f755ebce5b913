package journald

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/metric"
)

type metrics struct{ damaged, unreadable, lost prometheus.Counter }

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		damaged: metric.Counter(reg, "longshore_journald_damaged_entries_total",
			"Entries of the journal that make no sense, which were left out."),
		unreadable: metric.Counter(reg, "longshore_journald_unreadable_fields_total",
			"Fields that could not be unpacked, and were left out of their records."),
		lost: metric.Counter(reg, "longshore_journald_lost_entries_total",
			"Entries that were gone from the journal before they were read, by their numbers."),
	}
}
