package docker

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/dockerapi"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rig runs the input against a fake engine.
type rig struct {
	t      *testing.T
	in     *Input
	feed   *pipetest.Feed
	logged *safeBuffer
	health *lastError
	stop   func() // ends the run and waits for it
}

type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

type lastError struct {
	mu      sync.Mutex
	err     error
	set     bool
	changed chan struct{} // holds one, if something was noted since
}

func newLastError() *lastError { return &lastError{changed: make(chan struct{}, 1)} }

func (l *lastError) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err, l.set = err, true
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// wait waits for a health that satisfies done.
func (l *lastError) wait(t *testing.T, done func(error) bool) {
	t.Helper()
	for {
		if err, set := l.last(); set && done(err) {
			return
		}
		select {
		case <-l.changed:
		case <-t.Context().Done():
			t.Fatal("the health never becomes as wanted")
		}
	}
}

func (l *lastError) last() (error, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err, l.set
}

func run(t *testing.T, e *fakeEngine, feed *pipetest.Feed, config Config) *rig {
	t.Helper()
	return runIn(t, e, feed, config, "")
}

// runIn is run with a folder for what the input must know after a restart.
func runIn(t *testing.T, e *fakeEngine, feed *pipetest.Feed, config Config, folder string) *rig {
	t.Helper()
	t.Setenv("DOCKER_HOST", "")
	r := &rig{t: t, feed: feed, logged: &safeBuffer{}, health: newLastError()}
	config.MaxLine = cmp.Or(config.MaxLine, pipetest.Config[*Config](t, Spec(), "").MaxLine)
	env := pipeline.NewEnv("containers", slog.New(slog.NewTextHandler(r.logged, nil)))
	env.Health = r.health.note
	env.Folder = folder
	made, err := config.Input(env)
	if err != nil {
		t.Fatal(err)
	}
	in := made.(*Input)
	in.entrySpacing = 200 // so that there are many
	r.in = in
	if config.Host == "" {
		in.notify = func() *watcher { return nil } // a bubble would wait for it
		in.dial = e.dial
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx, feed) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// linesOf returns the lines received of one stream of a container.
func linesOf(got []pipetest.Got, c *fakeContainer, s logformat.Stream) []string {
	var out []string
	for _, g := range got {
		if g.Source.Key == sourceKey(c.ID, s) {
			out = append(out, g.Line)
		}
	}
	return out
}

func (r *rig) wantLines(c *fakeContainer) {
	r.t.Helper()
	for _, s := range []logformat.Stream{logformat.Stdout, logformat.Stderr} {
		if diff := gocmp.Diff(lines(c.Log, s), linesOf(r.feed.Got(), c, s)); diff != "" {
			r.t.Errorf("%s of %s (-want +got):\n%s\n%s", s, c.Name, diff, r.logged)
		}
	}
}

func (r *rig) wantNothingLogged() {
	r.t.Helper()
	if text := r.logged.String(); text != "" {
		r.t.Errorf("logged:\n%s", text)
	}
}

const (
	second = int64(time.Second)
	day    = 24 * time.Hour // further than the times in any test's log
)

// at returns a time of the year 2000, where synctest's clock starts.
func at(ns int64) int64 { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano() + ns }

func out(ns int64, text string) message {
	return message{ts: at(ns), from: logformat.Stdout, text: text}
}
func err(ns int64, text string) message {
	return message{ts: at(ns), from: logformat.Stderr, text: text}
}

func TestFollowsAndDescribes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		stopped := e.add(&fakeContainer{ID: "a", Name: "old", Image: "busybox", State: "exited",
			Log: []message{out(1, "one\n"), err(2, "two\n"), out(3, "no newline")}})
		r := run(t, e, pipetest.NewFeed(t), Config{})
		r.feed.WaitFor(t.Context(), 3)
		web := e.start(&fakeContainer{ID: "b", Name: "shop-web-1", Image: "ghcr.io/acme/web:1.2",
			Labels: map[string]string{
				labelProject: "shop", labelService: "web"}})
		e.write(web, out(10, "hello\r\n"), err(11, "\n"), out(12, "nul\x00 and \xff\n"))
		r.feed.WaitFor(t.Context(), 6)
		e.stop(web)
		e.change(func() { web.State = "running" })
		e.event("start", web)
		e.write(web, out(2*second, "again\n"))
		r.feed.WaitFor(t.Context(), 7)
		synctest.Wait()
		r.wantLines(stopped)
		r.wantLines(web)
		var labels []event.Label
		for _, g := range r.feed.Got() {
			if g.Line == "again" {
				labels = g.Source.Labels
				if g.Time != at(2*second) {
					t.Errorf("time %d, want %d", g.Time, at(2*second))
				}
			}
		}
		want := []event.Label{
			{Name: "compose.project", Value: "shop"}, {Name: "compose.service", Value: "web"},
			{Name: "container.id", Value: web.ID}, {Name: "container.image", Value: "ghcr.io/acme/web:1.2"},
			{Name: "container.name", Value: "shop-web-1"}, {Name: "host.name", Value: "dockerhost"},
			{Name: "service", Value: "web"}, {Name: "stream", Value: "stdout"},
		}
		if diff := gocmp.Diff(want, labels); diff != "" {
			t.Error(diff)
		}
		r.wantNothingLogged()
		if err, set := r.health.last(); err != nil || !set {
			t.Errorf("health: %v, %v", err, set)
		}
		e.remove(stopped)
		synctest.Wait()
		if r.feed.IsOpen(sourceKey(stopped.ID, logformat.Stdout)) {
			t.Error("the source of a removed container is still open")
		}
	})
}

