package file

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func (r *rig) read(name string) string {
	r.t.Helper()
	p, err := os.ReadFile(r.path(name))
	r.must(err)
	return string(p)
}

func (r *rig) duplicate(from, to string) { r.write(to, r.read(from)) }

// truncate empties a file and writes to it.
func (r *rig) truncate(name, text string) {
	r.t.Helper()
	r.must(os.Truncate(r.path(name), 0))
	r.append(name, text)
}

// compress does what gzip does.
func (r *rig) compress(name string) {
	r.t.Helper()
	info, err := os.Stat(r.path(name))
	r.must(err)
	r.write(name+".gz", gzipped(r.read(name)))
	r.must(os.Chtimes(r.path(name+".gz"), info.ModTime(), info.ModTime()))
	r.remove(name)
}

// twice runs a scenario with globs that match rotated files, and without.
func twice(t *testing.T, scenario func(r *rig)) {
	t.Helper()
	for _, glob := range []string{"app.log", "app.log*"} {
		t.Run(glob, func(t *testing.T) {
			poll(t, func(r *rig) {
				r.config.Paths = []string{r.path(glob)}
				scenario(r)
			})
		})
	}
}

// wantNoMore checks that nothing comes after a restart, nor the same again after a crash.
func (r *rig) wantNoMore() {
	r.t.Helper()
	got := r.at()
	r.restart(nil)
	r.pass(copyTimeout + quietTime)
	for _, again := range r.at() {
		if !slices.Contains(got, again) {
			r.t.Errorf("after a crash, %q came", again)
		}
	}
	r.feed.Ack()
	r.restart(nil)
	r.pass(copyTimeout + quietTime)
	r.want()
}

// TestCopyTruncateBeforeTheEndWasRead: the rest is in the copy.
func TestCopyTruncateBeforeTheEndWasRead(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		for _, compressed := range []bool{false, true} {
			twice(t, func(r *rig) {
				r.write("app.log", "one\ntwo\n")
				r.start()
				r.pass(pollTime)
				r.wantAt("0:one", "4:two")
				source := r.feed.Got()[0].Source.ID
				rotate := func() {
					r.append("app.log", "three\n")
					r.duplicate("app.log", "app.log.1")
					r.truncate("app.log", "four and more than there was before\n")
					if compressed {
						r.compress("app.log.1")
					}
				}
				r.feed.Ack()
				if stopped {
					r.restart(rotate)
				} else {
					rotate()
				}
				r.pass(copyTimeout + quietTime)
				all := r.at()
				if !stopped {
					all = all[2:]
				}
				slices.Sort(all)
				if !slices.Equal(all, []string{"0:four and more than there was before", "8:three"}) {
					t.Errorf("stopped %v, compressed %v: %q", stopped, compressed, all)
				}
				for _, g := range r.feed.Got() {
					if same := g.Source.ID == source; same == strings.HasPrefix(g.Line, "four") {
						t.Errorf("%q is of source %s", g.Line, g.Source.ID)
					}
				}
				r.wantLog("")
				r.wantNoMore()
			})
		}
	}
}

// TestCopyTruncateAgain: the copy is renamed by the next rotation, or compressed.
func TestCopyTruncateAgain(t *testing.T) {
	twice(t, func(r *rig) {
		var want []string
		r.write("app.log", "")
		r.start()
		for i := range 4 {
			if i > 0 {
				r.rename("app.log.1", "app.log.2")
			}
			r.append("app.log", fmt.Sprintf("%d read\n", i))
			r.pass(pollTime)
			r.append("app.log", fmt.Sprintf("%d unread\n", i))
			r.duplicate("app.log", "app.log.1")
			r.must(os.Truncate(r.path("app.log"), 0))
			if i > 0 {
				r.compress("app.log.2")
				r.must(os.Rename(r.path("app.log.2.gz"), r.path(fmt.Sprintf("app.log.%d.gz", 9-i))))
			}
			want = append(want, fmt.Sprintf("%d read", i), fmt.Sprintf("%d unread", i))
			if i%2 == 0 {
				r.pass(quietTime)
			}
		}
		r.pass(copyTimeout + quietTime)
		r.wantSet(want...)
		r.wantLog("")
		r.wantNoMore()
	})
}

