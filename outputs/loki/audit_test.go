package loki

import (
	std "cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/loki/pkg/push"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// audited asks an audit for a body, and gives how often each item is held, or the first letter of
// why it may be held all the same.
func audited(t *testing.T, audit pipeline.Audit, body *pipeline.Body) string {
	t.Helper()
	held := make([]pipeline.Presence, len(body.Items))
	if err := audit.Presence(t.Context(), body, held); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, h := range held {
		switch {
		case h.Copies > 0:
			all.WriteByte(byte('0' + h.Copies))
		case h.Uncertain == reasonReplaced:
			all.WriteByte('o')
		case h.Uncertain == reasonLookback:
			all.WriteByte('s')
		case h.Uncertain == reasonSince:
			all.WriteByte('b')
		case h.Uncertain == reasonTooMany:
			all.WriteByte('m')
		default:
			all.WriteByte('-')
		}
	}
	return all.String()
}

// inOrder sorts what the archive has by time, as its answers have it.
func (a *archive) inOrder() {
	slices.SortStableFunc(a.streams, func(x, y push.Stream) int {
		return x.Entries[0].Timestamp.Compare(y.Entries[0].Timestamp)
	})
}

func TestAudit(t *testing.T) {
	web := func(texts ...string) *event.Batch { return batchOf(container("web"), texts...) }
	tests := map[string]struct {
		batch  *event.Batch
		gap    time.Duration // between records
		habits habits
		hold   []func(int) bool // which are stored, one time after the other
		labels []string         // of the last
		now    time.Duration    // after the first record
		want   string
		asked  int
	}{
		"nothing": {batch: web(lines(4, 1)...), want: "----", asked: 1},
		"all":     {batch: web(lines(4, 1)...), hold: []func(int) bool{every}, want: "1111", asked: 2},
		"some":    {batch: web(lines(4, 1)...), hold: []func(int) bool{only(1, 2)}, want: "-11-", asked: 2},
		"all twice": {batch: web(lines(4, 1)...), gap: time.Second, hold: []func(int) bool{every, every},
			want: "5111", asked: 3},
		"some of them twice": {batch: web(lines(4, 1)...), gap: time.Second,
			hold: []func(int) bool{only(0, 1, 3), only(3), only(3)}, want: "31-1", asked: 3},
		"once late, once not": {batch: web(lines(4, 1)...), hold: []func(int) bool{every, only(2)},
			labels: []string{`late="1"`}, want: "1121", asked: 2},
		"another's stream": {batch: web(lines(4, 1)...), hold: []func(int) bool{only(0), every},
			labels: []string{`zone="b"`}, want: "1---", asked: 2},
		"equal lines": {batch: web("a", "a", "a"), gap: 1, hold: []func(int) bool{only(0, 2)}, want: "1-1",
			asked: 2},
		"in small pages": {batch: web(lines(300, 10)...), gap: time.Millisecond, habits: habits{limit: 7},
			hold: []func(int) bool{every}, want: strings.Repeat("1", 300), asked: 60},
		"answers that are empty": {batch: web(lines(2000, 500)...), gap: time.Millisecond,
			habits: habits{most: 300 << 10}, hold: []func(int) bool{every},
			want: strings.Repeat("1", 2000), asked: 40},
		"old, and none is shown": {batch: web(lines(4, 1)...), now: 6 * time.Hour, want: "ssss", asked: 2},
		"old, before one that shows": {batch: web(lines(4, 1)...), now: 6 * time.Hour,
			hold: []func(int) bool{only(0, 2)}, want: "1-1s", asked: 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t)
			a.habits = test.habits
			a.hides, a.most = true, std.Or(a.most, 4<<20)
			o := newOutput(t, Config{URL: a.URL, LineFormat: "raw"})
			o.health.now = func() time.Time { return time.Unix(0, start).Add(test.now) }
			spread(test.batch, std.Or(test.gap, time.Microsecond))
			body := fill(t, o, test.batch)
			for k, keep := range test.hold {
				if k == len(test.hold)-1 {
					a.hold(body, keep, test.labels...)
				} else {
					a.hold(body, keep)
				}
			}
			a.inOrder()
			if diff := cmp.Diff(test.want, audited(t, o.Audit(time.Unix(0, 0)), body)); diff != "" {
				t.Error(diff)
			}
			if len(a.asked) > test.asked {
				t.Errorf("asked %d times, want %d at most", len(a.asked), test.asked)
			}
		})
	}
}

// spread returns the records of a batch new times.
func spread(b *event.Batch, gap time.Duration) {
	for i := range b.Records {
		b.Records[i].Time = start + int64(i)*int64(gap)
	}
}

// TestAuditOther: another line at the time of ours was ours, before the config was changed.
func TestAuditOther(t *testing.T) {
	a := newArchive(t)
	a.hides, a.most = true, 4<<20
	raw := newOutput(t, Config{URL: a.URL, LineFormat: "raw"})
	b := batchOf(container("web"), "x", "y", "z")
	a.hold(fill(t, raw, b), only(0, 1))
	o := newOutput(t, Config{URL: a.URL, LineFormat: "json"})
	o.health.now = func() time.Time { return time.Unix(0, start) }
	if got := audited(t, o.Audit(time.Unix(0, 0)), fill(t, o, b)); got != "oo-" {
		t.Errorf("%s", got)
	}
}

