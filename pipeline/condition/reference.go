package condition

import (
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline/event"
)

// levelOrder is the name of a record's level as a number, which nobody can write.
const levelOrder = "level as number"

// part is the part of a record that a name stands for.
type part uint8

const (
	field part = iota
	label
	message
	level
	levelNumber
	service
	traceID
	spanID
	timestamp
)

// A reference is a name in an expression.
type reference struct {
	written string
	part    part
	name    string // of the field or label
}

var parts = map[string]part{
	"message": message, "level": level, levelOrder: levelNumber, "service": service,
	"trace_id": traceID, "span_id": spanID, "timestamp": timestamp,
}

func referenceTo(written string) reference {
	if p, ok := parts[written]; ok {
		return reference{written: written, part: p}
	}
	if name, ok := strings.CutPrefix(written, "labels."); ok {
		return reference{written, label, name}
	}
	return reference{written, field, strings.TrimPrefix(written, "fields.")}
}

// load returns what record i has, as an operand that is valid until room is used again.
func (r *reference) load(b *event.Batch, i int, room []byte) operand {
	rec := &b.Records[i]
	switch r.part {
	case message:
		return operand{kind: isText, text: textOf(b, b.MessageOf(i), room)}
	case level:
		if rec.Level != event.NoLevel {
			return operand{kind: isText, text: append(room, rec.Level.String()...)}
		}
	case levelNumber:
		return operand{kind: isInt, int: int(orInfo(rec.Level))}
	case service:
		if rec.Service.Kind != event.None {
			return operand{kind: isText, text: textOf(b, rec.Service, room)}
		}
		return textOperand(append(room, b.Source.Label(event.LabelService)...))
	case traceID:
		if rec.Flags&event.HasTrace != 0 {
			return operand{kind: isText, text: event.AppendHex(room, rec.TraceID[:])}
		}
	case spanID:
		if rec.Flags&event.HasSpan != 0 {
			return operand{kind: isText, text: event.AppendHex(room, rec.SpanID[:])}
		}
	case timestamp:
		return operand{kind: isTime, time: time.Unix(0, rec.Time).UTC()}
	case label:
		return textOperand(append(room, b.Source.Label(r.name)...))
	default:
		return valueOperand(b, b.Lookup(i, r.name), room)
	}
	return operand{}
}

func orInfo(l event.Level) event.Level {
	if l == event.NoLevel {
		return event.Info
	}
	return l
}

// textOperand is nil for what is empty.
func textOperand(p []byte) operand {
	if len(p) == 0 {
		return operand{}
	}
	return operand{kind: isText, text: p}
}

func textOf(b *event.Batch, v event.Value, room []byte) []byte {
	if v.Kind == event.Escaped {
		return event.AppendUnescaped(room, b.Bytes(v.Span))
	}
	return b.Bytes(v.Span)
}

func valueOperand(b *event.Batch, v event.Value, room []byte) operand {
	switch v.Kind {
	case event.None, event.Null:
		return operand{}
	case event.Number:
		n, _ := numberIn(b.Bytes(v.Span))
		return n
	case event.Bool:
		return operand{kind: isBool, yes: b.Arena[v.Off] == 't'}
	case event.Object, event.Array:
		return operand{kind: isJSON, text: b.Bytes(v.Span)}
	}
	return operand{kind: isText, text: textOf(b, v, room)}
}

// value returns what record i has, for the virtual machine.
func (r *reference) value(b *event.Batch, i int) any {
	o := r.load(b, i, nil)
	switch o.kind {
	case isText:
		return string(o.text)
	case isInt:
		return o.int
	case isFloat:
		return o.float
	case isBool:
		return o.yes
	case isTime:
		return o.time
	case isJSON:
		return o.decoded()
	}
	return nil
}
