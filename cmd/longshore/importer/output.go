package importer

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A section is one component or pipeline of the config that is made, or a section at its top.
type section struct {
	name     string
	fields   fields
	comments []string
}

type fields []field

type field struct {
	name  string
	value any // string, plain, []string, numbers, fields or []fields
	// unchecked is set for the name of a file that is not there on this machine.
	unchecked bool
}

// plain is a value that needs no quotes: a number, a boolean.
type plain string

// set adds a field, or replaces it. An empty value is left out.
func (f *fields) set(name string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case plain:
		if v == "" {
			return
		}
	case []string:
		if len(v) == 0 {
			return
		}
	case fields:
		if len(v) == 0 {
			return
		}
	}
	for i := range *f {
		if (*f)[i].name == name {
			(*f)[i].value = value
			return
		}
	}
	*f = append(*f, field{name: name, value: value})
}

// leaveUnchecked has the setting at a path left out of what is checked.
func (f fields) leaveUnchecked(path []string) bool {
	for i := range f {
		if f[i].name != path[0] {
			continue
		}
		if len(path) > 1 {
			inner, ok := f[i].value.(fields)
			return ok && inner.leaveUnchecked(path[1:])
		}
		f[i].unchecked = true
		return true
	}
	return false
}

// sub returns the fields below a name.
func (f *fields) sub(name string) fields {
	for _, field := range *f {
		if inner, ok := field.value.(fields); ok && field.name == name {
			return inner
		}
	}
	return nil
}

// setIn sets a field below a name.
func (f *fields) setIn(name, inner string, value any) {
	below := f.sub(name)
	below.set(inner, value)
	f.set(name, below)
}

func (f fields) has(name string) bool {
	return slices.ContainsFunc(f, func(g field) bool { return g.name == name })
}

func (f fields) text(name string) string {
	for _, g := range f {
		if s, ok := g.value.(string); ok && g.name == name {
			return s
		}
	}
	return ""
}

// An output is the config that is made.
type output struct {
	head       section // version, http and what is said of the whole
	inputs     []*section
	parsers    []*section
	transforms []*section
	outputs    []*section
	pipelines  []*section
}

var kinds = [...]string{"inputs", "parsers", "transforms", "outputs", "pipelines"}

