package file

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// Each scenario is what may happen to files, on fake time. A pollTime is longer than a poll; a
// quietTime is longer than a file must not grow before it counts as complete.
const (
	pollTime  = 1500 * time.Millisecond
	quietTime = completeAfter + 3*time.Second
)

func TestReadsAndFollows(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\n\ntwo\r\nthr")
		r.start()
		r.pass(pollTime)
		r.want("one", "", "two")
		r.append("app.log", "ee\n")
		r.pass(pollTime)
		r.want("one", "", "two", "three")
		got := r.feed.Got()
		if got[2].Pos != 5 || got[3].Pos != 10 {
			t.Errorf("positions %d and %d, want 5 and 10", got[2].Pos, got[3].Pos)
		}
		src := got[0].Source
		file, service := src.Label(event.LabelFile), src.Label(event.LabelService)
		if src.Key != r.path("app.log") || file != src.Key || service != "app" {
			t.Errorf("source %+v", src)
		}
		r.wantLog("")
	})
}

func TestRestart(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\ntwo\n")
		r.start()
		r.pass(pollTime)
		r.feed.Ack()
		r.append("app.log", "three\n")
		r.pass(pollTime)
		r.restart(func() { r.append("app.log", "four\n") })
		r.pass(pollTime)
		r.want("three", "four") // three was not acknowledged
		r.feed.Ack()
		r.restart(nil)
		r.pass(pollTime)
		r.want()
		r.wantLog("")
	})
}

// sends notes the batches that pass.
type sends struct {
	*pipetest.Feed
	records []int
}

func (s *sends) Send(ctx context.Context, b *event.Batch) error {
	s.records = append(s.records, len(b.Records))
	return s.Feed.Send(ctx, b)
}

// The identity of a new source must be stored before its first record is sent, or a crash right
// after would have it read again as another.
func TestIdentityGoesAheadOfRecords(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\n")
		feed := &sends{Feed: r.feed}
		r.startOn(feed)
		r.pass(pollTime)
		if diff := cmp.Diff([]int{0, 1}, feed.records); diff != "" {
			t.Errorf("records in each batch (-want +got)\n%s", diff)
		}
	})
}

func TestReadFromEnd(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.ReadFrom = "end"
		r.write("old.log", "one\ntwo\nthr")
		r.start()
		r.pass(pollTime)
		r.append("old.log", "ee\nfour\n")
		r.write("new.log", "from the beginning\n")
		r.pass(pollTime)
		r.wantSet("three", "four", "from the beginning")
		r.feed.Ack()
		r.restart(func() { r.write("newer.log", "newer\n"); r.append("old.log", "five\n") })
		r.pass(pollTime)
		r.wantSet("newer", "five")
	})
}

// TestReadFromTail: of files that are there at the very first start the last lines are read, and
// all of those that come later.
func TestReadFromTail(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.FromTail(2)
		r.write("old.log", "one\ntwo\nthree\n")
		r.write("open.log", "1\n2\n3\n4 and")
		r.write("short.log", "a\nb\n")
		r.write("empty.log", "")
		r.write("long.log", "far\n"+strings.Repeat("x", 300<<10)+"\nend\n")
		r.write("longer.log", "no\n"+strings.Repeat(strings.Repeat("y", 1<<20)+"\n", 6)+strings.Repeat("z", 3))
		r.start()
		r.pass(pollTime)
		r.append("open.log", " more\n")
		r.append("longer.log", "!\n")
		r.write("new.log", "from the beginning\n2\n3\n")
		r.pass(pollTime)
		r.wantSet("two", "three", "3", "4 and more", "a", "b", strings.Repeat("x", 300<<10), "end",
			strings.Repeat("y", 1<<20), "zzz!", "from the beginning", "2", "3")
	})
}

func TestReadFromEndOfALineWithoutEnd(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.ReadFrom = "end"
		r.write("app.log", strings.Repeat("x", 100<<10))
		r.start()
		r.pass(pollTime)
		r.append("app.log", "rest\nnext\n")
		r.pass(pollTime)
		r.want("next")
	})
}

