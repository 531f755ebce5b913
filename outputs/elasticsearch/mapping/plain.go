package mapping

import (
	"bytes"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline/event"
)

// Bounds of a record that needs no closer look.
const (
	plainName   = 256 // as of event.Name
	plainDepth  = 8
	plainDots   = 8
	plainFields = 600 // of maxFields; what every document has and its labels are counted apart
	ownFields   = 40
)

// Plain reports whether a record has nothing in it that an empty index might refuse, once its names
// are distinct and do not clash with those of its labels: so all that matters here are the
// fields. It may be wrong only in saying no. Nested is set where objects may meet the document's
// own names.
func (f *Fitter) Plain(b *event.Batch, i int, nested bool) bool {
	r := &b.Records[i]
	if message := b.MessageOf(i); int(message.Len) >= shortestDate && firstOfDate[b.Arena[message.Off]] &&
		f.isBadDate(b, message) || r.Service.Kind != event.None && f.isBadDate(b, r.Service) {
		return false
	}
	fields := b.Fields(i)
	count, dots := 3*len(b.Source.Labels)+2*len(fields), 0
	for k := range fields {
		key, value := &fields[k].Key, &fields[k].Value
		switch {
		case key.Kind != event.Name:
			n := dotsOf(b.Bytes(key.Span), key.Kind)
			if n < 0 {
				return false
			}
			dots += n
		case int(key.Len) == len(dataStream) && string(b.Bytes(key.Span)) == dataStream:
			return false
		}
		switch {
		case value.Kind.IsString():
			if int(value.Len) >= shortestDate && firstOfDate[b.Arena[value.Off]] && f.isBadDate(b, *value) {
				return false
			}
		case value.Kind == event.Number:
			if value.Len > shortestExponent && !isPlainNumber(b.Bytes(value.Span)) {
				return false
			}
		case value.Kind == event.Object || value.Kind == event.Array:
			if nested && value.Kind == event.Object || f.plainContainer(b.Bytes(value.Span), 0, 0, &count) < 0 {
				return false
			}
		}
	}
	return count+dots <= plainFields-ownFields && (dots == 0 || !meets(b, fields))
}

// firstOfPlain are the first bytes of names that need no change. Those with _ are looked at.
var firstOfPlain = func() (t [256]bool) {
	for c := ' ' + 1; c < utf8.RuneSelf; c++ {
		t[c] = c != '_' && c != '.' && c != '\\'
	}
	return t
}()

// firstOfDate are the first bytes of texts that may be taken for dates.
var firstOfDate = func() (t [256]bool) {
	for _, c := range []byte("0123456789+-\\") {
		t[c] = true
	}
	return t
}()

const (
	shortestDate = len("2026-13")
	// shortestExponent is the length of numbers that are in range, whatever they are.
	shortestExponent = uint32(len("9e9"))
)

// isBadDate reports whether a text is taken for a date that it is not.
func (f *Fitter) isBadDate(b *event.Batch, v event.Value) bool {
	if !f.dates || int(v.Len) < shortestDate || v.Len > longestDate || !firstOfDate[b.Arena[v.Off]] {
		return false
	}
	p := b.Bytes(v.Span)
	if v.Kind == event.Escaped {
		return f.kindOfText(p) == badDate
	}
	return kindOfDate(p) == badDate
}

// isPlainName reports whether a name without dots needs no change.
func isPlainName(key []byte) bool {
	return len(key) > 0 && len(key) <= plainName && (firstOfPlain[key[0]] || key[0] == '_' && !isMetadata(key))
}

// dotsOf returns the dots of a name that needs no change, and -1 for another.
func dotsOf(key []byte, kind event.Kind) int {
	if kind == event.Escaped && bytes.IndexByte(key, '\\') >= 0 {
		return -1
	}
	if !isPlainName(key) || bytes.HasPrefix(key, []byte(dataStream)) {
		return -1
	}
	dots := 0
	for at := bytes.IndexByte(key, '.'); at >= 0; dots++ {
		rest := key[at+1:]
		if dots == plainDots || len(rest) == 0 || !firstOfPlain[rest[0]] && rest[0] != '_' ||
			key[0] == '_' && isMetadata(key[:at]) {
			return -1
		}
		next := bytes.IndexByte(rest, '.')
		if next < 0 {
			return dots + 1
		}
		at += 1 + next
	}
	return dots
}

func isPlainNumber(number []byte) bool {
	if len(number) <= sureDigits && bytes.IndexByte(number, 'e') < 0 && bytes.IndexByte(number, 'E') < 0 {
		return true
	}
	return kindOfNumber(number) != text
}

