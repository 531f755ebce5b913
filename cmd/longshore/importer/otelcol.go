package importer

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// otelcol converts the pipelines for logs of an OpenTelemetry Collector.
func (c *conversion) otelcol() {
	service := c.root.get("service")
	c.skip(service.get("telemetry"), "Longshore has its own metrics and messages; see http.listen")
	outs := map[string]*section{}
	ins := map[string]*section{}
	var flows []*flow
	for _, p := range service.get("pipelines").maps() {
		kind, _, _ := strings.Cut(p.name, "/")
		if kind != "logs" {
			c.left(p.value, "Longshore ships logs, and no traces or metrics")
			continue
		}
		if f := c.otelPipeline(p.name, p.value, ins, outs); f != nil {
			flows = append(flows, f)
		}
	}
	c.otelLabels(flows)
	for _, f := range flows {
		f.finish()
	}
	c.otelExtensions(service.get("extensions"))
	for _, kind := range []string{"receivers", "processors", "exporters", "connectors"} {
		for _, e := range c.root.get(kind).maps() {
			if e.value.anyUntouched() && !anyTouched(e.value) {
				c.left(e.value, "no pipeline for logs that was converted uses it")
			}
		}
	}
}

// otelLabels gives Loki outputs the labels that hints ask for; without any they have Longshore's
// own.
func (c *conversion) otelLabels(flows []*flow) {
	asked := false
	for _, f := range flows {
		asked = asked || len(f.labels) > 0
	}
	if !asked {
		return
	}
	for _, s := range c.out.outputs {
		for _, f := range flows {
			for _, name := range slices.Sorted(maps.Keys(f.labels)) {
				if s.fields.text("type") == "loki" {
					s.fields.setIn("labels", name, f.labels[name])
				}
			}
		}
	}
}

func anyTouched(n *node) (any bool) {
	n.leaves(func(leaf *node) { any = any || leaf.fate != untouched })
	return any
}

// otelExtensions: those that were used elsewhere are done; others have their reasons.
func (c *conversion) otelExtensions(list *node) {
	c.done(list)
	for _, e := range c.root.get("extensions").maps() {
		switch kind, _, _ := strings.Cut(e.name, "/"); kind {
		case "file_storage":
			c.skip(e.value, "Longshore keeps positions and what waits in data_dir")
		case "health_check", "pprof", "zpages":
			c.skip(e.value, "/health, /ready and /debug/pprof/ are at http.listen")
		case "memory_ballast":
			c.skip(e.value, "Longshore needs none")
		}
	}
}

// otelPipeline converts one pipeline. It returns nil where nothing in it is read by Longshore.
func (c *conversion) otelPipeline(name string, p *node, ins, outs map[string]*section) *flow {
	f := c.newFlow(c.freeName(strings.ReplaceAll(name, "/", "-")))
	for _, r := range p.get("receivers").list() {
		c.done(r)
		n := c.root.get("receivers").get(r.text)
		if n == nil {
			n = c.root.at("connectors." + r.text)
		}
		c.otelReceiver(f, r, n)
	}
	if len(f.inputs) == 0 {
		c.left(p, "none of its receivers is an input of Longshore")
		return nil
	}
	for _, name := range p.get("processors").list() {
		c.done(name)
		f.otelProcessor(name.text, c.root.get("processors").get(name.text))
	}
	var used []*section
	for _, name := range p.get("exporters").list() {
		c.done(name)
		if s := c.otelExporter(name.text, outs); s != nil {
			used = append(used, s)
		}
	}
	for _, s := range c.destinations(used) {
		if !slices.Contains(f.outputs, s.name) {
			f.outputs = append(f.outputs, s.name)
		}
		if b := f.batch; b != nil && !s.fields.has("batch") && s.fields.text("type") != "stdout" {
			s.fields.setIn("batch", "max_records", c.number(b))
		}
	}
	return f
}

func (c *conversion) otelReceiver(f *flow, name, n *node) {
	kind, _, _ := strings.Cut(name.text, "/")
	switch kind {
	case "filelog", "file_log":
		c.otelFiles(f, name.text, n)
	default:
		if !c.otelHost(f, kind, name.text, n) {
			c.left(n, nothingElse)
		}
	}
}

