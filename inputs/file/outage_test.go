package file

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// An outage is a set of logs that are written to and rotated while the destination is away.
type outage struct {
	*rig
	logs  int
	keep  int
	size  int                               // lines of a generation of one log, of 90 bytes and more; 0 for 100
	lines []string                          // written
	tell  func(name string, op fsnotify.Op) // of what is done, if not nil
}

func (o *outage) did(name string, op fsnotify.Op) {
	if o.tell != nil {
		o.tell(name, op)
	}
}

// generation writes a generation of each log, and waits for it to be seen.
func (o *outage) generation(n int) {
	for k := range o.logs {
		var text strings.Builder
		for i := range cmp.Or(o.size, 100) {
			line := fmt.Sprintf("log %d, generation %d, line %d %060d", k, n, i, i*n)
			o.lines = append(o.lines, line)
			text.WriteString(line + "\n")
		}
		_, err := os.Stat(o.path(o.name(k, 0)))
		o.append(o.name(k, 0), text.String())
		if err != nil {
			o.did(o.name(k, 0), fsnotify.Create)
		}
		o.did(o.name(k, 0), fsnotify.Write)
	}
	o.see()
}

func (o *outage) name(k, generation int) string {
	name := fmt.Sprintf("app%d.log", k)
	if generation > 0 {
		name += fmt.Sprintf(".%d", generation)
	}
	return name
}

// see has what is there seen.
func (o *outage) see() {
	if o.tell != nil {
		o.pass(300 * time.Millisecond)
		return
	}
	o.pass(pollTime)
}

// shift makes room for a new first generation of a log: the oldest is deleted.
func (o *outage) shift(k int, ending string) {
	if os.Remove(o.path(o.name(k, o.keep)+ending)) == nil {
		o.did(o.name(k, o.keep)+ending, fsnotify.Remove)
	}
	for g := o.keep; g > 1; g-- {
		from, to := o.name(k, g-1)+ending, o.name(k, g)+ending
		if os.Rename(o.path(from), o.path(to)) == nil {
			o.did(from, fsnotify.Rename)
			o.did(to, fsnotify.Create)
		}
	}
}

func (o *outage) byName(k int) {
	o.shift(k, "")
	o.rename(o.name(k, 0), o.name(k, 1))
	o.did(o.name(k, 0), fsnotify.Rename)
	o.did(o.name(k, 1), fsnotify.Create)
}

func (o *outage) byCopy(k int) {
	o.shift(k, "")
	o.duplicate(o.name(k, 0), o.name(k, 1))
	o.did(o.name(k, 1), fsnotify.Create)
	o.did(o.name(k, 1), fsnotify.Write)
	o.see()
	o.must(os.Truncate(o.path(o.name(k, 0)), 0))
	o.did(o.name(k, 0), fsnotify.Write)
}

func (o *outage) byCopyAtOnce(k int) {
	o.shift(k, "")
	o.duplicate(o.name(k, 0), o.name(k, 1))
	o.must(os.Truncate(o.path(o.name(k, 0)), 0))
}

func (o *outage) byCompression(k int) {
	o.shift(k, ".gz")
	o.rename(o.name(k, 0), o.name(k, 1))
	o.see()
	o.compress(o.name(k, 1))
}

func (o *outage) byDeletion(k int) { o.remove(o.name(k, 0)) }

// TestRotationDuringAnOutage: whatever is rotated, and however often, all is read that the spool
// has room for, although each reader is held up.
func TestRotationDuringAnOutage(t *testing.T) {
	for name, rotate := range map[string]func(o *outage, k int){
		"renamed": (*outage).byName, "compressed": (*outage).byCompression, "deleted": (*outage).byDeletion,
	} {
		for _, keep := range []int{1, 3} {
			for _, glob := range []string{"*.log", "*"} {
				t.Run(fmt.Sprintf("%s, %d kept, %s", name, keep, glob), func(t *testing.T) {
					poll(t, func(r *rig) {
						r.config.Paths = []string{r.path(glob)}
						(&outage{rig: r, logs: 6, keep: keep}).run(rotate, 6)
					})
				})
			}
		}
	}
}

