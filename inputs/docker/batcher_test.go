package docker

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func newBatcher(t testing.TB, feed pipeline.Feed) *batcher {
	b := &batcher{
		ctx: t.Context(), feed: feed, log: slog.New(slog.DiscardHandler),
		metrics: newMetrics(prometheus.NewRegistry()), openBatches: new(atomic.Int64),
		sources:  new(pipeline.SourceMap[*batcher]),
		identity: &identity{id: "x", name: "x"}, streams: make([]*streamState, 2),
	}
	for i := range b.streams {
		b.streams[i] = &streamState{stream: logformat.Stream(i), key: sourceKey("x", logformat.Stream(i))}
		b.streams[i].line.max = 1 << 20
	}
	b.connect(0, rotation{}, false)
	return b
}

func TestLinesAreBatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := &batchFeed{Feed: pipetest.NewFeed(t)}
		b := newBatcher(t, feed)
		d := logformat.NewDecoder(b, 0, false)
		start := time.Now()
		for i := range int64(1000) {
			if err := b.decode(d, encodeMessage(out(i*second/1000, "a line\n"), false), 0, true); err != nil {
				t.Fatal(err)
			}
			if i == 0 && len(feed.Got()) != 1 {
				t.Error("the first line is not sent at once")
			}
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		b.stop(false)
		if took := time.Since(start); len(feed.sent) > int(took/batchInterval)+3 {
			t.Errorf("%d batches in %v", len(feed.sent), took)
		}
		if n := len(feed.Got()); n != 1000 {
			t.Errorf("%d lines", n)
		}
	})
}

// A batchFeed counts batches.
type batchFeed struct {
	*pipetest.Feed
	sent []int
}

func (f *batchFeed) Batch(src *event.Source) *event.Batch {
	f.sent = append(f.sent, 0)
	return f.Feed.Batch(src)
}

func TestNoAllocationPerLine(t *testing.T) {
	b := newBatcher(t, newNullFeed())
	d := logformat.NewDecoder(b, 0, false)
	var in []byte
	for i := range int64(20) {
		in = append(in, encodeMessage(message{ts: at(i), from: logformat.Stream(i % 2),
			text: strings.Repeat("x", 200) + "\n"}, false)...)
	}
	b.decode(d, in, 0, true)
	b.due = time.Now().Add(time.Hour) // send nothing
	if n := testing.AllocsPerRun(100, func() {
		if err := d.Decode(in); err != nil {
			t.Fatal(err)
		}
	}); n > 1 { // a batch is sent now and then
		t.Errorf("%v allocations in 20 lines", n)
	}
}

// A nullFeed accepts everything and reuses its batches.
type nullFeed struct {
	pipeline.Feed
	next event.SourceID
	free *event.Batch
}

func newNullFeed() *nullFeed { return &nullFeed{} }

func (f *nullFeed) Open(id event.SourceID, key string, labels []event.Label) (*event.Source, error) {
	f.next++
	return event.NewSource(f.next, "test", key, labels), nil
}

func (f *nullFeed) Batch(src *event.Source) *event.Batch {
	b := f.free
	f.free = nil
	if b == nil {
		b = &event.Batch{}
	}
	b.Reset(src)
	return b
}

func (f *nullFeed) Close(*event.Source, bool) {}
func (f *nullFeed) Hurry(bool)                {}
func (f *nullFeed) SpoolRoom() int64          { return 0 }

func (f *nullFeed) Send(_ context.Context, b *event.Batch) error {
	f.free = b
	return nil
}

func BenchmarkBatcher(b *testing.B) {
	for _, size := range []int{220, 40 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			to := newBatcher(b, newNullFeed())
			d := logformat.NewDecoder(to, 0, false)
			var in []byte
			text := strings.Repeat("x", size-1) + "\n"
			for len(text) > 16<<10 {
				in = append(in, encodeMessage(out(1, text[:16<<10]), false)...)
				text = text[16<<10:]
			}
			in = append(in, encodeMessage(out(1, text), false)...)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := to.decode(d, in, 0, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A hangingFeed never returns a batch, and takes none, until it is free.
type hangingFeed struct {
	*pipetest.Feed
	inBatch, inSend bool
	free            chan struct{}
}

func (f *hangingFeed) Batch(src *event.Source) *event.Batch {
	if f.inBatch {
		<-f.free
	}
	return f.Feed.Batch(src)
}

func (f *hangingFeed) Send(ctx context.Context, b *event.Batch) error {
	if f.inSend {
		<-f.free
	}
	return f.Feed.Send(ctx, b)
}

// TestStuckIsNoticed: decoding that does not end is stuck after a minute, and waiting for the
// pipeline is not.
func TestStuckIsNoticed(t *testing.T) {
	for name, test := range map[string]struct {
		feed hangingFeed
		want bool
	}{"decoding": {hangingFeed{inBatch: true}, true}, "waiting for the pipeline": {hangingFeed{inSend: true}, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				feed := test.feed
				feed.Feed, feed.free = pipetest.NewFeed(t), make(chan struct{})
				b := newBatcher(t, &feed)
				in := &Input{}
				b.sources = &in.sources
				ended := make(chan error)
				go func() {
					in := encodeMessage(out(second, "a line\n"), false)
					ended <- b.decode(logformat.NewDecoder(b, 0, false), in, 0, true)
				}()
				time.Sleep(pipeline.StuckAfter - time.Second)
				if in.Stuck(time.Now()) {
					t.Error("it is stuck before its time")
				}
				time.Sleep(10 * time.Minute)
				if got := in.Stuck(time.Now()); got != test.want {
					t.Errorf("stuck: %v", got)
				}
				close(feed.free)
				if err := <-ended; err != nil || in.Stuck(time.Now()) {
					t.Errorf("once it has ended: %v, stuck: %v", err, in.Stuck(time.Now()))
				}
				b.stop(false)
			})
		})
	}
}
