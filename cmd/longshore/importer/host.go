package importer

import (
	"net"
	"strings"
)

// nothingElse is said of inputs that Longshore has none like.
const nothingElse = "Longshore reads files, containers, syslog, the journal, commands and standard input, and " +
	"nothing else"

// listens adds addresses of a syslog input.
func (s *section) listens(addresses ...string) {
	var all []string
	for _, f := range s.fields {
		if before, ok := f.value.([]string); ok && f.name == "listen" {
			all = before
		}
	}
	s.fields.set("listen", append(all, addresses...))
}

// syslogAt returns an address of syslog. What has no host is at all of them.
func syslogAt(over, address, port string) string {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		host, p = address, port
	}
	return over + "://" + net.JoinHostPort(strings.Trim(host, "[]"), p)
}

// leftTLS tells that a server's TLS is to be written by hand, as its files are looked at when the
// config is read. Senders that want TLS refuse what is there until then.
func (c *conversion) leftTLS(n *node) {
	if n == nil {
		return
	}
	if n.get("enabled").isFalse() || n.isFalse() {
		c.done(n)
		return
	}
	c.left(n, "write the files into tls.cert_file, tls.key_file and tls.client_ca_file, and tls:// for tcp:// in "+
		"listen")
}

// vectorHost converts sources of syslog, the journal and commands; nil for others.
func (c *conversion) vectorHost(f *flow, name string, n *node) *section {
	switch n.get("type").raw() {
	case "syslog":
		in := f.input(name, "syslog", n)
		mode := firstOf(c.str(n, "mode"), "tcp")
		c.leftTLS(n.get("tls"))
		if mode == "unix" {
			in.listens("unix://" + c.str(n, "path"))
		} else {
			in.listens(syslogAt(mode, c.str(n, "address"), "514"))
		}
		if size := n.get("max_length"); size != nil {
			in.fields.set("max_message_size", c.size(size))
		}
		if most := n.get("connection_limit"); most != nil {
			in.fields.set("max_connections", c.number(most))
		}
		return in
	case "journald":
		in := f.input(name, "journald", n)
		in.fields.set("units", unitNames(c.texts(firstNode(n, "include_units", "units"))))
		in.fields.set("exclude_units", unitNames(c.texts(n.get("exclude_units"))))
		if dir := n.get("journal_directory"); dir != nil {
			in.fields.set("paths", []string{c.text(dir)})
		}
		if n.get("since_now").isTrue() {
			in.fields.set("read_from", "end")
		}
		c.done(n.get("since_now"))
		c.skip(n.get("current_boot_only"), "entries of all boots are read, from since on")
		for _, name := range []string{"journalctl_path", "batch_size", "emit_cursor"} {
			c.skip(n.get(name), "Longshore reads the journal's files by itself")
		}
		return in
	case "exec":
		in := f.input(name, "exec", n)
		in.fields.set("command", c.texts(n.get("command")))
		if n.get("mode").raw() == "scheduled" {
			in.fields.set("interval", plain(firstOf(c.str(n, "scheduled.exec_interval_secs"), "60")+"s"))
		}
		if n.get("include_stderr").isFalse() {
			in.fields.set("stderr", "discard")
		}
		in.fields.set("working_directory", c.str(n, "working_directory"))
		for _, name := range []string{"mode", "include_stderr"} {
			c.done(n.get(name))
		}
		c.skip(n.get("streaming"), "a command that ends is started again, after a pause that grows")
		return in
	}
	return nil
}

// unitNames are names of units, of which some tools leave out .service.
func unitNames(names []string) (all []string) {
	for _, name := range names {
		if !strings.ContainsAny(name, ".*") {
			name += ".service"
		}
		all = append(all, name)
	}
	return all
}

