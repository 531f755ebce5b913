package graph

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/components"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

// A flood is an input of many sources that have far more than fits in memory, and an output that
// counts what it gets of each.
type flood struct {
	sources, lines int // lines of each source
	width          int // bytes of a line
	away           atomic.Bool

	fed  atomic.Int64 // bytes
	base uint64       // of live heap, before
	mu   sync.Mutex
	most uint64                    // of live heap, beyond base
	next map[event.SourceID]uint64 // the position that is to come, by source
	got  int                       // lines
	bad  []string
}

const (
	floodBatch = 500      // lines
	floodLook  = 16 << 20 // how many bytes are fed between two looks at the heap
)

func (f *flood) Input(pipeline.Env) (pipeline.Input, error)   { return f, nil }
func (f *flood) Parser() (pipeline.NewParser, error)          { return (&noneConfig{}).Parser() }
func (f *flood) Output(pipeline.Env) (pipeline.Output, error) { return f, nil }
func (f *flood) Encoder() pipeline.Encoder                    { return f }
func (f *flood) Limits() pipeline.Limits                      { return pipeline.Limits{Bytes: 256 << 10} }
func (f *flood) Original(b *pipeline.Body, i int) []byte      { return b.Item(i) }
func (f *flood) Close() error                                 { return nil }

func (f *flood) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	dst.Bytes = binary.BigEndian.AppendUint64(dst.Bytes, uint64(b.Source.ID))
	dst.Bytes = binary.BigEndian.AppendUint64(dst.Bytes, b.Records[i].Pos)
	dst.Bytes = append(dst.Bytes, b.Line(i)...)
	return 0, nil
}

