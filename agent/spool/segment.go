package spool

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/longshore/longshore/agent/disk"
)

// A segment is one file of the queue.
type segment struct {
	number uint64
	path   string
	seed   uint32
	file   disk.File // nil while not in use

	written int64 // end of what was written
	good    int64 // end of what is on disk: readers go no further
	next    int64 // where reading goes on

	left   int                // records that are not done
	out    map[int64]struct{} // offsets of those handed out
	before map[int64]struct{} // offsets of those done before this process

	notes    disk.File // nil until one is written
	noted    int64     // size of notes
	damaged  bool      // to be kept for inspection
	unusable bool      // there may be something after written: no more is written
}

const (
	suffixSegment = ".segment"
	suffixNotes   = ".done"
	suffixDamaged = ".damaged"
	suffixNew     = ".new" // see disk.Replace
)

func nameOf(number uint64, suffix string) string { return fmt.Sprintf("%016d%s", number, suffix) }

func pathOf(dir string, number uint64, suffix string) string {
	return filepath.Join(dir, nameOf(number, suffix))
}

// parseName returns the number and the kind of one of our files.
func parseName(name string) (number uint64, suffix string, ok bool) {
	digits, rest, _ := strings.Cut(name, ".")
	if len(digits) != 16 {
		return 0, "", false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, "." + rest, err == nil
}

func (g *segment) notesPath() string {
	return strings.TrimSuffix(g.path, suffixSegment) + suffixNotes
}

// readAll reports whether all that is on disk was read.
func (g *segment) readAll() bool { return g.next >= g.good }

func (g *segment) open(on disk.FS) error {
	if g.file != nil {
		return nil
	}
	f, err := on.Open(g.path)
	if err != nil {
		return fmt.Errorf("opening spool segment: %w", err)
	}
	g.file = f
	return nil
}

func (g *segment) closeFile() {
	if g.file != nil {
		g.file.Close()
		g.file = nil
	}
}

func (g *segment) close() {
	g.closeFile()
	g.closeNotes()
}

func (g *segment) closeNotes() {
	if g.notes != nil {
		g.notes.Close()
		g.notes = nil
	}
}

// note notes that the record at an offset is done. It does not wait for the disk: a record whose
// note is lost comes again.
func (g *segment) note(on disk.FS, offset int64) error {
	if err := g.openNotes(on); err != nil {
		return err
	}
	p := appendNote(nil, g.seed, offset)
	if _, err := g.notes.WriteAt(p, g.noted); err != nil {
		return err
	}
	g.noted += int64(len(p))
	return nil
}

func (g *segment) openNotes(on disk.FS) error {
	if g.notes != nil {
		return nil
	}
	open := on.Open
	if g.noted == 0 {
		open = on.Create
	}
	f, err := open(g.notesPath())
	if err != nil {
		return err
	}
	g.notes = f
	return nil
}

// remove removes a segment that is done, or sets it aside if it is damaged.
func (g *segment) remove(on disk.FS) error {
	g.close()
	var err error
	if g.damaged {
		err = on.Rename(g.path, g.path+suffixDamaged)
	} else {
		err = on.Remove(g.path)
	}
	if err != nil {
		return fmt.Errorf("removing spool segment: %w", err)
	}
	if g.noted == 0 {
		return nil
	}
	if err := on.Remove(g.notesPath()); err != nil {
		return fmt.Errorf("removing spool segment: %w", err)
	}
	return nil
}

// scan reads a whole segment, and calls found with the offset of every good record. Damaged or
// unreadable parts are skipped; good is then the end of the last good record, bad the damaged bytes
// before that, and err describes the damage: errFrame, unless something could not be read at all.
func (g *segment) scan(size int64, found func(offset int64)) (bad int64, err error) {
	var buf []byte
	at, end := int64(headerSize), size
	g.good = at
	for at < end {
		payload, next, e := readFrame(g.file, g.seed, at, end, buf)
		buf = payload
		if e == nil {
			found(at)
			bad += at - g.good
			g.good, at = next, next
			continue
		}
		if err == nil || errors.Is(err, errFrame) {
			err = e
		}
		if next == 0 {
			next = findFrame(g.file, g.seed, at+1, end)
		}
		at = next
	}
	return bad, err
}
