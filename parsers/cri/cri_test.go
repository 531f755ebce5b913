package cri

import (
	"testing"

	"github.com/longshore/longshore/parsers/auto"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestCRI(t *testing.T) {
	newParser, err := (&Config{auto.Config{Multiline: true}, true}).Parser()
	if err != nil {
		t.Fatal(err)
	}
	src := event.NewSource(1, "test", "test", nil)
	tests := []struct{ line, want string }{
		{`2024-05-01T12:00:00.5Z stdout F {"level":"warn","msg":"low"}`,
			`{"timestamp":"2024-05-01T12:00:00.500Z","level":"warn","message":"low","stream":"stdout"}`},
		{`2024-05-01T12:00:00.5Z stderr F plain`, `{"timestamp":"2024-05-01T12:00:00.500Z","message":"plain",` +
			`"stream":"stderr"}`},
		{`{"level":"warn","msg":"low"}`, ""},
	}
	for _, test := range tests {
		b := pipetest.ParserBatch(src, 0, []byte(test.line))
		got := ""
		if newParser(src).Parse(b, 1) {
			got = string(event.AppendRecord(nil, b, 1, false))
		}
		if got != test.want {
			t.Errorf("%s\ngives %s\nwant  %s", test.line, got, test.want)
		}
	}
	outer, err := new(Config).Parser()
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		`2024-05-01T12:00:00.5Z stdout F {"level":"warn","msg":"low"}`: `{"timestamp":"2024-05-01T12:00:00.500Z",` +
			`"message":"{\"level\":\"warn\",\"msg\":\"low\"}","stream":"stdout"}`,
		"2024-05-01T12:00:00.5Z stdout P {\"level\":\n2024-05-01T12:00:00.5Z stdout F \"warn\"}": `{"timestamp":` +
			`"2024-05-01T12:00:00.500Z","message":"{\"level\":\"warn\"}","stream":"stdout"}`,
		`{"level":"warn","msg":"low"}`: "",
	} {
		b := pipetest.ParserBatch(src, 0, []byte(line))
		got := ""
		if outer(src).Parse(b, 1) {
			got = string(event.AppendRecord(nil, b, 1, false))
		}
		if got != want {
			t.Errorf("of what is around it alone\n%s\ngives %s\nwant  %s", line, got, want)
		}
	}
	pipetest.TestParser(t, outer, tests[0].line)
	joiner, limits, err := new(Config).Joiner()
	if joiner != nil || limits.Lines != 0 || err != nil {
		t.Errorf("it joins with multiline off: %v", err)
	}
	pipetest.TestParser(t, newParser, tests[0].line)
}
