package recognize

import (
	"bytes"
	"encoding/binary"

	"github.com/longshore/longshore/pipeline/event"
)

// ids is what a trace value held: a trace, a span or both.
type ids struct {
	trace             [16]byte
	span              [8]byte
	hasTrace, hasSpan bool
	more              bool // the value says more than the ids, so it is kept as it is
	none              bool // the value says that there is no trace: empty or all zero
}

// traceOf reads a trace id under a key whose values have the given form. Any
// form that is unmistakable is taken under any key.
func traceOf(p []byte, form form) (t ids) {
	switch form {
	case formDatadog:
		return datadogTrace(p)
	case formB3:
		if bytes.IndexByte(p, '-') >= 0 {
			return b3(p)
		}
	case formUber:
		return uber(p)
	case formXRay:
		return xray(p)
	case formTraceparent:
		return traceparent(p)
	case formECS:
		if len(p) == 36 {
			return uuid(p)
		}
	}
	if isZero(p) {
		t.none = true
		return t
	}
	if t.hasTrace = hexTrace(&t.trace, p); t.hasTrace {
		return t
	}
	switch {
	case len(p) >= 55 && p[2] == '-':
		return traceparent(p)
	case bytes.HasPrefix(p, []byte("1-")) || bytes.HasPrefix(p, []byte("Root=")):
		return xray(p)
	case bytes.HasPrefix(p, []byte("projects/")):
		return google(p)
	}
	return t
}

// uuid reads a trace id that is written with the dashes of a UUID, which it is only in the Elastic
// Common Schema: other programs call ids of requests so.
func uuid(p []byte) (t ids) {
	var digits [32]byte
	n := 0
	for at, c := range p {
		if dash := at == 8 || at == 13 || at == 18 || at == 23; dash != (c == '-') {
			return t
		}
		if c != '-' {
			digits[n] = c
			n++
		}
	}
	t.hasTrace = hexRight(t.trace[:], digits[:])
	t.more = true
	return t
}

// spanOf reads a span id.
func spanOf(p []byte, form form) (t ids) {
	if isZero(p) {
		t.none = true
		return t
	}
	if form == formDatadog {
		n, ok := decimal(p)
		putUint64(t.span[:], n)
		t.hasSpan = ok && n != 0
		return t
	}
	t.hasSpan = hexSpan(&t.span, p)
	return t
}

// hexTrace reads 32 hex digits, or 16 of the short ids of Zipkin and Jaeger,
// each of which may lack one leading zero (Jaeger prints numbers).
func hexTrace(dst *[16]byte, p []byte) bool {
	switch len(p) {
	case 32, 31, 16, 15:
		return hexRight(dst[:], p)
	}
	return false
}

func hexSpan(dst *[8]byte, p []byte) bool {
	return (len(p) == 16 || len(p) == 15) && hexRight(dst[:], p)
}

// hexRight reads hex digits into the right end of dst, whose other bytes are
// zero. All-zero ids are invalid.
func hexRight(dst, p []byte) bool {
	if len(p) > 2*len(dst) || len(p) == 0 {
		return false
	}
	dst = dst[len(dst)-(len(p)+1)/2:]
	var bad, any byte
	for len(p)%8 != 0 {
		high := byte(0)
		if len(p)%2 == 0 {
			high, p = nibbles[p[0]], p[1:]
		}
		low := nibbles[p[0]]
		bad |= high | low
		dst[0] = high<<4 | low&15
		any |= dst[0]
		dst, p = dst[1:], p[1:]
	}
	var nonzero uint32
	for ; len(p) >= 8; p, dst = p[8:], dst[4:] {
		four, ok := hexEight(binary.LittleEndian.Uint64(p))
		if !ok {
			return false
		}
		nonzero |= four
		binary.LittleEndian.PutUint32(dst, four)
	}
	return bad < 16 && (any != 0 || nonzero != 0)
}

// hexEight turns eight hex digits, the first in the lowest byte, into four bytes, all at once.
func hexEight(x uint64) (four uint32, ok bool) {
	const ones = 0x0101010101010101
	const highs = 0x80 * ones
	lower := x | 0x20*ones
	digit := (x + (0x80-'0')*ones) &^ (x + (0x7f-'9')*ones)
	letter := (lower + (0x80-'a')*ones) &^ (lower + (0x7f-'f')*ones)
	if (digit|letter)&^x&highs != highs {
		return 0, false
	}
	n := x&(0x0f*ones) + (x>>6&ones)*9
	n = (n<<4 | n>>8) & 0x00ff00ff00ff00ff
	n = (n | n>>8) & 0x0000ffff0000ffff
	return uint32(n | n>>16), true
}

// nibbles are the values of hex digits, and 0x80 for all else.
var nibbles = func() (t [256]byte) {
	for c := range t {
		t[c] = 0x80
	}
	for i, c := range "0123456789abcdef" {
		t[c] = byte(i)
	}
	for i, c := range "ABCDEF" {
		t[c] = byte(10 + i)
	}
	return t
}()

// traceparent reads W3C Trace Context: version-trace-span-flags, where version
// ff and ids of zeros are invalid, and only versions after 00 may go on.
func traceparent(p []byte) (t ids) {
	if len(p) < 55 || p[2] != '-' || p[35] != '-' || p[52] != '-' {
		return t
	}
	var version, flags [1]byte
	hexRight(version[:], p[:2])
	hexRight(flags[:], p[53:55])
	if nibbles[p[0]]|nibbles[p[1]]|nibbles[p[53]]|nibbles[p[54]] > 15 || version[0] == 0xff {
		return t
	}
	if len(p) > 55 && (version[0] == 0 || p[55] != '-') {
		return t
	}
	if !hexRight(t.trace[:], p[3:35]) || !hexRight(t.span[:], p[36:52]) {
		return ids{}
	}
	t.hasTrace, t.hasSpan, t.more = true, true, true
	return t
}

