package importer

import (
	"regexp"
	"strings"
)

// processor converts a processor of Filebeat.
func (f *flow) processor(item *node) {
	c := f.c
	for _, e := range item.maps() {
		n := e.value
		cond, why := f.beatCondition(n.get("when"))
		if why != "" {
			c.left(n, "its condition is not converted: %s", why)
			continue
		}
		before := f.conds
		if cond != "" {
			f.conds = append(f.conds[:len(f.conds):len(f.conds)], cond)
		}
		f.beatProcessor(e.name, n, cond)
		f.conds = before
	}
}

func (f *flow) beatProcessor(kind string, n *node, cond string) {
	c := f.c
	switch kind {
	case "drop_event":
		if cond == "" {
			c.left(n, "drops everything, as it has no condition")
			return
		}
		f.transform("drop", n)
		c.done(n)
	case "drop_fields":
		t := f.transform("remove", n)
		t.fields.set("fields", f.beatNames(n.get("fields")))
		c.done(n.get("ignore_missing"))
	case "include_fields":
		t := f.transform("remove", n)
		t.fields.set("fields", []string{"*"})
		t.fields.set("except", f.beatNames(n.get("fields")))
	case "rename":
		f.beatRename(n)
	case "add_fields":
		f.beatAdd(n)
	case "add_labels":
		t := f.transform("add", n)
		for _, l := range n.get("labels").maps() {
			t.fields.setIn("fields", "labels."+l.name, c.text(l.value))
		}
	case "decode_json_fields":
		f.beatDecode(n)
	case "dissect":
		f.dissect(n)
	case "truncate_fields":
		t := f.transform("truncate", n)
		t.fields.set("fields", f.beatNames(n.get("fields")))
		if size := firstNode(n, "max_bytes", "max_characters"); size != nil {
			t.fields.set("max_size", c.size(size))
		}
		c.done(n)
	case "timestamp":
		f.timestampField(n, n.get("field"), n.get("timezone"))
	case "rate_limit":
		f.beatLimit(n)
	case "add_host_metadata", "add_docker_metadata", "add_cloud_metadata", "add_process_metadata", "add_locale",
		"add_observer_metadata", "add_id":
		c.skip(n, "host.name and what is known of a container are on every record; the rest of it Longshore does "+
			"not ask for")
	case "add_kubernetes_metadata":
		c.left(n, "Longshore does not ask Kubernetes; namespace, pod and container stand in a file's name")
	case "add_tags":
		c.left(n, "Longshore has no tags; an add transform adds a field")
	case "script":
		c.left(n, "programs are not run; see docs/transforms.md for what there is instead")
	default:
		c.left(n, "Longshore has no such processor; docs/transforms.md lists what there is")
	}
}

func (f *flow) beatNames(list *node) (names []string) {
	for _, item := range list.list() {
		names = append(names, f.c.translate(beatName(item.text)))
		f.c.done(item)
	}
	return names
}

func (f *flow) beatRename(n *node) {
	c := f.c
	t := f.transform("rename", n)
	for _, pair := range n.get("fields").list() {
		t.fields.setIn("fields", beatName(pair.get("from").raw()), c.str(pair, "to"))
		c.done(pair)
	}
	c.done(n)
}

func (f *flow) beatAdd(n *node) {
	c := f.c
	target := "fields"
	if n.has("target") {
		target = n.get("target").raw()
		c.done(n.get("target"))
	}
	t := f.transform("add", n)
	for _, e := range n.get("fields").maps() {
		name := e.name
		if target != "" {
			name = target + "." + name
		}
		value, ok := literal(c.text(e.value))
		if e.value.kind != scalarKind || !ok {
			c.left(e.value, "only texts without { and } are added")
			continue
		}
		t.fields.setIn("fields", name, value)
	}
}

func (f *flow) beatDecode(n *node) {
	c := f.c
	for _, field := range n.get("fields").list() {
		c.done(field)
		if field.text == "message" || field.text == "log" {
			if !f.isUnwrapped() {
				f.parser("json", n)
			}
			f.line = otherParser
			continue
		}
		f.parser("json", n).fields.set("field", field.text)
	}
	if target := n.get("target"); target.raw() != "" {
		c.note(target, Differs, "fields stand at the top of a record, not below %s", target.text)
	}
	c.done(n)
}

var dissectKey = regexp.MustCompile(`%\{([^}]*)\}`)

