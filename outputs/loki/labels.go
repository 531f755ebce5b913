package loki

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Bounds of an encoder's memory of sources, and of a source's label sets. A full one is cleared;
// what is in use comes back.
const (
	maxSources = 512
	maxStreams = 4096
)

// A stream is a label set with its group in the last body.
type stream struct {
	name  string
	group uint32
}

// groupIn returns the stream's group in a body. Within one body the strings are the same, so
// comparing them is cheap.
func (s *stream) groupIn(body *pipeline.Body) uint32 {
	if int(s.group) < len(body.Groups) && body.Groups[s.group] == s.name {
		return s.group
	}
	s.group = body.Group([]byte(s.name))
	s.name = body.Groups[s.group]
	return s.group
}

// A source is what an encoder remembers of one event.Source.
type source struct {
	src      *event.Source
	metadata []byte // encoded pairs that all its records share
	apart    int64  // what is added to their times without metadata
	// variable are the template fields whose values depend on the record.
	variable []string
	streams  map[string]*stream // by the values of the variable fields
	unnamed  *stream            // of records without a service, if only that is variable
	last     *stream            // the one of lastKey
	lastKey  []byte
}

func newSource(src *event.Source, labels []label) *source {
	s := &source{src: src, streams: map[string]*stream{}}
	s.metadata = appendPair(s.metadata, "container_id", src.Label(event.LabelContainerID))
	s.metadata = appendPair(s.metadata, "stream", src.Label(event.LabelStream))
	if src.Label(event.LabelContainerID) == "" {
		s.metadata = appendPair(s.metadata, sourceID, src.ID.String())
	}
	s.apart = apart(s.metadata)
	for _, l := range labels {
		for _, p := range l.parts {
			if p.Field != "" && isVariable(src, p.Field) && !slices.Contains(s.variable, p.Field) {
				s.variable = append(s.variable, p.Field)
			}
		}
	}
	return s
}

// isVariable reports whether a field's value depends on the record.
func isVariable(src *event.Source, field string) bool {
	if field == "service" || field == "level" {
		return true
	}
	return src.Label(field) == "" && !event.SourceOnly(field)
}

func (e *Encoder) streamOf(s *source, b *event.Batch, i int) *stream {
	usual := b.Records[i].Service.Kind == event.None && len(s.variable) == 1 && s.variable[0] == "service"
	if !usual {
		return e.streamBy(s, b, i)
	}
	if s.unnamed == nil {
		s.unnamed = e.streamBy(s, b, i)
	}
	return s.unnamed
}

func (e *Encoder) streamBy(s *source, b *event.Batch, i int) *stream {
	e.key = e.key[:0]
	for _, field := range s.variable {
		start := len(e.key)
		e.key = b.AppendNamed(e.key, i, field)
		e.key = e.key[:start+len(event.TruncateText(e.key[start:], maxLabelValue))]
		e.key = append(e.key, 0xff) // in no UTF-8
	}
	if s.last != nil && string(s.lastKey) == string(e.key) {
		return s.last
	}
	found, known := s.streams[string(e.key)]
	if !known {
		found = e.newStream(s, b, i)
	}
	s.last, s.lastKey = found, append(s.lastKey[:0], e.key...)
	return found
}

func (e *Encoder) newStream(s *source, b *event.Batch, i int) *stream {
	pairs := make([]event.Label, 0, len(e.output.labels))
	for _, l := range e.output.labels {
		if l.unless != "" && s.src.Label(l.unless) != "" {
			continue
		}
		pairs = append(pairs, event.Label{Name: l.name, Value: e.labelOf(s, b, i, l)})
	}
	if len(s.streams) >= maxStreams {
		clear(s.streams)
	}
	made := &stream{name: string(appendLabelSet(nil, pairs))}
	s.streams[string(e.key)] = made
	return made
}

func (e *Encoder) labelOf(s *source, b *event.Batch, i int, l label) string {
	var text []byte
	fromLine := false
	for _, p := range l.parts {
		text = append(text, p.Text...)
		if p.Field == "" {
			continue
		}
		if slices.Contains(s.variable, p.Field) {
			text = b.AppendNamed(text, i, p.Field)
			fromLine = true
			continue
		}
		text = append(text, s.src.Label(p.Field)...)
	}
	value := labelValue(string(text))
	if value == "" && l.name == serviceName {
		return unknownService
	}
	if fromLine {
		e.output.recall()
		return e.output.limiter.admit(l.name, value)
	}
	return value
}

