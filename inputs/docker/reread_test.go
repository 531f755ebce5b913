package docker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// TestRereadAtRandom has an output lag while a container writes, stops, starts, and its engine
// rotates and compresses: from whatever place the output reads again, all comes as it came first.
func TestRereadAtRandom(t *testing.T) {
	for seed := range uint64(40) {
		for _, tty := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %t", seed, tty), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { rereadAtRandom(t, seed, tty) })
			})
		}
	}
}

func rereadAtRandom(t *testing.T, seed uint64, tty bool) {
	rnd := rand.New(rand.NewPCG(seed, 31))
	e := newFakeEngine(t)
	files := 1 + rnd.IntN(4)
	// Where there are fewer, the position may be rotated away while the log is not followed.
	stops := files > 2
	c, j, log := e.random(t, rnd, files, tty)
	feed, all := pipetest.NewFeed(t), received{}
	feed.Lag(true)
	r := run(t, e, feed, Config{})
	for rest := log; len(rest) > 0; {
		rest = e.writeSome(c, rest, rnd)
		waitForReads()
		if stops && rnd.IntN(4) == 0 && betweenLines(c.Log) {
			e.stop(c)
			waitForReads()
			if rnd.IntN(2) == 0 {
				feed.CheckReread(t.Context(), r.in, 1+rnd.IntN(5))
			}
			e.again(c)
		}
		switch rnd.IntN(8) {
		case 0:
			feed.Ack()
		case 1, 2:
			for range rnd.IntN(10) {
				feed.AckBatch()
			}
		case 3, 4:
			waitForReads()
			feed.CheckReread(t.Context(), r.in, 1+rnd.IntN(5))
		case 5:
			if stops && betweenLines(c.Log) && rnd.IntN(3) == 0 { // the agent is started again
				feed.Ack()
				r.stop()
				all.add(t, feed)
				feed = feed.Restart()
				feed.Lag(true)
				r = run(t, e, feed, Config{})
			}
		}
	}
	waitForReads()
	feed.CheckReread(t.Context(), r.in, 1)
	all.add(t, feed)
	r.stop()
	if files != 2 || !j.compress { // a line that two rotations cut is not whole then
		all.want(t, c)
	}
	if t.Failed() {
		t.Log(j.size, j.files, j.compress, j.compressLater, r.logged.String())
	}
}

// TestRereadBehindASilentStream: where a stream is silent while the other one moves its cursor, and
// the clock is set back then, its lines have the positions that they had.
func TestRereadBehindASilentStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine(t)
		e.ahead = day
		j := newJSONFile(t, 0, 1, false)
		c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j})
		feed := pipetest.NewFeed(t)
		feed.Lag(true)
		r := run(t, e, feed, Config{})
		e.write(c, err(0, "first\n"))
		line := strings.Repeat("x", 1000) + "\n"
		for round := range int64(3) {
			for i := range int64(3000) {
				e.write(c, out(round*1000*second+i*second/10, line))
			}
			waitForReads()
			if round < 2 {
				e.write(c, err(10*second+round, "set back\n"), err(round*1000*second+400*second, "later\n"))
			}
			waitForReads()
		}
		feed.CheckReread(t.Context(), r.in, 20)
		r.wantLines(c)
	})
}

// followBehind follows a container while an output lags. It has written 50 lines, to files of which
// three are kept.
func followBehind(t *testing.T, e *fakeEngine, feed *pipetest.Feed, compress bool) (*rig, *fakeContainer, *jsonFile) {
	t.Helper()
	j := newJSONFile(t, 500, 3, compress)
	c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j, Options: j.options()})
	feed.Lag(true)
	r := run(t, e, feed, Config{})
	for i := range int64(50) {
		e.write(c, out(i*second, fmt.Sprintf("line %d\n", i)))
		if i%5 == 4 {
			waitForReads()
		}
	}
	return r, c, j
}

// TestRereadOfARemovedContainer: its files are held open until the output that lags has read them.
func TestRereadOfARemovedContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, feed := newFakeEngine(t), pipetest.NewFeed(t)
		feed.SetSpool(1 << 20)
		r, c, j := followBehind(t, e, feed, true)
		e.stop(c)
		waitForReads()
		for _, path := range []string{j.path, j.old(1) + ".gz", j.old(2) + ".gz"} {
			j.check(os.Remove(path))
		}
		e.remove(c)
		waitForReads()
		id := feed.Got()[0].Source.ID
		if !feed.IsOpen(sourceKey(c.ID, logformat.Stdout)) || feed.LeavingTo(id) != noPosition {
			t.Errorf("the source is open: %v, and leaves up to %d",
				feed.IsOpen(sourceKey(c.ID, logformat.Stdout)), feed.LeavingTo(id))
		}
		feed.CheckReread(t.Context(), r.in, 1)
		feed.Ack()
		waitForReads()
		if feed.IsOpen(sourceKey(c.ID, logformat.Stdout)) || r.in.held.Load() != 0 {
			t.Errorf("%d bytes are held, and the source is open: %v", r.in.held.Load(), feed.OpenSources())
		}
		r.wantLines(c)
	})
}

// TestFilesAreGivenUp where there is no room to keep what is in them: what can be read comes.
func TestFilesAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, feed := newFakeEngine(t), pipetest.NewFeed(t)
		feed.SetSpool(0)
		r, c, _ := followBehind(t, e, feed, false)
		time.Sleep(2 * heldFor)
		synctest.Wait()
		r.wantLogged("no room", 1)
		id := feed.Got()[0].Source.ID
		again := pipetest.NewFeed(t)
		err := r.in.Reread(t.Context(), pipeline.Known{ID: id}, again)
		gone, ok := errors.AsType[pipeline.Gone](err)
		if !ok || gone.To <= uint64(at(30*second)) || gone.To > uint64(at(49*second)) {
			t.Errorf("reading again from the beginning: %v", err)
		}
		for feed.Acked(id) < gone.To && feed.AckBatch() {
			continue
		}
		feed.CheckReread(t.Context(), r.in, 1)
		if held := r.in.held.Load(); held != 0 {
			t.Errorf("%d bytes are held", held)
		}
		r.wantLines(c)
	})
}
