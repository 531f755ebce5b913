package graph

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// goneInput is an input that does what a test wants, and of which only what the world has can be
// read again.
type goneInput struct {
	inputFunc
	*scriptConfig
}

func (g goneInput) Run(ctx context.Context, feed pipeline.Feed) error { return g.inputFunc(ctx, feed) }

func (g goneInput) Reread(ctx context.Context, from pipeline.Known, feed pipeline.Feed) error {
	if g.world.sources[from.Key] == nil {
		return errors.New("its file is no longer followed")
	}
	return g.scriptConfig.Reread(ctx, from, feed)
}

const joinedForTwo = `
shutdown_timeout: 5s
inputs: {in: {type: script}}
parsers: {blocks: {type: blocks}}
outputs: {dead: {type: memory, concurrency: 1, spool_size: %s}, living: {type: memory}}
pipelines: {main: {inputs: [in], parsers: [blocks], outputs: [dead, living]}}
`

// TestTheLastRecordOfASourceThatIsGone is pending when the source closes, and the lane of an output
// is full. The other one has it at once, and it is not lost for the first: that takes it to its
// spool, or when it is back. A stop meanwhile leaves it on disk.
func TestTheLastRecordOfASourceThatIsGone(t *testing.T) {
	for _, tt := range []struct {
		name, spool string
		stop        bool
	}{
		{"spooled", "64MiB", false},
		{"without a spool", "0", false},
		{"stopped", "64MiB", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, dir := newWorld(), t.TempDir()
			w.more = []pipeline.Spec{
				{Kind: pipeline.KindParser, Type: "blocks", New: func() any { return &blocksConfig{} }},
			}
			for i := range 600 {
				w.sources["flood"] = append(w.sources["flood"], fmt.Sprintf("{%0100d", i))
			}
			w.away["dead"] = true
			run := func(do func(ctx context.Context, feed pipeline.Feed, stop func())) {
				synctest.Test(t, func(t *testing.T) {
					g := w.build(t, dir, fmt.Sprintf(joinedForTwo, tt.spool))
					g.haveLittleRoom()
					ctx, stop := context.WithCancel(t.Context())
					defer stop()
					g.inputs[0].input = goneInput{func(ctx context.Context, feed pipeline.Feed) error {
						do(ctx, feed, stop)
						return nil
					}, &scriptConfig{w}}
					if err := g.Run(ctx); err != nil {
						t.Fatal(err)
					}
					if c := g.outputs[0].deliverer.Counts(); c.Lost > 0 {
						t.Errorf("the output that lagged: %+v", c)
					}
				})
			}
			sendFlood := func(ctx context.Context, feed pipeline.Feed, src *event.Source, at int) {
				for ; at < 600; at += 3 {
					b := (&scriptConfig{w}).batch(feed, src, w.sources["flood"], at)
					if err := feed.Send(ctx, b); err != nil {
						t.Error(err)
					}
				}
			}
			run(func(ctx context.Context, feed pipeline.Feed, stop func()) {
				flood, _ := feed.Open(0, "flood", nil)
				sendFlood(ctx, feed, flood, 0)
				time.Sleep(time.Second)
				gone, _ := feed.Open(0, "gone", nil)
				if err := feed.Send(ctx, batchOf(feed, gone, 0, "the last", " record")); err != nil {
					t.Error(err)
				}
				feed.Close(gone, true)
				feed.Close(flood, false)
				time.Sleep(time.Second)
				w.wantOnce(t, "living")
				if tt.stop {
					stop()
					return
				}
				w.setAway("dead", false)
			})
			if tt.stop {
				w.setAway("dead", false)
				run(func(ctx context.Context, feed pipeline.Feed, _ func()) {
					for _, k := range feed.Known() {
						if k.Key != "flood" {
							t.Errorf("%s is known, though it was gone", k.Key)
							continue
						}
						flood, _ := feed.Open(k.ID, k.Key, nil)
						sendFlood(ctx, feed, flood, int(k.Cursor.Pos))
					}
				})
			}
			w.wantOnce(t, "dead")
		})
	}
}

func (w *world) setAway(output string, away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away[output] = away
}

// wantOnce checks that an output has the last record of what is gone, once.
func (w *world) wantOnce(t *testing.T, output string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(slices.DeleteFunc(slices.Clone(w.stored[output]), func(stored string) bool {
		return !strings.HasSuffix(stored, "|the last\n record")
	}))
	if n != 1 {
		t.Errorf("%s has the last record %d times", output, n)
	}
}

// TestASourceWithAPendingRecordStaysReadable: an output may not take that, and would have to read
// it again.
func TestASourceWithAPendingRecordStaysReadable(t *testing.T) {
	w := newWorld()
	w.more = []pipeline.Spec{{Kind: pipeline.KindParser, Type: "blocks", New: func() any { return &blocksConfig{} }}}
	synctest.Test(t, func(t *testing.T) {
		g := w.build(t, t.TempDir(), fmt.Sprintf(joinedForTwo, "0"))
		g.inputs[0].input = goneInput{func(ctx context.Context, feed pipeline.Feed) error {
			src, _ := feed.Open(0, "a", nil)
			behind := func(want bool) {
				t.Helper()
				synctest.Wait()
				if _, got := feed.Behind(src, math.MaxUint64); got != want {
					t.Errorf("an output may be behind: %t, want %t", got, want)
				}
			}
			behind(false)
			if err := feed.Send(ctx, batchOf(feed, src, 0, "a", " b")); err != nil {
				t.Error(err)
			}
			behind(true)
			time.Sleep(1100 * time.Millisecond)
			behind(false)
			if err := feed.Send(ctx, batchOf(feed, src, 2, "{c")); err != nil {
				t.Error(err)
			}
			behind(false)
			return nil
		}, &scriptConfig{w}}
		if err := g.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
