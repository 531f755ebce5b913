package regex

import (
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

const pattern = `^(?P<time>\S+) \[(?P<level>\w+)\] (?:trace_id=(?P<trace_id>\w+) )?took (?P<took>\S+) by (\w+): ` +
	`(?P<message>.*)$`

func TestConformance(t *testing.T) {
	c := &Config{Pattern: pattern}
	newParser, err := c.Parser()
	if err != nil {
		t.Fatal(err)
	}
	pipetest.TestParser(t, newParser, `2024-05-01T12:00:00Z [warn] took 12 by anna: done`)
}

func TestGolden(t *testing.T) {
	newParser, err := (&Config{Pattern: pattern}).Parser()
	if err != nil {
		t.Fatal(err)
	}
	pipetest.ParserGolden(t, "testdata/*.txt", newParser)
}

func TestCheck(t *testing.T) {
	tests := []struct{ pattern, want string }{
		{`(?P<a>x)`, ""},
		{`(?<a>x)`, ""},
		{`x`, "no named group"},
		{`(?P<a>x`, "missing closing )"},
		{`(?P<a>x)(?=y)`, "no look-ahead"},
		{`(?P<a>x)\1`, "no back-references"},
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

func FuzzParse(f *testing.F) {
	newParser, err := (&Config{Pattern: `(?P<level>\w*)(?P<a>.?)=(?P<message>.*)`}).Parser()
	if err != nil {
		f.Fatal(err)
	}
	src := event.NewSource(1, "test", "test", nil)
	f.Add([]byte("info=x"))
	f.Fuzz(func(t *testing.T, line []byte) {
		b := pipetest.ParserBatch(src, 0, line)
		pipetest.ParseChecked(t, newParser(src), b, 1)
	})
}
