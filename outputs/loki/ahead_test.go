package loki

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/loki/pkg/push"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// rejectsTooNew is a Loki that takes nothing more than ten minutes ahead of its clock.
func rejectsTooNew(req push.PushRequest) (status int, text string) {
	var tooNew []string
	for _, s := range req.Streams {
		for _, e := range s.Entries {
			if e.Timestamp.After(time.Now().Add(10 * time.Minute)) {
				tooNew = append(tooNew, fmt.Sprintf("entry for stream '%s' has timestamp too new: %s", s.Labels,
					e.Timestamp.UTC().Format(time.RFC3339)))
			}
		}
	}
	if len(tooNew) > 0 {
		return 400, strings.Join(tooNew, "; ")
	}
	return 204, ""
}

// aheadOutput returns an output as it is after a restart with a data folder.
func aheadOutput(t *testing.T, url, folder string, c Config) *Output {
	t.Helper()
	env := pipetest.Env(t)
	env.Folder = folder
	c.URL = url
	out, err := withDefaults(t, c).Output(env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return out.(*Output)
}

// bodyOf encodes batches with their sources.
func bodyOf(t *testing.T, o *Output, batches ...*event.Batch) *pipeline.Body {
	t.Helper()
	body, sources := fill(t, o, batches...), ofBatches{}
	for _, b := range batches {
		sources = append(sources, slices.Repeat(ofBatches{b.Source}, len(b.Records))...)
	}
	body.Sources = sources
	return body
}

// TestTimesAheadOfLokisClock: what Loki finds too new is stored with another time and marked, after
// a restart with the same time, and is found there.
func TestTimesAheadOfLokisClock(t *testing.T) {
	file := event.NewSource(7, "files", "/java.log", []event.Label{{Name: event.LabelFile, Value: "/java.log"}})
	const ms = time.Millisecond
	tests := map[string]struct {
		config Config
		source *event.Source
		ahead  []time.Duration // of the records' times, from now
		known  bool            // the source knows when they were written
		want   []time.Duration
		about  bool // within a quarter of an hour
		mark   string
	}{
		"Berlin": {source: file, ahead: []time.Duration{time.Hour, time.Hour + ms, time.Hour + 2*ms},
			want: []time.Duration{0, ms, 2 * ms}, mark: `"time_rejected":true}`},
		"Tokyo, and what was written before": {source: file, ahead: []time.Duration{9 * time.Hour, 8 * time.Hour},
			want: []time.Duration{0, -time.Hour}, mark: `"time_rejected":true}`},
		"raw": {config: Config{LineFormat: "raw"}, source: file, ahead: []time.Duration{time.Hour},
			want: []time.Duration{0}},
		"ECS": {config: Config{Schema: "ecs"}, source: file, ahead: []time.Duration{time.Hour},
			want: []time.Duration{0}, mark: `"log.flags":["time_rejected"]}`},
		"two days": {source: file, ahead: []time.Duration{48*time.Hour + 3*time.Minute}, want: []time.Duration{0},
			about: true, mark: `"time_rejected":true}`},
		"one of several": {source: file, ahead: []time.Duration{-time.Hour, 40 * time.Minute, -time.Minute},
			want: []time.Duration{-time.Hour, -5 * time.Minute, -time.Minute}, mark: `"time_rejected":true}`},
		"a container knows better": {source: container("web"), ahead: []time.Duration{37 * time.Minute, 3 * time.Hour},
			known: true, want: []time.Duration{-time.Second, time.Millisecond - time.Second},
			mark: `"time_rejected":true}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			loki, folder, now := newFakeLoki(t, rejectsTooNew), t.TempDir(), time.Now().Truncate(time.Millisecond)
			b := batchOf(test.source, slices.Repeat([]string{"order failed"}, len(test.ahead))...)
			for i, ahead := range test.ahead {
				b.Records[i].Time = now.Add(ahead).UnixNano()
				if test.known {
					b.Records[i].Pos = uint64(now.Add(time.Duration(i)*ms - time.Second).UnixNano())
				}
			}
			a := newArchive(t)
			for range 2 { // the second time as after a crash
				o := aheadOutput(t, loki.URL, folder, test.config)
				if err := o.Send(t.Context(), bodyOf(t, o, b)); err != nil {
					t.Fatal(err)
				}
			}
			var got [][]push.Entry
			for _, req := range loki.pushed {
				if status, _ := rejectsTooNew(req); status == 204 {
					got = append(got, req.Streams[0].Entries)
					a.streams = append(a.streams, req.Streams...)
				}
			}
			checkMoved(t, got, now, test.want, test.about, test.mark, test.config.LineFormat == "raw")
			o := aheadOutput(t, a.URL, folder, test.config)
			stored := make([]bool, len(test.ahead))
			for i, ahead := range test.ahead {
				stored[i] = ahead < 0 // was stored as it is, and is not looked for here
			}
			a.streams = entriesApart(a.streams[:1])
			if err := o.Stored(t.Context(), bodyOf(t, o, b), stored); err != nil || slices.Contains(stored, false) {
				t.Errorf("after a restart it finds %v: %v", stored, err)
			}
			if test.ahead[0] > 0 {
				want := strings.Repeat("1", len(test.ahead))
				if got := audited(t, o.Audit(now.Add(-24*time.Hour)), bodyOf(t, o, b)); got != want {
					t.Errorf("an audit finds %s, want %s", got, want)
				}
			}
		})
	}
}

// entriesApart are streams of one entry each, as an archive has them.
func entriesApart(streams []push.Stream) (all []push.Stream) {
	for _, s := range streams {
		for _, e := range s.Entries {
			all = append(all, push.Stream{Labels: s.Labels, Entries: []push.Entry{e}})
		}
	}
	return all
}

func checkMoved(t *testing.T, got [][]push.Entry, now time.Time, want []time.Duration, about bool, mark string,
	raw bool) {
	t.Helper()
	if len(got) != 2 {
		t.Fatalf("%d requests were taken, want one before the restart and one after", len(got))
	}
	if diff := cmp.Diff(got[0], got[1]); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
	moved := want
	if len(got[0]) < len(want) { // those that were not ahead went with the first request
		moved = want[1:2]
	}
	for i, e := range got[0] {
		away := e.Timestamp.Sub(now) - moved[i]
		if away != 0 && !(about && away.Abs() < 15*time.Minute) {
			t.Errorf("entry %d is %v away from its time", i, away)
		}
		if !strings.HasSuffix(e.Line, mark) {
			t.Errorf("entry %d is not marked: %s", i, e.Line)
		}
		if raw && !slices.Contains(e.StructuredMetadata, push.LabelAdapter{Name: "time_rejected", Value: "true"}) {
			t.Errorf("entry %d is not marked beside its line: %v", i, e.StructuredMetadata)
		}
	}
}

// TestFastClock: the host of the agent is an hour fast, and so is all that it logs.
func TestFastClock(t *testing.T) {
	loki := newFakeLoki(t, rejectsTooNew)
	o := aheadOutput(t, loki.URL, t.TempDir(), Config{})
	o.health.now = func() time.Time { return time.Now().Add(time.Hour) }
	b := batchOf(event.NewSource(7, "files", "/a.log", nil), "one")
	b.Records[0].Time = time.Now().Add(time.Hour).UnixNano()
	if err := o.Send(t.Context(), bodyOf(t, o, b)); err != nil {
		t.Fatal(err)
	}
	last := loki.pushed[len(loki.pushed)-1].Streams[0].Entries[0]
	if ahead := time.Until(last.Timestamp); ahead > 0 || ahead < -15*time.Minute {
		t.Errorf("it is stored %v from now", ahead)
	}
}

// TestEqualLinesStayApartWhenTheirTimesAreShifted: a source whose times run ahead of every shift.
func TestEqualLinesStayApartWhenTheirTimesAreShifted(t *testing.T) {
	loki := newFakeLoki(t, rejectsTooNew)
	o := aheadOutput(t, loki.URL, t.TempDir(), Config{LineFormat: "raw"})
	seen := map[int64]bool{}
	for i := range 40 {
		b := batchOf(event.NewSource(7, "files", "/a.log", nil), "tick")
		b.Records[0].Pos = uint64(i)
		ahead := 24*time.Hour + time.Duration(i)*15*time.Minute
		b.Records[0].Time = time.Now().Truncate(time.Hour).Add(ahead).UnixNano()
		if err := o.Send(t.Context(), bodyOf(t, o, b)); err != nil {
			t.Fatal(err)
		}
		at := loki.pushed[len(loki.pushed)-1].Streams[0].Entries[0].Timestamp.UnixNano()
		if seen[at] {
			t.Fatalf("line %d has the time of another: %v", i, time.Unix(0, at))
		}
		seen[at] = true
	}
}

// TestShiftsAreOnDiskFirst: nothing is sent with a time that could not be noted.
func TestShiftsAreOnDiskFirst(t *testing.T) {
	loki, folder := newFakeLoki(t, rejectsTooNew), filepath.Join(t.TempDir(), "none")
	if err := os.WriteFile(folder, nil, 0o600); err != nil { // no folder can be made there
		t.Fatal(err)
	}
	o := aheadOutput(t, loki.URL, filepath.Join(folder, "x"), Config{})
	b := batchOf(event.NewSource(7, "files", "/a.log", nil), "one", "two")
	b.Records[0].Time, b.Records[1].Time = time.Now().UnixNano(), time.Now().Add(time.Hour).UnixNano()
	failure, _ := o.Send(t.Context(), bodyOf(t, o, b)).(*pipeline.SendError)
	if failure == nil || len(failure.Items) != 1 || failure.Items[0].Index != 1 ||
		failure.Items[0].Outcome != pipeline.Retry || len(loki.pushed) != 1 {
		t.Errorf("got %+v after %d requests", failure, len(loki.pushed))
	}
}

// TestLabelValuesAreKnownAfterARestart: it lets no further values through, and the same as before;
// also where the last line of its memory is torn.
func TestLabelValuesAreKnownAfterARestart(t *testing.T) {
	loki, folder := newFakeLoki(t, answers(204, "")), t.TempDir()
	config := Config{Labels: map[string]string{"user": "{user}"}, MaxLabelValues: 3}
	groups := func(users ...string) []string {
		o := aheadOutput(t, loki.URL, folder, config)
		b := batchOf(container("web"), users...)
		for i, user := range users {
			b.AddField(i, event.Value{Span: b.PutString("user"), Kind: event.Plain},
				event.Value{Span: b.PutString(user), Kind: event.Plain})
		}
		body := bodyOf(t, o, b)
		if err := o.Send(t.Context(), body); err != nil {
			t.Fatal(err)
		}
		return body.Groups
	}
	path := filepath.Join(folder, memoryFile)
	got := [][]string{groups("ann", "bob")}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, `{"label":"user","va`...), 0o600); err != nil {
		t.Fatal(err)
	}
	got = append(got, groups("cid", "dan"), groups("eve", "cid", "bob", "ann"))
	want := [][]string{{`{user="ann"}`, `{user="bob"}`}, {`{user="cid"}`, `{user="other"}`},
		{`{user="other"}`, `{user="cid"}`, `{user="bob"}`, `{user="ann"}`}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