// TestCopyThatIsSeenFirst: the copy exists, and grows, before the file is truncated, and what was
// written after it was made is read.
func TestCopyThatIsSeenFirst(t *testing.T) {
	twice(t, func(r *rig) {
		text := strings.Repeat("a line of the log\n", 100)
		r.write("app.log", text)
		r.start()
		r.pass(pollTime)
		for i := 0; i < len(text); i += 300 {
			r.append("app.log.1", text[i:min(i+300, len(text))])
			r.pass(pollTime)
		}
		r.append("app.log", "written after the copy\n")
		r.pass(pollTime)
		r.truncate("app.log", "new\n")
		r.pass(copyTimeout + quietTime)
		if n := len(r.feed.Lines()); n != 102 {
			t.Errorf("%d lines", n)
		}
		r.wantLog("")
		r.wantNoMore()
	})
}

// TestCopyThatEndsBefore is the same, but nobody could look at the copy in time.
func TestCopyThatEndsBefore(t *testing.T) {
	twice(t, func(r *rig) {
		r.write("app.log", "one\ntwo\n")
		r.start()
		r.pass(pollTime)
		r.append("app.log", "three\n")
		r.pass(pollTime)
		r.write("app.log.1", "one\ntwo\nth")
		r.truncate("app.log", "new\n")
		r.pass(copyTimeout + quietTime)
		r.wantSet("one", "two", "three", "new")
		r.wantLog("")
		r.feed.Ack() // what is in no file any more could not come again after a crash
		r.wantNoMore()
	})
}

// TestLostBetweenCopyAndTruncation: what is in no file any more is counted where it was seen.
func TestLostBetweenCopyAndTruncation(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		twice(t, func(r *rig) {
			r.write("app.log", "one\ntwo\n")
			r.start()
			r.pass(pollTime)
			r.append("app.log", "three")
			r.pass(pollTime) // it is seen, but not yet read as a line
			r.append("app.log", " is cut off\n")
			rotate := func() {
				r.write("app.log.1", "one\ntwo\nth")
				r.truncate("app.log", "four\n")
			}
			if stopped {
				r.feed.Ack()
				r.restart(rotate)
			} else {
				rotate()
			}
			r.pass(copyTimeout + quietTime)
			want := []string{"one", "two", "th", "four"}
			if stopped {
				want = want[2:]
			}
			r.wantSet(want...)
			if !stopped {
				r.wantLog("part of a file was never read: it was written after the file was copied")
				r.wantLog("read=10 missing_at_least=3")
				r.wantLost(3)
			}
		})
	}
}

// TestTruncatedWithoutACopy: what was seen, and not read, is counted.
func TestTruncatedWithoutACopy(t *testing.T) {
	twice(t, func(r *rig) {
		r.write("app.log", "one\ntwo")
		r.write("app.log.1", "another log\n")
		r.start()
		r.pass(pollTime)
		r.truncate("app.log", "x\n")
		r.pass(pollTime)
		r.wantLog("part of a file was never read: it was truncated")
		r.wantLost(3)
	})
}

// TestCopyThatIsNoRotation: a copy of a file that is never truncated is a log of its own in the
// end.
func TestCopyThatIsNoRotation(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("worker.log", "started\n")
		r.start()
		r.pass(pollTime)
		r.duplicate("worker.log", "worker-1.log")
		r.pass(pollTime)
		r.want("started")
		r.pass(copyTimeout)
		r.want("started", "started")
		r.append("worker-1.log", "and goes on\n")
		r.pass(pollTime)
		r.want("started", "started", "and goes on")
		r.wantNoMore()
	})
}

// TestLogsThatBeginAlike: logs of which one is named like the other's rotation are read at once
// when they differ.
func TestLogsThatBeginAlike(t *testing.T) {
	poll(t, func(r *rig) {
		head := strings.Repeat("#Version: 1.0\n", 100)
		r.write("worker.log", head+"worker\n")
		r.write("worker-1.log", head+"first\n")
		r.write("worker-2.log", head+"second\n")
		r.start()
		r.pass(pollTime)
		if n := len(r.feed.Lines()); n != 303 {
			t.Errorf("%d lines, want 303", n)
		}
		r.truncate("worker.log", "again\n")
		r.pass(pollTime)
		if n := len(r.feed.Lines()); n != 304 {
			t.Errorf("%d lines, want 304", n)
		}
	})
}

