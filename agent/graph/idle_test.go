package graph

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// TestIdleSourceGoesOn where it was: the time of its next line is as if it had not. While a record
// of it is not done it does not rest.
func TestIdleSourceGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		g := w.build(t, t.TempDir(), oneOutput)
		for _, worker := range g.workers {
			worker.recent.most = 0
		}
		g.inputs[0].feed.workers = g.workers[:1]
		g.inputs[0].input = inputFunc(func(ctx context.Context, feed pipeline.Feed) error {
			a, _ := feed.Open(0, "a", nil)
			b, _ := feed.Open(0, "b", nil)
			rests := func(src *event.Source) bool {
				synctest.Wait()
				return g.inputs[0].feed.sources[src.ID].state == nil
			}
			at := map[*event.Source]uint64{}
			send := func(src *event.Source, line string) {
				if err := feed.Send(ctx, batchOf(feed, src, at[src], line)); err != nil {
					t.Error(err)
				}
				at[src]++
				synctest.Wait()
			}
			out := steps{w: w}
			out.away(true)
			send(a, "info t=5")
			send(b, "info t=1")
			if rests(a) {
				t.Error("it rests while its record is on its way")
			}
			out.away(false)
			time.Sleep(time.Minute)
			if !rests(a) {
				t.Error("it does not rest though all is done")
			}
			send(a, "info t=5")
			return nil
		})
		if err := g.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		ofB := func(line string) bool { return strings.HasSuffix(line, "t=1") }
		if diff := cmp.Diff([]string{"info|5|test|info t=5", "info|6|test|info t=5"},
			slices.DeleteFunc(w.stored["out"], ofB)); diff != "" {
			t.Error(diff)
		}
	})
}