func (c *conversion) otelFiles(f *flow, name string, n *node) {
	in := f.input(strings.ReplaceAll(name, "/", "-"), "file", n)
	var paths []string
	for _, p := range c.texts(n.get("include")) {
		paths = append(paths, alternatives(p)...)
	}
	in.fields.set("paths", paths)
	var excludes []string
	for _, p := range c.texts(n.get("exclude")) {
		excludes = append(excludes, alternatives(p)...)
	}
	in.fields.set("exclude", excludes)
	if n.get("start_at").raw() != "beginning" {
		in.fields.set("read_from", "end") // the Collector's default
	}
	c.done(n.get("start_at"))
	if encoding := n.get("encoding"); encoding != nil {
		value := strings.ToLower(c.text(encoding))
		in.fields.set("encoding", map[bool]string{true: "", false: value}[value == "nop" || value == "utf-8"])
	}
	if size := n.get("max_log_size"); size != nil {
		in.fields.set("max_line_size", c.bytes(size))
	}
	if age := n.get("exclude_older_than"); age != nil {
		in.fields.set("ignore_older", c.duration(age))
	}
	for _, list := range []string{"attributes", "resource"} {
		for _, e := range n.get(list).maps() {
			in.fields.setIn("labels", e.name, c.text(e.value))
			f.onInput[e.name] = true
		}
	}
	f.otelMultiline(n.get("multiline"))
	f.line = otelLine(n.get("operators"))
	for _, op := range n.get("operators").list() {
		f.operator(op)
	}
	for _, name := range []string{"storage", "poll_interval", "fingerprint_size", "max_concurrent_files",
		"max_batches", "include_file_name",
		"include_file_path", "include_file_name_resolved", "include_file_path_resolved", "retry_on_failure",
		"force_flush_period",
		"preserve_leading_whitespaces", "preserve_trailing_whitespaces", "delete_after_read", "ordering_criteria",
		"include_file_record_number", "compression", "initial_buffer_size", "acquire_fs_lock", "id", "on_error"} {
		c.skip(n.get(name), "Longshore needs no such setting: the path stands in filename, positions in data_dir")
	}
}

func (f *flow) otelMultiline(n *node) {
	if n == nil {
		return
	}
	start := n.get("line_start_pattern")
	if start == nil {
		f.c.left(n, "lines are joined by patterns of the first line, not of the last one")
		return
	}
	if !f.c.goRegexp(start) {
		return
	}
	s := f.c.out.add("parsers", f.name+"_multiline", "multiline")
	f.c.beside(n, s)
	s.fields.set("start_pattern", f.c.text(start))
	f.parsers = append([]string{s.name}, f.parsers...)
	f.c.done(n.get("omit_pattern"))
	f.wholeIfJoined()
}

// otelLine looks ahead for what reads the line.
func otelLine(ops *node) lineParser {
	found := noParser
	for _, op := range ops.list() {
		from := op.get("parse_from").raw()
		if from != "" && from != "body" {
			continue
		}
		switch op.get("type").raw() {
		case "json_parser", "container", "syslog_parser", "key_value_parser", "csv_parser":
			return otherParser
		case "regex_parser":
			found = exprParser
		}
	}
	return found
}

// otelName returns the record's name of a path such as attributes.a, attributes["a"] or body.
func (f *flow) otelName(path string) (string, error) {
	path = otelIndex.ReplaceAllString(strings.TrimSuffix(path, "!"), ".$1")
	path = strings.TrimPrefix(path, "log.")
	for _, prefix := range []string{"attributes.", "resource.attributes.", "resource.", "$record.", "body."} {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			switch rest {
			case "log.file.path", "log.file.name":
				return "filename", nil
			case "k8s.pod.name", "k8s.namespace.name", "k8s.container.name":
				return "", errKubernetes
			case "log.iostream":
				return "stream", nil
			}
			if f.onInput[rest] {
				return labelOperand(rest), nil
			}
			return f.field(rest), nil
		}
	}
	switch path {
	case "body", "body.string":
		if f.line == noParser || f.line == exprParser {
			f.wholeLine = true
		} else if !f.isUnwrapped() {
			return "", errBody
		}
		return "message", nil
	case "severity_text", "severity_number":
		return "level", nil
	case "trace_id", "span_id":
		return path, nil
	}
	return "", errExpression
}