// meets reports whether a field stands beside one below it: user beside user.id.
func meets(b *event.Batch, fields []event.Field) bool {
	var seen uint64
	for k := range fields {
		seen |= nameBit(b.Bytes(fields[k].Key.Span))
	}
	for k := range fields {
		if fields[k].Key.Kind == event.Name {
			continue
		}
		key := b.Bytes(fields[k].Key.Span)
		for at, c := range key {
			if c == '.' && seen&nameBit(key[:at]) != 0 && isField(b, fields, key[:at]) {
				return true
			}
		}
	}
	return false
}

func isField(b *event.Batch, fields []event.Field, name []byte) bool {
	for k := range fields {
		if bytes.Equal(b.Bytes(fields[k].Key.Span), name) {
			return true
		}
	}
	return false
}

// nameBit spreads names over the bits of a word. None is empty here.
func nameBit(name []byte) uint64 { return 1 << ((uint(len(name))*7 + uint(name[0])) & 63) }

// plainContainer returns the index behind the object or array that starts at an index, or -1 if it
// needs a closer look. It adds its fields to count.
func (f *Fitter) plainContainer(p []byte, at, depth int, count *int) int {
	if depth == plainDepth {
		return -1
	}
	*count++
	if p[at] == '[' {
		return f.plainArray(p, at, depth, count)
	}
	for at = event.SkipBlanks(p, at+1); at < len(p) && p[at] != '}'; at = skipComma(p, at) {
		if at = plainKey(p, at); at < 0 || at >= len(p) {
			return -1
		}
		*count += 2
		if at, _ = f.plainValue(p, at, depth, count); at < 0 {
			return -1
		}
	}
	return at + 1
}

// plainArray is plainContainer for an array: its values must be of one kind, and of objects there
// may be one.
func (f *Fitter) plainArray(p []byte, at, depth int, count *int) int {
	var all kinds
	for at = event.SkipBlanks(p, at+1); at < len(p) && p[at] != ']'; at = skipComma(p, at) {
		var kind kinds
		if p[at] == '[' || p[at] == '{' && all != nothing {
			return -1
		}
		if at, kind = f.plainValue(p, at, depth, count); at < 0 || all != nothing && kind != nothing && kind != all {
			return -1
		}
		all |= kind
	}
	return at + 1
}

// plainKey reads a key and its colon, and returns the index of the value, or -1.
func plainKey(p []byte, at int) int {
	start := at + 1
	at = start
	for at < len(p) && !endsPlainKey[p[at]] {
		at++
	}
	if at+2 >= len(p) || p[at] != '"' || !isPlainName(p[start:at]) {
		return -1
	}
	if at++; p[at] != ':' {
		at = event.SkipBlanks(p, at)
	}
	return event.SkipBlanks(p, at+1)
}

var endsPlainKey = [256]bool{'"': true, '.': true, '\\': true}

// plainValue reads a value and returns the index behind it, or -1, and its kind.
func (f *Fitter) plainValue(p []byte, at, depth int, count *int) (int, kinds) {
	start := at
	switch c := p[at]; c {
	case '{', '[':
		return f.plainContainer(p, at, depth+1, count), object
	case '"':
		at = start + 1 + bytes.IndexByte(p[start+1:], '"')
		if p[at-1] == '\\' {
			at = min(event.StringEnd(p, start+1), len(p)-1)
		}
		if !f.dates || !firstOfDate[p[start+1]] || at-start-1 < shortestDate {
			return at + 1, text
		}
		switch kind := f.kindOfText(p[start+1 : at]); kind {
		case text, dashDate:
			return at + 1, kind
		}
		return -1, text
	case 't':
		return at + len("true"), boolean
	case 'f':
		return at + len("false"), boolean
	case 'n':
		return at + len("null"), nothing
	}
	kind := integer
	for ; at < len(p) && p[at] > ' ' && p[at] != ',' && p[at] != '}' && p[at] != ']'; at++ {
		switch p[at] {
		case '.':
			kind = fraction
		case 'e', 'E':
			kind = text // to be looked at
		}
	}
	if kind == text || at-start > sureDigits {
		if kind = kindOfNumber(p[start:valueEnd(p, start)]); kind == text {
			return -1, text
		}
	}
	return at, kind
}

func skipComma(p []byte, at int) int {
	if at = event.SkipBlanks(p, at); at < len(p) && p[at] == ',' {
		return event.SkipBlanks(p, at+1)
	}
	return at
}
