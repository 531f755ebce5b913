package importer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// vector converts a config of Vector: a graph of sources, transforms and sinks, of which each way
// from a source through transforms becomes a pipeline.
func (c *conversion) vector() {
	c.skip(c.root.get("data_dir"), "Longshore's own data_dir must be another folder")
	for _, name := range []string{"api", "timezone", "acknowledgements", "healthchecks", "schema", "log_schema",
		"expire_metrics_secs",
		"proxy", "tests"} {
		c.skip(c.root.get(name), "Longshore has no such setting, or needs none: see docs/reference/config.md")
	}
	c.left(c.root.get("enrichment_tables"), "Longshore looks nothing up in tables")
	c.left(c.root.get("secret"), "write ${file:/path} or ${VAR} where a secret is needed")
	sinks := map[string]*section{}
	for _, e := range c.root.get("sinks").maps() {
		if s := c.vectorSink(e.name, e.value); s != nil {
			sinks[e.name] = s
		}
	}
	g := vectorGraph{c: c, sinks: sinks}
	var flows []*flow
	for _, e := range c.root.get("sources").maps() {
		if !c.vectorReadable(e.value) {
			c.left(e.value, nothingElse)
			continue
		}
		flows = append(flows, g.flows(e.name, e.value)...)
	}
	if len(sinks) == 0 {
		for _, out := range c.destinations(nil) {
			for _, e := range c.root.get("sources").maps() {
				if c.vectorReadable(e.value) {
					f := c.newFlow(c.freeName(e.name))
					c.vectorSource(f, e.name, e.value)
					f.outputs = []string{out.name}
					flows = append(flows, f)
				}
			}
		}
	}
	for _, f := range flows {
		f.finish()
	}
	for _, e := range slices.Concat(c.root.get("transforms").maps(), c.root.get("sinks").maps()) {
		c.done(e.value.get("inputs"))
		if n := e.value; n.anyUntouched() && !slices.ContainsFunc(n.entries, func(e entry) bool {
			return e.name != "inputs" && !e.value.anyUntouched()
		}) {
			c.left(n, "nothing that Longshore reads goes through it")
		}
	}
}

// vectorReadable reports whether Longshore has an input like a source.
func (c *conversion) vectorReadable(n *node) bool {
	return slices.Contains([]string{"file", "docker_logs", "docker", "kubernetes_logs", "stdin", "syslog", "journald",
		"exec"}, n.get("type").raw())
}

// A vectorGraph finds the ways from sources to sinks.
type vectorGraph struct {
	c     *conversion
	sinks map[string]*section
	ways  map[string]*vectorWay
	order []string
}

// A vectorWay is one list of transforms, each with the branch of it that is taken, and the sinks at
// its end.
type vectorWay struct {
	steps []vectorStep
	sinks []string
}

type vectorStep struct {
	name, branch string
	n            *node
}

const maxWays = 64

// flows returns the pipelines of a source.
func (g *vectorGraph) flows(name string, n *node) (flows []*flow) {
	g.ways, g.order = map[string]*vectorWay{}, nil
	g.walk(name, nil)
	var in *section
	for i, key := range g.order {
		way := g.ways[key]
		f := g.c.newFlow(g.c.freeName(name))
		f.line = vectorLine(way.steps)
		if i == 0 {
			in = g.c.vectorSource(f, name, n)
		} else {
			f.inputs = []string{in.name}
			f.parsers = slices.Clone(flows[0].own)
		}
		f.own = slices.Clone(f.parsers)
		for _, step := range way.steps {
			f.vectorTransform(step)
		}
		f.outputs = way.sinks
		for _, sink := range way.sinks {
			g.c.vectorLabels(f, sink)
		}
		flows = append(flows, f)
	}
	return flows
}

