package config

import (
	"errors"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/condition"
)

// redactType is the type of the transform that every pipeline has unless the user says otherwise.
const redactType = "redact"

// condition checks the condition of a transform.
func (d *document) condition(c *component, e entry, path string) {
	given := e.value.get("if")
	if c.spec.Traits.NeedsCondition && given == nil {
		d.problems.add(e.key, path, "needs a condition; add one, such as: if: level == \"debug\"")
	}
	if given == nil || given.broken {
		return
	}
	_, err := condition.Compile(c.transform.If)
	var wrong *condition.Error
	if errors.As(err, &wrong) {
		column := wrong.Column
		if wrong.Line > 1 {
			column = 0
		}
		d.problems.add(within(d.problems.source, given.at, given, column), child(path, "if"), "%s", wrong.Message)
		given.broken = true
	}
}

// chosenOutputs checks the outputs that transforms name.
func (d *document) chosenOutputs() {
	var outputs []string
	for _, e := range d.root.get("outputs").all() {
		outputs = append(outputs, e.name)
	}
	for _, t := range d.cfg.Transforms {
		n := d.root.get("transforms").get(t.Name)
		if chooser, ok := t.Settings.(pipeline.OutputChooser); ok && n != nil {
			d.check(choice{chooser, outputs}, n, child("transforms", t.Name), true)
		}
	}
}

// choice is an OutputChooser as a Checker.
type choice struct {
	pipeline.OutputChooser
	outputs []string
}

// Check implements pipeline.Checker.
func (c choice) Check() []pipeline.Problem { return c.CheckOutputs(c.outputs) }

// redact puts a transform that takes secrets out before all others of each
// pipeline that has none without a condition.
func (d *document) redact() {
	spec, ok := d.spec(pipeline.KindTransform, redactType)
	if !ok || !d.general.Redact {
		return
	}
	name := ""
	for i := range d.cfg.Pipelines {
		p := &d.cfg.Pipelines[i]
		if d.cfg.redacts(*p) {
			continue
		}
		if name == "" {
			name = d.defaultRedact(spec)
		}
		p.Transforms = append([]string{name}, p.Transforms...)
	}
}

// defaultRedact makes sure of a redact transform with its defaults, and gives its name.
func (d *document) defaultRedact(spec pipeline.Spec) string {
	name, listed := redactType, d.root.get("transforms")
	for _, taken := listed.entry(name); taken; _, taken = listed.entry(name) {
		name = "default-" + name
	}
	if d.declared[pipeline.KindTransform][name] == nil {
		d.addDefault(spec, name)
	}
	return name
}
