package graph

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// An inputFunc is an input that does what a test wants.
type inputFunc func(ctx context.Context, feed pipeline.Feed) error

func (f inputFunc) Run(ctx context.Context, feed pipeline.Feed) error { return f(ctx, feed) }

func batchOf(feed pipeline.Feed, src *event.Source, from uint64, lines ...string) *event.Batch {
	b := feed.Batch(src)
	b.From, b.To = from, from+uint64(len(lines))
	for i, line := range lines {
		b.Add(from+uint64(i), 0, b.PutString(line))
	}
	b.Cursor = fmt.Appendf(b.Cursor, "at %d", b.To)
	return b
}

// TestSourcesThatAreGoneLeaveNothing: as of containers that live for a moment, many at the same
// time.
func TestSourcesThatAreGoneLeaveNothing(t *testing.T) {
	w := newWorld()
	g := w.build(t, t.TempDir(), twoPipelines)
	g.inputs[0].input = inputFunc(func(ctx context.Context, feed pipeline.Feed) error {
		var sources sync.WaitGroup
		for range 50 {
			sources.Go(func() {
				src, err := feed.Open(0, "short", nil)
				if err != nil {
					t.Error(err)
					return
				}
				for at := range uint64(20) {
					if err := feed.Send(ctx, batchOf(feed, src, at, "info")); err != nil {
						t.Error(err)
					}
					if at == 10 { // closed and opened again at once: nothing happens to it
						feed.Close(src, false)
						if src, err = feed.Open(src.ID, "short", nil); err != nil {
							t.Error(err)
						}
					}
				}
				feed.Close(src, true)
			})
		}
		sources.Wait()
		return nil
	})
	if err := g.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := g.Counts(); c.Read != 1000 || c.Pending() != 0 {
		t.Errorf("counts: %+v", c)
	}
	if n := len(g.inputs[0].feed.sources); n != 0 {
		t.Errorf("%d sources are left in memory", n)
	}
	if known := g.inputs[0].feed.Known(); len(known) != 0 {
		t.Errorf("the ledger still knows %d sources", len(known))
	}
}

func TestSourcesThatAreClosedDoNotCountAsOpen(t *testing.T) {
	w := newWorld()
	w.sources["a"], w.sources["b"] = []string{"info"}, []string{"info"}
	g := w.build(t, t.TempDir(), oneOutput)
	if err := g.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := g.inputs[0].feed.open(); n != 0 {
		t.Errorf("%d sources are open after their input has closed all", n)
	}
}

func TestPoolKeepsNoLargeBatches(t *testing.T) {
	p := &batchPool{}
	long, many, usual := &event.Batch{}, &event.Batch{}, &event.Batch{}
	long.Put(bytes.Repeat([]byte("x"), maxPooledArena+1))
	for range maxPooledRecords + 1 {
		many.Add(0, 0, event.Span{})
	}
	usual.Add(0, 0, usual.PutString("usual"))
	for _, b := range []*event.Batch{long, many, usual} {
		p.put(b)
	}
	if len(p.free) != 1 || p.get(nil) != usual {
		t.Error("the pool keeps batches that are too large")
	}
}
