package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

// TestWhatIsFilteredTakesNoMemory: batches of which an output takes nothing go by without a trace
// while its destination is away.
func TestWhatIsFilteredTakesNoMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Bool
		to := &destination{limits: pipeline.Limits{Bytes: 1 << 10}}
		to.answer = func(int, []string) error {
			if !back.Load() {
				return &pipeline.SendError{Outcome: pipeline.Retry, Reason: "away"}
			}
			return nil
		}
		r := newRig(t, to, func(s *pipeline.OutputSettings) { s.Filter.Level = "warn" })
		r.run(func(ctx context.Context) {
			a, b := source(1), source(2)
			r.put(ctx, a, "warn first")
			synctest.Wait()
			r.put(ctx, a, "warn a")
			for range 1000 {
				r.put(ctx, a, "info a")
				r.put(ctx, b, "info b")
			}
			synctest.Wait()
			if n := len(r.d.lanes[0].open.Runs); n > 10 {
				t.Errorf("%d runs wait with one record", n)
			}
			back.Store(true)
		})
		r.allDone()
	})
}

func TestUnencodableRecordWaitsUntilItCanBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{}
		r := newRig(t, to, nil)
		r.letters.fail = errors.New("disk full")
		r.run(func(ctx context.Context) {
			src := source(1)
			r.put(ctx, src, "a", "cannot be encoded", "b")
			time.Sleep(time.Minute)
			synctest.Wait()
			if r.tracks[src].done[15] {
				t.Error("a record is done that was neither sent nor kept")
			}
			if c := r.d.Counts(); c.Rejected != 0 {
				t.Errorf("counts: %+v", c)
			}
			r.letters.mu.Lock()
			r.letters.fail = nil
			r.letters.mu.Unlock()
		})
		r.allDone()
		if diff := cmp.Diff([]string{"a", "b"}, to.stored); diff != "" {
			t.Error(diff)
		}
		if n := len(r.letters.letters); n != 1 || r.letters.letters[0].Record != "cannot be encoded" {
			t.Errorf("dead letters: %+v", r.letters.letters)
		}
	})
}

func TestALargeRecordGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{limits: pipeline.Limits{Bytes: 10}}
		r := newRig(t, to, nil)
		large := strings.Repeat("x", 25)
		r.run(func(ctx context.Context) { r.put(ctx, source(1), "aaa", "bbb", large, "ccc", "dddd", "eeee") })
		r.allDone()
		want := [][]string{{"aaa", "bbb"}, {large}, {"ccc", "dddd"}, {"eeee"}}
		if diff := cmp.Diff(want, to.bodies); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAnAnswerThatNamesARecordTwice: it has one outcome all the same.
func TestAnAnswerThatNamesARecordTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{}
		to.answer = func(try int, _ []string) error {
			if try > 1 {
				return nil
			}
			return &pipeline.SendError{Items: []pipeline.ItemError{
				{Index: 0, Outcome: pipeline.Reject}, {Index: 0, Outcome: pipeline.Reject},
				{Index: 1, Outcome: pipeline.Retry}, {Index: 1, Outcome: pipeline.Reject},
			}}
		}
		r := newRig(t, to, nil)
		r.run(func(ctx context.Context) { r.put(ctx, source(1), "a", "b") })
		r.allDone()
		if c := r.d.Counts(); c.Delivered != 1 || c.Rejected != 1 || len(r.letters.letters) != 1 {
			t.Errorf("of 2 records: %+v, %d dead letters", c, len(r.letters.letters))
		}
	})
}

// TestOneFailingLaneIsEnough: what another lane delivers does not make the output healthy.
func TestOneFailingLaneIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{limits: pipeline.Limits{Records: 1}}
		to.answer = func(_ int, lines []string) error {
			if lines[0] == "bad" {
				return &pipeline.SendError{Outcome: pipeline.Retry, Reason: "busy"}
			}
			return nil
		}
		r := newRig(t, to, func(s *pipeline.OutputSettings) { s.Lanes = 2 })
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.d.Run(ctx); close(done) }()
		bad, good := source(1), source(2)
		r.put(ctx, bad, "bad")
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			r.put(ctx, good, "good")
		}
		stop()
		<-done
		if slices.Contains(r.health, nil) {
			t.Error("the output was reported healthy while one lane failed")
		}
	})
}

