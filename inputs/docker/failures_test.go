package docker

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func (r *rig) logs(what string) int { return strings.Count(r.logged.String(), what) }

func (r *rig) wantLogged(what string, times int) {
	r.t.Helper()
	if n := r.logs(what); n != times {
		r.t.Errorf("%q is logged %d times, want %d:\n%s", what, n, times, r.logged)
	}
}

// TestConnectionsBreak ends all connections every ten seconds.
func TestConnectionsBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		e.ahead = day
		one := e.start(&fakeContainer{ID: "a", Name: "a"})
		tty := e.start(&fakeContainer{ID: "b", Name: "b", TTY: true})
		r := run(t, e, pipetest.NewFeed(t), Config{})
		for i := range int64(600) {
			e.write(one, out(i*second/2, fmt.Sprintf("line %d\n", i)), err(i*second/2, "part"),
				err(i*second/2, " of one\n"))
			e.write(tty, out(i*second/2, fmt.Sprintf("line %d\r\n", i)))
			time.Sleep(time.Second / 2)
			if i%20 == 7 {
				e.restart()
			}
			if i%100 == 50 {
				late := e.start(&fakeContainer{ID: fmt.Sprintf("c%d", i), Name: "late"})
				e.write(late, out(i*second/2, "one line\n"))
				e.stop(late)
				defer r.wantLines(late)
			}
		}
		time.Sleep(time.Second)
		r.wantLines(one)
		r.wantLines(tty)
		r.wantNothingLogged()
		if err, _ := r.health.last(); err != nil {
			t.Errorf("health: %v", err)
		}
	})
}

func TestRestartedAndPaused(t *testing.T) {
	for _, podman := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := newFakeEngine(t)
			e.podman = podman
			c := e.start(&fakeContainer{ID: "a", Name: "a"})
			r := run(t, e, pipetest.NewFeed(t), Config{})
			for i := range int64(6) {
				at := i * 200 * second
				e.write(c, out(at, "before a pause\n"))
				time.Sleep(time.Second)
				e.pause(c)
				time.Sleep(100 * time.Second)
				e.unpause(c)
				e.write(c, out(at+101*second, "after it\n"))
				time.Sleep(time.Second)
				if n := len(r.feed.Got()); n != int(i)*4+2 {
					t.Errorf("podman=%v: %d lines a second after the pause", podman, n)
				}
				e.write(c, out(at+102*second, "the last\n"))
				e.stop(c)
				time.Sleep(98 * time.Second)
				e.again(c)
				e.write(c, err(at+199*second, "started again\n"))
				time.Sleep(2 * time.Second)
			}
			r.wantLines(c)
			r.wantNothingLogged()
		})
	}
}

// TestEngineEndsStreamEarly ends followed logs as Docker before 23.0 may: when the container stops,
// with lines unread.
func TestEngineEndsStreamEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		e.version, e.endsEarly = "1.41", true
		c := e.start(&fakeContainer{ID: "a", Name: "a"})
		r := run(t, e, pipetest.NewFeed(t), Config{})
		e.write(c, out(1, "one\n"))
		synctest.Wait()
		e.change(func() {
			c.Log = append(c.Log, out(2, "two\n"), out(3, "three"))
			c.State = "exited"
		})
		e.event("die", c)
		time.Sleep(time.Second)
		r.wantLines(c)
		r.wantNothingLogged()
	})
}

// TestOldEnginesOnly checks that what makes up for the faults of engines before 23.0 is off on
// newer ones, whatever version DOCKER_API_VERSION asks for.
func TestOldEnginesOnly(t *testing.T) {
	for _, tt := range []struct {
		version, spoken string
		old             bool
	}{{"1.41", "", true}, {"1.42", "", false}, {"1.51", "", false}, {"1.51", "1.41", false}} {
		t.Run(tt.version+" "+tt.spoken, func(t *testing.T) {
			t.Setenv("DOCKER_API_VERSION", tt.spoken)
			synctest.Test(t, func(t *testing.T) { testOldEngine(t, tt.version, tt.spoken, tt.old) })
		})
	}
}