// walk follows all ways from what has a name.
func (g *vectorGraph) walk(name string, steps []vectorStep) {
	if len(steps) > 20 || len(g.order) >= maxWays {
		return
	}
	for _, e := range g.c.root.get("sinks").maps() {
		if s := g.sinks[e.name]; s != nil && takesFrom(e.value, name) {
			key := fmt.Sprint(names(steps))
			if g.ways[key] == nil {
				g.ways[key] = &vectorWay{steps: slices.Clone(steps)}
				g.order = append(g.order, key)
			}
			if !slices.Contains(g.ways[key].sinks, s.name) {
				g.ways[key].sinks = append(g.ways[key].sinks, s.name)
			}
		}
	}
	for _, e := range g.c.root.get("transforms").maps() {
		if takesFrom(e.value, name) {
			g.walk(e.name, append(slices.Clone(steps), vectorStep{name: e.name, n: e.value}))
		}
	}
	// What takes a branch of the last step.
	if len(steps) == 0 || steps[len(steps)-1].branch != "" {
		return
	}
	for _, branch := range branches(steps[len(steps)-1].n) {
		taken := slices.Clone(steps)
		taken[len(taken)-1].branch = branch
		g.walk(name+"."+branch, taken)
	}
}

func names(steps []vectorStep) (all []string) {
	for _, s := range steps {
		all = append(all, s.name+"."+s.branch)
	}
	return all
}

// branches are the outputs that a route has.
func branches(n *node) (all []string) {
	if n.get("type").raw() != "route" {
		return nil
	}
	for _, e := range n.get("route").maps() {
		all = append(all, e.name)
	}
	return append(all, "_unmatched")
}

// takesFrom reports whether a transform or sink names an input.
func takesFrom(n *node, name string) bool {
	for _, in := range n.get("inputs").list() {
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(in.text), `\*`, ".*") + "$"
		if re, err := regexp.Compile(pattern); err == nil && re.MatchString(name) {
			return true
		}
	}
	return false
}

// vectorSource converts a source.
func (c *conversion) vectorSource(f *flow, name string, n *node) *section {
	kind := n.get("type").raw()
	c.done(n.get("type"))
	var in *section
	switch kind {
	case "file":
		in = f.input(name, "file", n)
		var paths []string
		for _, p := range c.texts(n.get("include")) {
			paths = append(paths, alternatives(p)...)
		}
		in.fields.set("paths", paths)
		in.fields.set("exclude", c.texts(n.get("exclude")))
		if n.get("read_from").raw() == "end" || n.get("start_at_beginning").isFalse() {
			in.fields.set("read_from", "end")
		}
		if age := firstNode(n, "ignore_older_secs", "ignore_older"); age != nil {
			in.fields.set("ignore_older", c.duration(age))
		}
		if size := n.get("max_line_bytes"); size != nil {
			in.fields.set("max_line_size", c.size(size))
		}
		in.fields.set("encoding", strings.ToLower(c.str(n, "encoding.charset")))
	case "docker_logs", "docker":
		in = f.input(name, "docker", n)
		in.fields.set("host", c.str(n, "docker_host"))
		for list, setting := range map[string]string{"include_containers": "include", "exclude_containers": "exclude"} {
			var all []string
			for _, prefix := range c.texts(n.get(list)) {
				all = append(all, prefix+"*") // Vector takes the beginning of a name
			}
			in.fields.setIn(setting, "names", all)
		}
		in.fields.setIn("include", "labels", c.texts(n.get("include_labels")))
		in.fields.setIn("include", "images", c.texts(n.get("include_images")))
		if tls := n.get("tls"); tls != nil {
			in.fields.setIn("tls", "ca_file", c.str(tls, "ca_file"))
			in.fields.setIn("tls", "cert_file", c.str(tls, "crt_file"))
			in.fields.setIn("tls", "key_file", c.str(tls, "key_file"))
		}
	case "kubernetes_logs":
		in = f.input(name, "file", n)
		in.fields.set("paths", []string{"/var/log/pods/*/*/*.log"})
		f.unwrap("cri", nil)
		c.note(n, Differs, "Longshore does not ask Kubernetes: namespace, pod and container stand in a file's name")
	case "syslog", "journald", "exec":
		in = c.vectorHost(f, name, n)
	default:
		in = f.input(name, "stdin", n)
	}
	f.vectorMultiline(n.get("multiline"))
	for _, name := range []string{"read_from", "start_at_beginning", "fingerprint", "fingerprinting", "data_dir",
		"glob_minimum_cooldown_ms",
		"oldest_first", "max_read_bytes", "rotate_wait_secs", "file_key", "host_key", "offset_key",
		"ignore_checkpoints",
		"remove_after_secs", "line_delimiter", "auto_partial_merge", "partial_event_marker_field", "retry_backoff_secs",
		"ignore_not_found", "acknowledgements", "max_line_length", "timezone", "include_paths_glob_patterns"} {
		c.skip(n.get(name), "Longshore needs no such setting, or decides by itself")
	}
	return in
}

