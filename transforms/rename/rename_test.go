package rename

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	pipetest.TestTransform(t, Spec(), "fields: {text: list, list: text, object: message}")
}

func newJSON(*event.Source) pipeline.Parser { return json.New(nil) }

func TestRename(t *testing.T) {
	c := &Config{Fields: map[string]string{"a": "b", "b": "a", "usr": "user.name", "old": "there", "sev": "level",
		"text": "message", "none": "x"}}
	got := pipetest.Transformed(t, pipetest.MustTransform(t, c, nil), newJSON,
		`{"a":1,"b":"two","usr":"ann","old":true,"there":false,"sev":"error","text":"hello"}`, `{"a":1,"sev":"loud"}`)
	want := []string{
		`{"timestamp":"2023-11-14T22:13:20.000Z","level":"error","message":"hello","there":true,"b":1,"a":"two",` +
			`"user.name":"ann"}`,
		`{"timestamp":"2023-11-14T22:13:21.000Z","message":"{\"a\":1,\"sev\":\"loud\"}","b":1}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestProblems(t *testing.T) {
	for _, fields := range []map[string]string{{"a": "timestamp"}, {"trace_id": "x"}, {"a": "x", "b": "x"}, {"a": ""}} {
		if n := len((&Config{Fields: fields}).Check()); n != 1 {
			t.Errorf("%v has %d problems, want 1", fields, n)
		}
	}
}
