package event

import (
	"errors"
	"strings"
)

// A Template is text with {name} in it, which stands for what a record has under the name.
type Template []Part

// A Part of a template is literal text, or the name of a field.
type Part struct{ Text, Field string }

// ParseTemplate reads a template.
func ParseTemplate(text string) (Template, error) {
	var parts Template
	for text != "" {
		literal, rest, open := strings.Cut(text, "{")
		if strings.Contains(literal, "}") {
			return nil, errors.New("has a } without its {; write {field}")
		}
		if literal != "" {
			parts = append(parts, Part{Text: literal})
		}
		if !open {
			break
		}
		field, after, closed := strings.Cut(rest, "}")
		field = strings.TrimSpace(field)
		switch {
		case !closed:
			return nil, errors.New("has a { without its }; write {field}")
		case field == "" || strings.Contains(field, "{"):
			return nil, errors.New("has no field's name between { and }")
		}
		parts = append(parts, Part{Field: field})
		text = after
	}
	return parts, nil
}

// Append appends what the template makes of record i. A name that the record
// does not have adds nothing.
func (t Template) Append(dst []byte, b *Batch, i int) []byte {
	for _, p := range t {
		if p.Field == "" {
			dst = append(dst, p.Text...)
		} else {
			dst = b.AppendNamed(dst, i, p.Field)
		}
	}
	return dst
}

// AppendNamed appends, as text, what record i has under a name: its core first,
// then its source's labels, then its fields. Nothing and null append nothing.
func (b *Batch) AppendNamed(dst []byte, i int, name string) []byte {
	r := &b.Records[i]
	switch name {
	case "level":
		return append(dst, r.Level.String()...)
	case "message":
		return b.AppendText(dst, b.MessageOf(i))
	case "timestamp":
		return AppendTime(dst, r.Time)
	case "trace_id":
		if r.Flags&HasTrace != 0 {
			return AppendHex(dst, r.TraceID[:])
		}
	case "span_id":
		if r.Flags&HasSpan != 0 {
			return AppendHex(dst, r.SpanID[:])
		}
	case LabelService:
		if r.Service.Kind != None {
			return b.AppendText(dst, r.Service)
		}
	}
	if value := b.Source.Label(name); value != "" {
		return append(dst, value...)
	}
	if v := b.Lookup(i, name); v.Kind != None && v.Kind != Null {
		return b.AppendText(dst, v)
	}
	return dst
}