// TestReadFromEndOfAlmostNothing: a file may end within what would be a byte-order mark.
func TestReadFromEndOfAlmostNothing(t *testing.T) {
	for _, begun := range []string{"", "\xef", "\xef\xbb"} {
		poll(t, func(r *rig) {
			r.config.ReadFrom = "end"
			r.write("app.log", begun)
			r.start()
			r.pass(pollTime)
			r.append("app.log", "\xef\xbb\xbfone\n"[len(begun):])
			r.pass(pollTime)
			r.want("one")
		})
	}
}

func TestRenameRotation(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\n")
		r.start()
		r.pass(pollTime)
		r.append("app.log", "two\nlast")
		r.rename("app.log", "app.log.1")
		r.write("app.log", "three\n")
		r.pass(quietTime)
		r.want("one", "two", "three", "last")
		got := r.feed.Got()
		if got[0].Source != got[3].Source || got[0].Source.ID == got[2].Source.ID {
			t.Error("the rotated file is to stay one source, the new one to be another")
		}
		r.append("app.log.1", " words\n") // its writer had not noticed
		r.pass(pollTime)
		r.want("one", "two", "three", "last", " words")
		r.feed.Ack()
		r.restart(nil)
		r.pass(pollTime)
		r.want()
		r.wantLog("")
	})
}

func TestRenameRotationIntoTheGlob(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("app.log*")}
		r.write("app.log", "one\n")
		r.start()
		r.pass(pollTime)
		for i, text := range []string{"two\n", "three\n", "four\n"} {
			if i > 0 {
				r.rename("app.log.1", "app.log.2")
			}
			r.rename("app.log", "app.log.1")
			r.write("app.log", text)
			r.pass(pollTime)
		}
		r.want("one", "two", "three", "four")
		r.feed.Ack()
		r.restart(nil)
		r.pass(pollTime)
		r.want()
	})
}

func TestRotationWhileStopped(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\n")
		r.start()
		r.pass(pollTime)
		r.feed.Ack()
		r.append("app.log", "two\n")
		r.restart(func() {
			r.append("app.log", "three\nlast")
			r.rename("app.log", "app.log.2")
			r.write("app.log.3", "of another time\n")
			stamp := time.Unix(1e9, 0)
			r.must(os.Chtimes(r.path("app.log.3"), stamp, stamp))
			r.write("app.log", "never seen\n")
			r.rename("app.log", "app.log.1")
			r.write("app.log", "four\n")
		})
		r.pass(quietTime)
		r.want("two", "three", "never seen", "four", "last")
		r.feed.Ack()
		r.restart(func() { r.rename("app.log.2", "app.log.4"); r.rename("app.log", "app.log.2") })
		r.pass(quietTime)
		r.want()
	})
}

func TestSeveralGenerationsWhileStopped(t *testing.T) {
	poll(t, func(r *rig) {
		r.start()
		for i := range 3 {
			r.write("app.log", fmt.Sprintf("%d head\n", i))
			r.pass(pollTime)
			r.feed.Ack()
			r.append("app.log", fmt.Sprintf("%d unread\n", i))
			stamp := time.Unix(int64(1e9+i), 0)
			r.must(os.Chtimes(r.path("app.log"), stamp, stamp))
			r.feed.Block(true)
			r.rename("app.log", fmt.Sprintf("app.log.%d", i))
		}
		r.restart(func() {
			for i := range 3 {
				r.rename(fmt.Sprintf("app.log.%d", i), fmt.Sprintf("app.old.%d", 9-i))
			}
			r.write("app.log", "new\n")
		})
		r.pass(pollTime)
		// Only the first generation was sent before the feed blocked.
		r.want("0 unread", "new")
	})
}