func (f *flow) vectorMultiline(n *node) {
	if n == nil {
		return
	}
	c := f.c
	start, cond, mode := n.get("start_pattern"), n.get("condition_pattern"), n.get("mode").raw()
	s := c.out.add("parsers", f.name+"_multiline", "multiline")
	c.beside(n, s)
	switch {
	case mode == "halt_before" && c.goRegexp(cond):
		s.fields.set("start_pattern", c.text(cond))
		c.done(start)
	case (mode == "continue_through" || mode == "continue_past") && c.goRegexp(cond) && mode == "continue_through":
		s.fields.set("continue_pattern", c.text(cond))
		c.done(start)
	default:
		n.near = nil
		c.out.remove("parsers", s.name)
		c.left(n, "lines are joined by patterns of the first (halt_before) or the other lines (continue_through), "+
			"not by %s", mode)
		return
	}
	c.done(n.get("mode"))
	if wait := n.get("timeout_ms"); wait != nil {
		s.fields.set("timeout", fluentMillis(c.text(wait)))
	}
	f.parsers = append([]string{s.name}, f.parsers...)
	f.wholeIfJoined()
}

// vectorLine looks ahead for what reads the line.
func vectorLine(steps []vectorStep) lineParser {
	found := noParser
	for _, s := range steps {
		source := s.n.get("source")
		program := source.raw()
		if source != nil && source.kind == listKind {
			for _, item := range source.items {
				program += item.text + "\n"
			}
		}
		for _, m := range parseCall.FindAllStringSubmatch(program, -1) {
			if m[1] == "regex" {
				found = max(found, exprParser)
			} else if m[1] != "timestamp" {
				return otherParser
			}
		}
	}
	return found
}

var errKubernetes = errors.New("namespace, pod and container stand in filename, as Longshore does not ask Kubernetes")

// vectorName returns the record's name of what Vector has at a path.
func (f *flow) vectorName(path string) (string, error) {
	if !strings.HasPrefix(path, ".") && !strings.HasPrefix(path, "@") {
		return "", errExpression
	}
	path = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(path, "."), "!"), `"`, "")
	if path == "message" && f.line == noParser {
		f.wholeLine = true
		return "message", nil
	}
	if strings.HasPrefix(path, "kubernetes.") {
		return "", errKubernetes
	}
	known := map[string]string{"host": "host.name", "file": "filename", "container_name": "container.name",
		"container_id": "container.id", "image": "container.image", "stream": "stream",
		"label.com.docker.compose.service": "compose.service", "label.com.docker.compose.project": "compose.project"}
	if name := known[path]; name != "" {
		return name, nil
	}
	return f.field(path), nil
}

// vectorTransform converts one step of a way.
func (f *flow) vectorTransform(step vectorStep) {
	c, n := f.c, step.n
	c.done(n.get("type"))
	switch kind := n.get("type").raw(); kind {
	case "remap":
		f.remap(n)
	case "filter":
		f.vectorFilter(n)
	case "route":
		f.vectorRoute(n, step.branch)
	case "sample":
		t := f.transform("sample", n)
		if ratio := n.get("ratio"); ratio != nil {
			t.fields.set("rate", c.number(ratio))
		} else if rate := n.get("rate"); rate != nil {
			t.fields.set("rate", plain(scalar(divided("1", rate.text))))
			if d := divided("1", rate.text); number.MatchString(d) {
				t.fields.set("rate", plain(d))
			}
			c.done(rate)
		}
		c.skip(n.get("key_field"), "all records of a trace are kept, or none")
	case "throttle":
		t := f.transform("throttle", n)
		rate := divided(n.get("threshold").raw(), firstOf(n.get("window_secs").raw(), "1"))
		if number.MatchString(rate) {
			t.fields.set("rate", plain(rate))
		}
		t.fields.set("key", firstOf(f.vectorTemplate(n.get("key_field")), "all"))
		c.done(n)
	case "dedupe":
		f.vectorDedupe(n)
	case "log_to_metric", "aggregate", "metric_to_log", "tag_cardinality_limit":
		c.left(n, "the transform metrics counts records and their fields; write it by hand")
	case "lua":
		c.left(n, "programs are not run; see docs/transforms.md for what there is instead")
	case "reduce":
		c.left(n, "records are joined as lines, by a multiline parser, and not later")
	default:
		c.left(n, "Longshore has no such transform; docs/transforms.md lists what there is")
	}
}

