package file

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fsnotify/fsnotify"
	"time"
)

// TestReadErrors: what cannot be read is tried again, on a file that is opened again, and nothing
// is lost or duplicated.
func TestReadErrors(t *testing.T) {
	poll(t, func(r *rig) {
		var broken atomic.Bool
		broken.Store(true)
		tune := r.tune
		r.tune = func(s *settings) {
			tune(s)
			s.openFile = func(path string) (*os.File, error) {
				if broken.Load() {
					return os.OpenFile(path, os.O_WRONLY, 0) // reading it fails
				}
				return openFile(path)
			}
		}
		r.write("app.log", "one\n")
		r.start()
		r.pass(pollTime)
		if err := r.health.get(); err == nil || !strings.Contains(err.Error(), "app.log") {
			t.Errorf("health is %v", err)
		}
		r.wantLog("cannot read, will try again")
		broken.Store(false)
		r.pass(2 * backoffMin)
		r.want("one")
		r.halt()
		broken.Store(true)
		r.append("app.log", "two\n")
		r.feed.Ack()
		r.restart(nil)
		r.pass(10 * time.Minute)
		r.want()
		broken.Store(false)
		r.append("app.log", "three\n")
		r.pass(2 * backoffMax)
		r.want("two", "three")
		if err := r.health.get(); err != nil {
			t.Errorf("health is %v", err)
		}
	})
}

// TestDeletedUnderBackpressure: the rest is read, as long as that takes.
func TestDeletedUnderBackpressure(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\n")
		r.start()
		r.pass(pollTime)
		r.feed.Block(true)
		r.append("app.log", "two\nthree")
		r.pass(pollTime)
		r.remove("app.log")
		r.pass(time.Minute)
		r.feed.Block(false)
		r.pass(quietTime)
		r.want("one", "two", "three")
		r.wantLog("")
	})
}

// TestTruncatedAndRotatedBeforeItIsKnown: what a file became is rotated away before that could be
// stored; it is found all the same.
func TestTruncatedAndRotatedBeforeItIsKnown(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		poll(t, func(r *rig) {
			r.write("app.log", "one line that is long enough\n")
			r.start()
			r.pass(pollTime)
			r.feed.Ack()
			if stopped {
				r.halt()
				r.feed = r.feed.Restart()
				r.truncate("app.log", "another beginning\n")
				r.feed.Block(true)
				r.start()
			} else {
				r.feed.Block(true)
				r.truncate("app.log", "another beginning\n")
			}
			r.pass(pollTime)
			r.restart(func() {
				r.rename("app.log", "app.log.1")
				r.write("app.log", "new\n")
			})
			r.pass(pollTime)
			r.wantSet("another beginning", "new")
			r.feed.Ack()
			r.wantNoMore()
			if known := r.feed.Restart().Known(); len(known) != 2 {
				t.Errorf("%d sources are known, want 2", len(known))
			}
		})
	}
}

// TestLossIsReportedOnce: the source is remembered for what came after it, and what was lost of it
// is not reported again.
func TestLossIsReportedOnce(t *testing.T) {
	for _, reused := range []bool{false, true} { // the inode, or mostly so
		poll(t, func(r *rig) { lossIsReportedOnce(r, reused) })
	}
}

func lossIsReportedOnce(r *rig, reused bool) {
	r.write("app.log", "one line that is long enough\nunread")
	r.start()
	r.pass(pollTime)
	r.feed.Ack()
	for i := range 3 {
		r.halt()
		r.feed = r.feed.Restart()
		switch {
		case i > 0:
		case reused:
			r.remove("app.log")
			r.write("app.log", "new\n")
		default:
			r.write("app.new", "new\n")
			r.rename("app.new", "app.log")
		}
		r.startOn(&recordsBlocked{Feed: r.feed})
		r.pass(pollTime)
	}
	if n := strings.Count(r.logs.String(), "part of a file was never read"); n != 1 {
		r.t.Errorf("with the inode reused (%v) it was reported %d times:\n%s", reused, n, r.logs.String())
	}
	r.wantLog("missing_at_least=6")
}

// TestStoppedWhileCopiesAreLookedFor: a source whose file is gone is not given up, as its copy may
// not have been looked at.
func TestStoppedWhileCopiesAreLookedFor(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one line that is long enough\nunread")
		r.start()
		r.pass(pollTime)
		r.feed.Ack()
		r.restart(func() {
			r.append("app.log", " so far\n")
			r.duplicate("app.log", "app.log.bak")
			r.write("app.new", "three\n")
			r.rename("app.new", "app.log")
		})
		r.pass(0) // the folders are listed after a moment
		r.restart(nil)
		r.pass(quietTime)
		r.wantSet("unread so far", "three")
		if strings.Contains(r.logs.String(), "never read") {
			t.Errorf("it was reported as lost: %s", r.logs)
		}
	})
}