// fluentHost converts inputs of syslog, the journal and commands, and reports whether it was one.
func (c *conversion) fluentHost(f *flow, n *node, kind string) bool {
	switch kind {
	case "syslog":
		in := f.input(f.name, "syslog", n)
		mode := firstOf(strings.ToLower(c.str(n, "mode")), "unix_udp")
		listen, port := firstOf(c.str(n, "listen"), "0.0.0.0"), firstOf(c.str(n, "port"), "5140")
		switch mode {
		case "tcp", "udp":
			c.leftTLS(n.get("tls"))
			in.listens(syslogAt(mode, listen, port))
		default:
			in.listens("unix://" + firstOf(c.str(n, "path"), "/var/run/longshore-syslog.sock"))
			if mode == "unix_tcp" {
				c.differs(n.get("mode"), "Longshore's Unix socket takes datagrams")
			}
		}
		c.skip(n.get("parser"), "the parser auto reads both formats of syslog")
		for _, name := range []string{"buffer_chunk_size", "buffer_max_size", "receive_buffer_size", "unix_perm",
			"raw_message_key", "source_address_key"} {
			c.skip(n.get(name), "Longshore needs no such setting, or decides by itself")
		}
		return true
	case "systemd":
		c.fluentSystemd(f, n)
		return true
	case "exec":
		in := f.input(f.name, "exec", n)
		in.fields.set("command", []string{"sh", "-c", c.str(n, "command")})
		in.fields.set("interval", plain(firstOf(c.str(n, "interval_sec"), "1")+"s"))
		c.skip(n.get("interval_nsec"), "the interval is in whole seconds here")
		c.left(n.get("oneshot"), "a command is run again at each interval")
		c.skip(n.get("buf_size"), "Longshore needs no such setting")
		c.fluentParser(f, n.get("parser"), "")
		return true
	}
	return false
}

func (c *conversion) fluentSystemd(f *flow, n *node) {
	in := f.input(f.name, "journald", n)
	if path := n.get("path"); path != nil {
		in.fields.set("paths", []string{c.text(path)})
	}
	var units, identifiers []string
	for _, filter := range n.all("systemd_filter") {
		for _, one := range filter.list() {
			switch name, value, _ := strings.Cut(one.text, "="); name {
			case "_SYSTEMD_UNIT":
				units = append(units, value)
				c.done(one)
			case "SYSLOG_IDENTIFIER":
				identifiers = append(identifiers, value)
				c.done(one)
			default:
				c.left(one, "only units and identifiers choose entries; a transform (keep) chooses by anything else")
			}
		}
	}
	in.fields.set("units", units)
	in.fields.set("identifiers", identifiers)
	if n.get("read_from_tail").isTrue() || n.get("read_from_tail").raw() == "on" {
		in.fields.set("read_from", "end")
	}
	c.done(n.get("read_from_tail"))
	for _, name := range []string{"db", "db.sync", "max_fields", "max_entries", "strip_underscores", "lowercase",
		"systemd_filter_type", "mem_buf_limit", "storage.type"} {
		c.skip(n.get(name), "Longshore needs no such setting: positions are in data_dir, names in small letters")
	}
}

// promtailSyslog converts a scrape of syslog.
func (c *conversion) promtailSyslog(f *flow, n *node) {
	in := f.input(f.name, "syslog", n)
	c.leftTLS(n.get("tls_config"))
	protocol := firstOf(strings.ToLower(c.str(n, "listen_protocol")), "tcp")
	in.listens(syslogAt(protocol, c.str(n, "listen_address"), "514"))
	if timeout := n.get("idle_timeout"); timeout != nil {
		in.fields.set("idle_timeout", c.duration(timeout))
	}
	if size := n.get("max_message_length"); size != nil {
		in.fields.set("max_message_size", c.bytes(size))
	}
	f.scrapeLabels(n.get("labels"))
	for _, name := range []string{"label_structured_data", "use_incoming_timestamp", "use_rfc5424_message",
		"syslog_format"} {
		c.skip(n.get(name), "the parser auto reads both formats, with their times and structured data")
	}
}

// promtailJournal converts a scrape of the journal.
func (c *conversion) promtailJournal(f *flow, n *node) {
	in := f.input(f.name, "journald", n)
	if len(n.maps()) == 0 {
		c.done(n)
	}
	if path := n.get("path"); path != nil {
		in.fields.set("paths", []string{c.text(path)})
	}
	in.fields.set("since", plain("7h"))
	if age := n.get("max_age"); age != nil {
		in.fields.set("since", c.duration(age))
	}
	c.skip(n.get("json"), "the whole entry is a record; line_format of the Loki output says how it is written")
	f.scrapeLabels(n.get("labels"))
}