// TestOnlyReads runs over a real socket and checks every request.
func TestOnlyReads(t *testing.T) {
	e := newFakeEngine(t)
	e.version = "1.41"
	host := e.atSocket(t)
	c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running", Log: []message{out(1, "one\n")}})
	r := run(t, e, pipetest.NewFeed(t), Config{Host: host})
	r.feed.WaitFor(t.Context(), 1)
	e.write(c, out(2, "two\n"))
	r.feed.WaitFor(t.Context(), 2)
	r.stop()
	requests, _ := e.asked()
	for _, request := range requests {
		method, path, _ := strings.Cut(request, " ")
		path = strings.TrimPrefix(path, "/v1.41")
		switch path {
		case "/_ping", "/info", "/events", "/containers/json", "/containers/" + c.ID + "/json", "/containers/" + c.ID +
			"/logs":
		default:
			t.Errorf("requests %s", request)
		}
		if method != http.MethodGet {
			t.Errorf("sends %s", request)
		}
	}
	r.wantLines(c)
}

// randomLog returns a log with all that real ones have: parts, two streams whose times race, equal
// times, and lines that never end.
func randomLog(rnd *rand.Rand, n int) []message {
	var log []message
	now := at(0)
	var part [2]int64 // time of the unfinished line
	for i := range n {
		now += rnd.Int64N(3) * rnd.Int64N(int64(2*time.Second))
		s := logformat.Stream(rnd.IntN(2))
		ts := now - rnd.Int64N(2)*rnd.Int64N(1000)
		if part[s] != 0 && rnd.IntN(20) > 0 {
			ts = part[s]
		}
		text, ended := fmt.Sprintf("%d %s", i, strings.Repeat("x", rnd.IntN(40))), rnd.IntN(4) > 0
		if rnd.IntN(3) == 0 {
			text = "same"
		}
		part[s] = ts
		if ended {
			part[s] = 0
			text += "\n"
		}
		log = append(log, message{ts: ts, from: s, text: text})
	}
	for s := range part {
		if part[s] != 0 {
			log = append(log, message{ts: part[s], from: logformat.Stream(s), text: "end\n"})
		}
	}
	return log
}

// TestEveryBrokenConnection breaks every log connection after so many bytes.
func TestEveryBrokenConnection(t *testing.T) {
	for _, old := range []bool{false, true} {
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("old=%v/%d", old, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testBrokenConnection(t, old, seed) })
			})
		}
	}
}

