package uppercase

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) { pipetest.TestTransform(t, Spec(), "") }

func TestUppercase(t *testing.T) {
	newJSON := func(*event.Source) pipeline.Parser { return json.New(nil) }
	config := pipetest.Config[*Config](t, Spec(), "field: user")
	got := pipetest.Transformed(t, pipetest.MustTransform(t, config, nil), newJSON, `{"msg":"hi","user":"ann"}`,
		`{"msg":"hi"}`)
	want := []string{
		`{"timestamp":"2023-11-14T22:13:20.000Z","message":"hi","user":"ANN"}`,
		`{"timestamp":"2023-11-14T22:13:21.000Z","message":"hi"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
