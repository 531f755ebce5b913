package loki

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/longshore/longshore/pipeline/event"
)

// Bounds of a stream's labels.
const (
	maxLabels     = 128
	maxLabelBytes = 64 << 10
)

// parseLabels reads labels as Prometheus writes them: {name="value", other="value"}.
func parseLabels(text string) ([]event.Label, error) {
	if len(text) > maxLabelBytes {
		return nil, fmt.Errorf("labels of %d bytes; up to %d are taken", len(text), maxLabelBytes)
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), "{")
	if !ok {
		return nil, errors.New("labels do not begin with {")
	}
	var labels []event.Label
	for {
		rest = strings.TrimLeft(rest, " \t\n\r")
		if after, ok := strings.CutPrefix(rest, "}"); ok {
			if after != "" {
				return nil, fmt.Errorf("labels have %.40q behind their }", after)
			}
			return labels, nil
		}
		var l event.Label
		var err error
		if l, rest, err = parseLabel(rest); err != nil {
			return nil, err
		}
		if labels = append(labels, l); len(labels) > maxLabels {
			return nil, fmt.Errorf("more than %d labels", maxLabels)
		}
		rest = strings.TrimLeft(rest, " \t\n\r")
		if after, ok := strings.CutPrefix(rest, ","); ok {
			rest = after
		} else if !strings.HasPrefix(rest, "}") {
			return nil, fmt.Errorf("label %s is followed by %.40q, and not by , or }", l.Name, rest)
		}
	}
}

func parseLabel(text string) (l event.Label, rest string, err error) {
	end := 0
	for end < len(text) && isNameByte(text[end], end) {
		end++
	}
	name := text[:end]
	if name == "" && strings.HasPrefix(text, `"`) { // names of any characters are quoted
		if l.Name, text, err = unquoted(text); err != nil {
			return l, "", fmt.Errorf("the name of a label is %w", err)
		}
		name, end = l.Name, 0
	}
	if name == "" {
		return l, "", fmt.Errorf("where a label should be is %.40q", text)
	}
	l.Name = name
	value, ok := strings.CutPrefix(strings.TrimLeft(text[end:], " \t\n\r"), "=")
	if !ok {
		return l, "", fmt.Errorf("label %.80s has no =", name)
	}
	if l.Value, rest, err = unquoted(strings.TrimLeft(value, " \t\n\r")); err != nil {
		return l, "", fmt.Errorf("label %.80s is %w", name, err)
	}
	return l, rest, nil
}

func isNameByte(c byte, at int) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':' || c == '.' || at > 0 &&
		c >= '0' && c <= '9'
}

func unquoted(text string) (value, rest string, err error) {
	quoted, err := strconv.QuotedPrefix(text)
	if err == nil && quoted[0] == '\'' {
		err = strconv.ErrSyntax
	}
	if err == nil {
		value, err = strconv.Unquote(quoted)
	}
	if err != nil {
		return "", "", fmt.Errorf("not quoted as it must be: %.40q", text)
	}
	return strings.ToValidUTF8(value, "\uFFFD"), text[len(quoted):], nil
}

// ours are the names that Promtail, Alloy, Docker's plugin and this project's own output use for
// what has a name here. Of several for one, the first in this list is taken, and the others stay.
var ours = [...]struct{ theirs, name string }{
	{"container_name", event.LabelContainerName}, {"container", event.LabelContainerName},
	{"container_id", event.LabelContainerID}, {"image", event.LabelImage},
	{"namespace", event.LabelNamespace}, {"pod", event.LabelPod}, {"pod_uid", event.LabelPodUID},
	{"filename", event.LabelFile}, {"stream", event.LabelStream}, {"source", event.LabelStream},
	{"host", event.LabelHost}, {"hostname", event.LabelHost}, {"node_name", event.LabelHost},
	{"instance", event.LabelHost},
	{"compose_project", event.LabelComposeProject}, {"compose_service", event.LabelComposeService},
	{"service_name", event.LabelService}, {"service", event.LabelService}, {"app", event.LabelService},
	{"job", event.LabelService},
}

// renamed returns labels under this project's names, and the level among them, if there is one.
func renamed(labels []event.Label) (_ []event.Label, level event.Level) {
	taken := map[string]bool{}
	for _, l := range labels {
		taken[l.Name] = true // a sender may use our names
	}
	for _, o := range ours {
		for i := range labels {
			l := &labels[i]
			if l.Name != o.theirs || l.Value == "" || o.name != l.Name && taken[o.name] || !fits(o.name, l.Value) {
				continue
			}
			l.Name = o.name
			taken[o.name] = true
		}
	}
	kept := labels[:0]
	for _, l := range labels {
		if l.Name == "level" || l.Name == "detected_level" {
			if known := levelOf(l.Value); known != event.NoLevel {
				level = known
				continue
			}
		}
		kept = append(kept, l)
	}
	return kept, level
}

// fits reports whether a value can be that of a label of ours.
func fits(name, value string) bool {
	switch name {
	case event.LabelStream:
		return value == "stdout" || value == "stderr"
	case event.LabelService:
		return value != "unknown_service" // Loki's word for none
	}
	return true
}

// levelOf returns the level that a sender means.
func levelOf(value string) event.Level {
	switch strings.ToLower(value) {
	case "trace":
		return event.Trace
	case "debug", "dbg":
		return event.Debug
	case "info", "information", "informational", "notice":
		return event.Info
	case "warn", "warning", "wrn":
		return event.Warn
	case "error", "err":
		return event.Error
	case "fatal", "critical", "crit", "alert", "emerg", "emergency", "panic":
		return event.Fatal
	}
	return event.NoLevel
}
