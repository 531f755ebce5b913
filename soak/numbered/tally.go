package numbered

import (
	"fmt"
	"math"
	"slices"
	"sync"
)

const (
	maxWriters = 1 << 10
	maxLines   = 1 << 34 // of one writer
	chunkLines = 1 << 16
)

// A Tally counts how often each line has arrived at one destination. It takes a byte for each line,
// and eight more where identities are kept. It is safe for use by several goroutines.
type Tally struct {
	mu       sync.Mutex
	writers  []arrivals
	distinct uint64
	total    uint64
	damaged  uint64 // arrived, but are no whole line of a writer
	example  string
}

type arrivals struct {
	counts []*[chunkLines]uint8
	ids    []*[chunkLines]uint64
}

// Add counts a line that has arrived and was stored.
func (t *Tally) Add(writer int, n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(writer, n)
}

// AddOnce counts a line that is stored under an identity, which is not 0, unless the same line is
// stored under the same identity already: then it reports false.
func (t *Tally) AddOnce(writer int, n, id uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.writer(writer)
	for uint64(len(a.ids)) <= n/chunkLines {
		a.ids = append(a.ids, new([chunkLines]uint64))
	}
	slot := &a.ids[n/chunkLines][n%chunkLines]
	if *slot == id {
		return false
	}
	if *slot == 0 {
		*slot = id
	}
	t.add(writer, n)
	return true
}

func (t *Tally) add(writer int, n uint64) {
	a := t.writer(writer)
	for uint64(len(a.counts)) <= n/chunkLines {
		a.counts = append(a.counts, new([chunkLines]uint8))
	}
	count := &a.counts[n/chunkLines][n%chunkLines]
	if *count == 0 {
		t.distinct++
	}
	if *count < math.MaxUint8 {
		*count++
	}
	t.total++
}

func (t *Tally) writer(writer int) *arrivals {
	for len(t.writers) <= writer {
		t.writers = append(t.writers, arrivals{})
	}
	return &t.writers[writer]
}

// Damaged counts something that has arrived and is no line of a writer, or not a whole one.
func (t *Tally) Damaged(text []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.damaged++
	if t.example == "" {
		t.example = string(text[:min(len(text), 1000)])
	}
}

// Arrived gives how many lines are there, each counted once, and how many
// arrivals there were in all.
func (t *Tally) Arrived() (distinct, total uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.distinct, t.total
}

// Has tells whether all lines of a writer from one up to, but not including, another have arrived.
func (t *Tally) Has(writer int, from, to uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.writer(writer)
	for n := from; n < to; n++ {
		if a.count(n) == 0 {
			return false
		}
	}
	return true
}

func (a *arrivals) count(n uint64) uint8 {
	if chunk := n / chunkLines; chunk < uint64(len(a.counts)) {
		return a.counts[chunk][n%chunkLines]
	}
	return 0
}

// A Stretch is a run of a writer's lines with the same fate.
type Stretch struct {
	Writer   int
	From, To uint64 // To is behind the last
	Times    int    // how often each has arrived
}

// String gives the stretch as people write it.
func (s Stretch) String() string {
	return fmt.Sprintf("writer %d (%s): lines %d to %d (%d lines), %d times", s.Writer, FormatOf(s.Writer), s.From,
		s.To-1, s.To-s.From, s.Times)
}

// A Verdict is what is wrong with a tally.
type Verdict struct {
	Delivered uint64 // lines that are there, each counted once
	Missing   uint64
	Repeated  uint64 // arrivals beyond the first of each line
	Foreign   uint64 // lines nobody wrote
	Damaged   uint64
	Colliding uint64    // lines that share their identity with another: a store keeps one of them
	Wrong     []Stretch // all lines that did not arrive exactly once
	Example   string    // of what is damaged
}

// Right tells whether every line is there exactly once, and nothing else.
func (v *Verdict) Right() bool {
	return v.Missing+v.Repeated+v.Foreign+v.Damaged+v.Colliding == 0
}

// Verify holds the tally against how many lines each writer has written.
func (t *Tally) Verify(written []uint64) Verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := Verdict{Damaged: t.damaged, Example: t.example, Colliding: t.colliding()}
	for w := range max(len(written), len(t.writers)) {
		want := uint64(0)
		if w < len(written) {
			want = written[w]
		}
		v.verify(w, t.writer(w), want)
	}
	return v
}

func (v *Verdict) verify(writer int, a *arrivals, written uint64) {
	for n := range max(written, uint64(len(a.counts))*chunkLines) {
		times := a.count(n)
		switch {
		case n >= written && times == 0:
			continue
		case n >= written:
			v.Foreign++
		case times == 0:
			v.Missing++
		default:
			v.Delivered++
			v.Repeated += uint64(times) - 1
			if times == 1 {
				continue
			}
		}
		v.note(writer, n, int(times))
	}
}

func (v *Verdict) note(writer int, n uint64, times int) {
	if last := len(v.Wrong) - 1; last >= 0 && v.Wrong[last] == (Stretch{writer, v.Wrong[last].From, n, times}) {
		v.Wrong[last].To++
		return
	}
	v.Wrong = append(v.Wrong, Stretch{writer, n, n + 1, times})
}

// colliding counts identities that several lines have.
func (t *Tally) colliding() (n uint64) {
	var ids []uint64
	for _, a := range t.writers {
		for _, chunk := range a.ids {
			for _, id := range chunk {
				if id != 0 {
					ids = append(ids, id)
				}
			}
		}
	}
	slices.Sort(ids)
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] {
			n++
		}
	}
	return n
}
