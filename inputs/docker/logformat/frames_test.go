package logformat

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/pkg/stdcopy"
	"github.com/google/go-cmp/cmp"
)

// A recorder keeps the messages of a decoder, one a line.
type recorder struct {
	messages []string
	open     strings.Builder
}

func (s *recorder) Begin(from Stream, ts int64, timed bool) error {
	s.open.Reset()
	fmt.Fprintf(&s.open, "%s %d %v ", from, ts, timed)
	return nil
}

func (s *recorder) Append(p []byte) { s.open.Write(p) }

func (s *recorder) End(newline bool) error {
	if newline {
		s.open.WriteString("\\n")
	}
	s.messages = append(s.messages, s.open.String())
	return nil
}

func (s *recorder) Message(from Stream, ts int64, p []byte) error {
	s.Begin(from, ts, true)
	s.Append(p)
	return s.End(true)
}

// decode gives bytes to a decoder in pieces of a size.
func decode(isTTY bool, p []byte, piece int) ([]string, error) {
	var s recorder
	var d Decoder = &frames{to: &s}
	if isTTY {
		d = &tty{to: &s}
	}
	for len(p) > 0 {
		n := min(piece, len(p))
		if err := d.Decode(p[:n]); err != nil {
			return s.messages, err
		}
		p = p[n:]
	}
	return s.messages, d.Close()
}

func frame(kind byte, text string) string {
	return string([]byte{kind, 0, 0, 0, byte(len(text) >> 24), byte(len(text) >> 16), byte(len(text) >> 8),
		byte(len(text))}) + text
}

func TestFrames(t *testing.T) {
	const stamp = "1970-01-01T00:00:01.000000002Z "
	for _, c := range []struct {
		name, in string
		want     []string
		err      string
	}{
		{"lines", frame(1, stamp+"out\n") + frame(2, stamp+"err\n"),
			[]string{`stdout 1000000002 true out\n`, `stderr 1000000002 true err\n`}, ""},
		{"part", frame(1, stamp+"part") + frame(1, stamp+"rest\n"),
			[]string{`stdout 1000000002 true part`, `stdout 1000000002 true rest\n`}, ""},
		{"empty line", frame(1, stamp+"\n"), []string{`stdout 1000000002 true \n`}, ""},
		{"empty message", frame(1, stamp), []string{`stdout 1000000002 true `}, ""},
		{"empty frame", frame(1, "") + frame(2, stamp+"x\n"), []string{`stderr 1000000002 true x\n`}, ""},
		{"no timestamp", frame(1, "hello\n") + frame(1, "hi there\n"),
			[]string{`stdout 0 false hello\n`, `stdout 0 false hi there\n`}, ""},
		{"podman's timestamp", frame(1, "1970-01-01T01:00:01.5+01:00 x\n"), []string{`stdout 1500000000 true x\n`}, ""},
		{"stdin is stdout", frame(0, stamp+"x\n"), []string{`stdout 1000000002 true x\n`}, ""},
		{"the engine's error", frame(1, stamp+"x\n") + frame(3, "Error grabbing logs: EOF\n"),
			[]string{`stdout 1000000002 true x\n`}, "the engine says: Error grabbing logs: EOF"},
		{"cut in a header", "\x01\x00", nil, "the log stream ended inside a frame"},
		{"cut in a frame", frame(1, stamp+"x\n")[:20], nil, "the log stream ended inside a frame"},
		{"another type", "\x04\x00\x00\x00\x00\x00\x00\x01x", nil, "not a multiplexed log stream"},
		{"not zero", "\x01\x00\x00\x01\x00\x00\x00\x01x", nil, "not a multiplexed log stream"},
		{"huge", "\x01\x00\x00\x00\xff\xff\xff\xffx", nil, "not a multiplexed log stream"},
	} {
		for _, piece := range []int{1, 2, 7, 1 << 20} {
			got, err := decode(false, []byte(c.in), piece)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s in pieces of %d:\n%s", c.name, piece, diff)
			}
			if fmt.Sprint(err) != c.err && (c.err == "" || err == nil || !strings.Contains(err.Error(), c.err)) &&
				!(c.err == "" && err == nil) {
				t.Errorf("%s in pieces of %d: error %v, want %q", c.name, piece, err, c.err)
			}
		}
	}
}

