package recent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// A segment is one file of the store. Its name is the number of its first record.
type segment struct {
	path string

	// Guarded by the store's mu:
	size int64
	times
}

// times are those between which all records are.
type times struct{ first, last int64 }

var noTimes = times{math.MaxInt64, math.MinInt64}
var anyTimes = times{math.MinInt64, math.MaxInt64}

func (t *times) add(o times) { t.first, t.last = min(t.first, o.first), max(t.last, o.last) }

const segmentSuffix = ".records"

func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, segmentSuffix) }

// listSegments returns the segments in a folder, oldest first.
func listSegments(dir string) (all []*segment, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		number, is := strings.CutSuffix(e.Name(), segmentSuffix)
		if _, err := strconv.ParseUint(number, 10, 64); !is || err != nil || e.Type() != 0 {
			continue
		}
		if info, err := e.Info(); err == nil {
			all = append(all, &segment{path: filepath.Join(dir, e.Name()), size: info.Size(), times: anyTimes})
		}
	}
	return all, nil
}

// A chunk is frames that are written and shown at a time.
type chunk struct {
	frames  []byte
	records int
	times   times
}

func (c *chunk) note(time int64) {
	if c.records == 0 {
		c.times = noTimes
	}
	c.records++
	c.times.add(times{time, time})
}

// bytes returns the size of all segments.
func (s *Store) bytes() (sum int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		sum += g.size
	}
	return sum
}

// all returns the segments as they are now, oldest first.
func (s *Store) all() []segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []segment
	for _, g := range s.segments {
		all = append(all, *g)
	}
	return all
}

// segmentBuffers are the memory by which segments are read.
var segmentBuffers = sync.Pool{New: func() any { return new([]byte) }}

// load returns what is in a segment, in the buffer's memory.
func (g *segment) load(buffer *[]byte) []byte {
	file, err := pipeline.OpenDataFile(g.path, os.O_RDONLY)
	if err != nil {
		return nil // it has made room
	}
	defer file.Close()
	size := int(min(g.size, maxSegment+maxFrame))
	*buffer = slices.Grow((*buffer)[:0], size)[:size]
	n, err := io.ReadFull(file, *buffer)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil
	}
	return (*buffer)[:n]
}

// eachFrame calls visit with each frame, and returns where the last ends. A damaged one ends it.
func eachFrame(p []byte, visit func(f *frame)) (end int64) {
	for rest := p; ; {
		f, after, ok := readFrame(rest)
		if !ok {
			return int64(len(p) - len(rest))
		}
		rest = after
		visit(&f)
	}
}

// read calls visit with each frame of a segment, which is valid until then, and returns where the
// last ends.
func (g *segment) read(visit func(f *frame)) (end int64) {
	buffer := segmentBuffers.Get().(*[]byte)
	defer segmentBuffers.Put(buffer)
	return eachFrame(g.load(buffer), visit)
}

// recover looks at what an earlier run has left, and goes on behind it.
func (s *Store) recover() {
	s.mu.Lock()
	s.review = false // it is done here
	s.mu.Unlock()
	for k, g := range s.all() {
		found := noTimes
		end := g.read(func(f *frame) {
			found.add(times{f.time, f.time})
			s.next = max(s.next, f.number+1)
			s.noteRepeat(f)
		})
		first, _ := strconv.ParseUint(strings.TrimSuffix(filepath.Base(g.path), segmentSuffix), 10, 64)
		s.next = max(s.next, first+1)
		s.mu.Lock()
		s.segments[k].times = found
		s.mu.Unlock()
		if end < g.size {
			s.log.Info("recent records cannot be read as they are torn or damaged; all others can", "file", g.path,
				"from", end)
		}
	}
	for s.bytes() > s.size && len(s.segments) > 0 { // it was larger
		if err := s.removeOldest(); err != nil {
			s.log.Warn("recent records cannot be removed", "error", err)
			break
		}
	}
	s.reopen()
}

