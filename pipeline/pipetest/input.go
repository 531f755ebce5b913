package pipetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/event"
)

// An InputHarness is an input and the outside it reads, for TestInput.
type InputHarness struct {
	// New returns a new input over the same outside, as after a restart.
	New func(t testing.TB) pipeline.Input
	// Write appends lines to one source of the outside. They count as one
	// source's, in order. While no input runs it must not wait for one.
	Write func(t testing.TB, lines ...string)
	// WriteOther is Write for another source of the same input. nil where an input has only one.
	WriteOther func(t testing.TB, lines ...string)
	// End ends the outside for good, as standard input ends; the input's Run
	// then returns. nil where an input goes on until it is told to stop.
	End func(t testing.TB)
	// Acknowledged returns how many of the lines that were written the outside was told are done.
	// It is for inputs with the trait Acknowledges, and nil for others.
	Acknowledged func() int
	// Ignored are goroutines of the outside that come and go, and are not the input's.
	Ignored []goleak.Option
	// Resumes says that the input goes on after a restart where it was.
	Resumes bool
	// Text says that the outside itself keeps only text: each byte that is no UTF-8
	// is U+FFFD there.
	Text bool

	traits pipeline.Traits
}

// patience bounds how long a suite waits for what must happen; reaching it is a failure.
const patience = 30 * time.Second

// TestInput checks an input against its contract: all lines, byte for byte, once, in order; the
// same records after a restart, whichever batches were acknowledged; sources that do not wait for
// each other; backpressure that holds; stopping that is prompt and leaves nothing behind; and the
// traits that its spec names. start makes a new, empty outside.
func TestInput(t *testing.T, spec pipeline.Spec, start func(t *testing.T) InputHarness) {
	for _, property := range []struct {
		name string
		test func(t *testing.T, h InputHarness)
	}{
		{"every line once, in order", testEveryLine},
		{"hostile and long lines, byte for byte", testHostile},
		{"stops at once when idle", func(t *testing.T, h InputHarness) { startInput(t, h, NewFeed(t)).stop() }},
		{"returns at the end of its source", testEnd},
		{"backpressure holds lines up and loses none", testBackpressure},
		{"stops under backpressure", testStopBlocked},
		{"goes on behind any batch with the same records", testResume},
		{"starts again from its very first batch", testFirstBatch},
		{"two sources go their own ways", testTwoSources},
		{"acknowledges, if its spec says so", testAcknowledges},
		{"has positions of the kind that its spec names", testPositions},
		{"reads again what it has read, if its spec says so", testRereadable},
		{"reads again while it runs, if it can", testReread},
	} {
		t.Run(property.name, func(t *testing.T) {
			h := start(t)
			h.traits = spec.Traits
			property.test(t, h)
		})
	}
}

func testEveryLine(t *testing.T, h InputHarness) {
	feed := NewFeed(t)
	in := startInput(t, h, feed)
	h.Write(t, numbered(0, 500)...)
	feed.WaitFor(within(t), 500)
	h.Write(t, numbered(500, 600)...)
	feed.WaitFor(within(t), 600)
	in.stop()
	wantLines(t, feed.Got(), numbered(0, 600))
}

