package dedupe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	pipetest.TestTransform(t, Spec(), `{key: "{text}", window: 1s, max_keys: 10}`)
}

func newJSON(*event.Source) pipeline.Parser { return json.New(nil) }

func TestDedupe(t *testing.T) {
	c := &Config{Key: "{level} {message}", Window: pipeline.Duration(3 * time.Second), Max: 100}
	got := pipetest.Transformed(t, pipetest.MustTransform(t, c, nil), newJSON, // a second between two
		`{"msg":"a"}`, `{"msg":"a"}`, `{"msg":"b"}`, `{"msg":"a",`+
			`"level":"warn"}`, `{"msg":"a"}`, `{"msg":"b"}`, `{"msg":"b"}`)
	var kept []int
	for i, record := range got {
		if record != "dropped" {
			kept = append(kept, i)
		}
	}
	if diff := cmp.Diff([]int{0, 2, 3, 4, 5}, kept); diff != "" {
		t.Error(diff)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := &history{window: 10, max: 100}
	for key := range uint64(10_000) {
		m.remember(key, 0)
		if n := len(m.young) + len(m.old); n > 100 {
			t.Fatalf("%d keys are remembered", n)
		}
	}
	if m.remember(9_999, 0) || !m.remember(0, 0) {
		t.Error("the last key is forgotten, or the first is not")
	}
}

func TestAllocs(t *testing.T) {
	c := &Config{Key: "{message}", Window: 1e9, Max: 100}
	pipetest.AllocFree(t, pipetest.MustTransform(t, c, nil), newJSON, `{"msg":"a","x":502}`)
}
