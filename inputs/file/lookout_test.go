package file

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline/event"
)

// TestHeldUpUntil: while all readers wait, what is written may not have been looked at; a file that
// nothing was written to is not late, whatever the others do.
func TestHeldUpUntil(t *testing.T) {
	poll(t, func(r *rig) {
		tune := r.tune
		r.tune = func(s *settings) { tune(s); s.readers = 2 }
		for _, name := range []string{"a.log", "b.log", "c.log", "d.log"} {
			r.write(name, "first\n")
		}
		r.start()
		r.pass(pollTime)
		sources := map[string]*event.Source{}
		for _, g := range r.feed.Got() {
			sources[filepath.Base(g.Source.Key)] = g.Source
		}
		late := func(when string, want map[string]time.Time) {
			t.Helper()
			for name, src := range sources {
				if got := r.in.HeldUpUntil(src); !got.Equal(want[name]) {
					t.Errorf("%s: %s was held up until %v, want %v", when, name, got, want[name])
				}
			}
		}
		late("at first", nil)
		r.feed.Block(true)
		r.append("a.log", "x\n")
		r.append("b.log", "x\n")
		r.pass(pollTime)
		r.append("c.log", "the beginning")
		r.pass(10 * time.Second)
		now := time.Now()
		late("with all readers held up", map[string]time.Time{"a.log": now, "b.log": now, "c.log": now})
		r.feed.Block(false)
		r.pass(10 * time.Millisecond)
		late("afterwards", map[string]time.Time{"a.log": now, "b.log": now, "c.log": now})
		for _, name := range []string{"a.log", "b.log", "c.log"} {
			r.append(name, " and the end\n")
		}
		r.pass(pollTime)
		late("in the end", nil)
		r.wantSet("first", "first", "first", "first", "x", "x", " and the end", " and the end",
			"the beginning and the end")
	})
}

// TestTheEndIsLookedAtInTime: that a file has not grown says nothing of its last line where nobody
// could look at it for long; the next look, in time, does.
func TestTheEndIsLookedAtInTime(t *testing.T) {
	for _, end := range []string{" and the end", ""} {
		poll(t, func(r *rig) {
			tune := r.tune
			r.tune = func(s *settings) { tune(s); s.readers = 2 }
			r.start()
			r.write("c.log", "the beginning")
			r.pass(pollTime)
			r.feed.Block(true)
			r.write("a.log", "x\n")
			r.write("b.log", "x\n")
			r.pass(20 * time.Second)
			r.feed.Block(false)
			r.pass(3 * time.Second)
			r.wantSet("x", "x")
			if end != "" {
				r.append("c.log", end+"\n")
			}
			r.pass(quietTime)
			r.wantSet("x", "x", "the beginning"+end)
		})
	}
}

// TestUnread: what a source has yet to be read is what is written beyond what was sent, as of the
// last look.
func TestUnread(t *testing.T) {
	poll(t, func(r *rig) {
		tune := r.tune
		r.tune = func(s *settings) { tune(s); s.readers = 1 }
		r.write("a.log", "first\n")
		r.start()
		r.pass(pollTime)
		src := r.feed.Got()[0].Source
		unread := func(when string, want int64) {
			t.Helper()
			if n, ok := r.in.Unread(src.ID); !ok || n != want {
				t.Errorf("%s: %d bytes are not read (%t), want %d", when, n, ok, want)
			}
		}
		unread("all is read", 0)
		r.feed.Block(true)
		r.append("a.log", "held up\n")
		r.pass(pollTime)
		r.append("a.log", "and more\n")
		r.pass(10 * time.Second)
		unread("while it is held up", int64(len("held up\nand more\n")))
		r.feed.Block(false)
		r.pass(10 * time.Second)
		unread("in the end", 0)
		if _, ok := r.in.Unread(src.ID + 1); ok {
			t.Error("of a source that is not there something is known")
		}
	})
}
