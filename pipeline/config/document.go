package config

import (
	"fmt"
	"maps"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strconv"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/secrets"
)

// general are the settings at the top, beside the components.
type general struct {
	Version         int               `yaml:"version" doc:"Version of the config's form." default:"1"`
	DataDir         string            `yaml:"data_dir" doc:"Folder for what must survive a restart." default:"/var/lib/longshore" required:"true"`
	HTTP            HTTP              `yaml:"http" doc:"The HTTP server for health and metrics."`
	ShutdownTimeout pipeline.Duration `yaml:"shutdown_timeout" doc:"How long to go on delivering after a signal to stop." default:"30s" max:"1h"`

	Redact bool `yaml:"redact" doc:"Take secrets (passwords, tokens, keys) out of all records; a pipeline with a transform of the type redact without a condition does it that way instead." default:"true"`

	Recent Recent `yaml:"recent" doc:"Records that were read last, kept to be looked at: by the API and longshore tail. It is on, off or has settings. Without it they are kept where there is no output."`

	Watch Watch `yaml:"watch" doc:"Metrics of the host and of containers on /metrics. It is on, off or has settings; without it, it is off."`

	Alerts map[string]pipeline.Alert `yaml:"alerts" doc:"What rings, by name: too many records of a kind, or too few."`

	Secrets secrets.Settings `yaml:"secrets" doc:"Where the secrets of ${vault:…} and ${aws:…} are kept. What is not set comes from the environment, as for the programs of Vault and AWS."`

	Tests []Case `yaml:"tests" doc:"Lines and what is to become of them, for longshore test."`

	Inputs     skipField `yaml:"inputs" doc:"Where records come from: the inputs, by name; at least one."`
	Parsers    skipField `yaml:"parsers" doc:"What reads lines: the parsers, by name. Without any, every format is detected."`
	Transforms skipField `yaml:"transforms" doc:"What changes, drops or routes records: the transforms, by name."`
	Outputs    skipField `yaml:"outputs" doc:"Where records go: the outputs, by name. Without any, records are only kept to be looked at, see recent."`
	Pipelines  skipField `yaml:"pipelines" doc:"Which inputs go through which parsers and transforms to which outputs. Without any, everything goes through all parsers and transforms to all outputs."`
}

// skipField is what is read by other means than a struct's tags.
type skipField struct{}

// A document is a config as it is being read.
type document struct {
	decoder
	root       *node
	components []pipeline.Spec
	cfg        Config
	general    general

	// declared are the components by kind and name, whether valid or not.
	declared map[pipeline.Kind]map[string]*node
	used     map[pipeline.Kind]map[string]bool
}

// sections are the names at the top that hold components.
var sections = [...]struct {
	kind pipeline.Kind
	name string
}{
	{pipeline.KindInput, "inputs"},
	{pipeline.KindParser, "parsers"},
	{pipeline.KindTransform, "transforms"},
	{pipeline.KindOutput, "outputs"},
}

func (d *document) config(file string) *Config {
	if !d.isKind(d.root, "", mappingKind, "a map (name: value)") {
		return nil
	}
	d.declared = map[pipeline.Kind]map[string]*node{}
	d.used = map[pipeline.Kind]map[string]bool{}
	d.structs(d.root, "", reflect.ValueOf(&d.general).Elem())
	d.checkVersion()
	d.checkListen()
	for _, s := range sections {
		d.declared[s.kind] = map[string]*node{}
		d.used[s.kind] = map[string]bool{}
		d.section(s.kind, s.name)
	}
	d.checkObservers()
	d.checkPageURL()
	alerts := d.alerts()
	d.pipelines(alerts)
	alerts.add(d)
	d.chosenOutputs()
	d.redact()
	d.cases()
	d.recent()
	d.watch()
	if n := d.root.get("http"); n != nil {
		d.check(&d.general.HTTP, n, "http", !n.anyBroken())
	}
	if n := d.root.get("secrets"); n != nil {
		d.check(&d.general.Secrets, n, "secrets", !n.anyBroken())
	}
	d.cfg.DataDir = d.general.DataDir
	d.checkPaths()
	d.checkTemplates()
	d.cfg.File = file
	d.cfg.specs = d.components
	d.cfg.HTTP = d.general.HTTP
	d.cfg.ShutdownTimeout = d.general.ShutdownTimeout
	return &d.cfg
}

