package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// alloy converts the pipelines for logs of Grafana Alloy.
func (c *conversion) alloy() {
	a := alloyGraph{c: c, components: map[string]*node{}, writers: map[string][]*section{}}
	for _, e := range c.root.entries {
		if e.value.label != "" {
			a.components[e.name+"."+e.value.label] = e.value
		}
	}
	for _, e := range c.root.entries {
		a.source(e.name, e.value)
	}
	for _, f := range a.flows {
		if len(f.outputs) == 0 {
			for _, s := range c.destinations(nil) {
				f.outputs = append(f.outputs, s.name)
			}
		}
	}
	c.lokiLabels(c.out.outputs, a.flows)
	for _, f := range a.flows {
		f.finish()
	}
	for _, e := range c.root.entries {
		a.rest(e.name, e.value)
	}
}

// An alloyGraph follows the references between components.
type alloyGraph struct {
	c          *conversion
	components map[string]*node
	writers    map[string][]*section
	external   map[string]string
	flows      []*flow
}

// rest tells what is not of the pipelines.
func (a *alloyGraph) rest(name string, n *node) {
	c := a.c
	if n.kind == mapKind && len(n.entries) == 0 {
		n.mark(unneeded)
		return
	}
	switch {
	case !n.anyUntouched() || anyTouched(n):
	case name == "logging", name == "livedebugging", name == "http":
		c.skip(n, "Longshore has --log-level, and its address at http.listen")
	case name == "tracing":
		c.left(n, "Longshore does not trace itself")
	case strings.HasPrefix(name, "prometheus."), strings.HasPrefix(name, "otelcol."), strings.HasPrefix(name,
		"pyroscope."),
		strings.HasPrefix(name, "mimir."), strings.HasPrefix(name, "beyla."), strings.HasPrefix(name, "faro."):
		c.left(n, "Longshore ships logs of files and containers, and nothing else")
	case strings.HasPrefix(name, "loki.source."):
		c.left(n, "import converts files and containers of Alloy alone; the inputs are in docs/reference/inputs.md")
	case strings.HasPrefix(name, "import."), name == "declare", strings.HasPrefix(name, "remote."):
		c.left(n, "is not evaluated; write what it stands for, and convert that")
	default:
		c.left(n, "nothing that Longshore reads goes through it")
	}
}

// source converts a component that reads logs, with all that is behind it.
func (a *alloyGraph) source(name string, n *node) {
	if !slices.Contains([]string{"loki.source.file", "loki.source.docker", "loki.source.kubernetes"}, name) {
		return
	}
	c := a.c
	var first *flow
	for _, way := range a.ways(n, nil) {
		f := c.newFlow(c.freeName(n.label))
		var stages []stage
		for _, component := range way.steps {
			stages = append(stages, blockStages(component)...)
		}
		f.line = lineParserOf(stages)
		if first == nil {
			a.inputs(f, name, n)
			if len(f.inputs) == 0 {
				c.left(n, "it is not known which files or containers it reads")
				return
			}
			first = f
			f.own = slices.Clone(f.parsers)
		} else {
			f.inputs, f.parsers = first.inputs, slices.Clone(first.own)
			maps.Copy(f.labels, first.sourceLabels)
			maps.Copy(f.static, first.static)
			maps.Copy(f.onInput, first.onInput)
		}
		f.sourceLabels = maps.Clone(f.labels)
		for _, component := range way.steps {
			for _, rule := range component.all("rule") {
				f.relabel(rule, nil)
			}
			f.stages(blockStages(component))
			c.done(component.get("forward_to"))
			c.skip(component.get("max_cache_size"), "not needed")
		}
		for _, out := range way.writers {
			for label, value := range a.external {
				f.static[label] = value
				f.labels[label] = template(label)
			}
			f.outputs = append(f.outputs, out.name)
		}
		c.staticLabels(f)
		a.flows = append(a.flows, f)
	}
	c.done(n.get("forward_to"))
}

type alloyWay struct {
	steps   []*node
	writers []*section
}

