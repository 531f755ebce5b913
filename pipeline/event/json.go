package event

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// AppendRecord appends record i as one JSON object in the default shape:
//
//	{"timestamp","level","message","service","trace_id","span_id", …the rest…}
//
// What a record does not have is left out, but timestamp and message are always there. With labels,
// the source's labels stand before the rest, dotted names as they are.
func AppendRecord(dst []byte, b *Batch, i int, labels bool) []byte {
	r := &b.Records[i]
	dst = append(dst, `{"timestamp":"`...)
	dst = AppendTime(dst, r.Time)
	dst = append(dst, levelMembers[r.Level]...)
	dst = b.AppendJSON(dst, b.MessageOf(i))
	if r.Service.Kind != None {
		dst = append(dst, `,"service":`...)
		dst = b.AppendJSON(dst, r.Service)
	} else {
		dst = append(dst, b.Source.service...)
	}
	dst = appendIDs(dst, r)
	if r.Flags&Truncated != 0 {
		dst = append(dst, `,"truncated":true`...)
	}
	if r.Flags&OddTime != 0 {
		dst = append(dst, `,"time_rejected":true`...)
	}
	names := &plainNames
	if labels {
		names = b.Source.namesIn(DefaultSchema)
		dst = append(dst, names.labels...)
	}
	dst = appendFields(dst, b, i, names)
	return append(dst, '}')
}

// levelMembers are what stands between a time and a message, for each level.
var levelMembers = func() (t [Fatal + 1]string) {
	t[NoLevel] = `","message":`
	for l := Trace; l <= Fatal; l++ {
		t[l] = `","level":"` + l.String() + t[NoLevel]
	}
	return t
}()

// appendIDs appends the ids as members, each after a comma.
func appendIDs(dst []byte, r *Record) []byte {
	if r.Flags&HasTrace != 0 {
		dst = append(dst, `,"trace_id":"`...)
		dst = AppendHex(dst, r.TraceID[:])
		dst = append(dst, '"')
	}
	if r.Flags&HasSpan != 0 {
		dst = append(dst, `,"span_id":"`...)
		dst = AppendHex(dst, r.SpanID[:])
		dst = append(dst, '"')
	}
	return dst
}

func appendFields(dst []byte, b *Batch, i int, n *names) []byte {
	fields := b.Fields(i)
	var seen uint64
	for k, f := range fields {
		key := b.Bytes(f.Key.Span)
		bit := keyBit(key)
		dst = append(dst, ',', '"')
		if seen&bit != 0 || !n.fit(f.Key.Kind, key, f.Value.Kind) {
			dst = appendRenamed(dst, b, fields, k, n)
		} else {
			dst = appendInside(dst, key, f.Key.Kind)
		}
		seen |= bit
		dst = append(dst, '"', ':')
		dst = b.AppendJSON(dst, f.Value)
	}
	return dst
}

// AppendJSON appends a value as JSON, in one line. An absent value is null.
func (b *Batch) AppendJSON(dst []byte, v Value) []byte {
	switch v.Kind {
	case None:
		return append(dst, "null"...)
	case Object, Array:
		return appendInOneLine(dst, b.Bytes(v.Span))
	case Number, Bool, Null:
		return append(dst, b.Bytes(v.Span)...)
	}
	dst = append(dst, '"')
	dst = appendInside(dst, b.Bytes(v.Span), v.Kind)
	return append(dst, '"')
}

// appendInOneLine appends valid JSON. Line ends in it, as a multiline record
// may have, stand between tokens, where a space means the same.
func appendInOneLine(dst, p []byte) []byte {
	start := len(dst)
	dst = append(dst, p...)
	for _, end := range []byte{'\n', '\r'} {
		at := start
		for {
			i := bytes.IndexByte(dst[at:], end)
			if i < 0 {
				break
			}
			at += i
			dst[at] = ' '
		}
	}
	return dst
}

// AppendText appends a value as text: a string without its quotes and escapes,
// anything else as its JSON.
func (b *Batch) AppendText(dst []byte, v Value) []byte {
	if v.Kind == Escaped {
		return AppendUnescaped(dst, b.Bytes(v.Span))
	}
	return append(dst, b.Bytes(v.Span)...)
}