// TestFolderThatComesLaterIsSearched: files were renamed in it while it was away.
func TestFolderThatComesLaterIsSearched(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("vol/app.log")}
		r.write("vol/app.log", "one\n")
		r.start()
		r.pass(pollTime)
		r.feed.Ack()
		r.restart(func() {
			r.append("vol/app.log", "two\n")
			r.rename("vol", "away")
		})
		r.pass(time.Minute)
		r.rename("away/app.log", "away/app.log.1")
		r.write("away/app.log", "three\n")
		r.rename("away", "vol")
		r.pass(quietTime)
		r.want("two", "three")
		r.wantNoMore()
	})
}

// TestInodeOfACopyWasAnothers: a rotated file is deleted, and the copy of a file that is then
// truncated has its inode.
func TestInodeOfACopyWasAnothers(t *testing.T) {
	twice(t, func(r *rig) {
		r.write("app.log", "one, of the oldest\n")
		r.start()
		r.pass(pollTime)
		r.rename("app.log", "app.log.1")
		r.write("app.log", "two, of the next\n")
		r.pass(pollTime)
		r.append("app.log", "three, not read yet\n")
		// Writing in place certainly gives a file's inode to another.
		r.duplicate("app.log", "app.log.1")
		r.truncate("app.log", "four\n")
		r.pass(copyTimeout + quietTime)
		r.wantSet("one, of the oldest", "two, of the next", "three, not read yet", "four")
		r.wantNoMore()
	})
}

// TestOldInodeBecomesACompressedFile: an inode is given to a file of another kind.
func TestOldInodeBecomesACompressedFile(t *testing.T) {
	poll(t, func(r *rig) {
		r.config.Paths = []string{r.path("*")}
		r.write("app.log", "one\n")
		r.start()
		r.pass(pollTime)
		r.write("app.log", gzipped("two\n"))
		r.rename("app.log", "other.log.gz")
		r.pass(quietTime)
		r.want("one", "two")
	})
}

// TestInodeOfACompressedCopyWasAnothers: a compressed file is deleted, and the compressed copy of a
// file that is then truncated has its inode, before the reader of the first has looked.
func TestInodeOfACompressedCopyWasAnothers(t *testing.T) {
	told(t, func(r *rig, tell func(name string, op fsnotify.Op)) {
		r.write("app.log", "one, of the oldest\n")
		r.start()
		r.rename("app.log", "app.log.1")
		r.write("app.log", "two, of the next\n")
		tell("app.log", fsnotify.Create)
		r.pass(quietTime)
		r.compress("app.log.1")
		tell("app.log.1", fsnotify.Remove)
		r.pass(copyTimeout)
		r.append("app.log", "three, not read yet\n")
		// Writing in place certainly gives a file's inode to another.
		r.rename("app.log.1.gz", "app.log.2.gz")
		r.write("app.log.2.gz", gzipped(r.read("app.log")))
		r.truncate("app.log", "four\n")
		tell("app.log", fsnotify.Write)
		r.pass(copyTimeout + quietTime)
		r.wantSet("one, of the oldest", "two, of the next", "three, not read yet", "four")
		r.wantNoMore()
	})
}

// TestInodeOfACompressedFileBecomesALog: a log is given the inode of a compressed file that is
// followed, and is seen by one scan before Longshore is stopped and the log is renamed.
func TestInodeOfACompressedFileBecomesALog(t *testing.T) {
	poll(t, func(r *rig) {
		r.write("app.log", "one\n")
		r.start()
		r.pass(pollTime)
		r.rename("app.log", "app.log.1")
		r.pass(quietTime)
		r.compress("app.log.1")
		r.pass(quietTime)
		// Writing in place certainly gives a file's inode to another.
		r.rename("app.log.1.gz", "other.log")
		r.write("other.log", "two\n")
		r.pass(time.Second) // one scan
		r.want("one", "two")
		r.feed.Ack()
		r.restart(func() {
			r.append("other.log", "three\n")
			r.rename("other.log", "other.log.1")
		})
		r.pass(copyTimeout + quietTime)
		r.want("three")
		r.wantNoMore()
	})
}
