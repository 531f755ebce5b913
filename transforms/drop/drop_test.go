package drop

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	pipetest.TestTransform(t, Spec(), "")
}

func newJSON(*event.Source) pipeline.Parser { return json.New(nil) }

func TestCondition(t *testing.T) {
	first := func(b *event.Batch, i int) bool { return i == 0 }
	got := pipetest.Transformed(t, pipetest.MustTransform(t, new(Config), first), newJSON, `{"msg":"a"}`, `{"msg":"b"}`)
	want := []string{`dropped`, `{"timestamp":"2023-11-14T22:13:21.000Z","message":"b"}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