// AppendString appends s as a JSON string.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, []byte(s))
	return append(dst, '"')
}

func appendInside(dst, p []byte, kind Kind) []byte {
	if kind == Text {
		return appendEscaped(dst, p)
	}
	return append(dst, p...)
}

// needsEscape is true for the bytes that cannot stand in a JSON string as they
// are, or that must be looked at as UTF-8.
var needsEscape = func() (t [256]bool) {
	for c := range t {
		t[c] = c < 0x20 || c == '"' || c == '\\' || c >= 0x80
	}
	return t
}()

const hexDigits = "0123456789abcdef"

// appendEscaped appends text as the inside of a JSON string. Bytes that are
// not UTF-8 become U+FFFD.
func appendEscaped(dst, s []byte) []byte {
	start := 0
	for i := 0; ; {
		i += plainLen(s[i:])
		if i == len(s) {
			return append(dst, s[start:]...)
		}
		if s[i] >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, s[i])
		i++
		start = i
	}
}

// plainLen returns how many bytes at the start of s can stand in a JSON string as they are.
func plainLen(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		if m := Special(binary.LittleEndian.Uint64(s[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(s) && !needsEscape[s[i]] {
		i++
	}
	return i
}

// Eight bytes at a time: each constant repeats one byte.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// Special marks, by their high bits, the bytes of w that end or interrupt plain ASCII text in a
// JSON string: quotes, backslashes, control characters and bytes from 0x80 on. The lowest mark is
// always right; higher ones may be false, as borrows run upwards.
func Special(w uint64) uint64 {
	quote := (w ^ '"'*ones) - ones
	slash := (w ^ '\\'*ones) - ones
	control := w - ' '*ones
	return (quote | slash | control | w) & highs
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// AppendUnescaped appends the text that the inside of a valid JSON string
// stands for. Halves of surrogate pairs on their own become U+FFFD.
func AppendUnescaped(dst, p []byte) []byte {
	for i := 0; i < len(p); i++ {
		c := p[i]
		if c != '\\' || i+1 == len(p) {
			dst = append(dst, c)
			continue
		}
		i++
		switch p[i] {
		case 'n':
			dst = append(dst, '\n')
		case 't':
			dst = append(dst, '\t')
		case 'r':
			dst = append(dst, '\r')
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'u':
			r, used := UnescapeRune(p[i+1:])
			dst = utf8.AppendRune(dst, r)
			i += used
		default:
			dst = append(dst, p[i])
		}
	}
	return dst
}

// UnescapeRune reads what follows "\u": four digits, and a second "\uXXXX" where the first is half
// a pair. It returns how many bytes it used, 0 where there are no four digits.
func UnescapeRune(p []byte) (rune, int) {
	r := hex4(p)
	if r < 0 {
		return utf8.RuneError, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 4
	}
	if len(p) >= 10 && p[4] == '\\' && p[5] == 'u' {
		if both := utf16.DecodeRune(r, hex4(p[6:])); both != utf8.RuneError {
			return both, 10
		}
	}
	return utf8.RuneError, 4
}

func hex4(p []byte) rune {
	if len(p) < 4 {
		return -1
	}
	n, err := strconv.ParseUint(string(p[:4]), 16, 32)
	if err != nil {
		return -1
	}
	return rune(n)
}

// AppendHex appends bytes as lower-case hex digits.
func AppendHex(dst, p []byte) []byte {
	for ; len(p) >= 4; p = p[4:] {
		dst = binary.LittleEndian.AppendUint64(dst, hexOf(binary.LittleEndian.Uint32(p)))
	}
	for _, c := range p {
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}

// hexOf returns the eight hex digits of four bytes, all at once; the lowest byte comes first.
func hexOf(four uint32) uint64 {
	x := uint64(four)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x>>4 | x<<8) & (15 * ones)
	letters := (x + (0x80-10)*ones) >> 7 & ones
	return x + '0'*ones + letters*('a'-'0'-10)
}