func (f *flow) vectorFilter(n *node) {
	cond := n.get("condition")
	source := cond
	if cond.at("source") != nil {
		source = cond.get("source")
	}
	if kind := cond.get("type").raw(); kind != "" && kind != "vrl" {
		f.c.left(n, "only conditions in VRL are converted")
		return
	}
	translated, err := f.c.condition(source.raw(), f.vectorName)
	if err != nil {
		f.c.left(cond, "%v", err)
		return
	}
	f.c.done(cond)
	f.transform("keep", n, translated)
}

func (f *flow) vectorRoute(n *node, branch string) {
	var others []string
	for _, e := range n.get("route").maps() {
		source := e.value
		if source.get("source") != nil {
			source = source.get("source")
		}
		cond, err := f.c.condition(source.raw(), f.vectorName)
		if err != nil {
			f.c.left(e.value, "%v", err)
			f.c.left(n, "the branch %s is not told apart, so its records go nowhere: %v", branch, err)
			f.outputs = nil
			continue
		}
		f.c.done(e.value)
		if e.name == branch {
			f.transform("keep", n, cond)
		}
		others = append(others, "not ("+cond+")")
	}
	if branch == "_unmatched" {
		f.transform("keep", n, allOf(others))
	}
	f.c.done(n.get("reroute_unmatched"))
}

func (f *flow) vectorDedupe(n *node) {
	c := f.c
	fieldsNode := n.at("fields.match")
	if fieldsNode == nil {
		c.left(n, "only dedupe by fields.match is converted; the key says what two equal records have in common")
		return
	}
	key := ""
	for _, item := range fieldsNode.list() {
		if name, err := f.vectorName("." + strings.TrimPrefix(item.text, ".")); err == nil {
			key += template(name) + " "
		}
	}
	t := f.transform("dedupe", n)
	t.fields.set("key", strings.TrimSpace(key))
	c.done(fieldsNode)
	if most := n.at("cache.num_events"); most != nil {
		t.fields.set("max_keys", c.number(most))
	}
	c.note(n, Differs, "a record is forgotten after window, by default 5s")
}

var vectorRef = regexp.MustCompile(`\{\{\s*\.?([A-Za-z0-9_."@-]+)\s*\}\}`)

// vectorTemplate converts a template.
func (f *flow) vectorTemplate(n *node) string {
	if n == nil {
		return ""
	}
	f.c.done(n)
	replaced := vectorRef.ReplaceAllStringFunc(n.text, func(ref string) string {
		name, err := f.vectorName("." + vectorRef.FindStringSubmatch(ref)[1])
		if err != nil {
			f.c.left(n, "%v", err)
			return ""
		}
		return template(name)
	})
	replaced = strings.ReplaceAll(replaced, "%F", "%Y-%m-%d")
	return f.c.translate(replaced)
}

