package config

import (
	"errors"
	"slices"
	"strconv"

	"github.com/longshore/longshore/pipeline"
)

// autoParser is the type of the parser that is used where none is named.
const autoParser = "auto"

// pipelines reads which input goes through which parsers to which outputs.
func (d *document) pipelines(alerts *alertsSection) {
	n := d.root.get("pipelines")
	if n == nil {
		d.onePipeline(alerts)
		return
	}
	if !d.isKind(n, "pipelines", mappingKind, "a map (name: lists)") {
		return
	}
	if len(n.entries) == 0 {
		d.report(n, "pipelines", "is empty; remove it to send all inputs to all outputs")
		return
	}
	for _, e := range n.entries {
		d.pipeline(e, child("pipelines", e.name))
	}
	d.unused()
}

// onePipeline is what there is when none are given: all inputs, through all
// parsers and transforms, to all outputs, but for those that send alerts to people.
func (d *document) onePipeline(alerts *alertsSection) {
	p := Pipeline{Name: "main"}
	for _, in := range d.cfg.Inputs {
		p.Inputs = append(p.Inputs, in.Name)
	}
	for _, parser := range d.cfg.Parsers {
		p.Parsers = append(p.Parsers, parser.Name)
	}
	if len(p.Parsers) == 0 {
		p.Parsers = d.auto()
	}
	for _, transform := range d.cfg.Transforms {
		p.Transforms = append(p.Transforms, transform.Name)
	}
	for _, out := range d.cfg.Outputs {
		if !alerts.onlyAlerts(d, out) {
			p.Outputs = append(p.Outputs, out.Name)
		}
	}
	d.cfg.Pipelines = append(d.cfg.Pipelines, p)
}

// auto returns the parser for pipelines that name none.
func (d *document) auto() []string {
	if !d.byType(pipeline.KindParser, autoParser) {
		return nil
	}
	d.used[pipeline.KindParser][autoParser] = true
	return []string{autoParser}
}

// byType makes sure of a parser or transform that has the name of its type and
// its defaults: such a one may be named without being listed.
func (d *document) byType(k pipeline.Kind, name string) bool {
	if d.declared[k][name] != nil {
		return true
	}
	spec, ok := d.spec(k, name)
	if !ok {
		return false
	}
	return d.addDefault(spec, name)
}

// addDefault adds a component that has nothing but its defaults. false means that it
// cannot do without settings.
func (d *document) addDefault(spec pipeline.Spec, name string) bool {
	empty := &node{}
	c, err := standalone(name, spec, empty, &problemList{source: newSource(name, "")})
	if err != nil || d.cfg.add(c) != nil {
		return false
	}
	d.declared[spec.Kind][name] = empty
	return true
}

// standalone makes a component from settings outside of a config.
func standalone(name string, spec pipeline.Spec, settings *node, r *problemList) (*component, error) {
	settings.kind = mappingKind
	settings.entries = append(settings.entries, entry{name: "type", value: scalarNode(spec.Type)})
	c := newComponent(name, spec)
	d := decoder{problems: r}
	d.componentSettings(settings, "", c)
	d.check(c.settings, settings, "", len(r.found) == 0)
	if errs := r.errors(); len(errs) > 0 {
		return nil, errors.New(errs[0].What())
	}
	return c, nil
}

func scalarNode(text string) *node { return &node{kind: scalarKind, text: text, asWritten: text} }

func (d *document) pipeline(e entry, path string) {
	if !namePattern.MatchString(e.name) {
		d.problems.add(e.key, path, "a name has up to 64 letters, digits, dots, dashes and underscores, and starts "+
			"with a letter or digit")
	}
	if !d.isKind(e.value, path, mappingKind, "a map of inputs, parsers, transforms and outputs") {
		return
	}
	misspelt := d.unknown(e.value, path, []string{"inputs", "parsers", "transforms", "outputs"})
	lists := map[pipeline.Kind][]string{}
	for _, s := range sections {
		if !misspelt[s.name] {
			lists[s.kind] = d.names(e, path, s.kind, s.name)
		}
	}
	d.cfg.Pipelines = append(d.cfg.Pipelines, Pipeline{
		Name:       e.name,
		Inputs:     lists[pipeline.KindInput],
		Parsers:    lists[pipeline.KindParser],
		Transforms: lists[pipeline.KindTransform],
		Outputs:    lists[pipeline.KindOutput],
	})
}

