package lines

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/longshore/longshore/pipeline/event"
)

// An Encoding says how lines are found in a text and how they become UTF-8.
type Encoding struct {
	auto      bool // resolved by the byte-order mark
	unit      int  // bytes of a line end: 2 in UTF-16
	bigEndian bool
	from      encoding.Encoding // decodes; nil leaves the bytes as they are
	bom       string            // the byte-order mark, which is no part of the text
}

// UTF8, UTF16LE and UTF16BE are those that a byte-order mark tells apart.
var (
	UTF8    = &Encoding{unit: 1, bom: utf8Mark}
	UTF16LE = utf16(unicode.LittleEndian, "\xff\xfe")
	UTF16BE = utf16(unicode.BigEndian, "\xfe\xff")
)

const utf8Mark = "\xef\xbb\xbf"

func utf16(order unicode.Endianness, bom string) *Encoding {
	from := unicode.UTF16(order, unicode.IgnoreBOM)
	return &Encoding{unit: 2, from: from, bigEndian: order == unicode.BigEndian, bom: bom}
}

// FindEncoding returns the encoding of a name: auto, or one of the WHATWG Encoding Standard.
func FindEncoding(name string) (*Encoding, error) {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "", "auto":
		return &Encoding{auto: true, unit: 1}, nil
	}
	e, err := htmlindex.Get(name)
	if err != nil || e == encoding.Replacement {
		return nil, fmt.Errorf("%q is not a known encoding; use auto, utf-8, utf-16le, utf-16be, "+
			"or a name such as windows-1252, iso-8859-2, shift_jis or gb18030", name)
	}
	switch canonical, _ := htmlindex.Name(e); canonical {
	case "utf-8":
		return UTF8, nil
	case "utf-16le":
		return UTF16LE, nil
	case "utf-16be":
		return UTF16BE, nil
	}
	return &Encoding{unit: 1, from: e}, nil
}

// Resolve determines the encoding by the head of a text, and returns the length of its byte-order
// mark. It cannot tell (false) while the head may yet become one. Without a mark, a text is UTF-16
// if it looks like it, or was before and is no UTF-8.
func (e *Encoding) Resolve(head []byte, before *Encoding) (*Encoding, int, bool) {
	candidates := []*Encoding{e}
	if e.auto {
		candidates = []*Encoding{UTF8, UTF16LE, UTF16BE}
	}
	for _, c := range candidates {
		if c.bom != "" && bytes.HasPrefix(head, []byte(c.bom)) {
			return c, len(c.bom), true
		}
		if len(head) < len(c.bom) && strings.HasPrefix(c.bom, string(head)) {
			return c, 0, false
		}
	}
	if e.auto {
		return withoutMark(head, before), 0, true
	}
	return e, 0, true
}

func withoutMark(head []byte, before *Encoding) *Encoding {
	for _, e := range []*Encoding{UTF16LE, UTF16BE} {
		if e.looksLike(head) {
			return e
		}
	}
	wide := before == UTF16LE || before == UTF16BE
	if wide && (bytes.IndexByte(head, 0) >= 0 || !utf8.Valid(head[:max(0, len(head)-utf8.UTFMax)])) {
		return before
	}
	return UTF8
}

// looksLike reports whether the first characters of a text are ASCII in UTF-16.
func (e *Encoding) looksLike(head []byte) bool {
	const enough = 16 // bytes, or the first line
	if end := e.LineEnd(head); end >= 0 {
		head = head[:end]
	}
	head = head[:min(len(head), enough)]
	for at := 0; at+1 < len(head); at += 2 {
		low, high := head[at], head[at+1]
		if e.bigEndian {
			low, high = high, low
		}
		if high != 0 || low >= 0x7f || low < ' ' && low != '\t' && low != '\r' && low != 0x1b {
			return false
		}
	}
	return len(head) >= enough/2
}

// Unit returns the length of a line end in bytes.
func (e *Encoding) Unit() int { return e.unit }

// IsPlain reports whether lines need no decoding.
func (e *Encoding) IsPlain() bool { return e.from == nil }

// LineEnd returns the index of the first line feed in p, which begins at a character, or -1.
func (e *Encoding) LineEnd(p []byte) int {
	if e.unit == 1 {
		return bytes.IndexByte(p, '\n')
	}
	for at := 0; ; {
		n := bytes.IndexByte(p[at:], '\n')
		if n < 0 {
			return -1
		}
		if start := e.unitAt(p, at+n); start >= 0 {
			return start
		}
		at += n + 1
	}
}

// unitAt returns the index of the UTF-16 line feed whose '\n' byte is at i, or -1 where that byte
// is part of another character.
func (e *Encoding) unitAt(p []byte, i int) int {
	start, other := i, i+1
	if e.bigEndian {
		start, other = i-1, i-1
	}
	if start < 0 || start%2 != 0 || other >= len(p) || p[other] != 0 {
		return -1
	}
	return start
}

// A DecodingSplitter splits text that must be decoded, with the state of a Splitter, whose Max
// counts bytes before decoding.
type DecodingSplitter struct {
	Encoding *Encoding
	State    *Splitter
}