// dissect becomes a pattern.
func (f *flow) dissect(n *node) {
	c := f.c
	tokenizer := n.get("tokenizer").raw()
	bad := false
	pattern := dissectKey.ReplaceAllStringFunc(strings.ReplaceAll(tokenizer, "<", "<<"), func(key string) string {
		name := strings.TrimSuffix(key[2:len(key)-1], "->")
		name, _, _ = strings.Cut(name, "|")
		switch {
		case name == "" || name[0] == '?':
			return "<_>"
		case strings.ContainsAny(name[:1], "+&*") || strings.Contains(name, "/"):
			bad = true
		}
		f.known[name] = name
		return "<" + name + ">"
	})
	if bad || tokenizer == "" || len(f.conds) > 0 {
		c.left(n, "write a pattern parser: its fields look like <name>")
		return
	}
	p := f.parser("pattern", n)
	p.fields.set("pattern", c.translate(pattern))
	if field := firstOf(n.get("field").raw(), "message"); field != "message" || f.line == otherParser {
		p.fields.set("field", f.field(field))
	} else {
		f.line = otherParser
	}
	if prefix := n.get("target_prefix"); prefix == nil || prefix.text != "" {
		c.note(n, Differs, "fields stand at the top of a record, not below dissect")
	}
	c.done(n)
}

// timestampField takes a record's time from a field.
func (f *flow) timestampField(n, field, zone *node) {
	c := f.c
	known := f.field(field.raw())
	c.done(n)
	if zone.raw() != "" {
		f.setZone(c.text(zone))
	}
	if known == "timestamp" {
		return
	}
	p := f.parser("pattern", n)
	p.fields.set("field", known)
	p.fields.set("pattern", "<time>")
	if zone.raw() != "" {
		p.fields.set("timezone", c.text(zone))
	}
}

func (f *flow) beatLimit(n *node) {
	c := f.c
	amount, unit, _ := strings.Cut(n.get("limit").raw(), "/")
	per := map[string]string{"s": "", "m": "60", "h": "3600"}[unit]
	rate := amount
	if per != "" {
		rate = divided(amount, per)
	}
	t := f.transform("throttle", n)
	t.fields.set("rate", plain(scalar(rate)))
	if number.MatchString(rate) {
		t.fields.set("rate", plain(rate))
	}
	key := ""
	for _, name := range f.beatNames(n.get("fields")) {
		key += template(name) + " "
	}
	t.fields.set("key", firstOf(strings.TrimSpace(key), "all"))
	c.done(n)
}

// beatCondition returns the condition of a processor.
func (f *flow) beatCondition(n *node) (cond, why string) {
	if n == nil {
		return "", ""
	}
	var conds []string
	for _, e := range n.maps() {
		one, why := f.beatTest(e.name, e.value)
		if why != "" {
			return "", why
		}
		conds = append(conds, one)
	}
	n.mark(converted)
	if len(conds) == 0 {
		return "", "it is empty"
	}
	return allOf(conds), ""
}

func (f *flow) beatTest(op string, n *node) (cond, why string) {
	switch op {
	case "and", "or":
		var conds []string
		for _, item := range n.list() {
			one, why := f.beatCondition(item)
			if why != "" {
				return "", why
			}
			conds = append(conds, "("+one+")")
		}
		return strings.Join(conds, " "+op+" "), ""
	case "not":
		one, why := f.beatCondition(n)
		return "not (" + one + ")", why
	case "has_fields":
		var conds []string
		for _, name := range f.beatNames(n) {
			conds = append(conds, operand(name)+" != nil")
		}
		return strings.Join(conds, " and "), ""
	}
	var conds []string
	for _, e := range n.maps() {
		name := beatName(e.name)
		if name == "message" && f.line != otherParser {
			if name, why = f.lineName(); why != "" {
				return "", why
			}
		}
		one, why := f.beatCompare(op, name, e.value)
		if why != "" {
			return "", why
		}
		conds = append(conds, one)
	}
	return strings.Join(conds, " and "), ""
}

func (f *flow) beatCompare(op, name string, value *node) (cond, why string) {
	want := f.c.escape(value.raw())
	switch op {
	case "equals":
		if number.MatchString(want) {
			return operand(name) + " == " + want, ""
		}
		return compare(name, "==", want), ""
	case "contains":
		return operand(name) + " contains " + text(want), ""
	case "regexp":
		if _, err := regexp.Compile(value.raw()); err != nil {
			return "", "a regular expression in it is not in Go's (RE2) syntax"
		}
		return matches(name, want), ""
	case "range":
		signs := map[string]string{"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
		var conds []string
		for _, e := range value.maps() {
			if signs[e.name] == "" || !number.MatchString(e.value.text) {
				return "", "a range that is none of numbers"
			}
			conds = append(conds, operand(name)+" "+signs[e.name]+" "+e.value.text)
		}
		if len(conds) == 0 {
			return "", "a range without a limit"
		}
		return strings.Join(conds, " and "), ""
	}
	return "", "it has " + op
}