// vectorSink converts a sink. It returns nil where Longshore has no output like it.
func (c *conversion) vectorSink(name string, n *node) *section {
	kind := n.get("type").raw()
	typ := map[string]string{"loki": "loki", "elasticsearch": "elasticsearch", "console": "stdout",
		"file": "file", "aws_s3": "s3", "splunk_hec_logs": "splunk", "splunk_hec": "splunk",
		"opentelemetry": "otlp", "kafka": "kafka"}[kind]
	if typ == "" {
		c.left(n, "Longshore sends by OTLP, to Loki, Elasticsearch, OpenSearch, VictoriaLogs, files and standard "+
			"output")
		return nil
	}
	s := c.out.add("outputs", name, typ)
	c.beside(n, s)
	c.done(n.get("type"))
	c.done(n.get("inputs"))
	switch typ {
	case "loki":
		address, user, password := c.address(n.get("endpoint"), s.name)
		s.fields.set("url", address)
		c.user(s, user, password)
		if path := c.str(n, "path"); path != "/loki/api/v1/push" {
			s.fields.set("path", path)
		}
		s.fields.set("tenant_id", c.str(n, "tenant_id"))
		if codec := n.at("encoding.codec"); codec.raw() == "text" || codec.raw() == "raw_message" {
			s.fields.set("line_format", "raw")
		}
	case "elasticsearch":
		c.vectorElastic(s, n)
	case "s3":
		c.vectorS3(s, n)
	case "splunk":
		c.vectorSplunk(s, n)
	case "otlp":
		address, user, password := c.address(n.at("protocol.uri"), s.name)
		c.user(s, user, password)
		s.fields.set("url", address)
		s.fields.set("protocol", "http")
		c.vectorHTTP(s, n.get("protocol"))
		c.skip(n.get("protocol"), "Longshore decides the rest by itself, and drops nothing")
	case "kafka":
		c.vectorKafka(s, n)
	case "file":
		path := c.str(n, "path")
		s.fields.set("path", path)
		if strings.ContainsAny(path, "{%") {
			c.note(n.get("path"), Differs, "a file's name has no templates here")
			s.fields.set("path", strings.NewReplacer("{", "", "}", "", "%", "").Replace(path))
		}
	}
	c.vectorHTTP(s, n)
	c.done(n.get("encoding"))
	for _, name := range []string{"healthcheck", "healthchecks", "buffer", "request", "compression",
		"remove_label_fields",
		"remove_timestamp", "out_of_order_action", "acknowledgements", "target", "api_version", "doc_type", "id_key",
		"distribution", "suppress_type_name", "request_retry_partial", "framing", "idle_timeout_secs", "path_key",
		"metrics",
		"bulk", "data_stream", "remove_structured_metadata_fields", "query"} {
		c.skip(n.get(name), "Longshore decides about this by itself, and drops nothing")
	}
	return s
}

func (c *conversion) user(s *section, user, password string) {
	if user != "" {
		s.fields.setIn("auth", "username", user)
		s.fields.setIn("auth", "password", password)
	}
}

func (c *conversion) vectorHTTP(s *section, n *node) {
	if auth := n.get("auth"); auth != nil {
		switch strategy := auth.get("strategy").raw(); strategy {
		case "basic", "bearer", "":
			c.done(auth.get("strategy"))
			s.fields.setIn("auth", "username", c.str(auth, "user"))
			s.fields.setIn("auth", "password", c.secret(auth.get("password"), s.name, "password"))
			s.fields.setIn("auth", "bearer_token", c.secret(auth.get("token"), s.name, "token"))
		default:
			c.left(auth, "only a user with a password, or a token, is converted")
		}
	}
	if tls := n.get("tls"); tls != nil {
		s.fields.setIn("tls", "ca_file", c.str(tls, "ca_file"))
		s.fields.setIn("tls", "cert_file", c.str(tls, "crt_file"))
		s.fields.setIn("tls", "key_file", c.str(tls, "key_file"))
		s.fields.setIn("tls", "server_name", c.str(tls, "server_name"))
		if tls.get("verify_certificate").isFalse() {
			s.fields.setIn("tls", "insecure_skip_verify", plain("true"))
		}
		for _, name := range []string{"verify_certificate", "verify_hostname", "enabled", "alpn_protocols"} {
			c.done(tls.get(name))
		}
		c.left(tls.get("key_pass"), "keys with a password are not read; write the key without one")
	}
	c.headers(s, n.at("request.headers"))
	if batch := n.get("batch"); batch != nil {
		if size := batch.get("max_bytes"); size != nil {
			s.fields.setIn("batch", "max_bytes", c.size(size))
		}
		if most := batch.get("max_events"); most != nil {
			s.fields.setIn("batch", "max_records", c.number(most))
		}
		c.skip(batch, "Longshore sends at once, and more at a time while a request is on its way")
	}
	if wait := n.at("request.timeout_secs"); wait != nil {
		s.fields.set("timeout", c.duration(wait))
	}
	if buffer := n.get("buffer"); buffer.get("type").raw() == "disk" {
		if size := buffer.get("max_size"); size != nil {
			s.fields.set("spool_size", c.size(size))
		}
		c.done(buffer)
	}
}

