package multiline

import (
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestPatterns(t *testing.T) {
	lines := []string{"\tat home", "2024 one", "  more", "x", "2024 two", "  more"}
	tests := []struct{ start, next, want string }{
		{`^\d{4} `, ``, "**||*|"},
		{``, `^\s`, "**|**|"},
		{`^\d{4} `, `^\s`, "**|**|"},
	}
	for _, test := range tests {
		c := &Config{Start: test.start, Continue: test.next}
		newJoiner, _, err := c.Joiner()
		if err != nil {
			t.Fatal(err)
		}
		joiner, got := newJoiner(nil), ""
		for _, line := range lines {
			got += mark(joiner.Line([]byte(line)))[:1]
		}
		if got != test.want {
			t.Errorf("start %q, continue %q: %s, want %s", test.start, test.next, got, test.want)
		}
		pipetest.TestJoiner(t, newJoiner, lines...)
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		config     Config
		path, want string
	}{
		{Config{Start: `^\d`}, "", ""},
		{Config{Mode: "auto"}, "", ""},
		{Config{}, "start_pattern", "nothing says which lines"},
		{Config{Mode: "auto", Start: "^x"}, "mode", "needs no patterns"},
		{Config{Start: `(`}, "start_pattern", "missing closing )"},
		{Config{Continue: `(?!x)`}, "continue_pattern", "invalid"},
		{Config{Continue: `^\s*`}, "continue_pattern", "matches every line"},
	}
	for _, test := range tests {
		problems := test.config.Check()
		switch {
		case test.want == "" && problems != nil:
			t.Errorf("%+v: %v", test.config, problems)
		case test.want != "" && (len(problems) != 1 || problems[0].Path != test.path ||
			!strings.Contains(problems[0].Message, test.want)):
			t.Errorf("%+v: got %v, want %q", test.config, problems, test.want)
		}
	}
}

// TestParserLeavesTheRecord sees to it that the parsers behind it are asked.
func TestParserLeavesTheRecord(t *testing.T) {
	newParser, err := (&Config{Mode: "auto"}).Parser()
	if err != nil {
		t.Fatal(err)
	}
	pipetest.TestParser(t, newParser)
}

func TestDefaultLimitsAreTheParsers(t *testing.T) {
	want := DefaultLimits()
	if want.Lines != 500 || want.Bytes != 256<<10 || want.Wait.String() != "300ms" {
		t.Errorf("the defaults are %+v; the tags of Config say otherwise", want)
	}
	var _ pipeline.JoinerConfig = (*Config)(nil)
}
