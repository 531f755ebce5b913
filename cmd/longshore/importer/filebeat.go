package importer

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// filebeat converts a config of Filebeat.
func (c *conversion) filebeat() {
	c.filebeatGeneral()
	outs := c.filebeatOutputs()
	var flows []*flow
	inputs := append(c.root.at("filebeat.inputs").list(), c.root.at("filebeat.prospectors").list()...)
	for _, n := range inputs {
		if f := c.filebeatInput(n); f != nil {
			flows = append(flows, f)
		}
	}
	flows = append(flows, c.filebeatModules(c.root.at("filebeat.modules"))...)
	if auto := c.root.at("filebeat.autodiscover"); auto != nil {
		flows = append(flows, c.autodiscover(auto)...)
	}
	for _, f := range flows {
		f.beatFields(c.root.get("fields"), c.root.get("fields_under_root").isTrue())
		for _, p := range c.root.get("processors").list() {
			f.processor(p)
		}
		for _, out := range outs {
			f.outputs = append(f.outputs, out.name)
		}
		f.finish()
	}
	c.done(c.root.get("processors"))
	if tags := c.root.get("tags"); tags != nil {
		c.left(tags, "Longshore has no tags; give the inputs a label")
	}
	c.done(c.root.get("fields_under_root"))
}

func (c *conversion) filebeatGeneral() {
	if c.root.at("http.enabled").isTrue() {
		host := firstOf(c.str(c.root, "http.host"), "127.0.0.1")
		listen := host + ":" + firstOf(c.str(c.root, "http.port"), "5066")
		c.out.head.fields.set("http", fields{{name: "listen", value: listen}})
		c.done(c.root.at("http.enabled"))
	}
	notNeeded := []string{"logging", "path", "queue", "filebeat.registry_file", "filebeat.registry_flush",
		"filebeat.shutdown_timeout", "max_procs", "seccomp", "monitoring", "xpack", "name", "http", "instrumentation",
		"features", "shutdown_timeout", "timestamp", "filebeat.overwrite_pipelines"}
	c.skip(c.root.at("filebeat.registry"), "Longshore keeps positions in data_dir; import --positions takes the "+
		"registry over")
	for _, name := range notNeeded {
		c.skip(c.root.at(name), "Longshore needs no such setting; what it keeps is in data_dir")
	}
	c.skip(c.root.get("setup"), "Longshore installs a template of its own with install_template: true, and no "+
		"dashboards")
	for _, name := range []string{"filebeat.config.modules", "filebeat.config.inputs"} {
		c.left(c.root.at(name), "files with more inputs are not read; convert each by itself")
	}
}

func (c *conversion) filebeatOutputs() (outs []*section) {
	for _, kind := range []string{"elasticsearch", "console", "file"} {
		n := c.root.at("output." + kind)
		if n == nil || n.get("enabled").isFalse() {
			c.skip(n, "it is switched off")
			n = nil
		}
		if n == nil {
			continue
		}
		c.done(n.get("enabled"))
		typ := map[string]string{"console": "stdout"}[kind]
		s := c.out.add("outputs", kind, firstOf(typ, kind))
		c.beside(n, s)
		outs = append(outs, s)
		switch kind {
		case "elasticsearch":
			c.filebeatElastic(s, n)
		case "console":
			c.done(n)
		case "file":
			name := firstOf(c.str(n, "filename"), "filebeat")
			s.fields.set("path", strings.TrimSuffix(firstOf(c.str(n, "path"), "."), "/")+"/"+name)
			c.skip(n, "files are not rotated by Longshore; logrotate may do that")
		}
	}
	for _, kind := range []string{"logstash", "kafka", "redis", "elastic_cloud", "discard"} {
		if n := c.root.at("output." + kind); n != nil && !n.get("enabled").isFalse() {
			c.left(n, "Longshore sends to Loki, Elasticsearch, OpenSearch, VictoriaLogs, files and standard output")
		} else {
			c.skip(n, "it is switched off")
		}
	}
	return c.destinations(outs)
}

