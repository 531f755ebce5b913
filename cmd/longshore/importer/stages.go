package importer

import (
	"regexp"
	"slices"
	"strings"

	"github.com/longshore/longshore/parsers/recognize"
)

// A stage is one step of Promtail's pipeline_stages, or of Alloy's loki.process.
type stage struct {
	name string
	cfg  *node
}

// stagesOf returns Promtail's stages.
func stagesOf(list *node) (all []stage) {
	for _, item := range list.list() {
		for _, e := range item.maps() {
			all = append(all, stage{e.name, e.value})
		}
	}
	return all
}

// blockStages returns Alloy's stages, the blocks stage.NAME of another one.
func blockStages(n *node) (all []stage) {
	for _, e := range n.maps() {
		if name, ok := strings.CutPrefix(e.name, "stage."); ok {
			all = append(all, stage{strings.ReplaceAll(name, "_", ""), e.value})
		}
	}
	return all
}

// nested returns the stages within a match stage.
func (s stage) nested() []stage {
	if list := s.cfg.get("stages"); list != nil {
		return stagesOf(list)
	}
	return blockStages(s.cfg)
}

// pairs returns the map that a stage consists of: in Alloy's it stands below a name.
func (s stage) pairs(name string) []entry {
	if below := s.cfg.get(name); below != nil {
		if below.kind == listKind { // Alloy's label_drop and the like
			var all []entry
			for _, item := range below.items {
				all = append(all, entry{item.text, item})
			}
			return all
		}
		return below.maps()
	}
	if s.cfg != nil && s.cfg.kind == listKind {
		var all []entry
		for _, item := range s.cfg.items {
			all = append(all, entry{item.text, item})
		}
		return all
	}
	return s.cfg.maps()
}

// lineParserOf looks for the stage that reads the line, which decides what conditions can see of
// it.
func lineParserOf(stages []stage) lineParser {
	found := noParser
	for _, s := range stages {
		if s.cfg.get("source").raw() != "" {
			continue
		}
		switch s.name {
		case "json", "logfmt", "docker", "cri", "unpack", "eventlogmessage", "windowsevent", "pattern":
			return otherParser
		case "regex":
			found = exprParser
		case "match":
			found = max(found, lineParserOf(s.nested()))
		}
	}
	return found
}

// stages converts stages.
func (f *flow) stages(stages []stage) {
	for _, s := range stages {
		f.stage(s)
	}
}

func (f *flow) stage(s stage) {
	c, n := f.c, s.cfg
	switch s.name {
	case "json", "logfmt", "regex":
		f.parseStage(s)
	case "docker":
		c.done(n)
		f.unwrap("auto", n)
	case "cri":
		c.done(n)
		f.unwrap("cri", n)
	case "timestamp":
		f.timestampStage(n)
	case "labels":
		f.labelsStage(s)
	case "static_labels", "staticlabels":
		f.staticLabelsStage(s)
	case "labeldrop", "labelallow", "labelkeep":
		f.labelsAway(s)
	case "structured_metadata", "structuredmetadata":
		f.metadataStage(s)
	case "multiline":
		f.multilineStage(n)
	case "drop":
		f.dropStage(n)
	case "match":
		f.matchStage(s)
	case "limit":
		f.limitStage(n)
	case "sampling":
		t := f.transform("sample", n)
		t.fields.set("rate", c.number(n.get("rate")))
		c.skip(n.get("drop_counter_reason"), dropsCounted)
	case "replace":
		f.replaceStage(n)
	case "output":
		f.outputStage(n)
	case "template":
		f.templateStage(n)
	case "metrics":
		f.metricsStage(n)
	case "decolorize":
		c.done(n)
		c.differs(n, "formats are recognised through colours, but the line is sent with them; set line_format: json "+
			"at the output to send the record without them")
	case "tenant":
		f.tenantStage(n)
	case "pack":
		c.left(n, "lines are not packed: send labels as structured metadata, or the record with line_format: json")
	case "geoip":
		c.left(n, "Longshore does not look up places of addresses; do it where the logs are stored")
	case "unpack", "eventlogmessage", "windowsevent":
		c.left(n, "Longshore does not read Windows event logs, nor packed lines")
	default:
		c.left(n, "Longshore has no such stage; docs/transforms.md lists what there is")
	}
}