// TestCompressedBeforeTheEndWasRead: while Longshore is stopped, the file is rotated and
// compressed, and its compressed form may be renamed again.
func TestCompressedBeforeTheEndWasRead(t *testing.T) {
	for _, name := range []string{"app.log.1.gz", "app.log.5.gz"} {
		twice(t, func(r *rig) {
			r.write("app.log", "one\n")
			r.start()
			r.pass(pollTime)
			source := r.feed.Got()[0].Source.ID
			r.feed.Ack()
			r.append("app.log", "two\n")
			r.restart(func() {
				r.append("app.log", "three\nlast")
				r.rename("app.log", "app.log.1")
				r.write("app.log", "new\n")
				r.compress("app.log.1")
				r.must(os.Rename(r.path("app.log.1.gz"), r.path(name)))
			})
			r.pass(quietTime)
			r.wantAt("4:two", "8:three", "14:last", "0:new")
			if id := r.feed.Got()[0].Source.ID; id != source {
				t.Errorf("source %s is %s now", source, id)
			}
			r.wantLog("")
			r.wantNoMore()
		})
	}
}

// TestGenerationsCompressedWhileStopped: also those that nobody ever saw.
func TestGenerationsCompressedWhileStopped(t *testing.T) {
	twice(t, func(r *rig) {
		r.write("app.log", "one line that is long enough\n")
		r.start()
		r.pass(pollTime)
		r.feed.Ack()
		r.restart(func() {
			r.append("app.log", "two\n")
			r.rename("app.log", "app.log.3")
			for i, name := range []string{"app.log.2", "app.log.1"} {
				r.write(name, fmt.Sprintf("never seen %d\n", i))
			}
			r.write("app.log", "new\n")
			for _, name := range []string{"app.log.3", "app.log.2"} {
				r.compress(name)
			}
		})
		r.pass(copyTimeout + quietTime)
		r.wantSet("two", "never seen 0", "never seen 1", "new")
		r.wantLog("")
		r.wantNoMore()
	})
}

// TestCompressedWhenRead: a file that was read is compressed, while Longshore runs or not; it is
// not read again.
func TestCompressedWhenRead(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		twice(t, func(r *rig) {
			r.write("app.log", "one\n")
			r.start()
			r.pass(pollTime)
			r.rename("app.log", "app.log.1")
			r.write("app.log", "two\n")
			r.pass(quietTime)
			r.feed.Ack()
			if stopped {
				r.restart(func() { r.compress("app.log.1") })
				r.pass(copyTimeout + quietTime)
				r.want()
			} else {
				r.compress("app.log.1")
				r.pass(copyTimeout + quietTime)
				r.want("one", "two")
			}
			r.rename("app.log.1.gz", "app.log.2.gz")
			r.pass(pollTime)
			r.wantLog("")
			r.feed.Ack()
			r.wantNoMore()
			r.remove("app.log.2.gz")
			r.pass(quietTime)
			r.feed.Ack()
			if known := r.feed.Restart().Known(); len(known) != 1 {
				t.Errorf("%d sources are known, want 1", len(known))
			}
		})
	}
}

// TestCompressedSlowly: the compressed file grows for long before the file goes.
func TestCompressedSlowly(t *testing.T) {
	twice(t, func(r *rig) {
		text := strings.Repeat("a line of the log\n", 10_000)
		r.write("app.log", text)
		r.start()
		r.pass(pollTime)
		r.rename("app.log", "app.log.1")
		r.write("app.log", "new\n")
		r.pass(quietTime)
		whole := gzipped(text)
		for i := 0; i < len(whole); i += 30 {
			r.append("app.log.1.gz", whole[i:min(i+30, len(whole))])
			r.pass(pollTime)
		}
		r.pass(time.Minute)
		r.remove("app.log.1")
		r.pass(quietTime)
		if n := len(r.feed.Lines()); n != 10_001 {
			t.Errorf("%d lines", n)
		}
		r.wantLog("")
		r.wantNoMore()
	})
}

