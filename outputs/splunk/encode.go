package splunk

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// An encoder writes an item as an event:
//
//	{"time":1700000000.123456,"host":"web-1","source":"/var/log/app.log","fields":{…},"event":{…}}
type encoder struct {
	raw       bool
	schema    event.Schema
	anySource bool    // nothing says what the source is
	meta      []field // host, source, sourcetype, index
	fields    []field
	value     []byte
}

// eventMark is before the event, which is the last of an item; in a text its quotes are escaped.
var eventMark = []byte(`,"event":`)

// Encode implements pipeline.Encoder.
func (e *encoder) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	buf := append(dst.Bytes, `{"time":`...)
	buf = appendTime(buf, b.Records[i].Time)
	for _, m := range e.meta {
		buf = e.appendText(buf, m, b, i, ',')
	}
	if e.anySource {
		buf = appendSource(buf, b.Source)
	}
	buf = e.appendFields(buf, b, i)
	buf = append(buf, eventMark...)
	if line := b.Line(i); e.raw && len(bytes.TrimSpace(line)) > 0 { // a blank event is refused
		buf = event.AppendString(buf, line)
	} else {
		buf = e.schema.Append(buf, b, i, true)
	}
	dst.Bytes = append(buf, "}\n"...)
	return 0, nil
}

// appendTime appends seconds with microseconds, which is what Splunk keeps.
func appendTime(dst []byte, ns int64) []byte {
	if ns < 0 {
		return strconv.AppendFloat(dst, float64(ns/1000)/1e6, 'f', 6, 64)
	}
	dst = strconv.AppendInt(dst, ns/1e9, 10)
	micros := ns % 1e9 / 1000
	dst = append(dst, '.')
	for digit := int64(100_000); digit > 0; digit /= 10 {
		dst = append(dst, byte('0'+micros/digit%10))
	}
	return dst
}

// appendText appends a member, after a separator, unless its template makes nothing.
func (e *encoder) appendText(dst []byte, f field, b *event.Batch, i int, separator byte) []byte {
	e.value = f.value.Append(e.value[:0], b, i)
	if len(e.value) == 0 {
		return dst
	}
	return appendMember(dst, separator, f.name, e.value)
}

func appendMember[T string | []byte](dst []byte, separator byte, name string, value T) []byte {
	dst = event.AppendString(append(dst, separator), name)
	return event.AppendString(append(dst, ':'), value)
}

func appendSource(dst []byte, src *event.Source) []byte {
	for _, label := range []string{event.LabelFile, event.LabelContainerName} {
		if value := src.Label(label); value != "" {
			return appendMember(dst, ',', "source", value)
		}
	}
	return dst
}

func (e *encoder) appendFields(dst []byte, b *event.Batch, i int) []byte {
	start := len(dst)
	dst = append(dst, `,"fields":`...)
	separator := byte('{')
	for _, f := range e.fields {
		before := len(dst)
		if dst = e.appendText(dst, f, b, i, separator); len(dst) > before {
			separator = ','
		}
	}
	if separator == '{' {
		return dst[:start]
	}
	return append(dst, '}')
}

// original returns the record of an item: the event's line, or its JSON.
func original(item []byte) []byte {
	_, text, _ := bytes.Cut(item, eventMark)
	text = bytes.TrimSuffix(text, []byte("}\n"))
	var line string
	if len(text) > 0 && text[0] == '"' && json.Unmarshal(text, &line) == nil {
		return []byte(line)
	}
	return text
}