// Split appends a record for every line in raw, whose first byte is at position pos of the source,
// and returns how many bytes of it are used.
func (d DecodingSplitter) Split(b *event.Batch, raw []byte, pos uint64) int {
	at, more := d.endLast(raw)
	if more {
		return 0
	}
	unit, s := d.Encoding.unit, d.State
	for at < len(raw) {
		if raw[at] == 0 && !s.Skipping {
			at = d.skipNULs(raw, at)
		}
		n := d.Encoding.LineEnd(raw[at:])
		if n > s.Max || n < 0 && len(raw)-at >= s.Max+2*unit {
			if nul := d.nul(raw[at : at+s.Max]); nul > 0 && !s.Skipping {
				d.add(b, raw[at:at+nul], pos+uint64(at))
				at += nul
				continue
			}
		}
		switch {
		case n >= 0 && s.Skipping:
			s.TruncatedBytes += uint64(n)
			s.Skipping = false
		case n >= 0:
			d.add(b, raw[at:at+n], pos+uint64(at))
		case s.Skipping:
			whole := (len(raw) - at) / unit * unit
			s.TruncatedBytes += uint64(whole)
			return at + whole
		case len(raw)-at >= s.Max+2*unit:
			whole := (len(raw) - at) / unit * unit
			d.add(b, raw[at:at+whole], pos+uint64(at))
			s.Skipping = true
			return at + whole
		default:
			return at
		}
		at += n + unit
	}
	return at
}

// Last appends what is left as a line without a line end, and returns how many bytes of it are
// used; see Splitter.Last.
func (d DecodingSplitter) Last(b *event.Batch, raw []byte, pos uint64) int {
	s, nuls := d.State, d.countNULs(raw)
	if len(raw) == nuls || s.Ended && len(d.withoutCR(raw)) == 0 {
		return 0
	}
	s.Ended = true
	if s.Skipping {
		s.TruncatedBytes += uint64(len(raw))
		s.Skipping = false
		return len(raw)
	}
	s.NULs += uint64(nuls)
	d.add(b, raw[nuls:], pos+uint64(nuls))
	return len(raw)
}

// skipNULs is Splitter.skipNULs.
func (d DecodingSplitter) skipNULs(raw []byte, at int) int {
	n := d.countNULs(raw[at:])
	switch {
	case len(raw)-at-n >= d.Encoding.unit:
	case n < d.State.Max+2*d.Encoding.unit:
		return at
	default:
		n -= MinNULs // see there
	}
	d.State.NULs += uint64(n)
	return at + n
}

// countNULs returns how many bytes the NULs at the beginning of raw are.
func (d DecodingSplitter) countNULs(raw []byte) int {
	return countNULs(raw) / d.Encoding.unit * d.Encoding.unit
}

// nul returns the index of the first of many NULs in raw, which begins at a character, or -1.
func (d DecodingSplitter) nul(raw []byte) int {
	if d.Encoding.unit == 1 {
		return bytes.Index(raw, manyNULs)
	}
	for at := 0; at+MinNULs <= len(raw); at += 2 {
		if bytes.HasPrefix(raw[at:], manyNULs) {
			return at
		}
	}
	return -1
}

// endLast skips the line end of a line that was sent without it, and returns how many bytes that
// is; with more, it takes more bytes to tell.
func (d DecodingSplitter) endLast(raw []byte) (n int, more bool) {
	if !d.State.Ended {
		return 0, false
	}
	end, unit := 0, d.Encoding.unit
	if len(raw) >= unit && len(d.withoutCR(raw[:unit])) == 0 {
		end = unit
	}
	if len(raw) < end+unit {
		return 0, true
	}
	d.State.Ended = false
	if d.Encoding.LineEnd(raw[end:end+unit]) == 0 {
		return end + unit, false
	}
	return 0, false
}

func (d DecodingSplitter) add(b *event.Batch, raw []byte, pos uint64) {
	raw = d.withoutCR(raw)
	for d.Encoding.bom != "" && bytes.HasPrefix(raw, []byte(d.Encoding.bom)) {
		raw = raw[len(d.Encoding.bom):]
	}
	over := len(raw) - d.State.Max/d.Encoding.unit*d.Encoding.unit
	if over > 0 {
		raw = raw[:len(raw)-over]
	}
	r := b.Add(pos, 0, d.decode(b, raw))
	if over > 0 {
		d.State.truncated(r, over)
	}
}

func (d DecodingSplitter) withoutCR(raw []byte) []byte {
	cr := []byte("\r")
	if d.Encoding.unit == 2 {
		cr = []byte("\r\x00")
		if d.Encoding.bigEndian {
			cr = []byte("\x00\r")
		}
	}
	return bytes.TrimSuffix(raw, cr)
}

// decode appends text to the arena as UTF-8. What is invalid in the encoding becomes U+FFFD.
func (d DecodingSplitter) decode(b *event.Batch, raw []byte) event.Span {
	if d.Encoding.from == nil {
		return b.Put(raw)
	}
	start, decoder := len(b.Arena), d.Encoding.from.NewDecoder()
	for {
		b.Arena = slices.Grow(b.Arena, 2*len(raw)+16)
		n, used, err := decoder.Transform(b.Arena[len(b.Arena):cap(b.Arena)], raw, true)
		b.Arena = b.Arena[:len(b.Arena)+n]
		raw = raw[used:]
		if err != transform.ErrShortDst {
			return event.Span{Off: uint32(start), Len: uint32(len(b.Arena) - start)}
		}
	}
}