// TestCompressedAndKept: both are there (gzip -k), from the first start on.
func TestCompressedAndKept(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("*")}
		r.write("app.log.1", "one\n")
		r.write("app.log.1.gz", gzipped("one\n"))
		r.write("app.log.2.gz", gzipped("zero\n"))
		r.start()
		r.pass(copyTimeout + quietTime)
		r.wantSet("zero", "one")
		r.wantNoMore()
	})
}

// TestCompressedUnderBackpressure: the file is compressed and deleted while it is open, and there
// is more to read.
func TestCompressedUnderBackpressure(t *testing.T) {
	twice(t, func(r *rig) {
		r.write("app.log", "one\n")
		r.start()
		r.pass(pollTime)
		r.feed.Block(true)
		want := []string{"one", "new"}
		for i := range 50_000 {
			want = append(want, fmt.Sprintf("line %d of a longer text", i))
		}
		r.append("app.log", strings.Join(want[2:], "\n")+"\n")
		r.pass(pollTime)
		r.rename("app.log", "app.log.1")
		r.write("app.log", "new\n")
		r.pass(quietTime)
		r.compress("app.log.1")
		r.pass(2 * copyTimeout)
		r.feed.Block(false)
		r.pass(copyTimeout + quietTime)
		r.wantSet(want...)
		r.wantLog("")
		r.wantNoMore()
	})
}

// TestCompressedWhenClosed: the file was closed as the limit of open files was reached, before the
// rest was written, rotated and compressed.
func TestCompressedWhenClosed(t *testing.T) {
	twice(t, func(r *rig) {
		r.config.MaxOpenFiles = 16
		r.config.Paths = append(r.config.Paths, r.path("other/*"))
		tune := r.tune
		r.tune = func(s *settings) { tune(s); s.readers = 4 }
		want := []string{"one", "two", "new"}
		r.write("app.log", "one\n")
		r.start()
		r.pass(pollTime)
		for i := range 40 {
			want = append(want, fmt.Sprintf("other %d", i))
			r.write(fmt.Sprintf("other/%d", i), want[len(want)-1]+"\n")
		}
		r.pass(pollTime)
		r.append("app.log", "two\n")
		r.rename("app.log", "app.log.1")
		r.write("app.log", "new\n")
		r.compress("app.log.1")
		r.pass(quietTime)
		r.wantSet(want...)
		r.wantLog("")
		r.wantNoMore()
	})
}

// TestCopyThatIsDeletedFirst: the copy is deleted before the reader of the log, which is held up in
// the middle of it, can look for it. It is held open until then, and read if the log has lost what
// it has.
func TestCopyThatIsDeletedFirst(t *testing.T) {
	for name, encoding := range map[string]string{
		"app.log.1": "auto", "app.log.bak": "windows-1252", "app.log.1.gz": "auto",
	} {
		for _, seenFirst := range []bool{false, true} {
			for _, truncated := range []bool{false, true} {
				title := fmt.Sprintf("%s, seen before: %v, truncated: %v", name, seenFirst, truncated)
				t.Run(title, func(t *testing.T) {
					poll(t, func(r *rig) {
						r.config.Encoding = encoding
						deleteCopyFirst(r, name, seenFirst, truncated)
					})
				})
			}
		}
	}
}

func deleteCopyFirst(r *rig, name string, seenFirst, truncated bool) {
	r.config.Paths = []string{r.path("*")}
	var want []string
	for i := range 3 * blockSize / 64 {
		want = append(want, fmt.Sprintf("line %06d of a log that has three blocks and more of them, all in all", i))
	}
	r.feed.SetSpool(0)
	r.feed.Block(true)
	r.write("app.log", strings.Join(want, "\n")+"\n")
	r.start()
	r.pass(pollTime)
	if isCompressed(name) {
		r.write(name, gzipped(r.read("app.log")))
	} else {
		r.duplicate("app.log", name)
	}
	if seenFirst {
		r.pass(2 * compressTimeout)
	}
	if truncated {
		r.truncate("app.log", "new\n")
		want = append(want, "new")
	}
	r.pass(2 * compressTimeout)
	r.remove(name)
	r.pass(2 * compressTimeout)
	r.feed.Block(false)
	r.pass(copyTimeout + quietTime)
	r.wantSet(want...)
	r.wantLog("")
	r.wantLost(0)
	r.feed.Ack()
	r.wantNoMore()
}
