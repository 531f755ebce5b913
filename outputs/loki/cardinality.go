package loki

import (
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/event"
)

const otherValue = "other"

// A limiter bounds the values that lines give to each label. A value admitted once stays admitted.
type limiter struct {
	max      int
	log      *slog.Logger
	replaced *prometheus.CounterVec

	mu     sync.Mutex
	values map[string]map[string]bool // values by label name
	warned map[string]bool
}

func newLimiter(limit int, log *slog.Logger, replaced *prometheus.CounterVec) *limiter {
	return &limiter{
		max:      limit,
		log:      log,
		replaced: replaced,
		values:   map[string]map[string]bool{},
		warned:   map[string]bool{},
	}
}

// admit returns the value, or "other" if the label has too many.
func (l *limiter) admit(name, value string) string {
	if value == "" {
		return value
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	values := l.values[name]
	if values == nil {
		values = map[string]bool{}
		l.values[name] = values
	}
	if values[value] {
		return value
	}
	if len(values) < l.max {
		values[value] = true
		return value
	}
	l.replaced.WithLabelValues(name).Inc()
	if !l.warned[name] {
		l.warned[name] = true
		l.log.Warn("a label has too many values; new ones become \"other\"",
			"label", name, "values", l.max, "first", event.TruncateText(value, 100),
			"hint", "take the label out of labels, or raise max_label_values")
	}
	return otherValue
}