func testOldEngine(t *testing.T, version, spoken string, old bool) {
	e := newFakeEngine(t)
	e.version, e.negotiated = version, spoken
	c := e.start(&fakeContainer{ID: "a", Name: "a", Options: map[string]string{"max-size": "1m", "max-file": "3"}})
	time.Sleep(time.Second)
	r := run(t, e, pipetest.NewFeed(t), Config{})
	time.Sleep(time.Second)
	e.write(c, message{ts: time.Now().UnixNano(), text: "one\n", duplicates: 1})
	time.Sleep(time.Second)
	e.stop(c)
	time.Sleep(time.Minute)
	lines, requests := 2, 1
	if old {
		lines, requests = 1, 2 // the repeated line is dropped, and the stopped container read to its end
	}
	_, sinces := e.asked()
	if len(r.feed.Lines()) != lines || len(sinces) != requests {
		t.Errorf("%q after %d requests of the log, want %d lines and %d", r.feed.Lines(), len(sinces), lines, requests)
	}
}

func TestRemovedAtOnce(t *testing.T) {
	const warning = "removed before its log could be read to its end"
	for _, c := range []struct {
		name   string
		config Config
		live   func(e *fakeEngine, c *fakeContainer)
		want   []string
		warned int
	}{
		{"after its end was read", Config{}, func(e *fakeEngine, c *fakeContainer) {
			e.start(c)
			e.write(c, out(1, "one\n"), out(2, "no newline"))
			synctest.Wait()
			e.stop(c)
			time.Sleep(time.Second)
			e.remove(c)
		}, []string{"one", "no newline"}, 0},
		{"while it is read", Config{}, func(e *fakeEngine, c *fakeContainer) {
			e.start(c)
			e.write(c, out(1, "one\n"), out(2, "two\n"))
			synctest.Wait()
			e.change(func() { c.State = "exited"; delete(e.containers, c.ID) })
			e.event("destroy", c)
		}, []string{"one", "two"}, 0},
		{"when the connection has just broken", Config{}, func(e *fakeEngine, c *fakeContainer) {
			e.breakAfter = 150
			e.start(c)
			e.write(c, out(1, "one\n"), out(2, strings.Repeat("x", 100)+" the rest is lost\n"), out(3, "lost\n"))
			synctest.Wait()
			e.remove(c)
		}, []string{"one", strings.Repeat("x", 150-8-31-len("one\n")-8-31)}, 1},
		{"before it was inspected", Config{}, func(e *fakeEngine, c *fakeContainer) {
			e.change(func() { c.ID = strings.Repeat("a", 64) })
			e.event("start", c)
			e.event("destroy", c)
		}, nil, 1},
		{"and it is excluded", Config{Exclude: Match{Names: []string{"brief"}}}, func(e *fakeEngine, c *fakeContainer) {
			e.change(func() { c.ID = strings.Repeat("a", 64) })
			e.event("start", c)
			e.event("destroy", c)
		}, nil, 0},
		{"and it never ran", Config{}, func(e *fakeEngine, c *fakeContainer) {
			c.State = "created"
			e.add(c)
			time.Sleep(6 * time.Minute)
			e.remove(c)
		}, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newFakeEngine(t)
				r := run(t, e, pipetest.NewFeed(t), c.config)
				synctest.Wait()
				brief := &fakeContainer{ID: "a", Name: "brief"}
				c.live(e, brief)
				time.Sleep(time.Minute)
				if diff := cmp.Diff(c.want, r.feed.Lines()); diff != "" {
					t.Error(diff)
				}
				r.wantLogged(warning, c.warned)
				if open := r.feed.OpenSources(); len(open) > 0 {
					t.Errorf("still open: %v", open)
				}
			})
		})
	}
}

// TestRemovedWhileStopped removes containers while the agent is stopped.
func TestRemovedWhileStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		for _, id := range []string{"a", "b"} {
			e.start(&fakeContainer{ID: id, Name: id, Log: []message{out(1, "one\n"), err(1, "two\n")}})
		}
		r := run(t, e, pipetest.NewFeed(t), Config{})
		r.feed.WaitFor(t.Context(), 4)
		synctest.Wait()
		r.feed.Ack()
		r.stop()
		clear(e.containers)
		r = run(t, e, r.feed.Restart(), Config{})
		time.Sleep(time.Minute)
		r.wantLogged("containers were removed while the agent was stopped or disconnected", 1)
		r.wantLogged("containers=2", 1)
	})
}

