package add

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	pipetest.TestTransform(t, Spec(), `fields: {text: "{escaped}{list}", x: "{object}", y: "1{text}"}`)
}

func newJSON(*event.Source) pipeline.Parser { return json.New(nil) }

func TestAdd(t *testing.T) {
	c := &Config{Fields: map[string]string{
		"env": "production", "where": "{container.name}:{status}", "copy": "{status}", "none": "{nothing}",
		"user": "{level}",
		"deep": "{http.method}", "message": "{message}!", "service": "shop", "at": "{timestamp}", "id": "{trace_id}",
	}}
	got := pipetest.Transformed(t, pipetest.MustTransform(t, c, nil), newJSON,
		`{"msg":"a\tb","level":"warn","user":"ann","status":502,"http":{"method":"GET"}}`, `not JSON`)
	want := []string{
		`{"timestamp":"2023-11-14T22:13:20.000Z","level":"warn","message":"a\tb!","service":"shop",` +
			`"user":"warn","status":502,"http":{"method":"GET"},"at":"2023-11-14T22:13:20.000Z","copy":502,` +
			`"deep":"GET","env":"production","where":"web-1:502"}`,
		`{"timestamp":"2023-11-14T22:13:21.000Z","message":"not ` +
			`JSON!","service":"shop","at":"2023-11-14T22:13:21.000Z","env":"production","where":"web-1:"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestProblems(t *testing.T) {
	for name, value := range map[string]string{"timestamp": "x", "a": "{", "trace_id": "x"} {
		if n := len((&Config{Fields: map[string]string{name: value}}).Check()); n != 1 {
			t.Errorf("%s: %q has %d problems, want 1", name, value, n)
		}
	}
}

func TestAllocs(t *testing.T) {
	c := &Config{Fields: map[string]string{"env": "production", "where": "{container.name}:{status}"}}
	pipetest.AllocFree(t, pipetest.MustTransform(t, c, nil), newJSON, `{"msg":"a","status":502}`)
}