// ways returns all ways from a component to those that write.
func (a *alloyGraph) ways(n *node, steps []*node) (all []*alloyWay) {
	if len(steps) > 20 {
		return nil
	}
	var direct []*section
	for _, to := range n.get("forward_to").list() {
		name := strings.TrimSuffix(to.ref, ".receiver")
		next := a.components[name]
		switch {
		case strings.HasPrefix(name, "loki.write.") && next != nil:
			direct = append(direct, a.write(name, next)...)
		case strings.HasPrefix(name, "loki.echo."):
			direct = append(direct, a.echo(name, next))
		case next != nil && next != n && !slices.Contains(steps, next):
			if strings.HasPrefix(name, "loki.secretfilter.") {
				a.c.skip(next, "secrets are taken out of every line by themselves")
			}
			all = append(all, a.ways(next, append(slices.Clone(steps), next))...)
		default:
			a.c.note(to, Left, "there is no such component of Alloy's in the config")
		}
	}
	if len(direct) > 0 {
		all = append(all, &alloyWay{steps, direct})
	}
	if len(all) == 0 && len(steps) == 0 {
		return []*alloyWay{{}}
	}
	return all[:min(len(all), maxWays)]
}

// write converts a loki.write, once: an output for each endpoint.
func (a *alloyGraph) write(name string, n *node) []*section {
	if done, ok := a.writers[name]; ok {
		return done
	}
	c := a.c
	for i, endpoint := range n.all("endpoint") {
		label := firstOf(endpoint.get("name").raw(), n.label)
		if i > 0 && !endpoint.has("name") {
			label = fmt.Sprintf("%s_%d", n.label, i+1)
		}
		s := c.lokiClient(label, endpoint)
		c.skip(endpoint.get("queue_config"), "Longshore keeps what waits on disk")
		if wait := endpoint.get("remote_timeout"); wait != nil {
			s.fields.set("timeout", c.duration(wait))
		}
		a.writers[name] = append(a.writers[name], s)
	}
	for _, e := range n.get("external_labels").maps() {
		if value := c.text(e.value); value != "" {
			if a.external == nil {
				a.external = map[string]string{}
			}
			a.external[e.name] = value
		}
	}
	c.skip(n.get("max_streams"), "max_label_values bounds streams")
	c.skip(n.get("wal"), "Longshore reads sources again instead, and spools at an output's spool_size")
	return a.writers[name]
}

func (a *alloyGraph) echo(name string, n *node) *section {
	if a.writers[name] == nil {
		s := a.c.out.add("outputs", "stdout", "stdout")
		a.writers[name] = []*section{s}
		a.c.done(n)
	}
	return a.writers[name][0]
}

// inputs converts what a source reads.
func (a *alloyGraph) inputs(f *flow, kind string, n *node) {
	c := a.c
	switch kind {
	case "loki.source.file":
		a.files(f, n.get("targets"), n, 0)
		f.fixedLabels()
		c.skip(n.get("tail_from_end"), "see read_from of the input")
		for _, name := range []string{"file_watch", "decompression", "legacy_positions_file", "file_match",
			"on_positions_file_error"} {
			c.skip(n.get(name), "files are found, unpacked and known again by themselves")
		}
		if encoding := n.get("encoding"); encoding != nil {
			value := strings.ToLower(c.text(encoding))
			for _, in := range f.inputs {
				c.inputNamed(in).fields.set("encoding", value)
			}
		}
	case "loki.source.docker":
		in := f.input(f.name, "docker", n)
		c.dockerEngine(in, &node{kind: mapKind, file: n.file, line: n.line,
			entries: namedEntries(n, "host", "refresh_interval", "http_client_config")})
		for _, e := range n.get("labels").maps() {
			f.static[e.name] = c.text(e.value)
			f.labels[e.name] = template(e.name)
		}
		a.containers(f, in, n.get("targets"), 0)
		if rules := a.components[strings.TrimSuffix(n.get("relabel_rules").reference(), ".rules")]; rules != nil {
			for _, rule := range rules.all("rule") {
				c.beside(rule, in)
				f.relabel(rule, in)
			}
			c.done(rules.get("targets"))
			c.done(rules.get("forward_to"))
		}
		c.done(n.get("relabel_rules"))
		c.done(n.get("targets"))
	case "loki.source.kubernetes":
		c.pods(f, n.get("targets"))
		a.discovered(f, nil, n.get("targets"), 0)
	}
}

