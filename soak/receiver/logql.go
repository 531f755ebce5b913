package receiver

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"
)

// A matcher chooses streams by one label, as LogQL does: a label that a stream
// has not got is empty, and a pattern must match all of it.
type matcher struct {
	name, op, value string
	pattern         *regexp.Regexp // for =~ and !~
}

func (m *matcher) matches(labels []label) bool {
	value := ""
	for _, l := range labels {
		if l.name == m.name {
			value = l.value
		}
	}
	switch m.op {
	case "=":
		return value == m.value
	case "!=":
		return value != m.value
	case "=~":
		return m.pattern.MatchString(value)
	}
	return !m.pattern.MatchString(value)
}

type selector []matcher

func (s selector) matches(labels []label) bool {
	return !slices.ContainsFunc(s, func(m matcher) bool { return !m.matches(labels) })
}

// A count is count_over_time(selector[span]), summed up or for each stream.
type count struct {
	selector selector
	stages   stages
	span     time.Duration
	sum      bool
	by       []string // of a sum
}

// A reading parses LogQL, as far as it is known here.
type reading struct{ rest string }

func (p *reading) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

func (p *reading) take(word string) bool {
	p.space()
	after, ok := strings.CutPrefix(p.rest, word)
	if ok {
		p.rest = after
	}
	return ok
}

func (p *reading) expect(word string) error {
	if p.take(word) {
		return nil
	}
	return fmt.Errorf("parse error : syntax error: unexpected %.20q, expecting %q", p.rest, word)
}

func (p *reading) end() error {
	p.space()
	if p.rest != "" {
		return fmt.Errorf("parse error : syntax error: unexpected %.20q", p.rest)
	}
	return nil
}

