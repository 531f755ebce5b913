package lines

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

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
	UTF8    = &Encoding{unit: 1, bom: "\xef\xbb\xbf"}
	UTF16LE = utf16(unicode.LittleEndian, "\xff\xfe")
	UTF16BE = utf16(unicode.BigEndian, "\xfe\xff")
)

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
// mark. It cannot tell (false) while the head may yet become one.
func (e *Encoding) Resolve(head []byte) (*Encoding, int, bool) {
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
		return UTF8, 0, true
	}
	return e, 0, true
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
		n := d.Encoding.LineEnd(raw[at:])
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
	s := d.State
	if len(raw) == 0 || s.Ended && len(d.withoutCR(raw)) == 0 {
		return 0
	}
	s.Ended = true
	if s.Skipping {
		s.TruncatedBytes += uint64(len(raw))
		s.Skipping = false
		return len(raw)
	}
	d.add(b, raw, pos)
	return len(raw)
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