func (d *document) checkVersion() {
	if n := d.root.get("version"); n != nil && d.general.Version != 1 {
		d.report(n, "version", "this longshore reads version 1")
	}
}

func (d *document) checkListen() {
	n := d.root.get("http").get("listen")
	if n == nil || n.broken {
		d.general.HTTP.ListenDefault = n == nil
		return
	}
	_, port, err := net.SplitHostPort(n.text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		d.report(n, "http.listen", "%q is not an address; write it like %s", n.asWritten, DefaultListen)
	}
}

// section reads all components of a kind.
func (d *document) section(k pipeline.Kind, name string) {
	n := d.root.get(name)
	if n == nil {
		if k == pipeline.KindInput {
			d.problems.add(span{}, "", "there are no %s; %s", name, d.example(k))
		}
		return // without outputs: see recent
	}
	if n.kind == listKind {
		d.report(n, name, "must be a map, not a list; write a name of your choice in place of each dash, as in %s",
			d.sample(k))
		return
	}
	if !d.isKind(n, name, mappingKind, "a map (name: settings)") {
		return
	}
	ignoreStrays(n)
	if len(n.entries) == 0 {
		d.report(n, name, "is empty; %s", d.example(k))
	}
	for _, e := range n.entries {
		d.declared[k][e.name] = e.value
		if !namePattern.MatchString(e.name) {
			d.problems.add(e.key, child(name, e.name),
				"a name has up to 64 letters, digits, dots, dashes and underscores, and starts with a letter or digit")
		}
		d.component(k, e, child(name, e.name))
	}
}

// ignoreStrays passes over settings that stand beside their component as they are not indented:
// that the component is empty is reported.
func ignoreStrays(section *node) {
	empty := false
	for _, e := range section.entries {
		empty = empty || e.value.kind == nullKind
		if empty && (e.value.kind == scalarKind || e.value.kind == listKind) {
			e.value.broken = true
		}
	}
}

// namePattern is for names that stand in metrics, logs and file names.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// example shows what a component of a kind looks like.
func (d *document) example(k pipeline.Kind) string {
	types := d.types(k)
	if len(types) == 0 {
		return fmt.Sprintf("add an %s", k)
	}
	return "add one, such as: " + d.sample(k)
}

// sample is a section with one component, of the first type.
func (d *document) sample(k pipeline.Kind) string {
	for _, typ := range d.types(k) {
		return fmt.Sprintf("%ss: {%s: {type: %s}}", k, typ, typ)
	}
	return ""
}

// types returns the names of the types of a kind.
func (d *document) types(k pipeline.Kind) []string {
	var names []string
	for _, s := range d.components {
		if s.Kind == k && !s.Traits.Observes { // which stands in a section of its own
			names = append(names, s.Type)
		}
	}
	return names
}

func (d *document) spec(k pipeline.Kind, name string) (pipeline.Spec, bool) {
	return specOf(d.components, k, name)
}

func specOf(specs []pipeline.Spec, k pipeline.Kind, name string) (pipeline.Spec, bool) {
	for _, s := range specs {
		if s.Kind == k && s.Type == name {
			return s, true
		}
	}
	return pipeline.Spec{}, false
}