const (
	// maxLabels is Loki's max_label_names_per_series.
	maxLabels = 15
	// maxLabelName is Loki's max_label_name_length.
	maxLabelName = 1024
	// maxLabelValue is Loki's max_label_value_length, in bytes.
	maxLabelValue = 2048

	serviceName    = "service_name"
	unknownService = "unknown_service"
)

// A label is a stream label's name and the template of its value.
type label struct {
	name  string
	parts event.Template
	// unless leaves the label out for sources that have the label named here.
	unless string
}

// namesSource reports whether the label has what tells the sources of a host apart.
func (l label) namesSource() bool {
	return slices.ContainsFunc(l.parts, func(p event.Part) bool {
		return p.Field == event.LabelFile || p.Field == event.LabelContainerName
	})
}

// forbiddenFields would make a stream of every request or every line.
var forbiddenFields = []string{"trace_id", "span_id", "timestamp", "message", event.LabelContainerID}

func defaultLabels() []label {
	one := func(name, field, unless string) label {
		return label{name: name, parts: event.Template{{Field: field}}, unless: unless}
	}
	return []label{
		one("compose_project", event.LabelComposeProject, ""),
		one("container", event.LabelContainerName, ""),
		one("filename", event.LabelFile, event.LabelContainerName),
		one("host", event.LabelHost, event.LabelNode),
		one("namespace", event.LabelNamespace, ""),
		one("node", event.LabelNode, ""),
		one("pod", event.LabelPod, ""),
		one(serviceName, event.LabelService, ""),
	}
}

// parseLabels parses the label templates, sorted by name; without any it returns the default ones.
func parseLabels(templates map[string]string) ([]label, []pipeline.Problem) {
	if len(templates) == 0 {
		return defaultLabels(), nil
	}
	var labels []label
	var problems []pipeline.Problem
	report := func(name, format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: "labels." + name, Message: fmt.Sprintf(format, args...)})
	}
	used := map[string]string{}
	for _, given := range slices.Sorted(maps.Keys(templates)) {
		name := labelName(given)
		parts, err := parseTemplate(templates[given])
		switch {
		case err != nil:
			report(given, "%s", err)
		case len(name) > maxLabelName:
			report(given, "has a name of %d characters; Loki takes %d", len(name), maxLabelName)
		case strings.HasPrefix(name, "__"):
			report(given, "begins with __, and such names are Loki's own; take another")
		case used[name] != "":
			report(given, "becomes %s in Loki, as %s does; take another", name, used[name])
		}
		used[name] = given
		labels = append(labels, label{name: name, parts: parts})
	}
	if len(labels) > maxLabels {
		problems = append(problems, pipeline.Problem{Path: "labels",
			Message: fmt.Sprintf("has %d labels; Loki takes %d", len(labels), maxLabels)})
	}
	slices.SortFunc(labels, func(a, b label) int { return strings.Compare(a.name, b.name) })
	return labels, problems
}

// labelName makes a name valid for Loki: [a-zA-Z_][a-zA-Z0-9_]*.
func labelName(name string) string {
	fit := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '_'
	}, name)
	if fit == "" || unicode.IsDigit(rune(fit[0])) {
		return "_" + fit
	}
	return fit
}

// parseTemplate parses a template, and rejects fields that no label may use.
func parseTemplate(text string) (event.Template, error) {
	parts, err := event.ParseTemplate(text)
	for _, p := range parts {
		if slices.Contains(forbiddenFields, p.Field) {
			return nil, fmt.Errorf("must not use {%s}: each of its values would be a stream of its own; Loki gets it "+
				"beside the line", p.Field)
		}
	}
	return parts, err
}

// labelValue makes a value valid: UTF-8, no control characters, at most 2048 bytes. U+FFFD, which
// stands for what is not UTF-8, Loki's parser of labels takes for just that, escaped or not.
func labelValue(value string) string {
	value = strings.ToValidUTF8(value, "?")
	value = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case r == utf8.RuneError:
			return '?'
		}
		return r
	}, value)
	return strings.TrimSpace(event.TruncateText(value, maxLabelValue))
}

// appendLabelSet appends labels as Loki prints them: {a="1", b="2"}. Pairs must be sorted by name;
// those without a value are left out. The set is never empty, as Loki would reject that.
func appendLabelSet(dst []byte, pairs []event.Label) []byte {
	dst = append(dst, '{')
	first := true
	for _, p := range pairs {
		if p.Value == "" {
			continue
		}
		if !first {
			dst = append(dst, ", "...)
		}
		first = false
		dst = append(dst, p.Name...)
		dst = append(dst, '=')
		dst = strconv.AppendQuote(dst, p.Value)
	}
	if first {
		dst = append(dst, serviceName+`="`+unknownService+`"`...)
	}
	return append(dst, '}')
}
