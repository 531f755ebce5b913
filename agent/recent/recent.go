// Package recent keeps the records that were read last, for people to look at: on disk, in a few
// files of bounded size, the oldest of which makes room.
//
// It is no output: it moves no position, and is no outcome of a record. Nothing waits for it: what
// comes faster than it is written is left out, the oldest first, and counted; the newest is there
// in any case. So nothing here is synced, and an error of the disk is only told. Records are as the
// outputs get them, and without secrets in any case (see Store.Tap).
//
// A file is a sequence of frames, one for each record (frame.go). It is read from its beginning, so
// that a write which a crash has torn hides nothing but itself.
package recent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/metric"
)

// Folder is the folder, in the data folder, that has the files.
const Folder = "recent"

// Bounds on what the store takes of memory, processor and disk.
const (
	maxQueued   = 2 << 20 // of what waits, in memory: eight large batches, or many small ones
	largeBatch  = maxQueued / 8
	smallBatch  = 8 << 10   // up to here a batch is copied: as it is, it holds the memory of a large one
	chunkSize   = 128 << 10 // of frames that are written at a time
	writeEvery  = 100 * time.Millisecond
	maxRate     = 8 << 20 // bytes a second: what is shown is to last for long enough to be looked at
	maxBurst    = 16 << 20
	keepFree    = 128 << 20 // of the disk
	maxSegment  = 4 << 20
	minSegment  = 128 << 10
	segmentsFor = 16 // in a store whose size does not say otherwise
)

// Options make a Store. All but Metrics must be set.
type Options struct {
	DataDir string
	Size    pipeline.Size // of all files together, at most
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil for none
}

// A Store holds recent records. Its methods are safe for concurrent use.
type Store struct {
	dir     string
	size    int64
	segment int64 // size of one, at most
	log     *slog.Logger
	fs      disk.FS
	wake    chan struct{}
	readers chan struct{} // a slot for each query

	written, leftOut, failed atomic.Uint64 // records

	visit func(*Record) // see Show

	mu       sync.Mutex
	queue    []taken
	queued   int  // sum of their sizes
	review   bool // a new reader of sources may bring what is there already
	closed   chan struct{}
	segments []*segment // oldest first; the last is written to
	clients  map[*Subscription]struct{}

	// Run owns these:
	file    disk.File // of the last segment; nil where that is not written to
	next    uint64    // number of the next record
	chunk   chunk
	since   time.Time // of the first record in chunk
	room    bucket
	repeats map[origin]uint64 // what is stored already of a source
	broken  bool              // the last write failed
	encoder encoder
}

// taken is a batch that is to be stored.
type taken struct {
	tap     *Tap
	batch   *event.Batch
	release func()
	size    int
}

// small returns the batch as a copy, whose memory is its own, if it is small.
func (t taken) small() taken {
	t.size = largeBatch
	if size := len(t.batch.Arena) + len(t.batch.Records)*recordSize; size <= smallBatch {
		own := &event.Batch{}
		own.CopyFrom(t.batch)
		t.release()
		t.batch, t.release, t.size = own, func() {}, size
	}
	return t
}

// recordSize is about what a record takes beside its text.
const recordSize = 256

// origin is a source as a pipeline takes it.
type origin struct {
	pipeline string
	source   event.SourceID
}

// Open opens the store of a data folder. Run must follow, or Close.
func Open(o Options) (*Store, error) {
	s := &Store{
		dir: filepath.Join(o.DataDir, Folder), size: int64(o.Size), log: o.Log, fs: disk.OS{},
		wake: make(chan struct{}, 1), readers: make(chan struct{}, maxReaders), closed: make(chan struct{}),
		clients: map[*Subscription]struct{}{}, repeats: map[origin]uint64{},
	}
	s.segment = min(max(s.size/segmentsFor, minSegment), maxSegment)
	if err := disk.MkdirAll(s.fs, s.dir); err != nil {
		return nil, fmt.Errorf("opening the store of recent records: %w", err)
	}
	var err error
	if s.segments, err = listSegments(s.dir); err != nil {
		return nil, fmt.Errorf("opening the store of recent records: %w", err)
	}
	if o.Metrics != nil {
		s.register(o.Metrics)
	}
	return s, nil
}

// Remove removes what a store has left in a data folder, where there is to be none any more.
func Remove(dataDir string) error {
	dir := filepath.Join(dataDir, Folder)
	segments, err := listSegments(dir)
	if err != nil {
		return fmt.Errorf("removing recent records: %w", err)
	}
	var errs []error
	for _, g := range segments {
		errs = append(errs, (disk.OS{}).Remove(g.path))
	}
	return errors.Join(errs...)
}

func (s *Store) register(reg prometheus.Registerer) {
	metric.CounterOf(reg, "longshore_recent_records_total", "Records that were stored to be looked at.", &s.written)
	metric.CounterOf(reg, "longshore_recent_left_out_records_total",
		"Records that came faster than they are stored to be looked at. No output misses them.", &s.leftOut)
	metric.CounterOf(reg, "longshore_recent_failed_records_total",
		"Records that could not be stored to be looked at, as the disk is full or fails.", &s.failed)
	metric.GaugeOf(reg, "longshore_recent_bytes", "Size of the store of recent records.",
		func() float64 { return float64(s.bytes()) })
}

// A Tap is where the records of one pipeline are taken off.
type Tap struct {
	store    *Store
	pipeline string
	redact   []pipeline.Transform
}