func testBrokenConnection(t *testing.T, old bool, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	e := newFakeEngine(t)
	e.oldSince, e.ahead = old, day
	// A connection must get beyond what is read again, or there is no progress.
	e.breakAfter = 8000 + rnd.IntN(3000)
	log := randomLog(rnd, 600)
	c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running"})
	r := run(t, e, pipetest.NewFeed(t), Config{})
	for len(log) > 0 {
		n := min(len(log), 1+rnd.IntN(30))
		e.write(c, log[:n]...)
		log = log[n:]
		time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond) // of the bubble
	}
	time.Sleep(time.Minute)
	r.wantLines(c)
	r.wantNothingLogged()
}

// TestEveryCrash stops the agent at any moment, with a part of what was sent acknowledged: what is
// sent again must have its old positions.
func TestEveryCrash(t *testing.T) {
	for seed := range uint64(20) {
		for _, tty := range []bool{false, true} {
			t.Run(fmt.Sprintf("tty=%v/%d", tty, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testCrash(t, tty, seed) })
			})
		}
	}
}

func testCrash(t *testing.T, tty bool, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 2))
	e := newFakeEngine(t)
	e.oldSince, e.ahead = seed%2 == 0, day
	log := randomLog(rnd, 400)
	c := &fakeContainer{ID: "a", Name: "a", State: "running", TTY: tty}
	if tty {
		log = onlyStdout(log)
	}
	e.add(c)
	feed := pipetest.NewFeed(t)
	all := received{}
	for len(log) > 0 {
		r := run(t, e, feed, Config{})
		for range 1 + rnd.IntN(4) {
			n := min(len(log), rnd.IntN(40))
			e.write(c, log[:n]...)
			log = log[n:]
			time.Sleep(time.Duration(rnd.IntN(50)) * time.Millisecond)
			if rnd.IntN(2) == 0 {
				feed.Ack()
			}
		}
		if len(log) == 0 {
			time.Sleep(time.Minute)
		}
		r.stop()
		all.add(t, feed)
		if text := r.logged.String(); text != "" {
			t.Errorf("logged:\n%s", text)
		}
		feed = feed.Restart()
	}
	all.want(t, c)
}

// received holds what several runs received: a line that is received again must have its old
// position.
type received map[sourcePosition]pipetest.Got

type sourcePosition struct {
	id  event.SourceID
	pos uint64
}

func (all received) add(t *testing.T, feed *pipetest.Feed) {
	t.Helper()
	for _, g := range feed.Got() {
		before, known := all[sourcePosition{g.Source.ID, g.Pos}]
		if known && before.Line != g.Line {
			t.Fatalf("position %d was %q and is now %q", g.Pos, before.Line, g.Line)
		}
		all[sourcePosition{g.Source.ID, g.Pos}] = g
	}
}

func (all received) want(t *testing.T, c *fakeContainer) {
	t.Helper()
	got := slices.SortedFunc(maps.Values(all), func(a, b pipetest.Got) int { return cmp.Compare(a.Pos, b.Pos) })
	for _, s := range []logformat.Stream{logformat.Stdout, logformat.Stderr} {
		if diff := gocmp.Diff(lines(c.Log, s), linesOf(got, c, s)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s, diff)
		}
	}
}

// onlyStdout turns a log into that of a TTY: one stream, whose times ascend.
func onlyStdout(log []message) []message {
	last := int64(0)
	for i := range log {
		log[i].from = logformat.Stdout
		if log[i].ts < last {
			log[i].ts = last
		}
		last = log[i].ts
	}
	return log
}