func TestGenerationsAreReadInOrder(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("app.log")}
		r.start()
		for i := range 3 {
			r.write("app.log", fmt.Sprintf("%d head\n", i))
			r.pass(pollTime)
			r.rename("app.log", fmt.Sprintf("app.log.%d", 3-i))
		}
		r.pass(pollTime)
		r.feed.Ack()
		r.restart(func() {
			for i := range 3 {
				name := fmt.Sprintf("app.log.%d", 3-i)
				r.append(name, strings.Repeat(fmt.Sprintf("%d unread\n", i), 1000))
				stamp := time.Unix(int64(1e9+i), 0)
				r.must(os.Chtimes(r.path(name), stamp, stamp))
			}
			r.write("app.log", "3 live\n")
		})
		r.pass(pollTime)
		lines := r.feed.Lines()
		if len(lines) != 3001 {
			t.Fatalf("%d lines", len(lines))
		}
		for i, l := range lines {
			if want := fmt.Sprint(i / 1000); l[:1] != want {
				t.Fatalf("line %d is %q, want one of generation %s", i, l, want)
			}
		}
	})
}

func TestCopyTruncate(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\ntwo\n")
		r.start()
		r.pass(pollTime)
		before := r.feed.Got()[0].Source.ID
		r.write("app.log", "x\n")
		r.pass(pollTime)
		r.want("one", "two", "x")
		if got := r.feed.Got()[2]; got.Source.ID == before || got.Pos != 0 {
			t.Errorf("a truncated file is to be a new source from 0, not %v at %d", got.Source.ID, got.Pos)
		}
	})
}

func TestTruncatedAndGrownBeyond(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\ntwo\n")
		r.start()
		r.pass(pollTime)
		r.write("app.log", "ten\neleven\ntwelve\n")
		r.pass(pollTime)
		r.want("one", "two", "ten", "eleven", "twelve")
	})
}

// TestTruncatedAmongLinesThatEndAlike: lines of one length that end alike, too, have the same bytes
// before every position at which one ends. The head tells that they are others.
func TestTruncatedAmongLinesThatEndAlike(t *testing.T) {
	for _, lines := range []int{5, 50, 2000} { // less than a head, and less than a block
		twice(t, func(r *rig) {
			var want []string
			text := func(generation, lines int) string {
				from := len(want)
				for i := range lines {
					want = append(want, fmt.Sprintf("%d-%06d %s", generation, i, strings.Repeat("x", tailMax)))
				}
				return strings.Join(want[from:], "\n") + "\n"
			}
			r.write("app.log", text(1, lines))
			r.start()
			r.pass(pollTime)
			r.duplicate("app.log", "app.log.1")
			r.truncate("app.log", text(2, lines+3))
			r.pass(copyTimeout + quietTime)
			r.wantSet(want...)
			r.wantLog("")
			r.wantNoMore()
		})
	}
}

func TestTruncatedWithTheSameHead(t *testing.T) {
	head := "#Version: 1.0\n" + strings.Repeat("#Fields\n", 200)
	poll(t, func(r *rig) {
		r.write("app.log", head+"one\n")
		r.start()
		r.pass(pollTime)
		n := len(r.feed.Lines())
		r.write("app.log", head+"ten\neleven\n")
		r.pass(pollTime)
		lines := r.feed.Lines()
		if len(lines) != 2*n+1 || lines[len(lines)-1] != "eleven" {
			t.Errorf("%d lines, want %d", len(lines), 2*n+1)
		}
	})
}

func TestTruncatedWhileStopped(t *testing.T) {
	for _, text := range []string{"x\n", "ten\neleven\ntwelve\n", ""} {
		poll(t, func(r *rig) {
			r.write("app.log", "one\ntwo\n")
			r.start()
			r.pass(pollTime)
			r.feed.Ack()
			r.restart(func() { r.write("app.log", text) })
			r.pass(pollTime)
			r.wantSet(strings.Fields(text)...)
			for _, k := range r.feed.Restart().Known() {
				if k.Cursor.Pos == 8 {
					t.Errorf("the ledger still knows the source that was truncated: %+v", k)
				}
			}
		})
	}
}

