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

const (
	// maxLabels is Loki's max_label_names_per_series.
	maxLabels = 15
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

// neverLabels would make a stream of every request, or of every line.
var neverLabels = []string{"trace_id", "span_id", "timestamp", "message", event.LabelContainerID}

// sourceOnly are the names that a line may not give a value to: what the input
// knows is true, what stands in a line is a claim.
var sourceOnly = []string{
	event.LabelHost, event.LabelFile, event.LabelStream, event.LabelContainerID, event.LabelContainerName,
	event.LabelImage, event.LabelComposeProject, event.LabelComposeService,
}

func defaultLabels() []label {
	one := func(name, field, unless string) label {
		return label{name: name, parts: event.Template{{Field: field}}, unless: unless}
	}
	return []label{
		one("compose_project", event.LabelComposeProject, ""),
		one("container", event.LabelContainerName, ""),
		one("filename", event.LabelFile, event.LabelContainerName),
		one("host", event.LabelHost, ""),
		one(serviceName, event.LabelService, ""),
	}
}

// parseLabels reads the label templates, sorted by name. Without any it gives
// the usual ones.
func parseLabels(templates map[string]string) ([]label, []pipeline.Problem) {
	if len(templates) == 0 {
		return defaultLabels(), nil
	}
	var labels []label
	var problems []pipeline.Problem
	found := func(name, format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: "labels." + name, Message: fmt.Sprintf(format, args...)})
	}
	taken := map[string]string{}
	for _, given := range slices.Sorted(maps.Keys(templates)) {
		name := labelName(given)
		parts, err := parseTemplate(templates[given])
		switch {
		case err != nil:
			found(given, "%s", err)
		case strings.HasPrefix(name, "__"):
			found(given, "begins with __, and such names are Loki's own; take another")
		case taken[name] != "":
			found(given, "becomes %s in Loki, as %s does; take another", name, taken[name])
		}
		taken[name] = given
		labels = append(labels, label{name: name, parts: parts})
	}
	if len(labels) > maxLabels {
		problems = append(problems, pipeline.Problem{Path: "labels", Message: fmt.Sprintf("has %d labels; Loki takes %d", len(labels), maxLabels)})
	}
	slices.SortFunc(labels, func(a, b label) int { return strings.Compare(a.name, b.name) })
	return labels, problems
}

// labelName makes a name fit Loki's rule, [a-zA-Z_][a-zA-Z0-9_]*.
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

// parseTemplate reads a template, and refuses names that no label may be made of.
func parseTemplate(text string) (event.Template, error) {
	parts, err := event.ParseTemplate(text)
	for _, p := range parts {
		if slices.Contains(neverLabels, p.Field) {
			return nil, fmt.Errorf("must not use {%s}: each of its values would be a stream of its own; Loki gets it beside the line", p.Field)
		}
	}
	return parts, err
}

// labelValue makes a value fit: UTF-8, no control characters, 2048 bytes at
// most.
func labelValue(value string) string {
	value = strings.ToValidUTF8(value, "\ufffd")
	value = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, value)
	return strings.TrimSpace(cutText(value, maxLabelValue))
}

// cutText cuts a text to n bytes or a few less, not inside of a character.
func cutText[T string | []byte](s T, n int) T { return event.CutText(s, n) }

// appendLabelSet appends labels as Loki itself prints them: {a="1", b="2"}.
// Pairs must be sorted by name; those without a value are left out. It never
// gives an empty set, which Loki does not take.
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