func (c *conversion) vectorElastic(s *section, n *node) {
	var urls []string
	for _, endpoint := range append(n.get("endpoints").list(), n.get("endpoint").list()...) {
		address, user, password := c.address(endpoint, s.name)
		c.user(s, user, password)
		urls = append(urls, address)
	}
	s.fields.set("urls", urls)
	f := c.newFlow("")
	f.line = otherParser
	index := n.at("bulk.index")
	if index == nil {
		index = n.get("index")
	}
	switch {
	case n.get("mode").raw() == "data_stream":
		stream := n.get("data_stream")
		s.fields.set("index", firstOf(f.vectorTemplate(stream.get("type")), "logs")+"-"+
			firstOf(f.vectorTemplate(stream.get("dataset")), "generic")+"-"+
			firstOf(f.vectorTemplate(stream.get("namespace")), "default"))
	case index != nil:
		s.fields.set("index", strftime.ReplaceAllStringFunc(f.vectorTemplate(index), func(date string) string {
			made, _ := elasticDate(date)
			return made
		}))
	default:
		s.fields.set("index", "vector-{yyyy.MM.dd}")
	}
	c.done(n.get("mode"))
	s.fields.set("pipeline", c.str(n, "pipeline"))
}

var strftime = regexp.MustCompile(`%[YmdH]([._-]?%[YmdH])*`)

// vectorLabels gives a Loki output the labels of its sink, with the names that a flow has.
func (c *conversion) vectorLabels(f *flow, output string) {
	i := slices.IndexFunc(c.out.outputs, func(s *section) bool { return s.name == output })
	if c.out.outputs[i].fields.text("type") != "loki" {
		return
	}
	for _, e := range c.root.get("sinks").maps() {
		s := c.out.outputs[i]
		if e.value.near != s {
			continue
		}
		for _, l := range e.value.get("labels").maps() {
			if strings.Contains(l.name, "*") || strings.Contains(l.name, "{{") {
				c.left(l.value, "each label has a name of its own; write those that are wanted")
				continue
			}
			value := f.vectorTemplate(l.value)
			if old := s.fields.sub("labels").text(l.name); old == "" {
				s.fields.setIn("labels", l.name, value)
			} else if old != value {
				c.note(l.value, Differs, "is made in different ways for different sources; the first is taken")
			}
		}
		for _, l := range e.value.get("structured_metadata").maps() {
			if strings.Contains(l.value.text, "trace_id") || strings.Contains(l.value.text, "span_id") {
				c.done(l.value)
				continue
			}
			c.left(l.value, "beside a line Longshore sends trace_id, span_id and detected_level")
		}
	}
}

