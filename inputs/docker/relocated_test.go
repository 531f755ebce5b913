package docker

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/longshore/longshore/pipeline/pipetest"
)

// TestLogIsElsewhere has the engine come back with its files in another folder.
func TestLogIsElsewhere(t *testing.T) {
	for _, remain := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			e := newFakeEngine(t)
			j := newJSONFile(t, 0, 1, false)
			c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j})
			r := run(t, e, pipetest.NewFeed(t), Config{})
			e.write(c, out(1, "one\n"), out(2, "two\n"))
			settle()
			text, err := os.ReadFile(j.path)
			j.check(err)
			if !remain {
				j.check(os.Remove(j.path))
			}
			moved := newJSONFile(t, 0, 1, false)
			moved.raw(string(text))
			e.change(func() { c.Files = moved })
			e.restart()
			e.write(c, out(3, "three\n"))
			settle()
			r.wantLines(c)
			r.wantSilence()
		})
	}
}

// TestEntryBehindZeroes has the power go, or somebody truncate a file to which the engine does
// not append.
func TestEntryBehindZeroes(t *testing.T) {
	for _, zeroes := range []int{100, maxEntry - 100, maxEntry - precedingLen, maxEntry, 2*maxEntry - 150, 2*maxEntry - 2*precedingLen - 5, 3 * maxEntry} {
		synctest.Test(t, func(t *testing.T) {
			e := newFakeEngine(t)
			j := newJSONFile(t, 0, 1, false)
			c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j})
			r := run(t, e, pipetest.NewFeed(t), Config{})
			e.write(c, out(1, "one\n"))
			settle()
			j.raw(strings.Repeat("\x00", zeroes))
			e.write(c, out(2, "two\n"), out(3, "three\n"))
			settle()
			r.wantLines(c)
			r.wantLogged("is damaged", 1)
		})
	}
}

// TestClockSetBackAndOnAgain has the clock go back while nobody reads, and reach the place again
// without an entry that is later.
func TestClockSetBackAndOnAgain(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := newFakeEngine(t)
			e.ahead = day
			j := newJSONFile(t, 0, 1, false)
			c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j})
			takenUpAgain(t, e, c, Config{}, func() {
				e.write(c, out(1000*second, "one\n"))
			}, func() {
				for i := range int64(5000) {
					e.write(c, out(i*second/10, fmt.Sprintf("%d %s\n", i, strings.Repeat("x", 100))))
				}
				if stopped {
					e.stop(c)
				}
			})
		})
	}
}

// TestLookEndsWithContext has a long log of which no line is taken.
func TestLookEndsWithContext(t *testing.T) {
	j := newJSONFile(t, 0, 1, false)
	j.check(os.Truncate(j.path, 1<<40)) // zeroes
	tail, _, err := newTail(j.path, 0)
	j.check(err)
	defer tail.close()
	ctx, cancel := context.WithCancel(t.Context())
	tail.blocks = &blockPool{}
	tail.corrupt = cancel
	if _, err := tail.readToEnd(ctx, func([]byte) error { return nil }); err != context.Canceled {
		t.Error(err)
	}
}