// TestCopiesDuringAnOutage: what was copied and truncated is read from the copy, though that is
// deleted before the reader of the log is free.
func TestCopiesDuringAnOutage(t *testing.T) {
	for name, rotate := range map[string]func(o *outage, k int){
		"truncated at once": (*outage).byCopyAtOnce, "truncated later": (*outage).byCopy,
	} {
		for _, logs := range []int{1, 6} {
			for _, keep := range []int{1, 3} {
				for _, size := range []int{100, 4000} { // within one block, and of several
					t.Run(fmt.Sprintf("%s, %d logs of %d lines, %d kept", name, logs, size, keep), func(t *testing.T) {
						poll(t, func(r *rig) {
							r.config.Paths = []string{r.path("*")}
							(&outage{rig: r, logs: logs, keep: keep, size: size}).run(rotate, 5)
						})
					})
				}
			}
		}
	}
}

func (o *outage) run(rotate func(o *outage, k int), generations int) {
	o.feed.SetSpool(1 << 30)
	o.feed.Block(true)
	o.start()
	for n := range generations {
		o.generation(n)
		for k := range o.logs {
			rotate(o, k)
		}
		o.see()
	}
	o.feed.Block(false)
	o.pass(copyTimeout + quietTime)
	o.wantSet(o.lines...)
	o.wantLost(0)
	if o.feed.Hurries() {
		o.t.Error("the input hurries, with nothing left to read")
	}
}

// TestRotationDuringAnOutageIsNotified is the same with notifications, also for copies that are
// made before a log is truncated, which only they tell of.
func TestRotationDuringAnOutageIsNotified(t *testing.T) {
	for name, rotate := range map[string]func(o *outage, k int){
		"renamed": (*outage).byName, "copied": (*outage).byCopy,
	} {
		t.Run(name, func(t *testing.T) {
			told(t, func(r *rig, tell func(name string, op fsnotify.Op)) {
				(&outage{rig: r, logs: 6, keep: 2, tell: tell}).run(rotate, 4)
			})
		})
	}
}

// TestAFullSpoolDuringAnOutage: what the spool has no room for is held open as long as that takes
// no more, then given up; each byte of it is counted, and told.
func TestAFullSpoolDuringAnOutage(t *testing.T) {
	for _, room := range []int64{0, 25 << 10, 120 << 10} {
		for name, rotation := range map[string]struct {
			glob   string
			rotate func(o *outage, k int)
		}{
			"renamed": {"*.log", (*outage).byName}, "renamed into the glob": {"*", (*outage).byName},
			"copied into the glob": {"*", (*outage).byCopyAtOnce},
		} {
			if name == "copied into the glob" && room > 100<<10 {
				continue // of a log that a reader has in hand, its copy is counted, too
			}
			t.Run(fmt.Sprintf("room for %d bytes, %s", room, name), func(t *testing.T) {
				poll(t, func(r *rig) {
					r.config.Paths = []string{r.path(rotation.glob)}
					o := &outage{rig: r, logs: 6, keep: 1}
					r.feed.SetSpool(room)
					r.feed.Block(true)
					r.start()
					for n := range 8 {
						o.generation(n)
						for k := range o.logs {
							rotation.rotate(o, k)
						}
						o.see()
					}
					r.pass(2 * heldFor)
					if err := r.health.get(); err == nil || !strings.Contains(err.Error(), "never read") {
						t.Errorf("while much is lost, the health is: %v", err)
					}
					r.wantLog(deletedFull)
					r.feed.Block(false)
					r.pass(copyTimeout + quietTime)
					came, missing := map[string]bool{}, 0
					for _, line := range r.feed.Lines() {
						came[line] = true
					}
					if len(came) != len(r.feed.Lines()) {
						t.Errorf("%d lines came twice", len(r.feed.Lines())-len(came))
					}
					for _, line := range o.lines {
						if !came[line] {
							missing += len(line) + 1
						}
					}
					r.wantLost(float64(missing))
					r.pass(lossShown + pollTime)
					if err := r.health.get(); err != nil {
						t.Errorf("long after, the health is: %v", err)
					}
				})
			})
		}
	}
}

