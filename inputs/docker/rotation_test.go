package docker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// chatter logs a line of 30 kB every 30 ms, each of which is sent at once. Rotated ones are left
// out of the engine's stream.
func chatter(e *fakeEngine, c *fakeContainer, d time.Duration, rotated bool) {
	line := strings.Repeat("x", 30_000)
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(30 * time.Millisecond) {
		e.write(c, message{ts: time.Now().UnixNano(), text: fmt.Sprintf("%d %s\n", len(c.Log), line), rotated: rotated})
	}
}

// TestSkippedByTheEngine blocks reading until the engine has rotated twice and leaves out the file
// between.
func TestSkippedByTheEngine(t *testing.T) {
	for _, tt := range []struct {
		name         string
		size, files  string
		lost, warned bool
	}{
		{"its files still hold it", "2m", "3", false, false},
		{"its files are too small", "100k", "3", true, true},
		{"it does not rotate", "", "", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newFakeEngine(t)
				c := e.start(&fakeContainer{ID: "a", Name: "a",
					Options: map[string]string{"max-size": tt.size, "max-file": tt.files}})
				r := run(t, e, pipetest.NewFeed(t), Config{})
				chatter(e, c, 3*time.Second, false)
				synctest.Wait()
				if !slices.Equal(lines(c.Log, logformat.Stdout), r.feed.Lines()) {
					t.Fatal("lines are missing before anything happens")
				}
				r.feed.Block(true)
				chatter(e, c, 2*time.Second, false)
				chatter(e, c, 3*time.Second, true)
				chatter(e, c, time.Second, false)
				r.feed.Block(false)
				chatter(e, c, time.Second, false)
				time.Sleep(time.Second)
				if missing := len(lines(c.Log, logformat.Stdout)) - len(r.feed.Lines()); (missing > 0) != tt.lost ||
					missing < 0 {
					t.Errorf("%d lines are missing", missing)
				}
				r.wantLogged("probably rotated away lines", map[bool]int{true: 1}[tt.warned])
				r.wantLogged("\n", map[bool]int{true: 1}[tt.warned])
			})
		})
	}
}

// TestOldFileIsFollowedBefore23Only: with newer engines, reading a log again for that reason would
// be for nothing.
func TestOldFileIsFollowedBefore23Only(t *testing.T) {
	for _, before23 := range []bool{false, true} {
		d := skipDetector{rotation: rotation{size: 1000, files: 2, before23: before23}, sinceReread: 2000}
		if got := d.mayFollowOldFile(); got != before23 {
			t.Errorf("before 23.0: %v: may follow an old file: %v", before23, got)
		}
	}
}

// TestPausesAreNoSkips has containers that pause now and then: their logs are not read twice.
func TestPausesAreNoSkips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		c := e.start(&fakeContainer{ID: "a", Name: "a", Options: map[string]string{"max-size": "1m", "max-file": "3"}})
		r := run(t, e, pipetest.NewFeed(t), Config{})
		for range 6 {
			chatter(e, c, 3*time.Second, false)
			time.Sleep(5 * time.Second)
		}
		if _, sinces := e.asked(); len(sinces) > 1+18_000_000/(rereadAfter*3<<20) {
			t.Errorf("%d logs were requested", len(sinces))
		}
		r.wantLines(c)
		r.wantNothingLogged()
	})
}

// TestClockSetBackWhileStopped sets the engine's clock back by an hour while the agent is stopped,
// and rotates away all that was read.
func TestClockSetBackWhileStopped(t *testing.T) {
	for _, old := range []bool{false, true} {
		for _, rotated := range []bool{false, true} {
			for _, running := range []bool{false, true} {
				t.Run(fmt.Sprintf("old=%v rotated=%v running=%v", old, rotated, running), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { testSetBack(t, old, rotated, running) })
				})
			}
		}
	}
}

