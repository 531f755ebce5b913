package spool

import (
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/longshore/longshore/agent/disk"
)

var (
	// ErrFull is returned by Append while the spool has its MaxSize. Nothing is dropped to make
	// room: hold the record back until Room fires.
	ErrFull = errors.New("the spool is full")
	// ErrTooLarge is returned for a record that would not fit an empty spool.
	ErrTooLarge = errors.New("the record is larger than the spool may be")
	// ErrClosed is returned by all calls after Close.
	ErrClosed = errors.New("the spool is closed")
)

// Options of a spool.
type Options struct {
	// MaxSize bounds the bytes of all segments together; at least MinSize. Space is freed a segment
	// at a time.
	MaxSize int64
	// SegmentSize is when the next segment is begun, in bytes. Zero: 4 MiB, or a quarter of MaxSize
	// if that is less. A larger record has a segment of its own.
	SegmentSize int64
	// KeepFree is the space to leave free on the disk, in bytes: Append fails with a full disk when
	// a new segment would take of it.
	KeepFree int64
	// Log receives warnings of damage, unless it is nil.
	Log *slog.Logger
}

const (
	// MinSize is the least MaxSize, in bytes.
	MinSize = 64 << 10

	defaultSegmentSize = 4 << 20
	maxSegmentSize     = 1 << 30
	maxRecord          = 1 << 30
)

func (o Options) withDefaults() Options {
	o.MaxSize = max(o.MaxSize, MinSize)
	if o.SegmentSize <= 0 {
		o.SegmentSize = min(defaultSegmentSize, o.MaxSize/4)
	}
	o.SegmentSize = min(o.SegmentSize, maxSegmentSize)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// A Spool is a queue on disk. Its methods are safe for use by several goroutines; it has none of
// its own. Only one process may have a folder open: the data folder's lock makes sure of that. At
// most three of its files are open: those that are written, read and noted in.
type Spool struct {
	fs  disk.FS
	dir string
	o   Options

	ready, room chan struct{}

	mu        sync.Mutex
	wake      sync.Cond // when a group is done, or an Append ends
	segments  []*segment
	active    *segment // the last one, while it is written
	noted     *segment // the one whose notes are open, if any's are
	number    uint64   // of the next segment
	bytes     int64    // of all segments
	group     *group   // written, and not being synced yet
	syncing   bool     // a group is being synced
	appending int      // calls of Append in progress
	failures  int      // of reading the same record
	closed    bool
}

// A group is the records of one fsync.
type group struct {
	records int
	done    bool
	err     error
}

// An ID identifies a record for Done. It is the same in every process, as long as the record is in
// the spool.
type ID struct {
	segment uint64
	offset  int64
}

// A Record is one record of the spool.
type Record struct {
	ID   ID
	Data []byte
}

// Ready fires when there may be something for Next: after an Append, and after a Next that left
// something. Several may wait for it; each firing wakes one.
func (s *Spool) Ready() <-chan struct{} { return s.ready }

// Room fires when a segment was removed, so that an Append that failed with ErrFull may succeed.
func (s *Spool) Room() <-chan struct{} { return s.room }

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Len returns the number of records that are not done, and the bytes that the spool takes on disk.
func (s *Spool) Len() (records int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		records += g.left
	}
	return records, s.bytes
}

// Oldest returns the path of the oldest file with records that are not done; "" for none.
func (s *Spool) Oldest() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		if g.left > 0 {
			return g.path
		}
	}
	return ""
}

// Close waits for the Appends in progress and closes the files. What is not done is there at the
// next Open.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for s.appending > 0 {
		s.wake.Wait()
	}
	s.active = nil
	for _, g := range slices.Clone(s.segments) {
		s.tidy(g)
		g.close()
	}
	return nil
}

// tidy removes a segment once all of it is done, and reports whether it did. The active one stays.
func (s *Spool) tidy(g *segment) (dropped bool) {
	if g == s.active {
		return false
	}
	if g.readAll() {
		g.closeFile()
		g.left = len(g.out) // fewer than were counted, if some could not be read
	}
	// What of a damaged segment can be read is only known once it was.
	if g.left > 0 || g.damaged && !g.readAll() {
		return false
	}
	s.drop(g)
	return true
}

func (s *Spool) drop(g *segment) {
	s.segments = slices.DeleteFunc(s.segments, func(other *segment) bool { return other == g })
	s.bytes -= g.written
	if s.noted == g {
		s.noted = nil
	}
	if err := g.remove(s.fs); err != nil {
		s.o.Log.Warn("a spool segment that is done could not be removed; after a restart it is read again", "error",
			err)
	}
	notify(s.room)
}
