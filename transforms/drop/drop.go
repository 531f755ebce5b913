// Package drop drops records.
package drop

import (
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/transforms/perrecord"
)

// Spec describes the transform.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindTransform,
		Type:    "drop",
		Summary: "Drops the records for which if holds. Depends on nothing but the record.",
		Traits:  pipeline.Traits{NeedsCondition: true},
		New:     func() any { return new(Config) },
	}
}

// Config has no settings of its own.
type Config struct{}

// Transform implements pipeline.TransformConfig.
func (c *Config) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	return perrecord.Record(env, func(b *event.Batch, i int) { b.Records[i].Flags |= event.Dropped }), nil
}
