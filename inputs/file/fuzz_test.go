package file

import (
	"bytes"
	stdgzip "compress/gzip"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/longshore/longshore/inputs/lines"
	"github.com/longshore/longshore/pipeline/event"
)

// FuzzUnpack holds the unpacker against the standard library: what it gives of any
// bytes is what they unpack to, and all of it where it says that this was the end.
func FuzzUnpack(f *testing.F) {
	var packed bytes.Buffer
	for _, member := range []string{"one\ntwo\n", "", "three"} {
		z := stdgzip.NewWriter(&packed)
		_, _ = z.Write([]byte(member))
		_ = z.Close()
	}
	f.Add(packed.Bytes(), 10)
	f.Add(packed.Bytes()[:packed.Len()-5], 1)
	f.Add(append(packed.Bytes(), "garbage"...), 1<<20)
	f.Fuzz(func(t *testing.T, raw []byte, line int) {
		if len(raw) > 1<<12 || line < 0 || line > 1<<20 {
			return
		}
		zip, err := gzip.NewReader(bytes.NewReader(raw))
		std, stdErr := stdgzip.NewReader(bytes.NewReader(raw))
		if err != nil || stdErr != nil {
			return // ours is stricter with headers
		}
		want, stdErr := io.ReadAll(io.LimitReader(std, 4<<20))
		if len(want) == 4<<20 {
			return
		}
		u := &unpacker{zip: zip}
		var got []byte
		for err == nil {
			err = u.fill(line)
			got = append(got, u.buf...)
			u.buf = u.buf[:0]
		}
		if err == io.EOF && len(got) != len(want) || !bytes.HasPrefix(want, got) && !bytes.HasPrefix(got, want) {
			t.Errorf("%d bytes and %v, want %d and %v", len(got), err, len(want), stdErr)
		}
	})
}

// FuzzEncodings: into whatever blocks a file of any bytes falls, its lines are the
// same.
func FuzzEncodings(f *testing.F) {
	f.Add([]byte("a\x00\n\x00\x3d\xd8\x00\xde\n\x00"), 3, false)
	f.Add([]byte("\x00a\x00\n\xd8\x00\x00\n"), 1, true)
	f.Fuzz(func(t *testing.T, raw []byte, block int, big bool) {
		if block < 1 || block > 1<<10 {
			return
		}
		text := utf16LEText
		if big {
			text = utf16BEText
		}
		split := func(block int) string {
			var b event.Batch
			d := decodingSplitter{&text, &lines.Splitter{Max: 16}}
			var carry []byte
			pos := uint64(0)
			for rest := raw; len(rest) > 0; {
				n := min(block, len(rest))
				carry = append(carry, rest[:n]...)
				rest = rest[n:]
				used := d.split(&b, carry, pos)
				pos += uint64(used)
				carry = carry[used:]
			}
			d.last(&b, carry, pos)
			return all(&b)
		}
		if got, want := split(block), split(len(raw)+1); got != want {
			t.Errorf("in blocks of %d: %s, as a whole %s", block, got, want)
		}
	})
}
