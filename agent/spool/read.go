package spool

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/longshore/longshore/agent/disk"
)

// readTries is how often reading a record is tried before it is skipped.
const readTries = 3

// Next returns the oldest record that was not handed out yet, in buf if that is large enough and
// otherwise in new memory: the bytes are the caller's. ok is false if there is none. Any number of
// records may be handed out and not done. After an error of reading, the next call tries again; a
// record that stays unreadable is skipped, with a warning, and its file is kept.
func (s *Spool) Next(buf []byte) (r Record, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Record{}, false, ErrClosed
	}
	for g := s.reading(); g != nil; g = s.reading() {
		r, ok, err := s.read(g, buf)
		if err != nil {
			return Record{}, false, err
		}
		s.tidy(g)
		if ok {
			s.more()
			return r, true, nil
		}
	}
	return Record{}, false, nil
}

// reading returns the segment to read from, or nil.
func (s *Spool) reading() *segment {
	for _, g := range s.segments {
		if !g.readAll() {
			return g
		}
	}
	return nil
}

func (s *Spool) more() {
	if s.reading() != nil {
		notify(s.ready)
	}
}

// read takes the next step in a segment; ok is false if that was no record.
func (s *Spool) read(g *segment, buf []byte) (r Record, ok bool, err error) {
	if err := g.open(s.fs); outOfResources(err) {
		return r, false, err
	} else if err != nil {
		return r, false, s.unreadable(g, 0, err)
	}
	at := g.next
	payload, next, err := readFrame(g.file, g.seed, at, g.good, buf)
	if err != nil {
		return r, false, s.unreadable(g, next, err)
	}
	g.next, s.failures = next, 0
	if _, done := g.before[at]; done {
		return r, false, nil
	}
	g.out[at] = struct{}{}
	g.left = max(g.left, len(g.out))
	return Record{ID{g.number, at}, payload}, true, nil
}

// outOfResources reports whether a file could not be opened for a reason that has nothing to do
// with the file.
func outOfResources(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// unreadable returns an error as long as trying again may help. Then it skips the damage, to next
// if that is known.
func (s *Spool) unreadable(g *segment, next int64, err error) error {
	s.failures++
	if s.failures < readTries && !errors.Is(err, errFrame) {
		return fmt.Errorf("reading the spool segment %s: %w", g.path, err)
	}
	s.failures = 0
	if next == 0 && g.file != nil {
		next = findFrame(g.file, g.seed, g.next+1, g.good)
	}
	if next == 0 {
		next = g.good
	}
	s.warnDamaged(g, err)
	g.next = next
	return nil
}

func (s *Spool) warnDamaged(g *segment, err error) {
	if g.damaged {
		return
	}
	g.damaged = true
	s.o.Log.Warn("a spool segment is damaged: records in it cannot be read and are not delivered, the rest goes "+
		"on, and the file is kept; \"longshore verify\" sends what its sources still have",
		"error", err, "file", g.path, "kept_as", g.path+suffixDamaged)
}

// Done removes a record for good. After an error it is removed all the same, but may come again
// after a restart.
func (s *Spool) Done(id ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	g := s.segmentOf(id)
	if g == nil {
		return errors.New("the record is not one that the spool has handed out")
	}
	delete(g.out, id.offset)
	g.left--
	if s.active == g && g.left == 0 && s.synced() {
		s.seal() // an empty spool takes no space
		return nil
	}
	if s.tidy(g) {
		return nil
	}
	if s.noted != nil && s.noted != g {
		s.noted.closeNotes()
	}
	s.noted = g
	if err := g.note(s.fs, id.offset); err != nil {
		return fmt.Errorf("noting a done record in the spool: %w", err)
	}
	return nil
}

// SetAside is Done for a record that its reader cannot decode: it is kept in a file, whose path is
// returned. After an error nothing has changed.
func (s *Spool) SetAside(r Record) (path string, err error) {
	path = pathOf(s.dir, r.ID.segment, fmt.Sprintf(".%d%s", r.ID.offset, suffixDamaged))
	if err = disk.WriteFile(s.fs, path, r.Data); err == nil {
		err = s.fs.SyncDir(s.dir)
	}
	if err != nil {
		return "", fmt.Errorf("setting a record of the spool aside: %w", err)
	}
	return path, s.Done(r.ID)
}

// segmentOf returns the segment of a record that was handed out, or nil.
func (s *Spool) segmentOf(id ID) *segment {
	for _, g := range s.segments {
		if _, out := g.out[id.offset]; out && g.number == id.segment {
			return g
		}
	}
	return nil
}
