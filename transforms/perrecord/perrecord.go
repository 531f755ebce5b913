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
	t := &transform{env.If, do, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "longshore_transform_dropped_records_total", Help: "Records that the transform dropped.",
	})}
	env.Metrics.MustRegister(t.dropped)
	return t
}

type transform struct {
	when    func(b *event.Batch, i int) bool
	do      func(b *event.Batch, i int)
	dropped prometheus.Counter
}

// Apply implements pipeline.Transform.
func (t *transform) Apply(b *event.Batch) {
	dropped := 0
	for i := range b.Records {
		if b.Records[i].Flags&(event.Dropped|event.Rejected) != 0 || t.when != nil && !t.when(b, i) {
			continue
		}
		t.do(b, i)
		b.Records[i].RedundantText = event.Span{}
		if b.Records[i].Flags&event.Dropped != 0 {
			dropped++
		}
	}
	if dropped > 0 {
		t.dropped.Add(float64(dropped))
	}
}

// CheckKey validates the setting key, a template.
func CheckKey(key string) []pipeline.Problem {
	if _, err := event.ParseTemplate(key); err != nil {
		return []pipeline.Problem{{Path: "key", Message: err.Error()}}
	}
	return nil
}
