package file

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// These run on real time with the system's notifications. The poll is an hour away, so what
// arrives, arrived by notification.

func TestNotificationsOfGrowth(t *testing.T) {
	notified(t, func(r *rig) {
		r.write("app.log", "0\n")
		r.start()
		r.wait(1)
		for i := 1; i < 20; i++ {
			r.append("app.log", fmt.Sprintln(i))
			r.wait(i + 1)
		}
	})
}

func TestNotificationsOfRotation(t *testing.T) {
	notified(t, func(r *rig) {
		r.write("app.log", "0\n")
		r.start()
		r.wait(1)
		for i := 1; i < 10; i++ {
			for n := i; n > 1; n-- {
				r.rename(fmt.Sprintf("app.log.%d", n-1), fmt.Sprintf("app.log.%d", n))
			}
			r.append("app.log", fmt.Sprintf("%d end\n", i-1))
			r.rename("app.log", "app.log.1")
			r.write("app.log", fmt.Sprintf("%d\n", i))
			if i%3 != 0 { // now and then faster than anyone can look
				r.wait(2*i + 1)
			}
		}
		got := r.wait(19)
		if len(got) != 19 {
			t.Errorf("%d lines", len(got))
		}
	})
}

func TestNotificationsOfANewFolder(t *testing.T) {
	notified(t, func(r *rig) {
		r.config.Paths = []string{r.path("a/b/*/x.log")}
		r.start()
		for i := range 3 {
			r.write(fmt.Sprintf("a/b/%d/x.log", i), "one\n")
			r.wait(2*i + 1)
			r.append(fmt.Sprintf("a/b/%d/x.log", i), "two\n")
			r.wait(2*i + 2)
		}
		r.must(os.RemoveAll(r.path("a")))
		r.write("a/b/9/x.log", "three\n")
		r.wait(7)
	})
}

func TestNotificationsBehindASymlink(t *testing.T) {
	notified(t, func(r *rig) {
		r.config.Paths = []string{r.path("link.log")}
		r.write("data/1", "one\n")
		r.must(os.Symlink(r.path("data/1"), r.path("link.log")))
		r.start()
		r.wait(1)
		r.append("data/1", "two\n")
		r.wait(2)
		r.rename("data/1", "data/1.old")
		r.write("data/1", "three\n")
		r.wait(3)
		r.write("data/2", "four\n")
		r.must(os.Symlink(r.path("data/2"), r.path("tmp")))
		r.rename("tmp", "link.log")
		r.wait(4)
		r.append("data/2", "five\n")
		r.wait(5)
	})
}

func TestNotificationsOfTruncation(t *testing.T) {
	notified(t, func(r *rig) {
		r.write("app.log", "one and more\n")
		r.start()
		for i := range 20 {
			r.wait(i + 1)
			r.must(os.Truncate(r.path("app.log"), 0))
			r.append("app.log", fmt.Sprintf("%d and more and more\n", i))
		}
		r.wait(21)
	})
}

func TestManyWriters(t *testing.T) {
	notified(t, func(r *rig) {
		r.start()
		const files, each = 20, 500
		for n := range files {
			go func() {
				fd, err := os.Create(r.path(fmt.Sprintf("%d.log", n)))
				if err != nil {
					t.Error(err)
					return
				}
				defer fd.Close()
				for i := range each {
					fmt.Fprintf(fd, "%d line %d\n", n, i)
				}
			}()
		}
		got := r.wait(files * each)
		next := map[string]int{}
		for _, g := range got {
			n, i := "", 0
			fmt.Sscanf(g.Line, "%s line %d", &n, &i)
			if i != next[n] {
				t.Fatalf("writer %s: line %d came where %d should", n, i, next[n])
			}
			next[n]++
		}
	})
}

func TestNoMoreWatches(t *testing.T) {
	for cause, sysctl := range map[error]string{
		syscall.ENOSPC: "fs.inotify.max_user_watches",
		syscall.EMFILE: "fs.inotify.max_user_instances",
	} {
		var l strings.Builder
		poll(t, func(r *rig) {
			r.tune = func(s *settings) {
				s.notify = func() (notifier, error) { return nil, cause }
			}
			r.logs.all = &l
			r.write("app.log", "one\n")
			r.start()
			r.pass(pollTime)
			r.append("app.log", "two\n")
			r.pass(pollTime)
			r.want("one", "two")
		})
		if got := l.String(); strings.Count(got, sysctl) != 1 {
			t.Errorf("logged %q, want %s in it once", got, sysctl)
		}
	}
}
