package graph

import (
	"testing"

	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/parsers/logfmt"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

func TestParserChain(t *testing.T) {
	asJSON := func(s pipeline.ParserSettings) config.Parser {
		return config.Parser{Common: s, Settings: &json.Config{}}
	}
	asLogfmt := func(s pipeline.ParserSettings) config.Parser {
		return config.Parser{Common: s, Settings: &logfmt.Config{}}
	}
	on := func(field, onError string) pipeline.ParserSettings {
		return pipeline.ParserSettings{Field: field, OnError: onError}
	}
	tests := []struct {
		name    string
		parsers []config.Parser
		line    string
		want    string
		flags   event.Flags
	}{
		{"the first that understands a line has it", []config.Parser{asJSON(on("", "drop")), asLogfmt(on("", "drop"))},
			`{"msg":"a=b"}`, `"message":"a=b"`, 0},
		{"the next has a turn", []config.Parser{asJSON(on("", "keep")), asLogfmt(on("", "drop"))},
			`msg=hello user=7`, `"message":"hello","user":7`, 0},
		{"nobody understands it", []config.Parser{asJSON(on("", "keep")), asLogfmt(on("", "keep"))},
			`just text`, `"message":"just text"`, 0},
		{"dropped", []config.Parser{asJSON(on("", "drop")), asLogfmt(on("", "keep"))},
			`msg=hello user=7`, `"message":"msg=hello user=7"`, event.Dropped},
		{"dead letter", []config.Parser{asJSON(on("", "dead_letter"))},
			`just text`, `"message":"just text"`, event.Rejected},
		{"the message is understood in its turn", []config.Parser{asJSON(on("", "keep")),
			asLogfmt(on("message", "keep"))},
			`{"msg":"msg=hello user=7","n":1}`, `"message":"hello","n":1,"user":7`, 0},
		{"a message without one of its own stays",
			[]config.Parser{asJSON(on("", "keep")), asJSON(on("message", "keep"))},
			`{"msg":"{\"user\":7}"}`, `"message":"{\"user\":7}","user":7`, 0},
		{"a field gives way to what is in it", []config.Parser{asJSON(on("", "keep")), asJSON(on("inner", "drop"))},
			`{"a":1,"data":2,"inner2":3,"inner":"{\"level\":\"warn\",\"msg\":\"inner\"}"}`,
			`"level":"warn","message":"inner","a":1,"data":2,"inner2":3`, 0},
		{"a field that is not there is nobody's failure",
			[]config.Parser{asJSON(on("", "keep")), asJSON(on("body", "drop"))},
			`{"msg":"hello"}`, `"message":"hello"`, 0},
		{"a field that is not understood", []config.Parser{asJSON(on("", "keep")), asJSON(on("body", "drop"))},
			`{"msg":"hello","body":"text","z":1}`, `"message":"hello","body":"text","z":1`, event.Dropped},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var parsers []parserFactory
			for _, c := range tt.parsers {
				p, err := newParserFactory(c)
				if err != nil {
					t.Fatal(err)
				}
				parsers = append(parsers, p)
			}
			src := event.NewSource(1, "test", "test", nil)
			b := &event.Batch{}
			b.Reset(src)
			b.Add(0, 0, b.PutString(tt.line))
			newChain(parsers, src).parse(b, 0)
			want := `{"timestamp":"1970-01-01T00:00:00.000Z",` + tt.want + `}`
			if got := string(event.AppendRecord(nil, b, 0, false)); got != want {
				t.Errorf("\ngot  %s\nwant %s", got, want)
			}
			if got := b.Records[0].Flags & (event.Dropped | event.Rejected); got != tt.flags {
				t.Errorf("flags %b, want %b", got, tt.flags)
			}
			if got := string(b.Line(0)); got != tt.line {
				t.Errorf("the line became %s", got)
			}
		})
	}
}
