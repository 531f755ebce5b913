package importer

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/longshore/longshore/parsers/recognize"
)

// lineParser says what stands between a line and its record in a flow.
type lineParser uint8

const (
	noParser    lineParser = iota // the record's message may be the line itself
	exprParser                    // a regular expression, which can keep the whole line as the message
	otherParser                   // what the message is, the line says
)

// A flow is one way from sources to outputs, and becomes a pipeline.
type flow struct {
	c    *conversion
	name string
	tag  string // Fluent Bit's

	inputs, parsers, transforms, outputs []string
	own                                  []string // parsers that the source itself needs
	sourceLabels                         map[string]string

	// known are what stages have taken out of a line, by their names: the name that the record has
	// it under.
	known map[string]string
	// labels are those of Loki, by name: templates of their values.
	labels map[string]string
	// static are labels with one value, which are the inputs' labels.
	static map[string]string
	// onInput are labels that the inputs have, with different values.
	onInput map[string]bool

	batch     *node // the Collector's size of a batch
	line      lineParser
	wholeLine bool       // conditions need the line as the message
	exprs     []*section // regex parsers that may have to keep it
	conds     []string   // what holds for the stages being converted
	json      string     // why lines are not sent as they are, or ""
}

func (c *conversion) newFlow(name string) *flow {
	return &flow{c: c, name: name, known: map[string]string{}, labels: map[string]string{}, static: map[string]string{},
		onInput: map[string]bool{}}
}

// input adds an input, whose notes stand beside it.
func (f *flow) input(name, typ string, from *node) *section {
	s := f.c.out.add("inputs", name, typ)
	f.inputs = append(f.inputs, s.name)
	f.c.beside(from, s)
	return s
}

// parser adds a parser.
func (f *flow) parser(typ string, from *node) *section {
	s := f.c.out.add("parsers", f.name+"_"+typ, typ)
	f.parsers = append(f.parsers, s.name)
	f.c.beside(from, s)
	return s
}

// transform adds a transform for what holds at this place.
func (f *flow) transform(typ string, from *node, conds ...string) *section {
	s := f.c.out.add("transforms", f.name+"_"+typ, typ)
	f.transforms = append(f.transforms, s.name)
	f.c.beside(from, s)
	if all := append(slices.Clone(f.conds), conds...); len(all) > 0 {
		s.fields.set("if", allOf(all))
	}
	return s
}

// allOf joins conditions that all must hold.
func allOf(conds []string) string {
	if len(conds) == 1 {
		return conds[0]
	}
	var parts []string
	for _, c := range conds {
		if strings.Contains(c, " or ") {
			c = "(" + c + ")"
		}
		parts = append(parts, c)
	}
	return strings.Join(parts, " and ")
}

// lineName returns the name by which a condition finds the whole line, or why there is none.
func (f *flow) lineName() (string, string) {
	if f.line == otherParser {
		return "", "it looks at the whole line, and here a record has the line's parts; write a condition on its " +
			"message or a field"
	}
	f.wholeLine = true
	return "message", ""
}

// finish adds the pipeline.
func (f *flow) finish() {
	if f.wholeLine && f.line == noParser {
		s := f.c.out.add("parsers", f.name+"_line", "pattern")
		s.fields.set("pattern", "<message>")
		s.comments = append(s.comments, "The message is the whole line, or all lines that were joined, as it is.")
		f.parsers = append(f.parsers, s.name)
	}
	if f.wholeLine {
		for _, s := range f.exprs {
			keepLine(s)
		}
	}
	if len(f.outputs) == 0 {
		f.c.nowhere(f)
		return
	}
	p := &section{name: f.name}
	f.c.out.pipelines = append(f.c.out.pipelines, p)
	p.fields.set("inputs", f.inputs)
	p.fields.set("parsers", f.parsers)
	p.fields.set("transforms", f.transforms)
	p.fields.set("outputs", f.outputs)
}

// nowhere tells that what a flow reads goes to no output.
func (c *conversion) nowhere(f *flow) {
	for _, name := range f.inputs {
		in := c.inputNamed(name)
		if n := c.origin(in); n != nil {
			n.near, in.comments = nil, nil
			c.left(n, "no destination that was converted takes what it reads")
		}
	}
}

// keepLine makes the whole line the message of what a regex parser understands.
func keepLine(s *section) {
	pattern := s.fields.text("pattern")
	re, err := regexp.Compile(untranslated(pattern))
	if err != nil {
		return
	}
	for _, name := range re.SubexpNames() {
		if recognize.NameOf(name) == "message" {
			return
		}
	}
	s.fields.set("pattern", `(?s)^(?P<message>.*?(?:`+pattern+`).*)$`)
}

// untranslated undoes translate for text without references.
func untranslated(text string) string { return strings.ReplaceAll(text, "$${", "${") }

var (
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)
	reserved   = []string{"in", "not", "and", "or", "let", "nil", "true", "false", "matches", "contains", "startsWith",
		"endsWith", "if", "else", "map", "filter", "all", "any", "one", "none", "count", "len", "type", "labels",
		"fields"}
	sourceLabels = []string{"host.name", "filename", "stream", "container.id", "container.name", "container.image",
		"compose.project", "compose.service"}
)

