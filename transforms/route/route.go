// Package route chooses the outputs of records.
package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/condition"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/transforms/perrecord"
)

// Spec describes the transform.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindTransform,
		Type:    "route",
		Summary: "Chooses which of the pipeline's outputs a record goes to. Depends on nothing but the record.",
		New:     func() any { return new(Config) },
	}
}

// Config is the transform's config.
type Config struct {
	Routes []Route  `yaml:"routes" required:"true" doc:"The routes; a record takes the first whose condition holds." example:"[{if: level >= \"error\", outputs: [loki, elastic]}]"`
	Else   []string `yaml:"else" doc:"Outputs of records that take no route; by default all." example:"[loki]"`
}

// A Route is a condition and its outputs.
type Route struct {
	If      string   `yaml:"if" required:"true" doc:"Which records take this route." example:"level >= \"error\""`
	Outputs []string `yaml:"outputs" required:"true" doc:"Names of its outputs, which the pipeline must have too." example:"[loki]"`
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	for i, r := range c.Routes {
		_, err := condition.Compile(r.If)
		var wrong *condition.Error
		if errors.As(err, &wrong) && r.If != "" {
			problems = append(problems, pipeline.Problem{Path: fmt.Sprintf("routes[%d].if", i), Message: wrong.Message,
				Column: wrong.Column})
		}
	}
	return problems
}

// CheckOutputs implements pipeline.OutputChooser.
func (c *Config) CheckOutputs(outputs []string) []pipeline.Problem {
	var problems []pipeline.Problem
	check := func(path string, names []string) {
		for k, name := range names {
			if !slices.Contains(outputs, name) {
				problems = append(problems, pipeline.Problem{
					Path:    fmt.Sprintf("%s[%d]", path, k),
					Message: fmt.Sprintf("there is no output %q; there are %s", name, strings.Join(outputs, ", ")),
				})
			}
		}
	}
	for i, r := range c.Routes {
		check(fmt.Sprintf("routes[%d].outputs", i), r.Outputs)
	}
	check("else", c.Else)
	return problems
}

// maxOutputs is the number of bits of event.Record.ExcludedOutputs.
const maxOutputs = 32

// Transform implements pipeline.TransformConfig.
func (c *Config) Transform(env pipeline.TransformEnv) (pipeline.Transform, error) {
	if len(env.Outputs) > maxOutputs {
		return nil, fmt.Errorf("route works with %d outputs at most, and there are %d", maxOutputs, len(env.Outputs))
	}
	if problems := c.CheckOutputs(env.Outputs); len(problems) > 0 {
		return nil, fmt.Errorf("%s: %s", problems[0].Path, problems[0].Message)
	}
	var r router
	for i, route := range c.Routes {
		when, err := condition.Compile(route.If)
		if err != nil {
			return nil, fmt.Errorf("routes[%d].if: %w", i, err)
		}
		r.routes = append(r.routes, compiledRoute{when, excludedBits(env.Outputs, route.Outputs)})
	}
	if len(c.Else) > 0 {
		r.otherwise = excludedBits(env.Outputs, c.Else)
	}
	return perrecord.Record(env, r.direct), nil
}

// excludedBits returns the bits of the outputs that are not chosen.
func excludedBits(outputs, chosen []string) uint32 {
	var bits uint32
	for k, name := range outputs {
		if !slices.Contains(chosen, name) {
			bits |= 1 << k
		}
	}
	return bits
}

type router struct {
	routes    []compiledRoute
	otherwise uint32 // excluded for records that take no route
}

type compiledRoute struct {
	when     *condition.Condition
	excluded uint32
}

func (r *router) direct(b *event.Batch, i int) {
	for _, w := range r.routes {
		if w.when.Holds(b, i) {
			b.Records[i].ExcludedOutputs |= w.excluded
			return
		}
	}
	b.Records[i].ExcludedOutputs |= r.otherwise
}
