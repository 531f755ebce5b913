package loki

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/loki/pkg/push"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// lateFor rejects the first n entries of a stream, as Loki's ingester does. It names the first of
// them.
func lateFor(s push.Stream, n int) string {
	return fmt.Sprintf("entry with timestamp %s ignored, reason: 'entry too far behind, entry timestamp is: "+
		"…',\nuser 'fake', total ignored: %d out of %d for stream: %s",
		s.Entries[0].Timestamp.UTC().Format(goTimeString), n, len(s.Entries), s.Labels)
}

// lateApps is threeApps with no two entries of a stream at one instant.
func lateApps(t *testing.T, o *Output) *pipeline.Body {
	src := func(name string) *event.Source {
		return event.NewSource(1, "i", name, []event.Label{{Name: event.LabelService, Value: name}})
	}
	last := batchOf(src("b"), "6")
	last.Records[0].Time += int64(time.Minute)
	return fill(t, o, batchOf(src("a"), "0"), batchOf(src("b"), "1", "2"), batchOf(src("c"), "3", "4", "5"), last)
}

// TestLateStream: what comes too late for its stream goes to the one beside it, and what becomes of
// it there is what has become of it.
func TestLateStream(t *testing.T) {
	const a, b, c = `{app="a"}`, `{app="b"}`, `{app="c"}`
	const lateA, lateB = `{app="a", late="1"}`, `{app="b", late="1"}`
	// The body has a: 0; b: 1, 2, 6; c: 3, 4, 5.
	tests := map[string]struct {
		behind map[string]int // entries that come too late, by stream
		lane   map[string]int // status of the late stream's answer, or 204
		other  map[string]int // status of the other streams' answers
		off    bool
		want   classified
		stored map[string]int
		late   float64
	}{
		"some": {behind: map[string]int{b: 2}, stored: map[string]int{a: 1, b: 1, c: 3, lateB: 2}, late: 2},
		"two":  {behind: map[string]int{a: 1, b: 3}, stored: map[string]int{lateA: 1, c: 3, lateB: 3}, late: 4},
		"off": {behind: map[string]int{b: 2}, off: true,
			want:   classified{Outcome: pipeline.Reject, Items: []string{"1 reject", "2 reject"}},
			stored: map[string]int{a: 1, b: 1, c: 3}},
		"too late": {behind: map[string]int{b: 2, lateB: 1},
			want:   classified{Outcome: pipeline.Reject, Items: []string{"1 reject"}},
			stored: map[string]int{a: 1, b: 1, c: 3, lateB: 1}, late: 1},
		"failing": {behind: map[string]int{b: 2}, lane: map[string]int{lateB: 500},
			want:   classified{Outcome: pipeline.Retry, Uncertain: true, Items: []string{"1 retry", "2 retry"}},
			stored: map[string]int{a: 1, b: 1, c: 3}},
		"busy": {behind: map[string]int{b: 2}, lane: map[string]int{lateB: 429},
			want:   classified{Outcome: pipeline.Retry, Items: []string{"1 retry", "2 retry"}},
			stored: map[string]int{a: 1, b: 1, c: 3}},
		"too large": {behind: map[string]int{b: 2}, lane: map[string]int{lateB: 413},
			want:   classified{Outcome: pipeline.Retry, Items: []string{"1 retry", "2 retry"}},
			stored: map[string]int{a: 1, b: 1, c: 3}},
		"all of it, and too large": {behind: map[string]int{a: 1, b: 3, c: 3}, lane: map[string]int{lateA: 413},
			want: classified{Outcome: pipeline.Split}, stored: map[string]int{}},
		"the second is ill": {behind: map[string]int{a: 1, b: 3}, lane: map[string]int{lateB: 500},
			want: classified{Outcome: pipeline.Retry, Uncertain: true,
				Items: []string{"1 retry", "2 retry", "6 retry"}}, stored: map[string]int{lateA: 1, c: 3}, late: 1},
		"another is ill": {behind: map[string]int{b: 2}, other: map[string]int{c: 500},
			want: classified{Outcome: pipeline.Retry, Uncertain: true,
				Items: []string{"3 retry", "4 retry", "5 retry"}}, stored: map[string]int{a: 1, b: 1, lateB: 2},
			late: 2},
		"not let in there": {behind: map[string]int{b: 1}, lane: map[string]int{lateB: 403},
			want:   classified{Outcome: pipeline.Hold, Items: []string{"1 hold"}},
			stored: map[string]int{a: 1, b: 2, c: 3}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			stored := map[string]int{}
			loki := newFakeLoki(t, func(req push.PushRequest) (status int, text string) {
				if len(req.Streams) != 1 {
					t.Errorf("%d streams in one request", len(req.Streams))
				}
				s := req.Streams[0]
				if status := test.lane[s.Labels] + test.other[s.Labels]; status != 0 {
					return status, "no"
				}
				n := test.behind[s.Labels]
				stored[s.Labels] += len(s.Entries) - n
				if stored[s.Labels] == 0 {
					delete(stored, s.Labels)
				}
				if n > 0 {
					return 400, lateFor(s, n)
				}
				return 204, ""
			})
			o := newOutput(t, Config{URL: loki.URL, Labels: map[string]string{"app": "{service}"},
				LateStream: !test.off})
			o.health.now = func() time.Time { return time.Unix(0, start) }
			var got classified
			if failure, _ := o.Send(context.Background(), lateApps(t, o)).(*pipeline.SendError); failure != nil {
				got = classifiedOf(failure, false)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.stored, stored); diff != "" {
				t.Error(diff)
			}
			if n := counted(t, o.metrics.late); n != test.late {
				t.Errorf("counted %v", n)
			}
		})
	}
}

func TestWithLateLabel(t *testing.T) {
	full := "{"
	for i := range maxLabels {
		full += fmt.Sprintf(`a%02d="1", `, i)
	}
	full = strings.TrimSuffix(full, ", ") + "}"
	for set, want := range map[string]string{
		`{app="a"}`:                       `{app="a", late="1"}`,
		`{app="a, \"b\" = {}", zone="z"}`: `{app="a, \"b\" = {}", late="1", zone="z"}`,
		`{zone="z"}`:                      `{late="1", zone="z"}`,
		`{app="a", late="no"}`:            `{app="a", late="no"}`,
		full:                              full,
		"{":                               "{",
	} {
		if got := withLateLabel(set); got != want {
			t.Errorf("%s: got %s", set, got)
		}
	}
}
