package otlplog

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"strconv"

	"github.com/longshore/longshore/pipeline/event"
)

var errNotJSON = errors.New("the request is no JSON of OTLP")

// AppendProtobuf appends what a request in JSON, as OTLP has it, is as protobuf. Members that are
// not known are left out, as OTLP demands. What it appends is about as long as the JSON, at most.
func AppendProtobuf(dst, text []byte) ([]byte, error) {
	start := event.SkipBlanks(text, 0)
	if !json.Valid(text) || text[start] != '{' {
		return dst, errNotJSON
	}
	return appendProtobuf(dst, text[start:], requestJSON[:])
}

// appendProtobuf appends the fields of a message, which is an object.
func appendProtobuf(dst, p []byte, fields []jsonField) (_ []byte, err error) {
	members(p, func(key, value []byte) bool {
		for k := range fields {
			if f := &fields[k]; f.name == string(key) {
				dst, err = f.appendAll(dst, value)
				break
			}
		}
		return err == nil
	})
	return dst, err
}

// appendAll appends a member, once for each of its elements if it is repeated. null is nothing.
func (f *jsonField) appendAll(dst, value []byte) (_ []byte, err error) {
	switch {
	case value[0] == 'n':
		return dst, nil
	case !f.repeated:
		return f.appendOne(dst, value)
	case value[0] != '[':
		return dst, errNotJSON
	}
	elements(value, func(element []byte) bool {
		dst, err = f.appendOne(dst, element)
		return err == nil
	})
	return dst, err
}

func (f *jsonField) appendOne(dst, value []byte) ([]byte, error) {
	switch f.form {
	case formText:
		text, err := stringOf(value)
		return appendBytes(dst, f.tag, text), err
	case formHex:
		text, err := stringOf(value)
		if err != nil {
			return dst, err
		}
		id, err := hex.DecodeString(string(text))
		if err != nil {
			return dst, errNotJSON
		}
		return appendBytes(dst, f.tag, id), nil
	case formNumber, formTime:
		return f.appendNumber(dst, value)
	}
	if value[0] != '{' {
		return dst, errNotJSON
	}
	dst, start := openField(dst, f.tag)
	var err error
	if f.form == formValue {
		dst, err = appendAnyValue(dst, value, 0)
	} else {
		dst, err = appendProtobuf(dst, value, f.message)
	}
	return closeField(dst, start), err
}

// appendNumber appends an unsigned number, which may be text.
func (f *jsonField) appendNumber(dst, value []byte) ([]byte, error) {
	n, err := strconv.ParseUint(string(unquoted(value)), 10, 64)
	if err != nil {
		return dst, errNotJSON
	}
	switch f.tag & 7 {
	case 0:
		return binary.AppendUvarint(append(dst, f.tag), n), nil
	case 1:
		return binary.LittleEndian.AppendUint64(append(dst, f.tag), n), nil
	}
	return binary.LittleEndian.AppendUint32(append(dst, f.tag), uint32(n)), nil
}

// appendAnyValue appends the fields of an AnyValue.
func appendAnyValue(dst, p []byte, depth int) (_ []byte, err error) {
	if depth > maxValueDepth {
		return dst, errNotJSON
	}
	members(p, func(key, value []byte) bool {
		if value[0] != 'n' {
			dst, err = appendAnyMember(dst, string(key), value, depth)
		}
		return err == nil
	})
	return dst, err
}

func appendAnyMember(dst []byte, key string, value []byte, depth int) ([]byte, error) {
	switch key {
	case "stringValue":
		text, err := stringOf(value)
		return appendBytes(dst, tagString, text), err
	case "boolValue":
		return append(dst, tagBool, isTrue(value)), nil
	case "intValue":
		n, err := strconv.ParseInt(string(unquoted(value)), 10, 64)
		return binary.AppendUvarint(append(dst, tagInt), uint64(n)), err
	case "doubleValue":
		x, err := strconv.ParseFloat(string(unquoted(value)), 64)
		return binary.LittleEndian.AppendUint64(append(dst, tagDouble), math.Float64bits(x)), err
	case "bytesValue":
		p, err := base64.StdEncoding.DecodeString(string(unquoted(value)))
		return appendBytes(dst, tagBytes, p), err
	case "arrayValue":
		return appendValues(dst, tagArray, value, func(dst, element []byte) ([]byte, error) {
			return appendAnyValue(dst, element, depth+1)
		})
	case "kvlistValue":
		return appendValues(dst, tagList, value, func(dst, element []byte) ([]byte, error) {
			return appendPair(dst, element, depth+1)
		})
	}
	return dst, nil
}

// appendValues appends an ArrayValue or a KeyValueList.
func appendValues(
	dst []byte, tag byte, p []byte, one func(dst, element []byte) ([]byte, error),
) (_ []byte, err error) {
	if p[0] != '{' {
		return dst, errNotJSON
	}
	dst, start := openField(dst, tag)
	members(p, func(key, value []byte) bool {
		if string(key) != "values" || value[0] != '[' {
			return true
		}
		elements(value, func(element []byte) bool {
			if element[0] != '{' {
				err = errNotJSON
				return false
			}
			var inner int
			dst, inner = openField(dst, tagElement)
			dst, err = one(dst, element)
			dst = closeField(dst, inner)
			return err == nil
		})
		return err == nil
	})
	return closeField(dst, start), err
}

func appendPair(dst, p []byte, depth int) (_ []byte, err error) {
	members(p, func(key, value []byte) bool {
		switch {
		case string(key) == "key":
			var text []byte
			text, err = stringOf(value)
			dst = appendBytes(dst, tagKey, text)
		case string(key) == "value" && value[0] == '{':
			var start int
			dst, start = openField(dst, tagValue)
			dst, err = appendAnyValue(dst, value, depth)
			dst = closeField(dst, start)
		}
		return err == nil
	})
	return dst, err
}

// members calls f for the members of an object until it returns false. Names with escapes are none
// of OTLP's.
func members(p []byte, f func(key, value []byte) bool) {
	for at := event.SkipBlanks(p, 1); at < len(p) && p[at] == '"'; {
		end := event.StringEnd(p, at+1)
		value := event.SkipBlanks(p, event.SkipBlanks(p, end+1)+1)
		behind := valueEnd(p, value)
		if value >= len(p) || !f(p[at+1:end], p[value:behind]) {
			return
		}
		at = next(p, behind)
	}
}

// elements calls f for the elements of an array until it returns false.
func elements(p []byte, f func(element []byte) bool) {
	for at := event.SkipBlanks(p, 1); at < len(p) && p[at] != ']'; {
		behind := valueEnd(p, at)
		if !f(p[at:behind]) {
			return
		}
		at = next(p, behind)
	}
}

func valueEnd(p []byte, at int) int {
	_, end := event.ValueAt(p, at)
	return max(end, min(at+1, len(p)))
}

// next returns where the next member or element begins.
func next(p []byte, at int) int {
	at = event.SkipBlanks(p, at)
	if at < len(p) && p[at] == ',' {
		at = event.SkipBlanks(p, at+1)
	}
	return at
}

// stringOf returns the text of a string of JSON.
func stringOf(value []byte) ([]byte, error) {
	if value[0] != '"' {
		return nil, errNotJSON
	}
	return appendValid(nil, event.AppendUnescaped(nil, unquoted(value))), nil
}

func unquoted(value []byte) []byte {
	if len(value) >= 2 && value[0] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}