var (
	otelIndex = regexp.MustCompile(`\[["']([^"']*)["']\]`)
	errBody   = &otelError{"it looks at the whole line, and here a record has the line's parts; write a condition " +
		"on its " +
		"message or a field"}
)

type otelError struct{ why string }

func (e *otelError) Error() string { return e.why }

// operator converts an operator of the filelog receiver.
func (f *flow) operator(n *node) {
	c := f.c
	field := ""
	if from := n.get("parse_from").raw(); from != "" && from != "body" {
		name, err := f.otelName(from)
		if err != nil {
			c.left(n, "%v", err)
			return
		}
		field = name
	}
	kind := n.get("type").raw()
	if n.has("if") && kind != "filter" {
		c.left(n.get("if"), "parsers are tried on every line, and keep what they do not understand")
	}
	switch kind {
	case "json_parser", "key_value_parser", "syslog_parser":
		typ := map[string]string{"json_parser": "json", "key_value_parser": "logfmt", "syslog_parser": "syslog"}[kind]
		if field == "" && f.isUnwrapped() {
			break // auto reads what is within
		}
		f.parser(typ, n).fields.set("field", field)
	case "regex_parser":
		if field == "" && f.isUnwrapped() {
			field = "message"
		}
		f.regex(n.get("regex"), field)
	case "csv_parser":
		f.otelCSV(n, field)
	case "container":
		f.unwrap("auto", n)
		c.done(n)
		return
	case "time_parser", "timestamp":
		f.otelTime(n)
		return
	case "severity_parser":
		f.otelSeverity(n)
		return
	case "trace_parser":
		c.differs(n, "trace_id and span_id are found by their names")
		return
	case "filter":
		f.otelDrop(n)
		return
	case "recombine":
		f.otelRecombine(n)
		return
	default:
		f.otelMove(kind, n)
		return
	}
	for _, nested := range []string{"timestamp", "severity", "trace"} {
		if below := n.get(nested); below != nil {
			f.operatorWithin(nested, below)
		}
	}
	for _, name := range []string{"type", "id", "parse_from", "parse_to", "on_error", "output", "protocol",
		"location", "delimiter",
		"pair_delimiter", "cache", "lazy_quotes", "body"} {
		c.done(n.get(name))
	}
}

func (f *flow) operatorWithin(kind string, n *node) {
	switch kind {
	case "timestamp":
		f.otelTime(n)
	case "severity":
		f.otelSeverity(n)
	default:
		f.c.differs(n, "trace_id and span_id are found by their names")
	}
}

func (f *flow) otelTime(n *node) {
	name, err := f.otelName(n.get("parse_from").raw())
	if err != nil || name == "message" {
		f.c.left(n, "times are taken from fields")
		return
	}
	f.c.done(n)
	zone := n.get("location")
	if zone.raw() != "" {
		f.setZone(f.c.text(zone))
	}
	if name == "timestamp" {
		return
	}
	p := f.parser("pattern", n)
	p.fields.set("field", name)
	p.fields.set("pattern", "<time>")
	p.fields.set("timezone", f.c.text(zone))
}

func (f *flow) otelSeverity(n *node) {
	name, err := f.otelName(n.get("parse_from").raw())
	switch {
	case err != nil:
		f.c.left(n, "levels are taken from fields")
	case name == "level":
		f.c.done(n)
		f.c.skip(n.get("mapping"), "levels are known by all their usual names and numbers")
	default:
		f.c.done(n)
		p := f.parser("pattern", n)
		p.fields.set("field", name)
		p.fields.set("pattern", "<level>")
	}
}

func (f *flow) otelCSV(n *node, field string) {
	columns := commaList(n.get("header").raw())
	if len(columns) == 0 {
		f.c.left(n, "the names of its columns are not there")
		return
	}
	p := f.parser("csv", n)
	p.fields.set("columns", columns)
	p.fields.set("delimiter", f.c.str(n, "delimiter"))
	p.fields.set("field", field)
	f.c.done(n.get("header"))
}

// otelDrop converts the operator filter, whose conditions are written as Longshore's.
func (f *flow) otelDrop(n *node) {
	expr := n.get("expr")
	cond, err := f.c.condition(expr.raw(), f.otelName)
	if err != nil {
		f.c.left(n, "%v", err)
		return
	}
	f.c.done(n)
	if ratio := n.get("drop_ratio"); ratio.raw() != "" && ratio.raw() != "1" && ratio.raw() != "1.0" {
		f.c.left(ratio, "a sample transform keeps a share of records")
	}
	f.transform("drop", n, cond)
}

