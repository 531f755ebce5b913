package deliver

import (
	"strings"

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

// takesSource says whether the source's labels fit.
func (f *filter) takesSource(src *event.Source) bool {
	for name, pattern := range f.labels {
		if !matches(pattern, src.Label(name)) {
			return false
		}
	}
	return true
}

// takes says whether a record's level is high enough. One without a level counts as info.
func (f *filter) takes(r *event.Record) bool {
	level := r.Level
	if level == event.NoLevel {
		level = event.Info
	}
	return level >= f.level
}

// matches holds a value against a pattern in which * stands for any
// characters.
func matches(pattern, value string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == value
	}
	parts := strings.Split(pattern, "*")
	first, last := parts[0], parts[len(parts)-1]
	if len(value) < len(first)+len(last) || !strings.HasPrefix(value, first) || !strings.HasSuffix(value, last) {
		return false
	}
	value = value[len(first) : len(value)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(value, part)
		if i < 0 {
			return false
		}
		value = value[i+len(part):]
	}
	return true
}