// Tap returns where a pipeline's records are taken off. redact, which only the store calls, takes
// secrets out of them where no transform of the pipeline has. What the pipeline's inputs read
// again, as after a restart, is stored once.
func (s *Store) Tap(pipelineName string, redact []pipeline.Transform) *Tap {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.review = true
	return &Tap{s, pipelineName, redact}
}

// Take takes a batch that has gone through the pipeline, and calls release when it is read. It does
// not wait, but in a store that Show has made.
func (t *Tap) Take(b *event.Batch, release func()) {
	s := t.store
	if s.visit != nil {
		s.showDirectly(taken{tap: t, batch: b, release: release})
		return
	}
	for _, out := range s.enqueue(taken{tap: t, batch: b, release: release}.small()) {
		s.leftOut.Add(uint64(len(out.batch.Records)))
		out.release()
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// enqueue queues a batch and returns those that have no room any more.
func (s *Store) enqueue(t taken) (out []taken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return []taken{t}
	}
	s.queue = append(s.queue, t)
	s.queued += t.size
	for s.queued > maxQueued {
		out = append(out, s.shift())
	}
	return out
}

// shift removes the batch that has waited longest. The caller holds mu.
func (s *Store) shift() taken {
	t := s.queue[0]
	s.queue[0] = taken{}
	s.queue = s.queue[1:]
	s.queued -= t.size
	return t
}

// dequeue returns the batch that has waited longest, and whether there is one.
func (s *Store) dequeue() (t taken, some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		s.queue = nil
		return t, false
	}
	return s.shift(), true
}

func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// Close ends the store: streams end, and no more is taken. Run does so itself.
func (s *Store) Close() {
	s.mu.Lock()
	if !s.isClosed() {
		close(s.closed)
	}
	queue := s.queue
	s.queue, s.queued = nil, 0
	s.mu.Unlock()
	for _, t := range queue {
		t.release()
	}
}

// Run stores what is taken until ctx ends; what is queued then is stored still.
func (s *Store) Run(ctx context.Context) {
	s.recover()
	s.room = newBucket(time.Now())
	timer := time.NewTimer(writeEvery)
	defer timer.Stop()
	for ctx.Err() == nil {
		s.storeQueued(ctx)
		if s.chunk.records > 0 {
			timer.Reset(time.Until(s.since.Add(writeEvery)))
		} else {
			timer.Stop()
		}
		select {
		case <-s.wake:
		case <-timer.C:
			s.write()
		case <-ctx.Done():
		}
	}
	for t, some := s.dequeue(); some; t, some = s.dequeue() {
		s.store(t)
	}
	s.write()
	s.closeSegment()
	s.Close()
}

// storeQueued stores what is queued, no faster than maxRate.
func (s *Store) storeQueued(ctx context.Context) {
	for ctx.Err() == nil {
		if wait := s.room.wait(time.Now()); wait > 0 {
			s.write()
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
			continue
		}
		t, some := s.dequeue()
		if !some {
			return
		}
		s.store(t)
	}
}

// store adds the records of a batch to the chunk, which is written when it is full.
func (s *Store) store(t taken) {
	defer t.release()
	s.reviewRepeats()
	b := t.redacted(&s.encoder)
	for i := range b.Records {
		r := &b.Records[i]
		if r.Flags&event.Dropped != 0 || s.isRepeat(t.tap.pipeline, b, i) {
			continue
		}
		if s.chunk.records == 0 {
			s.since = time.Now()
		}
		before := len(s.chunk.frames)
		s.chunk.frames = s.encoder.append(s.chunk.frames, s.next, t.tap.pipeline, b, i)
		s.chunk.note(r.Time)
		s.next++
		s.room.take(len(s.chunk.frames) - before)
		if len(s.chunk.frames) >= chunkSize {
			s.write()
		}
	}
	s.encoder.trim()
}

// redacted returns the batch, or a copy, without the secrets that are left in it.
func (t *taken) redacted(e *encoder) *event.Batch {
	if len(t.tap.redact) == 0 {
		return t.batch
	}
	b := e.copyOf(t.batch)
	for _, r := range t.tap.redact {
		r.Apply(b)
	}
	return b
}

// isRepeat reports whether a record is stored already, from before its source was read again.
func (s *Store) isRepeat(pipelineName string, b *event.Batch, i int) bool {
	if len(s.repeats) == 0 {
		return false
	}
	id, pos := b.IdentityOf(i)
	of := origin{pipelineName, id}
	last, some := s.repeats[of]
	if some && pos <= last {
		return true
	}
	delete(s.repeats, of)
	return false
}

// A bucket fills with the bytes that may be written.
type bucket struct {
	level float64
	at    time.Time
}

func newBucket(now time.Time) bucket { return bucket{maxBurst, now} }

func (b *bucket) take(n int) { b.level -= float64(n) }

// wait returns for how long nothing may be written.
func (b *bucket) wait(now time.Time) time.Duration {
	b.level = min(b.level+now.Sub(b.at).Seconds()*maxRate, maxBurst)
	b.at = now
	if b.level >= 0 {
		return 0
	}
	return time.Duration(-b.level / maxRate * float64(time.Second))
}

// LeftOut returns how many records are in no answer, as they came too fast or could not be written.
func (s *Store) LeftOut() uint64 { return s.leftOut.Load() + s.failed.Load() }