var bodyMatches = regexp.MustCompile(`^\s*body\s+matches\s+("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*$`)

// otelRecombine joins lines.
func (f *flow) otelRecombine(n *node) {
	c := f.c
	if last := n.get("is_last_entry").raw(); strings.Contains(last, "logtag") || strings.Contains(last, "log_tag") {
		f.unwrap("auto", nil)
		c.done(n)
		return
	}
	m := bodyMatches.FindStringSubmatch(n.get("is_first_entry").raw())
	if m == nil {
		c.left(n, "lines are joined by a pattern of the first line: is_first_entry: body matches \"…\"")
		return
	}
	pattern, _ := unquoted(m[1])
	if _, err := regexp.Compile(pattern); err != nil {
		c.left(n, "the regular expression is not in Go's (RE2) syntax: %v", err)
		return
	}
	s := c.out.add("parsers", f.name+"_multiline", "multiline")
	c.beside(n, s)
	s.fields.set("start_pattern", c.escape(pattern))
	f.parsers = append([]string{s.name}, f.parsers...)
	c.done(n)
	f.wholeIfJoined()
}

// otelMove converts operators that move fields.
func (f *flow) otelMove(kind string, n *node) {
	c := f.c
	from, errFrom := f.otelName(firstOf(n.get("from").raw(), n.get("field").raw()))
	to, errTo := f.otelName(n.get("to").raw())
	rest := strings.TrimPrefix(strings.TrimPrefix(otelTarget(n.get("to").raw()), "attributes."), "resource.")
	value := n.get("value")
	switch {
	case kind == "move" && errFrom == nil && errTo == nil && (from == to || to == "message"):
		if from != to {
			f.lastOf("rename", n).fields.setIn("fields", from, "message")
		}
	case kind == "move" && errFrom == nil && errTo == nil:
		f.lastOf("rename", n).fields.setIn("fields", from, otelTarget(rest))
		f.known[otelTarget(rest)] = otelTarget(rest)
	case kind == "copy" && errFrom == nil && errTo == nil:
		f.lastOf("add", n).fields.setIn("fields", otelTarget(rest), template(from))
		f.known[otelTarget(rest)] = otelTarget(rest)
	case kind == "add" && errFrom == nil && value != nil && !strings.Contains(value.text, "EXPR("):
		name := strings.TrimPrefix(strings.TrimPrefix(otelIndex.ReplaceAllString(n.get("field").raw(), ".$1"),
			"attributes."), "resource.")
		f.lastOf("add", n).fields.setIn("fields", name, c.text(value))
	case kind == "remove" && (from == "timestamp" || from == "level" || from == "message"):
	case kind == "remove" && errFrom == nil:
		t := f.lastOf("remove", n)
		t.fields.set("fields", appended(t.fields, "fields", []string{from}))
	case kind == "noop":
	default:
		c.left(n, "Longshore has no such operator; docs/transforms.md lists what there is")
		return
	}
	c.done(n)
}

func otelTarget(path string) string {
	return strings.TrimPrefix(otelIndex.ReplaceAllString(path, ".$1"), ".")
}

// otelProcessor converts a processor.
func (f *flow) otelProcessor(name string, n *node) {
	c := f.c
	switch kind, _, _ := strings.Cut(name, "/"); kind {
	case "batch":
		if size := n.get("send_batch_size"); size != nil {
			if most := n.get("send_batch_max_size"); most != nil {
				size = most
			}
			f.batch = size
		}
		c.skip(n.get("timeout"), "Longshore sends at once, and more at a time while a request is on its way")
		c.done(n)
	case "memory_limiter":
		c.skip(n, "Longshore's memory is bounded by itself; GOMEMLIMIT is honoured")
	case "resource", "attributes":
		for _, action := range append(n.get("attributes").list(), n.get("actions").list()...) {
			f.otelAction(action)
		}
		c.left(n.get("include"), "conditions of this processor are not converted")
		c.left(n.get("exclude"), "conditions of this processor are not converted")
	case "filter":
		f.otelFilter(n)
	case "resourcedetection":
		c.skip(n, "host.name is on every record; Longshore asks no cloud about itself")
	case "k8sattributes":
		c.left(n, "Longshore does not ask Kubernetes; namespace, pod and container stand in filename")
	case "transform":
		f.otelTransform(n)
	case "probabilistic_sampler":
		t := f.transform("sample", n)
		rate := divided(n.get("sampling_percentage").raw(), "100")
		if number.MatchString(rate) {
			t.fields.set("rate", plain(rate))
		}
		c.done(n.get("sampling_percentage"))
		c.skip(n, "all records of a trace are kept, or none")
	default:
		c.left(n, "Longshore has no such processor; docs/transforms.md lists what there is")
	}
}

