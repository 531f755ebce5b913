package lines

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline/event"
)

// feed splits text in blocks of the given size, carrying what is incomplete, and returns the
// records as "pos:line" with a ! behind truncated ones.
func feed(s *Splitter, text string, block int) (got []string) {
	var carry []byte
	pos := uint64(0)
	for len(text) > 0 {
		n := min(block, len(text))
		var b event.Batch
		b.Arena = append(append(b.Arena, carry...), text[:n]...)
		text = text[n:]
		rest := s.Split(&b, 0, pos)
		got = append(got, show(&b)...)
		carry = append([]byte(nil), b.Arena[rest:]...)
		pos += uint64(rest)
	}
	var b event.Batch
	b.Arena = carry
	s.Last(&b, 0, pos)
	return append(got, show(&b)...)
}

func show(b *event.Batch) (got []string) {
	for i, r := range b.Records {
		mark := ""
		if r.Flags&event.Truncated != 0 {
			mark = "!"
		}
		got = append(got, fmt.Sprintf("%d:%s%s", r.Pos, b.Line(i), mark))
	}
	return got
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
		skipped    uint64
	}{
		{"nothing", "", nil, 0},
		{"one", "one\n", []string{"0:one"}, 0},
		{"two and a half", "a\nbc\nd", []string{"0:a", "2:bc", "5:d"}, 0},
		{"CR LF", "a\r\nb\r\n", []string{"0:a", "3:b"}, 0},
		{"CR inside stays", "a\rb\n", []string{"0:a\rb"}, 0},
		{"empty lines", "\n\r\n\na\n\n", []string{"0:", "1:", "3:", "4:a", "6:"}, 0},
		{"NUL and garbage", "\x00\xff\n\xc3\x28\n", []string{"0:\x00\xff", "3:\xc3\x28"}, 0},
		{"just at the limit", "12345678\nx\n", []string{"0:12345678", "9:x"}, 0},
		{"at the limit with CR LF", "12345678\r\nx\n", []string{"0:12345678", "10:x"}, 0},
		{"one over", "123456789\nx\n", []string{"0:12345678!", "10:x"}, 1},
		{"far over", strings.Repeat("y", 50) + "\nx\n", []string{"0:yyyyyyyy!", "51:x"}, 42},
		{"over, without an end", strings.Repeat("y", 20), []string{"0:yyyyyyyy!"}, 12},
	} {
		for block := 1; block <= 64; block++ {
			s := &Splitter{Max: 8}
			got := feed(s, tt.text, block)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s, blocks of %d: (-want +got)\n%s", tt.name, block, diff)
			}
			if s.TruncatedBytes != tt.skipped {
				t.Errorf("%s, blocks of %d: skipped %d bytes, want %d", tt.name, block, s.TruncatedBytes, tt.skipped)
			}
		}
	}
}

