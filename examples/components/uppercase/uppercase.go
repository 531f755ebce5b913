// Package uppercase is the example transform of docs/contributing/transform.md.
package uppercase

import (
	"bytes"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/transforms/perrecord"
)

// Config is the transform's config.
type Config struct {
	Field string `yaml:"field" default:"message" doc:"What to change: message, service, or the name of a field." example:"user"`
}

// Spec describes the transform.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindTransform,
		Type:    "uppercase",
		Summary: "Writes a field in upper case. Depends on nothing but the record.",
		New:     func() any { return new(Config) },
	}
}

// Transform implements pipeline.TransformConfig.
func (c *Config) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	return perrecord.Record(env, c.apply), nil
}

func (c *Config) apply(b *event.Batch, i int) {
	text := b.AppendNamed(nil, i, c.Field)
	if len(text) == 0 {
		return
	}
	name := event.Value{Span: b.PutString(c.Field), Kind: event.Text}
	b.Set(i, name, event.Value{Span: b.Put(bytes.ToUpper(text)), Kind: event.Text})
}
