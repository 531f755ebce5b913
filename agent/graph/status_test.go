package graph

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
)

// TestTheAccountCloses looks at the account in the midst of trouble, when all is waiting, and at
// the end.
func TestTheAccountCloses(t *testing.T) {
	t.Run("lines", func(t *testing.T) { accountCloses(t, twoPipelines, 500, "") })
	blocked := strings.ReplaceAll(twoPipelines, "y: {type: memory}",
		"y: {type: memory, queue_size: 64KiB, spool_size: 0}")
	t.Run("blocked", func(t *testing.T) { accountCloses(t, blocked, 500, strings.Repeat(" far=away", 300)) })
	joined := strings.Replace(twoPipelines, "words: {type: words}", "words: {type: blocks}", 1)
	t.Run("joined", func(t *testing.T) { accountCloses(t, joined, 170, "") })
}

// accountCloses sends 500 lines that end alike, which the first pipeline makes so many records of.
func accountCloses(t *testing.T, yaml string, records uint64, end string) {
	w := newWorld()
	w.more = []pipeline.Spec{{Kind: pipeline.KindParser, Type: "blocks", New: func() any { return &blocksConfig{} }}}
	for i := range 10 {
		for k := range 50 {
			key := fmt.Sprint("source ", i)
			line := fmt.Sprintf("info t=%d", 100*i+k) + end
			if k%3 > 0 {
				line = " " + line
			}
			w.sources[key] = append(w.sources[key], line)
		}
	}
	w.endless = true
	w.away["y"] = true
	synctest.Test(t, func(t *testing.T) {
		g := w.build(t, t.TempDir(), yaml)
		done := make(chan error)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { done <- g.Run(ctx) }()
		for range 5 {
			time.Sleep(time.Second)
			synctest.Wait()
			closes(t, g.Status(), 2)
			sameInMetrics(t, g)
		}
		w.mu.Lock()
		w.away["y"] = false
		w.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		s := g.Status()
		closes(t, s, 2)
		sameInMetrics(t, g)
		for _, o := range s.Outputs {
			want := uint64(500)
			if o.Name != "z" {
				want = records
			}
			if o.Delivered != want || o.InFlight != 0 {
				t.Errorf("%s: %+v", o.Name, o.Counts)
			}
		}
		for _, p := range s.Pipelines {
			if p.Pending != 0 {
				t.Errorf("%+v", p)
			}
		}
		if c := g.Counts(); c.Pending() != 0 || c.Due+c.Joined != 3*c.Read {
			t.Errorf("%+v", c)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// closes checks that no record is unaccounted for; outputs gives the number of outputs of the first
// pipeline, and the others have one.
func closes(t *testing.T, s Status, outputs uint64) {
	t.Helper()
	var read, taken uint64
	for _, in := range s.Inputs {
		read += in.Read - uint64(in.InFlight)
	}
	due := uint64(0)
	for i, p := range s.Pipelines {
		if p.Read != read {
			t.Errorf("pipeline %s took %d records, and the inputs gave %d", p.Name, p.Read, read)
		}
		records := p.Read - p.Joined - uint64(p.Pending)
		if i == 0 {
			records *= outputs
		}
		due += records
	}
	for _, o := range s.Outputs {
		taken += o.Taken
		if sum := o.Delivered + o.Rejected + o.Filtered + o.Skipped + uint64(o.InFlight); o.Taken != sum {
			t.Errorf("%s has taken %d records, and %d have an outcome or are in flight: %+v",
				o.Name, o.Taken, sum, o.Counts)
		}
	}
	if taken != due {
		t.Errorf("the outputs took %d, and the pipelines gave %d", taken, due)
	}
}

// sameInMetrics holds the account in the metrics against the status.
func sameInMetrics(t *testing.T, g *Graph) {
	t.Helper()
	shown := map[string]float64{}
	families, err := g.Metrics.(*prometheus.Registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.Metric {
			shown[family.GetName()+" "+m.Label[0].GetValue()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	want := map[string]uint64{}
	s := g.Status()
	for _, in := range s.Inputs {
		want["longshore_input_records_total "+in.Name] = in.Read
		want["longshore_input_in_flight_records "+in.Name] = uint64(in.InFlight)
	}
	for _, p := range s.Pipelines {
		want["longshore_pipeline_lines_total "+p.Name] = p.Read
		want["longshore_pipeline_joined_lines_total "+p.Name] = p.Joined
		want["longshore_pipeline_pending_lines "+p.Name] = uint64(p.Pending)
	}
	for _, o := range s.Outputs {
		want["longshore_output_records_taken_total "+o.Name] = o.Taken
		want["longshore_output_records_delivered_total "+o.Name] = o.Delivered
		want["longshore_output_records_rejected_total "+o.Name] = o.Rejected
		want["longshore_output_records_filtered_total "+o.Name] = o.Filtered
		want["longshore_output_records_skipped_total "+o.Name] = o.Skipped
		want["longshore_output_in_flight_records "+o.Name] = uint64(o.InFlight)
	}
	for name, n := range want {
		if got, ok := shown[name]; !ok || got != float64(n) {
			t.Errorf("/metrics shows %v of %s (%v), the status %d", got, name, ok, n)
		}
	}
}

// TestStatusOfSourcesAndOutputs: how far each source is, what waits, and what pipelines consist of.
func TestStatusOfSourcesAndOutputs(t *testing.T) {
	w := newWorld()
	w.sources["a"] = []string{"info t=1", "info t=2", "info t=3"}
	w.sources["b"] = []string{"info t=1"}
	w.endless = true
	w.away["out"] = true
	synctest.Test(t, func(t *testing.T) {
		g := w.build(t, t.TempDir(), oneOutput)
		done := make(chan error)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { done <- g.Run(ctx) }()
		time.Sleep(time.Second)
		synctest.Wait()
		s := g.Status()
		in, p, out := s.Inputs[0], s.Pipelines[0], s.Outputs[0]
		if in.Type != "script" || in.Positions != "bytes" || in.Listed == nil || len(in.Listed) != 0 {
			t.Errorf("the input, whose sources are closed, is %+v", in)
		}
		if fmt.Sprint(p.Inputs, p.Parsers, p.Transforms, p.Outputs) != "[in] [words] [] [out]" || p.Transforms == nil {
			t.Errorf("the pipeline is %+v", p)
		}
		if out.Type != "memory" || out.InFlight != 4 || out.QueuedBytes <= 0 || out.QueueSize != 8<<20 ||
			out.LastDelivered != nil || out.SpoolSize == 0 || out.LagSeconds < 0.5 {
			t.Errorf("the output is %+v", out)
		}
		w.mu.Lock()
		w.away["out"] = false
		w.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		s = g.Status()
		feed := g.inputs[0].feed
		for _, key := range []string{"lags", "does not"} {
			src, err := feed.Open(0, key, nil)
			if err != nil {
				t.Fatal(err)
			}
			of := feed.source(src.ID).progress
			of.Checkpoint(5, []byte("5"))
			if track, err := of.Track("main/out"); err != nil || key == "lags" && track.Reserve(9) != nil {
				t.Fatal(err)
			}
			if key == "lags" {
				of.Checkpoint(9, []byte("9"))
			}
		}
		if got := fmt.Sprint(g.Status().Inputs[0].Listed); !strings.Contains(got, "lags 9 ") {
			t.Errorf("the sources are %s", got)
		}
		if out := s.Outputs[0]; out.LastDelivered == nil || out.QueuedBytes != 0 || out.LagSeconds != 0 {
			t.Errorf("in the end the output is %+v", out)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
