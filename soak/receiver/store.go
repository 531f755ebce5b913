package receiver

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/longshore/longshore/soak/numbered"
)

const (
	// segmentBytes is the size of one file of entries.
	segmentBytes = 16 << 20
	// keptSegments bounds what can be asked for: about three million lines, all that
	// two minutes bring, however far a busy machine lags behind. What is older is
	// still counted, but no longer known by its time.
	keptSegments = 50
)

// store keeps the latest entries: their bytes in files, and in memory where to
// find them, by stream and time.
type store struct {
	dir, prefix  string // of its files
	segmentBytes int64
	kept         int // segments
	// headBlock is how many bytes of a stream's latest entries are looked through for a repeat; 0:
	// the last entry alone.
	headBlock int
	// lookBack is how old entries may be to be seen before a flush; 0 for all.
	lookBack time.Duration

	mu       sync.Mutex
	streams  map[string]*stream
	segments []*segment // oldest first
	made     int
	flushes  uint32
	rate     bucket
}

type segment struct {
	file *os.File
	size int64
}

type stream struct {
	labels []label // by name
	text   string
	refs   []ref
	sorted bool
	last   uint64 // hash of the entry that came last
	pruned int64  // time of the latest entry that is no longer kept

	head      map[uint64]bool // hashes of the entries of the head block
	headBytes int
	newest    int64 // time; 0 for none
	rate      bucket
	busy      bool // it was pushed to before
}

// A ref says where an entry is.
type ref struct {
	time    int64
	segment *segment
	at      uint32
	length  uint32
	flushes uint32 // there were before it came
}

func newStore(dir string) *store {
	return &store{dir: dir, segmentBytes: segmentBytes, kept: keptSegments, streams: map[string]*stream{}}
}

func (s *store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		g.drop()
	}
	s.segments = nil
	clear(s.streams)
}

func (g *segment) drop() {
	g.file.Close()
	os.Remove(g.file.Name())
}

// stream returns the stream of these labels, which are {a="b", c="d"} as text.
func (s *store) stream(text string, labels []label) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.streams[text]; known != nil {
		return known
	}
	made := &stream{labels: labels, text: text, sorted: true, pruned: -1 << 63}
	s.streams[text] = made
	return made
}

// known reports whether there is a stream, and how many there are.
func (s *store) known(text string) (is bool, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[text] != nil, len(s.streams)
}

// add keeps an entry, and reports false if it is a repeat that Loki hides: of the entry that came
// last in its stream, or of one in the head block. Without a head block the first alone, as a
// sender that relies on the second is lucky.
func (s *store) add(to *stream, e *entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	hash := numbered.Hash(e.raw)
	if to.last == hash || to.head[hash] {
		return false
	}
	to.last = hash
	to.newest = max(to.newest, e.time)
	s.intoHead(to, hash, len(e.line))
	seg, err := s.room(len(e.raw))
	if err != nil {
		panic(err) // the soak's own disk is full: nothing it says would be true
	}
	if _, err := seg.file.WriteAt(e.raw, seg.size); err != nil {
		panic(err)
	}
	to.sorted = to.sorted && (len(to.refs) == 0 || to.refs[len(to.refs)-1].time <= e.time)
	to.refs = append(to.refs, ref{e.time, seg, uint32(seg.size), uint32(len(e.raw)), s.flushes})
	seg.size += int64(len(e.raw))
	return true
}

func (s *store) intoHead(to *stream, hash uint64, bytes int) {
	if s.headBlock == 0 {
		return
	}
	if to.head == nil || to.headBytes >= s.headBlock {
		to.head, to.headBytes = map[uint64]bool{}, 0
	}
	to.head[hash] = true
	to.headBytes += bytes
}

// flush makes all entries visible, however old.
func (s *store) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushes++
	for _, to := range s.streams {
		to.head = nil
	}
}

// visible leaves out the entries that a query does not see yet. The caller holds mu.
func (s *store) visible(refs []ref) []ref {
	if s.lookBack == 0 {
		return refs
	}
	oldest := time.Now().Add(-s.lookBack).UnixNano()
	return slices.DeleteFunc(slices.Clone(refs), func(r ref) bool { return r.time < oldest && r.flushes == s.flushes })
}

// room gives the segment to write to, and drops the oldest where there are too many.
func (s *store) room(bytes int) (*segment, error) {
	if n := len(s.segments); n > 0 && s.segments[n-1].size+int64(bytes) <= s.segmentBytes {
		return s.segments[n-1], nil
	}
	if len(s.segments) >= s.kept {
		s.prune()
	}
	s.made++
	f, err := os.Create(filepath.Join(s.dir, fmt.Sprintf("%sentries-%06d", s.prefix, s.made)))
	if err != nil {
		return nil, err
	}
	s.segments = append(s.segments, &segment{file: f})
	return s.segments[len(s.segments)-1], nil
}

func (s *store) prune() {
	oldest := s.segments[0]
	for _, st := range s.streams {
		st.refs = slices.DeleteFunc(st.refs, func(r ref) bool {
			if r.segment != oldest {
				return false
			}
			st.pruned = max(st.pruned, r.time)
			return true
		})
	}
	oldest.drop()
	s.segments = append(s.segments[:0], s.segments[1:]...)
}

// between gives a stream's entries from one time up to, but not including,
// another, oldest first. The caller holds mu.
func (st *stream) between(from, to int64) ([]ref, error) {
	if from <= st.pruned {
		return nil, fmt.Errorf("the soak's Loki no longer knows what %s had at %d, only what came after %d", st.text,
			from, st.pruned)
	}
	if !st.sorted {
		slices.SortStableFunc(st.refs, func(a, b ref) int { return cmp.Compare(a.time, b.time) })
		st.sorted = true
	}
	at := func(t int64) int {
		i, _ := slices.BinarySearchFunc(st.refs, t, func(r ref, t int64) int { return cmp.Compare(r.time, t) })
		return i
	}
	low, high := at(from), at(to)
	return st.refs[low:max(low, high)], nil
}

func (r ref) read() (entry, error) {
	raw := make([]byte, r.length)
	if _, err := r.segment.file.ReadAt(raw, int64(r.at)); err != nil {
		return entry{}, fmt.Errorf("reading an entry back: %w", err)
	}
	return readEntry(raw)
}
