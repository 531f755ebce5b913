package lines

import (
	"fmt"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline/event"
)

// FuzzDecodingSplitter compares the splitter for encodings to the plain one.
func FuzzDecodingSplitter(f *testing.F) {
	f.Add([]byte("a\nb\r\n\ncccccccccccccccccccccccc\nd"), 3, false)
	f.Add([]byte("\x0a\x0a\x0d\x0a"), 1, true)
	f.Fuzz(func(t *testing.T, text []byte, block int, big bool) {
		if block < 1 || block > 1<<10 {
			return
		}
		var raw []byte // as UTF-16, a byte a unit
		for _, c := range text {
			if big {
				raw = append(raw, 0, c&0x7f)
			} else {
				raw = append(raw, c&0x7f, 0)
			}
		}
		for i := range text {
			text[i] &= 0x7f
		}
		choice := UTF16LE
		if big {
			choice = UTF16BE
		}
		const limit = 8
		var plain event.Batch
		plain.Arena = append(plain.Arena, text...)
		s := Splitter{Max: limit}
		s.Split(&plain, 0, 0)

		var wide event.Batch
		split := Splitter{Max: 2 * limit}
		d := DecodingSplitter{choice, &split}
		var carry []byte
		pos := uint64(0)
		for len(raw) > 0 {
			n := min(block, len(raw))
			carry = append(carry, raw[:n]...)
			raw = raw[n:]
			used := d.Split(&wide, carry, pos)
			pos += uint64(used)
			carry = carry[used:]
		}
		if got, want := all(&wide), all(&plain); got != want {
			t.Errorf("%q in blocks of %d: got %s, want %s", text, block, got, want)
		}
	})
}

func all(b *event.Batch) string {
	var s strings.Builder
	for i := range b.Records {
		fmt.Fprintf(&s, "%q %d;", b.Line(i), b.Records[i].Flags)
	}
	return s.String()
}

// FuzzEncodings: into whatever blocks a file of any bytes is split, its lines are the same.
func FuzzEncodings(f *testing.F) {
	f.Add([]byte("a\x00\n\x00\x3d\xd8\x00\xde\n\x00"), 3, false)
	f.Add([]byte("\x00a\x00\n\xd8\x00\x00\n"), 1, true)
	f.Fuzz(func(t *testing.T, raw []byte, block int, big bool) {
		if block < 1 || block > 1<<10 {
			return
		}
		text := UTF16LE
		if big {
			text = UTF16BE
		}
		split := func(block int) string {
			var b event.Batch
			d := DecodingSplitter{text, &Splitter{Max: 16}}
			var carry []byte
			pos := uint64(0)
			for rest := raw; len(rest) > 0; {
				n := min(block, len(rest))
				carry = append(carry, rest[:n]...)
				rest = rest[n:]
				used := d.Split(&b, carry, pos)
				pos += uint64(used)
				carry = carry[used:]
			}
			d.Last(&b, carry, pos)
			return all(&b)
		}
		if got, want := split(block), split(len(raw)+1); got != want {
			t.Errorf("in blocks of %d: %s, as a whole %s", block, got, want)
		}
	})
}