// operand returns a name of a record for a condition.
func operand(name string) string {
	switch {
	case strings.HasPrefix(name, `labels["`):
		return name // an input's own label
	case slices.Contains(sourceLabels, name):
		return labelOperand(name)
	case identifier.MatchString(name) && !slices.Contains(reserved, strings.Split(name, ".")[0]):
		return name
	}
	return "fields[" + text(name) + "]"
}

// text writes a text for a condition.
func text(s string) string { return strconv.Quote(s) }

// matches returns a condition that a name matches a regular expression, written for the config.
func matches(name, pattern string) string {
	if name == "level" {
		pattern = "(?i)" + pattern // levels are in lower case here
	}
	return operand(name) + " matches " + text(pattern)
}

// compare returns a condition that a name has a value.
func compare(name, op, value string) string {
	if name == "level" {
		value = levelOf(value)
	}
	return operand(name) + " " + op + " " + text(value)
}

// levelOf returns Longshore's name of a level.
func levelOf(word string) string {
	switch w := strings.ToLower(word); w {
	case "warning":
		return "warn"
	case "err":
		return "error"
	case "critical", "crit", "emerg", "alert", "panic":
		return "fatal"
	case "information", "informational", "notice":
		return "info"
	case "verbose":
		return "debug"
	default:
		return w
	}
}

// labelOperand is how conditions name a label of a source.
func labelOperand(name string) string { return `labels["` + name + `"]` }

// template returns the template that stands for a record's name.
func template(name string) string {
	if label, ok := strings.CutPrefix(name, `labels["`); ok {
		name = strings.TrimSuffix(label, `"]`)
	}
	return "{" + name + "}"
}

// literal returns a text for a template, or false where it has braces, which templates cannot.
func literal(s string) (string, bool) {
	return s, !strings.ContainsAny(s, "{}") || oneRef.MatchString(s)
}

// field returns the record's name of what a stage has taken out under a name.
func (f *flow) field(name string) string {
	if known, ok := f.known[name]; ok {
		return known
	}
	return recognize.NameOf(name)
}

// regex adds a regex parser, or tells why that cannot be.
func (f *flow) regex(n *node, field string) *section {
	if n == nil {
		return nil
	}
	n.text = withoutSlashes(n.text)
	pattern := f.c.text(n)
	re, err := regexp.Compile(n.text)
	if err != nil {
		f.c.left(n, "the regular expression is not in Go's (RE2) syntax: %v; rewrite it without look-around and "+
			"back-references", err)
		return nil
	}
	named := false
	for _, group := range re.SubexpNames() {
		if group != "" {
			f.known[group] = recognize.NameOf(group)
			named = true
		}
	}
	if !named {
		f.c.left(n, "the regular expression has no named group, so nothing would become a field; name one like "+
			"(?P<message>.*)")
		return nil
	}
	s := f.parser("regex", n)
	s.fields.set("pattern", pattern)
	s.fields.set("field", field)
	if field == "" {
		f.exprs = append(f.exprs, s)
	}
	return s
}

var slashed = regexp.MustCompile(`(?s)^/(.*)/([imx]*)$`)

// withoutSlashes writes /pattern/flags, as in Ruby, as Go does: m is that . takes line ends, too.
func withoutSlashes(text string) string {
	m := slashed.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	flags := strings.NewReplacer("m", "s", "x", "").Replace(m[2])
	if flags != "" {
		return "(?" + flags + ")" + m[1]
	}
	return m[1]
}

// goRegexp reports whether a text is a regular expression here, and tells where it is none.
func (c *conversion) goRegexp(n *node) bool {
	if n == nil {
		return false
	}
	n.text = withoutSlashes(n.text)
	if _, err := regexp.Compile(n.raw()); err != nil {
		c.left(n, "the regular expression is not in Go's (RE2) syntax: %v; rewrite it without look-around and "+
			"back-references", err)
		return false
	}
	return true
}

// duration writes a duration for Longshore: without fractions of what it prints.
func (c *conversion) duration(n *node) plain {
	value := c.text(n)
	if number.MatchString(value) {
		value += "s"
	}
	return plain(scalar(strings.ReplaceAll(value, "m0s", "m")))
}

// number writes a number as it is.
func (c *conversion) number(n *node) plain {
	if value := c.text(n); number.MatchString(value) {
		return plain(value)
	}
	return plain(scalar(c.text(n)))
}

// size writes a number of bytes.
func (c *conversion) size(n *node) plain {
	v, ok := n.number()
	c.done(n)
	switch {
	case !ok:
		return plain(scalar(c.text(n)))
	case v > 0 && v%(1<<20) == 0:
		return plain(fmt.Sprintf("%dMiB", v>>20))
	case v > 0 && v%(1<<10) == 0:
		return plain(fmt.Sprintf("%dKiB", v>>10))
	}
	return plain(fmt.Sprintf("%d", v))
}