// TestMoreFilesThanCanBeOpen: those nearest to their deletion are open, the others are told of, and
// counted when they are deleted.
func TestMoreFilesThanCanBeOpen(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("*")}
		r.config.MaxOpenFiles = 16
		r.feed.Block(true)
		var want []string
		for k := range 4 {
			want = append(want, fmt.Sprintf("a reader waits with file %d", k))
			r.write(fmt.Sprint("waits", k), want[k]+"\n")
		}
		r.start()
		for k := range 12 {
			for g := range 3 {
				line := fmt.Sprintf("this is log %02d, generation %d", k, g)
				r.write((&outage{}).name(k, g), line+"\n")
				if g > 0 {
					want = append(want, line)
				}
			}
		}
		r.pass(2 * crowdedFor)
		if err := r.health.get(); err == nil || !strings.Contains(err.Error(), "max_open_files") {
			t.Errorf("the health is: %v", err)
		}
		r.wantLog("cannot be held open")
		for k := range 12 {
			r.remove((&outage{}).name(k, 2)) // the first to be deleted
		}
		r.pass(pollTime)
		r.wantLost(0)
		lost := 0
		for k := range 12 {
			r.remove((&outage{}).name(k, 0)) // not open
			lost += len("this is log 00, generation 0\n")
		}
		r.pass(pollTime)
		r.wantLost(float64(lost))
		r.feed.Block(false)
		r.pass(copyTimeout + quietTime)
		r.wantSet(want...)
		if err := r.health.get(); err == nil || strings.Contains(err.Error(), "max_open_files") {
			t.Errorf("after it, the health is: %v", err)
		}
	})
}

// TestStoppedWithDeletedFiles: what can be read by no name any more is told at the end.
func TestStoppedWithDeletedFiles(t *testing.T) {
	poll(t, func(r *rig) {
		r.feed.SetSpool(0)
		r.feed.Block(true)
		lost := 0
		r.start()
		for k := range 6 {
			text := fmt.Sprintf("this is log %d\n", k)
			r.write(fmt.Sprintf("%d.log", k), text)
			lost += len(text)
		}
		r.pass(pollTime)
		for k := range 6 {
			r.remove(fmt.Sprintf("%d.log", k))
		}
		r.pass(pollTime)
		r.wantLost(0)
		r.halt()
		r.wantLost(float64(lost - 4*len("this is log 0\n")))
		r.restart(nil) // which knows what readers had begun with
		r.pass(pollTime)
		r.wantLost(float64(4 * len("this is log 0\n")))
	})
}

// TestNobodyWaitsForTheDestination who looks after the names: a known source whose file is gone is
// forgotten, and new files are opened, while the feed takes nothing.
func TestNobodyWaitsForTheDestination(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("old.log", "this is old\n")
		r.start()
		r.pass(pollTime)
		r.feed.Ack()
		r.halt()
		r.append("old.log", "this was never seen\n")
		r.remove("old.log")
		r.write("new.log", "this is new\n")
		r.feed = r.feed.Restart()
		r.feed.SetSpool(1 << 20)
		r.feed.Block(true)
		r.start()
		r.pass(pollTime)
		r.rename("new.log", "new.txt")
		r.pass(pollTime)
		r.remove("new.txt")
		r.pass(pollTime)
		r.want("this is new")
	})
}

// TestTimeDoesNotEndALineWhileItsReaderIsHeldUp, in whichever send that is.
func TestTimeDoesNotEndALineWhileItsReaderIsHeldUp(t *testing.T) {
	for _, before := range []string{"", "a line\n", strings.Repeat("a line\n", 100_000)} {
		poll(t, func(r *rig) {
			r.start()
			r.write("app.log", before+"the beginning ")
			r.feed.Block(true)
			r.pass(pollTime)
			for range 20 {
				r.append("app.log", "and more ")
				r.pass(time.Second)
			}
			r.feed.Block(false)
			r.pass(100 * time.Millisecond)
			r.append("app.log", "and the end\n")
			r.pass(quietTime)
			lines := r.feed.Lines()
			want := "the beginning " + strings.Repeat("and more ", 20) + "and the end"
			if n := strings.Count(before, "\n") + 1; len(lines) != n || lines[n-1] != want {
				t.Errorf("%d lines came, want %d; the last is %q", len(lines), n, lines[len(lines)-1])
			}
		})
	}
}

