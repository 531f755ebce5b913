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

const (
	// flushEvery is how long an acknowledgement may stay in memory alone. A crash loses it, and the
	// record is sent again.
	flushEvery = 500 * time.Millisecond
	// compactAbove is the size from which the file is compacted once it is several times as large
	// as its content.
	compactAbove = 1 << 20
	// framesMax is how large a buffer is kept from one flush to the next.
	framesMax = 256 << 10
)

// A Ledger is safe for use by several goroutines.
type Ledger struct {
	lock *os.File
	log  *slog.Logger

	writing sync.Mutex // held while the file is written; taken before mu
	file    *file
	frames  []byte        // what a flush writes, used again
	note    func() []byte // nil for none; see SetNote
	noted   []byte        // the last note

	mu      sync.Mutex
	sources map[event.SourceID]*Source
	changes
	pendingRemoval []*Source // gone and done, but perhaps needed
	// withoutCursor counts the opened sources of a name that have no cursor yet.
	withoutCursor map[sourceName]int
	changed       uint64 // counts changes
	stored        uint64 // how many of them are on disk
	live          int64  // bytes after the last compaction
}

type sourceName struct{ input, key string }

// changes are what is not yet on disk.
type changes struct {
	created []*Source
	dirty   map[*Source]struct{}
	removed []event.SourceID
}

// Open locks the folder, which is made if it is missing, for this process and reads the ledger in
// it.
func Open(dir string, log *slog.Logger) (*Ledger, error) {
	if err := disk.MkdirAll(disk.OS{}, dir); err != nil {
		return nil, fmt.Errorf("data_dir cannot be made: %w; make the folder for this user or set another data_dir",
			err)
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
	l := &Ledger{log: log, sources: map[event.SourceID]*Source{}, withoutCursor: map[sourceName]int{}}
	l.dirty = map[*Source]struct{}{}
	var err error
	shared := shared{texts: map[string]string{}, targets: map[string][]byte{}}
	l.file, err = openFile(on, dir, log, func(e entry) {
		shared.share(&e)
		l.apply(e)
	})
	return l, err
}

// shared is what the entries of many sources have in common, in memory once.
type shared struct {
	texts   map[string]string
	targets map[string][]byte
}

// share replaces an entry's routes and targets by equal ones that are there already.
func (s shared) share(e *entry) {
	e.input, e.route = s.text(e.input), s.text(e.route)
	for i := range e.tracks {
		e.tracks[i].route = s.text(e.tracks[i].route)
	}
	e.origin.target = s.target(e.origin.target)
	for i := range e.origin.previous {
		e.origin.previous[i].target = s.target(e.origin.previous[i].target)
	}
}

func (s shared) text(text string) string {
	if known, ok := s.texts[text]; ok {
		return known
	}
	s.texts[text] = text
	return text
}

func (s shared) target(target []byte) []byte {
	if target == nil {
		return nil
	}
	if known, ok := s.targets[string(target)]; ok {
		return known
	}
	s.targets[string(target)] = target
	return target
}

func (l *Ledger) apply(e entry) {
	if e.kind == kindNote {
		l.noted = e.note
		return
	}
	if e.kind == kindSource {
		l.sources[e.id] = &Source{ledger: l, id: e.id, input: e.input, key: e.key, written: true}
		return
	}
	s := l.sources[e.id]
	switch {
	case s == nil:
	case e.kind == kindRemoved:
		delete(l.sources, e.id)
	default:
		s.apply(e)
	}
}

// Known lists the sources of an input, in no order.
func (l *Ledger) Known(input string) []pipeline.Known {
	l.mu.Lock()
	defer l.mu.Unlock()
	var known []pipeline.Known
	for _, s := range l.sources {
		if s.input == input {
			known = append(known, pipeline.Known{
				ID: s.id, Key: s.key, Cursor: s.cursor(), TimeoutBoundaries: slices.Clone(s.boundaries),
			})
		}
	}
	return known
}

// Open starts a source, or goes on with the known one of this id, for these routes. A route that is
// new to a known source starts at its cursor. For a zero id a source is created, which is on disk
// before anything of it is sent: see Track.Reserve. reserveAhead is how many positions are reserved
// ahead at the least.
func (l *Ledger) Open(id event.SourceID, input, key string, routes []string, reserveAhead uint64) (*Source, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sources[id]
	if id == 0 {
		s = l.create(input, key)
	}
	if s == nil {
		return nil, fmt.Errorf("opening source %s of %s: the ledger does not know it", id, key)
	}
	s.open(routes, reserveAhead)
	return s, nil
}

func (l *Ledger) create(input, key string) *Source {
	id := newID()
	for id == 0 || l.sources[id] != nil {
		id = newID()
	}
	s := &Source{ledger: l, id: id, input: input, key: key}
	l.sources[id] = s
	l.created = append(l.created, s)
	l.countChange(s)
	return s
}

// countChange numbers a change of a source. The caller holds mu.
func (l *Ledger) countChange(s *Source) {
	l.changed++
	s.changed = l.changed
}

func newID() event.SourceID {
	var b [8]byte
	rand.Read(b[:])
	return event.SourceID(binary.BigEndian.Uint64(b[:]))
}

// Run flushes again and again until ctx ends. health is called whenever that begins to fail, and
// when it works again.
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
			l.log.Error("progress cannot be stored; new sources wait, and after a crash records would be looked "+
				"up or sent again",
				"error", err)
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
func (l *Ledger) Flush() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.flush(false)
}

