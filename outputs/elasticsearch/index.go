package elasticsearch

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline/event"
)

const (
	defaultIndex = "logs-longshore-default"
	maxIndexName = 255
	// maxIndexField bounds a field's part of a name, in bytes.
	maxIndexField = 100
	// missingField replaces a field that a record does not have.
	missingField = "unknown"
)

// An index is the template of an index name.
type index struct {
	text  string // as it is written
	parts []part
	dated bool
	// stable is set if names depend only on the record's source and time.
	stable bool
}

// A part is literal text, a date layout in Go's terms, or a field's name.
type part struct{ text, layout, field string }

// parseIndex parses a template of literal text, {field} and {yyyy.MM.dd}.
func parseIndex(template string) (*index, error) {
	if template == "" {
		template = defaultIndex
	}
	x := &index{text: template, stable: true}
	rest := template
	for rest != "" {
		text, after, open := strings.Cut(rest, "{")
		if strings.Contains(text, "}") {
			return nil, errors.New("has a } without its {; write {field} or {yyyy.MM.dd}")
		}
		if text != "" {
			x.parts = append(x.parts, part{text: text})
		}
		if !open {
			break
		}
		inside, after, closed := strings.Cut(after, "}")
		if !closed {
			return nil, errors.New("has a { without its }; write {field} or {yyyy.MM.dd}")
		}
		p, err := parsePlaceholder(strings.TrimSpace(inside))
		if err != nil {
			return nil, err
		}
		x.add(p)
		rest = after
	}
	return x, x.check()
}

func (x *index) add(p part) {
	x.parts = append(x.parts, p)
	x.dated = x.dated || p.layout != ""
	if p.field != "" && !event.SourceOnly(p.field) {
		x.stable = false
	}
}

func parsePlaceholder(inside string) (part, error) {
	switch {
	case inside == "" || strings.Contains(inside, "{"):
		return part{}, errors.New("has no field's name between { and }")
	case strings.HasPrefix(inside, "yyyy"):
		layout, err := dateLayout(inside)
		return part{layout: layout}, err
	case inside == "message" || inside == "trace_id" || inside == "span_id" || inside == "timestamp":
		return part{}, fmt.Errorf("must not use {%s}: each of its values would be an index of its own", inside)
	}
	return part{field: inside}, nil
}

func dateLayout(pattern string) (string, error) {
	layout := strings.NewReplacer("yyyy", "2006", "MM", "01", "dd", "02", "HH", "15").Replace(pattern)
	if strings.ContainsFunc(layout, func(r rune) bool {
		return !unicode.IsDigit(r) && !strings.ContainsRune(".-_", r)
	}) {
		return "", fmt.Errorf("has the date {%s}, which is not made of yyyy, MM, dd and HH with . - or _ between them",
			pattern)
	}
	return layout, nil
}

// check validates the literal text; what comes from records is sanitized.
func (x *index) check() error {
	for _, p := range x.parts {
		for _, r := range p.text {
			if unicode.IsUpper(r) {
				return fmt.Errorf("has %q in it; names of indices are in lower case", r)
			}
			if badIndexRune(r) {
				return fmt.Errorf("has %q in it, which Elasticsearch takes in no index's name", r)
			}
		}
	}
	first := x.parts[0].text
	if first != "" && strings.ContainsRune("-_+.", rune(first[0])) {
		return fmt.Errorf("begins with %q, which no index's name may", first[0])
	}
	if len(x.overflow()) > maxIndexName {
		return fmt.Errorf("is longer than the %d bytes that a name may have", maxIndexName)
	}
	return nil
}

// badIndexRune reports whether a character is not allowed in an index name; see "Create index API"
// in Elasticsearch's reference.
func badIndexRune(r rune) bool {
	return r <= ' ' || r == 0x7f || r == utf8.RuneError || strings.ContainsRune(`\/*?"<>|,#:`, r) ||
		unicode.IsControl(r) || unicode.IsSpace(r)
}

// pattern returns the template with a * for each { }.
func (x *index) pattern() string { return x.fill("*") }

// overflow is the name for records beyond max_indices.
func (x *index) overflow() string { return x.fill("overflow") }

func (x *index) fill(placeholder string) string {
	var name strings.Builder
	for _, p := range x.parts {
		if p.text == "" {
			name.WriteString(placeholder)
		}
		name.WriteString(p.text)
	}
	return name.String()
}

// appendName appends the name for record i, which need not be valid yet.
func (x *index) appendName(dst []byte, b *event.Batch, i int) []byte {
	for _, p := range x.parts {
		switch {
		case p.field != "":
			dst = appendField(dst, b, i, p.field)
		case p.layout != "":
			dst = time.Unix(0, b.Records[i].Time).UTC().AppendFormat(dst, p.layout)
		default:
			dst = append(dst, p.text...)
		}
	}
	return dst
}

func appendField(dst []byte, b *event.Batch, i int, name string) []byte {
	start := len(dst)
	if event.SourceOnly(name) {
		dst = append(dst, b.Source.Label(name)...)
	} else {
		dst = b.AppendNamed(dst, i, name)
	}
	if len(dst) == start {
		return append(dst, missingField...)
	}
	return dst[:min(len(dst), start+maxIndexField)]
}

// sanitize makes a name valid.
func sanitize(name []byte) string {
	clean := bytes.Map(func(r rune) rune {
		if badIndexRune(r) {
			return '-'
		}
		return unicode.ToLower(r)
	}, name)
	clean = bytes.TrimLeft(clean, "-_+.")
	for len(clean) > maxIndexName {
		_, size := utf8.DecodeLastRune(clean)
		clean = clean[:len(clean)-size]
	}
	if len(clean) == 0 {
		return missingField
	}
	return string(clean)
}