func TestFilesOfThreeBytes(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("a.log", "ab\n")
		r.write("b.log", "ab\n")
		r.start()
		r.pass(pollTime)
		r.want("ab", "ab")
		r.feed.Ack()
		r.restart(func() { r.append("a.log", "cd\n") })
		r.pass(pollTime)
		r.want("cd")
		r.append("b.log", "ef\n")
		r.pass(pollTime)
		r.want("cd", "ef")
	})
}

func TestIdenticalHeads(t *testing.T) {
	head := strings.Repeat("the same head\n", 200)
	poll(t, func(r *rig) {
		r.write("a.log", head+"a\n")
		r.write("b.log", head+"b\n")
		r.start()
		r.pass(pollTime)
		if n := len(r.feed.Lines()); n != 402 {
			t.Errorf("%d lines, want 402", n)
		}
		r.feed.Ack()
		r.restart(func() {
			r.rename("a.log", "a.log.1")
			r.append("a.log.1", "more of a\n")
			r.append("b.log", "more of b\n")
			r.write("a.log", head)
		})
		r.pass(pollTime)
		if n := len(r.feed.Lines()); n != 202 {
			t.Errorf("%d lines, want 202", n)
		}
	})
}

func TestInodeReused(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\ntwo\n")
		r.start()
		r.pass(pollTime)
		r.feed.Ack()
		// The kernel may give a deleted file's inode to the next; rewriting in place certainly
		// does.
		r.restart(func() { r.write("app.log", "other\nfile\n"); r.rename("app.log", "other.log") })
		r.pass(pollTime)
		r.want("other", "file")
		if key := r.feed.Got()[0].Source.Key; key != r.path("other.log") {
			t.Errorf("the new source is called %s", key)
		}
	})
}

// TestGenerationNobodySawHasTheInodeOfADeletedFile: the kernel reuses inodes, and then the ledger
// knows the file's number, but not the file.
func TestGenerationNobodySawHasTheInodeOfADeletedFile(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\n")
		r.write("other.log", "deleted afterwards\n")
		r.start()
		r.pass(pollTime)
		r.feed.Ack()
		r.restart(func() {
			r.append("app.log", "two\n")
			r.rename("app.log", "app.log.2")
			r.write("other.log", "never seen, of the inode of other.log\n")
			r.rename("other.log", "app.log.1")
			r.write("app.log", "three\n")
		})
		r.pass(pollTime)
		r.want("two", "never seen, of the inode of other.log", "three")
		for _, got := range r.feed.Got() {
			if got.Source.Key != r.path("app.log") {
				t.Errorf("%q comes from %s", got.Line, got.Source.Key)
			}
		}
	})
}

// TestGenerationNobodySawIsFoundWithoutTheOneBefore: while Longshore was stopped, the file was
// rotated twice, and the one that was known was deleted.
func TestGenerationNobodySawIsFoundWithoutTheOneBefore(t *testing.T) {
	for _, test := range []struct {
		name, text string
		age        time.Duration
		want       []string
	}{
		{"app.log.1", "never seen\n", 0, []string{"never seen", "new"}},
		{"app-1.log.1", "of another log\n", 0, []string{"new"}},
		{"app.log.1", "older than all that is known\n", time.Hour, []string{"new"}},
		{"app.log.1", "one line that is long enough\n", 0, []string{"new"}}, // a copy
		{"app.log.1", "one line that is long enough\nnot a copy\n", time.Hour, []string{"new"}},
	} {
		poll(t, func(r *rig) {
			r.write("app.log", "one line that is long enough\n")
			r.start()
			r.pass(pollTime)
			r.feed.Ack()
			r.restart(func() {
				r.write(test.name, test.text)
				info, err := os.Stat(r.path(test.name))
				r.must(err)
				stamp := info.ModTime().Add(-test.age)
				r.must(os.Chtimes(r.path(test.name), stamp, stamp))
				r.write("app.new", "new\n")
				r.rename("app.new", "app.log")
			})
			r.pass(pollTime)
			r.want(test.want...)
			r.feed.Ack()
			r.restart(nil)
			r.pass(pollTime)
			r.want()
		})
	}
}

