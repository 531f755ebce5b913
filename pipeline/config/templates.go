package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// knownFields are the names that records and sources have without any of the lines' own.
var knownFields = []string{"timestamp", "level", "message", "service", "trace_id", "span_id", event.LabelHost,
	event.LabelFile, event.LabelStream, event.LabelContainerID, event.LabelContainerName, event.LabelImage,
	event.LabelComposeProject, event.LabelComposeService, event.LabelNamespace, event.LabelPod, event.LabelPodUID,
	event.LabelNode, event.LabelRestarts}

var placeholder = regexp.MustCompile(`\{ *([A-Za-z][A-Za-z0-9_.-]*) *\}`)

// checkTemplates warns of names in { } that are nearly known ones, in the settings of outputs and
// transforms. Names that parsers or transforms of the config mention otherwise, and labels of
// inputs, are the user's own.
func (d *document) checkTemplates() {
	var own []string
	for _, section := range []string{"parsers", "transforms"} {
		own = mentioned(d.root.get(section), own)
	}
	for _, input := range d.declared[pipeline.KindInput] {
		own = mentioned(input.get("labels"), own)
	}
	for _, section := range []string{"outputs", "transforms"} {
		d.checkTemplatesIn(d.root.get(section), section, own)
	}
}

func (d *document) checkTemplatesIn(n *node, path string, own []string) {
	if n == nil || n.broken || n.filled {
		return
	}
	for _, e := range n.entries {
		d.checkTemplatesIn(e.value, child(path, e.name), own)
	}
	for _, item := range n.items {
		d.checkTemplatesIn(item, path, own)
	}
	for _, m := range placeholder.FindAllStringSubmatch(n.text, -1) {
		name := m[1]
		known := nearField(name)
		if known == "" || slices.ContainsFunc(own, func(text string) bool { return strings.Contains(text, name) }) {
			continue
		}
		d.problems.warn(n.at, path, "{%s} is no name that longshore gives; did you mean {%s}?", name, known)
	}
}

// nearField returns the known name that differs in one letter, or two of a long name, or "".
func nearField(name string) string {
	if slices.Contains(knownFields, name) {
		return ""
	}
	for _, known := range knownFields {
		if limit := 1 + len(known)/12; distance(fold(name), fold(known)) <= limit {
			return known
		}
	}
	return ""
}

// mentioned appends the names and texts below a node, without those in { }.
func mentioned(n *node, texts []string) []string {
	if n == nil {
		return texts
	}
	for _, e := range n.entries {
		texts = mentioned(e.value, append(texts, e.name))
	}
	for _, item := range n.items {
		texts = mentioned(item, texts)
	}
	if n.text != "" {
		texts = append(texts, placeholder.ReplaceAllString(n.text, ""))
	}
	return texts
}
