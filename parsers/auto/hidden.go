package auto

import (
	"bytes"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline/event"
)

// behind parses a record by what stands behind something that a terminal does not show. false means
// that nothing is understood there, and the record is as it was.
func (p *Parser) behind(b *event.Batch, i, at int) bool {
	rec := &b.Records[i]
	before := *rec
	rec.Line.Off += uint32(at)
	rec.Line.Len -= uint32(at)
	shown := rec.Line
	if !p.whole(b, i) {
		*rec = before
		return false
	}
	rec.Line = before.Line
	if rec.Message.Kind == event.None {
		rec.Message = event.Value{Span: shown, Kind: event.Text}
	}
	return true
}

// visibleFrom returns how long the marks are that a line begins with and nobody sees: a byte-order
// mark, joiners, marks of direction.
func visibleFrom(line []byte) int {
	at := 0
	for at < len(line) && (line[at] == 0xe2 || line[at] == 0xef) {
		r, size := utf8.DecodeRune(line[at:])
		if r != 0xfeff && r != 0x2060 && (r < 0x200b || r > 0x200f) {
			break
		}
		at += size
	}
	return at
}

// shownFrom returns where that begins in the first line of a record that a terminal shows in the
// end: behind the last carriage return, with which progress bars are drawn over.
func shownFrom(line []byte) int {
	if bytes.IndexByte(line, '\r') < 0 {
		return 0
	}
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	return bytes.LastIndexByte(bytes.TrimRight(line, "\r"), '\r') + 1
}
