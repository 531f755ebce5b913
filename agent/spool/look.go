package spool

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/longshore/longshore/agent/disk"
)

// Look calls found, which may not keep its argument, with every record that is pending in the spool
// of a folder. It changes nothing, and another process may be using the spool: what that removes
// meanwhile may be left out. A missing folder has no records.
func Look(on disk.FS, dir string, found func(record []byte)) error {
	names, err := on.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the spool: %w", err)
	}
	for _, name := range names {
		number, suffix, ok := parseName(name)
		if !ok || suffix != suffixSegment {
			continue
		}
		g := &segment{number: number, path: pathOf(dir, number, suffixSegment)}
		err := g.look(on, found)
		g.close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reading the spool %s: %w", g.path, err)
		}
	}
	return nil
}

// look skips what is damaged, or still being written.
func (g *segment) look(on disk.FS, found func(record []byte)) error {
	size, err := g.begin(on)
	if errors.Is(err, errHeader) {
		return nil
	}
	if err != nil {
		return err
	}
	notes, err := disk.ReadFile(on, g.notesPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	done := readNotes(notes, g.seed)
	var buf []byte
	for at := int64(headerSize); at < size; {
		payload, next, err := readFrame(g.file, g.seed, at, size, buf)
		if buf = payload; err == nil {
			if _, is := done[at]; !is {
				found(payload)
			}
		} else if next == 0 {
			next = findFrame(g.file, g.seed, at+1, size)
		}
		at = next
	}
	return nil
}
