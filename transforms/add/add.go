// Package add adds fields to records.
package add

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/transforms/perrecord"
)

// Spec describes the transform.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindTransform,
		Type:    "add",
		Summary: "Adds fields to records, or replaces their values. Depends on nothing but the record.",
		New:     func() any { return new(Config) },
	}
}

// Config is the transform's config.
type Config struct {
	Fields map[string]string `yaml:"fields" required:"true" doc:"Names and their values. {name} is a value of the record: a field, message, level, service, trace_id, or a label of its source; {name} alone keeps numbers as they are. An empty value is not added. message, service and level can be set too." example:"{env: production, where: \"{container.name}:{status}\"}"`
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		path := "fields." + name
		if !event.Settable(name) {
			problems = append(problems, pipeline.Problem{Path: path, Message: "cannot be set; take another name"})
		}
		if _, err := event.ParseTemplate(c.Fields[name]); err != nil {
			problems = append(problems, pipeline.Problem{Path: path, Message: err.Error()})
		}
	}
	return problems
}

// Transform implements pipeline.TransformConfig.
func (c *Config) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	var adding adder
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		value, err := event.ParseTemplate(c.Fields[name])
		if err != nil {
			return nil, fmt.Errorf("fields %s %w", strconv.Quote(name), err)
		}
		adding = append(adding, addition{name, value})
	}
	return perrecord.Record(env, adding.add), nil
}

type adder []addition

type addition struct {
	name  string
	value event.Template
}

func (a adder) add(b *event.Batch, i int) {
	for _, f := range a {
		v := f.valueOf(b, i)
		if v.Kind == event.None || v.Len == 0 {
			continue
		}
		b.Set(i, event.Value{Span: b.PutString(f.name), Kind: event.Text}, v)
	}
}

// valueOf returns the value for record i: a field's own if the template is only its name.
func (f *addition) valueOf(b *event.Batch, i int) event.Value {
	if len(f.value) == 1 && f.value[0].Field != "" {
		if k := b.FieldNamed(i, f.value[0].Field); k >= 0 {
			return b.Fields(i)[k].Value
		}
	}
	off := len(b.Arena)
	b.Arena = f.value.Append(b.Arena, b, i)
	return event.Value{Span: event.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}, Kind: event.Text}
}