func TestClockSetBack(t *testing.T) {
	for _, acked := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			e := newFakeEngine(t)
			c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running", Log: []message{
				out(3600*second, "before\n"), err(3600*second, "before\n"),
				out(10*second, "after 1\n"), err(10*second, "after 1\n"), out(10*second, "after 1\n")}})
			feed := pipetest.NewFeed(t)
			r := run(t, e, feed, Config{})
			feed.WaitFor(t.Context(), 5)
			if !acked {
				e.restart() // the same program connects again
			} else {
				synctest.Wait()
				feed.Ack()
				r.stop()
				feed = feed.Restart()
				r = run(t, e, feed, Config{})
			}
			e.write(c, out(11*second, "after 2\n"), err(11*second, "after 2\n"))
			time.Sleep(time.Minute)
			got := feed.Got()
			if n := len(got); n < 2 || got[n-1].Line != "after 2" || got[n-2].Line != "after 2" || (acked && n != 2) ||
				(!acked && n != 7) {
				t.Errorf("acked=%v: got %v\n%s", acked, feed.Lines(), r.logged)
				t.Log(e.asked())
			}
			r.stop()
		})
	}
}

func TestRotatedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running",
			Log: []message{out(1*second, "one\n"), out(2*second, "two\n")}})
		r := run(t, e, pipetest.NewFeed(t), Config{})
		r.feed.WaitFor(t.Context(), 2)
		synctest.Wait()
		r.feed.Ack()
		r.stop()
		e.change(func() { c.Log = []message{out(9*second, "nine\n"), out(10*second, "ten\n")} })
		r = run(t, e, r.feed.Restart(), Config{})
		r.feed.WaitFor(t.Context(), 2)
		synctest.Wait()
		r.wantLines(c)
		if text := r.logged.String(); strings.Count(text, "lines may be missing") != 1 {
			t.Errorf("logged %q", text)
		}
	})
}

// TestRewritten replaces the log that was read by another with the same first instant.
func TestRewritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running",
			Log: []message{out(2, "a\n"), out(2, "b\n"), out(2, "c\n")}})
		r := run(t, e, pipetest.NewFeed(t), Config{})
		r.feed.WaitFor(t.Context(), 3)
		synctest.Wait()
		r.feed.Ack()
		r.stop()
		e.change(func() { c.Log = []message{out(2, "x\n"), out(2, "c\n"), out(2, "d\n"), out(3, "e\n")} })
		r = run(t, e, r.feed.Restart(), Config{})
		r.feed.WaitFor(t.Context(), 2)
		time.Sleep(time.Minute)
		if diff := gocmp.Diff([]string{"d", "e"}, r.feed.Lines()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSilentStreamIsNotReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		e.ahead = day
		c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running"})
		line := strings.Repeat("x", 1000) + "\n"
		for i := range int64(3000) {
			c.Log = append(c.Log, out(i*second, line))
		}
		r := run(t, e, pipetest.NewFeed(t), Config{})
		r.feed.WaitFor(t.Context(), 3000)
		synctest.Wait()
		r.feed.Ack()
		r.stop()
		r = run(t, e, r.feed.Restart(), Config{})
		e.write(c, out(3000*second, "new\n"), err(3001*second, "new\n"))
		r.feed.WaitFor(t.Context(), 2)
		_, sinces := e.asked()
		if since := parseSince(sinces[len(sinces)-1]); since < at(1500*second) {
			t.Errorf("since %q: too much is read again", sinces)
		}
		if diff := gocmp.Diff([]string{"new", "new"}, r.feed.Lines()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReadFromEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running", Created: time.Now().Add(-time.Hour),
			Log: []message{out(-5*second, "old\n"), err(-4*second, "old\n")}})
		r := run(t, e, pipetest.NewFeed(t), Config{ReadFrom: "end"})
		synctest.Wait()
		r.feed.Ack()
		r.stop() // before the first line: the end of then is remembered
		e.write(c, out(3*second, "new\n"))
		time.Sleep(time.Minute)
		r = run(t, e, r.feed.Restart(), Config{ReadFrom: "end"})
		young := e.start(&fakeContainer{ID: "b", Name: "b", Log: []message{out(61*second, "first\n")}})
		e.write(c, err(63*second, "new\n"))
		r.feed.WaitFor(t.Context(), 3)
		if diff := gocmp.Diff([]string{"new"}, linesOf(r.feed.Got(), c, logformat.Stdout)); diff != "" {
			t.Error(diff)
		}
		if diff := gocmp.Diff([]string{"new"}, linesOf(r.feed.Got(), c, logformat.Stderr)); diff != "" {
			t.Error(diff)
		}
		r.wantLines(young)
	})
}

func TestReadFromTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		folder := filepath.Join(t.TempDir(), "inputs")
		many := &fakeContainer{ID: "a", Name: "a", State: "running", Created: time.Now().Add(-time.Hour)}
		for i := range 30 {
			many.Log = append(many.Log, out(int64(i-40)*second, fmt.Sprintf("%d\n", i)))
		}
		many = e.add(many)
		few := e.add(&fakeContainer{ID: "b", Name: "b", State: "exited", Created: time.Now().Add(-time.Hour),
			Log: []message{out(-9*second, "why\n"), out(-8*second, "it ended\n")}})
		e.add(&fakeContainer{ID: "c", Name: "c", State: "running", Created: time.Now().Add(-time.Hour)})
		r := runIn(t, e, pipetest.NewFeed(t), Config{ReadFrom: "tail"}, folder)
		e.write(many, out(3*second, "30\n"))
		r.feed.WaitFor(t.Context(), 13)
		if got := linesOf(r.feed.Got(), many, logformat.Stdout); len(got) != 11 || got[0] != "20" || got[10] != "30" {
			t.Errorf("of the container that was there: %q, want 20 to 30", got)
		}
		r.wantLines(few)
		r.feed.Ack()
		r.stop()
		// Created while the agent is stopped: it was not there at the first start.
		time.Sleep(time.Minute)
		young := &fakeContainer{ID: "d", Name: "d"}
		for i := range 30 {
			young.Log = append(young.Log, out(int64(i+5)*second, fmt.Sprintf("%d\n", i)))
		}
		young = e.start(young)
		time.Sleep(time.Minute)
		r = runIn(t, e, r.feed.Restart(), Config{ReadFrom: "tail"}, folder)
		r.feed.WaitFor(t.Context(), 30)
		r.wantLines(young)
	})
}

func TestLongLinesAreTruncated(t *testing.T) {
	for _, tty := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := newFakeEngine(t)
			c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running", TTY: tty})
			for range 1000 {
				c.Log = append(c.Log, out(1, strings.Repeat("x", 16<<10)))
			}
			c.Log = append(c.Log, out(1, "end\n"), out(2, "next\n"), out(3, strings.Repeat("y", 40<<10)+"\n"))
			r := run(t, e, pipetest.NewFeed(t), Config{MaxLine: 20 << 10})
			got := r.feed.WaitFor(t.Context(), 3)
			for i, want := range []struct {
				size  int
				flags event.Flags
			}{{20 << 10, event.Truncated}, {4, 0}, {20 << 10, event.Truncated}} {
				if len(got[i].Line) != want.size || got[i].Flags != want.flags {
					t.Errorf("tty=%v line %d: %d bytes, flags %b", tty, i, len(got[i].Line), got[i].Flags)
				}
			}
			r.stop()
		})
	}
}

func TestEngineUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		var mu sync.Mutex
		down := true
		e.reject = func(*http.Request) (int, string) {
			mu.Lock()
			defer mu.Unlock()
			if down {
				return 503, "not now"
			}
			return 0, ""
		}
		c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running", Log: []message{out(1, "one\n")}})
		r := run(t, e, pipetest.NewFeed(t), Config{})
		time.Sleep(5 * time.Minute)
		if err, _ := r.health.last(); err == nil {
			t.Error("healthy without an engine")
		}
		if n := strings.Count(r.logged.String(), "\n"); n != 1 {
			t.Errorf("%d lines logged:\n%s", n, r.logged)
		}
		mu.Lock()
		down = false
		mu.Unlock()
		r.feed.WaitFor(t.Context(), 1)
		e.version = "1.44" // a newer one is started in its place
		e.restart()
		e.write(c, out(2, "two\n"))
		other := e.add(&fakeContainer{ID: "b", Name: "b", State: "running", Log: []message{out(3, "three\n")}})
		r.feed.WaitFor(t.Context(), 3)
		r.wantLines(c)
		r.wantLines(other)
		time.Sleep(time.Second)
		if err, _ := r.health.last(); err != nil {
			t.Errorf("health: %v", err)
		}
	})
}