func (c *conversion) filebeatElastic(s *section, n *node) {
	scheme := firstOf(c.str(n, "protocol"), "http")
	path := strings.TrimSuffix(c.str(n, "path"), "/")
	var urls []string
	for _, host := range n.get("hosts").list() {
		address, user, password := c.address(host, s.name)
		if user != "" {
			s.fields.setIn("auth", "username", user)
			s.fields.setIn("auth", "password", password)
		}
		urls = append(urls, elasticURL(address, scheme)+path)
	}
	urls = append(urls, c.cloud(s)...)
	if len(urls) == 0 {
		urls = []string{"http://localhost:9200"}
	}
	s.fields.set("urls", urls)
	s.fields.set("index", c.elasticIndex(n))
	s.fields.set("schema", "ecs")
	s.fields.set("pipeline", c.str(n, "pipeline"))
	s.fields.set("api_key", c.secret(n.get("api_key"), s.name, "api_key"))
	s.fields.setIn("auth", "username", c.str(n, "username"))
	s.fields.setIn("auth", "password", c.secret(n.get("password"), s.name, "password"))
	c.filebeatTLS(s, n)
	s.fields.set("proxy", c.proxy(n.get("proxy_url"), s.name))
	c.headers(s, n.get("headers"))
	if timeout := n.get("timeout"); timeout != nil {
		s.fields.set("timeout", c.duration(timeout))
	}
	if level := n.get("compression_level"); level != nil {
		if level.text == "0" {
			s.fields.set("compression", "none")
		} else {
			s.fields.set("compression_level", c.number(level))
		}
		c.done(level)
	}
	if most := n.get("bulk_max_size"); most != nil {
		s.fields.setIn("batch", "max_records", c.number(most))
	}
	if workers := firstNode(n, "worker", "workers"); workers != nil {
		s.fields.set("concurrency", c.number(workers))
	}
	for _, name := range []string{"indices", "pipelines"} {
		c.left(n.get(name), "an output has one index; write {field} into it, or use an output for each with a "+
			"route transform")
	}
	for _, name := range []string{"loadbalance", "max_retries", "backoff.init", "backoff.max", "backoff", "preset",
		"escape_html", "ilm", "idle_connection_timeout", "allow_older_versions", "non_indexable_policy", "parameters"} {
		c.skip(n.get(name), "Longshore decides about this by itself, and drops nothing")
	}
}

// elasticURL completes a host as Filebeat does.
func elasticURL(host, scheme string) string {
	if !strings.Contains(host, "://") {
		host = scheme + "://" + host
	}
	at := strings.Index(host, "://") + 3
	authority, path, _ := strings.Cut(host[at:], "/")
	if !regexp.MustCompile(`:(\d+|\$\{[^}]*\})$`).MatchString(authority) && !strings.HasPrefix(authority, "${") {
		authority += ":9200"
	}
	if path != "" {
		authority += "/" + strings.TrimSuffix(path, "/")
	}
	return host[:at] + authority
}

// cloud returns the address that cloud.id stands for, and sets the user of cloud.auth.
func (c *conversion) cloud(s *section) []string {
	if auth := c.root.at("cloud.auth"); auth != nil {
		user, _, _ := strings.Cut(auth.text, ":")
		if !strings.Contains(user, "$") {
			s.fields.setIn("auth", "username", user)
			s.fields.setIn("auth", "password", c.hide(auth, s.name, "password"))
		} else {
			c.left(auth, "write auth.username and auth.password, with a variable each")
		}
	}
	id := c.root.at("cloud.id")
	if id == nil {
		return nil
	}
	_, encoded, _ := strings.Cut(id.text, ":")
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	parts := strings.Split(string(decoded), "$")
	if err != nil || len(parts) < 2 || !regexp.MustCompile(`^[A-Za-z0-9.:-]+$`).MatchString(parts[0]+parts[1]) {
		c.left(id, "write the address of Elasticsearch into urls")
		return nil
	}
	c.done(id)
	host, port, _ := strings.Cut(parts[0], ":")
	return []string{"https://" + parts[1] + "." + host + ":" + firstOf(port, "443")}
}

var beatDate = regexp.MustCompile(`%\{\+([yMdH.\-_]+)\}`)
var beatField = regexp.MustCompile(`%\{\[([^\]]+)\](:[^}]*)?\}`)

// elasticIndex converts the index.
func (c *conversion) elasticIndex(n *node) string {
	index := n.get("index")
	if index == nil {
		return "filebeat-{yyyy.MM.dd}"
	}
	c.done(index)
	text := beatDate.ReplaceAllString(index.text, "{$1}")
	known := map[string]string{"agent.version": "longshore", "beat.version": "longshore", "agent.name": "{host.name}",
		"beat.name": "{host.name}"}
	text = beatField.ReplaceAllStringFunc(text, func(ref string) string {
		name := beatField.FindStringSubmatch(ref)[1]
		return firstOf(known[name], template(beatName(name)))
	})
	return c.translate(text)
}

