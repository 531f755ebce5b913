package syslog

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline/event"
)

// framed returns the messages of a stream that comes in blocks of some bytes.
func framed(stream []byte, most, block int) (got []string, truncated uint64) {
	b, f := &event.Batch{}, framer{max: most}
	var buf []byte
	for part := range slices.Chunk(stream, block) {
		buf = append(buf, part...)
		buf = buf[f.split(b, buf, 1):]
	}
	f.last(b, buf, 1)
	for i := range b.Records {
		mark := ""
		if b.Records[i].Flags&event.Truncated != 0 {
			mark = "!"
		}
		got = append(got, string(b.Line(i))+mark)
	}
	return got, f.truncatedBytes
}

func TestFrames(t *testing.T) {
	long := strings.Repeat("x", 40)
	for name, tt := range map[string]struct {
		stream string
		want   []string
	}{
		"lines":                       {"<13>a\n<13>b\r\n<13>c", []string{"<13>a", "<13>b", "<13>c"}},
		"lengths":                     {"5 <13>a6 <13>bc", []string{"<13>a", "<13>bc"}},
		"in turn":                     {"5 <13>a<13>b\n5 <13>c\n<13>d\n", []string{"<13>a", "<13>b", "<13>c", "<13>d"}},
		"a line end in a length":      {"7 <13>a\nb6 <13>b\n", []string{"<13>a\nb", "<13>b"}},
		"a NUL behind each":           {"<13>a\x00\n<13>b\x00\n", []string{"<13>a", "<13>b"}},
		"without priority":            {"a\n\n\nb\n", []string{"a", "b"}},
		"a number of things":          {"10 users\n5 <13>a", []string{"10 users", "<13>a"}},
		"a number alone":              {"123\n12", []string{"123", "12"}},
		"a number and a blank":        {"123 \n12 ", []string{"123 ", "12 "}},
		"a time":                      {"2026-11-30 x\n", []string{"2026-11-30 x"}},
		"a length that is none":       {"1234567890 <13>a\n", []string{"1234567890 <13>a"}},
		"no length at all":            {"0 <13>a\n", []string{"0 <13>a"}},
		"a length that lies":          {"50 <13>a\n", []string{"<13>a!"}},
		"a long line":                 {"<13>" + long + "\n<13>b\n", []string{"<13>" + long[:28] + "!", "<13>b"}},
		"a long line to the end":      {"<13>" + long, []string{"<13>" + long[:28] + "!"}},
		"a long frame":                {"44 <13>" + long + "5 <13>b", []string{"<13>" + long[:28] + "!", "<13>b"}},
		"a long frame to the end":     {"45 <13>" + long, []string{"<13>" + long[:28] + "!"}},
		"a line of just the limit":    {"<13>" + long[:28] + "\r\n<13>b\n", []string{"<13>" + long[:28], "<13>b"}},
		"a frame of just the limit":   {"32 <13>" + long[:28] + "<13>b\n", []string{"<13>" + long[:28], "<13>b"}},
		"nothing":                     {"", nil},
		"line ends only":              {"\n\r\n\x00\n", nil},
		"a length, and no more of it": {"5 <", []string{"<!"}},
	} {
		for block := 1; block <= 64; block++ {
			got, _ := framed([]byte(tt.stream), 32, block)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s in blocks of %d: -want +got\n%s", name, block, diff)
				break
			}
		}
	}
}

// FuzzFrames: however a stream is cut, its messages are the same, bounded, and no byte is used
// twice.
func FuzzFrames(f *testing.F) {
	for _, s := range []string{"<13>a\n5 <13>b", "99999 <13>abc", "12 12 <", "\x00\n<1>\xff\r\n", "7 <13>a\nb"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, stream []byte, block int) {
		if block < 1 {
			return
		}
		whole, lost := framed(stream, 16, len(stream)+1)
		cut, lostToo := framed(stream, 16, block)
		if fmt.Sprintf("%q", whole) != fmt.Sprintf("%q", cut) || lost != lostToo {
			t.Errorf("whole %q, %d bytes truncated; in blocks of %d %q, %d", whole, lost, block, cut, lostToo)
		}
		size := 0
		for _, m := range whole {
			m = strings.TrimSuffix(m, "!")
			if len(m) > 16 {
				t.Errorf("%q is too long", m)
			}
			size += len(m)
		}
		if size > len(stream) {
			t.Errorf("%d bytes became %d", len(stream), size)
		}
		b, fr := &event.Batch{}, framer{max: 16}
		if left := len(stream) - fr.split(b, bytes.Clone(stream), 1); left > 16+maxDigits+2 {
			t.Errorf("%d bytes are kept", left)
		}
	})
}