// TestAuditDuplicatesOnce: the repeats in a millisecond that two bodies share count once, however
// the bodies are cut, and so do those among lines of another source.
func TestAuditDuplicatesOnce(t *testing.T) {
	for _, gap := range []time.Duration{1, 300 * time.Microsecond, time.Second} {
		a := newArchive(t)
		a.hides, a.most = true, 4<<20
		o := newOutput(t, Config{URL: a.URL, LineFormat: "raw"})
		o.health.now = func() time.Time { return time.Unix(0, start) }
		all := batchOf(container("web"), lines(60, 1)...)
		spread(all, gap)
		other := batchOf(relabelled(container("web"), event.LabelStream, "stderr"), lines(60, 2)...)
		spread(other, gap)
		repeated := 0
		again := func(i int) bool {
			if i%7 == 3 {
				repeated++
				return true
			}
			return false
		}
		for _, b := range []*event.Batch{all, other} {
			body := fill(t, o, b)
			a.hold(body, every)
			a.hold(body, again)
		}
		a.inOrder()
		total := 0
		for _, b := range []*event.Batch{all, other} {
			for from := 0; from < 60; from += 20 {
				part := &event.Batch{}
				part.CopyFrom(b)
				part.Records = part.Records[from : from+20]
				body := fill(t, o, part)
				held := make([]pipeline.Presence, len(body.Items))
				if err := o.Audit(time.Unix(0, 0)).Presence(t.Context(), body, held); err != nil {
					t.Fatal(err)
				}
				for i, h := range held {
					if h.Copies == 0 {
						t.Errorf("%s apart: item %d is missing", gap, from+i)
					}
					total += h.Copies - 1
				}
			}
		}
		if total != repeated {
			t.Errorf("%s apart: %d repeats, want %d", gap, total, repeated)
		}
	}
}

// TestAuditFewAmongMany: a quiet source in the stream of a busy one is looked for where its lines
// are, and not by fetching all.
func TestAuditFewAmongMany(t *testing.T) {
	a := newArchive(t)
	a.hides, a.most = true, 4<<20
	o := newOutput(t, Config{URL: a.URL, LineFormat: "raw"})
	o.health.now = func() time.Time { return time.Unix(0, start) }
	busy := batchOf(container("web"), lines(2_000, 1)...)
	spread(busy, 100*time.Millisecond)
	a.hold(fill(t, o, busy), every)
	quiet := batchOf(relabelled(container("web"), event.LabelStream, "stderr"), "a", "b", "c", "d")
	spread(quiet, 50*time.Second)
	body := fill(t, o, quiet)
	a.hold(body, only(0, 2, 3))
	a.inOrder()
	if got := audited(t, o.Audit(time.Unix(0, 0)), body); got != "1-11" {
		t.Error(got)
	}
	if len(a.asked) > 20 {
		t.Errorf("asked %d times", len(a.asked))
	}
}

// TestAuditUntimed compares lines without a time by their text, in the order of their source.
type onlySource struct{ *event.Source }

func (s onlySource) SourceOf(int) *event.Source { return s.Source }

func TestAuditUntimed(t *testing.T) {
	for _, format := range []string{"raw", "json"} {
		a := newArchive(t)
		a.hides, a.most = true, 4<<20
		o := newOutput(t, Config{URL: a.URL, LineFormat: format})
		o.health.now = func() time.Time { return time.Unix(0, start).Add(time.Hour) }
		b := batchOf(container("web"), "old", "a", "same", "same", "same", "dated", "z\xff\xfe",
			strings.Repeat("long", 1000), "end")
		spread(b, 7*time.Millisecond+123)
		sent := fill(t, o, b)
		a.hold(sent, only(1, 2, 3, 5, 6, 7))
		a.hold(sent, only(1, 6))
		a.inOrder()
		for i := range b.Records {
			if i != 5 {
				b.Records[i].Time = int64(i) + 1
			}
		}
		audit := o.Audit(time.Unix(0, start).Add(-time.Hour))
		body := fill(t, o, b)
		body.Sources = onlySource{b.Source}
		if got, want := audited(t, audit, body), "b211-121-"; got != want {
			t.Errorf("%s: %s, want %s", format, got, want)
		}
	}
}

func TestAuditRejected(t *testing.T) {
	a := newArchive(t)
	body := fill(t, newOutput(t, Config{URL: a.URL}), batchOf(container("web"), "x"))
	o := newOutput(t, Config{URL: a.URL, Reconcile: "off"})
	if err := o.Audit(time.Time{}).Presence(t.Context(), body, make([]pipeline.Presence, 1)); !errors.Is(err,
		pipeline.ErrUnknowable) {
		t.Error(err)
	}
	a.instead = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusForbidden); return true }
	o = newOutput(t, Config{URL: a.URL})
	if err := o.Audit(time.Time{}).Presence(t.Context(), body, make([]pipeline.Presence, 1)); !errors.Is(err,
		pipeline.ErrUnknowable) {
		t.Error(err)
	}
	a.instead = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	var answer *pipeline.SendError
	if err := o.Audit(time.Time{}).Presence(context.Background(), body, make([]pipeline.Presence, 1)); !errors.As(err,
		&answer) {
		t.Error(err)
	}
}
