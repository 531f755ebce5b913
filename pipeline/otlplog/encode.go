package otlplog

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/hop"
)

// A SourceEncoder writes the records of one source. It is for one goroutine.
type SourceEncoder struct {
	source     *event.Source
	attributes []byte // those that all its records have
	resource   []byte // Group without the service
	identity   bool
	scratch    []byte
	namer      event.OTelNamer
}

// NewSourceEncoder makes the encoder of a source. With identity, another Longshore knows the
// records again, and what they are from, as package hop has it: the source's ID and labels are
// attributes of the resource, and the position is one of the record.
func NewSourceEncoder(src *event.Source, identity bool) *SourceEncoder {
	resource, attributes := event.OTelLabels(src.Labels)
	e := &SourceEncoder{source: src, identity: identity}
	for _, l := range attributes {
		e.attributes = appendAttribute(e.attributes, tagAttribute, l.Name, l.Value)
	}
	for _, l := range resource {
		e.resource = append(e.resource, ',')
		e.resource = event.AppendString(e.resource, l.Name)
		e.resource = append(e.resource, ':')
		e.resource = event.AppendString(e.resource, l.Value)
	}
	if identity {
		e.resource = append(e.resource, `,"`+hop.LabelsHeader+`":`...)
		e.resource = event.AppendString(e.resource, string(hop.AppendLabels(nil, src.Labels)))
	}
	return e
}

// AppendRecord appends record i of a batch of the source as a field of ScopeLogs.
func (e *SourceEncoder) AppendRecord(dst []byte, b *event.Batch, i int, observed int64) []byte {
	r := &b.Records[i]
	dst, start := openField(dst, tagLogRecord)
	if r.Time > 0 {
		dst = binary.LittleEndian.AppendUint64(append(dst, tagTime), uint64(r.Time))
	}
	dst = append(dst, severities[r.Level]...)
	dst = e.appendBody(dst, b, b.MessageOf(i))
	dst = append(dst, e.attributes...)
	if e.identity {
		_, pos := b.IdentityOf(i)
		value := 1 + sizeVarint(pos)
		dst = appendLength(dst, tagAttribute, sizeField(len(hop.PositionHeader))+sizeField(value))
		dst = appendLength(appendString(dst, tagKey, hop.PositionHeader), tagValue, value)
		dst = binary.AppendUvarint(append(dst, tagInt), pos)
	}
	if r.Flags&event.Truncated != 0 {
		dst = append(dst, attributeTruncated...)
	}
	if r.Flags&event.OddTime != 0 {
		dst = append(dst, attributeOddTime...)
	}
	dst, flags := e.appendFields(dst, b, i)
	if flags != 0 {
		dst = binary.LittleEndian.AppendUint32(append(dst, tagFlags), flags)
	}
	if r.Flags&event.HasTrace != 0 {
		dst = appendBytes(dst, tagTraceID, r.TraceID[:])
	}
	if r.Flags&event.HasSpan != 0 {
		dst = appendBytes(dst, tagSpanID, r.SpanID[:])
	}
	dst = binary.LittleEndian.AppendUint64(append(dst, tagObservedTime), uint64(observed))
	return closeField(dst, start)
}

// severities are the fields of each level: the first number of the four that it has in the data
// model, and its name.
var severities = func() (all [event.Fatal + 1]string) {
	for l, name := range [...]string{
		event.Trace: "TRACE", event.Debug: "DEBUG", event.Info: "INFO", event.Warn: "WARN", event.Error: "ERROR",
		event.Fatal: "FATAL",
	} {
		if name != "" {
			p := append([]byte(nil), tagSeverityNumber, byte(4*(l-1)+1))
			all[l] = string(appendString(p, tagSeverityText, name))
		}
	}
	return all
}()

var (
	attributeTruncated = string(appendFlag(nil, "truncated"))
	attributeOddTime   = string(appendFlag(nil, "time_rejected"))
)