// b3 reads Zipkin's single header: trace-span[-sampled[-parent]].
func b3(p []byte) (t ids) {
	trace, rest, _ := bytes.Cut(p, []byte("-"))
	span, _, _ := bytes.Cut(rest, []byte("-"))
	if len(trace) != 32 && len(trace) != 16 || !hexTrace(&t.trace, trace) || !hexSpan(&t.span, span) {
		return ids{}
	}
	t.hasTrace, t.hasSpan, t.more = true, true, true
	return t
}

// uber reads Jaeger's header: trace:span:parent:flags in hex without leading
// zeros, the colons perhaps URL-encoded.
func uber(p []byte) (t ids) {
	sep := []byte(":")
	if bytes.IndexByte(p, ':') < 0 {
		sep = []byte("%3A")
	}
	trace, rest, ok := bytes.Cut(p, sep)
	span, rest, ok2 := bytes.Cut(rest, sep)
	if !ok || !ok2 || bytes.Count(rest, sep) != 1 || len(trace) == 0 || len(span) == 0 {
		return t
	}
	if !hexRight(t.trace[:], trace) || !hexRight(t.span[:], span) {
		return ids{}
	}
	t.hasTrace, t.hasSpan, t.more = true, true, true
	return t
}

// xray reads AWS X-Ray's id, 1-<8 hex>-<24 hex>, alone or as the Root of its header.
func xray(p []byte) (t ids) {
	if at := bytes.Index(p, []byte("Root=")); at >= 0 {
		p = p[at+len("Root="):]
		t.more = true
	}
	if len(p) < 35 || p[0] != '1' || p[1] != '-' || p[10] != '-' || len(p) > 35 && p[35] != ';' {
		return ids{}
	}
	var digits [32]byte
	copy(digits[:], p[2:10])
	copy(digits[8:], p[11:35])
	t.hasTrace = hexRight(t.trace[:], digits[:])
	return t
}

// TraceContext reads the ids that Spring and its like put into brackets:
// trace-span, trace,span, app,trace,span and app,trace,span,exported, with 32 or
// 16 hex digits for the trace. It sets them on the record, gives the length of the
// app's name, and reports whether the text is nothing else: app,, is outside of any trace.
func TraceContext(rec *event.Record, p []byte) (name int, ok bool) {
	p = bytes.TrimSpace(p)
	const shortest = 16 + 1 + 16
	if len(p) > 128 || len(p) < shortest && (len(p) < 3 || p[len(p)-1] != ',') {
		return 0, false
	}
	if last := p[len(p)-min(len(p), 6):]; bytes.HasSuffix(last, []byte(",true")) ||
		bytes.HasSuffix(last, []byte(",false")) {
		p = p[:bytes.LastIndexByte(p, ',')]
	}
	sign := max(bytes.LastIndexByte(p, '-'), bytes.LastIndexByte(p, ','))
	if sign < 0 {
		return 0, false
	}
	trace, span := p[:sign], bytes.TrimSpace(p[sign+1:])
	if comma := bytes.LastIndexByte(trace, ','); comma >= 0 {
		name, trace = comma, trace[comma+1:]
	}
	if len(trace) == 0 && len(span) == 0 && p[sign] == ',' {
		return name, name > 0
	}
	var t ids
	if len(trace) != 32 && len(trace) != 16 || len(span) != 16 || !hexTrace(&t.trace, trace) ||
		!hexSpan(&t.span, span) {
		return 0, false
	}
	rec.TraceID, rec.SpanID = t.trace, t.span
	rec.Flags |= event.HasTrace | event.HasSpan
	return name, true
}

// google reads Google Cloud's projects/<project>/traces/<32 hex>.
func google(p []byte) (t ids) {
	at := bytes.Index(p, []byte("/traces/"))
	if at < 0 {
		return t
	}
	id := p[at+len("/traces/"):]
	t.hasTrace = len(id) == 32 && hexTrace(&t.trace, id)
	t.more = true
	return t
}

// datadogTrace reads Datadog's ids: 32 hex digits, or the low 64 bits as a decimal
// number (the high ones are then not known).
func datadogTrace(p []byte) (t ids) {
	if isZero(p) {
		t.none = true
		return t
	}
	if len(p) == 32 {
		t.hasTrace = hexTrace(&t.trace, p)
		return t
	}
	n, ok := decimal(p)
	putUint64(t.trace[8:], n)
	t.hasTrace = ok && n != 0
	return t
}

func putUint64(dst []byte, n uint64) {
	for i := range 8 {
		dst[i] = byte(n >> (56 - 8*i))
	}
}

// decimal reads an unsigned 64-bit number.
func decimal(p []byte) (n uint64, ok bool) {
	if len(p) == 0 || len(p) > 20 {
		return 0, false
	}
	for _, c := range p {
		d := uint64(c - '0')
		if d > 9 || n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// isZero reports whether a value is empty or nothing but zeros: libraries
// write such ids outside of any trace.
func isZero(p []byte) bool {
	if len(p) > 32 {
		return false
	}
	for _, c := range p {
		if c != '0' {
			return false
		}
	}
	return true
}