// beatName returns Longshore's name of a field of Filebeat's documents.
func beatName(name string) string {
	known := map[string]string{"log.file.path": "filename", "container.image.name": "container.image",
		"log.level":             "level",
		"docker.container.name": "container.name", "docker.container.id": "container.id", "source": "filename",
		"trace.id": "trace_id", "span.id": "span_id", "service.name": "service", "@timestamp": "timestamp"}
	return firstOf(known[name], name)
}

func (c *conversion) filebeatTLS(s *section, n *node) {
	get := func(name string) *node { return n.at("ssl." + name) }
	if list := get("certificate_authorities"); list != nil {
		if all := c.texts(list); len(all) == 1 && !strings.Contains(all[0], "\n") {
			s.fields.setIn("tls", "ca_file", all[0])
		} else {
			c.left(list, "put all authorities into one file, and name that as tls.ca_file")
		}
	}
	s.fields.setIn("tls", "ca_fingerprint", c.str(n, "ssl.ca_trusted_fingerprint"))
	s.fields.setIn("tls", "cert_file", c.str(n, "ssl.certificate"))
	s.fields.setIn("tls", "key_file", c.str(n, "ssl.key"))
	if mode := get("verification_mode"); mode != nil {
		if mode.text == "none" {
			s.fields.setIn("tls", "insecure_skip_verify", plain("true"))
		}
		c.done(mode)
	}
	c.done(get("enabled"))
	c.left(get("key_passphrase"), "keys with a password are not read; write the key without one")
	for _, name := range []string{"supported_protocols", "cipher_suites", "curve_types", "renegotiation"} {
		c.skip(get(name), "Go's own choice is taken")
	}
}

// filebeatInput converts an input. It returns nil where Longshore has none like it.
func (c *conversion) filebeatInput(n *node) *flow {
	if n.get("enabled").isFalse() {
		c.skip(n, "it is switched off")
		return nil
	}
	kind := firstOf(n.get("type").raw(), n.get("input_type").raw(), "log")
	f := c.newFlow(c.freeName(firstOf(n.get("id").raw(), kind)))
	switch kind {
	case "log", "filestream":
		c.filebeatFiles(f, n)
	case "container":
		c.filebeatFiles(f, n)
		f.unwrap("auto", nil)
		c.done(n.get("stream"))
		c.done(n.get("format"))
	case "docker":
		c.filebeatDocker(f, n)
	case "stdin":
		f.input(f.name, "stdin", n)
	default:
		if !c.filebeatHost(f, n, kind) {
			c.left(n, nothingElse)
			return nil
		}
	}
	for _, name := range []string{"type", "input_type", "id", "enabled"} {
		c.done(n.get(name))
	}
	f.filebeatLines(n)
	f.beatFields(n.get("fields"), n.get("fields_under_root").isTrue())
	for _, p := range n.get("processors").list() {
		f.processor(p)
	}
	c.done(n.get("processors"))
	c.done(n.get("fields_under_root"))
	c.left(n.get("tags"), "Longshore has no tags; give the input a label")
	for _, name := range []string{"index", "pipeline"} {
		c.left(n.get(name), "is a setting of the output here; write {field} into it, or use an output for each input")
	}
	for _, name := range []string{"close_inactive", "close_removed", "close_renamed", "close_eof", "close_timeout",
		"close",
		"clean_inactive", "clean_removed", "scan_frequency", "prospector", "harvester_buffer_size", "backoff",
		"max_backoff",
		"backoff_factor", "harvester_limit", "tail_files", "symlinks", "file_identity", "take_over", "fingerprint",
		"ignore_inactive", "publisher_pipeline", "keep_null", "scan", "message_max_bytes", "recursive_glob", "rotation",
		"legacy_clean_inactive", "allow_deprecated_use", "close.on_state_change.inactive",
		"close.reader.after_interval"} {
		c.skip(n.get(name), "files are found, known again and read to their end by themselves")
	}
	return f
}

