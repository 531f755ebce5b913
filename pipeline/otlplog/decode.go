package otlplog

import (
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/hop"
)

// ErrMalformed is of bytes that are no message.
var ErrMalformed = errors.New("the request is no ExportLogsServiceRequest in protobuf")

// A Resource is what records are from.
type Resource struct {
	// Raw is the message; equal resources need not have equal bytes, but mostly do.
	Raw []byte
	// Labels are the attributes that are labels by Longshore's names. With an identity they are
	// those that the other Longshore has.
	Labels []event.Label
	// ID is the source that another Longshore has first read the records from; 0 for none.
	ID event.SourceID

	service []byte
	fields  [][]byte // attributes that each record is to have, as KeyValues
}

// Service returns the name of the service, or "".
func (r *Resource) Service() string { return strings.ToValidUTF8(string(r.service), "\ufffd") }

// Fields returns how many fields each record gets of the resource and scope.
func (r *Resource) Fields() int { return len(r.fields) }

// EachRecord calls f for each LogRecord of a request. The resource is valid until the next call
// with another one. An error of f is returned.
func EachRecord(request []byte, f func(of *Resource, record []byte) error) error {
	var err error
	ok := each(request, func(w wireField) {
		if w.tag == tagResourceLogs && err == nil {
			err = eachOfResource(w.bytes, f)
		}
	})
	if err == nil && !ok {
		return ErrMalformed
	}
	return err
}

func eachOfResource(p []byte, f func(*Resource, []byte) error) error {
	var raw []byte
	ok := each(p, func(w wireField) {
		if w.tag == tagResource {
			raw = w.bytes
		}
	})
	of, err := readResource(raw)
	if !ok || err != nil {
		return ErrMalformed
	}
	own := len(of.fields)
	each(p, func(w wireField) {
		if w.tag == tagScopeLogs && err == nil {
			of.fields = of.fields[:own]
			err = eachOfScope(w.bytes, of, f)
		}
	})
	return err
}

func eachOfScope(p []byte, of *Resource, f func(*Resource, []byte) error) error {
	whole := each(p, func(w wireField) {
		if w.tag == tagScope && of.ID == 0 {
			of.addScope(w.bytes)
		}
	})
	if !whole {
		return ErrMalformed
	}
	var err error
	each(p, func(w wireField) {
		if w.tag == tagLogRecord && err == nil {
			err = f(of, w.bytes)
		}
	})
	return err
}

// addScope gives records the name of their scope, as OpenTelemetry names it outside of OTLP.
func (r *Resource) addScope(p []byte) {
	each(p, func(w wireField) {
		switch {
		case len(w.bytes) == 0:
		case w.tag == tagScopeName:
			r.fields = append(r.fields, textPair("otel.scope.name", w.bytes))
		case w.tag == tagScopeVersion:
			r.fields = append(r.fields, textPair("otel.scope.version", w.bytes))
		case w.tag == tagScopeAttribute:
			r.fields = append(r.fields, w.bytes)
		}
	})
}

// textPair returns a KeyValue.
func textPair(key string, value []byte) []byte {
	p := appendString(nil, tagKey, key)
	return appendBytes(appendLength(p, tagValue, sizeField(len(value))), tagString, value)
}

// readResource reads the attributes: what has a name of a label becomes one, and all else is a
// field of each record.
func readResource(raw []byte) (*Resource, error) {
	r := &Resource{Raw: raw}
	var labels []byte
	var fields [][]byte
	var found []event.Label
	ok := each(raw, func(w wireField) {
		if w.tag != tagResourceAttribute {
			return
		}
		key, value, valid := readPair(w.bytes)
		if !valid {
			raw = nil
			return
		}
		text := textOf(value)
		switch name := labelOf(string(key)); {
		case string(key) == hop.SourceHeader:
			r.ID, _ = hop.ParseSource(text)
		case string(key) == hop.LabelsHeader:
			labels = text
		case name == "" || len(text) == 0:
			fields = append(fields, w.bytes)
		default:
			found = append(found, event.Label{Name: name, Value: strings.ToValidUTF8(string(text), "\ufffd")})
			if name == event.LabelService {
				r.service = text
			}
		}
	})
	if !ok || raw == nil && len(r.Raw) > 0 {
		return nil, ErrMalformed
	}
	r.Labels, r.fields = found, fields
	if theirs, err := hop.ParseLabels(labels); r.ID != 0 && err == nil {
		r.Labels, r.fields = theirs, nil
	} else {
		r.ID = 0
	}
	return r, nil
}