var word = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:.]*`)

func (p *reading) name() (string, error) {
	p.space()
	name := word.FindString(p.rest)
	if name == "" {
		return "", fmt.Errorf("parse error : syntax error: unexpected %.20q, expecting a name", p.rest)
	}
	p.rest = p.rest[len(name):]
	return name, nil
}

func (p *reading) quoted() (string, error) {
	p.space()
	text, err := strconv.QuotedPrefix(p.rest)
	if err != nil || text[0] == '\'' {
		return "", fmt.Errorf("parse error : syntax error: unexpected %.20q, expecting a string", p.rest)
	}
	p.rest = p.rest[len(text):]
	return strconv.Unquote(text)
}

// selector reads {a="b", c=~"d.*"}.
func (p *reading) selector() (selector, error) {
	if err := p.expect("{"); err != nil {
		return nil, err
	}
	var s selector
	for !p.take("}") {
		if len(s) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.take("}") {
				break
			}
		}
		m, err := p.matcher()
		if err != nil {
			return nil, err
		}
		s = append(s, m)
	}
	return s, nil
}

func (p *reading) matcher() (m matcher, err error) {
	if m.name, err = p.name(); err != nil {
		return m, err
	}
	for _, op := range [...]string{"=~", "!~", "!=", "="} {
		if p.take(op) {
			m.op = op
			break
		}
	}
	if m.op == "" {
		return m, fmt.Errorf("parse error : syntax error: unexpected %.20q, expecting an operator", p.rest)
	}
	if m.value, err = p.quoted(); err != nil {
		return m, err
	}
	if strings.HasSuffix(m.op, "~") {
		m.pattern, err = regexp.Compile("^(?s:" + m.value + ")$")
	}
	return m, err
}

// parseLabels reads the labels of a stream.
func parseLabels(text string) ([]label, error) {
	p := &reading{text}
	s, err := p.selector()
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, err
	}
	var labels []label
	for _, m := range s {
		if m.op != "=" {
			return nil, fmt.Errorf("%s is no label", m.op)
		}
		if strings.ContainsRune(m.value, utf8.RuneError) {
			return nil, errors.New("parse error: invalid UTF-8 rune")
		}
		labels = append(labels, label{m.name, m.value})
	}
	slices.SortFunc(labels, func(a, b label) int { return strings.Compare(a.name, b.name) })
	return labels, nil
}

// stages keep some of the entries: by a label, structured metadata or, behind json, a field of the
// line.
type stages []matcher

// stages reads | json | a="b". more says that another | follows, with something else behind it.
func (p *reading) stages(s *stages) (more bool, err error) {
	for p.take("|") {
		behind := p.rest
		name, err := p.name()
		switch {
		case err != nil || name == "line_format":
			p.rest = behind
			return true, nil
		case name == "json":
			continue
		}
		p.rest = behind
		m, err := p.matcher()
		if err != nil {
			return false, err
		}
		*s = append(*s, m)
	}
	return false, nil
}

// keep reports whether all stages keep an entry of a stream.
func (s stages) keep(e *entry, st *stream) bool {
	if len(s) == 0 {
		return true
	}
	labels := slices.Concat(st.labels, e.metadata)
	var fields map[string]any
	if json.Unmarshal(e.line, &fields) == nil {
		for name, value := range fields {
			labels = append(labels, label{name, fmt.Sprint(value)})
		}
	}
	return selector(s).matches(labels)
}

// count counts the entries that all stages keep.
func (s stages) count(refs []ref, st *stream) (n int, err error) {
	if len(s) == 0 {
		return len(refs), nil
	}
	for i := range refs {
		e, err := refs[i].read()
		if err != nil {
			return 0, err
		}
		if s.keep(&e, st) {
			n++
		}
	}
	return n, nil
}

// A logQuery is a selector, and what is to be made of the lines.
type logQuery struct {
	selector selector
	stages   stages
	format   *template.Template // nil for the lines as they are
}

// parseLogQuery reads {a="b"} or {a="b"} | line_format `…`.
func parseLogQuery(text string) (q logQuery, err error) {
	p := &reading{text}
	if q.selector, err = p.selector(); err != nil {
		return q, err
	}
	more, err := p.stages(&q.stages)
	if err != nil {
		return q, err
	}
	if more {
		if err := p.expect("line_format"); err != nil {
			return q, err
		}
		format, err := p.quoted()
		if err != nil {
			return q, err
		}
		line := template.FuncMap{"__line__": func() string { return "" }}
		if q.format, err = template.New("line").Funcs(line).Parse(format); err != nil {
			return q, fmt.Errorf("parse error : invalid line template: %w", err)
		}
	}
	return q, q.selector.check(p.end())
}

// apply makes of a line what the query wants.
func (q *logQuery) apply(line []byte) ([]byte, error) {
	if q.format == nil {
		return line, nil
	}
	var made bytes.Buffer
	err := q.format.Funcs(template.FuncMap{"__line__": func() string { return string(line) }}).Execute(&made, nil)
	return made.Bytes(), err
}

// check refuses a selector that would match all there is, as Loki does.
func (s selector) check(err error) error {
	if err != nil {
		return err
	}
	for _, m := range s {
		if m.op == "=" && m.value != "" || m.op == "=~" && !m.pattern.MatchString("") {
			return nil
		}
	}
	return fmt.Errorf("parse error : queries require at least one regexp or equality matcher that does not have " +
		"an empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will")
}

// parseCount reads [sum [by (a, b)] (] count_over_time(selector[span]) [)].
func parseCount(text string) (count, error) {
	p := &reading{text}
	c := count{sum: p.take("sum")}
	if c.sum {
		if err := p.by(&c); err != nil {
			return c, err
		}
		if err := p.expect("("); err != nil {
			return c, err
		}
	}
	if err := p.counted(&c); err != nil {
		return c, err
	}
	if c.sum {
		if err := p.expect(")"); err != nil {
			return c, err
		}
		if c.by == nil {
			if err := p.by(&c); err != nil {
				return c, err
			}
		}
	}
	return c, c.selector.check(p.end())
}

func (p *reading) by(c *count) error {
	if !p.take("by") {
		return nil
	}
	if err := p.expect("("); err != nil {
		return err
	}
	for !p.take(")") {
		p.take(",")
		name, err := p.name()
		if err != nil {
			return err
		}
		c.by = append(c.by, name)
	}
	return nil
}

func (p *reading) counted(c *count) (err error) {
	if err := p.expect("count_over_time"); err != nil {
		return err
	}
	if err := p.expect("("); err != nil {
		return err
	}
	if c.selector, err = p.selector(); err != nil {
		return err
	}
	if more, err := p.stages(&c.stages); err != nil || more {
		return cmp.Or(err, p.expect("["))
	}
	if err := p.expect("["); err != nil {
		return err
	}
	span, after, ok := strings.Cut(p.rest, "]")
	if !ok {
		return p.expect("]")
	}
	p.rest = after
	if c.span, err = time.ParseDuration(strings.TrimSpace(span)); err != nil || c.span <= 0 ||
		c.span%time.Millisecond != 0 {
		return fmt.Errorf("parse error : not a valid duration string: %q", span)
	}
	return p.expect(")")
}