func (c *conversion) filebeatFiles(f *flow, n *node) {
	in := f.input(f.name, "file", n)
	var paths []string
	for _, p := range c.texts(n.get("paths")) {
		paths = append(paths, alternatives(p)...)
	}
	in.fields.set("paths", paths)
	c.excludeFiles(in, firstNode(n, "exclude_files"))
	c.excludeFiles(in, n.at("prospector.scanner.exclude_files"))
	c.left(n.at("prospector.scanner.include_files"), "write paths that name only these files")
	if encoding := n.get("encoding"); encoding != nil {
		if encoding.text != "plain" {
			in.fields.set("encoding", strings.ToLower(c.text(encoding)))
		}
		c.done(encoding)
	}
	if age := n.get("ignore_older"); age != nil {
		in.fields.set("ignore_older", c.duration(age))
	}
	if size := firstNode(n, "max_bytes", "message_max_bytes"); size != nil {
		in.fields.set("max_line_size", c.size(size))
	}
	if n.get("tail_files").isTrue() || n.at("ignore_inactive").raw() == "since_first_start" {
		in.fields.set("read_from", "end")
	}
}

// fingerprints returns which part of a file Filebeat's fingerprints are of. It is not known where
// inputs differ in that.
func (c *conversion) fingerprints() (part Head, one bool) {
	for i, n := range c.root.at("filebeat.inputs").list() {
		of := Head{Size: defaultHead}
		const setting = "prospector.scanner.fingerprint."
		if v, err := strconv.ParseInt(n.at(setting+"offset").raw(), 10, 64); err == nil {
			of.Offset = v
		}
		if v, err := strconv.ParseInt(n.at(setting+"length").raw(), 10, 64); err == nil {
			of.Size = v
		}
		if i > 0 && of != part {
			return Head{}, false
		}
		part = of
	}
	return part, part.Size > 0
}

var gzipOnly = regexp.MustCompile(`^\(?\\?\.(gz|bz2|zip|zst)\)?\$$|^\(?\\?\.\(?(gz\|?|bz2\|?|zip\|?)+\)?\$$`)

// excludeFiles converts regular expressions of file names.
func (c *conversion) excludeFiles(in *section, list *node) {
	for _, item := range list.list() {
		switch simple := globOf(item.text); {
		case gzipOnly.MatchString(item.text):
			c.done(item)
			name := strings.Trim(item.text, `\$()`)
			in.fields.set("exclude", appended(in.fields, "exclude", []string{"*" + name}))
		case simple != "":
			c.done(item)
			in.fields.set("exclude", appended(in.fields, "exclude", []string{simple}))
		default:
			c.left(item, "a regular expression of file names; write globs of paths under exclude")
		}
	}
}

var simpleRegexp = regexp.MustCompile(`^(\^)?((?:[A-Za-z0-9_/-]|\\\.|\.\*)+)(\$)?$`)

// globOf returns the glob of a path or name that matches like a simple regular expression, or "".
func globOf(pattern string) string {
	m := simpleRegexp.FindStringSubmatch(pattern)
	if m == nil {
		return ""
	}
	body := strings.ReplaceAll(strings.ReplaceAll(m[2], ".*", "*"), `\.`, ".")
	if strings.Contains(body, "/") {
		if m[1] == "" || m[3] == "" {
			return ""
		}
		return body
	}
	if m[3] == "" {
		body += "*"
	}
	return "*" + body
}

// beatFields adds the fields of an input, or of all, to its records.
func (f *flow) beatFields(n *node, underRoot bool) {
	c := f.c
	for _, e := range n.maps() {
		name := e.name
		if !underRoot {
			name = "fields." + name
		}
		if e.value.kind != scalarKind {
			c.left(e.value, "only texts are added")
			continue
		}
		value, ok := literal(c.text(e.value))
		if !ok && !strings.Contains(value, "${") {
			c.left(e.value, "a value with { or } cannot be added")
			continue
		}
		if t := f.lastOf("add", n); !t.fields.sub("fields").has(name) {
			t.fields.setIn("fields", name, value)
		}
	}
}