const dropsCounted = "what a rule drops is counted in /metrics by the rule's name"

// unwrap adds the parser for the lines of a container runtime's files.
func (f *flow) unwrap(typ string, n *node) {
	for _, s := range f.c.out.parsers {
		if old := s.fields.text("type"); slices.Contains(f.parsers, s.name) && (old == "auto" || old == "cri") {
			if old != typ {
				s.fields.set("type", "auto") // it reads the lines of all of them
			}
			return
		}
	}
	f.parser(typ, n)
	f.known["stream"] = "stream"
	f.line = otherParser
}

// isUnwrapped reports whether lines come out of those of a container runtime.
func (f *flow) isUnwrapped() bool {
	return slices.ContainsFunc(f.parsers, func(name string) bool {
		return strings.HasSuffix(name, "_cri") || strings.HasSuffix(name, "_auto")
	})
}

// parseStage converts the stages that take values out of a line, or of what another has taken out.
func (f *flow) parseStage(s stage) {
	c, n := f.c, s.cfg
	field := ""
	if source := n.get("source"); source.raw() != "" {
		field = f.field(source.text)
		c.done(source)
	}
	names := map[string]string{"json": "expressions", "logfmt": "mapping"}
	for _, e := range s.pairs(names[s.name]) {
		if s.name != "regex" && n.has(names[s.name]) {
			f.expression(s.name, field, e)
		}
	}
	if group := n.get("labels_from_groups"); group.isTrue() {
		defer func() {
			for name, known := range f.known {
				if _, is := f.labels[name]; !is {
					f.labels[name] = template(known)
				}
			}
		}()
		c.done(group)
	}
	conditional := len(f.conds) > 0
	switch {
	case s.name == "regex":
		if field == "" && f.isUnwrapped() {
			field = "message"
		}
		f.regex(n.get("expression"), field)
	case field == "" && f.isUnwrapped() && !conditional:
		c.done(n) // auto reads what is within
	case field == "" && conditional:
		c.differs(n, "all lines in this format are read, not only those that the selector takes")
		if !slices.ContainsFunc(f.parsers, func(p string) bool { return strings.HasSuffix(p, "_auto") }) {
			f.parser("auto", nil)
		}
	case field == "" && slices.ContainsFunc(f.parsers, func(p string) bool { return p == f.name+"_"+s.name }):
		c.done(n) // a second look at the same line
	default:
		p := f.parser(s.name, n)
		p.fields.set("field", field)
		if n.get("drop_malformed").isTrue() {
			p.fields.set("on_error", "drop")
		}
	}
	c.done(n.get("drop_malformed"))
}

var (
	simplePath = regexp.MustCompile(`^("[^"]+"|[A-Za-z_@][A-Za-z0-9_@-]*)(\.("[^"]+"|[A-Za-z_@][A-Za-z0-9_@-]*))*$`)
)

// expression notes what a value is called that a stage takes out.
func (f *flow) expression(kind, source string, e entry) {
	path := e.value.raw()
	if path == "" {
		path = e.name
	}
	f.c.done(e.value)
	if kind == "json" && !simplePath.MatchString(path) {
		f.c.left(e.value, "only paths such as a.b are converted, not other expressions of JMESPath")
		return
	}
	path = strings.ReplaceAll(path, `"`, "")
	f.known[e.name] = recognize.NameOf(path)
}

// timestampStage: times are found by their fields' names, in any usual format.
func (f *flow) timestampStage(n *node) {
	c := f.c
	source := n.get("source")
	field := f.field(source.raw())
	c.done(n)
	zone := ""
	if where := n.get("location"); where.raw() != "" {
		zone = c.text(where)
		f.setZone(zone)
	}
	if n.get("action_on_failure").raw() == "skip" {
		c.note(n.get("action_on_failure"), Differs, "a record without a time of its own takes the time at which it "+
			"was read")
	}
	if field == "timestamp" {
		return
	}
	p := f.parser("pattern", n)
	p.fields.set("field", field)
	p.fields.set("pattern", "<time>")
	if zone != "" {
		p.fields.set("timezone", zone)
	}
}