func TestDeletedWhileOpen(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\n")
		r.start()
		r.pass(pollTime)
		fd, err := os.OpenFile(r.path("app.log"), os.O_WRONLY|os.O_APPEND, 0)
		r.must(err)
		defer fd.Close()
		r.remove("app.log")
		r.pass(pollTime)
		_, err = fd.WriteString("two\nthree")
		r.must(err)
		r.pass(quietTime)
		r.want("one", "two", "three")
		if r.feed.IsOpen(r.path("app.log")) {
			t.Error("the source of the deleted file is still open")
		}
		r.feed.Ack()
		if known := r.feed.Restart().Known(); len(known) != 0 {
			t.Errorf("the ledger still knows %v", known)
		}
		r.wantLog("")
	})
}

func TestDeletedWhileStopped(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\n")
		r.write("stays.log", "one\n")
		r.start()
		r.pass(pollTime)
		r.feed.Ack()
		r.restart(func() { r.remove("app.log") })
		r.pass(pollTime)
		if known := r.feed.Restart().Known(); len(known) != 1 {
			t.Errorf("the ledger knows %v", known)
		}
	})
}

func TestFolderThatIsAwayIsNotForgotten(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("vol/*.log")}
		r.write("vol/app.log", "one\n")
		r.start()
		r.pass(pollTime)
		r.feed.Ack()
		r.restart(func() { r.rename("vol", "away") })
		r.pass(pollTime)
		r.rename("away", "vol")
		r.append("vol/app.log", "two\n")
		r.pass(pollTime)
		r.want("two")
	})
}

func TestFolderGoesAwayAndComesBack(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("vol/*.log")}
		r.write("vol/app.log", "one\n")
		r.start()
		r.pass(pollTime)
		r.rename("vol", "away")
		r.append("away/app.log", "two\n")
		r.pass(time.Minute)
		r.rename("away", "vol")
		r.append("vol/app.log", "three\n")
		r.pass(pollTime)
		r.want("one", "two", "three")
		r.wantLog("")
	})
}

func TestFolderThatCannotBeLookedAt(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("vol/*.log")}
		r.write("vol/app.log", "one\n")
		r.start()
		r.pass(pollTime)
		r.rename("vol", "away")
		r.must(os.Symlink("vol", r.path("vol"))) // a loop: for root, too, an error
		r.append("away/app.log", "two\n")
		r.pass(time.Minute)
		if r.health.get() == nil {
			t.Error("nothing is said of it")
		}
		if !r.feed.IsOpen(r.path("vol/app.log")) {
			t.Error("the file was given up")
		}
		r.remove("vol")
		r.rename("away", "vol")
		r.pass(pollTime)
		r.want("one", "two")
		if err := r.health.get(); err != nil {
			t.Error(err)
		}
	})
}

// A feed that blocks for one source must not hold up the others.
func TestOneBlockedSource(t *testing.T) {
	poll(t, func(r *rig) {
		r.start()
		r.halt()
		r.startOn(&oneBlocked{Feed: r.feed, key: r.path("0.log")})
		for i := range 10 {
			r.write(fmt.Sprintf("%d.log", i), strings.Repeat("line\n", 100))
		}
		r.pass(pollTime)
		if n := len(r.feed.Lines()); n != 900 {
			t.Errorf("%d lines", n)
		}
	})
}

type oneBlocked struct {
	*pipetest.Feed
	key string
}

func (o *oneBlocked) Send(ctx context.Context, b *event.Batch) error {
	if b.Source.Key == o.key {
		<-ctx.Done()
		return ctx.Err()
	}
	return o.Feed.Send(ctx, b)
}

