package docker

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// readTime is longer than any pause between two reads of a file.
const readTime = 2 * time.Second

func waitForReads() {
	time.Sleep(readTime)
	synctest.Wait()
}

// TestFilesAndAPI reads random logs through the API and from their files, switching at random with
// restarts and crashes, while the engine rotates.
func TestFilesAndAPI(t *testing.T) {
	for seed := range uint64(8) {
		for _, tty := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %t", seed, tty), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testFilesAndAPI(t, seed, tty) })
			})
		}
	}
}

// random adds a running container whose log has so many files, and returns what it is to write.
func (e *fakeEngine) random(t *testing.T, rnd *rand.Rand, files int, tty bool) (*fakeContainer, *jsonFile, []message) {
	e.ahead = day
	j := newJSONFile(t, []int64{0, 500, 3000}[rnd.IntN(3)], files, files > 1 && rnd.IntN(2) == 0)
	j.compressLater = rnd.IntN(2) == 0
	log := randomLog(rnd, 500)
	if tty {
		log = onlyStdout(log)
	}
	c := e.add(&fakeContainer{ID: "a", Name: "one", State: "running", TTY: tty, Files: j, Options: j.options()})
	return c, j, log
}

func testFilesAndAPI(t *testing.T, seed uint64, tty bool) {
	rnd := rand.New(rand.NewPCG(seed, 3))
	e := newFakeEngine(t)
	e.oldSince = seed%2 == 1
	c, j, log := e.random(t, rnd, 200, tty)
	feed, all := pipetest.NewFeed(t), received{}
	var ways []string
	for rest := log; len(rest) > 0; {
		mode := []string{modeAuto, modeAPI, modeFiles}[rnd.IntN(3)]
		ways = append(ways, mode)
		r := run(t, e, feed, Config{Mode: mode})
		for range rnd.IntN(4) {
			rest = e.writeSome(c, rest, rnd)
			time.Sleep(time.Duration(rnd.IntN(300)) * time.Millisecond)
			if rnd.IntN(3) == 0 && betweenLines(c.Log) {
				e.stop(c)
				waitForReads()
				e.again(c)
			}
		}
		waitForReads()
		if rnd.IntN(2) == 0 {
			feed.Ack()
		} else {
			for range rnd.IntN(3) {
				feed.AckBatch()
			}
		}
		r.stop()
		if text := r.logged.String(); text != "" {
			t.Errorf("%v: logged:\n%s", ways, text)
		}
		all.add(t, feed)
		feed = feed.Restart()
		if rnd.IntN(2) == 0 {
			rest = e.writeSome(c, rest, rnd)
		}
	}
	e.stop(c)
	run(t, e, feed, Config{})
	waitForReads()
	all.add(t, feed)
	all.want(t, c)
	if t.Failed() {
		t.Log(ways, j.size, j.files, j.compress, j.compressLater)
	}
}

// writeSome writes the first messages of a log, no more than a file holds, and returns the rest.
func (e *fakeEngine) writeSome(c *fakeContainer, log []message, rnd *rand.Rand) (rest []message) {
	n, bytes := 0, 0
	for limit := rnd.IntN(60); n < len(log) && n < limit; n++ {
		bytes += len(encodeEntry(log[n], c.Files.attrs))
		if c.Files.size > 0 && int64(bytes) > c.Files.size {
			break
		}
	}
	e.write(c, log[:n]...)
	return log[n:]
}

// betweenLines reports whether neither stream is inside a line: a restarted container does not
// continue it.
func betweenLines(log []message) bool {
	open := map[logformat.Stream]bool{}
	for _, m := range log {
		open[m.from] = !strings.HasSuffix(m.text, "\n")
	}
	return !open[logformat.Stdout] && !open[logformat.Stderr]
}

func TestFilesThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for mode, want := range map[string]string{modeAuto: "", modeFiles: "-v /var/lib/docker/containers"} {
			e := newFakeEngine(t)
			j := newJSONFile(t, 0, 1, false)
			c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j})
			e.write(c, out(1, "one\n"))
			other := e.start(&fakeContainer{ID: "b", Name: "journal", Driver: "journald",
				Log: []message{out(1, "other\n")}})
			folder := strings.TrimSuffix(j.path, "/0123-json.log")
			j.check(os.Rename(folder, folder+"-away"))
			r := run(t, e, pipetest.NewFeed(t), Config{Mode: mode})
			waitForReads()
			r.wantLines(other)
			if want == "" {
				r.wantLines(c)
				r.wantNothingLogged()
			} else {
				r.wantLogged(want, 1)
				j.check(os.Rename(folder+"-away", folder)) // the mount is there at last
				time.Sleep(longPause)
				synctest.Wait()
				r.wantLines(c)
				r.wantLogged("cannot be read", 1)
			}
			r.stop()
		}
	})
}

func TestFilesAreReadWithoutTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		j := newJSONFile(t, 300, 5, true)
		c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j, Options: j.options()})
		r := run(t, e, pipetest.NewFeed(t), Config{})
		for i := range int64(20) {
			e.write(c, out(i*second, "line\n"))
			time.Sleep(200 * time.Millisecond)
		}
		e.write(c, out(20*second, "the engine says how it ends"))
		e.stop(c)
		waitForReads()
		r.wantLines(c)
		r.wantNothingLogged()
		requests, _ := e.asked()
		for _, request := range requests {
			if strings.HasSuffix(request, "/logs") {
				t.Errorf("a log was requested: %s", request)
			}
		}
	})
}

// TestFileIsReplaced has an engine that keeps a single file.
func TestFileIsReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		burst int // lines written at once
		gap   int
	}{"slow": {1, 0}, "two files and more at once": {20, 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newFakeEngine(t)
				j := newJSONFile(t, 500, 1, false)
				web := e.start(&fakeContainer{ID: "a", Name: "web", Files: j, Options: j.options()})
				r := run(t, e, pipetest.NewFeed(t), Config{})
				waitForReads()
				line := func(i int) message { return out(int64(i)*second/50, fmt.Sprintf("line %d\n", i)) }
				for i := range 20 {
					e.write(web, line(i))
					// no two files in one pause, and not at the ticks
					time.Sleep(maxTicks*tickInterval/4 - time.Millisecond/3)
				}
				waitForReads()
				for i := range c.burst {
					e.write(web, line(20+i*10)) // 10 lines a second
				}
				waitForReads()
				r.wantLogged("rotated away", c.gap)
				got := linesOf(r.feed.Got(), web, logformat.Stdout)
				last := strings.TrimSuffix(web.Log[len(web.Log)-1].text, "\n")
				if got[19] != "line 19" || got[len(got)-1] != last {
					t.Errorf("got %q", got)
				}
				if c.gap == 0 {
					r.wantLines(web)
				}
			})
		})
	}
}

// TestRotatesSeveralTimesAtOnce rotates several times between two reads.
func TestRotatesSeveralTimesAtOnce(t *testing.T) {
	for _, compress := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := newFakeEngine(t)
			j := newJSONFile(t, 500, 9, compress)
			c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j, Options: j.options()})
			r := run(t, e, pipetest.NewFeed(t), Config{})
			for i := range int64(10) {
				for k := range int64(30) {
					e.write(c, out(i*second+k, fmt.Sprintf("line %d\n", i*100+k)))
				}
				waitForReads()
			}
			r.wantLines(c)
			r.wantNothingLogged()
		})
	}
}

func TestFileIsTruncated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		j := newJSONFile(t, 0, 1, false)
		c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j})
		r := run(t, e, pipetest.NewFeed(t), Config{})
		for i := range int64(3) {
			waitForReads()
			e.write(c, out(2*i*second, fmt.Sprintf("before %d\n", i)), out(2*i*second+1, "of equal length\n"))
			waitForReads()
			j.check(os.Truncate(j.path, 0))
			e.write(c, out(2*i*second+second, fmt.Sprintf("after %d.\n", i)),
				out(2*i*second+second+1, "of equal length\n"))
		}
		waitForReads()
		r.wantLines(c)
		r.wantLogged("rotated away", 1)
	})
}

func TestDamagedFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		j := newJSONFile(t, 1000, 5, true)
		c := e.start(&fakeContainer{ID: "a", Name: "web", State: "running", Files: j, Options: j.options()})
		e.write(c, out(1, "one\n"))
		j.raw("\x00\x00\x00{\"log\":\"half")
		e.write(c, out(2, "two\n"))
		j.raw(strings.Repeat("endless", 3*maxEntry/7) + "\n")
		e.write(c, out(3, "three\n")) // rotated and compressed
		packed, err := os.ReadFile(j.old(1) + ".gz")
		j.check(err)
		j.check(os.WriteFile(j.old(1)+".gz", packed[:len(packed)-10], 0o640)) // without its end
		j.raw("{}\n")
		e.write(c, out(4, "four\n"))
		j.compressLater = true
		j.rotate()
		j.check(os.WriteFile(j.old(1)+".gz", packed[:10], 0o640)) // not yet complete
		r := run(t, e, pipetest.NewFeed(t), Config{})
		waitForReads()
		r.wantLines(c)
		r.wantLogged("is damaged", 1)
	})
}

// TestRemovedWhileBehind removes a container whose log was not yet read: its file is still open.
func TestRemovedWhileBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		j := newJSONFile(t, 0, 1, false)
		c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j})
		r := run(t, e, pipetest.NewFeed(t), Config{})
		e.write(c, out(1, "one\n"))
		waitForReads()
		r.feed.Block(true)
		e.write(c, out(2, "two\n"))
		waitForReads()
		e.write(c, out(3, "three\n"), out(4, "and the rest"))
		e.stop(c)
		j.check(os.Remove(j.path))
		e.remove(c)
		waitForReads()
		r.feed.Block(false)
		waitForReads()
		r.wantLines(c)
		r.wantNothingLogged()
		if r.feed.IsOpen(sourceKey(c.ID, logformat.Stdout)) {
			t.Error("the source of a removed container is open")
		}
	})
}

// TestLargeFileIsNotReadAgain continues near the end of a large file.
func TestLargeFileIsNotReadAgain(t *testing.T) {
	j := newJSONFile(t, 0, 1, false)
	var text []byte
	for i := range int64(30_000) {
		text = append(text, encodeEntry(out(i*second/10, "a line of some length, so that there are many blocks\n"),
			"")...)
	}
	j.raw(string(text))
	for _, since := range []int64{at(-second), at(0), at(5 * second), at(1000*second + 7), at(2999 * second),
		at(5000 * second)} {
		tail, _, err := newTail(j.path, since)
		if err != nil {
			t.Fatal(err)
		}
		_, before, _ := logformat.TimeRange(text[:tail.off])
		first, _, ok := logformat.TimeRange(text[tail.off:])
		if before >= since || ok && first < min(since, at(3000*second))-300*second {
			t.Errorf("since %d: begins at %d of %d, at time %d", since, tail.off, len(text), first-at(0))
		}
		tail.close()
	}
}

// TestDescendingTimes fills the second half of a large file with parts of a line that began long
// ago: the position must not be searched among them.
func TestDescendingTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		e.ahead = day
		j := newJSONFile(t, 0, 1, false)
		c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j})
		resumed(t, e, c, Config{MaxLine: 64 << 20}, func() {
			e.write(c, out(30*second, "long"))
			for i := int64(0); i < 40*second; i += second / 100 {
				e.write(c, err(10*second+i, strings.Repeat("x", 300)+"\n"))
			}
		}, func() {
			for range 200 {
				e.write(c, out(30*second, strings.Repeat("long", partSize/4)))
			}
			e.write(c, out(30*second, "end\n"), err(51*second, "later\n"))
		})
	})
}

// resumed runs the agent while before writes, and again, with a config, after between has written.
// Together they must receive all of it once.
func resumed(t *testing.T, e *fakeEngine, c *fakeContainer, config Config, before, between func()) {
	t.Helper()
	feed, all := pipetest.NewFeed(t), received{}
	r := run(t, e, feed, Config{})
	before()
	waitForReads()
	feed.Ack()
	r.stop()
	all.add(t, feed)
	between()
	feed = feed.Restart()
	r = run(t, e, feed, config)
	waitForReads()
	all.add(t, feed)
	all.want(t, c)
	r.wantNothingLogged()
}

func TestWatch(t *testing.T) {
	w := startWatcher()
	if w == nil {
		t.Skip("the system has no more inotify instances")
	}
	defer w.close()
	j := newJSONFile(t, 1, 2, false)
	for range 3 {
		changed := w.add(j.path)
		j.write(out(1, "line\n"))
		<-changed
		w.remove(j.path)
	}
	if changed := w.add(j.path + "-missing"); changed != nil {
		t.Error("a missing file is watched")
	}
}
