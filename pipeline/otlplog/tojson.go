package otlplog

import (
	"encoding/base64"
	"math"
	"strconv"

	"github.com/longshore/longshore/pipeline/event"
)

// AppendJSONRequest appends an ExportLogsServiceRequest of protobuf as OTLP has it in JSON: names
// in lowerCamelCase, ids in hex, 64-bit integers as text. What is no message is left out.
func AppendJSONRequest(dst, request []byte) []byte {
	return appendMessage(dst, request, requestJSON[:])
}

// AppendJSONRecord appends a record, as AppendRecord made it, as JSON.
func AppendJSONRecord(dst, item []byte) []byte {
	f, _, ok := nextField(item)
	if !ok || f.tag != tagLogRecord {
		return append(dst, "null"...)
	}
	return appendMessage(dst, f.bytes, recordJSON[:])
}

// A jsonField says how a field is written as JSON.
type jsonField struct {
	tag      byte
	name     string
	form     jsonForm
	message  []jsonField // of formMessage
	repeated bool
}

type jsonForm uint8

const (
	formText jsonForm = iota
	formHex
	formNumber
	formTime // 64 bits as text, since JavaScript's numbers are shorter
	formMessage
	formValue
)

// Each is in the order in which the fields may stand.
var (
	pairJSON = [...]jsonField{
		{tag: tagKey, name: "key"}, {tag: tagValue, name: "value", form: formValue},
	}
	resourceJSON = [...]jsonField{
		{tag: tagResourceAttribute, name: "attributes", form: formMessage, message: pairJSON[:], repeated: true},
	}
	scopeJSON = [...]jsonField{
		{tag: tagScopeName, name: "name"}, {tag: tagScopeVersion, name: "version"},
	}
	recordJSON = [...]jsonField{
		{tag: tagTime, name: "timeUnixNano", form: formTime},
		{tag: tagObservedTime, name: "observedTimeUnixNano", form: formTime},
		{tag: tagSeverityNumber, name: "severityNumber", form: formNumber},
		{tag: tagSeverityText, name: "severityText"},
		{tag: tagBody, name: "body", form: formValue},
		{tag: tagAttribute, name: "attributes", form: formMessage, message: pairJSON[:], repeated: true},
		{tag: tagFlags, name: "flags", form: formNumber},
		{tag: tagTraceID, name: "traceId", form: formHex},
		{tag: tagSpanID, name: "spanId", form: formHex},
	}
	scopeLogsJSON = [...]jsonField{
		{tag: tagScope, name: "scope", form: formMessage, message: scopeJSON[:]},
		{tag: tagLogRecord, name: "logRecords", form: formMessage, message: recordJSON[:], repeated: true},
	}
	resourceLogsJSON = [...]jsonField{
		{tag: tagResource, name: "resource", form: formMessage, message: resourceJSON[:]},
		{tag: tagScopeLogs, name: "scopeLogs", form: formMessage, message: scopeLogsJSON[:], repeated: true},
	}
	requestJSON = [...]jsonField{
		{tag: tagResourceLogs, name: "resourceLogs", form: formMessage, message: resourceLogsJSON[:], repeated: true},
	}
)

// appendMessage appends a message as an object. It looks for one field after the other, as what is
// repeated need not stand together.
func appendMessage(dst, p []byte, fields []jsonField) []byte {
	dst = append(dst, '{')
	first := true
	for k := range fields {
		f := &fields[k]
		found := 0
		for rest := p; len(rest) > 0; {
			var w wireField
			var ok bool
			if w, rest, ok = nextField(rest); !ok {
				break
			}
			if w.tag != uint64(f.tag) || found > 0 && !f.repeated {
				continue
			}
			if found == 0 {
				if !first {
					dst = append(dst, ',')
				}
				dst = append(append(append(dst, '"'), f.name...), '"', ':')
				if f.repeated {
					dst = append(dst, '[')
				}
			} else {
				dst = append(dst, ',')
			}
			dst = f.append(dst, w)
			found++
			first = false
		}
		if found > 0 && f.repeated {
			dst = append(dst, ']')
		}
	}
	return append(dst, '}')
}

func (f *jsonField) append(dst []byte, w wireField) []byte {
	switch f.form {
	case formHex:
		return append(event.AppendHex(append(dst, '"'), w.bytes), '"')
	case formNumber:
		return strconv.AppendUint(dst, w.num, 10)
	case formTime:
		return append(strconv.AppendUint(append(dst, '"'), w.num, 10), '"')
	case formMessage:
		return appendMessage(dst, w.bytes, f.message)
	case formValue:
		return appendValueJSON(dst, w.bytes, 0)
	}
	return appendText(dst, w.bytes)
}

func appendText(dst, p []byte) []byte { return event.AppendString(dst, string(p)) }

// maxValueDepth bounds values within each other, each of which is three messages.
const maxValueDepth = 2 * maxDepth

// appendValueJSON appends an AnyValue.
func appendValueJSON(dst, p []byte, depth int) []byte {
	w, _, ok := nextField(p)
	if !ok || depth > maxValueDepth {
		return append(dst, "{}"...)
	}
	switch w.tag {
	case tagString:
		dst = appendText(append(dst, `{"stringValue":`...), w.bytes)
	case tagBool:
		dst = strconv.AppendBool(append(dst, `{"boolValue":`...), w.num != 0)
	case tagInt:
		dst = append(strconv.AppendInt(append(dst, `{"intValue":"`...), int64(w.num), 10), '"')
	case tagDouble:
		dst = appendDouble(append(dst, `{"doubleValue":`...), math.Float64frombits(w.num))
	case tagBytes:
		dst = append(base64.StdEncoding.AppendEncode(append(dst, `{"bytesValue":"`...), w.bytes), '"')
	case tagArray:
		dst = append(dst, `{"arrayValue":{"values":[`...)
		dst = appendList(dst, w.bytes, func(dst, p []byte) []byte { return appendValueJSON(dst, p, depth+1) })
		dst = append(dst, "]}"...)
	case tagList:
		dst = append(dst, `{"kvlistValue":{"values":[`...)
		dst = appendList(dst, w.bytes, func(dst, p []byte) []byte { return appendPairJSON(dst, p, depth+1) })
		dst = append(dst, "]}"...)
	default:
		dst = append(dst, '{')
	}
	return append(dst, '}')
}

// appendDouble appends a double as JSON of protobuf has it.
func appendDouble(dst []byte, x float64) []byte {
	switch {
	case math.IsNaN(x):
		return append(dst, `"NaN"`...)
	case math.IsInf(x, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(x, -1):
		return append(dst, `"-Infinity"`...)
	}
	return strconv.AppendFloat(dst, x, 'g', -1, 64)
}

func appendList(dst, p []byte, element func(dst, p []byte) []byte) []byte {
	for n := 0; len(p) > 0; {
		var w wireField
		var ok bool
		if w, p, ok = nextField(p); !ok {
			break
		}
		if w.tag != tagElement {
			continue
		}
		if n++; n > 1 {
			dst = append(dst, ',')
		}
		dst = element(dst, w.bytes)
	}
	return dst
}

func appendPairJSON(dst, p []byte, depth int) []byte {
	dst = append(dst, `{"key":`...)
	var key, value []byte
	for len(p) > 0 {
		var w wireField
		var ok bool
		if w, p, ok = nextField(p); !ok {
			break
		}
		switch w.tag {
		case tagKey:
			key = w.bytes
		case tagValue:
			value = w.bytes
		}
	}
	dst = append(appendText(dst, key), `,"value":`...)
	return append(appendValueJSON(dst, value, depth), '}')
}