// flushTo is Flush for a caller that waits for one change: it may be on disk already by the flush
// of another, so that one write serves all who wait.
func (l *Ledger) flushTo(change uint64) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	stored := change <= l.stored
	l.mu.Unlock()
	if stored {
		return nil
	}
	return l.flush(false)
}

// flush writes what changed; last says that no more will be sent. The caller holds writing.
func (l *Ledger) flush(last bool) error {
	c, upTo := l.takeChanges()
	p, identities := l.encode(c, last)
	if len(p) == 0 {
		return nil
	}
	p = slices.Insert(p, identities, l.newNote()...)
	if err := l.file.append(p); err != nil {
		l.putBack(c)
		return err
	}
	l.markStored(c, upTo)
	l.compact()
	return nil
}

func (l *Ledger) takeChanges() (c changes, upTo uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, l.changes = l.changes, changes{dirty: map[*Source]struct{}{}}
	for _, s := range c.created {
		s.written = true
	}
	return c, l.changed
}

// encode returns the changes as frames, in a buffer that is good until the next flush. The first of
// them, up to identities, say which sources there are.
func (l *Ledger) encode(c changes, last bool) (p []byte, identities int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p = l.frames[:0]
	for _, s := range c.created {
		p = appendFrame(p, s.identity())
	}
	identities = len(p)
	for s := range c.dirty {
		p = s.beginFlush(p, last)
	}
	for _, id := range c.removed {
		p = appendFrame(p, &entry{kind: kindRemoved, id: id})
	}
	if l.frames = p; cap(p) > framesMax {
		l.frames = nil
	}
	return p, identities
}

func (l *Ledger) markStored(c changes, upTo uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stored = upTo
	for s := range c.dirty {
		s.endFlush()
	}
}

func (l *Ledger) putBack(c changes) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.created = append(c.created, l.created...)
	for s := range c.dirty {
		l.dirty[s] = struct{}{}
	}
	l.removed = append(c.removed, l.removed...)
}

// compact rewrites the file when most of it is history. If that fails, the file is as good as it
// was, and compaction is tried again when it has grown further.
func (l *Ledger) compact() {
	if l.file.size < compactAbove || l.file.size < 4*l.live {
		return
	}
	p := l.snapshot()
	if err := l.file.replace(p); err != nil {
		l.log.Warn("the ledger cannot be compacted and goes on growing", "error", err)
		l.live = l.file.size / 2
		return
	}
	l.live = int64(len(p))
}

// snapshot encodes all that is on disk, but not what the next flush writes.
func (l *Ledger) snapshot() []byte {
	p := l.appendSources(append(make([]byte, 0, l.file.size/2), header...))
	if l.note != nil {
		return append(p, l.newNote()...)
	}
	return append(p, l.lastNote()...)
}

func (l *Ledger) appendSources(p []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sources {
		if s.written {
			p = appendFrame(p, s.identity())
			p = appendFrame(p, s.progress())
			p = s.appendBoundaries(p, s.boundaries)
			p = s.appendOrigins(p, true)
		}
	}
	return p
}

// Close writes what changed and unlocks the folder. Nothing is sent any more, so reservations
// shrink to what was sent.
func (l *Ledger) Close() error {
	l.mu.Lock()
	for _, s := range l.sources {
		if s.tracks != nil {
			l.dirty[s] = struct{}{}
		}
	}
	l.mu.Unlock()
	l.writing.Lock()
	defer l.writing.Unlock()
	err := l.flush(true)
	l.file.close()
	if l.lock != nil {
		l.lock.Close()
	}
	return err
}

// removeDone removes the sources that are gone and done, but for those that may still be needed.
// The caller holds mu.
func (l *Ledger) removeDone() {
	l.pendingRemoval = slices.DeleteFunc(l.pendingRemoval, func(s *Source) bool {
		if s.done() && l.needed(s) {
			return false
		}
		if s.done() && l.sources[s.id] == s {
			l.remove(s)
		}
		return true
	})
}

// needed reports whether a later source of the same name has no cursor yet: after a crash, its
// input may find that one only as the successor of s. The caller holds mu.
func (l *Ledger) needed(s *Source) bool { return l.withoutCursor[sourceName{s.input, s.key}] > 0 }

// countWithoutCursor adds to how many opened sources of the name of s have no cursor yet. The
// caller holds mu.
func (l *Ledger) countWithoutCursor(s *Source, n int) {
	name := sourceName{s.input, s.key}
	if l.withoutCursor[name] += n; l.withoutCursor[name] == 0 {
		delete(l.withoutCursor, name)
	}
}

// remove drops a source that is gone and done. The caller holds mu.
func (l *Ledger) remove(s *Source) {
	delete(l.sources, s.id)
	delete(l.dirty, s)
	if s.written {
		l.removed = append(l.removed, s.id)
		return
	}
	l.created = slices.DeleteFunc(l.created, func(f *Source) bool { return f == s })
}

// HasKey reports whether an input has a source under a key.
func (l *Ledger) HasKey(input, key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sources {
		if s.input == input && s.key == key {
			return true
		}
	}
	return false
}

// Begin adds a source of which all before a cursor is done, and stores it. It is for what another
// program has sent. Several may have the same key, as a file and the one that had its name before.
func (l *Ledger) Begin(input, key string, at pipeline.Cursor) error {
	l.mu.Lock()
	s := l.create(input, key)
	s.resume = pipeline.Cursor{Pos: at.Pos, State: slices.Clone(at.State)}
	s.read = at.Pos
	s.markDirty()
	l.mu.Unlock()
	return l.Flush()
}
