package spool

import (
	"errors"
	"fmt"
	"slices"

	"github.com/longshore/longshore/agent/disk"
)

// Open opens the spool in a folder, which is made if it is missing, and checks all that is in it.
// What an earlier process or a power loss left incomplete is repaired; damaged files are kept
// beside the others with ".damaged" after their name, once what is good in them is done.
func Open(on disk.FS, dir string, o Options) (*Spool, error) {
	s := &Spool{
		fs: on, dir: dir, o: o.withDefaults(), number: 1, group: &group{},
		ready: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
	s.wake.L = &s.mu
	if err := s.load(); err != nil {
		for _, g := range s.segments {
			g.close()
		}
		return nil, fmt.Errorf("opening the spool %s: %w", dir, err)
	}
	s.more()
	return s, nil
}

func (s *Spool) load() error {
	if err := disk.MkdirAll(s.fs, s.dir); err != nil {
		return err
	}
	names, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return err
	}
	numbers := s.sort(names)
	for i, number := range numbers {
		if err := s.loadSegment(number, i == len(numbers)-1); err != nil {
			return err
		}
	}
	return nil
}

// sort returns the numbers of the segments, oldest first, and removes leftovers.
func (s *Spool) sort(names []string) (numbers []uint64) {
	for _, name := range names {
		number, suffix, ok := parseName(name)
		if !ok {
			continue
		}
		s.number = max(s.number, number+1)
		switch {
		case suffix == suffixSegment:
			numbers = append(numbers, number)
		case suffix == suffixSegment+suffixNew,
			suffix == suffixNotes && !slices.Contains(names, nameOf(number, suffixSegment)):
			s.fs.Remove(pathOf(s.dir, number, suffix))
		}
	}
	slices.Sort(numbers)
	return numbers
}

// loadSegment loads a segment of an earlier process. It is not written any more.
func (s *Spool) loadSegment(number uint64, newest bool) error {
	g := &segment{number: number, path: pathOf(s.dir, number, suffixSegment), out: map[int64]struct{}{}}
	size, err := g.begin(s.fs)
	if errors.Is(err, errVersion) || outOfResources(err) {
		g.close()
		return fmt.Errorf("%s: %w", g.path, err)
	}
	if err != nil {
		return s.setAside(g, err)
	}
	s.segments = append(s.segments, g)
	s.readNotes(g)
	if err := s.check(g, size, newest); err != nil {
		return err
	}
	s.bytes += g.written
	g.closeFile()
	s.tidy(g)
	return nil
}

// begin opens a segment and reads its header.
func (g *segment) begin(on disk.FS) (size int64, err error) {
	if err := g.open(on); err != nil {
		return 0, err
	}
	if size, err = g.file.Size(); err != nil {
		return 0, err
	}
	header := make([]byte, min(size, int64(headerSize)))
	if err := readFull(g.file, header, 0); err != nil {
		return 0, err
	}
	g.seed, err = readHeader(header, g.number)
	return size, err
}

// setAside renames a segment of which nothing can be read.
func (s *Spool) setAside(g *segment, cause error) error {
	g.close()
	if err := s.fs.Rename(g.path, g.path+suffixDamaged); err != nil {
		return fmt.Errorf("setting a damaged segment aside: %w", err)
	}
	s.o.Log.Warn("a spool segment cannot be read and was set aside: its records are not delivered; \"longshore "+
		"verify\" sends what its sources still have",
		"error", cause, "file", g.path, "kept_as", g.path+suffixDamaged)
	return nil
}

// readNotes reads what earlier processes have done. Without the notes, the whole segment comes
// again.
func (s *Spool) readNotes(g *segment) {
	p, err := disk.ReadFile(s.fs, g.notesPath())
	if err != nil {
		return
	}
	g.before = readNotes(p, g.seed)
	g.noted = int64(len(p)) / noteSize * noteSize
}

// check reads a whole segment, and syncs it first: the process that wrote it may have been killed
// before that. A torn end of the newest one is truncated.
func (s *Spool) check(g *segment, size int64, newest bool) error {
	if err := g.file.Sync(); err != nil {
		return fmt.Errorf("writing %s to disk: %w", g.path, err)
	}
	bad, err := g.scan(size, g.count)
	g.written, g.next = size, int64(headerSize)
	if bad == 0 && newest && errors.Is(err, errFrame) && g.torn(size) {
		return g.truncate()
	}
	if err != nil {
		s.warnDamaged(g, err)
	}
	return nil
}

// torn reports whether what follows the last good record can be a write that was interrupted, which
// was never acknowledged: its frame is not complete, or a part of it was never written. All else
// was on disk once, and is damaged.
func (g *segment) torn(size int64) bool {
	rest := make([]byte, size-g.good)
	if readFull(g.file, rest, g.good) != nil {
		return false
	}
	if len(rest) < frameHead {
		return true
	}
	length, _, ok := readHead(rest, g.seed)
	return ok && length > int64(len(rest)-frameHead) || disk.HasUnwritten(rest, g.good)
}

// truncate ends a segment after its last good record.
func (g *segment) truncate() error {
	err := g.file.Truncate(g.good)
	if err == nil {
		err = g.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("truncating the torn end of %s: %w", g.path, err)
	}
	g.written = g.good
	return nil
}

// count counts a record, unless an earlier process has done it.
func (g *segment) count(at int64) {
	if _, done := g.before[at]; !done {
		g.left++
	}
}
