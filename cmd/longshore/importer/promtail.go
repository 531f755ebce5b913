package importer

import (
	"maps"
	"slices"
	"strings"

	"github.com/longshore/longshore/pipeline"
)

// promtail converts a config of Promtail.
func (c *conversion) promtail() {
	c.general()
	clients := c.root.get("clients").list()
	if single := c.root.get("client"); single != nil {
		clients = append(clients, single)
	}
	var outs []*section
	external := map[string]string{}
	for i, client := range clients {
		name := "loki"
		if i > 0 || client.has("name") {
			name = firstOf(client.get("name").raw(), name)
		}
		s := c.lokiClient(name, client)
		outs = append(outs, s)
		for _, e := range client.get("external_labels").maps() {
			external[e.name] = c.text(e.value)
		}
	}
	c.scrapes(c.destinations(outs), external)
}

// destinations returns outputs, or standard output where none could be converted.
func (c *conversion) destinations(outs []*section) []*section {
	if len(outs) > 0 {
		return outs
	}
	s := c.out.add("outputs", "stdout", "stdout")
	c.here = s
	c.note(nil, Left, "no destination could be converted, so records go to standard output; put yours here")
	c.here = nil
	return []*section{s}
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// general converts what stands at the top of a config of Promtail.
func (c *conversion) general() {
	server := c.root.get("server")
	if port := server.get("http_listen_port"); port != nil && port.text != "0" && !server.get("disable").isTrue() {
		host := firstOf(c.str(server, "http_listen_address"), "127.0.0.1")
		c.out.head.fields.set("http", fields{{name: "listen", value: host + ":" + c.text(port)}})
		if !server.has("http_listen_address") {
			c.note(port, Differs, "Promtail listens on all addresses, Longshore only on this machine's own: for a "+
				"Prometheus "+
				"elsewhere set http.listen and http.token")
		}
	}
	c.skip(server, "Longshore has no such server: /metrics, /health and /ready are at http.listen")
	c.skip(c.root.get("positions"), "Longshore keeps positions in data_dir; import --positions takes Promtail's over")
	c.skip(c.root.get("target_config"), "files are found as soon as they appear")
	c.skip(c.root.get("options"), "Longshore has no such option")
	c.left(c.root.get("limits_config"), "Longshore reads no slower than its destinations take; the transform throttle "+
		"drops what is beyond a rate")
	c.left(c.root.get("tracing"), "Longshore does not trace itself")
	c.left(c.root.get("wal"), "Longshore reads sources again instead, and spools at an output's spool_size")
}

// lokiClient converts a client of Promtail to an output.
func (c *conversion) lokiClient(name string, n *node) *section {
	s := c.out.add("outputs", name, "loki")
	c.beside(n, s)
	address, user, password := c.address(n.get("url"), s.name)
	s.fields.set("url", address)
	s.fields.set("tenant_id", c.str(n, "tenant_id"))
	if user != "" {
		s.fields.setIn("auth", "username", user)
		s.fields.setIn("auth", "password", password)
	}
	c.httpClient(s, n)
	if n.has("timeout") {
		s.fields.set("timeout", c.duration(n.get("timeout")))
	}
	if wait := firstNode(n, "batchwait", "batch_wait"); wait != nil {
		c.skip(wait, "Longshore sends at once, and more at a time while a request is on its way")
	}
	if size := firstNode(n, "batchsize", "batch_size"); size != nil {
		s.fields.setIn("batch", "max_bytes", c.bytes(size))
	}
	c.retries(s, n)
	c.done(n.get("name"))
	c.skip(n.get("drop_rate_limited_batches"), "Longshore drops nothing that a destination will take later")
	c.skip(n.get("retry_on_http_429"), "Longshore tries again until the destination takes it")
	return s
}

// firstNode returns the first of several settings that is there.
func firstNode(n *node, names ...string) *node {
	for _, name := range names {
		if found := n.get(name); found != nil {
			return found
		}
	}
	return nil
}

// retries converts how failed requests are tried again.
func (c *conversion) retries(s *section, n *node) {
	from := n
	if below := n.get("backoff_config"); below != nil {
		from = below
	}
	if pause := firstNode(from, "min_period", "min_backoff_period"); pause != nil {
		s.fields.setIn("retry", "initial_backoff", c.duration(pause))
	}
	if pause := firstNode(from, "max_period", "max_backoff_period"); pause != nil {
		s.fields.setIn("retry", "max_backoff", c.duration(pause))
	}
	c.skip(firstNode(from, "max_retries", "max_backoff_retries"), "Longshore tries again without an end, and drops "+
		"nothing")
}

// bytes converts a size such as 1048576 or 1MB.
func (c *conversion) bytes(n *node) plain {
	if _, ok := n.number(); ok {
		return c.size(n)
	}
	return plain(scalar(c.text(n)))
}

// bytesOf reads a size such as 8kb.
func bytesOf(text string) (string, bool) {
	size, err := pipeline.ParseSize(text)
	if err != nil {
		return "", false
	}
	return itoa(int64(size)), true
}

// scrapes converts the scrape configs, each to a pipeline.
func (c *conversion) scrapes(outs []*section, external map[string]string) {
	var flows []*flow
	for _, scrape := range c.root.get("scrape_configs").list() {
		name := firstOf(scrape.get("job_name").raw(), "scrape")
		f := c.newFlow(c.freeName(name))
		c.done(scrape.get("job_name"))
		maps.Copy(f.static, external)
		for label := range external {
			f.labels[label] = template(label)
		}
		if c.scrape(f, scrape) {
			flows = append(flows, f)
		}
	}
	for _, f := range flows {
		for _, out := range outs {
			f.outputs = append(f.outputs, out.name)
		}
	}
	c.lokiLabels(outs, flows)
	for _, f := range flows {
		f.finish()
	}
}

// freeName returns a name for a pipeline.
func (c *conversion) freeName(name string) string {
	s := c.out.add("pipelines", name[:min(len(name), 32)], "")
	c.out.pipelines = slices.DeleteFunc(c.out.pipelines, func(p *section) bool { return p == s })
	taken := func(name string) bool {
		return slices.ContainsFunc(c.out.pipelines, func(p *section) bool { return p.name == name }) ||
			slices.Contains(c.names, name)
	}
	unique := s.name
	for i := 2; taken(unique); i++ {
		unique = s.name + "_" + itoa(int64(i))
	}
	c.names = append(c.names, unique)
	return unique
}

// scrape converts one scrape config. It reports false where nothing is read by it.
func (c *conversion) scrape(f *flow, n *node) bool {
	stages := stagesOf(n.get("pipeline_stages"))
	f.line = lineParserOf(stages)
	var docker *section
	told := false
	for _, e := range n.maps() {
		switch e.name {
		case "static_configs":
			c.staticConfigs(f, e.value)
		case "docker_sd_configs":
			docker = c.dockerDiscovery(f, e.value)
		case "kubernetes_sd_configs":
			c.pods(f, e.value)
		case "file_sd_configs":
			c.left(e.value, "Longshore reads no lists of targets; write their paths into the input")
		case "journal":
			c.promtailJournal(f, e.value)
		case "syslog":
			c.promtailSyslog(f, e.value)
		case "gelf", "kafka", "loki_push_api", "windows_events", "cloudflare", "gcplog",
			"heroku_drain", "azure_event_hubs", "consul_sd_configs", "consulagent_sd_configs":
			c.left(e.value, nothingElse)
			told = true
		}
	}
	if len(f.inputs) == 0 {
		if told {
			n.remark(left) // what cannot be read was said
			return false
		}
		c.left(n, "nothing of it can be read by Longshore")
		return false
	}
	for _, rule := range n.get("relabel_configs").list() {
		c.beside(rule, c.inputNamed(f.inputs[0]))
		f.relabel(rule, docker)
	}
	c.skip(n.get("decompression"), "compressed files are recognised and read by themselves")
	if encoding := n.get("encoding"); encoding != nil {
		value := strings.ToLower(c.text(encoding))
		for _, name := range f.inputs {
			c.inputNamed(name).fields.set("encoding", value)
		}
	}
	f.stages(stages)
	c.done(n.get("pipeline_stages"))
	c.staticLabels(f)
	return true
}

func (c *conversion) inputNamed(name string) *section {
	i := slices.IndexFunc(c.out.inputs, func(s *section) bool { return s.name == name })
	return c.out.inputs[i]
}

// staticLabels puts a flow's fixed labels on its inputs, beside their own.
func (c *conversion) staticLabels(f *flow) {
	for _, name := range f.inputs {
		in := c.inputNamed(name)
		for _, label := range slices.Sorted(maps.Keys(f.static)) {
			if below := in.fields.sub("labels"); !below.has(label) && f.labels[label] == template(label) {
				in.fields.setIn("labels", label, f.static[label])
			}
		}
	}
}

// staticConfigs converts lists of paths and their labels.
func (c *conversion) staticConfigs(f *flow, list *node) {
	values := map[string][]string{}
	for _, target := range list.list() {
		c.skip(target.get("targets"), "Promtail ignores it, too")
		labels := target.get("labels")
		path := labels.get("__path__")
		if path == nil {
			c.left(target, "has no __path__, so nothing is read by it")
			continue
		}
		in := f.input(firstOf(labels.get("job").raw(), f.name), "file", target)
		in.fields.set("paths", alternatives(c.text(path)))
		if exclude := labels.get("__path_exclude__"); exclude != nil {
			in.fields.set("exclude", alternatives(c.text(exclude)))
		}
		f.labels["filename"] = "{filename}"
		for _, e := range labels.maps() {
			if strings.HasPrefix(e.name, "__") {
				continue
			}
			value := c.text(e.value)
			in.fields.setIn("labels", e.name, value)
			values[e.name] = append(values[e.name], value)
			f.labels[e.name] = template(e.name)
			f.onInput[e.name] = true
		}
	}
	// A label that has one value for all files is known before any line comes.
	for name, all := range values {
		if len(all) == len(f.inputs) && !slices.ContainsFunc(all, func(v string) bool { return v != all[0] }) {
			f.static[name] = all[0]
		}
	}
}

// maxAlternatives bounds the paths that one becomes.
const maxAlternatives = 64

// alternatives writes a glob with {a,b} as several, as Longshore's have no braces.
func alternatives(glob string) []string {
	if strings.Count(glob, "{")*strings.Count(glob, ",") > maxAlternatives {
		return []string{glob}
	}
	return unbraced(glob)
}

func unbraced(glob string) []string {
	open := strings.Index(glob, "{")
	if open < 0 || open > 0 && glob[open-1] == '$' {
		return []string{glob}
	}
	end := strings.Index(glob[open:], "}")
	if end < 0 || !strings.Contains(glob[open:open+end], ",") {
		return []string{glob}
	}
	var all []string
	for part := range strings.SplitSeq(glob[open+1:open+end], ",") {
		all = append(all, unbraced(glob[:open]+strings.TrimSpace(part)+glob[open+end+1:])...)
		if len(all) > maxAlternatives {
			return []string{glob}
		}
	}
	return all
}

// dockerDiscovery converts the discovery of containers to an input.
func (c *conversion) dockerDiscovery(f *flow, list *node) *section {
	var first *section
	for _, n := range list.list() {
		in := f.input(f.name, "docker", n)
		first = firstSection(first, in)
		c.dockerEngine(in, n)
	}
	return first
}

func firstSection(a, b *section) *section {
	if a != nil {
		return a
	}
	return b
}

// dockerEngine converts where the engine is and which containers are asked for.
func (c *conversion) dockerEngine(in *section, n *node) {
	if host := c.str(n, "host"); host != "" && host != "unix:///var/run/docker.sock" {
		in.fields.set("host", strings.Replace(host, "http://", "tcp://", 1))
	}
	c.skip(n.get("refresh_interval"), "containers are followed as soon as the engine reports them")
	c.skip(n.get("port"), "not used for logs")
	c.skip(n.get("host_networking_host"), "not used for logs")
	c.skip(n.get("match_first_network"), "not used for logs")
	if tls := n.get("tls_config"); tls != nil {
		for _, name := range []string{"ca_file", "cert_file", "key_file"} {
			in.fields.setIn("tls", name, c.str(tls, name))
		}
	}
	filters := append(n.get("filters").list(), n.all("filter")...)
	for _, filter := range filters {
		c.dockerFilter(in, filter)
	}
	c.done(n)
}

func (c *conversion) dockerFilter(in *section, filter *node) {
	name := filter.get("name").raw()
	values := c.texts(filter.get("values"))
	switch name {
	case "label":
		in.fields.setIn("include", "labels", appended(in.fields.sub("include"), "labels", values))
	case "name":
		for i, v := range values {
			v = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(v, "^"), "/"), "$")
			if v == values[i] {
				v = "*" + v + "*" // the engine takes a part of the name
			}
			values[i] = v
		}
		in.fields.setIn("include", "names", appended(in.fields.sub("include"), "names", values))
	case "ancestor":
		in.fields.setIn("include", "images", appended(in.fields.sub("include"), "images", values))
	case "status":
		c.skip(filter, "all containers are followed, and those that have ended are read to their end")
		return
	default:
		c.left(filter, "Longshore chooses containers by name, image, label, Compose project and service")
		return
	}
	c.done(filter)
}

// pods converts the discovery of pods: their files are at known paths of each node.
func (c *conversion) pods(f *flow, list *node) {
	in := f.input(f.name, "file", list)
	in.fields.set("paths", []string{"/var/log/pods/*/*/*.log"})
	f.labels["filename"] = "{filename}"
	if f.line == noParser {
		f.line = otherParser
	}
	f.unwrap("cri", nil)
	c.differs(list, "Longshore does not ask Kubernetes: it reads the files of all pods of the node, whose "+
		"namespace, pod "+
		"and container stand in their filename")
}
