package docker

import (
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline"
)

const (
	// entrySpacing is how many bytes lie between two places where reading can begin again.
	entrySpacing = 1 << 20
	// maxEntries is how many such places are kept until the spacing doubles.
	maxEntries = 1024
)

// firstNumber is that of the first file; there may be older ones.
const firstNumber = uint64(1) << 32

// noPosition stands for the end of all that may be read again.
const noPosition = uint64(math.MaxUint64)

// A history is what can be read again of a container's log, as long as an output may have to: its
// files, held open although the engine has rotated them away, and the state of reading at places in
// them. From such a place on all comes to the same lines and positions as it did for the follower.
// The follower writes it, and any goroutine reads from it.
type history struct {
	rereadable atomic.Bool   // all that an output may have to read again is here
	held       *atomic.Int64 // bytes in files that the engine has deleted, of all histories
	maxLine    int
	streams    int

	mu      sync.Mutex
	files   []*keptFile // oldest first
	entries []entry     // in the order of reading
	spacing int64
	raised  [2][]raise
	ended   [2]uint64 // positions of the last lines that the end of the log has ended
	left    bool      // the container was removed

	marked   *logFile // where the last entry is; the follower's
	markedAt int64
}

// A keptFile is a file of the log. Consecutive numbers continue each other, unless first is set.
type keptFile struct {
	*logFile
	number uint64
	first  bool
	gone   bool  // the engine has deleted it
	size   int64 // if gone
	end    int64 // how far it was read when it was closed; -1 while it is open
}

// An entry is a place where reading can begin again.
type entry struct {
	file      uint64 // number
	off       int64
	at        [2]position
	searching [2]bool // the position is still to be found from here
}

// A raise is a cursor that was moved while the stream was silent: a next line that is earlier gets
// a position behind it.
type raise struct{ from, to uint64 }

// open notes the files of a log that is opened, as they are listed, and where reading begins.
func (h *history) open(listed []*logFile, from *logFile, off int64, b *batcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.extend(listed, from, false)
	e := entry{file: from.number, off: off}
	for i, st := range b.streams {
		e.at[i], e.searching[i] = st.at, st.search.active
	}
	h.entries = append(h.entries, e)
	h.marked, h.markedAt = from, off
}

// close notes how far a file was read that is closed: what comes later may be missed.
func (h *history) close(f *logFile, off int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k := h.find(f.number); k != nil {
		k.end = off
	}
}

// follow notes the files of a log as they are listed when reading goes on behind last. With alone
// there is only the next one.
func (h *history) follow(listed []*logFile, last *logFile, alone bool) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.extend(listed, last, alone)
}

// extend adds files from one on, and finds out which of the others the engine has deleted. With
// next they follow the last one. The caller holds mu.
func (h *history) extend(listed []*logFile, from *logFile, next bool) {
	newest := firstNumber
	if n := len(h.files); n > 0 {
		newest = h.files[n-1].number
	}
	number, known := h.numbering(listed)
	if !known {
		start := newest + 1 + uint64(from.age)
		number = func(f *logFile) uint64 { return start - uint64(f.age) }
	}
	for _, k := range h.files {
		if !known || k.number < number(listed[0]) {
			h.setGone(k)
		}
	}
	for _, f := range listed {
		if f.age > from.age {
			continue
		}
		f.number = number(f)
		if k := h.find(f.number); k != nil {
			k.end = -1
		}
		if n := f.number; n > newest || len(h.files) == 0 {
			f.retain()
			first := !known && !next || n != newest+1
			h.files = append(h.files, &keptFile{logFile: f, number: n, first: first, end: -1})
			newest, known = n, true
		}
	}
}

// numbering returns the numbers of files that are listed, if one of them is known.
func (h *history) numbering(listed []*logFile) (number func(*logFile) uint64, known bool) {
	for _, k := range slices.Backward(h.files) {
		for _, f := range listed {
			if k.same(f) {
				return func(other *logFile) uint64 { return k.number + uint64(f.age) - uint64(other.age) }, true
			}
		}
	}
	return nil, false
}

func (h *history) setGone(k *keptFile) {
	if k.gone {
		return
	}
	k.gone = true
	if info, err := k.fd.Stat(); err == nil {
		k.size = info.Size()
	}
	h.held.Add(k.size)
}

// leave notes that the engine has deleted all files.
func (h *history) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left = true
	for _, k := range h.files {
		h.setGone(k)
	}
}

// markDue reports whether there is to be an entry at an offset of the file that is read. Only the
// follower calls it.
func (h *history) markDue(f *logFile, off int64) bool {
	return f != h.marked || off-h.markedAt >= h.spacing
}

// mark adds an entry.
func (h *history) mark(f *logFile, off int64, at [2]position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.entries = append(h.entries, entry{file: f.number, off: off, at: at})
	h.marked, h.markedAt = f, off
	if len(h.entries) <= maxEntries {
		return
	}
	h.spacing *= 2
	kept := h.entries[:0]
	for i, e := range h.entries {
		if i%2 == 0 || i == len(h.entries)-1 || e.file != kept[len(kept)-1].file {
			kept = append(kept, e)
		}
	}
	h.entries = kept
}

