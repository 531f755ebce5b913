package hop

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline/event"
)

// Why a value is no record. Whoever reads it can still take it for a line.
var (
	errNoObject  = errors.New("the value is no JSON object in UTF-8")
	errNoTime    = errors.New("the value has no timestamp as Longshore writes them")
	errNoMessage = errors.New("the value has no message")
)

// AppendRecord appends to a batch the record that event.AppendRecord wrote as value, with the
// labels of its source, which are those of b.Source: its time, level, message, service, ids, flags
// and fields. Its line is its message. Written again, it is the same JSON. After an error the batch
// has no new record.
func AppendRecord(b *event.Batch, pos uint64, value []byte) error {
	if !utf8.Valid(value) || !json.Valid(value) {
		return errNoObject
	}
	at := event.SkipBlanks(value, 0)
	if value[at] != '{' {
		return errNoObject
	}
	n := len(b.Records)
	b.Add(pos, 0, event.Span{})
	d := decoder{b: b, i: n, p: value, base: b.Put(value).Off}
	d.members(at + 1)
	err := d.missing()
	if err != nil {
		b.Records = b.Records[:n]
	}
	return err
}

// A decoder reads one record. Its text is valid JSON, and stands at base in the batch's arena.
type decoder struct {
	b    *event.Batch
	i    int // of the record
	p    []byte
	base uint32

	hasTime, hasMessage, hasLevel, hasService bool
}

func (d *decoder) missing() error {
	switch {
	case !d.hasTime:
		return errNoTime
	case !d.hasMessage:
		return errNoMessage
	}
	d.b.Records[d.i].Flags |= event.Parsed | event.LineTime
	return nil
}

// members reads from behind the object's brace.
func (d *decoder) members(at int) {
	for {
		at = event.SkipBlanks(d.p, at)
		if d.p[at] == ',' {
			at = event.SkipBlanks(d.p, at+1)
		}
		if d.p[at] == '}' {
			return
		}
		end := event.StringEnd(d.p, at+1)
		key := d.text(at+1, end)
		at = event.SkipBlanks(d.p, end+1) // the colon
		at = event.SkipBlanks(d.p, at+1)  // the value
		v, after := d.value(at)
		if !d.core(key, v) {
			d.field(key, v)
		}
		at = after
	}
}

// text returns the inside of a string.
func (d *decoder) text(from, to int) event.Value {
	v := event.Value{Span: event.Span{Off: d.base + uint32(from), Len: uint32(to - from)}, Kind: event.Plain}
	if bytes.IndexByte(d.p[from:to], '\\') >= 0 {
		v.Kind = event.Escaped
	}
	return v
}

// value returns the value that begins at an index, and the index behind it.
func (d *decoder) value(at int) (event.Value, int) {
	end, kind := at, event.Number
	switch d.p[at] {
	case '"':
		end = event.StringEnd(d.p, at+1)
		return d.text(at+1, end), end + 1
	case '{':
		end, kind = event.NestedEnd(d.p, at), event.Object
	case '[':
		end, kind = event.NestedEnd(d.p, at), event.Array
	case 't', 'f':
		kind = event.Bool
	case 'n':
		kind = event.Null
	}
	for end == at || end < len(d.p) && kind != event.Object && kind != event.Array && !endsScalar(d.p[end]) {
		end++
	}
	return event.Value{Span: event.Span{Off: d.base + uint32(at), Len: uint32(end - at)}, Kind: kind}, end
}

func endsScalar(c byte) bool { return c == ',' || c == '}' || c <= ' ' }

// core takes what is no field, and reports whether it was that.
func (d *decoder) core(key, v event.Value) bool {
	r, text := &d.b.Records[d.i], d.b.Bytes(v.Span)
	switch string(d.b.Bytes(key.Span)) {
	case "timestamp":
		return !d.hasTime && v.Kind == event.Plain && d.time(text)
	case "message":
		return !d.hasMessage && v.Kind.IsString() && d.message(v)
	case "level":
		level := event.LevelNamed(string(text))
		if d.hasLevel || v.Kind != event.Plain || level == event.NoLevel {
			return false
		}
		d.hasLevel, r.Level = true, level
	case event.LabelService:
		return !d.hasService && v.Kind.IsString() && d.service(v)
	case "trace_id":
		return v.Kind == event.Plain && d.id(text, r.TraceID[:], event.HasTrace)
	case "span_id":
		return v.Kind == event.Plain && d.id(text, r.SpanID[:], event.HasSpan)
	case "truncated":
		return v.Kind == event.Bool && d.flag(text, event.Truncated)
	case "time_rejected":
		return v.Kind == event.Bool && d.flag(text, event.OddTime)
	default:
		return d.label(key)
	}
	return true
}

func (d *decoder) time(text []byte) bool {
	ns, ok := parseTime(text)
	if ok {
		d.hasTime, d.b.Records[d.i].Time = true, ns
	}
	return ok
}

// message makes the message the record's line, too.
func (d *decoder) message(v event.Value) bool {
	line := v.Span
	if v.Kind == event.Escaped {
		line = d.b.Put(d.b.AppendText(nil, v))
	}
	r := &d.b.Records[d.i]
	d.hasMessage, r.Message, r.Line, r.RedundantText = true, v, line, line
	return true
}

// service leaves a service that the source has to the source.
func (d *decoder) service(v event.Value) bool {
	d.hasService = true
	if string(d.b.AppendText(nil, v)) != d.b.Source.Label(event.LabelService) {
		d.b.Records[d.i].Service = v
	}
	return true
}

func (d *decoder) id(text, to []byte, flag event.Flags) bool {
	r := &d.b.Records[d.i]
	if r.Flags&flag != 0 || len(text) != hex.EncodedLen(len(to)) {
		return false
	}
	if _, err := hex.Decode(to, text); err != nil {
		clear(to)
		return false
	}
	r.Flags |= flag
	return true
}

func (d *decoder) flag(text []byte, flag event.Flags) bool {
	r := &d.b.Records[d.i]
	if r.Flags&flag != 0 || string(text) != "true" {
		return false
	}
	r.Flags |= flag
	return true
}

func (d *decoder) label(key event.Value) bool {
	name := d.b.Bytes(key.Span)
	if key.Kind == event.Escaped {
		name = d.b.AppendText(nil, key)
	}
	return d.b.Source.WritesLabel(name)
}

func (d *decoder) field(key, v event.Value) {
	if key.Kind == event.Plain {
		key.Kind = event.NameKind(d.b.Bytes(key.Span))
	}
	d.b.AddField(d.i, key, v)
}