// component reads one component.
func (d *document) component(k pipeline.Kind, e entry, path string) {
	if !d.isKind(e.value, path, mappingKind, "settings (name: value)") {
		return
	}
	spec, ok := d.typeOf(k, e, path)
	if !ok {
		return
	}
	before := len(d.problems.found)
	c := newComponent(e.name, spec)
	d.componentSettings(e.value, path, c)
	clean := len(d.problems.found) == before && !e.value.anyBroken()
	d.check(c.settings, e.value, path, clean)
	d.condition(c, e, path)
	if p, ok := c.settings.(pipeline.ParserConfig); ok && len(d.problems.found) == before {
		if _, err := p.Parser(); err != nil {
			d.problems.add(e.key, path, "%v", err)
		}
	}
	if err := d.cfg.add(c); err != nil {
		d.problems.add(e.key, path, "%v", err)
	}
}

// typeOf returns the spec that a component asks for.
func (d *document) typeOf(k pipeline.Kind, e entry, path string) (pipeline.Spec, bool) {
	n := e.value.get("type")
	if n == nil {
		hint := e.name
		if _, known := d.spec(k, hint); !known {
			hint = "…"
		}
		d.problems.add(e.key, path, `has no type; add "type: %s" (there is %s)`, hint, list(d.types(k), "and"))
		return pipeline.Spec{}, false
	}
	path = child(path, "type")
	if n.broken || !d.isKind(n, path, scalarKind, "a single value") {
		return pipeline.Spec{}, false
	}
	spec, ok := d.spec(k, n.text)
	if !ok {
		d.report(n, path, "there is no %s of the type %s%s", k, d.quote(n, &setting{}), meant(n.text, d.types(k)))
	}
	return spec, ok
}

// A component is one input, parser, transform or output as it is being read.
type component struct {
	name      string
	spec      pipeline.Spec
	settings  any // what Spec.New gave
	input     pipeline.InputSettings
	parser    pipeline.ParserSettings
	transform pipeline.TransformSettings
	output    pipeline.OutputSettings
	header    struct {
		Type skipField `yaml:"type"`
	}
}

func newComponent(name string, spec pipeline.Spec) *component {
	return &component{name: name, spec: spec, settings: spec.New()}
}

// targets are the structs that stand side by side in the component's YAML.
func (c *component) targets() []reflect.Value {
	all := []reflect.Value{reflect.ValueOf(c.settings).Elem(), reflect.ValueOf(&c.header).Elem()}
	switch c.spec.Kind {
	case pipeline.KindInput:
		all = append(all, reflect.ValueOf(&c.input).Elem())
	case pipeline.KindParser:
		all = append(all, reflect.ValueOf(&c.parser).Elem())
	case pipeline.KindTransform:
		all = append(all, reflect.ValueOf(&c.transform).Elem())
	case pipeline.KindOutput:
		all = append(all, reflect.ValueOf(&c.output).Elem())
	}
	return all
}

// add takes a component over. An error is a bug in Longshore.
func (cfg *Config) add(c *component) error {
	ok := false
	switch c.spec.Kind {
	case pipeline.KindInput:
		var s pipeline.InputConfig
		s, ok = c.settings.(pipeline.InputConfig)
		cfg.Inputs = append(cfg.Inputs, Input{c.name, c.spec.Type, c.spec.Traits, c.input, s})
	case pipeline.KindParser:
		var s pipeline.ParserConfig
		s, ok = c.settings.(pipeline.ParserConfig)
		cfg.Parsers = append(cfg.Parsers, Parser{c.name, c.spec.Type, c.parser, s})
	case pipeline.KindTransform:
		var s pipeline.TransformConfig
		s, ok = c.settings.(pipeline.TransformConfig)
		cfg.Transforms = append(cfg.Transforms, Transform{c.name, c.spec.Type, c.spec.Traits, c.transform, s})
	case pipeline.KindOutput:
		var s pipeline.OutputConfig
		s, ok = c.settings.(pipeline.OutputConfig)
		cfg.Outputs = append(cfg.Outputs, Output{c.name, c.spec.Type, c.output, s})
	}
	if !ok {
		return fmt.Errorf("longshore's own type %T is not an %s", c.settings, c.spec.Kind)
	}
	return nil
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