// leavingTo returns up to where each stream lies in files that are gone; 0 if none is.
func (h *history) leavingTo() (to [2]uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.ContainsFunc(h.files, func(k *keptFile) bool { return k.gone }) {
		return to
	}
	to = [2]uint64{noPosition, noPosition}
	for _, e := range h.entries {
		if k := h.find(e.file); k != nil && !k.gone && !h.left {
			return [2]uint64{e.at[0].next, e.at[1].next}
		}
	}
	return to
}

// find returns a file by its number, or nil. The caller holds mu.
func (h *history) find(number uint64) *keptFile {
	i := slices.IndexFunc(h.files, func(k *keptFile) bool { return k.number == number })
	if i < 0 {
		return nil
	}
	return h.files[i]
}

// release drops what is not needed to read again from these positions on, and reports whether all
// that is needed is there.
func (h *history) release(from [2]uint64) (covered bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := -1
	for i := range h.entries {
		if h.covers(&h.entries[i], from) {
			first = i
		}
	}
	if first < 0 {
		return false
	}
	h.entries = slices.Delete(h.entries, 0, first)
	h.drop(func(k *keptFile) bool { return k.number < h.entries[0].file })
	for s := range h.raised {
		h.raised[s] = slices.DeleteFunc(h.raised[s], func(r raise) bool { return r.to <= from[s] })
	}
	return true
}

// covers reports whether all from these positions on can be read from an entry.
func (h *history) covers(e *entry, from [2]uint64) bool {
	for s := range h.streams {
		if e.at[s].next > from[s] {
			return false
		}
	}
	return true
}

// drop closes files. The caller holds mu.
func (h *history) drop(which func(*keptFile) bool) {
	h.files = slices.DeleteFunc(h.files, func(k *keptFile) bool {
		if !which(k) {
			return false
		}
		if k.gone {
			h.held.Add(-k.size)
		}
		k.close()
		return true
	})
}

// giveUp drops what is gone, although it was not read again.
func (h *history) giveUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(func(k *keptFile) bool { return k.gone })
	h.entries = slices.DeleteFunc(h.entries, func(e entry) bool { return h.find(e.file) == nil })
}

// clear drops all.
func (h *history) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rereadable.Store(false)
	h.drop(func(*keptFile) bool { return true })
	h.entries, h.raised, h.marked = nil, [2][]raise{}, nil
}

// isEmpty reports whether there is nothing to release.
func (h *history) isEmpty() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.files) == 0
}

// hasGone reports whether the engine has deleted files that are held open.
func (h *history) hasGone() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.files) > 0 && h.files[0].gone
}

// raise notes that a stream's cursor was moved while it was silent.
func (h *history) raise(s logformat.Stream, from, to uint64) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.raised[s]
	if n := len(all); n > 0 && all[n-1].to == from {
		all[n-1].to = to
		return
	}
	h.raised[s] = append(all, raise{from, to})
}

// lower takes the last raise back, as the next line was later.
func (h *history) lower(s logformat.Stream, to uint64) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.raised[s]); n > 0 && h.raised[s][n-1].to == to {
		h.raised[s] = h.raised[s][:n-1]
	}
}

// raisedFrom returns the position that the next line gets at the least.
func (h *history) raisedFrom(s logformat.Stream, next uint64) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.raised[s] {
		if r.from <= next && next < r.to {
			return r.to
		}
	}
	return next
}

// end notes that the end of the log has ended a line.
func (h *history) end(s logformat.Stream, pos uint64) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended[s] = pos
}

func (h *history) endedAt(s logformat.Stream) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended[s]
}

var errNotFollowed = errors.New("its files are not read by now")

// entryFor returns where to begin to read a stream again from a position on.
func (h *history) entryFor(s logformat.Stream, pos uint64) (entry, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range slices.Backward(h.entries) {
		if e.at[s].next <= pos {
			return e, nil
		}
	}
	if len(h.entries) == 0 {
		return entry{}, errNotFollowed
	}
	return entry{}, pipeline.Gone{To: h.entries[0].at[s].next}
}

// laterEntry returns where to go on behind a file that no other continues.
func (h *history) laterEntry(s logformat.Stream, pos, file uint64) (e entry, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range slices.Backward(h.entries) {
		if e.file > file && e.at[s].next <= pos {
			return e, true
		}
	}
	return entry{}, false
}

// take returns a file, which is to be closed, and where it ends, if that is not its end. It returns
// nil if the file was dropped.
func (h *history) take(number uint64) (f *logFile, end int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.find(number)
	if k == nil {
		return nil, 0
	}
	k.retain()
	return k.logFile, k.end
}

// continues reports whether there is a file that continues another one.
func (h *history) continues(number uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.find(number + 1)
	return k != nil && !k.first
}
