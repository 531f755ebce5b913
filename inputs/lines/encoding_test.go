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
		if block < 1 || block > 1<<10 || containsNULs(text) {
			return // how many NULs are skipped counts in bytes
		}
		var raw []byte // as UTF-16, a byte a unit
		for _, c := range text {
			c &= 0x7f
			if big {
				raw = append(raw, 0, c)
			} else {
				raw = append(raw, c, 0)
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

// containsNULs reports whether there are several NULs, or what becomes some.
func containsNULs(text []byte) bool {
	for i := 1; i < len(text); i++ {
		if text[i-1]&0x7f == 0 && text[i]&0x7f == 0 {
			return true
		}
	}
	return false
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

// TestNULsAndMarksBeforeALineOfUTF16 is TestNULsAndMarksBeforeALine for what is decoded.
func TestNULsAndMarksBeforeALineOfUTF16(t *testing.T) {
	for _, e := range []*Encoding{UTF16LE, UTF16BE} {
		raw := func(text string) (p []byte) {
			for _, c := range text {
				if e.bigEndian {
					p = append(p, byte(c>>8), byte(c))
				} else {
					p = append(p, byte(c), byte(c>>8))
				}
			}
			return p
		}
		const nul = "\x00\x00\x00\x00"
		text := raw(nul + "a\n\ufeffb\n" + nul + nul + "\x00\ufeff\ufeffc\n\x00d\n" + nul)
		var b event.Batch
		d := DecodingSplitter{e, &Splitter{Max: 64}}
		used := d.Split(&b, text, 0)
		if want := len(text) - len(raw(nul)); used != want {
			t.Errorf("%d bytes are used, want %d", used, want)
		}
		if got, want := strings.Join(show(&b), ","), "8:a,12:b,36:c,44:\x00d"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if d.State.NULs != 26 {
			t.Errorf("%d bytes of NULs are skipped, want 26", d.State.NULs)
		}
	}
}
