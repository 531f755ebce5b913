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
	config := pipetest.Config[*Config](t, Spec(), "field: user")
	got := pipetest.Transformed(t, pipetest.MustTransform(t, config, nil), newJSON, `{"msg":"hi","user":"\u00e9va"}`,
		`{"msg":"hi","user":7}`, `{"msg":"hi"}`)
	want := []string{
		`{"timestamp":"2023-11-14T22:13:20.000Z","message":"hi","user":"ÉVA"}`,
		`{"timestamp":"2023-11-14T22:13:21.000Z","message":"hi","user":7}`,
		`{"timestamp":"2023-11-14T22:13:22.000Z","message":"hi"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAllocs(t *testing.T) {
	transform := pipetest.MustTransform(t, pipetest.Config[*Config](t, Spec(), ""), nil)
	pipetest.AllocFree(t, transform, newJSON, `{"msg":"hi"}`)
}

func newJSON(*event.Source) pipeline.Parser { return json.New(nil) }