// TestWaitingFilesArePreregistered: what waits for the generation before it to be read has its
// identity stored all the same, and is found when it was rotated too, while that generation, and
// what followed, is gone.
func TestWaitingFilesArePreregistered(t *testing.T) {
	poll(t, func(r *rig) {
		r.start()
		r.halt()
		r.startOn(&recordsBlocked{Feed: r.feed})
		r.write("app.log", "one\n")
		r.pass(pollTime)
		r.rename("app.log", "app.log.1")
		r.write("app.log", "two\n")
		r.pass(pollTime)
		r.feed.Ack()
		if known := r.feed.Restart().Known(); len(known) != 2 {
			t.Errorf("%d files are known, want 2", len(known))
		}
		r.restart(func() {
			r.rename("app.log", "app.log.old")
			r.remove("app.log.1")
			r.write("app.log", "three\n")
		})
		r.pass(pollTime)
		r.want("two", "three")
		r.wantLog("part of a file was never read")
	})
}

// recordsBlocked lets only batches pass that have no records.
type recordsBlocked struct{ *pipetest.Feed }

func (b *recordsBlocked) Send(ctx context.Context, batch *event.Batch) error {
	if len(batch.Records) > 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	return b.Feed.Send(ctx, batch)
}

// TestLaterGenerationsAreNotForgotten: a generation that nobody saw is found after a file that is
// gone, but Longshore stops again before it is read; and the inode of the file that is gone may
// have been given to another.
func TestLaterGenerationsAreNotForgotten(t *testing.T) {
	for _, reuse := range []bool{false, true} {
		poll(t, func(r *rig) {
			r.write("app.log", "one line that is long enough\n")
			r.start()
			r.pass(pollTime)
			r.feed.Ack()
			r.halt()
			r.feed = r.feed.Restart()
			r.write("app.log.1", "never seen\n")
			if reuse {
				r.rename("app.log", "other.log")
				r.write("other.log", "another file\n")
			}
			r.write("app.new", "new\n")
			r.rename("app.new", "app.log")
			r.startOn(&recordsBlocked{Feed: r.feed})
			r.pass(0)
			r.halt()
			r.feed = r.feed.Restart()
			r.start()
			r.pass(pollTime)
			want := []string{"never seen", "new"}
			if reuse {
				want = append(want, "another file")
			}
			r.wantSet(want...)
			r.feed.Ack()
			r.restart(nil)
			r.pass(pollTime)
			r.want()
			if known := r.feed.Restart().Known(); len(known) != len(want) {
				t.Errorf("%d files are known, want %d", len(known), len(want))
			}
		})
	}
}

// TestFileIsRememberedUntilTheNextIsKnown: the file was replaced while Longshore was stopped, and
// the new one is rotated, too, before Longshore can store what it is.
func TestFileIsRememberedUntilTheNextIsKnown(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one line that is long enough\n")
		r.start()
		r.pass(pollTime)
		r.feed.Ack()
		r.halt()
		r.feed = r.feed.Restart()
		r.write("app.new", "unread\n")
		r.rename("app.new", "app.log")
		r.startOn(&recordsBlocked{Feed: r.feed})
		r.pass(0)
		r.restart(func() {
			r.rename("app.log", "app.log.1")
			r.write("app.log", "new\n")
		})
		r.pass(pollTime)
		r.wantSet("unread", "new")
	})
}

// TestFileThatIsRenamedWhileItIsChecked: at the path where a known file was just seen there is
// another one, or none; that does not make it unknown.
func TestFileThatIsRenamedWhileItIsChecked(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one line that is long enough\n")
		r.write("next.log", "another line that is long enough\n")
		r.start()
		r.pass(pollTime)
		r.feed.Ack()
		r.halt()
		for _, k := range r.feed.Restart().Known() {
			at, err := decodeCursor(k.Cursor.State, k.Key)
			r.must(err)
			p := knownSource{Known: k, at: at}
			if k.Key != r.path("app.log") {
				continue
			}
			for name, want := range map[string]bool{"app.log": true, "next.log": true, "none.log": true} {
				if got := p.isAt(r.path(name)); got != want {
					t.Errorf("at %s: %v", name, got)
				}
			}
			r.write("app.log", "its inode was given to another\n")
			if p.isAt(r.path("app.log")) {
				t.Error("another file of the same inode is mistaken for it")
			}
		}
	})
}

