package importer

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// fluentBit converts a config of Fluent Bit, of either format.
func (c *conversion) fluentBit() {
	c.root.lowerKeys()
	c.fluentIncludes()
	for _, root := range append([]*node{c.root}, c.more...) {
		for _, service := range root.all("service") {
			c.fluentService(service)
		}
		c.fluentEnv(root.get("env"))
	}
	var outs []*section
	matches := map[*section]*node{}
	for _, n := range c.fluentAll("pipeline", "outputs") {
		if s := c.fluentOutput(n); s != nil {
			outs = append(outs, s)
			matches[s] = n
		}
	}
	if len(outs) == 0 {
		outs = c.destinations(nil)
	}
	var flows []*flow
	for i, n := range c.fluentAll("pipeline", "inputs") {
		if f := c.fluentInput(n, i); f != nil {
			flows = append(flows, f)
		}
	}
	for _, f := range flows {
		for _, n := range c.fluentAll("pipeline", "filters") {
			if fluentMatches(n, f.tag) {
				f.fluentFilter(n)
			}
		}
		for _, s := range outs {
			if matches[s] == nil || fluentMatches(matches[s], f.tag) {
				f.outputs = append(f.outputs, s.name)
			}
		}
	}
	for _, list := range []string{"filters", "outputs"} {
		for _, n := range c.fluentAll("pipeline", list) {
			c.done(n.get("match"))
			c.done(n.get("match_regex"))
			if !slices.ContainsFunc(flows, func(f *flow) bool { return fluentMatches(n, f.tag) }) {
				c.left(n, "matches the tag of no input that was converted")
			}
		}
	}
	for _, f := range flows {
		f.finish()
	}
	for _, n := range slices.Concat(c.fluentAll("parsers"), c.fluentAll("multiline_parsers")) {
		c.skip(n, "no input or filter that was converted uses this parser, or all of it is known by itself")
	}
}

func (c *conversion) fluentService(n *node) {
	c.skip(n.get("plugins_file"), "Longshore has no plugins")
	if n.get("http_server").isTrue() {
		host := firstOf(c.str(n, "http_listen"), "0.0.0.0")
		c.out.head.fields.set("http", fields{{name: "listen", value: host + ":" + firstOf(c.str(n, "http_port"),
			"2020")}})
		c.done(n.get("http_server"))
		c.note(n.get("http_server"), Differs, "other machines need http.token for the API; metrics are at "+
			"/metrics, health at "+
			"/health and /ready")
	}
	if grace := n.get("grace"); grace != nil {
		c.out.head.fields.set("shutdown_timeout", c.duration(grace))
	}
	c.skip(n, "Longshore needs no such setting: it sends at once, and keeps what waits on disk")
}

// fluentEnv: values that the config itself gives to variables.
func (c *conversion) fluentEnv(n *node) {
	for _, e := range n.maps() {
		c.left(e.value, "Longshore's config sets no variables; put %s into the environment", e.name)
	}
}

// fluentMatches reports whether a filter or output takes what has a tag.
func fluentMatches(n *node, tag string) bool {
	if re := n.get("match_regex"); re != nil {
		compiled, err := regexp.Compile(re.text)
		return err == nil && compiled.MatchString(tag)
	}
	match := n.get("match").raw()
	if match == "" || match == "*" || match == "**" {
		return match != "" || n.get("match") == nil
	}
	pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(match), `\*`, ".*") + "$"
	compiled, err := regexp.Compile(pattern)
	return err == nil && compiled.MatchString(strings.ReplaceAll(tag, "*", "var.log.x"))
}

// fluentInput converts an input. It returns nil where Longshore has none like it.
func (c *conversion) fluentInput(n *node, i int) *flow {
	kind := strings.ToLower(n.get("name").raw())
	tag := firstOf(n.get("tag").raw(), kind+"."+strconv.Itoa(i))
	f := c.newFlow(c.freeName(firstOf(n.get("alias").raw(), strings.Trim(tag, ".*"), kind)))
	f.tag = tag
	switch kind {
	case "tail":
		c.fluentTail(f, n)
	case "stdin":
		f.input(f.name, "stdin", n)
		c.fluentParser(f, n.get("parser"), "")
	default:
		if !c.fluentHost(f, n, kind) {
			c.left(n, nothingElse)
			return nil
		}
	}
	for _, name := range []string{"name", "tag", "alias"} {
		c.done(n.get(name))
	}
	return f
}