func (f *flood) Send(_ context.Context, b *pipeline.Body) error {
	if f.away.Load() {
		return &pipeline.SendError{Outcome: pipeline.Retry, Reason: "away"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range b.Items {
		p := b.Item(i)
		id, pos := event.SourceID(binary.BigEndian.Uint64(p)), binary.BigEndian.Uint64(p[8:])
		if pos != f.next[id] || len(p) != 16+f.width {
			f.bad = append(f.bad, fmt.Sprintf("line %d of source %s comes where %d was to come", pos, id, f.next[id]))
		}
		f.next[id] = pos + 1
		f.got++
	}
	return nil
}

// noise returns a text that cannot be packed.
func noise(random *rand.ChaCha8, n int) string {
	p := make([]byte, n)
	random.Read(p)
	for i := range p {
		p[i] = '0' + p[i]&0x3f
	}
	return string(p)
}

// Run feeds a batch of each source in turn.
func (f *flood) Run(ctx context.Context, feed pipeline.Feed) error {
	var all []*event.Source
	for i := range f.sources {
		src, err := feed.Open(0, fmt.Sprint("source ", i),
			[]event.Label{{Name: event.LabelService, Value: fmt.Sprint(i)}})
		if err != nil {
			return err
		}
		all = append(all, src)
	}
	random := rand.NewChaCha8([32]byte{})
	for from := 0; from < f.lines; from += floodBatch {
		for _, src := range all {
			b := feed.Batch(src)
			b.From, b.To = uint64(from), uint64(min(from+floodBatch, f.lines))
			for pos := b.From; pos < b.To; pos++ {
				b.Add(pos, int64(pos+1), b.PutString(noise(random, f.width)))
			}
			n := int64(b.To-b.From) * int64(f.width)
			if feed.Send(ctx, b) != nil {
				return nil
			}
			if fed := f.fed.Add(n); fed/floodLook != (fed-n)/floodLook {
				f.look()
			}
		}
	}
	<-ctx.Done()
	return nil
}

// look notes how much of the heap is alive.
func (f *flood) look() {
	live := liveHeap()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.most = max(f.most, max(live, f.base)-f.base)
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// run runs a graph with the flood while scenario goes on, and returns what the output said of
// itself last.
func (f *flood) run(t *testing.T, yaml string, scenario func(said func() error)) {
	f.next = map[event.SourceID]uint64{}
	specs := []pipeline.Spec{
		{Kind: pipeline.KindInput, Type: "flood", Traits: pipeline.Traits{Ephemeral: true},
			New: func() any { return f }},
		{Kind: pipeline.KindParser, Type: "none", New: func() any { return &noneConfig{} }},
		{Kind: pipeline.KindOutput, Type: "flood", New: func() any { return f }},
	}
	cfg, err := config.Loader{Components: specs}.Load("test.yml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var last error
	g, err := Build(Options{
		Config: cfg, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		Health: func(kind pipeline.Kind, _ string) func(error) {
			return func(err error) {
				mu.Lock()
				defer mu.Unlock()
				if kind == pipeline.KindOutput {
					last = err
				}
			}
		},
		Vital: func(string) func(error) { return func(error) {} }, Found: func(_, _ string) {}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.base = liveHeap()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	scenario(func() error { mu.Lock(); defer mu.Unlock(); return last })
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c := g.Counts(); c.Pending() != 0 {
		t.Errorf("at the end: %+v", c)
	}
	for _, bad := range f.bad[:min(5, len(f.bad))] {
		t.Error(bad)
	}
	if want := f.sources * f.lines; f.got != want {
		t.Errorf("%d of %d lines arrived", f.got, want)
	}
}

const flooding = `
version: 1
data_dir: %s
shutdown_timeout: 30s
inputs: {in: {type: flood}}
parsers: {none: {type: none}}
outputs: {out: {type: flood, queue_size: 2MiB, spool_size: %s}}
`

// TestMemoryStaysBoundedWhileTheDestinationIsAway ships far more than may be in memory, from many
// sources through several lanes, with nowhere to go: all is on disk, and nearly nothing in memory;
// also while it drains.
func TestMemoryStaysBoundedWhileTheDestinationIsAway(t *testing.T) {
	dir := t.TempDir()
	f := &flood{sources: 200, lines: 1000, width: 500}
	synctest.Test(t, func(t *testing.T) {
		f.away.Store(true)
		f.run(t, fmt.Sprintf(flooding, dir, "256MiB"), func(func() error) {
			time.Sleep(time.Hour)
			if all := int64(f.sources * f.lines * f.width); f.fed.Load() != all {
				t.Errorf("%d of %d bytes were taken in", f.fed.Load(), all)
			}
			f.look()
			f.away.Store(false)
			time.Sleep(time.Minute)
			f.look()
		})
	})
	t.Logf("%d MiB were fed; %d KiB of heap at most", f.fed.Load()>>20, f.most>>10)
	if f.most > 16<<20 {
		t.Errorf("%d MiB of heap were alive", f.most>>20)
	}
}

// TestAFullSpoolMakesSourcesWait, says so, and loses nothing.
func TestAFullSpoolMakesSourcesWait(t *testing.T) {
	dir := t.TempDir()
	f := &flood{sources: 50, lines: 2000, width: 500}
	synctest.Test(t, func(t *testing.T) {
		f.away.Store(true)
		f.run(t, fmt.Sprintf(flooding, dir, "16MiB"), func(said func() error) {
			time.Sleep(time.Hour)
			if fed := f.fed.Load(); fed < 8<<20 || fed > 24<<20 {
				t.Errorf("%d MiB were taken in, with 16 MiB of spool", fed>>20)
			}
			if err := said(); err == nil || !strings.Contains(err.Error(), "away") ||
				!strings.Contains(err.Error(), "16MiB that spool_size allows") {
				t.Errorf("it says %v", err)
			}
			f.look()
			f.away.Store(false)
			time.Sleep(10 * time.Minute)
			if err := said(); err != nil {
				t.Errorf("when all is well again it says %v", err)
			}
		})
	})
	if f.most > 16<<20 {
		t.Errorf("%d MiB of heap were alive", f.most>>20)
	}
}

// smallSource bounds what a source takes that had a line and is quiet: everything but what its
// input holds of it.
const smallSource = 1700

// TestIdleSourcesAreSmall: as of a host with thousands of files, of which few are written to. There
// is one worker, so that the source that stays busy has those of all others come to rest, and the
// bodies are small, since spare ones are kept.
func TestIdleSourcesAreSmall(t *testing.T) {
	const sources = 10_000
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	loki := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer loki.Close()
	w := newWorld()
	w.more = components.All()
	g := w.build(t, t.TempDir(), `
inputs: {in: {type: script}}
parsers: {auto: {type: auto}}
outputs: {out: {type: loki, url: "`+loki.URL+`", queue_size: 256KiB}}
pipelines: {main: {inputs: [in], parsers: [auto], outputs: [out]}}
`)
	g.inputs[0].input = inputFunc(func(ctx context.Context, feed pipeline.Feed) error {
		for i := range sources {
			path := fmt.Sprintf("/var/log/app/%05d.log", i)
			src, err := feed.Open(0, path, []event.Label{{Name: event.LabelHost, Value: "h"},
				{Name: event.LabelFile, Value: path}})
			if err != nil {
				return err
			}
			if err := feed.Send(ctx, batchOf(feed, src, 0,
				`{"time":"2026-03-01T12:00:00Z","level":"info","msg":"a","method":"GET","status":200}`)); err != nil {
				return err
			}
		}
		return busyAlone(ctx, g, feed, sources)
	})
	before := liveHeap()
	if err := g.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := g.Counts(); c.Pending() != 0 {
		t.Fatalf("counts: %+v", c)
	}
	each := (liveHeap() - before) / sources
	t.Logf("%d bytes a source", each)
	if each > smallSource {
		t.Errorf("a quiet source takes %d bytes, want at most %d", each, smallSource)
	}
	runtime.KeepAlive(g)
}

// busyAlone waits until so many records are delivered, and then writes as many lines to one source
// alone, so that all others come to rest.
func busyAlone(ctx context.Context, g *Graph, feed pipeline.Feed, records uint64) error {
	for g.Counts().Delivered < records && ctx.Err() == nil {
		runtime.Gosched()
	}
	src, err := feed.Open(0, "/var/log/app/busy.log", nil)
	if err != nil {
		return err
	}
	for pos := range records {
		if err := feed.Send(ctx, batchOf(feed, src, pos, "a")); err != nil {
			return err
		}
	}
	return nil
}
