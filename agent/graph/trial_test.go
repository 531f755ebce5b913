package graph

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// TestATrialThatIsShownSlowlySplitsNoRecord: lines that wait while others are shown do not lack.
func TestATrialThatIsShownSlowlySplitsNoRecord(t *testing.T) {
	w := newWorld()
	w.more = []pipeline.Spec{{Kind: pipeline.KindParser, Type: "blocks", New: func() any { return &blocksConfig{} }}}
	loader := config.Loader{Components: w.specs()}
	cfg, err := loader.Load("test.yml", []byte("version: 1\ndata_dir: "+t.TempDir()+`
inputs: {in: {type: script}}
parsers: {blocks: {type: blocks}}
outputs: {out: {type: memory}}
pipelines: {main: {inputs: [in], parsers: [blocks], outputs: [out]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		trial, err := NewTrial(cfg, "", nil, slog.New(slog.DiscardHandler), w.clock)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		go func() {
			at := uint64(0)
			for range 20 {
				for _, lines := range [][]string{{"a", "b"}, {" c"}} {
					if err := trial.Send(t.Context(), batchOf(trial, trial.src, at, lines...)); err != nil {
						t.Error(err)
					}
					at += uint64(len(lines))
				}
			}
			trial.Close(trial.src, true)
		}()
		var got []string
		err = trial.Run(t.Context(), func(o Outcome) error {
			time.Sleep(5 * time.Second)
			got = append(got, o.Line)
			return nil
		})
		for range 20 {
			want = append(want, "a", "b\n c")
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("records %q, error %v", got, err)
		}
	})
}

func TestPipelinesOf(t *testing.T) {
	cfg := &config.Config{Pipelines: []config.Pipeline{
		{Name: "a", Inputs: []string{"x"}}, {Name: "b", Inputs: []string{"y"}}, {Name: "c", Inputs: []string{"x", "y"}},
		{Name: "d"},
	}}
	chosen := func(value string) []event.Label { return []event.Label{{Name: pipeline.OptionPipeline, Value: value}} }
	for _, test := range []struct {
		labels []event.Label
		want   string
		failed bool
	}{{nil, "a c", false}, {chosen("d, b"), "d b", false}, {chosen("none"), "a c", true}} {
		got, err := PipelinesOf(cfg, "x", test.labels)
		if strings.Join(got, " ") != test.want || (err != nil) != test.failed {
			t.Errorf("%v: got %v, %v", test.labels, got, err)
		}
	}
}