func (o *output) of(kind string) *[]*section {
	switch kind {
	case "inputs":
		return &o.inputs
	case "parsers":
		return &o.parsers
	case "transforms":
		return &o.transforms
	case "outputs":
		return &o.outputs
	}
	return &o.pipelines
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// add adds a component under a name like the one that is wanted, which no other of its kind has.
func (o *output) add(kind, name, typ string) *section {
	all := o.of(kind)
	name = strings.Trim(notInNames.ReplaceAllString(name, "_"), "_-")
	name = name[:min(len(name), 48)]
	if name == "" {
		name = typ
	}
	unique := name
	taken := func(s *section) bool { return s.name == unique }
	for i := 2; slices.ContainsFunc(*all, taken); i++ {
		unique = name + "_" + strconv.Itoa(i)
	}
	s := &section{name: unique}
	s.fields.set("type", typ)
	*all = append(*all, s)
	return s
}

// remove takes a component out, also from the pipelines.
func (o *output) remove(kind, name string) {
	all := o.of(kind)
	*all = slices.DeleteFunc(*all, func(s *section) bool { return s.name == name })
	for _, p := range o.pipelines {
		for i, f := range p.fields {
			if names, ok := f.value.([]string); ok && f.name == kind {
				p.fields[i].value = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
			}
		}
		p.fields = slices.DeleteFunc(p.fields, func(f field) bool {
			names, ok := f.value.([]string)
			return ok && len(names) == 0
		})
	}
	o.pipelines = slices.DeleteFunc(o.pipelines, func(p *section) bool {
		return !p.fields.has("inputs") || !p.fields.has("outputs")
	})
}

// removeUnused takes out what is in no pipeline, which check would refuse.
func (o *output) removeUnused() {
	for _, kind := range kinds[:4] {
		all := o.of(kind)
		*all = slices.DeleteFunc(*all, func(s *section) bool {
			return !slices.ContainsFunc(o.pipelines, func(p *section) bool {
				for _, f := range p.fields {
					if names, ok := f.value.([]string); ok && f.name == kind && slices.Contains(names, s.name) {
						return true
					}
				}
				return false
			})
		})
	}
}

// yaml returns the config, or what of it can be checked on this machine.
func (o *output) yaml(checked bool) []byte {
	var b strings.Builder
	writeComments(&b, "", o.head.comments)
	b.WriteString("version: 1\n")
	writeFields(&b, "", o.head.fields, checked)
	for _, kind := range kinds {
		if all := *o.of(kind); len(all) > 0 {
			fmt.Fprintf(&b, "\n%s:\n", kind)
			for _, s := range all {
				writeComments(&b, "  ", s.comments)
				fmt.Fprintf(&b, "  %s:\n", scalar(s.name))
				writeFields(&b, "    ", s.fields, checked)
			}
		}
	}
	return []byte(b.String())
}

const commentWidth = 100

// writeComments writes comments, wrapped between words.
func writeComments(b *strings.Builder, indent string, comments []string) {
	for _, c := range comments {
		line := indent + "#"
		for word := range strings.FieldsSeq(oneLine(c)) {
			if len(line)+1+len(word) > commentWidth && strings.TrimSpace(line) != "#" {
				b.WriteString(line + "\n")
				line = indent + "#  "
			}
			line += " " + word
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// oneLine makes a text safe to stand in a comment and on a terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == 0x2028 || r == 0x2029 || r == 0x85:
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

func writeFields(b *strings.Builder, indent string, fs fields, checked bool) {
	for _, f := range fs {
		if checked && f.unchecked {
			continue
		}
		switch v := f.value.(type) {
		case plain:
			fmt.Fprintf(b, "%s%s: %s\n", indent, scalar(f.name), v)
		case string:
			fmt.Fprintf(b, "%s%s: %s\n", indent, scalar(f.name), scalar(v))
		case []string:
			writeList(b, indent, f.name, v)
		case numbers:
			fmt.Fprintf(b, "%s%s: [%s]\n", indent, f.name, strings.Join(v, ", "))
		case fields:
			var below strings.Builder
			writeFields(&below, indent+"  ", v, checked)
			if below.Len() > 0 {
				fmt.Fprintf(b, "%s%s:\n%s", indent, scalar(f.name), below.String())
			}
		case []fields:
			fmt.Fprintf(b, "%s%s:\n", indent, scalar(f.name))
			for _, item := range v {
				var one strings.Builder
				writeFields(&one, indent+"    ", item, checked)
				b.WriteString(indent + "  - " + strings.TrimPrefix(one.String(), indent+"    "))
			}
		}
	}
}

func writeList(b *strings.Builder, indent, name string, values []string) {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = inFlow(v)
	}
	flow := indent + name + ": [" + strings.Join(quoted, ", ") + "]"
	if len(flow) <= commentWidth {
		b.WriteString(flow + "\n")
		return
	}
	fmt.Fprintf(b, "%s%s:\n", indent, scalar(name))
	for _, v := range values {
		fmt.Fprintf(b, "%s  - %s\n", indent, scalar(v))
	}
}

var (
	plainText = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./-]*$`)
	urlText   = regexp.MustCompile(`^https?://[A-Za-z0-9_./:-]*[A-Za-z0-9_/-]$`)
	loneRef   = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*(:-[A-Za-z0-9_./-]*)?\}$`)
	globText  = regexp.MustCompile(`^/[A-Za-z0-9_./*-]*$`)
	spokenFor = []string{"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
	number    = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
	sizeText  = regexp.MustCompile(`^[0-9]+(ms|s|m|h|d|B|KiB|MiB|GiB)$`)
)

// scalar writes a text as a YAML scalar.
func scalar(text string) string {
	switch {
	case slices.Contains(spokenFor, strings.ToLower(text)):
	case plainText.MatchString(text), urlText.MatchString(text), loneRef.MatchString(text),
		globText.MatchString(text), sizeText.MatchString(text):
		return text
	}
	return quote(text)
}

// inFlow writes a text as a YAML scalar within [ ].
func inFlow(text string) string {
	if written := scalar(text); !strings.ContainsAny(written, "{}[],") || written[0] == '\'' || written[0] == '"' {
		return written
	}
	return quote(text)
}

func quote(text string) string {
	text = strings.ToValidUTF8(text, "?")
	control := func(r rune) bool { return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || r == 0xfeff }
	if !strings.ContainsFunc(text, control) {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case control(r) && r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case control(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
