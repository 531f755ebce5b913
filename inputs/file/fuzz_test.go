package file

import (
	"bytes"
	stdgzip "compress/gzip"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// FuzzUnpack compares the unpacker to the standard library: what it returns of any bytes is what
// they unpack to, and all of it where it reports the end.
func FuzzUnpack(f *testing.F) {
	var zipped bytes.Buffer
	for _, member := range []string{"one\ntwo\n", "", "three"} {
		z := stdgzip.NewWriter(&zipped)
		_, _ = z.Write([]byte(member))
		_ = z.Close()
	}
	f.Add(zipped.Bytes(), 10)
	f.Add(zipped.Bytes()[:zipped.Len()-5], 1)
	f.Add(append(zipped.Bytes(), "garbage"...), 1<<20)
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