func (f *flow) otelAction(n *node) {
	c := f.c
	key, value, from := n.get("key").raw(), n.get("value"), n.get("from_attribute").raw()
	switch action := n.get("action").raw(); {
	case key == "loki.attribute.labels" || key == "loki.resource.labels":
		for _, label := range commaList(value.raw()) {
			f.labels[otelLabel(label)] = template(f.field(label))
		}
	case (action == "insert" || action == "upsert" || action == "update") && value != nil:
		if text, ok := literal(c.text(value)); ok {
			f.lastOf("add", n).fields.setIn("fields", key, text)
			f.known[key] = key
		}
	case (action == "insert" || action == "upsert" || action == "update") && from != "":
		f.lastOf("add", n).fields.setIn("fields", key, template(f.field(from)))
		f.known[key] = key
	case action == "delete":
		t := f.lastOf("remove", n)
		t.fields.set("fields", appended(t.fields, "fields", []string{f.field(key)}))
	case action == "hash":
		c.left(n, "a redact transform with keys and action: hash does that")
		return
	default:
		c.left(n, "Longshore has no such action")
		return
	}
	c.done(n)
}

func otelLabel(name string) string {
	return strings.NewReplacer(".", "_", "-", "_", "/", "_").Replace(name)
}

// otelFilter converts the processor filter, whose conditions drop what they hold for.
func (f *flow) otelFilter(n *node) {
	c := f.c
	conditions := append(n.at("logs.log_record").list(), n.get("log_conditions").list()...)
	for _, cond := range conditions {
		translated, err := c.condition(cond.raw(), f.otelName)
		if err != nil {
			c.left(cond, "%v", err)
			continue
		}
		c.done(cond)
		f.transform("drop", cond, translated)
	}
	c.done(n.get("error_mode"))
	for _, old := range []string{"include", "exclude"} {
		c.left(n.at("logs."+old), "write it as log_record conditions, or as a drop transform with a condition")
	}
}

var (
	ottlSet = regexp.MustCompile(`^set\(\s*((?:log\.|resource\.)?attributes\["([^"]+)"\])\s*,\s*("(?:` +
		`[^"\\]|\\.)*"|[\w.]+(?:\["[^"]+"\])?)\s*\)$`)
	ottlDelete = regexp.MustCompile(`^delete_key\(\s*[\w.]*attributes\s*,\s*"([^"]+)"\s*\)$`)
	ottlParse  = regexp.MustCompile(`^merge_maps\(\s*(?:log\.)?(?:attributes|cache|body)\s*,\s*ParseJSON` +
		`\(\s*(?:log\.)?body(?:\.string)?\s*\)\s*,.*\)$`)
)

// otelTransform converts the statements of OTTL that set and delete attributes.
func (f *flow) otelTransform(n *node) {
	c := f.c
	c.done(n.get("error_mode"))
	for _, group := range n.get("log_statements").list() {
		statements := group.get("statements").list()
		if group.kind == scalarKind {
			statements = []*node{group}
		}
		c.done(group.get("context"))
		c.left(group.get("conditions"), "conditions of a group are not converted")
		for _, s := range statements {
			if !f.ottl(s) {
				c.left(s, "this statement of OTTL is not converted; docs/transforms.md lists what there is")
			}
		}
	}
}

