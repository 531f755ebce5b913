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

// An ingester answers as Loki's does: of a request with several streams, by the last one.
type ingester struct {
	rejects map[string]string // text by stream
	status  int
	stored  map[string]int // entries by stream
}

func (g *ingester) answer(req push.PushRequest) (status int, text string) {
	status = 204
	for _, s := range req.Streams {
		status, text = 204, ""
		if why := g.rejects[s.Labels]; why != "" {
			status = g.status
			text = strings.ReplaceAll(why, "STREAM",
				fmt.Sprintf("%d out of %d for stream: %s", len(s.Entries), len(s.Entries), s.Labels))
			continue
		}
		g.stored[s.Labels] += len(s.Entries)
	}
	return status, text
}

const (
	lateAnswer = "entry with timestamp 2026-10-01 12:00:00 +0000 UTC ignored, reason: 'entry too far behind, " +
		"…',\nuser 'fake', total ignored: STREAM"
	limitAnswer = "entry with timestamp 2026-10-01 12:00:00 +0000 UTC ignored, reason: 'Per stream rate limit " +
		"exceeded (limit: 3MB/sec) while …',\nuser 'fake', total ignored: STREAM"
)

func threeApps(t *testing.T, o *Output) *pipeline.Body {
	src := func(name string) *event.Source {
		return event.NewSource(1, "i", name, []event.Label{{Name: event.LabelService, Value: name}})
	}
	return fill(t, o, batchOf(src("a"), "0"), batchOf(src("b"), "1", "2"), batchOf(src("c"), "3", "4", "5"),
		batchOf(src("b"), "6"))
}

// TestRejectionsAreNotHidden: none of the rejections that a later stream's success would hide is
// taken for a delivery.
func TestRejectionsAreNotHidden(t *testing.T) {
	a, b, c := `{app="a"}`, `{app="b"}`, `{app="c"}`
	all := map[string]int{a: 1, b: 3, c: 3}
	tests := map[string]struct {
		rejects map[string]string
		status  int
		after   time.Duration // since the records' time
		known   bool          // the streams were sent before
		want    classified
		stored  map[string]int
		pushed  int
	}{
		"usual": {known: true, stored: all, pushed: 1},
		"new":   {stored: all, pushed: 3},
		"old":   {known: true, after: time.Hour, stored: all, pushed: 3},
		"too late": {rejects: map[string]string{b: lateAnswer}, status: 400, known: true, after: 2 * time.Hour,
			want:   classified{Outcome: pipeline.Reject, Items: []string{"1 reject", "2 reject", "6 reject"}},
			stored: map[string]int{a: 1, c: 3}, pushed: 3},
		"all too late": {rejects: map[string]string{a: lateAnswer, b: lateAnswer, c: lateAnswer}, status: 400,
			want: classified{Outcome: pipeline.Reject,
				Items: []string{"0 reject", "1 reject", "2 reject", "3 reject", "4 reject", "5 reject", "6 reject"}},
			stored: map[string]int{}, pushed: 3},
		"over a limit": {rejects: map[string]string{a: limitAnswer}, status: 429,
			want: classified{Outcome: pipeline.Retry, Items: []string{"0 retry"}}, stored: map[string]int{b: 3, c: 3},
			pushed: 3},
		"no more streams": {rejects: map[string]string{b: "maximum active stream limit exceeded when trying to " +
			"create stream " + b}, status: 429,
			want: classified{Outcome: pipeline.Retry,
				Items: []string{"1 retry", "2 retry", "3 retry", "4 retry", "5 retry", "6 retry"}},
			stored: map[string]int{a: 1}, pushed: 2},
		"to be bisected, first": {rejects: map[string]string{a: "couldn't parse"}, status: 400,
			want: classified{Outcome: pipeline.Bisect}, stored: map[string]int{}, pushed: 1},
		"to be bisected, second": {rejects: map[string]string{b: "couldn't parse"}, status: 400,
			want: classified{Outcome: pipeline.Retry,
				Items: []string{"1 retry", "2 retry", "3 retry", "4 retry", "5 retry", "6 retry"}},
			stored: map[string]int{a: 1}, pushed: 2},
		"rejected, first": {rejects: map[string]string{a: msgNoStreams}, status: 422,
			want: classified{Outcome: pipeline.Reject, Items: []string{"0 reject"}}, stored: map[string]int{b: 3, c: 3},
			pushed: 3},
		"rejected, second": {rejects: map[string]string{b: msgNoStreams}, status: 422,
			want:   classified{Outcome: pipeline.Reject, Items: []string{"1 reject", "2 reject", "6 reject"}},
			stored: map[string]int{a: 1, c: 3}, pushed: 3},
		"not let in": {rejects: map[string]string{b: "no"}, status: 403,
			want: classified{Outcome: pipeline.Hold,
				Items: []string{"1 hold", "2 hold", "3 hold", "4 hold", "5 hold", "6 hold"}},
			stored: map[string]int{a: 1}, pushed: 2},
		"failing": {rejects: map[string]string{b: "no"}, status: 500,
			want: classified{Outcome: pipeline.Retry, Uncertain: true,
				Items: []string{"1 retry", "2 retry", "3 retry", "4 retry", "5 retry", "6 retry"}},
			stored: map[string]int{a: 1}, pushed: 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ing := &ingester{rejects: test.rejects, status: test.status, stored: map[string]int{}}
			loki := newFakeLoki(t, ing.answer)
			o := newOutput(t, Config{URL: loki.URL, Labels: map[string]string{"app": "{service}"}})
			now := time.Unix(0, start).Add(test.after)
			o.health.now = func() time.Time { return now }
			body := threeApps(t, o)
			if test.known {
				o.health.update(body, nil)
			}
			var got classified
			if failure, _ := o.Send(context.Background(), body).(*pipeline.SendError); failure != nil {
				got = classifiedOf(failure, false)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.stored, ing.stored); diff != "" {
				t.Error(diff)
			}
			if len(loki.pushed) != test.pushed {
				t.Errorf("%d requests, want %d", len(loki.pushed), test.pushed)
			}
		})
	}
}

// TestStreamHealth: a stream over its rate goes alone for a while, and others that were taken go
// together.
func TestStreamHealth(t *testing.T) {
	o := newOutput(t, Config{Labels: map[string]string{"app": "{service}"}})
	now := time.Unix(0, start)
	o.health.now = func() time.Time { return now }
	body := threeApps(t, o)
	risky := func() int { return len(o.health.risky(body)) }
	var got []int
	got = append(got, risky()) // new, all three
	o.health.update(body, nil)
	got = append(got, risky())
	o.health.update(body, &pipeline.SendError{Status: 429, Items: []pipeline.ItemError{{Index: 1}}})
	got = append(got, risky()) // one over its rate
	now = now.Add(settledAfter)
	o.health.update(body, nil)
	got = append(got, risky())
	now = now.Add(settledAfter + time.Second)
	got = append(got, risky()) // not heard of for long
	if diff := cmp.Diff([]int{3, 0, 1, 0, 3}, got); diff != "" {
		t.Error(diff)
	}
	if single := subset(body, []int{0}); o.health.risky(single) != nil {
		t.Error("a single stream needs no care")
	}
	for i := range maxStreamStates {
		o.health.update(&pipeline.Body{Groups: []string{fmt.Sprint(i)}, Items: []pipeline.Item{{}}}, nil)
	}
	if n := len(o.health.streams); n > maxStreamStates {
		t.Errorf("%d streams are remembered", n)
	}
}