// TestCopyOfWhatWaits: a log that waits for the one before it is copied and truncated meanwhile.
// The new text behind its old head is not taken for the old one.
func TestCopyOfWhatWaits(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("*")}
		o := &outage{rig: r, logs: 1, keep: 4}
		r.feed.SetSpool(0)
		r.feed.Block(true)
		r.start()
		o.generation(0)
		o.byName(0)
		o.generation(1)
		o.byCopy(0)
		o.generation(2)
		r.feed.Block(false)
		r.pass(copyTimeout + quietTime)
		o.wantSet(o.lines...)
	})
}

// TestTruncatedBeforeItIsReadOn: what a log has got, and was truncated, while its reader was held
// up is counted, also of one that was empty before; but not where a copy of it is read.
func TestTruncatedBeforeItIsReadOn(t *testing.T) {
	const first, second, third = "the first line\n", "the second line\n", "the third line\n"
	for name, c := range map[string]struct {
		glob, read, copied, now string
		want                    string
		lost                    int
	}{
		"nothing was read":          {"*.log", "", "", "", "", len(second)},
		"nothing was read, written": {"*.log", "", "", third, third, len(second)},
		"no copy":                   {"*.log", first, "", "", first, len(second)},
		"copied":                    {"*", first, "app.log.1", first + third, first + second + first + third, 0},
		"nothing was read, copied":  {"*", "", "app.log.1", third, second + third, 0},
	} {
		t.Run(name, func(t *testing.T) {
			poll(t, func(r *rig) {
				tune := r.tune
				r.tune = func(s *settings) {
					tune(s)
					s.readers = 1
				}
				r.config.Paths = []string{r.path(c.glob)}
				r.write("app.log", c.read)
				r.start()
				r.pass(pollTime)
				r.feed.Block(true)
				r.write("held.log", "its reader waits\n")
				r.pass(pollTime)
				r.append("app.log", second)
				r.pass(pollTime)
				if c.copied != "" {
					r.duplicate("app.log", c.copied)
				}
				r.write("app.log", "")
				r.pass(pollTime)
				r.append("app.log", c.now)
				r.pass(pollTime)
				r.feed.Block(false)
				r.pass(copyTimeout + quietTime)
				r.wantSet(strings.Split(strings.TrimSuffix("its reader waits\n"+c.want, "\n"), "\n")...)
				r.wantLost(float64(c.lost))
			})
		})
	}
}

func TestRank(t *testing.T) {
	base := location{state: named, path: "/var/log/app.log", mtime: 50}
	at := func(path string, mtime int64, state nameState) rank {
		l := base
		l.path, l.mtime, l.state = path, mtime, state
		return l.rank()
	}
	order := []rank{ // the nearest to its deletion first
		at("", 50, unlinked),
		at("/var/log/app.log.10", 60, renamed),
		at("/var/log/app.9.log", 50, named),
		at("/var/log/app.log.2.gz", 10, named),
		at("/var/log/app.log-20260101", 20, renamed),
		at("/var/log/app-2026-01-02.log", 30, named),
		at("/var/log/app.old", 40, renamed),
		at("/var/log/quiet.log", 1, named),
		at("/var/log/app.log", 50, named),
	}
	for i := range order {
		for k := range order {
			if got := order[i].isNearer(order[k]); got != (i < k) {
				t.Errorf("%d is nearer than %d: %v", i, k, got)
			}
		}
	}
}

// TestRunsOutOfDescriptors: the system refuses to open more files than some. Those that are read to
// their end make room for those that are not.
func TestRunsOutOfDescriptors(t *testing.T) {
	poll(t, func(r *rig) {
		tune := r.tune
		r.tune = func(s *settings) {
			tune(s)
			s.openFile = func(path string) (*os.File, error) {
				entries, err := os.ReadDir("/proc/self/fd")
				n := 0
				for _, e := range entries {
					if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.HasPrefix(to, r.dir+"/") {
						n++
					}
				}
				if err == nil && n >= 12 {
					return nil, &os.PathError{Op: "open", Path: path, Err: syscall.EMFILE}
				}
				return openFile(path)
			}
		}
		r.start()
		var want []string
		for k := range 40 {
			want = append(want, fmt.Sprintf("this is log %d", k))
			r.write(fmt.Sprintf("%d.log", k), want[k]+"\n")
		}
		r.pass(2 * pollTime)
		r.wantSet(want...)
	})
}