// setZone sets the zone of the flow's parsers.
func (f *flow) setZone(zone string) {
	for _, s := range f.c.out.parsers {
		if slices.Contains(f.parsers, s.name) && s.fields.text("type") != "multiline" {
			s.fields.set("timezone", zone)
		}
	}
}

func (f *flow) labelsStage(s stage) {
	for _, e := range s.pairs("values") {
		source := e.value.raw()
		if source == "" {
			source = e.name
		}
		f.c.done(e.value)
		field := f.field(source)
		if slices.Contains([]string{"message", "timestamp", "trace_id", "span_id"}, field) {
			f.c.left(e.value, "would be a stream for every record; Longshore sends it beside the line or in it")
			continue
		}
		if len(f.conds) > 0 {
			f.c.note(e.value, Differs, "is a label of all records that have the value, not only of those that the "+
				"selector takes")
		}
		f.labels[e.name] = template(field)
	}
}

func (f *flow) staticLabelsStage(s stage) {
	for _, e := range s.pairs("values") {
		value := f.c.text(e.value)
		if len(f.conds) == 0 {
			f.static[e.name] = value
			f.labels[e.name] = template(e.name)
			continue
		}
		if value, ok := literal(value); ok {
			t := f.transform("add", e.value)
			t.fields.set("fields", fields{{name: e.name, value: value}})
			f.labels[e.name] = template(e.name)
		} else {
			f.c.left(e.value, "a value with { or } cannot be added")
		}
	}
}

func (f *flow) labelsAway(s stage) {
	if len(f.conds) > 0 {
		f.c.left(s.cfg, "labels are the same for all records of an output")
		return
	}
	var names []string
	for _, e := range s.pairs("values") {
		f.c.done(e.value)
		names = append(names, e.name)
	}
	f.c.done(s.cfg)
	if _, known := f.labels["filename"]; !known {
		f.labels["filename"] = "{filename}"
	}
	for label := range f.labels {
		if slices.Contains(names, label) == (s.name == "labeldrop") {
			delete(f.labels, label)
		}
	}
	if f.labels["filename"] == "" {
		f.labels["filename"] = "-" // not to be added later
	}
}

func (f *flow) metadataStage(s stage) {
	for _, e := range s.pairs("values") {
		source := e.value.raw()
		if source == "" {
			source = e.name
		}
		switch field := f.field(source); field {
		case "trace_id", "span_id":
			f.c.done(e.value)
		case "level":
			f.c.differs(e.value, "is sent as detected_level")
		default:
			f.c.left(e.value, "beside a line Longshore sends trace_id, span_id and detected_level; set "+
				"line_format: json at "+
				"the output to have every field in the line")
		}
	}
}

func (f *flow) multilineStage(n *node) {
	c := f.c
	if !c.goRegexp(n.get("firstline")) {
		return
	}
	if len(f.conds) > 0 {
		c.left(n, "lines are joined before any condition; put these files into a scrape config of their own")
		return
	}
	s := c.out.add("parsers", f.name+"_multiline", "multiline")
	c.beside(n, s)
	f.parsers = append([]string{s.name}, f.parsers...)
	s.fields.set("start_pattern", c.str(n, "firstline"))
	s.fields.set("max_lines", plain("128"))
	if lines := n.get("max_lines"); lines != nil {
		s.fields.set("max_lines", c.number(lines))
	}
	s.fields.set("timeout", plain("3s"))
	if wait := n.get("max_wait_time"); wait != nil {
		s.fields.set("timeout", c.duration(wait))
	}
	c.done(n.get("trim_newlines"))
	f.wholeIfJoined()
}

// wholeIfJoined keeps joined lines as they are where no parser reads them.
func (f *flow) wholeIfJoined() {
	if f.line == noParser {
		f.wholeLine = true
	}
}