func (f *flow) ottl(n *node) bool {
	c := f.c
	statement, where, conditional := strings.Cut(strings.TrimSpace(n.text), " where ")
	before := f.conds
	defer func() { f.conds = before }()
	if conditional {
		cond, err := c.condition(where, f.otelName)
		if err != nil {
			return false
		}
		f.conds = append(slices.Clone(before), cond)
	}
	switch {
	case ottlSet.MatchString(statement):
		m := ottlSet.FindStringSubmatch(statement)
		value, quoted := unquoted(m[3])
		if !quoted {
			name, err := f.otelName(m[3])
			if err != nil {
				return false
			}
			value = template(name)
		} else if strings.ContainsAny(value, "{}") {
			return false
		}
		f.transform("add", n).fields.setIn("fields", m[2], c.translate(value))
		f.known[m[2]] = m[2]
	case ottlDelete.MatchString(statement):
		f.transform("remove", n).fields.set("fields", []string{f.field(ottlDelete.FindStringSubmatch(statement)[1])})
	case ottlParse.MatchString(statement) && !conditional:
		f.parser("json", n)
	default:
		return false
	}
	c.done(n)
	return true
}

// otelExporter converts an exporter once. It returns nil where Longshore has no output like it.
func (c *conversion) otelExporter(name string, outs map[string]*section) *section {
	if s, known := outs[name]; known {
		return s
	}
	n := c.root.get("exporters").get(name)
	kind, _, _ := strings.Cut(name, "/")
	endpoint := n.get("endpoint").raw()
	typ := ""
	switch kind {
	case "loki":
		typ = "loki"
	case "otlp", "otlp_grpc":
		typ = "otlp"
	case "otlphttp", "otlp_http":
		typ = "otlp"
		if u := firstOf(n.get("logs_endpoint").raw(), endpoint); strings.Contains(u,
			"/otlp") || strings.Contains(u, "loki") {
			typ = "loki"
		}
	case "elasticsearch":
		typ = "elasticsearch"
	case "opensearch":
		typ = "elasticsearch"
	case "debug", "logging":
		typ = "stdout"
	case "file":
		typ = "file"
	case "awss3":
		typ = "s3"
	case "splunk_hec":
		typ = "splunk"
	}
	if typ == "" {
		outs[name] = nil
		c.left(n, "Longshore sends by OTLP, to Loki, Elasticsearch, OpenSearch, VictoriaLogs, files and standard "+
			"output")
		return nil
	}
	s := c.out.add("outputs", strings.ReplaceAll(name, "/", "-"), typ)
	outs[name] = s
	c.beside(n, s)
	switch typ {
	case "loki":
		address, user, password := c.address(firstNode(n, "logs_endpoint", "endpoint"), s.name)
		address = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(address, "/"), "/v1/logs"), "/otlp")
		s.fields.set("url", address)
		c.user(s, user, password)
		if kind != "loki" {
			c.note(n, Differs, "Longshore sends to Loki's own endpoint, and its labels are those below labels, not "+
				"index labels of OTLP")
		}
	case "elasticsearch":
		c.otelElastic(s, n)
	case "s3":
		c.otelS3(s, n)
	case "splunk":
		c.otelSplunk(s, n)
	case "otlp":
		c.otelOTLP(s, n, strings.Contains(kind, "http"))
	case "file":
		s.fields.set("path", c.str(n, "path"))
		c.skip(n, "files are not rotated by Longshore; logrotate may do that")
	case "stdout":
		c.done(n)
	}
	c.otelClient(s, n)
	return s
}

// otelOTLP converts an exporter of OTLP. gRPC's has an address without a scheme, and TLS unless
// that is switched off.
func (c *conversion) otelOTLP(s *section, n *node, overHTTP bool) {
	address, user, password := c.address(firstNode(n, "logs_endpoint", "endpoint"), s.name)
	c.user(s, user, password)
	protocol := "grpc"
	if overHTTP {
		protocol = "http"
	} else if !strings.Contains(address, "://") {
		scheme := "https://"
		if n.at("tls.insecure").isTrue() {
			scheme = "http://"
		}
		address = scheme + strings.TrimPrefix(strings.TrimPrefix(address, "dns:///"), "passthrough:///")
	}
	s.fields.set("url", address)
	s.fields.set("protocol", protocol)
	if n.get("encoding").raw() == "json" {
		s.fields.set("encoding", c.str(n, "encoding"))
	}
	switch how := n.get("compression"); how.raw() {
	case "none", "zstd":
		s.fields.set("compression", c.str(n, "compression"))
	case "", "gzip":
		c.done(how)
	default:
		c.note(how, Differs, "is not known to Longshore, which uses gzip")
	}
}

