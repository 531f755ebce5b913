// Package remove removes fields from records.
package remove

import (
	"fmt"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/transforms/perrecord"
)

// Spec describes the transform.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindTransform,
		Type:    "remove",
		Summary: "Removes fields from records, or all but some. Depends on nothing but the record.",
		New:     func() any { return new(Config) },
	}
}

// Config is the transform's config.
type Config struct {
	Fields []string `yaml:"fields" required:"true" doc:"Names of the fields; * matches any characters. trace_id, span_id, service and level can be named in full. The line itself, which outputs with line_format: raw write, stays as it is." example:"[password, debug_*]"`
	Except []string `yaml:"except" doc:"Names among these that stay; with fields: [\"*\"] only these stay." example:"[status, http.*]"`
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	for i, name := range c.Fields {
		if name == "message" || name == "timestamp" {
			problems = append(problems, pipeline.Problem{
				Path: fmt.Sprintf("fields[%d]", i), Message: "cannot be removed, every record has one; add sets " +
					"another message, and truncate shortens it",
			})
		}
	}
	return problems
}

// Transform implements pipeline.TransformConfig.
func (c *Config) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	return perrecord.Record(env, c.remove), nil
}

func (c *Config) remove(b *event.Batch, i int) {
	for k := len(b.Fields(i)) - 1; k >= 0; k-- {
		if c.names(nameOf(b, b.Fields(i)[k].Key)) {
			b.RemoveField(i, k)
		}
	}
	for _, name := range c.Fields {
		c.removeCore(&b.Records[i], name)
	}
}

// nameOf returns a key's bytes; keys with escapes are rare, and copied.
func nameOf(b *event.Batch, key event.Value) []byte {
	if key.Kind == event.Escaped {
		return b.AppendText(nil, key)
	}
	return b.Bytes(key.Span)
}

func (c *Config) names(name []byte) bool {
	return pipeline.MatchAny(c.Fields, name) && !pipeline.MatchAny(c.Except, name)
}

func (c *Config) removeCore(r *event.Record, name string) {
	switch name {
	case "trace_id":
		r.Flags &^= event.HasTrace
	case "span_id":
		r.Flags &^= event.HasSpan
	case "level":
		r.Level = event.NoLevel
	case event.LabelService:
		r.Service = event.Value{}
	}
}