// names reads one list of a pipeline.
func (d *document) names(e entry, path string, k pipeline.Kind, section string) []string {
	path = child(path, section)
	n := e.value.get(section)
	switch {
	case n == nil && k == pipeline.KindParser:
		return d.auto()
	case n == nil && k == pipeline.KindTransform:
		return nil
	case n == nil && k == pipeline.KindOutput && d.root.get("outputs") == nil:
		return nil
	case n == nil:
		d.problems.add(e.key, path, "is missing; name the %s of this pipeline%s", section, d.those(k))
		return nil
	case n.kind == scalarKind:
		d.report(n, path, "must be a list; put [ ] around it")
		return nil
	case !d.isKind(n, path, listKind, "a list of names"):
		return nil
	case len(n.items) == 0 && k == pipeline.KindInput && d.hasSourceOptions():
		return nil
	case len(n.items) == 0:
		d.report(n, path, "is an empty list; name at least one%s", d.those(k))
		return nil
	}
	var names []string
	for i, item := range n.items {
		if name, ok := d.name(item, path+"["+strconv.Itoa(i)+"]", k, names); ok {
			names = append(names, name)
		}
	}
	return names
}

// those says what there is to name.
func (d *document) those(k pipeline.Kind) string {
	all := keys(d.declared[k])
	if len(all) == 0 || len(all) > 12 {
		return ""
	}
	return ": there is " + list(all, "and")
}

// name reads one name in a list of a pipeline.
func (d *document) name(n *node, path string, k pipeline.Kind, before []string) (string, bool) {
	if n.broken || !d.isKind(n, path, scalarKind, "a name") {
		return "", false
	}
	name := n.text
	switch {
	case slices.Contains(before, name):
		d.report(n, path, "%q is in this list twice", n.asWritten)
	case d.declared[k][name] != nil, named(k) && d.byType(k, name):
		d.used[k][name] = true
		return name, true
	default:
		d.noSuch(n, path, k)
	}
	return "", false
}

// named reports whether components of a kind may be named by their type.
func named(k pipeline.Kind) bool { return k == pipeline.KindParser || k == pipeline.KindTransform }

// noSuch reports a name in a pipeline that is no component's.
func (d *document) noSuch(n *node, path string, k pipeline.Kind) {
	known := keys(d.declared[k])
	d.used[k][nearest(n.text, known)] = true // no second problem about that one
	if named(k) {
		known = append(known, d.types(k)...)
	}
	if slices.Contains(known, n.text) {
		d.report(n, path, "a %s of the type %q cannot do without settings; list it under %ss", k, n.text, k)
		return
	}
	d.report(n, path, "there is no %s with the name %q%s", k, n.asWritten, meant(n.text, known))
}

// hasSourceOptions reports whether there are sources that may choose parsers and pipelines by
// pipeline.SourceOptions, so that these need be named nowhere else.
func (d *document) hasSourceOptions() bool {
	return slices.ContainsFunc(d.cfg.Inputs, func(i Input) bool { return i.Traits.SourceOptions })
}

// unused reports components that are in no pipeline: they would silently do nothing.
func (d *document) unused() {
	for _, s := range sections {
		for _, e := range d.root.get(s.name).all() {
			if !d.used[s.kind][e.name] && (s.kind != pipeline.KindParser || !d.hasSourceOptions()) {
				d.problems.add(e.key, child(s.name, e.name),
					"is in no pipeline, so it would do nothing; name it in one or remove it")
			}
		}
	}
}

// all returns the entries of a mapping, or of nothing.
func (n *node) all() []entry {
	if n == nil {
		return nil
	}
	return n.entries
}
