package file

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// discard takes batches and counts their records.
type discard struct {
	pipeline.Feed

	pool  sync.Pool
	lines atomic.Int64
	want  int64
	all   chan struct{}
}

func (d *discard) Known() []pipeline.Known { return nil }

func (d *discard) Open(_ event.SourceID, key string, labels []event.Label) (*event.Source, error) {
	return event.NewSource(1, "bench", key, labels), nil
}

func (d *discard) Batch(src *event.Source) *event.Batch {
	b, _ := d.pool.Get().(*event.Batch)
	if b == nil {
		b = &event.Batch{}
	}
	b.Reset(src)
	return b
}

func (d *discard) Send(_ context.Context, b *event.Batch) error {
	n := d.lines.Add(int64(len(b.Records)))
	d.pool.Put(b)
	if n == d.want {
		close(d.all)
	}
	return nil
}

func (d *discard) Behind(*event.Source, uint64) (from uint64, behind bool) {
	return math.MaxUint64, false
}

func (d *discard) Adopt(
	pipeline.Known, uint64, []event.Label,
) (*event.Source, pipeline.Cursor, error) {
	return nil, pipeline.Cursor{}, errors.ErrUnsupported
}

func (d *discard) Describe(id event.SourceID, key string, labels []event.Label) *event.Source {
	return event.NewSource(id, "bench", key, labels)
}

func (d *discard) Close(*event.Source, bool) {}
func (d *discard) Hurry(bool)                {}
func (d *discard) SpoolRoom() int64          { return 0 }

// BenchmarkFile reads a file of 220-byte lines from the page cache.
func BenchmarkFile(b *testing.B) {
	const lines = 500_000
	dir := b.TempDir()
	line := append(bytes.Repeat([]byte("x"), 219), '\n')
	if err := os.WriteFile(filepath.Join(dir, "app.log"), bytes.Repeat(line, lines), 0o644); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	cpu := time.Duration(0)
	for b.Loop() {
		feed := &discard{want: lines, all: make(chan struct{})}
		before := cpuTime()
		runUntil(b, testConfig(b, filepath.Join(dir, "*.log")), feed, feed.all)
		cpu += cpuTime() - before
	}
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N*lines), "cpu-ns/line")
}

func runUntil(b testing.TB, c *Config, feed pipeline.Feed, all <-chan struct{}) {
	in, err := c.Input(pipetest.Env(b))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { in.Run(ctx, feed); close(ended) }()
	<-all
	cancel()
	<-ended
}

// cpuTime is what the process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestReadingDoesNotAllocatePerLine(t *testing.T) {
	const lines = 200_000
	dir := t.TempDir()
	line := append(bytes.Repeat([]byte("x"), 99), '\n')
	if err := os.WriteFile(filepath.Join(dir, "app.log"), bytes.Repeat(line, lines), 0o644); err != nil {
		t.Fatal(err)
	}
	allocs := testing.AllocsPerRun(1, func() {
		feed := &discard{want: lines, all: make(chan struct{})}
		runUntil(t, testConfig(t, filepath.Join(dir, "*.log")), feed, feed.all)
	})
	if allocs > lines/50 {
		t.Errorf("%v allocations for %d lines", allocs, lines)
	}
}