// appendFlag appends an attribute that is true.
func appendFlag(dst []byte, key string) []byte {
	dst = appendLength(dst, tagAttribute, sizeField(len(key))+sizeField(2))
	dst = appendString(dst, tagKey, key)
	return append(appendLength(dst, tagValue, 2), tagBool, 1)
}

// appendAttribute appends a KeyValue whose value is text.
func appendAttribute(dst []byte, tag byte, key, value string) []byte {
	key, value = valid(key), valid(value)
	dst = appendLength(dst, tag, sizeField(len(key))+sizeField(sizeField(len(value))))
	dst = appendString(dst, tagKey, key)
	return appendString(appendLength(dst, tagValue, sizeField(len(value))), tagString, value)
}

func valid(s string) string { return string(bytes.ToValidUTF8([]byte(s), []byte("\ufffd"))) }

// appendBody appends the message, which is text.
func (e *SourceEncoder) appendBody(dst []byte, b *event.Batch, v event.Value) []byte {
	p := e.text(b, v)
	return appendBytes(appendLength(dst, tagBody, sizeField(len(p))), tagString, p)
}

// text returns a value as text in valid UTF-8, until the next call.
func (e *SourceEncoder) text(b *event.Batch, v event.Value) []byte {
	p := b.Bytes(v.Span)
	switch v.Kind {
	case event.Escaped:
		e.scratch = event.AppendUnescaped(e.scratch[:0], p)
		return e.scratch
	case event.Text:
		if !utf8.Valid(p) {
			e.scratch = appendValid(e.scratch[:0], p)
			return e.scratch
		}
	}
	return p
}

// appendValid appends text; each byte that is not UTF-8 becomes U+FFFD.
func appendValid(dst, p []byte) []byte {
	for len(p) > 0 {
		r, size := utf8.DecodeRune(p)
		dst = utf8.AppendRune(dst, r)
		p = p[size:]
	}
	return dst
}

// appendFields appends the record's fields as attributes. A field trace_flags becomes flags.
func (e *SourceEncoder) appendFields(dst []byte, b *event.Batch, i int) (_ []byte, flags uint32) {
	e.namer.Start(b, i)
	for k, f := range b.Fields(i) {
		if f.Key.Len == uint32(len(traceFlags)) && string(b.Bytes(f.Key.Span)) == traceFlags {
			if v, ok := flagsOf(b, f.Value); ok {
				flags = v
				continue
			}
		}
		var start int
		dst, start = openField(dst, tagAttribute)
		name := e.namer.Name(k)
		if !utf8.Valid(name) {
			name = bytes.ToValidUTF8(name, []byte("\ufffd"))
		}
		dst = appendBytes(dst, tagKey, name)
		dst = e.appendValue(dst, b, f.Value)
		dst = closeField(dst, start)
	}
	return dst, flags
}

// traceFlags is the name under which OpenTelemetry wants lines to have the flags of W3C's trace
// context (Trace Context in non-OTLP Log Formats).
const traceFlags = "trace_flags"

// flagsOf reads trace flags: two hex digits, or a number.
func flagsOf(b *event.Batch, v event.Value) (uint32, bool) {
	base := 16
	switch {
	case v.Kind == event.Number:
		base = 10
	case !v.Kind.IsString() || v.Len != 2:
		return 0, false
	}
	n, err := strconv.ParseUint(string(b.Bytes(v.Span)), base, 8)
	return uint32(n), err == nil
}

// appendValue appends a value as the field of a KeyValue.
func (e *SourceEncoder) appendValue(dst []byte, b *event.Batch, v event.Value) []byte {
	if v.Kind.IsString() {
		p := e.text(b, v)
		return appendBytes(appendLength(dst, tagValue, sizeField(len(p))), tagString, p)
	}
	return e.appendJSON(dst, tagValue, b.Bytes(v.Span), v.Kind, 0)
}

// maxDepth bounds objects and arrays within each other: what is deeper is text. Parsers of protobuf
// give up at a hundred messages, and each of these is three.
const maxDepth = 24