// reopen goes on with the last segment if it is whole and has room.
func (s *Store) reopen() {
	all := s.all()
	if len(all) == 0 {
		return
	}
	last := all[len(all)-1]
	end := last.read(func(*frame) {})
	if end == 0 || end >= s.segment {
		return
	}
	file, err := s.fs.Open(last.path)
	if err != nil {
		return
	}
	if err := file.Truncate(end); err != nil {
		file.Close()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file = file
	s.segments[len(s.segments)-1].size = end
}

// reviewRepeats notes what is stored of each source where sources may be read again.
func (s *Store) reviewRepeats() {
	s.mu.Lock()
	review := s.review
	s.review = false
	s.mu.Unlock()
	if !review {
		return
	}
	s.write()
	clear(s.repeats)
	for _, g := range s.all() {
		g.read(s.noteRepeat)
	}
}

// noteRepeat notes that a record is stored.
func (s *Store) noteRepeat(f *frame) {
	of := origin{string(f.pipeline), f.source}
	s.repeats[of] = max(s.repeats[of], f.pos)
}

// write writes the chunk and shows it to the streams.
func (s *Store) write() {
	if s.chunk.records == 0 {
		return
	}
	c := s.chunk
	s.chunk = chunk{}
	err := s.append(&c)
	switch {
	case err != nil:
		s.failed.Add(uint64(c.records))
		if !s.broken {
			s.log.Warn("recent records cannot be stored, will try again; no output misses them", "error", err)
		}
	default:
		s.written.Add(uint64(c.records))
		if s.broken {
			s.log.Info("recent records are stored again")
		}
	}
	s.broken = err != nil
	if !s.show(&c) {
		s.chunk.frames = c.frames[:0]
	}
}

// append writes frames to the last segment. After an error that is not written to any more, as
// nobody knows what is in it.
func (s *Store) append(c *chunk) error {
	g, err := s.openSegment(c)
	if err != nil {
		return err
	}
	if _, err = s.file.WriteAt(c.frames, g.size); err != nil {
		_ = s.file.Truncate(g.size) // readers end there in any case
		s.closeSegment()
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g.size += int64(len(c.frames))
	g.add(c.times)
	return nil
}

// openSegment returns the segment that is to have a chunk.
func (s *Store) openSegment(c *chunk) (*segment, error) {
	if s.file != nil {
		if g := s.segments[len(s.segments)-1]; g.size+int64(len(c.frames)) <= s.segment {
			return g, nil
		}
	}
	s.closeSegment()
	if err := s.makeRoom(); err != nil {
		return nil, err
	}
	first, _, _ := readFrame(c.frames)
	path := filepath.Join(s.dir, segmentName(first.number))
	file, err := s.fs.Create(path)
	if err != nil {
		return nil, err
	}
	g := &segment{path: path, times: noTimes}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file = file
	s.segments = append(s.segments, g)
	return g, nil
}

func (s *Store) closeSegment() {
	if s.file != nil {
		_ = s.file.Close() // what it holds is written, and need not be on disk
		s.file = nil
	}
}

// makeRoom removes the oldest segments so that one more fits, on the disk too.
func (s *Store) makeRoom() error {
	for {
		free, err := s.fs.Free(s.dir)
		if err != nil {
			return err
		}
		short := free < keepFree+s.segment
		if s.bytes()+s.segment+maxFrame <= s.size && !short {
			return nil
		}
		if len(s.segments) == 0 {
			return fmt.Errorf("%s has only %s free", s.dir, pipeline.Size(free).Rounded())
		}
		if err := s.removeOldest(); err != nil {
			return err
		}
		if short {
			return nil // it stays as large as it is
		}
	}
}

func (s *Store) removeOldest() error {
	if err := s.fs.Remove(s.segments[0].path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = slices.Delete(s.segments, 0, 1)
	return nil
}

// Oldest returns the time of the oldest record, zero where there is none.
func (s *Store) Oldest() time.Time {
	oldest := int64(math.MaxInt64)
	for _, g := range s.all() {
		if g.times != noTimes && g.times != anyTimes {
			oldest = min(oldest, g.first)
		}
	}
	if oldest == math.MaxInt64 {
		return time.Time{}
	}
	return time.Unix(0, oldest).UTC()
}
