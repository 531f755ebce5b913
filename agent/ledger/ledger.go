// Package ledger remembers how far every source is done, at every output it
// goes to: in memory at once, on disk a moment later, in one append-only file.
package ledger

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// flushEvery is how long an acknowledgement may stay in memory alone. What a
// crash takes of it is sent again.
const flushEvery = 500 * time.Millisecond

// compactAbove is the size from which the file is written anew once it is
// several times as large as what it says.
const compactAbove = 1 << 20

// A Ledger is safe for use by several goroutines.
type Ledger struct {
	lock *os.File
	log  *slog.Logger

	writing sync.Mutex // held while the file is written; taken before mu
	file    *file

	mu      sync.Mutex
	sources map[event.SourceID]*Source
	fresh   []*Source // minted, not yet on disk
	dirty   map[*Source]struct{}
	forgot  []event.SourceID
	leaving []*Source // gone and done, but perhaps needed
	changed uint64    // counts changes
	stored  uint64    // how many of them are on disk
	live    int64     // bytes of the last compacted state
}

// Open takes the folder, which is made if it is missing, for this process and
// reads the ledger in it.
func Open(dir string, log *slog.Logger) (*Ledger, error) {
	if err := disk.MkdirAll(disk.OS{}, dir); err != nil {
		return nil, fmt.Errorf("data_dir cannot be made: %w; make the folder for this user or set another data_dir", err)
	}
	held, err := lock(dir)
	if err != nil {
		return nil, err
	}
	l, err := openOn(disk.OS{}, dir, log)
	if err != nil {
		held.Close()
		return nil, err
	}
	l.lock = held
	return l, nil
}

// openOn reads the ledger in a folder that is this process's own.
func openOn(on disk.FS, dir string, log *slog.Logger) (*Ledger, error) {
	l := &Ledger{log: log, sources: map[event.SourceID]*Source{}, dirty: map[*Source]struct{}{}}
	var err error
	l.file, err = openFile(on, dir, log, l.apply)
	return l, err
}

func (l *Ledger) apply(e entry) {
	switch e.kind {
	case kindSource:
		s := newSource(l, e.id, e.input, e.key)
		s.written = true
		l.sources[e.id] = s
	case kindProgress:
		if s := l.sources[e.id]; s != nil {
			s.restore(e)
		}
	case kindCuts:
		if s := l.sources[e.id]; s != nil {
			s.restoreCuts(e.cuts)
		}
	case kindOrigin:
		if s := l.sources[e.id]; s != nil {
			s.restoreOrigin(e)
		}
	case kindForget:
		delete(l.sources, e.id)
	}
}

// Known lists the sources of an input, oldest IDs in no order.
func (l *Ledger) Known(input string) []pipeline.Known {
	l.mu.Lock()
	defer l.mu.Unlock()
	var known []pipeline.Known
	for _, s := range l.sources {
		if s.input == input {
			known = append(known, pipeline.Known{ID: s.id, Key: s.key, Cursor: s.resumeCopy(), TimeoutBoundaries: slices.Clone(s.cuts)})
		}
	}
	return known
}

// Open starts a source, or goes on with the known one whose id is given, for
// these routes. A route that is new to a known source starts at its cursor. The source of a
// zero id is minted; it is on disk before anything of it is sent: see Track.Reserve. stride is how many positions are
// reserved ahead at the least.
func (l *Ledger) Open(id event.SourceID, input, key string, routes []string, stride uint64) (*Source, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id == 0 {
		return l.mint(input, key, routes, stride), nil
	}
	s := l.sources[id]
	if s == nil {
		return nil, fmt.Errorf("opening source %s of %s: the ledger does not know it", id, key)
	}
	s.open(routes, stride)
	return s, nil
}

func (l *Ledger) mint(input, key string, routes []string, stride uint64) *Source {
	id := newID()
	for id == 0 || l.sources[id] != nil {
		id = newID()
	}
	s := newSource(l, id, input, key)
	s.open(routes, stride)
	l.sources[id] = s
	l.fresh = append(l.fresh, s)
	l.touch(s)
	return s
}

// touch counts a change of a source. The caller holds mu.
func (l *Ledger) touch(s *Source) {
	l.changed++
	s.changed = l.changed
}

func newID() event.SourceID {
	var b [8]byte
	rand.Read(b[:])
	return event.SourceID(binary.BigEndian.Uint64(b[:]))
}

// Run writes what changed to disk, again and again, until ctx ends. health is
// told whenever that begins to fail, and when it works again.
func (l *Ledger) Run(ctx context.Context, health func(error)) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := l.Flush()
		if err != nil && !failing {
			l.log.Error("progress cannot be stored; new sources wait, and after a crash records would be asked for or sent again", "error", err)
			health(err)
		}
		if err == nil && failing {
			l.log.Info("progress is stored again")
			health(nil)
		}
		failing = err != nil
	}
}

