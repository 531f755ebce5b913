// Package uppercase is the example transform of docs/contributing/transform.md.
package uppercase

import (
	"unicode"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/transforms/perrecord"
)

// Config is the transform's config.
type Config struct {
	Field string `yaml:"field" default:"message" doc:"What to change: message, or the name of a field. What is not text stays as it is." example:"user"`
}

// Spec describes the transform.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindTransform,
		Type:    "uppercase",
		Summary: "Writes a text in upper case. Depends on nothing but the record.",
		New:     func() any { return new(Config) },
	}
}

// Transform implements pipeline.TransformConfig.
func (c *Config) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	return perrecord.Record(env, c.apply), nil
}

func (c *Config) apply(b *event.Batch, i int) {
	if c.Field == "message" {
		b.Records[i].Message = upper(b, b.MessageOf(i))
	} else if k := b.FieldNamed(i, c.Field); k >= 0 {
		f := b.Fields(i)[k]
		f.Value = upper(b, f.Value)
		b.SetField(i, k, f)
	}
}

// upper returns a text in upper case. It is made at the end of the batch's arena, so that nothing
// is allocated for it.
func upper(b *event.Batch, v event.Value) event.Value {
	if !v.Kind.IsString() {
		return v
	}
	begin := len(b.Arena)
	b.Arena = b.AppendText(b.Arena, v) // without the escapes of JSON
	end := len(b.Arena)
	for at := begin; at < end; {
		r, size := utf8.DecodeRune(b.Arena[at:end])
		b.Arena = utf8.AppendRune(b.Arena, unicode.ToUpper(r))
		at += size
	}
	made := event.Span{Off: uint32(end), Len: uint32(len(b.Arena) - end)}
	return event.Value{Span: made, Kind: event.Text}
}
