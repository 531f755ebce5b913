package importer

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// A matcher is one label of a LogQL selector, or, without a label, a filter of the line.
type matcher struct{ label, op, value string }

var (
	selectorLabel = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*`)
	selectorOp    = regexp.MustCompile(`^(=~|!~|!=|=)`)
	lineOp        = regexp.MustCompile(`^(\|=|\|~|!=|!~)`)
	errSelector   = errors.New("the selector has more than labels and filters of the line; write a condition by hand")
)

// parseSelector reads {a="b", …} |= "c" ….
func parseSelector(s string) (all []matcher, err error) {
	s = strings.TrimSpace(s)
	if !strings.HasPrefix(s, "{") {
		return nil, errSelector
	}
	s = strings.TrimSpace(s[1:])
	for !strings.HasPrefix(s, "}") {
		m := matcher{label: selectorLabel.FindString(s)}
		s = strings.TrimSpace(s[len(m.label):])
		m.op = selectorOp.FindString(s)
		if m.label == "" || m.op == "" {
			return nil, errSelector
		}
		if m.value, s, err = quoted(s[len(m.op):]); err != nil {
			return nil, err
		}
		all = append(all, m)
		s = strings.TrimSpace(strings.TrimPrefix(s, ","))
	}
	for s = strings.TrimSpace(s[1:]); s != ""; s = strings.TrimSpace(s) {
		m := matcher{op: lineOp.FindString(s)}
		if m.op == "" {
			return nil, errSelector
		}
		if m.value, s, err = quoted(s[len(m.op):]); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// quoted reads a quoted text, and returns what is behind it.
func quoted(s string) (value, rest string, err error) {
	s = strings.TrimSpace(s)
	prefix, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", errSelector
	}
	if value, err = strconv.Unquote(prefix); err != nil {
		return "", "", errSelector
	}
	return value, strings.TrimSpace(s[len(prefix):]), nil
}

// conditions returns what of a selector must hold, with what is known before any line comes decided
// already: never says that it holds for no record.
func (f *flow) conditions(selector string) (conds []string, never bool, why string) {
	matchers, err := parseSelector(selector)
	if err != nil {
		return nil, false, err.Error()
	}
	for _, m := range matchers {
		if value, static := f.static[m.label]; static && m.label != "" && !strings.Contains(value, "${") {
			if !m.holds(value) {
				never = true
			}
			continue
		}
		cond, why := f.condition(m)
		if why != "" {
			return nil, false, why
		}
		conds = append(conds, cond)
	}
	return conds, never, ""
}

// holds reports whether a value matches.
func (m matcher) holds(value string) bool {
	switch m.op {
	case "=":
		return value == m.value
	case "!=":
		return value != m.value
	}
	re, err := regexp.Compile("^(?:" + m.value + ")$")
	return err == nil && re.MatchString(value) == (m.op == "=~")
}

func (f *flow) condition(m matcher) (cond, why string) {
	name, pattern := "", m.value
	if m.label == "" {
		if name, why = f.lineName(); why != "" {
			return "", why
		}
	} else {
		if name, why = f.labelName(m.label); why != "" {
			return "", why
		}
		pattern = "^(?:" + m.value + ")$"
	}
	if strings.Contains(m.op, "~") {
		if _, err := regexp.Compile(pattern); err != nil {
			return "", "a regular expression in it is not in Go's (RE2) syntax"
		}
	}
	value := f.c.escape(m.value)
	switch {
	case m.op == "|=":
		return operand(name) + " contains " + text(value), ""
	case m.op == "!=" && m.label == "":
		return "not (" + operand(name) + " contains " + text(value) + ")", ""
	case m.op == "=":
		return compare(name, "==", value), ""
	case m.op == "!=":
		return compare(name, "!=", value), ""
	case m.op == "!~":
		return "not (" + matches(name, f.c.escape(pattern)) + ")", ""
	}
	return matches(name, f.c.escape(pattern)), ""
}

// escape writes a text that has no references for Longshore's config.
func (c *conversion) escape(text string) string { return strings.ReplaceAll(text, "${", "$${") }

// labelName returns the record's name of a Loki label.
func (f *flow) labelName(label string) (name, why string) {
	template, known := f.labels[label]
	switch {
	case !known && label == "filename":
		return "filename", ""
	case !known:
		return "", "nothing before it gives the label " + label + "; write a condition by hand"
	case f.onInput[label] && template == "{"+label+"}":
		return labelOperand(label), ""
	case strings.HasPrefix(template, "{") && strings.Index(template, "}") == len(template)-1:
		return template[1 : len(template)-1], ""
	}
	return "", "the label " + label + " is put together of several values; write a condition by hand"
}