func TestSymlinkMovesOn(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("current.log")}
		r.write("data/1", "one\n")
		r.must(os.Symlink(r.path("data/1"), r.path("current.log")))
		r.start()
		r.pass(pollTime)
		r.append("data/1", "two\n")
		r.write("data/2", "three\n")
		r.must(os.Symlink(r.path("data/2"), r.path("tmp")))
		r.rename("tmp", "current.log")
		r.pass(pollTime)
		r.want("one", "two", "three")
	})
}

func TestLinksToOneFileAreOneSource(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("*.log"), r.path("a*")}
		r.write("a.log", "one\n")
		r.must(os.Symlink(r.path("a.log"), r.path("b.log")))
		r.must(os.Link(r.path("a.log"), r.path("c.log")))
		r.start()
		r.pass(pollTime)
		r.want("one")
		r.remove("a.log")
		r.append("c.log", "two\n")
		r.pass(pollTime)
		r.want("one", "two")
	})
}

func TestFolderAppearsLater(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("x/**/*.log")}
		r.config.Exclude = []string{"no*"}
		r.start()
		r.pass(pollTime)
		r.wantLog("no file is there yet")
		r.write("x/y/z/app.log", "one\n")
		r.write("x/y/z/not.log", "no\n")
		r.pass(pollTime)
		r.write("x/app.log", "two\n")
		r.pass(pollTime)
		r.want("one", "two")
	})
}

func TestIgnoreOlder(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.IgnoreOlder = pipeline.Duration(24 * time.Hour)
		for _, name := range []string{"old.log", "known.log"} {
			r.write(name, name+"\n")
		}
		fresh := time.Now()
		old := fresh.Add(-48 * time.Hour)
		r.must(os.Chtimes(r.path("old.log"), old, old))
		r.must(os.Chtimes(r.path("known.log"), fresh, fresh))
		r.start()
		r.pass(pollTime)
		r.want("known.log")
		r.feed.Ack()
		r.restart(func() {
			r.append("known.log", "two\n")
			r.must(os.Chtimes(r.path("known.log"), old, old))
		})
		r.pass(pollTime)
		r.want("two")
		r.append("old.log", "woken\n")
		r.pass(pollTime)
		r.want("two", "old.log", "woken")
	})
}

func TestMoreFilesThanMayBeOpen(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.MaxOpenFiles = 16
		tune := r.tune
		r.tune = func(s *settings) { tune(s); s.readers = 4 }
		var want []string
		for i := range 100 {
			line := fmt.Sprintf("file %d", i)
			r.write(fmt.Sprintf("%d.log", i), line+"\n")
			want = append(want, line)
		}
		r.start()
		r.pass(pollTime)
		r.wantSet(want...)
		if n := openHere(t, r.dir); n > 16 {
			t.Errorf("%d files are open", n)
		}
		for i := range 100 {
			line := fmt.Sprintf("more of %d", i)
			r.append(fmt.Sprintf("%d.log", i), line+"\n")
			want = append(want, line)
		}
		r.rename("7.log", "7.log.old")
		r.write("7.log", "new\n")
		r.pass(pollTime)
		r.wantSet(append(want, "new")...)
	})
}

// openHere counts the files below dir that this process holds open.
func openHere(t *testing.T, dir string) (n int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc")
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, dir) {
			n++
		}
	}
	return n
}

