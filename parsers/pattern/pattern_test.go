package pattern

import (
	"regexp"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

const access = `<ip> - <user> [<time>] "<method> <path> <_>" <status> <bytes>`

func newParser(t testing.TB, pattern string) pipeline.NewParser {
	t.Helper()
	p, err := (&Config{Pattern: pattern}).Parser()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const accessLine = `203.0.113.9 - anna [01/May/2024:12:00:00 +0000] "POST /api/v1/orders HTTP/2.0" 503 612`

func TestConformance(t *testing.T) { pipetest.TestParser(t, newParser(t, access), accessLine) }

func TestGolden(t *testing.T) { pipetest.ParserGolden(t, "testdata/*.txt", newParser(t, access)) }

func TestMatch(t *testing.T) {
	tests := []struct{ pattern, line, want string }{
		{"<a>", "x y", "x y"},
		{"<a>", "", ""},
		{"<a> <b>", "x y z", "x|y z"},
		{"<a> <b>", "x", "-"},
		{"<a> <b>", " ", "|"},
		{"at <a>.", "at home.", "home"},
		{"at <a>.", "at home", "-"},
		{"at <a>.", "in home.", "-"},
		{"<a>: <b>.", "x: y: z..", "x|y: z."},
		{"<<<a>> <<<b>", "<x> <y", "x|y"},
		{"<a><<<b>", "x<y", "x|y"},
		{"<_> <b>", "x y", "x|y"},
		{"ä<a>ö<b>", "äüöß", "ü|ß"},
	}
	for _, test := range tests {
		s, err := read(test.pattern)
		if err != nil {
			t.Errorf("%s: %v", test.pattern, err)
			continue
		}
		if got := matched(s, test.line); got != test.want {
			t.Errorf("%s on %q: got %q, want %q", test.pattern, test.line, got, test.want)
		}
	}
}

// matched returns the fields with | between them, or -.
func matched(s *shape, line string) string {
	spans, ok := s.match(nil, []byte(line))
	if !ok {
		return "-"
	}
	var got []string
	for _, span := range spans {
		got = append(got, line[span.Off:span.Off+span.Len])
	}
	return strings.Join(got, "|")
}

func TestCheck(t *testing.T) {
	tests := []struct{ pattern, want string }{
		{"<a>", ""},
		{"x", "no field"},
		{"<_>", "no field"},
		{"<a><b>", "nothing that would tell"},
		{"<a", "is not the name of a field"},
		{"<a b>", "is not the name of a field"},
		{"<>", "is not the name of a field"},
	}
	for _, test := range tests {
		problems := (&Config{Pattern: test.pattern}).Check()
		switch {
		case test.want == "" && problems != nil:
			t.Errorf("%s: %v", test.pattern, problems)
		case test.want != "" && (len(problems) != 1 || problems[0].Path != "pattern" ||
			!strings.Contains(problems[0].Message, test.want)):
			t.Errorf("%s: got %v, want %q", test.pattern, problems, test.want)
		}
	}
}

// FuzzMatch: what matches is what a regular expression with lazy groups finds.
func FuzzMatch(f *testing.F) {
	f.Add(access, accessLine)
	f.Add("<a>: <b>.", "x: y: z..")
	f.Fuzz(func(t *testing.T, pattern, line string) {
		s, err := read(pattern)
		if err != nil {
			return
		}
		got := matched(s, line)
		if got == "-" || strings.Contains(line, "|") {
			return
		}
		re := "(?s)^" + regexp.QuoteMeta(string(s.head))
		for _, field := range s.fields {
			re += "(.*?)" + regexp.QuoteMeta(string(field.end))
		}
		compiled, err := regexp.Compile(re + "$")
		if err != nil {
			return // not UTF-8
		}
		groups := compiled.FindStringSubmatch(line)
		if groups == nil || strings.Join(groups[1:], "|") != got {
			t.Errorf("%q on %q gives %q, the regular expression %q", pattern, line, got, groups)
		}
	})
}

func FuzzParse(f *testing.F) {
	p := newParser(f, "<level> <trace_id>: <message>")
	src := event.NewSource(1, "test", "test", nil)
	f.Add([]byte("info 4bf92f3577b34da6a3ce929d0e0e4736: done"))
	f.Fuzz(func(t *testing.T, line []byte) {
		b := pipetest.ParserBatch(src, 0, line)
		pipetest.ParseChecked(t, p(src), b, 1)
	})
}

func TestAllocs(t *testing.T) {
	src := event.NewSource(1, "test", "test", nil)
	p, b := newParser(t, access)(src), &event.Batch{}
	n := testing.AllocsPerRun(100, func() {
		b.Reset(src)
		b.Add(0, 0, b.PutString(accessLine))
		p.Parse(b, 0)
	})
	if n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkParse(b *testing.B) {
	src := event.NewSource(1, "test", "test", nil)
	p, batch := newParser(b, access)(src), &event.Batch{}
	b.SetBytes(int64(len(accessLine)))
	for b.Loop() {
		batch.Reset(src)
		batch.Add(0, 0, batch.PutString(accessLine))
		p.Parse(batch, 0)
	}
}
