package file

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/longshore/longshore/inputs/lines"
	"github.com/longshore/longshore/pipeline/event"
)

// A textEncoding says how lines are found in a file and how they become UTF-8.
type textEncoding struct {
	auto bool // look at the byte-order mark
	unit int  // bytes of a line end: 2 in UTF-16
	big  bool // UTF-16 with the high byte first
	// from decodes; nil leaves the bytes as they are.
	from encoding.Encoding
	mark string // the byte-order mark, which is no part of the text
}

var (
	utf8Text    = textEncoding{unit: 1, mark: "\xef\xbb\xbf"}
	utf16LEText = textEncoding{unit: 2, from: unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), mark: "\xff\xfe"}
	utf16BEText = textEncoding{unit: 2, big: true, from: unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), mark: "\xfe\xff"}
)

// findEncoding gives the encoding of a name.
func findEncoding(name string) (textEncoding, error) {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "", "auto":
		return textEncoding{auto: true, unit: 1}, nil
	}
	e, err := htmlindex.Get(name)
	if err != nil || e == encoding.Replacement {
		return textEncoding{}, fmt.Errorf("%q is not a known encoding; use auto, utf-8, utf-16le, utf-16be, or a name such as windows-1252, iso-8859-2, shift_jis or gb18030", name)
	}
	switch canonical, _ := htmlindex.Name(e); canonical {
	case "utf-8":
		return utf8Text, nil
	case "utf-16le":
		return utf16LEText, nil
	case "utf-16be":
		return utf16BEText, nil
	}
	return textEncoding{unit: 1, from: e}, nil
}

// resolve settles the encoding of a file by its head, and gives the length of
// its byte-order mark. It is not settled (false) while the head may yet become
// one.
func (e *textEncoding) resolve(head []byte) (*textEncoding, int, bool) {
	choices := []*textEncoding{e}
	if e.auto {
		choices = []*textEncoding{&utf8Text, &utf16LEText, &utf16BEText}
	}
	for _, c := range choices {
		if c.mark != "" && bytes.HasPrefix(head, []byte(c.mark)) {
			return c, len(c.mark), true
		}
		if len(head) < len(c.mark) && strings.HasPrefix(c.mark, string(head)) {
			return c, 0, false
		}
	}
	if e.auto {
		return &utf8Text, 0, true
	}
	return e, 0, true
}

// plain tells whether lines can be taken from the file as they are.
func (e *textEncoding) plain() bool { return e.from == nil }

// lineEnd gives the index of the first line feed in p, which begins at a
// character, or -1.
func (e *textEncoding) lineEnd(p []byte) int {
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

// unitAt gives the index of the UTF-16 line feed whose '\n' byte is at i, or -1
// where that byte is part of something else.
func (e *textEncoding) unitAt(p []byte, i int) int {
	start, other := i, i+1
	if e.big {
		start, other = i-1, i-1
	}
	if start < 0 || start%2 != 0 || other >= len(p) || p[other] != 0 {
		return -1
	}
	return start
}

// A decodingSplitter is a lines.Splitter for text that must be decoded.
// lines.Splitter.Max counts bytes of the file.
type decodingSplitter struct {
	text *textEncoding
	*lines.Splitter
}

// split appends a record for every line in raw, whose first byte is at position pos
// of the file, and gives how many bytes of it are dealt with.
func (d decodingSplitter) split(b *event.Batch, raw []byte, pos uint64) int {
	at, more := d.endLast(raw)
	if more {
		return 0
	}
	unit := d.text.unit
	for at < len(raw) {
		n := d.text.lineEnd(raw[at:])
		switch {
		case n >= 0 && d.Skipping:
			d.Skipped += uint64(n)
			d.Skipping = false
		case n >= 0:
			d.add(b, raw[at:at+n], pos+uint64(at))
		case d.Skipping:
			whole := (len(raw) - at) / unit * unit
			d.Skipped += uint64(whole)
			return at + whole
		case len(raw)-at >= d.Max+2*unit:
			whole := (len(raw) - at) / unit * unit
			d.add(b, raw[at:at+whole], pos+uint64(at))
			d.Skipping = true
			return at + whole
		default:
			return at
		}
		at += n + unit
	}
	return at
}

// last appends what is left as a line that has no line end, and gives how many bytes
// of it are dealt with; see lines.Splitter.Last.
func (d decodingSplitter) last(b *event.Batch, raw []byte, pos uint64) int {
	if len(raw) == 0 || d.Ended && len(d.withoutCR(raw)) == 0 {
		return 0
	}
	d.Ended = true
	if d.Skipping {
		d.Skipped += uint64(len(raw))
		d.Skipping = false
		return len(raw)
	}
	d.add(b, raw, pos)
	return len(raw)
}

// endLast passes over the line end of a line that was given without it, and
// gives how many bytes that is; with more, it cannot be told yet.
func (d decodingSplitter) endLast(raw []byte) (n int, more bool) {
	if !d.Ended {
		return 0, false
	}
	end, unit := 0, d.text.unit
	if len(raw) >= unit && len(d.withoutCR(raw[:unit])) == 0 {
		end = unit
	}
	if len(raw) < end+unit {
		return 0, true
	}
	d.Ended = false
	if d.text.lineEnd(raw[end:end+unit]) == 0 {
		return end + unit, false
	}
	return 0, false
}

func (d decodingSplitter) add(b *event.Batch, raw []byte, pos uint64) {
	raw = d.withoutCR(raw)
	over := len(raw) - d.Max/d.text.unit*d.text.unit
	if over > 0 {
		raw = raw[:len(raw)-over]
	}
	r := b.Add(pos, 0, d.decode(b, raw))
	if over > 0 {
		r.Flags |= event.Truncated
		d.Skipped += uint64(over)
		d.CutLines++
	}
}

func (d decodingSplitter) withoutCR(raw []byte) []byte {
	cr := []byte("\r")
	if d.text.unit == 2 {
		cr = []byte("\r\x00")
		if d.text.big {
			cr = []byte("\x00\r")
		}
	}
	return bytes.TrimSuffix(raw, cr)
}

// decode appends text to the arena as UTF-8. What is not of the encoding
// becomes U+FFFD.
func (d decodingSplitter) decode(b *event.Batch, raw []byte) event.Span {
	if d.text.from == nil {
		return b.Put(raw)
	}
	start, decoder := len(b.Arena), d.text.from.NewDecoder()
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
