package docker

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longshore/longshore/pipeline/pipetest"
)

// settleTime is longer than any pause between two looks at a file.
const settleTime = 2 * time.Second

func settle() {
	time.Sleep(settleTime)
	synctest.Wait()
}

// TestBothWays reads random logs through the API and from their files, changing between
// both at random with restarts and crashes, while the engine rotates.
func TestBothWays(t *testing.T) {
	for seed := range uint64(15) {
		for _, tty := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %t", seed, tty), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testBothWays(t, seed, tty) })
			})
		}
	}
}

func testBothWays(t *testing.T, seed uint64, tty bool) {
	rnd := rand.New(rand.NewPCG(seed, 3))
	e := newFakeEngine(t)
	e.ahead = day
	e.oldSince = seed%2 == 1
	j := newJSONFile(t, []int64{0, 500, 3000}[rnd.IntN(3)], 200, rnd.IntN(2) == 0)
	j.packLater = rnd.IntN(2) == 0
	log := randomLog(rnd, 500)
	if tty {
		log = onlyStdout(log)
	}
	c := e.add(&fakeContainer{ID: "a", Name: "one", State: "running", TTY: tty, Files: j, Options: j.options()})
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
				settle()
				e.again(c)
			}
		}
		settle()
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
	settle()
	all.add(t, feed)
	all.want(t, c)
	if t.Failed() {
		t.Log(ways, j.size, j.files, j.compress, j.packLater)
	}
}

// writeSome writes the first messages of a log, no more than one of its files holds, and gives the rest.
func (e *fakeEngine) writeSome(c *fakeContainer, log []message, rnd *rand.Rand) (rest []message) {
	n, bytes := 0, 0
	for limit := rnd.IntN(60); n < len(log) && n < limit; n++ {
		bytes += len(appendEntry(nil, log[n], c.Files.attrs))
		if c.Files.size > 0 && int64(bytes) > c.Files.size {
			break
		}
	}
	e.write(c, log[:n]...)
	return log[n:]
}

// betweenLines tells whether neither stream is inside a line, which a container does not go on with
// when it is started again.
func betweenLines(log []message) bool {
	open := map[stream]bool{}
	for _, m := range log {
		open[m.from] = !strings.HasSuffix(m.text, "\n")
	}
	return !open[stdout] && !open[stderr]
}

func TestFilesThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for mode, want := range map[string]string{modeAuto: "", modeFiles: "-v /var/lib/docker/containers"} {
			e := newFakeEngine(t)
			j := newJSONFile(t, 0, 1, false)
			c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j})
			e.write(c, out(1, "one\n"))
			other := e.start(&fakeContainer{ID: "b", Name: "journal", Driver: "journald", Log: []message{out(1, "other\n")}})
			folder := strings.TrimSuffix(j.path, "/0123-json.log")
			j.check(os.Rename(folder, folder+"-away"))
			r := run(t, e, pipetest.NewFeed(t), Config{Mode: mode})
			settle()
			r.wantLines(other)
			if want == "" {
				r.wantLines(c)
				r.wantSilence()
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