func (c *conversion) fluentTail(f *flow, n *node) {
	in := f.input(f.name, "file", n)
	in.fields.set("paths", commaList(c.str(n, "path")))
	in.fields.set("exclude", commaList(c.str(n, "exclude_path")))
	if !n.get("read_from_head").isTrue() {
		in.fields.set("read_from", "end")
	}
	c.done(n.get("read_from_head"))
	if age := n.get("ignore_older"); age != nil {
		in.fields.set("ignore_older", c.duration(age))
	}
	if size := n.get("buffer_max_size"); size != nil {
		if bytes, ok := bytesOf(strings.TrimSuffix(strings.ToLower(size.text), "b") + "ib"); ok && bytes != "0" {
			c.skip(size, "lines may be as long as max_line_size, 1MiB; Fluent Bit gives up a file with a longer one")
		}
	}
	if key := n.get("path_key"); key != nil {
		c.differs(key, "the path of a file stands in filename")
	}
	c.left(n.get("offset_key"), "the offset is not a field; Longshore identifies records by it itself")
	c.left(n.get("tag_regex"), "tags are not made of paths; conditions on filename choose records")
	for _, name := range []string{"db", "db.sync", "db.locking", "db.journal_mode", "db.compare_filename"} {
		c.skip(n.get(name), "Longshore keeps positions in data_dir; import --positions takes Fluent Bit's over")
	}
	for _, name := range []string{"refresh_interval", "rotate_wait", "mem_buf_limit", "inotify_watcher",
		"skip_long_lines",
		"skip_empty_lines", "storage.type", "static_batch_size", "buffer_chunk_size", "buffer_max_size",
		"docker_mode_flush",
		"watcher_interval", "exit_on_eof", "threaded", "key", "storage.pause_on_chunks_overlimit",
		"file_cache_advise"} {
		c.skip(n.get(name), "Longshore needs no such setting: files are found and read to their end by themselves")
	}
	if n.get("docker_mode").isTrue() {
		f.unwrap("auto", n.get("docker_mode"))
	}
	c.done(n.get("docker_mode"))
	c.fluentMultiline(f, n)
	c.fluentParser(f, n.get("parser"), "")
}

