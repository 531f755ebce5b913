package loki

import (
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// otherValue stands for all values of a label that are too many.
const otherValue = "other"

// A guard bounds the values that lines give to each label. A value that it let
// through once it lets through for good.
type guard struct {
	max      int
	log      *slog.Logger
	replaced *prometheus.CounterVec

	mu   sync.Mutex
	seen map[string]map[string]bool // values by label name
	told map[string]bool
}

func newGuard(limit int, log *slog.Logger, replaced *prometheus.CounterVec) *guard {
	return &guard{
		max:      limit,
		log:      log,
		replaced: replaced,
		seen:     map[string]map[string]bool{},
		told:     map[string]bool{},
	}
}

// admit gives the value, or "other" if the label has had too many.
func (g *guard) admit(name, value string) string {
	if value == "" {
		return value
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	values := g.seen[name]
	if values == nil {
		values = map[string]bool{}
		g.seen[name] = values
	}
	if values[value] {
		return value
	}
	if len(values) < g.max {
		values[value] = true
		return value
	}
	g.replaced.WithLabelValues(name).Inc()
	if !g.told[name] {
		g.told[name] = true
		g.log.Warn("a label has too many values; new ones become \"other\"",
			"label", name, "values", g.max, "first", cutText(value, 100),
			"hint", "take the label out of labels, or raise max_label_values")
	}
	return otherValue
}