// labelOf returns the label that an attribute of a resource is, or "".
func labelOf(attribute string) string {
	switch attribute {
	case "service.name":
		return event.LabelService
	case "container.image.name":
		return event.LabelImage
	case event.LabelHost, event.LabelContainerID, event.LabelContainerName, event.LabelComposeProject,
		event.LabelComposeService, event.LabelNamespace, event.LabelPod, event.LabelPodUID, event.LabelNode,
		event.LabelRestarts, "k8s.container.name", "k8s.cluster.name":
		return attribute
	}
	return ""
}

// readPair reads a KeyValue.
func readPair(p []byte) (key, value []byte, ok bool) {
	ok = each(p, func(w wireField) {
		switch w.tag {
		case tagKey:
			key = w.bytes
		case tagValue:
			value = w.bytes
		}
	})
	return key, value, ok && validValue(value, 0)
}

// validValue reports whether p is an AnyValue, not too deep.
func validValue(p []byte, depth int) bool {
	if depth > maxValueDepth {
		return false
	}
	inside := true
	whole := each(p, func(w wireField) {
		switch w.tag {
		case tagArray:
			inside = inside && each(w.bytes, func(e wireField) {
				inside = inside && (e.tag != tagElement || validValue(e.bytes, depth+1))
			})
		case tagList:
			inside = inside && each(w.bytes, func(e wireField) {
				inside = inside && (e.tag != tagElement || validPair(e.bytes, depth+1))
			})
		}
	})
	return whole && inside
}

func validPair(p []byte, depth int) bool {
	inside := true
	whole := each(p, func(w wireField) {
		inside = inside && (w.tag != tagValue || validValue(w.bytes, depth))
	})
	return whole && inside
}

// textOf returns the text of a value that is text or a number; nil for others.
func textOf(value []byte) []byte {
	w, _, ok := nextField(value)
	switch {
	case ok && w.tag == tagString:
		return w.bytes
	case ok && w.tag == tagInt:
		return strconv.AppendInt(nil, int64(w.num), 10)
	}
	return nil
}

// A LogRecord is one that ParseRecord has looked at.
type LogRecord struct {
	// File and Stream are what the record says of where it was read.
	File, Stream []byte
	// Position is that in the source which another Longshore has first read it from.
	Position    uint64
	HasPosition bool
	// Attributes is how many it has.
	Attributes int

	raw            []byte
	time, observed uint64
	number, flags  uint64
	dropped        uint64
	severity, body []byte
	trace, span    []byte
	event          []byte
}

// ParseRecord reads a LogRecord, and reports whether it is one.
func ParseRecord(raw []byte) (r LogRecord, ok bool) {
	r.raw = raw
	whole, inside := true, true
	whole = each(raw, func(w wireField) {
		switch w.tag {
		case tagTime:
			r.time = w.num
		case tagObservedTime:
			r.observed = w.num
		case tagSeverityNumber:
			r.number = w.num
		case tagSeverityText:
			r.severity = w.bytes
		case tagBody:
			r.body = w.bytes
			inside = inside && validValue(w.bytes, 0)
		case tagAttribute:
			inside = r.readAttribute(w.bytes) && inside
		case tagDropped:
			r.dropped = w.num
		case tagFlags:
			r.flags = w.num
		case tagTraceID:
			r.trace = w.bytes
		case tagSpanID:
			r.span = w.bytes
		case tagEventName:
			r.event = w.bytes
		}
	})
	return r, whole && inside
}

func (r *LogRecord) readAttribute(p []byte) bool {
	key, value, ok := readPair(p)
	r.Attributes++
	switch string(key) {
	case "log.file.path":
		r.File = textOf(value)
	case "log.iostream":
		r.Stream = textOf(value)
	case hop.PositionHeader:
		if w, _, isField := nextField(value); isField && w.tag == tagInt {
			r.Position, r.HasPosition = w.num, true
		}
	}
	return ok
}

