package route

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	pipetest.TestTransform(t, Spec(), `
routes: [{if: '"x" in text', outputs: [loki]}]
else: [elastic]
`)
}

func newJSON(*event.Source) pipeline.Parser { return json.New(nil) }

func TestRoute(t *testing.T) {
	for _, test := range []struct {
		rest []string
		want []string // what a record is not for: the bits of elastic and loki
	}{
		{nil, []string{"10", "01", "", ""}},
		{[]string{"loki"}, []string{"10", "01", "", "10"}},
	} {
		c := &Config{Routes: []Route{
			{If: `level == "debug"`, Outputs: []string{"loki"}},
			{If: `audit`, Outputs: []string{"elastic"}},
			{If: `level >= "warn"`, Outputs: []string{"elastic", "loki"}},
		}, Else: test.rest}
		var got []string
		for _, record := range pipetest.Transformed(t, pipetest.MustTransform(t, c, nil), newJSON,
			`{"level":"debug","audit":true}`, `{"audit":true}`, `{"level":"error"}`, `{"level":"info"}`) {
			_, bits, _ := strings.Cut(record, " not to ")
			got = append(got, bits)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("else %v: %s", test.rest, diff)
		}
	}
}

func TestProblems(t *testing.T) {
	c := &Config{Routes: []Route{{If: `level = 3`, Outputs: []string{"loki", "kafka"}}}, Else: []string{"lokl"}}
	if p := c.Check(); len(p) != 1 || p[0].Path != "routes[0].if" || p[0].Column == 0 {
		t.Errorf("problems: %+v", p)
	}
	if p := c.CheckOutputs([]string{"loki"}); len(p) != 2 || p[0].Path != "routes[0].outputs[1]" ||
		p[1].Path != "else[0]" {
		t.Errorf("problems: %+v", p)
	}
	env := pipetest.TransformEnv(t)
	env.Outputs = make([]string, 33)
	if _, err := c.Transform(env); err == nil {
		t.Error("33 outputs are taken")
	}
}