// Flush writes what changed and returns when it is on disk.
func (l *Ledger) Flush() error { return l.flush(false) }

// flushTo is Flush for one who waits for a change alone: the write of another
// who waited may have it. So one write serves all who wait.
func (l *Ledger) flushTo(change uint64) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	stored := change <= l.stored
	l.mu.Unlock()
	if stored {
		return nil
	}
	return l.write(false)
}

func (l *Ledger) flush(last bool) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.write(last)
}

// write is flush for one who holds writing.
func (l *Ledger) write(last bool) error {
	c := l.take()
	c.last = last
	p := c.encode(l)
	if len(p) == 0 {
		return nil
	}
	if err := l.file.append(p); err != nil {
		l.putBack(c)
		return err
	}
	l.settle(c)
	l.compact()
	return nil
}

// changes are what is not yet on disk.
type changes struct {
	fresh  []*Source
	dirty  map[*Source]struct{}
	forgot []event.SourceID
	upTo   uint64 // number of the last one
	last   bool   // no more will be sent
}

func (l *Ledger) take() changes {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := changes{fresh: l.fresh, dirty: l.dirty, forgot: l.forgot, upTo: l.changed}
	l.fresh, l.dirty, l.forgot = nil, map[*Source]struct{}{}, nil
	for _, s := range c.fresh {
		s.written = true
	}
	return c
}

func (c changes) encode(l *Ledger) (p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range c.fresh {
		p = appendFrame(p, s.minted())
	}
	for s := range c.dirty {
		p = s.begin(p, c.last)
	}
	for _, id := range c.forgot {
		p = appendFrame(p, &entry{kind: kindForget, id: id})
	}
	return p
}

// settle notes that changes are on disk.
func (l *Ledger) settle(c changes) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stored = c.upTo
	for s := range c.dirty {
		s.end()
	}
}

func (l *Ledger) putBack(c changes) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh = append(c.fresh, l.fresh...)
	for s := range c.dirty {
		l.dirty[s] = struct{}{}
	}
	l.forgot = append(c.forgot, l.forgot...)
}

// compact writes the file anew when most of it is history. Where that fails,
// the file is as good as it was, and it is tried again when it has grown further.
func (l *Ledger) compact() {
	if l.file.size < compactAbove || l.file.size < 4*l.live {
		return
	}
	p := l.snapshot()
	if err := l.file.replace(p); err != nil {
		l.log.Warn("the ledger cannot be written anew and goes on growing", "error", err)
		l.live = l.file.size / 2
		return
	}
	l.live = int64(len(p))
}

// snapshot encodes all that is on disk, but not what is still to be written:
// the next flush adds that.
func (l *Ledger) snapshot() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := []byte(header)
	for _, s := range l.sources {
		if s.written {
			p = appendFrame(p, s.minted())
			p = appendFrame(p, s.progress())
			p = s.appendCuts(p, s.cuts)
			p = s.appendOrigins(p, true)
		}
	}
	return p
}

// Close writes what is left and frees the folder. Nothing is sent any more: what
// was reserved ahead is taken back.
func (l *Ledger) Close() error {
	l.mu.Lock()
	for _, s := range l.sources {
		if s.tracks != nil {
			l.dirty[s] = struct{}{}
		}
	}
	l.mu.Unlock()
	err := l.flush(true)
	l.file.close()
	if l.lock != nil {
		l.lock.Close()
	}
	return err
}

// letLeave forgets the sources that are gone and done, but for those that may
// still be needed. The caller holds mu.
func (l *Ledger) letLeave() {
	l.leaving = slices.DeleteFunc(l.leaving, func(s *Source) bool {
		if s.left() && l.needed(s) {
			return false
		}
		if s.left() && l.sources[s.id] == s {
			l.forget(s)
		}
		return true
	})
}

// needed tells whether there is a source of the same name, come after this one,
// of which it is not yet known where it began: after a crash, its input may find it
// only as what came after this one. The caller holds mu.
func (l *Ledger) needed(s *Source) bool {
	for _, other := range l.sources {
		if other != s && other.opened && other.resume.State == nil && other.input == s.input && other.key == s.key {
			return true
		}
	}
	return false
}

// forget drops a source that is gone and done. The caller holds mu.
func (l *Ledger) forget(s *Source) {
	delete(l.sources, s.id)
	delete(l.dirty, s)
	if s.written {
		l.forgot = append(l.forgot, s.id)
		return
	}
	l.fresh = slices.DeleteFunc(l.fresh, func(f *Source) bool { return f == s })
}