// Time returns when the record was made, or else observed, in Unix nanoseconds; 0 if it does not
// say.
func (r *LogRecord) Time() int64 {
	for _, t := range []uint64{r.time, r.observed} {
		if t > 0 && t < math.MaxInt64 {
			return int64(t)
		}
	}
	return 0
}

// AppendLine appends the body as text.
func (r *LogRecord) AppendLine(dst []byte) []byte {
	w, _, ok := nextField(r.body)
	if ok && w.tag == tagString {
		return append(dst, w.bytes...)
	}
	if len(r.body) == 0 {
		return dst
	}
	return appendPlainJSON(dst, r.body)
}

// Fill sets record i of a batch, whose line is that of AppendLine, to what the record says. A
// record that says no more than its text is left to the parsers, unless it was a Longshore's.
func (r *LogRecord) Fill(b *event.Batch, i int, of *Resource) {
	record := &b.Records[i]
	if r.time > 0 && r.time < math.MaxInt64 {
		record.Flags |= event.LineTime
	}
	if of.ID == 0 && r.saysNoMore(of) {
		return
	}
	record.Flags |= event.Parsed | event.LineTime
	record.Message = event.Value{Span: record.Line, Kind: kindOfText(b.Line(i))}
	record.RedundantText = record.Line
	record.Level = r.level()
	if len(r.trace) == len(record.TraceID) && !zero(r.trace) {
		copy(record.TraceID[:], r.trace)
		record.Flags |= event.HasTrace
	}
	if len(r.span) == len(record.SpanID) && !zero(r.span) {
		copy(record.SpanID[:], r.span)
		record.Flags |= event.HasSpan
	}
	if own := b.Source.Label(event.LabelService); len(of.service) > 0 && string(of.service) != own &&
		(own != "" || string(of.service) != unknownService) {
		b.Records[i].Service = putText(b, of.service)
	}
	r.fillFields(b, i, of)
}

// saysNoMore reports whether a record is nothing but a text, perhaps with where that was read.
func (r *LogRecord) saysNoMore(of *Resource) bool {
	where := 0
	for _, text := range [][]byte{r.File, r.Stream} {
		if text != nil {
			where++
		}
	}
	body, _, ok := nextField(r.body)
	return r.number == 0 && len(r.severity) == 0 && len(r.trace) == 0 && len(r.span) == 0 && r.Attributes == where &&
		len(of.fields) == 0 && len(r.event) == 0 && ok && body.tag == tagString
}

func (r *LogRecord) fillFields(b *event.Batch, i int, of *Resource) {
	if name := r.level().String(); len(r.severity) > 0 && !strings.EqualFold(string(r.severity), name) {
		b.AddField(i, putName(b, []byte("severity_text")), putText(b, r.severity))
	}
	if len(r.event) > 0 {
		b.AddField(i, putName(b, []byte("event.name")), putText(b, r.event))
	}
	if flags := r.flags & 0xff; flags != 0 {
		b.AddField(i, putName(b, []byte(traceFlags)), putText(b, []byte{hexLower[flags>>4], hexLower[flags&15]}))
	}
	if r.dropped > 0 {
		count := event.Value{Span: b.Put(strconv.AppendUint(nil, r.dropped, 10)), Kind: event.Number}
		b.AddField(i, putName(b, []byte("dropped_attributes_count")), count)
	}
	for _, pair := range of.fields {
		addPair(b, i, pair)
	}
	each(r.raw, func(w wireField) {
		if w.tag == tagAttribute {
			r.addAttribute(b, i, w.bytes, of.ID != 0)
		}
	})
}

const hexLower = "0123456789abcdef"