// TestProxyEndsIdleConnections has a proxy that ends idle connections: nothing is lost or logged.
func TestProxyEndsIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running"})
		r := run(t, e, pipetest.NewFeed(t), Config{})
		for i := range int64(20) {
			e.write(c, out(i*240*second, "a line\n"))
			time.Sleep(4 * time.Minute)
			e.restart()
		}
		time.Sleep(time.Second)
		r.wantLines(c)
		r.wantNothingLogged()
	})
}

func TestDyingContainers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		e.lateHeader = true
		c := e.add(&fakeContainer{ID: "a", Name: "a", State: "removing"})
		brief := e.start(&fakeContainer{ID: "b", Name: "b", Log: []message{out(1, "b\n")}})
		none := e.add(&fakeContainer{ID: "c", Name: "c", Driver: "none", State: "running"})
		syslog := e.add(&fakeContainer{ID: "d", Name: "d", Driver: "syslog", State: "running"})
		e.add(&fakeContainer{ID: "e", Name: "e", State: "dead"})
		e.add(&fakeContainer{ID: "f", Name: "f", State: "created"})
		r := run(t, e, pipetest.NewFeed(t), Config{})
		r.feed.WaitFor(t.Context(), 1)
		e.stop(brief)
		e.remove(brief)
		time.Sleep(4 * time.Minute)
		e.remove(c)
		time.Sleep(4 * time.Minute)
		if r.feed.IsOpen(sourceKey(brief.ID, logformat.Stdout)) {
			t.Error("the source of a removed container is still open")
		}
		_, sinces := e.asked()
		if len(sinces) > 60 {
			t.Errorf("%d logs were requested", len(sinces))
		}
		text := r.logged.String()
		for _, c := range []*fakeContainer{none, syslog} {
			if n := strings.Count(text, "container="+c.Name+" driver="+c.Driver); n < 1 || n > 2 {
				t.Errorf("%s: %d warnings:\n%s", c.Name, n, text)
			}
		}
	})
}

func TestForgetsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running", Log: []message{out(1, "one\n")}})
		r := run(t, e, pipetest.NewFeed(t), Config{})
		r.feed.WaitFor(t.Context(), 1)
		synctest.Wait()
		r.feed.Ack()
		r.stop()
		e.remove(c)
		r = run(t, e, r.feed.Restart(), Config{})
		synctest.Wait()
		r.stop()
		if known := r.feed.Restart().Known(); len(known) != 0 {
			t.Errorf("still known: %v", known)
		}
	})
}

// TestEventsBeforeTheyAreCollected: an engine answers a request for events before it collects them.
// What happens in between is not missed.
func TestEventsBeforeTheyAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		e.answered = func() {
			time.Sleep(time.Second) // until the input has listed the containers
			e.start(&fakeContainer{ID: "a", Name: "web", Log: []message{out(1, "one\n")}})
		}
		r := run(t, e, pipetest.NewFeed(t), Config{})
		time.Sleep(time.Minute)
		if got := r.feed.Lines(); len(got) != 1 {
			t.Errorf("got %q, want one line", got)
		}
	})
}

func TestRename(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		c := e.start(&fakeContainer{ID: "a", Name: "abc_web", Log: []message{out(1, "one\n")}})
		hidden := e.start(&fakeContainer{ID: "b", Name: "tmp", Log: []message{out(1, "hidden\n")}})
		r := run(t, e, pipetest.NewFeed(t), Config{Include: Match{Names: []string{"*web"}}})
		r.feed.WaitFor(t.Context(), 1)
		e.stop(c)
		e.change(func() { c.Name, c.State, hidden.Name = "web", "running", "web2" })
		e.event("rename", c)
		e.event("rename", hidden)
		synctest.Wait()
		e.write(c, out(2, "two\n"))
		time.Sleep(time.Minute)
		got := r.feed.Got()
		if len(got) != 2 || got[0].Source.Label("container.name") != "abc_web" ||
			got[1].Source.Label("container.name") != "web" ||
			got[0].Source.ID != got[1].Source.ID {
			t.Errorf("got %v", got)
		}
		e.change(func() { hidden.Name = "my-web" })
		e.event("rename", hidden)
		r.feed.WaitFor(t.Context(), 3)
	})
}

func TestBackpressureHoldsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running"})
		for i := range int64(20000) {
			c.Log = append(c.Log, out(i, fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", 100))))
		}
		feed := pipetest.NewFeed(t)
		feed.Block(true)
		r := run(t, e, feed, Config{})
		synctest.Wait()
		feed.Block(false)
		feed.WaitFor(t.Context(), 20000)
		r.wantLines(c)
		feed.Block(true)
		e.write(c, out(30000, "late\n"))
		synctest.Wait()
		r.stop()
	})
}

// TestVersionAdvice is for engines from 29.0 on, which no longer speak what an old setup asks for.
func TestVersionAdvice(t *testing.T) {
	t.Setenv("DOCKER_API_VERSION", "1.41")
	old := errors.New("Error response from daemon: client version 1.41 is too old. Minimum supported API version " +
		"is 1.44")
	err := newEngine(&Config{Host: "tcp://127.0.0.1:1"}).WithAdvice(old)
	if !errors.Is(err, old) || !strings.Contains(err.Error(), "DOCKER_API_VERSION asks for: unset that variable") {
		t.Errorf("got %v", err)
	}
}

func TestConnectAdvice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "docker.sock")
	e := newEngine(&Config{Host: "unix://" + path})
	e.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}
	}
	_, err := e.connect(t.Context())
	if err == nil || !strings.Contains(err.Error(), "permission denied on "+path) {
		t.Errorf("forbidden: %v", err)
	}
	e = newEngine(&Config{Host: "unix://" + path})
	_, err = e.connect(t.Context())
	if err == nil || !strings.Contains(err.Error(), "there is no Docker socket at "+path) {
		t.Errorf("missing: %v", err)
	}
	l, lerr := net.Listen("unix", path)
	if lerr != nil {
		t.Fatal(lerr)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	_, err = e.connect(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no answer on the Docker socket "+path) {
		t.Errorf("dead: %v", err)
	}
	e = newEngine(&Config{Host: "tcp://127.0.0.1:1", TLS: dockerapi.TLS{CA: "/no/such/ca.pem"}})
	if _, err = e.connect(t.Context()); err == nil || !strings.Contains(err.Error(), "/no/such/ca.pem") {
		t.Errorf("certificates: %v", err)
	}
	if errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestHeldUpUntil: while a batch of a container waits, what it writes by either stream is not read;
// other containers are.
func TestHeldUpUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, feed := newFakeEngine(t), pipetest.NewFeed(t)
		a := e.add(&fakeContainer{ID: "a", Name: "a", State: "running", Log: []message{out(1, "a\n"), err(2, "a\n")}})
		e.add(&fakeContainer{ID: "b", Name: "b", State: "running", Log: []message{out(1, "b\n"), err(2, "b\n")}})
		r := run(t, e, feed, Config{})
		sources := map[string]*event.Source{}
		for _, g := range feed.WaitFor(t.Context(), 4) {
			sources[g.Source.Key] = g.Source
		}
		late := func(when string, ofA time.Time) {
			t.Helper()
			want := map[string]time.Time{sourceKey(a.ID, logformat.Stdout): ofA, sourceKey(a.ID, logformat.Stderr): ofA}
			for key, src := range sources {
				if got := r.in.HeldUpUntil(src); !got.Equal(want[key]) {
					t.Errorf("%s: %s was held up until %v, want %v", when, key, got, want[key])
				}
			}
		}
		synctest.Wait()
		late("at first", time.Time{})
		feed.Block(true)
		e.write(a, out(3, "more\n"))
		synctest.Wait()
		time.Sleep(10 * time.Second)
		now := time.Now()
		late("while a batch waits", now)
		feed.Block(false)
		feed.WaitFor(t.Context(), 5)
		time.Sleep(time.Second)
		late("afterwards", now)
		r.stop()
		late("in the end", time.Time{})
	})
}