func testSetBack(t *testing.T, old, rotated, running bool) {
	const hour = 3600 * second
	e := newFakeEngine(t)
	e.oldSince, e.ahead = old, time.Hour
	c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running", Log: []message{
		out(hour-second, "before\n"), err(hour-second, "before\n"), out(hour, "before\n")}})
	r := run(t, e, pipetest.NewFeed(t), Config{})
	r.feed.WaitFor(t.Context(), 3)
	synctest.Wait()
	r.feed.Ack()
	r.stop()
	e.change(func() {
		e.ahead = 0
		if rotated {
			c.Log = nil
		}
		if !running {
			c.State = "exited"
		}
		c.Log = append(c.Log, out(1*second, "1\n"), err(1*second, "2\n"), out(2*second, "3\n"))
	})
	want := []string{"1", "2", "3"}
	r = run(t, e, r.feed.Restart(), Config{})
	time.Sleep(10 * time.Second)
	if running {
		e.write(c, out(12*second, "4\n"))
		time.Sleep(time.Second)
		e.restart()
		time.Sleep(10 * time.Second)
		e.write(c, err(22*second, "5\n"))
		want = append(want, "4", "5")
	}
	time.Sleep(time.Second)
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(r.feed.Lines()))); diff != "" {
		t.Errorf("%s\n%s", diff, r.logged)
	}
	r.wantLogged("has rotated away the position", map[bool]int{true: 1}[rotated])
	last := map[string]uint64{}
	for _, g := range r.feed.Got() {
		if g.Pos <= last[g.Source.Key] {
			t.Errorf("%s is at %d, after %d", g.Line, g.Pos, last[g.Source.Key])
		}
		last[g.Source.Key] = g.Pos
	}
}

// TestCompressedFilesAreLeftOut: an engine before 23.0 leaves out all rotated files when the oldest
// is compressed and ends before the requested time. A position in one of them is not gone.
func TestCompressedFilesAreLeftOut(t *testing.T) {
	for _, gone := range []bool{false, true} {
		for version, requests := range map[string]int{"1.41": 2, "1.44": 1} {
			t.Run(fmt.Sprintf("API %s, gone=%v", version, gone), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testCompressed(t, version, requests, gone) })
			})
		}
	}
}

func testCompressed(t *testing.T, version string, requests int, gone bool) {
	e := newFakeEngine(t)
	e.version = version
	time.Sleep(time.Minute)
	c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running", Options: map[string]string{"compress": "true"},
		Log: []message{
			out(10*second, "1\n"), err(20*second, "2\n"), out(30*second, "3\n")}})
	r := run(t, e, pipetest.NewFeed(t), Config{})
	r.feed.WaitFor(t.Context(), 3)
	synctest.Wait()
	r.feed.Ack()
	r.stop()
	_, before := e.asked()
	want := []string{"4", "5"}
	e.change(func() {
		c.Log = append(c.Log, out(40*second, "4\n"), err(50*second, "5\n"))
		c.Compressed = 4
		if gone {
			c.Log, c.Compressed, want = c.Log[4:], 0, []string{"5"}
		}
	})
	r = run(t, e, r.feed.Restart(), Config{})
	time.Sleep(10 * time.Second)
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(r.feed.Lines()))); diff != "" {
		t.Errorf("%s\n%s", diff, r.logged)
	}
	r.wantLogged("has rotated away the position", map[bool]int{true: 1}[gone])
	if _, sinces := e.asked(); len(sinces)-len(before) != requests {
		t.Errorf("the log was requested from %q", sinces[len(before):])
	}
}

// TestCompressedFilesFromATime: where reading starts at a time and not at a line, nothing would
// show that an old engine has left out files.
func TestCompressedFilesFromATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		e.version = "1.41"
		c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running", Options: map[string]string{"compress": "true"},
			Log: []message{
				out(10*second, "1\n")}})
		time.Sleep(time.Minute)
		r := run(t, e, pipetest.NewFeed(t), Config{ReadFrom: "end"})
		time.Sleep(time.Minute)
		r.feed.Ack()
		r.stop()
		e.change(func() {
			now := time.Now().UnixNano()
			c.Log = append(c.Log, message{ts: now, text: "2\n"}, message{ts: now + second, text: "3\n"})
			c.Compressed = 2
		})
		r = run(t, e, r.feed.Restart(), Config{ReadFrom: "end"})
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff([]string{"2", "3"}, r.feed.Lines()); diff != "" {
			t.Errorf("%s\n%s", diff, r.logged)
		}
	})
}
