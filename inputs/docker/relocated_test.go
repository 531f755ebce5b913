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

// TestLogMoves has an engine come back with its files in another folder.
func TestLogMoves(t *testing.T) {
	for _, remain := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			e := newFakeEngine(t)
			j := newJSONFile(t, 0, 1, false)
			c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j})
			r := run(t, e, pipetest.NewFeed(t), Config{})
			e.write(c, out(1, "one\n"), out(2, "two\n"))
			waitForReads()
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
			waitForReads()
			r.wantLines(c)
			r.wantNothingLogged()
		})
	}
}

// TestEntryAfterZeroes has a power failure, or a file truncated by somebody else to which the
// engine does not append.
func TestEntryAfterZeroes(t *testing.T) {
	for _, zeroes := range []int{100, maxEntry - 100, maxEntry - precedingLen, maxEntry, 2*maxEntry - 150,
		2*maxEntry - 2*precedingLen - 5, 3 * maxEntry} {
		synctest.Test(t, func(t *testing.T) {
			e := newFakeEngine(t)
			j := newJSONFile(t, 0, 1, false)
			c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j})
			r := run(t, e, pipetest.NewFeed(t), Config{})
			e.write(c, out(1, "one\n"))
			waitForReads()
			j.raw(strings.Repeat("\x00", zeroes))
			e.write(c, out(2, "two\n"), out(3, "three\n"))
			waitForReads()
			r.wantLines(c)
			r.wantLogged("is damaged", 1)
		})
	}
}

// TestClockSetBackAndCaughtUp has the clock set back while the agent is stopped, and reach the
// position again without a later entry.
func TestClockSetBackAndCaughtUp(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := newFakeEngine(t)
			e.ahead = day
			j := newJSONFile(t, 0, 1, false)
			c := e.start(&fakeContainer{ID: "a", Name: "web", Files: j})
			resumed(t, e, c, Config{}, func() {
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

// TestReadEndsWithContext has a long log without lines.
func TestReadEndsWithContext(t *testing.T) {
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
