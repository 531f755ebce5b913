// Package truncate truncates long texts.
package truncate

import (
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/transforms/perrecord"
)

// Spec describes the transform.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind: pipeline.KindTransform,
		Type: "truncate",
		Summary: "Truncates a message or fields that are too long, and marks the record with \"truncated\": true. " +
			"Depends on nothing but the record.",
		New: func() any { return new(Config) },
	}
}

// Config is the transform's config.
type Config struct {
	Fields  []string      `yaml:"fields" default:"[message]" doc:"What to truncate: message, or names of fields; * matches any characters. The line itself, which outputs with line_format: raw write, stays as it is." example:"[message, stack_*]"`
	MaxSize pipeline.Size `yaml:"max_size" formerly:"max" required:"true" min:"16B" doc:"Longest value in bytes, with the … at its end. Characters are never cut in two." example:"8KiB"`
}

// mark ends what was truncated.
const mark = "…"

// Transform implements pipeline.TransformConfig.
func (c *Config) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	return perrecord.Record(env, c.truncate), nil
}

func (c *Config) truncate(b *event.Batch, i int) {
	r := &b.Records[i]
	if message := b.MessageOf(i); int64(message.Len) > int64(c.MaxSize) && pipeline.MatchAny(c.Fields, "message") {
		r.Message = c.shorten(b, message)
		r.Flags |= event.Truncated
	}
	for k, f := range b.Fields(i) {
		if int64(f.Value.Len) > int64(c.MaxSize) && pipeline.MatchAny(c.Fields, b.Bytes(f.Key.Span)) {
			f.Value = c.shorten(b, f.Value)
			b.SetField(i, k, f)
			r.Flags |= event.Truncated
		}
	}
}

// shorten returns the head of a value and the mark, at the end of the arena.
func (c *Config) shorten(b *event.Batch, v event.Value) event.Value {
	v = v.Truncate(b.Bytes(v.Span), int(c.MaxSize)-len(mark))
	head := b.Put(b.Bytes(v.Span))
	head.Len += b.PutString(mark).Len
	v.Span = head
	return v
}
