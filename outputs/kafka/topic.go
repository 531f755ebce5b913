package kafka

import (
	"errors"
	"fmt"
	"strings"

	"github.com/longshore/longshore/pipeline/event"
)

const (
	maxTopicName = 249
	// maxTopicField bounds a field's part of a name, in bytes.
	maxTopicField = 100
	// missingField replaces a field that a record does not have.
	missingField = "unknown"
)

// A topicName is the template of a topic's name.
type topicName struct {
	parts event.Template
	// ofRecord is set if it depends on the record, and not only on its source.
	ofRecord bool
}

func parseTopic(text string) (*topicName, error) {
	if text == "" {
		return nil, errors.New("is empty; name a topic")
	}
	parts, err := event.ParseTemplate(text)
	if err != nil {
		return nil, err
	}
	t := &topicName{parts: parts}
	for _, p := range parts {
		if strings.ContainsFunc(p.Text, badTopicRune) {
			return nil, fmt.Errorf("has %q in it; names of topics are of ASCII letters, digits, . _ and -", p.Text)
		}
		switch p.Field {
		case "message", "trace_id", "span_id", "timestamp":
			return nil, fmt.Errorf("must not use {%s}: each of its values would be a topic of its own", p.Field)
		}
		t.ofRecord = t.ofRecord || p.Field != "" && !event.SourceOnly(p.Field)
	}
	if name := parts[0].Text; len(parts) == 1 && (name == "." || name == "..") || len(name) > maxTopicName {
		return nil, fmt.Errorf("cannot be the name of a topic")
	}
	return t, nil
}

func badTopicRune(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
}

// append appends the name for record i.
func (t *topicName) append(dst []byte, b *event.Batch, i int) []byte {
	start := len(dst)
	for _, p := range t.parts {
		if p.Field == "" {
			dst = append(dst, p.Text...)
		} else {
			dst = appendTopicField(dst, b, i, p.Field)
		}
	}
	dst = dst[:min(len(dst), start+maxTopicName)]
	if name := string(dst[start:]); name == "." || name == ".." {
		return append(dst[:start], missingField...)
	}
	return dst
}

func appendTopicField(dst []byte, b *event.Batch, i int, name string) []byte {
	start := len(dst)
	if event.SourceOnly(name) {
		dst = append(dst, b.Source.Label(name)...)
	} else {
		dst = b.AppendNamed(dst, i, name)
	}
	if len(dst) == start {
		return append(dst, missingField...)
	}
	dst = dst[:min(len(dst), start+maxTopicField)]
	for k, c := range dst[start:] {
		if badTopicRune(rune(c)) {
			dst[start+k] = '-'
		}
	}
	return dst
}

// A keyKind is what a record's key is.
type keyKind struct {
	none     bool
	template event.Template // nil for the source
}

func parseKey(text string) (keyKind, error) {
	switch {
	case text == "" || text == "source":
		return keyKind{}, nil
	case text == "none":
		return keyKind{none: true}, nil
	case !strings.Contains(text, "{"):
		return keyKind{}, errors.New("is source, none, or a template with a {field} in it")
	}
	template, err := event.ParseTemplate(text)
	return keyKind{template: template}, err
}

// maxKey bounds a key, in bytes.
const maxKey = 1 << 10

// append appends the key of record i; nothing where it is its source's.
func (k keyKind) append(dst []byte, b *event.Batch, i int) []byte {
	start, fields := len(dst), false
	for _, p := range k.template {
		before := len(dst)
		if p.Field == "" {
			dst = append(dst, p.Text...)
			continue
		}
		dst = b.AppendNamed(dst, i, p.Field)
		fields = fields || len(dst) > before
	}
	if !fields {
		return dst[:start]
	}
	return dst[:min(len(dst), start+maxKey)]
}