// filebeatLines converts how lines are joined, read and chosen.
func (f *flow) filebeatLines(n *node) {
	c := f.c
	if m := n.get("multiline"); m != nil {
		f.beatMultiline(m)
	} else if n.has("multiline.pattern") || n.has("multiline.type") {
		m := &node{kind: mapKind, file: n.file, line: n.line}
		for _, e := range n.entries {
			if name, ok := strings.CutPrefix(e.name, "multiline."); ok {
				m.line = e.value.line
				m.entries = append(m.entries, entry{name, e.value})
			}
		}
		f.beatMultiline(m)
	}
	for _, p := range n.get("parsers").list() {
		for _, e := range p.maps() {
			switch e.name {
			case "multiline":
				f.beatMultiline(e.value)
			case "ndjson":
				f.beatJSON(e.value)
			case "container":
				f.unwrap("auto", e.value)
				c.done(e.value)
			case "syslog":
				f.parser("syslog", e.value)
				f.line = otherParser
				c.done(e.value)
			case "include_message":
				f.beatPatterns("keep", e.value.get("patterns"))
			default:
				c.left(e.value, "Longshore has no such parser")
			}
		}
	}
	if json := n.get("json"); json != nil {
		f.beatJSON(json)
	} else if n.has("json.keys_under_root") || n.has("json.message_key") || n.has("json.add_error_key") {
		for _, e := range n.entries {
			if strings.HasPrefix(e.name, "json.") {
				c.done(e.value)
			}
		}
		f.beatJSON(nil)
	}
	f.beatPatterns("drop", n.get("exclude_lines"))
	f.beatPatterns("keep", n.get("include_lines"))
}

func (f *flow) beatJSON(n *node) {
	if !f.isUnwrapped() {
		f.parser("json", n)
	}
	f.line = otherParser
	f.c.done(n)
}

func (f *flow) beatMultiline(n *node) {
	c := f.c
	if kind := n.get("type").raw(); kind == "count" || kind == "while_pattern" {
		c.left(n, "lines are joined by patterns of the first or the other lines, not by %s", kind)
		return
	}
	pattern := n.get("pattern")
	if !c.goRegexp(pattern) {
		return
	}
	negate, after := n.get("negate").isTrue(), firstOf(n.get("match").raw(), "after") == "after"
	s := c.out.add("parsers", f.name+"_multiline", "multiline")
	c.beside(n, s)
	switch {
	case negate && after:
		s.fields.set("start_pattern", c.text(pattern))
	case !negate && after:
		s.fields.set("continue_pattern", c.text(pattern))
	default:
		c.out.remove("parsers", s.name)
		n.near = nil
		c.left(n, "lines are joined to the one before them; match: before has no counterpart")
		return
	}
	f.parsers = append([]string{s.name}, f.parsers...)
	if lines := n.get("max_lines"); lines != nil {
		s.fields.set("max_lines", c.number(lines))
	}
	s.fields.set("timeout", plain("5s"))
	if wait := n.get("timeout"); wait != nil {
		s.fields.set("timeout", c.duration(wait))
	}
	for _, name := range []string{"type", "negate", "match"} {
		c.done(n.get(name))
	}
	c.left(n.get("flush_pattern"), "a record ends with the first line of the next one")
	f.wholeIfJoined()
}

// beatPatterns keeps or drops lines that match one of several regular expressions.
func (f *flow) beatPatterns(typ string, list *node) {
	c := f.c
	var conds []string
	for _, item := range list.list() {
		name, why := f.lineName()
		if f.isUnwrapped() {
			name, why = "message", ""
		}
		switch {
		case why != "":
			c.left(item, "%s", why)
		case c.goRegexp(item):
			c.done(item)
			conds = append(conds, matches(name, c.escape(item.text)))
		}
	}
	if len(conds) > 0 {
		f.transform(typ, list, strings.Join(conds, " or "))
	}
}

func (c *conversion) filebeatDocker(f *flow, n *node) {
	in := f.input(f.name, "docker", n)
	f.line = otherParser
	if ids := n.at("containers.ids"); ids != nil {
		if all := ids.list(); len(all) == 1 && all[0].text == "*" {
			c.done(ids)
		} else {
			c.left(ids, "containers are chosen by name, image, label, Compose project and service")
		}
	}
	c.done(n.at("containers.stream"))
	c.skip(n.at("containers.path"), "containers are found through the Docker socket")
	c.skip(n.at("combine_partial"), "long lines are put together by themselves")
	_ = in
}

