package remove

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	pipetest.TestTransform(t, Spec(), `{fields: ["*"], except: [list]}`)
}

func newJSON(*event.Source) pipeline.Parser { return json.New(nil) }

func TestRemove(t *testing.T) {
	const line = `{"msg":"m","level":"warn","service":"shop","debug_a":1,"b":2,"debug_c":3,"http.status":4,` +
		`"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}`
	const head = `{"timestamp":"2023-11-14T22:13:20.000Z",`
	for _, test := range []struct {
		fields, except []string
		want           string
	}{
		{[]string{"debug_*", "none"}, nil, `"level":"warn","message":"m","service":"shop",` +
			`"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","b":2,"http.status":4}`},
		{[]string{"*"}, []string{"http.*", "b"}, `"level":"warn","message":"m","service":"shop",` +
			`"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","b":2,"http.status":4}`},
		{[]string{"*", "level", "service", "trace_id"}, nil, `"message":"m"}`},
	} {
		c := &Config{Fields: test.fields, Except: test.except}
		got := pipetest.Transformed(t, pipetest.MustTransform(t, c, nil), newJSON, line)
		if diff := cmp.Diff([]string{head + test.want}, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestProblems(t *testing.T) {
	c := &Config{Fields: []string{"level", "message", "*", "timestamp"}}
	problems := c.Check()
	if len(problems) != 2 || problems[0].Path != "fields[1]" || problems[1].Path != "fields[3]" {
		t.Errorf("%+v", problems)
	}
}

func TestAllocs(t *testing.T) {
	pipetest.AllocFree(t, pipetest.MustTransform(t, &Config{Fields: []string{"debug_*"}}, nil), newJSON,
		`{"msg":"a","debug_x":502}`)
}