func (f *flow) dropStage(n *node) {
	c := f.c
	c.skip(n.get("drop_counter_reason"), dropsCounted)
	if n.has("older_than") {
		c.left(n, "records are not dropped by their age; Loki's reject_old_samples does that")
		return
	}
	name, why := "", ""
	if sources := n.get("source").list(); len(sources) > 0 {
		if len(sources) > 1 {
			c.left(n, "looks at several values at once; write a condition by hand")
			return
		}
		name = f.field(sources[0].text)
	} else if name, why = f.lineName(); why != "" {
		c.left(n, "%s", why)
		return
	}
	var conds []string
	if expr := n.get("expression"); expr != nil {
		if !c.goRegexp(expr) {
			return
		}
		conds = append(conds, matches(name, c.escape(expr.text)))
	}
	if value := n.get("value"); value != nil {
		conds = append(conds, compare(name, "==", c.escape(value.text)))
	}
	if size := n.get("longer_than"); size != nil {
		if bytes, ok := bytesOf(size.text); ok {
			conds = append(conds, "len("+operand(name)+") > "+bytes)
		}
	}
	if len(conds) == 0 {
		conds = append(conds, operand(name)+" != nil")
	}
	c.done(n)
	f.transform("drop", n, conds...)
}

func (f *flow) matchStage(s stage) {
	c, n := f.c, s.cfg
	conds, never, why := f.conditions(n.get("selector").raw())
	if why != "" {
		c.left(n, "%s", why)
		return
	}
	for _, name := range []string{"selector", "action"} {
		c.done(n.get(name))
	}
	c.skip(n.get("pipeline_name"), "Longshore's metrics go by the names of its own components")
	c.skip(n.get("drop_counter_reason"), dropsCounted)
	if never {
		c.skip(n, "the selector takes nothing of this scrape config, by its own labels")
		return
	}
	if n.get("action").raw() == "drop" {
		f.transform("drop", n, conds...)
		if len(conds) == 0 && len(f.conds) == 0 {
			c.note(n, Differs, "drops all that is read here, as it did before")
			f.lastTransform().fields.set("if", "true")
		}
		return
	}
	before := f.conds
	f.conds = append(slices.Clone(before), conds...)
	f.stages(s.nested())
	f.conds = before
}

func (f *flow) lastTransform() *section { return f.c.out.transforms[len(f.c.out.transforms)-1] }

func (f *flow) limitStage(n *node) {
	c := f.c
	if !n.get("drop").isTrue() {
		c.left(n, "Longshore reads no slower than its destinations take; a throttle drops what is beyond a rate")
		return
	}
	t := f.transform("throttle", n)
	t.fields.set("rate", c.number(n.get("rate")))
	t.fields.set("burst", c.number(n.get("burst")))
	t.fields.set("key", "all")
	if by := n.get("by_label_name"); by != nil {
		if name, why := f.labelName(by.text); why == "" {
			t.fields.set("key", template(name))
		} else if f.labels[by.text] != "" {
			t.fields.set("key", f.labels[by.text])
		}
	}
	if most := n.get("max_distinct_labels"); most != nil {
		t.fields.set("max_keys", c.number(most))
	}
	c.done(n)
}

func (f *flow) replaceStage(n *node) {
	c := f.c
	expr, with := n.get("expression"), n.get("replace")
	if !c.goRegexp(expr) {
		return
	}
	if strings.Contains(with.raw(), "{{") || strings.Contains(with.raw(), "$") {
		c.left(n, "is replaced by a template; Longshore's redact replaces by a text, or a hash")
		return
	}
	if len(f.conds) > 0 {
		c.left(n, "is only for some records; a redact transform with if does that")
		return
	}
	t := f.transform("redact", n)
	t.fields.set("patterns", []string{c.text(expr)})
	if value := c.text(with); value != "" && !strings.ContainsAny(value, "{}") {
		t.fields.set("replacement", value)
	}
	c.done(n)
	if n.has("source") {
		c.note(n.get("source"), Differs, "is replaced wherever it is in a record, not only there")
	}
	c.note(n, Differs, "the transform also takes out what Longshore knows as secrets; detect: [] would leave that")
}