// addAttribute adds an attribute as a field, unless the source or the record has it otherwise.
func (r *LogRecord) addAttribute(b *event.Batch, i int, p []byte, ours bool) {
	key, value, _ := readPair(p)
	switch string(key) {
	case "log.file.path":
		if b.Source.Label(event.LabelFile) == string(textOf(value)) {
			return
		}
	case "log.iostream":
		if b.Source.Label(event.LabelStream) == string(textOf(value)) {
			return
		}
	case hop.PositionHeader:
		if ours {
			return
		}
	case "truncated":
		if ours && isTruth(value) {
			b.Records[i].Flags |= event.Truncated
			return
		}
	case "time_rejected":
		if ours && isTruth(value) {
			b.Records[i].Flags |= event.OddTime
			return
		}
	}
	addPair(b, i, p)
}

func isTruth(value []byte) bool {
	w, _, ok := nextField(value)
	return ok && w.tag == tagBool && w.num != 0
}

func addPair(b *event.Batch, i int, p []byte) {
	key, value, _ := readPair(p)
	b.AddField(i, putName(b, key), putValue(b, value))
}

func zero(p []byte) bool {
	for _, c := range p {
		if c != 0 {
			return false
		}
	}
	return true
}

// level is that of the severity's number, or else of its text.
func (r *LogRecord) level() event.Level {
	if r.number >= 1 && r.number <= 24 {
		return event.Level((r.number-1)/4 + 1)
	}
	switch name := strings.ToLower(string(r.severity)); name {
	case "warning":
		return event.Warn
	case "err":
		return event.Error
	case "information", "notice":
		return event.Info
	case "critical", "emergency", "alert", "panic":
		return event.Fatal
	default:
		return event.LevelNamed(name)
	}
}

// kindOfText is Plain for text that stands in JSON as it is.
func kindOfText(p []byte) event.Kind {
	for _, c := range p {
		if c < ' ' || c >= 0x80 || c == '"' || c == '\\' {
			return event.Text
		}
	}
	return event.Plain
}

func putText(b *event.Batch, p []byte) event.Value {
	return event.Value{Span: b.Put(p), Kind: kindOfText(p)}
}

func putName(b *event.Batch, p []byte) event.Value {
	v := putText(b, p)
	if v.Kind == event.Plain {
		v.Kind = event.NameKind(p)
	}
	return v
}

// putValue puts an AnyValue.
func putValue(b *event.Batch, value []byte) event.Value {
	w, _, ok := nextField(value)
	kind := event.Null
	switch {
	case !ok:
	case w.tag == tagString:
		return putText(b, w.bytes)
	case w.tag == tagBool:
		kind = event.Bool
	case w.tag == tagInt:
		kind = event.Number
	case w.tag == tagDouble:
		kind = event.Number
		if x := math.Float64frombits(w.num); math.IsNaN(x) || math.IsInf(x, 0) {
			return putText(b, strconv.AppendFloat(nil, x, 'g', -1, 64))
		}
	case w.tag == tagBytes:
		return putText(b, base64.StdEncoding.AppendEncode(nil, w.bytes))
	case w.tag == tagArray:
		kind = event.Array
	case w.tag == tagList:
		kind = event.Object
	}
	begin := len(b.Arena)
	b.Arena = appendPlainJSON(b.Arena, value)
	return event.Value{Span: event.Span{Off: uint32(begin), Len: uint32(len(b.Arena) - begin)}, Kind: kind}
}

// appendPlainJSON appends an AnyValue as the JSON that it means.
func appendPlainJSON(dst, value []byte) []byte {
	w, _, ok := nextField(value)
	if !ok {
		return append(dst, "null"...)
	}
	switch w.tag {
	case tagString:
		return appendText(dst, w.bytes)
	case tagBool:
		return strconv.AppendBool(dst, w.num != 0)
	case tagInt:
		return strconv.AppendInt(dst, int64(w.num), 10)
	case tagDouble:
		return appendDouble(dst, math.Float64frombits(w.num))
	case tagBytes:
		return append(base64.StdEncoding.AppendEncode(append(dst, '"'), w.bytes), '"')
	case tagArray:
		return append(appendList(append(dst, '['), w.bytes, appendPlainJSON), ']')
	case tagList:
		return append(appendList(append(dst, '{'), w.bytes, appendPlainPair), '}')
	}
	return append(dst, "null"...)
}

func appendPlainPair(dst, p []byte) []byte {
	key, value, _ := readPair(p)
	return appendPlainJSON(append(appendText(dst, key), ':'), value)
}