// fixedLabels finds the labels that have one value at all inputs, so that what selects by them is
// decided at once.
func (f *flow) fixedLabels() {
	for name := range f.onInput {
		first, same := "", true
		for i, in := range f.inputs {
			value := f.c.inputNamed(in).fields.sub("labels").text(name)
			if i == 0 {
				first = value
			}
			same = same && value == first
		}
		delete(f.static, name)
		if same && first != "" {
			f.static[name] = first
		}
	}
}

// reference returns what an expression refers to.
func (n *node) reference() string {
	if n == nil {
		return ""
	}
	return n.ref
}

// files converts targets of files: objects with __path__, or what another component finds.
func (a *alloyGraph) files(f *flow, targets, source *node, depth int) {
	c := a.c
	if depth > 10 {
		return
	}
	for _, t := range targets.list() {
		name := t.ref
		switch {
		case t.kind == mapKind:
			wrapped := &node{kind: mapKind, file: t.file, line: t.line, entries: []entry{{"labels", t}}}
			c.staticConfigs(f, &node{kind: listKind, file: t.file, line: t.line, items: []*node{wrapped}})
			if source.get("tail_from_end").isTrue() {
				c.inputNamed(f.inputs[len(f.inputs)-1]).fields.set("read_from", "end")
			}
			c.done(t)
		case strings.HasPrefix(name, "local.file_match."):
			match := a.components[strings.TrimSuffix(name, ".targets")]
			a.files(f, match.get("path_targets"), source, depth+1)
			c.skip(match.get("sync_period"), "files are found as soon as they appear")
			c.skip(match.get("ignore_older_than"), "see ignore_older of the input")
			c.done(match.get("path_targets"))
			c.done(t)
		case strings.HasPrefix(name, "discovery.relabel."):
			rules := a.components[strings.TrimSuffix(name, ".output")]
			if strings.HasPrefix(rules.get("targets").reference(), "discovery.kubernetes.") {
				c.pods(f, t)
				c.done(a.components[strings.TrimSuffix(rules.get("targets").ref, ".targets")])
			} else {
				a.files(f, rules.get("targets"), source, depth+1)
			}
			c.done(rules.get("targets"))
			for _, rule := range rules.all("rule") {
				f.relabel(rule, nil)
			}
			c.done(t)
		case strings.HasPrefix(name, "discovery.kubernetes."):
			c.pods(f, t)
			c.done(a.components[strings.TrimSuffix(name, ".targets")])
		default:
			c.left(t, "only paths that are written, and local.file_match, say which files to read")
		}
	}
	c.done(targets)
}

// containers converts targets of containers.
func (a *alloyGraph) containers(f *flow, in *section, targets *node, depth int) {
	c := a.c
	if depth > 10 {
		return
	}
	for _, t := range targets.list() {
		name := t.ref
		switch {
		case strings.HasPrefix(name, "discovery.docker."):
			if d := a.components[strings.TrimSuffix(name, ".targets")]; d != nil {
				c.beside(d, in)
				c.dockerEngine(in, d)
			}
			c.done(t)
		case strings.HasPrefix(name, "discovery.relabel."):
			a.discovered(f, in, t, depth)
		default:
			c.left(t, "only what discovery.docker finds is converted")
		}
	}
}

// discovered converts the rules between a discovery and its source.
func (a *alloyGraph) discovered(f *flow, in *section, targets *node, depth int) {
	rules := a.components[strings.TrimSuffix(targets.reference(), ".output")]
	if rules == nil {
		return
	}
	if in != nil {
		a.containers(f, in, rules.get("targets"), depth+1)
	}
	for _, rule := range rules.all("rule") {
		if in != nil {
			a.c.beside(rule, in)
		}
		f.relabel(rule, in)
	}
	a.c.done(rules.get("targets"))
	a.c.done(targets)
}