func (f *flow) outputStage(n *node) {
	c := f.c
	field := f.field(n.get("source").raw())
	c.done(n)
	if field != "message" {
		t := f.transform("rename", n)
		t.fields.set("fields", fields{{name: field, value: "message"}})
	}
	f.json = "the stage output sends a part of the line"
	c.note(n, Differs, "records are sent as JSON with that text as their message, since Longshore sends either the "+
		"record or the line as it was read")
}

var lowerTemplate = regexp.MustCompile(`^\{\{-?\s*((ToLower|ToUpper|lower|upper)\s+)?` +
	`\.Value\s*(\|\s*(lower|upper))?\s*-?\}\}$`)

func (f *flow) templateStage(n *node) {
	source := f.field(n.get("source").raw())
	if source == "level" && lowerTemplate.MatchString(strings.TrimSpace(n.get("template").raw())) {
		f.c.differs(n, "levels are in lower case by themselves: trace, debug, info, warn, error, fatal")
		return
	}
	f.c.left(n, "templates of Go are not converted; the transform add has {field}, and levels and times are made "+
		"alike "+
		"by themselves")
}

// tenantStage: an output has one tenant.
func (f *flow) tenantStage(n *node) {
	f.c.left(n, "an output has one tenant; add a loki output with the other tenant_id, and a route transform that "+
		"chooses between them")
}

func (f *flow) metricsStage(n *node) {
	c := f.c
	t := f.transform("metrics", n)
	var list []fields
	for _, e := range n.maps() {
		for _, m := range metricsIn(e) {
			if one := f.metric(m.name, m.value); one != nil {
				list = append(list, one)
			}
		}
	}
	if len(list) == 0 {
		c.out.remove("transforms", t.name)
		f.transforms = slices.DeleteFunc(f.transforms, func(name string) bool { return name == t.name })
		return
	}
	t.fields.set("metrics", list)
	c.note(n, Differs, "metrics have no labels here unless you name them, and their names have no prefix")
}

// metricsIn returns the metrics of one entry: Promtail's has the name, Alloy's is a block that says
// the type.
func metricsIn(e entry) []entry {
	kind, ok := strings.CutPrefix(e.name, "metric.")
	if !ok {
		return []entry{e}
	}
	typ := &node{file: e.value.file, line: e.value.line, text: kind, fate: unneeded}
	e.value.entries = append(e.value.entries, entry{"type", typ})
	return []entry{{e.value.get("name").raw(), e.value}}
}

func (f *flow) metric(name string, m *node) fields {
	c := f.c
	cfg := m
	if below := m.get("config"); below != nil {
		cfg = below
	}
	action := strings.ToLower(cfg.get("action").raw())
	kind := strings.ToLower(m.get("type").raw())
	var one fields
	one.set("name", name)
	one.set("type", kind)
	source := m.get("source").raw()
	if source == "" {
		source = name
	}
	switch {
	case kind == "counter" && action == "inc" && cfg.get("match_all").isTrue():
	case kind == "counter" && action == "add", kind == "gauge" && (action == "set" || action == ""),
		kind == "histogram":
		one.set("field", f.field(source))
	default:
		c.left(m, "only counters of all records or of a field's sum, gauges that are set, and histograms are converted")
		return nil
	}
	if cfg.has("value") {
		c.left(m, "counts only some values; give the metrics transform an if")
		return nil
	}
	c.done(m.get("name"))
	one.set("help", c.str(m, "description"))
	if buckets := cfg.get("buckets"); buckets != nil {
		one.set("buckets", numbers(c.texts(buckets)))
	}
	for _, idle := range []string{"max_idle_duration", "prefix", "count_entry_bytes"} {
		c.skip(m.get(idle), "a metric stays until the program ends")
	}
	c.done(m.get("type"))
	c.done(m.get("source"))
	c.done(cfg.get("action"))
	c.done(cfg.get("match_all"))
	return one
}

// numbers are values of a list without quotes.
type numbers []string