// appendJSON appends an AnyValue of a value that is valid JSON and no string.
func (e *SourceEncoder) appendJSON(dst []byte, tag byte, p []byte, kind event.Kind, depth int) []byte {
	switch kind {
	case event.Number:
		return appendNumber(dst, tag, p)
	case event.Bool:
		return append(dst, tag, 2, tagBool, isTrue(p))
	case event.Object, event.Array:
		if depth == maxDepth {
			return appendBytes(appendLength(dst, tag, sizeField(len(p))), tagString, p)
		}
		inside := byte(tagList)
		if kind == event.Array {
			inside = tagArray
		}
		dst, start := openField(dst, tag)
		dst, list := openField(dst, inside)
		dst = e.appendElements(dst, p, depth)
		return closeField(closeField(dst, list), start)
	}
	return append(dst, tag, 0)
}

func isTrue(p []byte) byte {
	if len(p) > 0 && p[0] == 't' {
		return 1
	}
	return 0
}

// appendElements appends what is in an object or array.
func (e *SourceEncoder) appendElements(dst, p []byte, depth int) []byte {
	object := p[0] == '{'
	for at := event.SkipBlanks(p, 1); at < len(p)-1; {
		if !object {
			dst, at = e.appendElement(dst, tagElement, p, at, depth)
		} else {
			end := event.StringEnd(p, at+1)
			var pair int
			dst, pair = openField(dst, tagElement)
			dst = e.appendUnescaped(dst, tagKey, p[at+1:end])
			colon := event.SkipBlanks(p, end+1)
			dst, at = e.appendElement(dst, tagValue, p, event.SkipBlanks(p, colon+1), depth)
			dst = closeField(dst, pair)
		}
		at = event.SkipBlanks(p, at)
		if at < len(p) && p[at] == ',' {
			at = event.SkipBlanks(p, at+1)
		}
	}
	return dst
}

// appendElement appends the value that begins at an index, and returns the index behind it.
func (e *SourceEncoder) appendElement(dst []byte, tag byte, p []byte, at, depth int) (_ []byte, behind int) {
	if at >= len(p) {
		return append(dst, tag, 0), at
	}
	if p[at] == '"' {
		end := event.StringEnd(p, at+1)
		inside := p[at+1 : end]
		if bytes.IndexByte(inside, '\\') >= 0 {
			e.scratch = event.AppendUnescaped(e.scratch[:0], inside)
			inside = e.scratch
		}
		return appendBytes(appendLength(dst, tag, sizeField(len(inside))), tagString, inside), end + 1
	}
	v, end := event.ValueAt(p, at)
	return e.appendJSON(dst, tag, p[at:end], v, depth+1), end
}

func (e *SourceEncoder) appendUnescaped(dst []byte, tag byte, p []byte) []byte {
	if bytes.IndexByte(p, '\\') >= 0 {
		e.scratch = event.AppendUnescaped(e.scratch[:0], p)
		p = e.scratch
	}
	return appendBytes(dst, tag, p)
}

// appendNumber appends a number of JSON as the AnyValue of its kind.
func appendNumber(dst []byte, tag byte, p []byte) []byte {
	if n, ok := integer(p); ok {
		size := 1 + sizeVarint(uint64(n))
		dst = append(dst, tag, byte(size), tagInt)
		return binary.AppendUvarint(dst, uint64(n))
	}
	if bytes.ContainsAny(p, ".eE") {
		if x, err := strconv.ParseFloat(string(p), 64); err == nil {
			dst = append(dst, tag, 9, tagDouble)
			return binary.LittleEndian.AppendUint64(dst, math.Float64bits(x))
		}
	}
	return appendBytes(appendLength(dst, tag, sizeField(len(p))), tagString, p)
}

// integer reads an integer of JSON that has 64 bits.
func integer(p []byte) (int64, bool) {
	negative := len(p) > 0 && p[0] == '-'
	if negative {
		p = p[1:]
	}
	if len(p) == 0 || len(p) > 19 {
		return 0, false
	}
	n := uint64(0)
	for _, c := range p {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + uint64(c-'0') // of 19 digits at most
	}
	if negative {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n <= math.MaxInt64
}