func TestTTY(t *testing.T) {
	const one, two = "1970-01-01T00:00:01.000000000Z ", "1970-01-01T00:00:02.000000000Z "
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"lines", one + "a\r\n" + two + "b\r\n",
			[]string{"stdout 1000000000 true a\r\\n", "stdout 2000000000 true b\r\\n"}},
		{"parts", one + "aaa" + one + "bbb\n", []string{`stdout 1000000000 true aaa`, `stdout 1000000000 true bbb\n`}},
		{"prompt before a restart", one + "$ " + two + "hello\n",
			[]string{`stdout 1000000000 true $ `, `stdout 2000000000 true hello\n`}},
		{"empty part", one + two + "x\n", []string{`stdout 1000000000 true `, `stdout 2000000000 true x\n`}},
		{"the application's own time", two + one + "INFO x\n",
			[]string{`stdout 2000000000 true 1970-01-01T00:00:01.000000000Z INFO x\n`}},
		{"no newline at the end", one + "bye", []string{`stdout 1000000000 true bye`}},
		{"nothing after the timestamp", one, []string{`stdout 1000000000 true `}},
		{"no timestamp", "hello\n" + one + "x\n", []string{`stdout 0 false hello\n`, `stdout 1000000000 true x\n`}},
		{"half a timestamp", "1970-01", []string{`stdout 0 false 1970-01`}},
		{"Zs", one + "ZZ Z Z ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ Z\n",
			[]string{`stdout 1000000000 true ZZ Z Z ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ Z\n`}},
	} {
		for _, piece := range []int{1, 2, 7, 30, 31, 1 << 20} {
			got, err := decode(true, []byte(c.in), piece)
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("%s in pieces of %d: %v\n%s", c.name, piece, err, diff)
			}
		}
	}
}

// FuzzFrames compares the decoder with Docker's own, and with itself fed byte by byte.
func FuzzFrames(f *testing.F) {
	const stamp = "2026-01-02T03:04:05.000000006Z "
	f.Add([]byte(frame(1, stamp+"x\n") + frame(2, stamp+"y")))
	f.Add([]byte(frame(1, "none\n") + frame(3, "oh")))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err := decode(false, in, len(in)+1)
		single, err2 := decode(false, in, 1)
		if diff := cmp.Diff(whole, single); diff != "" || fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("the result depends on the pieces: %v, %v\n%s", err, err2, diff)
		}
		if err != nil {
			return
		}
		var stdout, stderr bytes.Buffer
		if _, err := stdcopy.StdCopy(&stdout, &stderr, bytes.NewReader(in)); err != nil {
			t.Fatalf("decoded without an error, but: %v", err)
		}
		if n := stdout.Len() + stderr.Len(); n == 0 && len(whole) > 0 {
			t.Fatalf("%d messages of nothing", len(whole))
		}
	})
}

func FuzzTTY(f *testing.F) {
	const one, two = "1970-01-01T00:00:01.000000000Z ", "1970-01-01T00:00:02.000000000Z "
	f.Add([]byte(one + "a\r\n" + two + "b" + two + "c\n"))
	f.Add([]byte("x\n" + one + "Z Z"))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err := decode(true, in, len(in)+1)
		single, err2 := decode(true, in, 1)
		if diff := cmp.Diff(whole, single); diff != "" || err != nil || err2 != nil {
			t.Fatalf("the result depends on the pieces: %v, %v\n%s", err, err2, diff)
		}
	})
}

func FuzzParseTimestamp(f *testing.F) {
	for _, s := range []string{"2026-01-02T03:04:05.000000006Z", "2024-02-29T23:59:59+07:00", "2023-02-29T00:00:00Z",
		"1969-12-31T23:59:59.5-11:30", "2026-01-02T03:04:05.Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseTimestamp([]byte(s))
		want, err := time.Parse(time.RFC3339Nano, s)
		if ok && (err != nil || got != want.UnixNano()) {
			t.Fatalf("%q: got %d, want %d, %v", s, got, want.UnixNano(), err)
		}
		if !ok && err == nil && want.Format(time.RFC3339Nano) == s && want.Year() >= 1678 && want.Year() <= 2261 {
			t.Fatalf("%q is not parsed", s)
		}
	})
}

// discard is a receiver that only counts messages.
type discard struct{ n int }

func (d *discard) Begin(Stream, int64, bool) error     { return nil }
func (d *discard) Append([]byte)                       {}
func (d *discard) End(bool) error                      { d.n++; return nil }
func (d *discard) Message(Stream, int64, []byte) error { d.n++; return nil }

func BenchmarkFrames(b *testing.B) {
	in := []byte(strings.Repeat(frame(1, "2026-01-02T03:04:05.000000006Z "+strings.Repeat("x", 219)+"\n"), 1000))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	to := &discard{}
	for b.Loop() {
		d := frames{to: to}
		r := bytes.NewReader(in)
		buf := make([]byte, 16<<10)
		for {
			n, err := r.Read(buf)
			if err == io.EOF {
				break
			}
			d.Decode(buf[:n])
		}
	}
}

// TestTTYHoldsLittle has a line without a newline, full of what may be the end of a timestamp.
func TestTTYHoldsLittle(t *testing.T) {
	const piece = 16 << 10
	d := &tty{to: &discard{}}
	d.Decode([]byte("2026-01-02T03:04:05.000000006Z x"))
	for i := range 1000 {
		if err := d.Decode(bytes.Repeat([]byte("Z"), piece)); err != nil {
			t.Fatal(err)
		}
		if n := cap(d.buf); n > 4*piece {
			t.Fatalf("holds %d bytes after %d pieces", n, i)
		}
	}
}
