package loki

import (
	"log/slog"
	"maps"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/event"
)

const otherValue = "other"

// A limiter bounds the values that lines give to each label. A value admitted once stays admitted,
// in later runs too.
type limiter struct {
	max      int
	log      *slog.Logger
	replaced *prometheus.CounterVec
	admitted func(name, value string) // is called for each new value; may be nil

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

// know admits a value that an earlier run did.
func (l *limiter) know(name, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.values[name] == nil {
		l.values[name] = map[string]bool{}
	}
	l.values[name][value] = true
}

// clone returns a limiter that knows the same values.
func (l *limiter) clone() *limiter {
	c := newLimiter(l.max, l.log, l.replaced)
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, values := range l.values {
		c.values[name] = maps.Clone(values)
	}
	return c
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
		if l.admitted != nil {
			l.admitted(name, value)
		}
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
