package deliver

import (
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// filter chooses records by level and label.
type filter struct {
	level  event.Level
	labels map[string]string // name to pattern
}

func newFilter(f pipeline.Filter) filter {
	return filter{level: event.LevelNamed(f.Level), labels: f.Labels}
}

func (f *filter) acceptsSource(src *event.Source) bool {
	for name, pattern := range f.labels {
		if !pipeline.Match(pattern, src.Label(name)) {
			return false
		}
	}
	return true
}

// accepts reports whether a record's level is high enough. One without a level counts as info.
func (f *filter) accepts(r *event.Record) bool {
	level := r.Level
	if level == event.NoLevel {
		level = event.Info
	}
	return level >= f.level
}