// TestALineEndThatComesAfterAll: a last line was given without its end, and is
// not given again, nor as an empty one, when that comes.
func TestALineEndThatComesAfterAll(t *testing.T) {
	for _, tt := range []struct {
		then string
		want []string
	}{
		{"\n", []string{"a"}},
		{"\r\n", []string{"a"}},
		{"\nb\n", []string{"a", "b"}},
		{"\r\n\nb\n", []string{"a", "", "b"}},
		{"b\n", []string{"a", "b"}},
		{"\rb\n", []string{"a", "\rb"}},
	} {
		s := &Splitter{Max: 8}
		b := &event.Batch{Arena: []byte("a")}
		s.Last(b, 0, 0)
		pos := len(b.Arena)
		for rest := tt.then; rest != ""; {
			start := len(b.Arena)
			b.Arena = append(b.Arena, rest...)
			end := s.Split(b, start, uint64(pos))
			pos += end - start
			rest = string(b.Arena[end:])
			b.Arena = b.Arena[:end]
			if end == start {
				t.Fatalf("%q: nothing is used of %q", tt.then, rest)
			}
		}
		var got []string
		for i := range b.Records {
			got = append(got, string(b.Line(i)))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", tt.then, diff)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("a\nb\r\n\nccccccccccccccc\nd", 3)
	f.Fuzz(func(t *testing.T, text string, block int) {
		if block < 1 || block > 1<<10 || strings.Contains(text, string(manyNULs)) || strings.Contains(text, utf8Mark) {
			return
		}
		const limit = 8
		var want []string
		pos := 0
		for line := range strings.SplitAfterSeq(text, "\n") {
			if line == "" {
				continue // behind the last line end
			}
			at := pos
			pos += len(line)
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			if len(line) > limit {
				line = line[:limit] + "!"
			}
			want = append(want, fmt.Sprintf("%d:%s", at, line))
		}
		if got := feed(&Splitter{Max: limit}, text, block); !cmp.Equal(want, got) {
			t.Errorf("%q in blocks of %d: %s", text, block, cmp.Diff(want, got))
		}
	})
}

func benchBlock() *event.Batch {
	line := append(bytes.Repeat([]byte("x"), 219), '\n')
	b := &event.Batch{Arena: bytes.Repeat(line, (256<<10)/len(line))}
	b.Records = make([]event.Record, 0, 2000)
	return b
}

func BenchmarkSplit(b *testing.B) {
	batch, s := benchBlock(), &Splitter{Max: 1 << 20}
	b.ReportAllocs()
	lines := 0
	for b.Loop() {
		batch.Records = batch.Records[:0]
		s.Split(batch, 0, 0)
		lines += len(batch.Records)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(lines), "ns/line")
}

func TestSplitDoesNotAllocate(t *testing.T) {
	batch, s := benchBlock(), &Splitter{Max: 1 << 20}
	allocs := testing.AllocsPerRun(10, func() {
		batch.Records = batch.Records[:0]
		s.Split(batch, 0, 0)
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a block", allocs)
	}
}

// TestNULsAndMarksBeforeALine: in blocks of every size, they are no part of a line, and the line
// is where it is.
func TestNULsAndMarksBeforeALine(t *testing.T) {
	const mark, nul = "\xef\xbb\xbf", "\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, tt := range []struct {
		name, text string
		want       []string
		nuls       uint64
	}{
		{"few NULs are text", "\x00a\n\x00\n", []string{"0:\x00a", "3:\x00"}, 0},
		{"NULs", nul + "a\n" + nul + nul + "\x00b\nc\n", []string{"8:a", "27:b", "29:c"}, 25},
		{"NULs before an empty line", nul + "\n" + nul + "\r\n", []string{"8:", "17:"}, 16},
		{"NULs at the end", "a\n" + nul, []string{"0:a"}, 0},
		{"NULs before a last line", "a\n" + nul + "b", []string{"0:a", "10:b"}, 8},
		{"more NULs than a line is long", nul + nul + nul + nul + "a\n", []string{"32:a"}, 32},
		{"NULs in a line that is too long", "abc" + nul + nul + nul + "d\n", []string{"0:abc", "27:d"}, 24},
		{"NULs in a line", "abc" + nul + "d\n", []string{"0:abc" + nul + "d"}, 0},
		{"a mark", mark + "a\n" + mark + "b\n", []string{"0:a", "5:b"}, 0},
		{"marks", mark + mark + "a\n" + mark + "\n", []string{"0:a", "8:"}, 0},
		{"a mark behind NULs", nul + mark + "a\n", []string{"8:a"}, 8},
		{"a mark inside", "a" + mark + "\n", []string{"0:a" + mark}, 0},
		{"half a mark", "\xef\xbba\n", []string{"0:\xef\xbba"}, 0},
	} {
		for block := 1; block <= 64; block++ {
			s := &Splitter{Max: 12}
			got := feed(s, tt.text, block)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s, blocks of %d: (-want +got)\n%s", tt.name, block, diff)
			}
			if s.NULs != tt.nuls {
				t.Errorf("%s, blocks of %d: %d NULs skipped, want %d", tt.name, block, s.NULs, tt.nuls)
			}
		}
	}
}
