// Package rename renames fields.
package rename

import (
	"maps"
	"slices"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/transforms/perrecord"
)

// Spec describes the transform.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindTransform,
		Type:    "rename",
		Summary: "Renames fields. Depends on nothing but the record.",
		New:     func() any { return new(Config) },
	}
}

// Config is the transform's config.
type Config struct {
	Fields map[string]string `yaml:"fields" required:"true" doc:"Old and new names. A field that already has the new name is replaced. message, service and level may be old or new names." example:"{msg_body: message, usr: user.name}"`
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	taken := map[string]string{}
	for _, old := range slices.Sorted(maps.Keys(c.Fields)) {
		name := c.Fields[old]
		switch {
		case !event.Settable(name), !event.Settable(old):
			problems = append(problems, pipeline.Problem{Path: "fields." +
				old, Message: "timestamp, trace_id and span_id keep their names, and no name is empty"})
		case taken[name] != "":
			problems = append(problems, pipeline.Problem{Path: "fields." + old, Message: "gets the same name as " +
				taken[name]})
		}
		taken[name] = old
	}
	return problems
}

// Transform implements pipeline.TransformConfig.
func (c *Config) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	var r renamer
	for _, old := range slices.Sorted(maps.Keys(c.Fields)) {
		r = append(r, pair{old, c.Fields[old]})
	}
	return perrecord.Record(env, r.rename), nil
}

type renamer []pair

type pair struct{ old, new string }

// rename takes all values before it puts any back, as names may be swapped.
func (r renamer) rename(b *event.Batch, i int) {
	var room [8]event.Value
	taken := room[:0]
	for _, p := range r {
		taken = append(taken, b.Take(i, p.old))
	}
	for k, p := range r {
		if taken[k].Kind != event.None {
			b.Set(i, event.Value{Span: b.PutString(p.new), Kind: event.Text}, taken[k])
		}
	}
}