func TestPermissionThatComesBack(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("a.log", "a\n")
		r.must(os.Symlink("loop.log", r.path("loop.log"))) // cannot be opened, not even by root
		r.start()
		r.pass(pollTime)
		if err := r.health.get(); err == nil || !strings.Contains(err.Error(), r.path("loop.log")) {
			t.Errorf("health is %v", err)
		}
		r.wantLog("cannot read, will try again")
		r.remove("loop.log")
		r.write("loop.log", "b\n")
		r.pass(pollTime)
		if err := r.health.get(); err != nil {
			t.Errorf("health is %v", err)
		}
		r.want("a", "b")
		if n := strings.Count(r.logs.String(), "cannot read"); n != 1 {
			t.Errorf("it was logged %d times", n)
		}
	})
}

func TestLongLine(t *testing.T) {
	poll(t, func(r *rig) {
		long := strings.Repeat("0123456789", 1<<20)
		r.write("app.log", "one\n"+long+"\ntwo\n")
		r.start()
		r.pass(pollTime)
		r.want("one", long[:1<<20], "two")
		if got := r.feed.Got()[1]; got.Flags&event.Truncated == 0 {
			t.Error("the line is not marked as truncated")
		}
	})
}

func TestLongLineAcrossRestart(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.MaxLineSize = 1 << 10
		r.write("app.log", "one\n"+strings.Repeat("x", 1<<20))
		r.start()
		r.pass(pollTime)
		r.want("one", strings.Repeat("x", 1<<10))
		r.feed.Ack()
		r.append("app.log", "yyy")
		r.restart(func() { r.append("app.log", "zzz\ntwo\n") })
		r.pass(pollTime)
		r.want("two")
	})
}

func TestLongLineInSmallPieces(t *testing.T) {
	poll(t, func(r *rig) {
		r.start()
		piece := strings.Repeat("x", 50<<10)
		for range 10 {
			r.append("app.log", piece)
			r.pass(pollTime)
		}
		r.want()
		r.append("app.log", "end\nnext\n")
		r.pass(pollTime)
		r.want(strings.Repeat(piece, 10)+"end", "next")
	})
}

func TestGarbageIsKept(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "\x00\x00one\xff\n\xc3\x28\n")
		r.start()
		r.pass(pollTime)
		r.want("\x00\x00one\xff", "\xc3\x28")
	})
}

func TestBackpressure(t *testing.T) {
	poll(t, func(r *rig) {
		r.start()
		r.feed.Block(true)
		for i := range 20 {
			r.write(fmt.Sprintf("%d.log", i), "one\n")
		}
		r.pass(time.Minute)
		r.want()
		r.feed.Block(false)
		r.pass(pollTime)
		if n := len(r.feed.Lines()); n != 20 {
			t.Errorf("%d lines", n)
		}
		r.feed.Block(true)
		r.append("1.log", "two\n")
		r.pass(pollTime)
		began := time.Now()
		r.halt()
		if took := time.Since(began); took > 0 {
			t.Errorf("stopping took %v", took)
		}
	})
}

func TestHostileCursors(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\n")
		feed := r.feed
		src, err := feed.Open(0, r.path("app.log"), nil)
		r.must(err)
		b := feed.Batch(src)
		b.To, b.Cursor = 2, []byte("\x01garbage")
		r.must(feed.Send(t.Context(), b))
		feed.Close(src, false)
		feed.Ack()
		r.restart(nil)
		r.pass(pollTime)
		r.want("one")
		r.wantLog("cannot be understood")
	})
}

func TestFairReadSlices(t *testing.T) {
	poll(t, func(r *rig) {
		tune := r.tune
		r.tune = func(s *settings) { tune(s); s.readers = 1 }
		r.write("big.log", strings.Repeat(strings.Repeat("x", 99)+"\n", 100_000)) // 10 MB
		r.write("small.log", "small\n")
		stamp := time.Unix(1e9, 0)
		r.must(os.Chtimes(r.path("big.log"), stamp, stamp))
		r.start()
		r.pass(pollTime)
		at := -1
		for i, l := range r.feed.Lines() {
			if l == "small" {
				at = i
			}
		}
		if at < 0 || at > 12_000 {
			t.Errorf("the small file came after %d lines of the big one", at)
		}
	})
}