var (
	parseCall = regexp.MustCompile(`\bparse_(json|logfmt|key_value|syslog|nginx_log|apache_log|common_l` +
		`og|regex|grok|klog|glog|timestamp|aws_\w+|cef|csv|xml)!?\(`)
	vrlParse = regexp.MustCompile(`^(?:(\.|\.[\w."]+|\w+)(?:\s*,\s*\w+)?\s*(?:\|=|=|\?\?=)\s*)?(?:(?:o` +
		`bject!?|merge!?)\(\s*(?:\.\s*,\s*)?)*parse_(\w+?)!?\(\s*(?:\w+!?\()?\s*(\.[\w."]+)\)?(?:\s` +
		`*\?\?\s*"")?\s*(?:,\s*(?:\w+:\s*)?(.*?))?\)+(?:\s*\?\?.*)?$`)
	vrlMerge = regexp.MustCompile(`^\.\s*(?:=\s*merge!?\(\s*\.\s*,\s*\w+(?:\s*,\s*deep:\s*\w+)?\s*\)|\` +
		`|=\s*(?:object!?\()?\w+\)?(?:\s*\?\?.*)?)$`)
	vrlDelete  = regexp.MustCompile(`^del\((\.[\w."@-]+)\)$`)
	vrlRename  = regexp.MustCompile(`^(\.[\w."@-]+)\s*=\s*del\((\.[\w."@-]+)\)$`)
	vrlSetText = regexp.MustCompile(`^(\.[\w."@-]+)\s*=\s*("(?:[^"\\]|\\.)*")$`)
	vrlSetEnv  = regexp.MustCompile(`^(\.[\w."@-]+)\s*=\s*get_env_var!?\("(\w+)"\)(?:\s*\?\?.*)?$`)
	vrlCopy    = regexp.MustCompile(`^(\.[\w."@-]+)\s*=\s*(?:to_string|string)?!?\(?(\.[\w."@-]+)\)?(?:\s*\?\?.*)?$`)
	vrlCase    = regexp.MustCompile(`^(\.[\w."@-]+)\s*=\s*(?:downcase|upcase|to_int|to_float|to_bool|to_` +
		`string|strip_whitespace|to_timestamp)!?\(\s*(?:\w+!?\()?(\.[\w."@-]+)\)?\)(?:\s*\?\?.*)?$`)
	vrlAbort = regexp.MustCompile(`(?s)^if\s+(.*?)\s*\{\s*abort\s*\}$`)
)

// remap converts a program, statement by statement.
func (f *flow) remap(n *node) {
	c := f.c
	source := n.get("source")
	if source == nil {
		c.left(n, "only programs in source are converted, not those in files")
		return
	}
	if source.kind != listKind {
		statements(source)
	}
	variables := map[string]bool{}
	for _, item := range source.items {
		if why := f.statement(item, variables); why != "" {
			c.left(item, "%s", why)
			continue
		}
		c.done(item)
	}
	if n.get("drop_on_error").isTrue() {
		c.note(n.get("drop_on_error"), Differs, "lines that are not understood are kept as they are; set on_error "+
			"of the parser")
	}
	for _, name := range []string{"drop_on_error", "drop_on_abort", "reroute_dropped", "timezone"} {
		c.done(n.get(name))
	}
}

// statements splits a program into its statements, which become the items of the node.
func statements(n *node) {
	var text string
	depth, from := 0, n.line
	flush := func(next int) {
		if t := strings.TrimSpace(text); t != "" {
			n.items = append(n.items, &node{file: n.file, line: from, path: n.path, text: strings.TrimSuffix(t,
				";"), near: n.near})
		}
		text, from = "", next
	}
	for i, line := range strings.Split(n.text, "\n") {
		at := n.line + i
		if strings.Contains(n.text, "\n") {
			at++ // the text begins below its name
		}
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "#") || trimmed == "" {
			continue
		}
		if text == "" {
			from = at
		}
		text += line + "\n"
		depth += strings.Count(line, "{") + strings.Count(line, "(") - strings.Count(line,
			"}") - strings.Count(line, ")")
		if depth <= 0 && !strings.HasSuffix(trimmed, "??") && !strings.HasSuffix(trimmed, "\\") {
			depth = 0
			flush(at)
		}
	}
	flush(n.line)
	n.kind, n.text = listKind, ""
	if len(n.items) == 0 {
		n.kind = scalarKind
	}
}

const noVRL = "this statement of VRL is not converted; docs/transforms.md lists what there is"

// statement converts one statement of VRL, or says why it cannot.
func (f *flow) statement(n *node, variables map[string]bool) string {
	c, s := f.c, strings.Join(strings.Fields(n.text), " ")
	name := func(path string) string {
		known, err := f.vectorName(path)
		if err != nil {
			return strings.TrimPrefix(path, ".")
		}
		return known
	}
	plainName := func(path string) string { return strings.ReplaceAll(strings.TrimPrefix(path, "."), `"`, "") }
	switch {
	case vrlMerge.MatchString(s):
		return ""
	case vrlAbort.MatchString(s):
		cond, err := c.condition(vrlAbort.FindStringSubmatch(s)[1], f.vectorName)
		if err != nil {
			return err.Error()
		}
		f.transform("drop", n, cond)
		return ""
	case vrlParse.MatchString(s):
		m := vrlParse.FindStringSubmatch(s)
		variables[m[1]] = true
		return f.vrlParse(n, m[1], m[2], m[3], strings.TrimSpace(m[4]))
	case vrlDelete.MatchString(s):
		t := f.lastOf("remove", n)
		t.fields.set("fields", appended(t.fields, "fields", []string{name(vrlDelete.FindStringSubmatch(s)[1])}))
	case vrlRename.MatchString(s):
		m := vrlRename.FindStringSubmatch(s)
		f.lastOf("rename", n).fields.setIn("fields", name(m[2]), plainName(m[1]))
		f.known[plainName(m[1])] = plainName(m[1])
	case vrlSetText.MatchString(s):
		m := vrlSetText.FindStringSubmatch(s)
		value, err := strconv.Unquote(m[2])
		if err != nil || strings.ContainsAny(value, "{}") && !oneRef.MatchString(value) {
			return noVRL
		}
		f.lastOf("add", n).fields.setIn("fields", plainName(m[1]), c.translate(value))
		f.known[plainName(m[1])] = plainName(m[1])
	case vrlSetEnv.MatchString(s):
		m := vrlSetEnv.FindStringSubmatch(s)
		c.wanted[m[2]] = true
		f.lastOf("add", n).fields.setIn("fields", plainName(m[1]), "${"+m[2]+"}")
		f.known[plainName(m[1])] = plainName(m[1])
	case vrlCase.MatchString(s) && vrlCase.FindStringSubmatch(s)[1] == vrlCase.FindStringSubmatch(s)[2]:
		c.note(n, Differs, "numbers are numbers, and levels in lower case, by themselves; other texts stay as they are")
	case vrlCopy.MatchString(s):
		m := vrlCopy.FindStringSubmatch(s)
		if name(m[2]) == f.field(plainName(m[1])) {
			return ""
		}
		f.lastOf("add", n).fields.setIn("fields", plainName(m[1]), template(name(m[2])))
		f.known[plainName(m[1])] = plainName(m[1])
	default:
		return noVRL
	}
	return ""
}

// vrlParse converts a call of a parse function.
func (f *flow) vrlParse(n *node, target, kind, path, argument string) string {
	field := ""
	if path != ".message" {
		var err error
		if field, err = f.vectorName(path); err != nil {
			return err.Error()
		}
	}
	types := map[string]string{"json": "json", "logfmt": "logfmt", "key_value": "logfmt", "syslog": "syslog",
		"nginx_log": "access", "apache_log": "access", "common_log": "access", "klog": "auto", "glog": "auto"}
	below := strings.TrimPrefix(target, ".")
	if strings.HasPrefix(target, ".") && below != "" && below != "message" && kind != "timestamp" {
		f.c.note(n, Differs, "fields stand at the top of a record, not below %s", below)
	}
	if field == "" && f.isUnwrapped() && types[kind] != "" {
		return "" // auto reads what is within
	}
	switch {
	case kind == "timestamp":
		f.c.done(n)
		if field == "" || field == "timestamp" {
			return ""
		}
		p := f.parser("pattern", nil)
		p.fields.set("field", field)
		p.fields.set("pattern", "<time>")
	case kind == "regex":
		pattern, ok := unquoted(argument)
		if !ok {
			return noVRL
		}
		one := &node{file: n.file, line: n.line, path: n.path, text: pattern, near: n.near}
		before := len(f.c.notes)
		if f.regex(one, field) == nil {
			why := f.c.notes[before:]
			f.c.notes = f.c.notes[:before]
			if len(why) > 0 {
				return why[0].Message
			}
			return noVRL
		}
	case kind == "grok":
		pattern, ok := unquoted(argument)
		if !ok {
			return noVRL
		}
		p := f.parser("grok", nil)
		p.fields.set("pattern", f.c.translate(pattern))
		p.fields.set("field", field)
	case types[kind] != "":
		p := f.parser(types[kind], nil)
		p.fields.set("field", field)
	default:
		return noVRL
	}
	return ""
}
