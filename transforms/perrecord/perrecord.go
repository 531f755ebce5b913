// Package perrecord makes transforms of functions over one record.
package perrecord

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Record returns the transform that calls do for every record for which its condition holds,
// without those that are dropped or rejected. It counts what do drops.
func Record(env pipeline.TransformEnv, do func(b *event.Batch, i int)) pipeline.Transform {
	t := &transform{when: env.If, do: do, dropped: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "longshore_transform_dropped_records_total", Help: "Records that the transform dropped.",
	})}
	env.Metrics.MustRegister(t.dropped)
	t.panics = pipeline.TransformPanics(env)
	return t
}

type transform struct {
	when    func(b *event.Batch, i int) bool
	do      func(b *event.Batch, i int)
	dropped prometheus.Counter
	panics  *pipeline.Panics
}

// Apply implements pipeline.Transform. A record at which the function panics goes on as it is then.
func (t *transform) Apply(b *event.Batch) {
	for next := 0; next < len(b.Records); {
		next = t.apply(b, next)
	}
}

// apply works on the records from one on, to the end or to one at which the function panics, and
// returns the next.
func (t *transform) apply(b *event.Batch, from int) (next int) {
	i, dropped := from, 0
	defer func() {
		if dropped > 0 {
			t.dropped.Add(float64(dropped))
		}
		if i < len(b.Records) {
			t.panics.Note(recover(), "a transform has panicked at a record, which goes on without it",
				"source", b.Source.Key, "position", b.Records[i].Pos)
			b.Records[i].RedundantText = event.Span{}
			next = i + 1
		}
	}()
	for ; i < len(b.Records); i++ {
		if b.Records[i].Flags&(event.Dropped|event.Rejected) != 0 || t.when != nil && !t.when(b, i) {
			continue
		}
		t.do(b, i)
		b.Records[i].RedundantText = event.Span{}
		if b.Records[i].Flags&event.Dropped != 0 {
			dropped++
		}
	}
	return i
}

// CheckKey validates the setting key, a template.
func CheckKey(key string) []pipeline.Problem {
	if _, err := event.ParseTemplate(key); err != nil {
		return []pipeline.Problem{{Path: "key", Message: err.Error()}}
	}
	return nil
}