// filebeatModules converts modules: the files they read.
func (c *conversion) filebeatModules(list *node) (flows []*flow) {
	paths := map[string][]string{
		"nginx.access": {"/var/log/nginx/access.log*"}, "nginx.error": {"/var/log/nginx/error.log*"},
		"apache.access": {"/var/log/apache2/access.log*"}, "apache.error": {"/var/log/apache2/error.log*"},
		"system.syslog": {"/var/log/messages*", "/var/log/syslog*"},
		"system.auth":   {"/var/log/auth.log*", "/var/log/secure*"},
		"mysql.error":   {"/var/log/mysql/error.log*"}, "postgresql.log": {"/var/log/postgresql/postgresql-*-*.log*"},
		"redis.log": {"/var/log/redis/redis-server.log*"},
	}
	for _, m := range list.list() {
		name := m.get("module").raw()
		c.done(m.get("module"))
		for _, set := range m.maps() {
			if set.name == "module" {
				continue
			}
			usual, known := paths[name+"."+set.name]
			if set.value.get("enabled").isFalse() {
				c.skip(set.value, "it is switched off")
				continue
			}
			given := c.texts(set.value.get("var.paths"))
			if !known && len(given) == 0 {
				c.left(set.value, "Longshore has no modules; write an input with the files' paths")
				continue
			}
			f := c.newFlow(c.freeName(name + "-" + set.name))
			in := f.input(f.name, "file", set.value)
			in.fields.set("paths", given)
			if len(given) == 0 {
				in.fields.set("paths", usual)
			}
			in.fields.set("exclude", []string{"*.gz"})
			c.done(set.value.get("enabled"))
			c.note(set.value, Differs, "the format is recognised by itself, and the fields have other names than "+
				"the module's")
			flows = append(flows, f)
		}
	}
	return flows
}

// autodiscover converts the discovery of containers.
func (c *conversion) autodiscover(n *node) (flows []*flow) {
	for _, p := range n.get("providers").list() {
		if p.get("type").raw() != "docker" {
			c.left(p, "Longshore discovers Docker's containers; pods' files are below /var/log/pods, see the cri "+
				"parser")
			continue
		}
		f := c.newFlow(c.freeName("docker"))
		in := f.input(f.name, "docker", p)
		f.line = otherParser
		c.done(p.get("type"))
		c.dockerEngine(in, &node{kind: mapKind, entries: namedEntries(p, "host")})
		for _, t := range p.get("templates").list() {
			c.beatTemplate(in, t)
		}
		if hints := p.at("hints.enabled"); hints.isTrue() {
			c.differs(hints, "all containers are read, and their formats recognised; instead of co.elastic.logs/… "+
				"they may have "+
				"the labels in docs/docker.md")
		}
		c.done(p.get("hints"))
		c.skip(p, "Longshore needs no such setting")
		flows = append(flows, f)
	}
	return flows
}

func namedEntries(n *node, names ...string) (all []entry) {
	for _, e := range n.maps() {
		if slices.Contains(names, e.name) {
			all = append(all, e)
		}
	}
	return all
}

// beatTemplate converts the condition of a template to a choice of containers.
func (c *conversion) beatTemplate(in *section, t *node) {
	cond := t.get("condition")
	chosen := false
	for _, op := range []string{"contains", "equals"} {
		for _, e := range cond.get(op).maps() {
			value := c.text(e.value)
			if op == "contains" {
				value = "*" + value + "*"
			}
			setting := map[string]string{"docker.container.image": "images", "container.image.name": "images",
				"docker.container.name": "names", "container.name": "names"}[e.name]
			label, isLabel := strings.CutPrefix(e.name, "docker.container.labels.")
			switch {
			case setting != "":
				in.fields.setIn("include", setting, appended(in.fields.sub("include"), setting, []string{value}))
				chosen = true
			case isLabel:
				in.fields.setIn("include", "labels",
					appended(in.fields.sub("include"), "labels", []string{dotted(label) + "=" + value}))
				chosen = true
			default:
				c.left(e.value, "containers are chosen by name, image and label")
			}
		}
	}
	if !chosen {
		c.left(t, "its condition is not converted; set include and exclude of the input")
		return
	}
	for _, cfg := range t.get("config").list() {
		c.done(cfg.get("type"))
		c.done(cfg.get("paths"))
		c.done(cfg.at("containers.ids"))
		c.done(cfg.get("containers"))
		c.done(cfg.get("containers.ids"))
		c.done(cfg.get("id"))
		c.left(cfg, "settings of one template are not converted: all containers of the input are read alike")
	}
}