// scrapeLabels puts labels on all that a flow reads.
func (f *flow) scrapeLabels(labels *node) {
	for _, e := range labels.maps() {
		f.static[e.name] = f.c.text(e.value)
		f.labels[e.name] = template(e.name)
	}
}

// hostMeta are the labels that Promtail gives to entries of the journal and to messages of syslog,
// and what Longshore calls them.
var hostMeta = map[string]string{
	"__journal__systemd_unit": "unit", "__journal_syslog_identifier": "identifier", "__journal__hostname": "hostname",
	"__journal_priority_keyword": "level", "__journal__transport": "transport",
	"__syslog_message_hostname": "hostname", "__syslog_message_severity": "level",
	"__syslog_message_facility": "facility", "__syslog_message_app_name": "service",
	"__syslog_connection_ip_address": "host.name",
}

// filebeatHost converts inputs of syslog and the journal, and reports whether it was one.
func (c *conversion) filebeatHost(f *flow, n *node, kind string) bool {
	switch kind {
	case "syslog":
		in := f.input(f.name, "syslog", n)
		for _, protocol := range []string{"tcp", "udp"} {
			p := n.at("protocol." + protocol)
			if p == nil {
				continue
			}
			c.leftTLS(p.get("ssl"))
			in.listens(syslogAt(protocol, c.str(p, "host"), "514"))
			if size := p.get("max_message_size"); size != nil {
				in.fields.set("max_message_size", c.bytes(size))
			}
			c.skip(p.get("framing"), "each frame says for itself which kind it is")
			c.skip(p.get("timeout"), "connections that are silent stay for idle_timeout")
		}
		c.skip(n.get("format"), "the parser auto reads both formats")
		return true
	case "journald":
		in := f.input(f.name, "journald", n)
		in.fields.set("paths", c.texts(n.get("paths")))
		in.fields.set("units", unitNames(c.texts(n.get("units"))))
		in.fields.set("identifiers", c.texts(n.get("syslog_identifiers")))
		if n.get("seek").raw() == "tail" {
			in.fields.set("read_from", "end")
		}
		c.done(n.get("seek"))
		if since := n.get("since"); since != nil {
			c.left(since, "write since: as a time span without a sign")
		}
		return true
	}
	return false
}

// otelHost converts receivers of syslog and the journal, and reports whether it was one.
func (c *conversion) otelHost(f *flow, kind, name string, n *node) bool {
	name = strings.ReplaceAll(name, "/", "-")
	switch kind {
	case "syslog":
		in := f.input(name, "syslog", n)
		if tcp := n.get("tcp"); tcp != nil {
			c.leftTLS(tcp.get("tls"))
			in.listens(syslogAt("tcp", c.str(tcp, "listen_address"), "514"))
			if size := tcp.get("max_log_size"); size != nil {
				in.fields.set("max_message_size", c.bytes(size))
			}
		}
		if udp := n.get("udp"); udp != nil {
			in.listens(syslogAt("udp", c.str(udp, "listen_address"), "514"))
		}
		for _, name := range []string{"protocol", "enable_octet_counting", "non_transparent_framing_trailer",
			"allow_skip_pri_header", "max_octets"} {
			c.skip(n.get(name), "the parser auto reads both formats, and each frame says which kind it is")
		}
		if location := n.get("location"); location != nil {
			c.left(location, "set timezone of the parser")
		}
	case "journald":
		in := f.input(name, "journald", n)
		if dir := n.get("directory"); dir != nil {
			in.fields.set("paths", []string{c.text(dir)})
		}
		in.fields.set("units", unitNames(c.texts(n.get("units"))))
		in.fields.set("identifiers", c.texts(n.get("identifiers")))
		in.fields.set("priority", c.str(n, "priority"))
		if n.get("start_at").raw() != "beginning" {
			in.fields.set("read_from", "end") // the Collector's default
		}
		c.done(n.get("start_at"))
		c.skip(n.get("storage"), "Longshore keeps positions in data_dir")
	default:
		return false
	}
	return true
}