// testHostile begins with a usual line: the first bytes of a file may be a
// byte-order mark. Empty lines are lines.
func testHostile(t *testing.T, h InputHarness) {
	lines := []string{"a usual line", strings.Join(numbered(0, 30_000), "; ")}
	for _, line := range HostileLines {
		if line != "" && !strings.Contains(line, "\n") {
			lines = append(lines, line, "")
		}
	}
	feed := NewFeed(t)
	in := startInput(t, h, feed)
	h.Write(t, append(lines, "the end")...)
	got := feed.Wait(within(t), "the line behind the hostile ones", func(got []Got) bool {
		return len(got) > 0 && got[len(got)-1].Line == "the end"
	})
	in.stop()
	want := append(lines, "the end")
	for i := range want {
		if h.Text {
			want[i] = string([]rune(want[i]))
		}
	}
	for i := range min(len(got), len(want)) {
		if got[i].Line != want[i] {
			t.Errorf("line %d is %.100q (%d bytes), want %.100q (%d bytes)", i, got[i].Line, len(got[i].Line),
				want[i], len(want[i]))
		}
		if got[i].Flags&event.Truncated != 0 {
			t.Errorf("line %d, %.100q, is marked as truncated", i, got[i].Line)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d lines came, want %d", len(got), len(want))
	}
}

func testEnd(t *testing.T, h InputHarness) {
	if h.End == nil {
		t.Skip("this input goes on until it is told to stop")
	}
	feed := NewFeed(t)
	in := startInput(t, h, feed)
	h.Write(t, numbered(0, 100)...)
	h.End(t)
	in.wait()
	wantLines(t, feed.Got(), numbered(0, 100))
	feed.Ack()
	if known := feed.Restart().Known(); len(known) > 0 {
		t.Errorf("the ledger still knows %v, though all of it is done", known)
	}
}

func testBackpressure(t *testing.T, h InputHarness) {
	feed := NewFeed(t)
	feed.Block(true)
	in := startInput(t, h, feed)
	h.Write(t, numbered(0, 100)...)
	feed.WaitBlocked(within(t))
	h.Write(t, numbered(100, 200)...)
	feed.Block(false)
	feed.WaitFor(within(t), 200)
	in.stop()
	wantLines(t, feed.Got(), numbered(0, 200))
}

func testStopBlocked(t *testing.T, h InputHarness) {
	feed := NewFeed(t)
	feed.Block(true)
	in := startInput(t, h, feed)
	h.Write(t, numbered(0, 100)...)
	feed.WaitBlocked(within(t))
	in.stop()
	if n := len(feed.Got()); n > 0 {
		t.Errorf("%d records came through a blocked feed", n)
	}
	if !h.Resumes {
		return
	}
	next := feed.Restart()
	in = startInput(t, h, next)
	next.WaitFor(within(t), 100)
	in.stop()
	wantLines(t, next.Got(), numbered(0, 100))
}

// testResume restarts behind every batch there was, as after a crash there.
func testResume(t *testing.T, h InputHarness) {
	needResume(t, h)
	const lines, rounds = 120, 6
	feed := NewFeed(t)
	in := startInput(t, h, feed)
	for n := 0; n < lines; n += lines / rounds {
		h.Write(t, numbered(n, n+lines/rounds)...)
		feed.WaitFor(within(t), n+lines/rounds)
	}
	in.stop()
	before := feed.Got()
	wantLines(t, before, numbered(0, lines))
	for batch := 1; feed.AckBatch(); batch++ {
		left := unacknowledged(feed, before)
		next := feed.Restart()
		in := startInput(t, h, next)
		h.Write(t, fmt.Sprintf("new %06d", batch))
		before = append(before, next.WaitFor(within(t), len(left)+1)[len(left):]...)
		in.stop()
		wantRecords(t, fmt.Sprintf("after %d batches were acknowledged", batch), next.Got(),
			append(left, before[len(before)-1]))
	}
}

// unacknowledged returns the records that come again after a restart.
func unacknowledged(feed *Feed, got []Got) []Got {
	done := map[event.SourceID]uint64{}
	for _, k := range feed.Restart().Known() {
		done[k.ID] = k.Cursor.Pos
	}
	return slices.DeleteFunc(slices.Clone(got), func(g Got) bool { return g.Pos < done[g.Of] })
}

// testFirstBatch restarts with nothing acknowledged: lines that may have been
// sent come with the identity that they had.
func testFirstBatch(t *testing.T, h InputHarness) {
	needResume(t, h)
	h.Write(t, numbered(0, 50)...)
	feed := NewFeed(t)
	in := startInput(t, h, feed)
	before := feed.WaitFor(within(t), 50)
	in.stop()
	for range 2 {
		feed = feed.Restart()
		in = startInput(t, h, feed)
		feed.WaitFor(within(t), 50)
		in.stop()
		wantRecords(t, "with nothing acknowledged", feed.Got(), before)
	}
}

func testTwoSources(t *testing.T, h InputHarness) {
	if h.WriteOther == nil {
		t.Skip("this input has one source")
	}
	feed := NewFeed(t)
	in := startInput(t, h, feed)
	for n := 0; n < 100; n += 20 {
		h.Write(t, numbered(n, n+20)...)
		h.WriteOther(t, numbered(1000+n, 1000+n+20)...)
	}
	got := feed.WaitFor(within(t), 200)
	in.stop()
	one := ofSource(t, feed.Got(), numbered(0, 100))
	other := ofSource(t, feed.Got(), numbered(1000, 1100))
	if one == other {
		t.Fatal("the lines of two sources come from one")
	}
	if !h.Resumes {
		return
	}
	feed.AckSource(one)
	left := unacknowledged(feed, got)
	next := feed.Restart()
	in = startInput(t, h, next)
	h.Write(t, numbered(100, 110)...)
	next.WaitFor(within(t), len(left)+10)
	in.stop()
	if again := ofSource(t, next.Got(), numbered(100, 110)); again != one {
		t.Errorf("source %s is %s after a restart", one, again)
	}
	if again := ofSource(t, next.Got(), numbered(1000, 1100)); again != other {
		t.Errorf("source %s is %s after a restart", other, again)
	}
}

// testAcknowledges sees to it that the outside hears of a line when that is done, and not before.
func testAcknowledges(t *testing.T, h InputHarness) {
	_, is := h.New(t).(pipeline.Committer)
	if is != h.traits.Acknowledges || is != (h.Acknowledged != nil) {
		t.Fatalf("it is a Committer: %v, its spec has the trait Acknowledges: %v, its harness has Acknowledged: %v",
			is, h.traits.Acknowledges, h.Acknowledged != nil)
	}
	if !is {
		t.Skip("this input's sources are not told what is done")
	}
	feed := NewFeed(t)
	in := startInput(t, h, feed)
	h.Write(t, numbered(0, 10)...)
	feed.WaitFor(within(t), 10)
	if n := h.Acknowledged(); n > 0 {
		t.Errorf("%d lines are acknowledged, and none is done", n)
	}
	for feed.AckBatch() {
	}
	for ctx := within(t); h.Acknowledged() < 10; {
		if backoff.Sleep(ctx, 10*time.Millisecond, nil) != nil {
			t.Fatalf("all is done, and only %d of 10 lines are acknowledged", h.Acknowledged())
		}
	}
	in.stop()
}

// testPositions tells positions that are bytes from others, of which fewer are reserved ahead.
func testPositions(t *testing.T, h InputHarness) {
	feed := NewFeed(t)
	in := startInput(t, h, feed)
	lines := numbered(0, 100)
	h.Write(t, lines...)
	got := feed.WaitFor(within(t), len(lines))
	in.stop()
	span, size := got[len(got)-1].Pos-got[0].Pos, uint64((len(lines)-1)*(len(lines[0])+1))
	if h.traits.ReserveAhead == 0 && span < size {
		t.Errorf("%d bytes of lines are %d positions: these are not bytes of a file, so its spec needs the trait "+
			"ReserveAhead", size, span)
	}
}

// testRereadable goes on from the beginning, with the state of the end, as longshore verify does.
func testRereadable(t *testing.T, h InputHarness) {
	if !h.traits.Rereadable {
		t.Skip("this input's sources are read once")
	}
	feed := NewFeed(t)
	in := startInput(t, h, feed)
	h.Write(t, numbered(0, 100)...)
	before := feed.WaitFor(within(t), 100)
	in.stop()
	feed.Ack()
	next := feed.rewind()
	in = startInput(t, h, next)
	next.WaitFor(within(t), 100)
	in.stop()
	wantRecords(t, "from the beginning", next.Got(), before)
}

// testReread reads again from every batch on, while the input runs, as outputs that lag do.
func testReread(t *testing.T, h InputHarness) {
	feed := NewFeed(t)
	feed.Lag(true)
	in := startInput(t, h, feed)
	rereader, ok := in.input.(pipeline.Rereader)
	if !ok {
		in.stop()
		t.Skip("this input cannot read again while it runs")
	}
	for i := range 5 {
		h.Write(t, numbered(20*i, 20*i+20)...)
		feed.WaitFor(within(t), 20*i+20)
	}
	from := feed.marks()[0]
	if !rereader.CanReread(from.source) {
		in.stop()
		t.Skip("this input cannot read this source again while it runs")
	}
	feed.CheckReread(within(t), rereader, 1)
	refused := errors.New("no more")
	again := feed.at(from)
	again.refuse(refused)
	if err := rereader.Reread(within(t), again.Known()[0], again); !errors.Is(err, refused) {
		t.Errorf("with an error of Send: %v", err)
	}
	in.stop()
}

// ofSource returns the source of these lines, and checks that they are all that
// came from it, in order.
func ofSource(t *testing.T, got []Got, want []string) event.SourceID {
	t.Helper()
	i := slices.IndexFunc(got, func(g Got) bool { return g.Line == want[0] })
	if i < 0 {
		t.Fatalf("%q did not come", want[0])
	}
	id := got[i].Of
	wantLines(t, slices.DeleteFunc(slices.Clone(got), func(g Got) bool { return g.Of != id }), want)
	return id
}

func needResume(t *testing.T, h InputHarness) {
	t.Helper()
	if !h.Resumes {
		t.Skip("this input does not resume: its source cannot be read again")
	}
}

// An inputRun is an input that runs.
type inputRun struct {
	t      *testing.T
	input  pipeline.Input
	feed   *Feed
	leaks  []goleak.Option
	cancel context.CancelFunc
	ended  chan error
	over   bool
}

func startInput(t *testing.T, h InputHarness, feed *Feed) *inputRun {
	in := h.New(t)
	if c, ok := in.(pipeline.Committer); ok {
		feed.CommitTo(c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &inputRun{
		t: t, input: in, feed: feed, leaks: append(h.Ignored, goleak.IgnoreCurrent()), cancel: cancel,
		ended: make(chan error, 1),
	}
	go func() { r.ended <- in.Run(ctx, feed) }()
	t.Cleanup(r.stop)
	return r
}

// stop ends the run, and checks that it ends well.
func (r *inputRun) stop() {
	r.t.Helper()
	r.cancel()
	if !r.over {
		r.wait()
	}
}

// wait waits for the run to end, and checks that it left nothing behind.
func (r *inputRun) wait() {
	r.t.Helper()
	r.over = true
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Errorf("Run: %v", err)
		}
	case <-within(r.t).Done():
		r.t.Fatal("Run does not return")
	}
	goleak.VerifyNone(r.t, r.leaks...)
	if open := r.feed.OpenSources(); len(open) > 0 {
		r.t.Errorf("Run returned and left sources open: %v", open)
	}
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
	for i := 1; i < len(got); i++ {
		if got[i].Pos <= got[i-1].Pos {
			t.Errorf("%q is at position %d, behind %d", got[i].Line, got[i].Pos, got[i-1].Pos)
		}
	}
}

// wantRecords compares lines and identities.
func wantRecords(t testing.TB, when string, got, want []Got) {
	t.Helper()
	show := func(all []Got) (lines []string) {
		for _, g := range all {
			lines = append(lines, fmt.Sprintf("%s %d %s", g.Of, g.Pos, g.Line))
		}
		return lines
	}
	if diff := cmp.Diff(show(want), show(got)); diff != "" {
		t.Errorf("%s: source, position and line: -want +got\n%s", when, diff)
	}
}
