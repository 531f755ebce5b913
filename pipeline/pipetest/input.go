package pipetest

import (
	"context"
	"fmt"
	"sort"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/pipeline"
)

// An InputHarness is an input and the outside it reads, for TestInput.
type InputHarness struct {
	// New gives a new input over the same outside, as after a restart.
	New func(t testing.TB) pipeline.Input
	// Write appends lines to one source of the outside. They count as one
	// source's, in order.
	Write func(t testing.TB, lines ...string)
	// Resumes says that the input goes on after a restart where it was.
	Resumes bool
	// Endless says that the input goes on until it is told to stop.
	Endless bool
}

// patience bounds how long a suite waits for what must happen; reaching it
// is a failure.
const patience = 30 * time.Second

// TestInput holds an input against its contract: all lines, once, in order, with
// the same positions after a restart; what was not acknowledged comes again;
// backpressure holds, and stopping is prompt and leaves nothing behind. start
// makes a new, empty outside.
func TestInput(t *testing.T, start func(t *testing.T) InputHarness) {
	t.Run("every line once, in order", func(t *testing.T) {
		h := start(t)
		feed := NewFeed(t)
		stop := runInput(t, h, feed)
		h.Write(t, numbered(0, 500)...)
		got := feed.WaitFor(within(t), 500)
		h.Write(t, numbered(500, 600)...)
		if h.Endless {
			got = feed.WaitFor(within(t), 600)
			stop()
			wantLines(t, got, numbered(0, 600))
			return
		}
		stop()
		wantLines(t, got[:500], numbered(0, 500))
	})
	t.Run("stops at once when idle", func(t *testing.T) {
		h := start(t)
		runInput(t, h, NewFeed(t))()
	})
	t.Run("backpressure blocks, and stopping ends it", func(t *testing.T) {
		h := start(t)
		feed := NewFeed(t)
		feed.Block(true)
		stop := runInput(t, h, feed)
		h.Write(t, numbered(0, 100)...)
		stop()
		if n := len(feed.Got()); n > 0 {
			t.Errorf("%d records came through a blocked feed", n)
		}
		if !h.Resumes {
			return
		}
		next := feed.Restart()
		stop = runInput(t, h, next)
		wantLines(t, next.WaitFor(within(t), 100), numbered(0, 100))
		stop()
	})
	t.Run("resumes after what was acknowledged", func(t *testing.T) { testResume(t, start, true) })
	t.Run("repeats what was not, at the same positions", func(t *testing.T) { testResume(t, start, false) })
}

func testResume(t *testing.T, start func(t *testing.T) InputHarness, ack bool) {
	h := start(t)
	if !h.Resumes {
		t.Skip("this input does not resume: its source cannot be read again")
	}
	feed := NewFeed(t)
	stop := runInput(t, h, feed)
	h.Write(t, numbered(0, 200)...)
	before := feed.WaitFor(within(t), 200)
	stop()
	want := numbered(200, 300)
	if ack {
		feed.Ack()
	} else {
		want = numbered(0, 300)
	}
	h.Write(t, numbered(200, 300)...)
	next := feed.Restart()
	stop = runInput(t, h, next)
	got := next.WaitFor(within(t), len(want))
	stop()
	wantLines(t, next.Got(), want)
	for i := range before {
		if !ack && got[i].Pos != before[i].Pos {
			t.Fatalf("line %q was at position %d, and is at %d after a restart", got[i].Line, before[i].Pos, got[i].Pos)
		}
	}
}

// runInput runs an input until the function it gives is called, which checks
// that it ended well.
func runInput(t *testing.T, h InputHarness, feed *Feed) (stop func()) {
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	in := h.New(t)
	go func() { ended <- in.Run(ctx, feed) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
			goleak.VerifyNone(t, before)
		case <-within(t).Done():
			t.Fatal("Run did not return after its context ended")
		}
	}
	t.Cleanup(stop)
	return stop
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func numbered(from, to int) []string {
	var lines []string
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf("line %06d", i))
	}
	return lines
}

func wantLines(t *testing.T, got []Got, want []string) {
	t.Helper()
	var lines []string
	for _, g := range got {
		lines = append(lines, g.Line)
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("lines: -want +got\n%s", diff)
	}
	if !sort.SliceIsSorted(got, func(i, j int) bool { return got[i].Pos < got[j].Pos }) {
		t.Error("positions do not ascend")
	}
}
