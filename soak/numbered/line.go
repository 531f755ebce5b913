// Package numbered makes log lines that tell who wrote them and which one they are, finds them
// again in whatever became of them, and counts how often each has arrived.
package numbered

import (
	"bytes"
	"hash/crc32"
	"strconv"
	"time"
)

// A Format is how a writer's lines look.
type Format uint8

const (
	JSON    Format = iota // time to the millisecond, as most loggers have it
	Logfmt                // time to the nanosecond
	Plain                 // neither time nor level: a line's time is when it was read
	Headed                // time, level, text
	formats = 4
)

// FormatOf gives the format of a writer: they take turns.
func FormatOf(writer int) Format { return Format(writer % formats) }

// String names the format.
func (f Format) String() string { return [...]string{"json", "logfmt", "plain", "headed"}[f] }

// milliseconds is a layout with the three digits that most loggers write.
const milliseconds = "2006-01-02T15:04:05.000Z07:00"

var levels = [...]string{"debug", "info", "info", "info", "warn", "error"}

// Append appends line n of a writer, with its newline.
//
//	{"time":"2026-10-01T12:00:00Z","level":"info","msg":"soak w0 n17 … #1c291ca3","trace_id":"…"}
func Append(dst []byte, writer int, n uint64, at time.Time) []byte {
	at = at.UTC()
	level := levels[n%uint64(len(levels))]
	switch FormatOf(writer) {
	case JSON:
		dst = append(dst, `{"time":"`...)
		dst = at.AppendFormat(dst, milliseconds)
		dst = append(dst, `","level":"`...)
		dst = append(dst, level...)
		dst = append(dst, `","msg":"`...)
		dst = appendMark(dst, writer, n)
		dst = append(dst, `","trace_id":"`...)
		dst = appendTrace(dst, writer, n)
		dst = append(dst, `"}`...)
	case Logfmt:
		dst = append(dst, "ts="...)
		dst = at.AppendFormat(dst, time.RFC3339Nano)
		dst = append(dst, " level="...)
		dst = append(dst, level...)
		dst = append(dst, ` msg="`...)
		dst = appendMark(dst, writer, n)
		dst = append(dst, `" trace_id=`...)
		dst = appendTrace(dst, writer, n)
	case Headed:
		dst = at.AppendFormat(dst, milliseconds)
		dst = append(dst, ' ')
		dst = append(dst, bytes.ToUpper([]byte(level))...)
		dst = append(dst, ' ')
		dst = appendMark(dst, writer, n)
	default:
		dst = appendMark(dst, writer, n)
	}
	return append(dst, '\n')
}

const (
	start   = "soak w"
	sumMark = " #"
)

var words = [...]string{"cargo", "crane", "quay", "berth", "hull", "ballast", "manifest", "pilot", "tide", "anchor",
	"stowage", "lighter", "winch"}

// appendMark appends what a line is known by: the writer, the number, some words
// that differ from line to line, and a checksum of all that.
func appendMark(dst []byte, writer int, n uint64) []byte {
	from := len(dst)
	dst = append(dst, start...)
	dst = strconv.AppendInt(dst, int64(writer), 10)
	dst = append(dst, " n"...)
	dst = strconv.AppendUint(dst, n, 10)
	for k, seed := uint64(0), spread(n+uint64(writer)<<48); k < 6+n%9; k++ {
		dst = append(dst, ' ')
		dst = append(dst, words[(seed>>(4*k))%uint64(len(words))]...)
	}
	sum := crc32.ChecksumIEEE(dst[from:])
	dst = append(dst, sumMark...)
	return appendHex(dst, uint64(sum), 8)
}

// appendTrace appends a trace id that ten lines share.
func appendTrace(dst []byte, writer int, n uint64) []byte {
	dst = appendHex(dst, spread(n/10+1), 16)
	return appendHex(dst, spread(uint64(writer)+1), 16)
}

func appendHex(dst []byte, v uint64, digits int) []byte {
	for k := digits - 1; k >= 0; k-- {
		dst = append(dst, "0123456789abcdef"[v>>(4*k)&15])
	}
	return dst
}

// spread is the finalizer of SplitMix64.
func spread(v uint64) uint64 {
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// Find finds the mark of a line in any text, such as a document of which it is
// one field. ok is false where there is none, or not a whole one.
func Find(text []byte) (writer int, n uint64, ok bool) {
	at := bytes.Index(text, []byte(start))
	if at < 0 {
		return 0, 0, false
	}
	text = text[at:]
	end := bytes.Index(text, []byte(sumMark))
	if end < 0 || len(text) < end+len(sumMark)+8 {
		return 0, 0, false
	}
	sum, err := strconv.ParseUint(string(text[end+len(sumMark):end+len(sumMark)+8]), 16, 32)
	if err != nil || uint32(sum) != crc32.ChecksumIEEE(text[:end]) {
		return 0, 0, false
	}
	w, rest, ok := number(text[len(start):])
	if !ok || w >= maxWriters || !bytes.HasPrefix(rest, []byte(" n")) {
		return 0, 0, false
	}
	n, _, ok = number(rest[2:])
	return int(w), n, ok && n < maxLines
}

func number(p []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(p) && i < 18 && p[i] >= '0' && p[i] <= '9'; i++ {
		n = 10*n + uint64(p[i]-'0')
	}
	return n, p[i:], i > 0
}

// Hash gives 64 well-spread bits of an identity's bytes (FNV-1a, finalized).
func Hash(parts ...[]byte) uint64 {
	h := uint64(14695981039346656037)
	for _, p := range parts {
		for _, c := range p {
			h = (h ^ uint64(c)) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	return spread(h)
}
