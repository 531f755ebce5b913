// Package lines splits blocks of text into records without copying: the lines are spans of the
// arena that the block was read into. Text that is not UTF-8 is decoded line by line.
package lines

import (
	"bytes"

	"github.com/longshore/longshore/pipeline/event"
)

// A Splitter finds the lines of one source, block after block. Lines end with LF or CR LF; the end
// is no part of the record. An empty line is a record too. Not part of a line are many NULs before
// it, which a writer leaves that goes on where it was in a truncated file, and byte-order marks,
// which some programs write at each start. A line that is longer than Max ends at such NULs, too.
type Splitter struct {
	// Max is the longest line in bytes, at least 1. Of a longer one only the first Max bytes
	// become the record, marked event.Truncated.
	Max int
	// Skipping says that the source stands inside a truncated line: all up to the next line end
	// is skipped. It must survive a restart.
	Skipping bool
	// Ended says that the last line was sent without its line end, which is no line of its own
	// when it comes after all. It must survive a restart.
	Ended bool
	// TruncatedBytes and TruncatedLines count what was truncated.
	TruncatedBytes, TruncatedLines uint64
	// NULs counts those that were skipped before lines.
	NULs uint64
}

// Split appends a record for every line in b.Arena[start:], whose first byte is at position pos of
// its source. It returns the index of the arena at which the first incomplete line begins, which is
// all that must be kept for the next block. That line is shorter than Max+2 bytes.
func (s *Splitter) Split(b *event.Batch, start int, pos uint64) int {
	at := start
	if s.Ended {
		at = s.endLast(b.Arena, at)
	}
	if s.Skipping {
		if at = s.skip(b.Arena, at); s.Skipping {
			return at
		}
	}
	arena := b.Arena
	for {
		if at < len(arena) && arena[at] == 0 {
			at = s.skipNULs(arena, at)
		}
		n := bytes.IndexByte(arena[at:], '\n')
		if n > s.Max || n < 0 && len(arena)-at >= s.Max+2 {
			if nul := bytes.Index(arena[at:at+s.Max], manyNULs); nul > 0 {
				s.Add(b, at, at+nul, pos+uint64(at-start))
				at += nul
				continue
			}
		}
		if n < 0 {
			break
		}
		s.Add(b, at, at+n, pos+uint64(at-start))
		at += n + 1
	}
	if len(arena)-at < s.Max+2 {
		return at
	}
	s.Add(b, at, len(arena), pos+uint64(at-start))
	s.Skipping = true
	return len(arena)
}

// skipNULs returns the index behind the NULs before a line. Where there are no more than NULs, it
// is too early to tell, unless there are very many.
func (s *Splitter) skipNULs(arena []byte, at int) int {
	n := countNULs(arena[at:])
	switch {
	case at+n < len(arena):
	case n < s.Max+2:
		return at
	default:
		n -= MinNULs // more may follow, and be too few by themselves
	}
	s.NULs += uint64(n)
	return at + n
}

// manyNULs are the fewest that are skipped. Fewer are a part of a line like any other bytes.
var manyNULs = make([]byte, MinNULs)

// MinNULs is how many bytes of NULs are skipped at least.
const MinNULs = 8

// countNULs returns how many NULs p begins with, if they are to be skipped.
func countNULs(p []byte) int {
	if !bytes.HasPrefix(p, manyNULs) {
		return 0
	}
	return len(p) - len(bytes.TrimLeft(p, "\x00"))
}

// Last appends what is left in b.Arena[start:], if anything, as a line without a line end, and
// returns the index behind it. More may follow all the same, as a line of its own. What is left may
// also be half of the line end of a line that was sent before: that stays.
func (s *Splitter) Last(b *event.Batch, start int, pos uint64) int {
	nuls := countNULs(b.Arena[start:])
	rest := b.Arena[start+nuls:]
	if len(rest) == 0 || s.Ended && len(rest) == 1 && rest[0] == '\r' {
		return start
	}
	s.Ended = true
	if s.Skipping {
		s.TruncatedBytes += uint64(len(rest))
		s.Skipping = false
		return len(b.Arena)
	}
	s.NULs += uint64(nuls)
	s.Add(b, start+nuls, len(b.Arena), pos+uint64(nuls))
	return len(b.Arena)
}

// endLast skips the line end of a line that was sent without it, and returns the index behind it.
func (s *Splitter) endLast(arena []byte, at int) int {
	rest := arena[at:]
	switch {
	case len(rest) == 0, len(rest) == 1 && rest[0] == '\r':
		return at // more must come first
	case rest[0] == '\n':
		at++
	case rest[0] == '\r' && rest[1] == '\n':
		at += 2
	}
	s.Ended = false
	return at
}

// skip skips the rest of a truncated line, and returns the index behind it.
func (s *Splitter) skip(arena []byte, at int) int {
	n := bytes.IndexByte(arena[at:], '\n')
	if n < 0 {
		s.TruncatedBytes += uint64(len(arena) - at)
		return len(arena)
	}
	s.TruncatedBytes += uint64(n)
	s.Skipping = false
	return at + n + 1
}

// Add appends the line arena[from:to], which has no LF, as a record, without a CR at its end and
// truncated to Max bytes. A byte-order mark at its beginning is left out.
func (s *Splitter) Add(b *event.Batch, from, to int, pos uint64) {
	for to > from && b.Arena[from] == utf8Mark[0] && bytes.HasPrefix(b.Arena[from:to], []byte(utf8Mark)) {
		from += len(utf8Mark)
	}
	if to > from && b.Arena[to-1] == '\r' {
		to--
	}
	over := to - from - s.Max
	if over <= 0 {
		b.Add(pos, 0, event.Span{Off: uint32(from), Len: uint32(to - from)})
		return
	}
	s.truncated(b.Add(pos, 0, event.Span{Off: uint32(from), Len: uint32(s.Max)}), over)
}

func (s *Splitter) truncated(r *event.Record, over int) {
	r.Flags |= event.Truncated
	s.TruncatedBytes += uint64(over)
	s.TruncatedLines++
}
