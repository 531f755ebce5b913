package elasticsearch

import (
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline/event"
)

// idleIndex is how long a name counts after it was last used.
const idleIndex = 24 * time.Hour

// indexNames bounds the index names in use: a field with ever new values, or arbitrary times, would
// otherwise create indices until the cluster accepts no more.
type indexNames struct {
	template   *index
	max        int
	log        *slog.Logger
	overflowed prometheus.Counter

	mu           sync.Mutex
	used         map[string]time.Time // last use of each name
	warned       bool
	overflowName string
}

func newIndexNames(template *index, limit int, log *slog.Logger, overflowed prometheus.Counter) *indexNames {
	return &indexNames{
		template:     template,
		max:          limit,
		log:          log,
		overflowed:   overflowed,
		used:         map[string]time.Time{},
		overflowName: template.overflow(),
	}
}

// admit returns the valid name for a template's result.
func (x *indexNames) admit(raw []byte) string {
	name := sanitize(raw)
	now := time.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, known := x.used[name]; !known && len(x.used) >= x.max {
		maps.DeleteFunc(x.used, func(_ string, last time.Time) bool { return now.Sub(last) > idleIndex })
	}
	if _, known := x.used[name]; !known && len(x.used) >= x.max {
		x.overflow(name)
		return x.overflowName
	}
	x.used[name] = now
	return name
}

func (x *indexNames) overflow(name string) {
	x.overflowed.Inc()
	if x.warned {
		return
	}
	x.warned = true
	x.log.Warn("records have too many index names; those of new ones go to the overflow index",
		"first", name, "instead", x.overflowName, "indices", x.max,
		"hint", "take the field with many values out of index, or raise max_indices")
}

const (
	// Bounds of an encoder's memory of names, in number and in records.
	maxActions = 1024
	actionsTTL = 1 << 16
)

// An indexNamer returns the start of action lines, for one encoder.
type indexNamer struct {
	names     *indexNames
	actions   map[string][]byte // by the template's result
	remaining int               // records until names are renewed
	raw       []byte

	// last is valid for source and times in [from, until), if names are stable.
	last        []byte
	source      *event.Source
	from, until int64
}

// actionStart begins every action; the index follows.
const actionStart = `{"create":{"_index":`

// action returns {"create":{"_index":"…" for record i.
func (n *indexNamer) action(b *event.Batch, i int) []byte {
	at := b.Records[i].Time
	if n.remaining--; n.remaining <= 0 || len(n.actions) > maxActions {
		n.actions, n.remaining, n.source = map[string][]byte{}, actionsTTL, nil
	}
	if n.source == b.Source && at >= n.from && at < n.until {
		return n.last
	}
	n.raw = n.names.template.appendName(n.raw[:0], b, i)
	action, ok := n.actions[string(n.raw)]
	if !ok {
		action = append([]byte(actionStart), event.AppendString(nil, n.names.admit(n.raw))...)
		n.actions[string(n.raw)] = action
	}
	if n.names.template.stable {
		n.last, n.source = action, b.Source
		n.from, n.until = hourOf(at)
	}
	return action
}

// hourOf returns the hour around a time: no template's date is finer.
func hourOf(at int64) (from, until int64) {
	hour := int64(time.Hour)
	from = at - ((at%hour)+hour)%hour
	return from, from + hour
}