// TestUnreadable has containers whose log cannot be read: one warning for each, and few requests.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		var all []*fakeContainer
		for i, driver := range []string{"none", "syslog", "passthrough"} {
			all = append(all, e.start(&fakeContainer{ID: fmt.Sprint(i), Name: driver, Driver: driver}))
		}
		r := run(t, e, pipetest.NewFeed(t), Config{})
		for range 20 {
			time.Sleep(3 * time.Minute)
			for _, c := range all {
				e.stop(c)
				e.again(c)
			}
			e.restart()
		}
		for _, c := range all {
			r.wantLogged("container="+c.Name+" driver="+c.Driver, 1)
		}
		if _, sinces := e.asked(); len(sinces) > 2*4*20 {
			t.Errorf("%d logs were requested in an hour", len(sinces))
		}
		e.remove(all[0])
		time.Sleep(time.Minute)
		r.wantLogged("\n", 3)
	})
}

// TestStalledStream has an engine whose stream falls silent while the log grows, as when its file
// is truncated by somebody else.
func TestStalledStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		c := e.start(&fakeContainer{ID: "a", Name: "a", Log: []message{out(1*second, "one\n"), err(1*second, "uno\n")}})
		idle := e.start(&fakeContainer{ID: "b", Name: "b", Log: []message{out(1*second, "one\n")}})
		r := run(t, e, pipetest.NewFeed(t), Config{})
		r.feed.WaitFor(t.Context(), 3)
		for i := range int64(10) {
			m := out((5+i)*second, "silent\n")
			m.rotated = true
			e.write(c, m)
		}
		time.Sleep(5*listInterval + time.Second)
		r.wantLines(c)
		r.wantLines(idle)
		r.wantNothingLogged()
		if _, sinces := e.asked(); len(sinces) != 2+1+4+3 { // each once, one again, and now and then what is new
			t.Errorf("%d logs were requested", len(sinces))
		}
	})
}

// TestHostileEngine has an engine, or a proxy before it, whose answers do not end.
func TestHostileEngine(t *testing.T) {
	endless := func(w http.ResponseWriter, text string) {
		for {
			if _, err := fmt.Fprint(w, text); err != nil {
				return
			}
		}
	}
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"headers": func(w http.ResponseWriter, r *http.Request) bool {
			for i := range 500 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 1000))
			}
			return false
		},
		"list": func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/containers/json") {
				fmt.Fprint(w, "[")
				endless(w, strings.Repeat(" ", 4<<20))
				return true
			}
			return false
		},
		"event": func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/events") {
				fmt.Fprint(w, `{"Type":"`)
				endless(w, strings.Repeat("x", 1<<20))
				return true
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newFakeEngine(t)
				e.answer = answer
				r := run(t, e, pipetest.NewFeed(t), Config{})
				r.health.wait(t, func(err error) bool { return err != nil })
				r.stop()
			})
		})
	}
}

// TestHostileNames has names that are not valid.
func TestHostileNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		long := strings.Repeat("n\x00\n\"\\\u2028", 1<<16)
		c := e.start(&fakeContainer{ID: "a", Name: long, Image: "../../" + long, Labels: map[string]string{
			labelProject: long, labelService: "\xff\n", "": "", long: long}, Log: []message{out(1, "one\n")}})
		r := run(t, e, pipetest.NewFeed(t), Config{Include: Match{Names: []string{"*n*n*n*\\*n*"}},
			Exclude: Match{Labels: []string{"*a*b*=*c*"}}})
		r.feed.WaitFor(t.Context(), 1)
		r.wantLines(c)
	})
}

// TestOneInstant has both streams log all their lines at the same nanosecond.
func TestOneInstant(t *testing.T) {
	for _, old := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := newFakeEngine(t)
			e.oldSince, e.ahead, e.breakAfter = old, day, 120_000
			c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running"})
			feed := pipetest.NewFeed(t)
			var got []pipetest.Got
			for i := range 4 {
				r := run(t, e, feed, Config{})
				for k := range 250 {
					text := fmt.Sprintf("line %d\n", k*(1-i%2)) // every other time the same line again and again
					e.write(c, out(5, text), err(5, text))
				}
				time.Sleep(time.Second)
				feed.Ack()
				r.stop()
				got = append(got, feed.Got()...)
				r.wantNothingLogged()
				feed = feed.Restart()
			}
			for _, s := range []logformat.Stream{logformat.Stdout, logformat.Stderr} {
				if diff := cmp.Diff(lines(c.Log, s), linesOf(got, c, s)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", s, diff)
				}
			}
		})
	}
}
