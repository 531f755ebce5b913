// Package spool is a queue of records on disk: first in, first out, each on disk
// before Append returns, and there until it is done, whatever happens to the
// process or the machine.
package spool

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/longshore/longshore/agent/disk"
)

var (
	// ErrFull is the answer of Append while the spool has its MaxSize. Nothing is
	// dropped to make room: hold the record back until Room fires.
	ErrFull = errors.New("the spool is full")
	// ErrTooLarge is the answer to a record that would not fit an empty spool.
	ErrTooLarge = errors.New("the record is larger than the spool may be")
	// ErrClosed is the answer to all that comes after Close.
	ErrClosed = errors.New("the spool is closed")
)

// Options of a spool.
type Options struct {
	// MaxSize bounds the bytes of all segments together; at least MinSize. Room comes
	// back a segment at a time.
	MaxSize int64
	// SegmentSize is when the next segment is begun, in bytes. Zero: 4 MiB, or a
	// quarter of MaxSize if that is less. A larger record has a segment alone.
	SegmentSize int64
	// KeepFree is what is left free on the disk for others, in bytes: Append says that
	// the disk is full when a new segment would take of it.
	KeepFree int64
	// Log is told of damage; nil: nobody is.
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

// A Spool is a queue on disk. Its methods are safe for use by several
// goroutines; it has none of its own. Only one process may have a folder open:
// the data folder's lock sees to that.
type Spool struct {
	fs  disk.FS
	dir string
	o   Options

	ready, room chan struct{}

	mu        sync.Mutex
	wake      sync.Cond // when a group is done, or an Append ends
	segments  []*segment
	active    *segment // the last one, while it is written
	number    uint64   // of the next segment
	bytes     int64    // of all segments
	group     *group   // written, not on its way to disk yet
	syncing   bool     // a group is on its way
	appending int      // calls of Append under way
	failures  int      // of reading the same record
	closed    bool
}

// A group is the records that one fsync brings to disk.
type group struct {
	records int
	done    bool
	err     error
}

// An ID names a record for Done. It is the same in every process, as long as
// the record is in the spool.
type ID struct {
	segment uint64
	offset  int64
}

// A Record is one record out of the spool.
type Record struct {
	ID   ID
	Data []byte
}

// Ready fires when there may be something for Next: after an Append, and after
// a Next that left something. Several may wait for it; each firing wakes one.
func (s *Spool) Ready() <-chan struct{} { return s.ready }

// Room fires when a segment was removed, and so what Append found full may fit.
func (s *Spool) Room() <-chan struct{} { return s.room }

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Len gives the number of records that are not done, and the bytes that the
// spool takes on disk.
func (s *Spool) Len() (records int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		records += g.left
	}
	return records, s.bytes
}

// Close waits for the Appends under way and frees the files. What is not done is
// there at the next Open.
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
	for _, g := range append([]*segment(nil), s.segments...) {
		s.tidy(g)
		g.close()
	}
	return nil
}

// tidy takes a segment off the disk once all of it is done, and says whether it
// did. The one that is written stays.
func (s *Spool) tidy(g *segment) (dropped bool) {
	if g == s.active {
		return false
	}
	if g.readAll() {
		g.closeFile()
		g.left = len(g.out) // fewer than were counted, if some could not be read
	}
	// What of a damaged one can be read is only known when it was.
	if g.left > 0 || g.damaged && !g.readAll() {
		return false
	}
	s.drop(g)
	return true
}

func (s *Spool) drop(g *segment) {
	for i := range s.segments {
		if s.segments[i] == g {
			s.segments = append(s.segments[:i], s.segments[i+1:]...)
			break
		}
	}
	s.bytes -= g.written
	if err := g.remove(s.fs); err != nil {
		s.o.Log.Warn("a spool segment that is done could not be removed; after a restart it is looked at again", "error", err)
	}
	notify(s.room)
}