func (c *conversion) otelElastic(s *section, n *node) {
	var urls []string
	for _, e := range append(n.get("endpoints").list(), append(n.get("endpoint").list(),
		n.at("http.endpoint").list()...)...) {
		address, user, password := c.address(e, s.name)
		c.user(s, user, password)
		urls = append(urls, address)
	}
	s.fields.set("urls", urls)
	s.fields.set("index", firstOf(c.str(n, "logs_index"), c.str(n, "index")))
	if n.at("logstash_format.enabled").isTrue() {
		s.fields.set("index", firstOf(s.fields.text("index"), "logs")+"-{yyyy.MM.dd}")
		c.done(n.get("logstash_format"))
	}
	s.fields.set("pipeline", c.str(n, "pipeline"))
	s.fields.set("api_key", c.secret(n.get("api_key"), s.name, "api_key"))
	if user := n.get("user"); user != nil {
		s.fields.setIn("auth", "username", c.text(user))
		s.fields.setIn("auth", "password", c.secret(n.get("password"), s.name, "password"))
	}
	schema := map[string]string{"otel": "otel", "ecs": "ecs"}[n.at("mapping.mode").raw()]
	s.fields.set("schema", schema)
	c.done(n.get("mapping"))
	c.done(n.get("logs_dynamic_index"))
	if workers := n.get("num_workers"); workers != nil {
		s.fields.set("concurrency", c.number(workers))
	}
}

// otelClient converts what clients of the Collector have in common.
func (c *conversion) otelClient(s *section, n *node) {
	if tls := n.get("tls"); tls != nil {
		for _, name := range []string{"ca_file", "cert_file", "key_file"} {
			s.fields.setIn("tls", name, c.str(tls, name))
		}
		s.fields.setIn("tls", "server_name", c.str(tls, "server_name_override"))
		s.fields.setIn("tls", "insecure_skip_verify", c.flag(tls.get("insecure_skip_verify"), false))
		c.done(tls.get("insecure"))
		for _, name := range []string{"ca_pem", "cert_pem", "key_pem"} {
			c.left(tls.get(name), "is the certificate or key itself; put it into a file, and name that")
		}
	}
	c.headers(s, n.get("headers"))
	s.fields.set("proxy", c.proxy(n.get("proxy_url"), s.name))
	if wait := n.get("timeout"); wait != nil && wait.text != "0" {
		s.fields.set("timeout", c.duration(wait))
	}
	if retry := n.get("retry_on_failure"); retry != nil {
		if pause := retry.get("initial_interval"); pause != nil {
			s.fields.setIn("retry", "initial_backoff", c.duration(pause))
		}
		if pause := retry.get("max_interval"); pause != nil {
			s.fields.setIn("retry", "max_backoff", c.duration(pause))
		}
	}
	if name := n.at("auth.authenticator"); name != nil {
		c.otelAuth(s, name)
	}
	for _, name := range []string{"retry_on_failure", "retry", "sending_queue", "compression", "read_buffer_size",
		"write_buffer_size",
		"flush", "batcher", "discover", "encoding", "default_labels_enabled", "logs_dynamic_index", "max_idle_conns",
		"telemetry", "profiles_endpoint", "metrics_endpoint", "traces_endpoint", "compression_params",
		"logs_dynamic_id"} {
		c.skip(n.get(name), "Longshore tries again without an end, keeps what waits on disk, and decides the rest "+
			"by itself")
	}
}

// otelAuth converts the extension that authenticates.
func (c *conversion) otelAuth(s *section, name *node) {
	ext := c.root.get("extensions").get(name.text)
	c.done(name)
	switch kind, _, _ := strings.Cut(name.text, "/"); kind {
	case "basicauth":
		s.fields.setIn("auth", "username", c.str(ext, "client_auth.username"))
		s.fields.setIn("auth", "password", c.secret(ext.at("client_auth.password"), s.name, "password"))
	case "bearertokenauth":
		s.fields.setIn("auth", "bearer_token", c.secret(ext.get("token"), s.name, "token"))
		s.fields.setIn("auth", "bearer_token_file", c.str(ext, "filename"))
		c.done(ext.get("scheme"))
	case "oauth2client":
		c.oauth2(s, ext)
	default:
		c.left(ext, "Longshore authenticates by a user, a token, or OAuth2")
		c.left(name, "is not converted")
	}
}