// commaList splits a list of globs.
func commaList(text string) (all []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// fluentMultiline converts how lines are joined.
func (c *conversion) fluentMultiline(f *flow, n *node) {
	if list := n.get("multiline.parser"); list != nil {
		for _, name := range fluentNames(list) {
			f.fluentJoin(list, name)
		}
		c.done(list)
	}
	if n.get("multiline").isTrue() {
		first := c.fluentNamed("parsers", n.get("parser_firstline").raw())
		if expr := first.get("regex"); expr != nil && c.goRegexp(expr) {
			s := c.out.add("parsers", f.name+"_multiline", "multiline")
			f.parsers = append([]string{s.name}, f.parsers...)
			s.fields.set("start_pattern", c.translate(expr.text))
			if wait := n.get("multiline_flush"); wait != nil {
				s.fields.set("timeout", c.duration(wait))
			}
			c.fluentParserOf(f, first, n.get("parser_firstline"), "")
		} else {
			c.left(n.get("parser_firstline"), "there is no such parser with a regular expression in the files that "+
				"were read")
		}
		c.done(n.get("parser_firstline"))
	}
	c.done(n.get("multiline"))
	c.done(n.get("multiline_flush"))
}

// fluentNames returns the names in a list, which may have commas.
func fluentNames(n *node) (names []string) {
	for _, item := range n.list() {
		names = append(names, commaList(item.text)...)
	}
	return names
}

// fluentJoin converts one multiline parser.
func (f *flow) fluentJoin(at *node, name string) {
	c := f.c
	switch name {
	case "docker":
		f.unwrap("auto", nil)
		return
	case "cri":
		f.unwrap("cri", nil)
		return
	case "java", "python", "go", "ruby":
		if len(f.parsers) == 0 {
			f.unwrap("auto", nil) // it joins the stack traces of all of them
		}
		return
	}
	m := c.fluentNamed("multiline_parsers", name)
	if m == nil {
		c.left(at, "there is no multiline parser %q in the files that were read", name)
		return
	}
	s := c.out.add("parsers", f.name+"_multiline", "multiline")
	c.beside(m, s)
	for _, rule := range append(m.all("rule"), m.get("rules").list()...) {
		state, expr := fluentRule(rule)
		if _, err := regexp.Compile(expr); err != nil {
			c.left(rule, "the regular expression is not in Go's (RE2) syntax: %v", err)
			continue
		}
		setting := "continue_pattern"
		if state == "start_state" {
			setting = "start_pattern"
		}
		if s.fields.has(setting) {
			c.left(rule, "a multiline parser has one pattern for the first line and one for the others; join them "+
				"with |")
			continue
		}
		c.done(rule)
		s.fields.set(setting, c.escape(expr))
	}
	if wait := m.get("flush_timeout"); wait != nil {
		s.fields.set("timeout", fluentMillis(c.text(wait)))
	}
	c.done(m.get("name"))
	c.done(m.get("type"))
	c.skip(m, "Longshore needs no such setting")
	f.parsers = append([]string{s.name}, f.parsers...)
	f.wholeIfJoined()
}

func fluentMillis(text string) plain {
	if number.MatchString(text) {
		return plain(text + "ms")
	}
	return plain(scalar(text))
}

var fluentRuleParts = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

// fluentRule returns the state and expression of a rule.
func fluentRule(n *node) (state, expr string) {
	if n.kind == mapKind {
		state, expr = n.get("state").raw(), n.get("regex").raw()
	} else if parts := fluentRuleParts.FindAllStringSubmatch(n.text, 3); len(parts) > 1 {
		state, expr = parts[0][1], parts[1][1]
	}
	return state, strings.TrimSuffix(strings.TrimPrefix(expr, "/"), "/")
}

// fluentNamed returns the parser of a name, or nil.
func (c *conversion) fluentNamed(list, name string) *node {
	for _, n := range c.fluentAll(list) {
		if name != "" && n.get("name").raw() == name {
			return n
		}
	}
	return nil
}

// fluentOwnParsers are those that come with Fluent Bit, and what reads the same here.
var fluentOwnParsers = map[string]string{
	"docker": "auto", "docker-daemon": "auto", "cri": "cri", "json": "json", "logfmt": "logfmt", "apache": "access",
	"apache2": "access", "apache_error": "auto", "nginx": "access", "k8s-nginx-ingress": "auto",
	"syslog-rfc5424": "syslog", "syslog-rfc3164": "syslog", "syslog-rfc3164-local": "syslog", "envoy": "auto",
	"istio-envoy-proxy": "auto", "mongodb": "auto", "kube-custom": "",
}

// fluentParser converts the use of a parser by its name.
func (c *conversion) fluentParser(f *flow, name *node, field string) {
	if name == nil {
		return
	}
	c.done(name)
	if own := c.fluentNamed("parsers", name.text); own != nil {
		c.fluentParserOf(f, own, name, field)
		return
	}
	typ := fluentOwnParsers[strings.ToLower(name.text)]
	switch {
	case typ == "":
		c.left(name, "there is no parser %q in the files that were read", name.text)
	case (typ == "auto" || typ == "cri") && field == "":
		f.unwrap(typ, nil)
	case f.isUnwrapped() && typ == "json":
	default:
		f.parser(typ, nil).fields.set("field", field)
	}
}

// fluentParserOf converts a parser of the config.
func (c *conversion) fluentParserOf(f *flow, n, at *node, field string) {
	format := strings.ToLower(n.get("format").raw())
	timeKey := firstOf(n.get("time_key").raw(), "time")
	if field == "" && f.isUnwrapped() {
		field = "message"
	}
	var s *section
	switch format {
	case "json", "logfmt":
		if f.isUnwrapped() && field == "message" {
			break // auto reads what is within
		}
		s = f.parser(format, n)
		s.fields.set("field", field)
	case "regex":
		if s = f.regex(n.get("regex"), field); s == nil {
			c.note(at, Left, "its parser could not be converted")
		}
	default:
		c.left(n, "the format %s is not read by Longshore; a regex or pattern parser can", format)
		return
	}
	for _, name := range []string{"name", "format", "time_format", "time_key", "time_strict", "types",
		"skip_empty_values"} {
		c.done(n.get(name))
	}
	c.skip(n.get("time_keep"), "the time of a record stands in timestamp")
	for _, name := range []string{"decode_field", "decode_field_as"} {
		c.skip(n.get(name), "JSON within a line's message is recognised by itself")
	}
	c.left(n.get("time_offset"), "zones are written by name: set timezone")
	if known := f.field(timeKey); s != nil && known != "timestamp" && n.has("time_key") {
		p := f.parser("pattern", nil)
		p.fields.set("field", known)
		p.fields.set("pattern", "<time>")
	}
}

var recordAccessor = regexp.MustCompile(`\[\s*['"]([^'"\]]+)['"]\s*\]`)

// fluentKey returns the record's name of a key or record accessor: $a['b'] is a.b.
func (f *flow) fluentKey(key string) (name, why string) {
	key = recordAccessor.ReplaceAllString(strings.TrimPrefix(key, "$"), ".$1")
	if strings.HasPrefix(key, "kubernetes.") {
		return "", errKubernetes.Error()
	}
	if key == "log" || key == "message" && f.line == noParser {
		if f.line == noParser {
			return f.lineName()
		}
		return "message", ""
	}
	return f.field(key), ""
}

// fluentFilter converts a filter that takes a flow's records.
func (f *flow) fluentFilter(n *node) {
	c := f.c
	kind := strings.ToLower(n.get("name").raw())
	for _, name := range []string{"name", "match", "match_regex", "alias"} {
		c.done(n.get(name))
	}
	switch kind {
	case "parser":
		field := n.get("key_name").raw()
		if name, _ := f.fluentKey(field); f.isUnwrapped() || len(f.known) > 0 && name != "message" {
			field = name
		} else {
			field = ""
		}
		f.wholeLine = false
		for _, parser := range n.all("parser") {
			c.fluentParser(f, parser, field)
		}
		for _, name := range []string{"key_name", "reserve_data", "preserve_key"} {
			c.done(n.get(name))
		}
		f.line = max(f.line, exprParser)
	case "grep":
		f.fluentGrep(n)
	case "modify", "record_modifier":
		f.fluentModify(n)
	case "throttle":
		f.fluentThrottle(n)
	case "multiline":
		for _, name := range fluentNames(n.get("multiline.parser")) {
			f.fluentJoin(n.get("multiline.parser"), name)
		}
		c.done(n.get("multiline.parser"))
		c.done(n.get("multiline.key_content"))
		c.skip(n, "Longshore needs no such setting")
	case "kubernetes":
		c.left(n, "Longshore does not ask Kubernetes; namespace, pod and container stand in a file's name")
	case "lua", "wasm":
		c.left(n, "programs are not run; see docs/transforms.md for what there is instead")
	default:
		c.left(n, "Longshore has no such filter; docs/transforms.md lists what there is")
	}
}

func (f *flow) fluentGrep(n *node) {
	c := f.c
	or := strings.EqualFold(n.get("logical_op").raw(), "or")
	c.done(n.get("logical_op"))
	for kind, typ := range map[string]string{"regex": "keep", "exclude": "drop"} {
		var conds []string
		for _, rule := range n.all(kind) {
			for _, one := range rule.list() {
				if cond := f.fluentRule(one); cond != "" {
					conds = append(conds, cond)
				}
			}
		}
		switch {
		case len(conds) == 0:
		case len(conds) == 1:
			f.transform(typ, n, conds[0])
		case or || typ == "drop":
			f.transform(typ, n, strings.Join(conds, " or "))
		default:
			for _, cond := range conds {
				f.transform(typ, n, cond)
			}
		}
	}
}

// fluentRule returns the condition of "key pattern".
func (f *flow) fluentRule(n *node) string {
	key, pattern, _ := strings.Cut(strings.TrimSpace(n.text), " ")
	pattern = strings.TrimSpace(pattern)
	if _, err := regexp.Compile(pattern); err != nil || pattern == "" {
		f.c.left(n, "the regular expression is not in Go's (RE2) syntax; rewrite it without look-around")
		return ""
	}
	name, why := f.fluentKey(key)
	if why != "" {
		f.c.left(n, "%s", why)
		return ""
	}
	f.c.done(n)
	return matches(name, f.c.escape(pattern))
}

func (f *flow) fluentModify(n *node) {
	c := f.c
	if len(n.all("condition")) > 0 {
		c.left(n, "conditions of this filter are not converted; give the transform an if")
		return
	}
	for _, e := range n.entries {
		for _, item := range e.value.list() {
			f.fluentChange(e.name, item)
		}
	}
}

// fluentChange converts one change of modify or record_modifier.
func (f *flow) fluentChange(what string, n *node) {
	c := f.c
	key, value, _ := strings.Cut(strings.TrimSpace(n.text), " ")
	value = strings.TrimSpace(value)
	switch what {
	case "add", "set", "record":
		value = c.translate(value)
		if value == "${HOSTNAME}" {
			value = "{host.name}"
		} else if _, ok := literal(value); !ok && !strings.Contains(value, "${") {
			c.left(n, "a value with { or } cannot be added")
			return
		}
		f.lastOf("add", n).fields.setIn("fields", key, value)
		f.known[key] = key
	case "rename", "hard_rename":
		f.lastOf("rename", n).fields.setIn("fields", f.field(key), value)
		f.known[value] = value
	case "remove", "remove_key":
		t := f.lastOf("remove", n)
		t.fields.set("fields", appended(t.fields, "fields", []string{f.field(n.text)}))
	case "remove_wildcard":
		t := f.lastOf("remove", n)
		t.fields.set("fields", appended(t.fields, "fields", []string{n.text + "*"}))
	case "allowlist_key", "whitelist_key":
		t := f.lastOf("remove", n)
		t.fields.set("fields", []string{"*"})
		t.fields.set("except", appended(t.fields, "except", []string{n.text}))
	case "name", "match", "match_regex", "alias":
	default:
		c.left(n, "Longshore has no such change of a record")
		return
	}
	c.done(n)
}

// lastOf returns the last transform if it is of a type, or else a new one.
func (f *flow) lastOf(typ string, n *node) *section {
	if len(f.transforms) > 0 {
		last := f.transforms[len(f.transforms)-1]
		for _, s := range f.c.out.transforms {
			if s.name == last && s.fields.text("type") == typ && !s.fields.has("if") {
				return s
			}
		}
	}
	return f.transform(typ, n)
}

func (f *flow) fluentThrottle(n *node) {
	c := f.c
	rate, _ := n.get("rate").number()
	seconds := int64(1)
	if text := n.get("interval").raw(); text != "" {
		if v, err := strconv.ParseInt(strings.TrimSuffix(text, "s"), 10, 64); err == nil && v > 0 {
			seconds = v
		}
	}
	t := f.transform("throttle", n)
	t.fields.set("rate", plain(strconv.FormatFloat(max(float64(rate)/float64(seconds), 0.001), 'f', -1, 64)))
	t.fields.set("key", "all")
	c.done(n.get("rate"))
	c.done(n.get("interval"))
	c.skip(n.get("window"), "what may pass at once is burst, by default the records of one second")
	c.skip(n.get("print_status"), "what is dropped is logged by itself")
}

// fluentOutput converts an output. It returns nil where Longshore has none like it.
func (c *conversion) fluentOutput(n *node) *section {
	kind := strings.ToLower(n.get("name").raw())
	types := map[string]string{"loki": "loki", "es": "elasticsearch", "opensearch": "elasticsearch", "stdout": "stdout",
		"file": "file", "s3": "s3", "splunk": "splunk", "opentelemetry": "otlp"}
	typ := types[kind]
	if typ == "" {
		c.left(n, "Longshore sends by OTLP, to Loki, Elasticsearch, OpenSearch, VictoriaLogs, files and standard "+
			"output")
		return nil
	}
	s := c.out.add("outputs", firstOf(n.get("alias").raw(), kind), typ)
	c.beside(n, s)
	switch typ {
	case "loki":
		c.fluentLoki(s, n)
	case "elasticsearch":
		c.fluentElastic(s, n)
	case "s3":
		c.fluentS3(s, n)
	case "splunk":
		c.fluentSplunk(s, n)
	case "otlp":
		c.fluentOTLP(s, n)
	case "file":
		folder, name := c.str(n, "path"), firstOf(c.str(n, "file"), "fluent-bit.log")
		s.fields.set("path", strings.TrimSuffix(folder, "/")+"/"+name)
		c.done(n.get("format"))
		c.note(n, Differs, "records are written as one line of JSON each")
		c.done(n.get("mkdir"))
	case "stdout":
		c.done(n.get("format"))
		c.done(n.get("json_date_key"))
		c.done(n.get("json_date_format"))
	}
	for _, name := range []string{"name", "alias"} {
		c.done(n.get(name))
	}
	if size := n.get("storage.total_limit_size"); size != nil {
		if text := strings.TrimSuffix(strings.ToUpper(size.text), "B"); text != "" {
			s.fields.set("spool_size", plain(scalar(text+"iB")))
		}
		c.done(size)
	}
	c.skip(n.get("retry_limit"), "Longshore tries again without an end, and drops nothing")
	for _, name := range []string{"workers", "net.keepalive", "net.connect_timeout", "net.keepalive_idle_timeout",
		"net.max_worker_connections", "compress", "buffer_size", "suppress_type_name", "type", "trace_error",
		"trace_output",
		"replace_dots", "generate_id", "id_key", "write_operation", "logstash_prefix_separator", "net.dns.mode",
		"net.keepalive_max_recycle", "current_time_index", "time_key", "time_key_format", "time_key_nanos",
		"http_api_key",
		"log_response_payload"} {
		c.skip(n.get(name), "Longshore decides about this by itself")
	}
	return s
}

// fluentHTTP converts the address and TLS of an output.
func (c *conversion) fluentHTTP(s *section, n *node, port string) (address string) {
	scheme := "http"
	if n.get("tls").isTrue() {
		scheme = "https"
	}
	c.done(n.get("tls"))
	host := firstOf(c.str(n, "host"), "127.0.0.1")
	address = scheme + "://" + host + ":" + firstOf(c.str(n, "port"), port)
	if n.get("tls.verify").isFalse() {
		s.fields.setIn("tls", "insecure_skip_verify", plain("true"))
	}
	c.done(n.get("tls.verify"))
	c.done(n.get("tls.verify_hostname"))
	for from, to := range map[string]string{"tls.ca_file": "ca_file", "tls.crt_file": "cert_file",
		"tls.key_file": "key_file",
		"tls.vhost":    "server_name"} {
		s.fields.setIn("tls", to, c.str(n, from))
	}
	slices.SortFunc(s.fields.sub("tls"), func(a, b field) int { return strings.Compare(a.name, b.name) })
	c.left(n.get("tls.key_passwd"), "keys with a password are not read; write the key without one")
	c.left(n.get("tls.ca_path"), "one file has all authorities: ca_file")
	c.skip(n.get("tls.debug"), "not needed")
	s.fields.setIn("auth", "username", c.str(n, "http_user"))
	s.fields.setIn("auth", "password", c.secret(n.get("http_passwd"), s.name, "password"))
	s.fields.setIn("auth", "bearer_token", c.secret(n.get("bearer_token"), s.name, "token"))
	s.fields.set("proxy", c.proxy(n.get("proxy"), s.name))
	for _, h := range append(n.all("header"), n.all("headers")...) {
		for _, one := range h.list() {
			name, value, _ := strings.Cut(one.text, " ")
			c.headers(s, &node{kind: mapKind, entries: []entry{{name, one}}, file: one.file, line: one.line})
			if s.fields.sub("headers").text(name) == c.translate(one.text) {
				s.fields.setIn("headers", name, c.translate(strings.TrimSpace(value)))
			}
		}
	}
	return address
}

// fluentOTLP converts an output of OTLP, by HTTP or gRPC.
func (c *conversion) fluentOTLP(s *section, n *node) {
	s.fields.set("url", c.fluentHTTP(s, n, "80"))
	protocol := "http"
	if n.get("grpc").isTrue() {
		protocol = "grpc"
	}
	s.fields.set("protocol", protocol)
	if uri := c.str(n, "logs_uri"); uri != "" && uri != "/v1/logs" {
		s.fields.set("path", uri)
	}
	if compress := c.str(n, "compress"); compress == "zstd" {
		s.fields.set("compression", compress)
	}
	for _, name := range []string{"grpc", "http2"} {
		c.done(n.get(name))
	}
	for _, name := range []string{"metrics_uri", "traces_uri", "profiles_uri", "log_response_payload", "batch_size",
		"logs_body_key_attributes"} {
		c.skip(n.get(name), "Longshore sends logs alone, and decides about them by itself")
	}
}

func (c *conversion) fluentLoki(s *section, n *node) {
	address := c.fluentHTTP(s, n, "3100")
	s.fields.set("url", address)
	if uri := c.str(n, "uri"); uri != "" && uri != "/loki/api/v1/push" {
		s.fields.set("path", uri)
	}
	s.fields.set("tenant_id", c.str(n, "tenant_id"))
	labels := n.get("labels")
	if labels == nil && n.get("label_keys") == nil {
		s.fields.setIn("labels", "job", "fluent-bit")
	}
	for _, pair := range fluentNames(labels) {
		name, value, is := strings.Cut(pair, "=")
		if !is {
			value = name
			name = strings.Trim(recordAccessor.ReplaceAllString(strings.TrimPrefix(name, "$"), "_$1"), "_")
		}
		c.fluentLabel(s, labels, strings.TrimSpace(name), strings.TrimSpace(value))
	}
	c.done(labels)
	for _, key := range fluentNames(n.get("label_keys")) {
		name := strings.Trim(recordAccessor.ReplaceAllString(strings.TrimPrefix(key, "$"), "_$1"), "_")
		c.fluentLabel(s, n.get("label_keys"), name, key)
	}
	c.done(n.get("label_keys"))
	if n.get("line_format").raw() == "key_value" {
		c.left(n.get("line_format"), "records are sent as JSON, or as the lines they were read as (line_format: raw)")
	}
	c.done(n.get("line_format"))
	if n.get("drop_single_key").isTrue() || n.get("drop_single_key").raw() == "raw" {
		s.fields.set("line_format", "raw")
		c.note(n.get("drop_single_key"), Differs, "lines are sent as they were read")
	}
	c.done(n.get("drop_single_key"))
	c.left(n.get("remove_keys"), "a remove transform takes fields out of records")
	c.left(n.get("tenant_id_key"), "an output has one tenant; use an output for each, and a route transform")
	c.left(n.get("label_map_path"), "write the labels under labels of the output")
	c.left(n.get("structured_metadata"), "beside a line Longshore sends trace_id, span_id and detected_level")
	c.left(n.get("auto_kubernetes_labels"), "Longshore does not ask Kubernetes")
}

// fluentLabel adds one label: a text, or a key of the record.
func (c *conversion) fluentLabel(s *section, at *node, name, value string) {
	key, isKey := strings.CutPrefix(value, "$")
	if !isKey || strings.HasPrefix(key, "{") {
		s.fields.setIn("labels", name, c.translate(value))
		return
	}
	key = recordAccessor.ReplaceAllString(key, ".$1")
	if strings.HasPrefix(key, "kubernetes.") {
		c.note(at, Left, "%s: Longshore does not ask Kubernetes; namespace, pod and container stand in a file's "+
			"name", name)
		return
	}
	s.fields.setIn("labels", name, template(c.newFlow("").field(key)))
}

func (c *conversion) fluentElastic(s *section, n *node) {
	address := c.fluentHTTP(s, n, "9200") + strings.TrimSuffix(c.str(n, "path"), "/")
	s.fields.set("urls", []string{address})
	index := firstOf(c.str(n, "index"), "fluent-bit")
	if n.get("logstash_format").isTrue() {
		date, ok := elasticDate(firstOf(n.get("logstash_dateformat").raw(), "%Y.%m.%d"))
		if !ok {
			c.left(n.get("logstash_dateformat"), "only years, months, days and hours stand in an index")
		}
		index = firstOf(c.str(n, "logstash_prefix"), "logstash") + "-" + date
		c.left(n.get("logstash_prefix_key"), "write {field} into index")
	}
	c.done(n.get("logstash_format"))
	c.done(n.get("logstash_dateformat"))
	c.done(n.get("logstash_prefix"))
	s.fields.set("index", index)
	s.fields.set("pipeline", c.str(n, "pipeline"))
	c.left(n.get("cloud_id"), "write the address of Elasticsearch into urls")
	c.left(n.get("cloud_auth"), "write the user into auth.username, and the password as ${VAR} into auth.password")
	if aws := n.get("aws_auth"); aws.isTrue() {
		c.left(aws, "requests are not signed for AWS")
	}
	c.done(n.get("aws_auth"))
	c.left(n.get("include_tag_key"), "there are no tags; labels of an input tell records apart")
	c.note(n, Differs, "the line's text stands in message, where Fluent Bit has it in log, and the time in "+
		"timestamp: see "+
		"schema at the output")
}

// elasticDate writes a date of strftime as the index has it.
func elasticDate(format string) (string, bool) {
	format = strings.NewReplacer("%Y", "yyyy", "%m", "MM", "%d", "dd", "%H", "HH").Replace(format)
	return "{" + format + "}", !strings.Contains(format, "%")
}
