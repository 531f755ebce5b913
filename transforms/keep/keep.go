// Package keep drops all records but some.
package keep

import (
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/transforms/perrecord"
)

// Spec describes the transform.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindTransform,
		Type:    "keep",
		Summary: "Keeps the records for which if holds, and drops all others. Depends on nothing but the record.",
		Traits:  pipeline.Traits{NeedsCondition: true},
		New:     func() any { return new(Config) },
	}
}

// Config has no settings of its own.
type Config struct{}

// Transform implements pipeline.TransformConfig.
func (c *Config) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	keep := env.If
	env.If = nil
	return perrecord.Record(env, func(b *event.Batch, i int) {
		if keep != nil && !keep(b, i) {
			b.Records[i].Flags |= event.Dropped
		}
	}), nil
}
