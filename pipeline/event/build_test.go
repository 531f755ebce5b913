package event_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/longshore/longshore/pipeline/event"
)

// A line is a record as the tables write it.
type line struct {
	time    int64
	level   event.Level
	message string
	service string
	trace   bool
	cut     bool
	labels  []event.Label
	fields  []field
}

type field struct {
	key   string
	kind  event.Kind
	value string
	// keyKind is Text if it is not set.
	keyKind event.Kind
}

func (l line) batch() *event.Batch {
	b := &event.Batch{}
	b.Reset(event.NewSource(7, "app", "/var/log/app.log", l.labels))
	r := b.Add(0, l.time, b.PutString("the raw line"))
	r.Level = l.level
	if l.message != "" {
		r.Message = event.Value{Span: b.PutString(l.message), Kind: event.Text}
	}
	if l.service != "" {
		r.Service = event.Value{Span: b.PutString(l.service), Kind: event.Text}
	}
	if l.trace {
		copy(r.TraceID[:], bytes.Repeat([]byte{0x4b, 0xf9}, 8))
		copy(r.SpanID[:], bytes.Repeat([]byte{0x00, 0xf0}, 4))
		r.Flags |= event.HasTrace | event.HasSpan
	}
	if l.cut {
		r.Flags |= event.Truncated
	}
	for _, f := range l.fields {
		if f.keyKind == event.None {
			f.keyKind = event.Text
		}
		b.AddField(0,
			event.Value{Span: b.PutString(f.key), Kind: f.keyKind},
			event.Value{Span: b.PutString(f.value), Kind: f.kind})
	}
	return b
}

// text is a field with a text value.
func text(key, value string) field { return field{key: key, kind: event.Text, value: value} }

func checkDocument(t *testing.T, got []byte, want string) {
	t.Helper()
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := members(got); err != nil {
		t.Errorf("%s: %v", got, err)
	}
}

// members reads a JSON object and returns the names in it, or an error for what
// is not an object or has a name twice.
func members(document []byte) ([]string, error) {
	if !json.Valid(document) {
		return nil, fmt.Errorf("is not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(document))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, fmt.Errorf("starts with %v, %v", start, err)
	}
	var names []string
	seen := map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		if seen[name.(string)] {
			return nil, fmt.Errorf("has %q twice", name)
		}
		seen[name.(string)] = true
		names = append(names, name.(string))
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
	}
	return names, nil
}