// TestStopTakesNoteOfTheLastAnswer: records that are known to be stored are done, though others of
// their request are not.
func TestStopTakesNoteOfTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{}
		r := newRig(t, to, nil)
		ctx, stop := context.WithCancel(t.Context())
		to.answer = func(int, []string) error {
			stop()
			time.Sleep(time.Second)
			return &pipeline.SendError{Items: []pipeline.ItemError{{Index: 1, Outcome: pipeline.Retry}}}
		}
		done := make(chan struct{})
		go func() { r.d.Run(ctx); close(done) }()
		src := source(1)
		r.put(ctx, src, "a", "b", "c")
		<-done
		if k := r.tracks[src]; !k.done[5] || k.done[15] || !k.done[25] {
			t.Errorf("done: %v", k.done)
		}
	})
}

// TestStopDoesNotWaitForOneThatHangs: a screen that takes nothing, a network file system that is
// away.
func TestStopDoesNotWaitForOneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		to := &destination{}
		r := newRig(t, to, nil)
		r.d.Output = blocking{to, free}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.d.Run(ctx); close(done) }()
		src := source(1)
		r.put(ctx, src, "slow")
		synctest.Wait()
		stop()
		select {
		case <-done:
		case <-time.After(time.Hour):
			t.Error("Run waits for a request that does not end")
		}
		if n := len(r.tracks[src].done); n > 0 {
			t.Errorf("%d positions are done", n)
		}
		close(free)
	})
}

// TestPauseIsShortenedAtTheEnd: a destination that is back is tried once more when nothing else
// comes, however long the pause was to be.
func TestPauseIsShortenedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{}
		to.answer = func(try int, _ []string) error {
			if try == 1 {
				return &pipeline.SendError{Outcome: pipeline.Hold, Reason: "forbidden", RetryAfter: time.Hour}
			}
			return nil
		}
		r := newRig(t, to, nil)
		start := time.Now()
		r.run(func(ctx context.Context) {
			r.put(ctx, source(1), "a")
			time.Sleep(time.Second)
		})
		r.allDone()
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("the end took %v", took)
		}
	})
}

func TestCoverageOfPickedBodies(t *testing.T) {
	for mask := range 1 << 6 {
		src := source(1)
		one, two := &track{t: t, done: map[uint64]bool{}}, &track{t: t, done: map[uint64]bool{}}
		b := &Body{Runs: Runs{
			{Source: src, Track: one, First: 0, From: 0, To: 40},
			{Source: src, Track: two, First: 3, From: 100, To: 105},
			{Source: src, Track: two, First: 3, From: 107, To: 120},
			{Source: src, Track: one, First: 5, From: 40, To: 50},
		}}
		for _, pos := range []uint64{5, 15, 25, 108, 115, 41} {
			b.Bytes = fmt.Append(b.Bytes, pos, ";")
			b.Items = append(b.Items, pipeline.Item{Pos: pos, End: uint32(len(b.Bytes))})
		}
		rest := NewBody()
		keepItems(rest, b, func(i int) bool { return mask>>i&1 == 1 })
		for i, item := range b.Items {
			k := map[bool]*track{true: one, false: two}[item.Pos < 100]
			if kept := mask>>i&1 == 1; k.done[item.Pos] == kept {
				t.Errorf("mask %b: item %d is done: %v", mask, i, !kept)
			}
		}
		rest.finish() // nothing is done twice
		if len(one.done) != 50 || len(two.done) != 18 {
			t.Errorf("mask %b: %d and %d positions are done in the end", mask, len(one.done), len(two.done))
		}
	}
}

// TestWhatIsAtHandGoesTogether: while an input has more of a source at hand, a body that is not
// full waits for it, but not for long.
func TestWhatIsAtHandGoesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &destination{}
		r := newRig(t, to, nil)
		r.run(func(ctx context.Context) {
			began := time.Now()
			src := source(1)
			for i := range 3 {
				r.more = i < 2
				r.put(ctx, src, fmt.Sprint("at hand ", i))
				synctest.Wait()
			}
			time.Sleep(time.Second)
			r.more = true
			r.put(ctx, src, "the next does not come")
			time.Sleep(time.Second)
			synctest.Wait()
			want := []time.Duration{0, time.Second + gatherTime}
			for i, at := range to.at {
				if got := at.Sub(began); got != want[i] {
					t.Errorf("body %d was sent after %v, want %v", i, got, want[i])
				}
			}
		})
		r.allDone()
		want := [][]string{{"at hand 0", "at hand 1", "at hand 2"}, {"the next does not come"}}
		if diff := cmp.Diff(want, to.bodies); diff != "" {
			t.Error(diff)
		}
	})
}
