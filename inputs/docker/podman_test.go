package docker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// podmanLines is lines for a log of Podman's: a part continues with the next message of its stream,
// whatever its time.
func podmanLines(log []message, from logformat.Stream) []string {
	var out []string
	open := ""
	for _, m := range log {
		if m.from != from {
			continue
		}
		text, ended := strings.CutSuffix(m.text, "\n")
		if open += text; ended {
			out = append(out, open)
			open = ""
		}
	}
	return out
}

// TestPodman breaks connections to an engine that behaves as Podman, and stops the agent at any
// moment.
func TestPodman(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testPodman(t, seed) })
		})
	}
}

func testPodman(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 3))
	e := newFakeEngine(t)
	e.podman, e.ahead = true, day
	e.breakAfter = 10_000 + rnd.IntN(3000)
	c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running", Driver: "k8s-file"})
	log := podmanLog(rnd, 600)
	feed := pipetest.NewFeed(t)
	all := map[string]pipetest.Got{}
	for len(log) > 0 {
		r := run(t, e, feed, Config{})
		for range 1 + rnd.IntN(10) {
			n := min(len(log), rnd.IntN(40))
			e.write(c, log[:n]...)
			log = log[n:]
			time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
			if rnd.IntN(2) == 0 {
				feed.Ack()
			}
		}
		if len(log) == 0 {
			time.Sleep(time.Minute)
		}
		r.stop()
		r.wantNothingLogged()
		for _, g := range feed.Got() {
			all[fmt.Sprint(g.Source.Key, g.Pos)] = g
		}
		feed = feed.Restart()
	}
	var got []pipetest.Got
	for _, g := range all {
		got = append(got, g)
	}
	slices.SortFunc(got, func(a, b pipetest.Got) int { return int(int64(a.Pos) - int64(b.Pos)) })
	for _, s := range []logformat.Stream{logformat.Stdout, logformat.Stderr} {
		if diff := cmp.Diff(podmanLines(c.Log, s), linesOf(got, c, s)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s, diff)
		}
	}
}

// podmanLog returns a log whose parts have later times than the line's beginning, and whose lines
// all end.
func podmanLog(rnd *rand.Rand, n int) []message {
	var log []message
	now := at(0)
	for i := range n {
		now += rnd.Int64N(3) * rnd.Int64N(second)
		m := message{ts: now, from: logformat.Stream(rnd.IntN(2)),
			text: fmt.Sprintf("%d %s", i, strings.Repeat("x", rnd.IntN(20)))}
		if rnd.IntN(4) > 0 {
			m.text += "\n"
		}
		log = append(log, m)
	}
	for s := range 2 {
		log = append(log, message{ts: now, from: logformat.Stream(s), text: "\n"})
	}
	return log
}

// TestPodmanTTY reads a TTY's log with and without frames, which depends on Podman's version.
func TestPodmanTTY(t *testing.T) {
	for _, framed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := newFakeEngine(t)
			e.podman = true
			c := e.start(&fakeContainer{ID: "a", Name: "a", TTY: true, Framed: framed})
			r := run(t, e, pipetest.NewFeed(t), Config{})
			for i := range int64(20) {
				e.write(c, out(i*second, fmt.Sprintf("line %d at 2000-01-01T02:00:%02d+02:00 in Podman's own form\r\n",
					i, i)))
				time.Sleep(time.Second)
			}
			e.stop(c)
			time.Sleep(time.Second)
			r.wantLines(c)
			r.wantNothingLogged()
			e.remove(c)
			time.Sleep(time.Second)
			if open := r.feed.OpenSources(); len(open) > 0 {
				t.Errorf("still open: %v", open)
			}
		})
	}
}
