package graph

import (
	"sort"
	"time"

	"github.com/longshore/longshore/agent/ledger"
)

// markEvery is how far apart the times are that lines without one take, besides
// the nanosecond that sets each apart. It doubles with every marksHeld that the
// ledger has to keep, since a destination may be away for weeks while a source
// goes on.
const (
	markEvery = 500 * time.Millisecond
	marksHeld = 128
)

// lineTimes dates the lines of one source that have no time of their own. Each
// date is noted in the ledger before a line that takes it is sent, so that a replay
// gives every line the time it had.
type lineTimes struct {
	progress *ledger.Source
	earlier  []ledger.TimeAnchor // of the run before
	until    uint64              // they hold for positions below
	bound    uint64              // what until was
	last     ledger.TimeAnchor
	held     int    // marks that the ledger keeps
	first    uint64 // where the batch under way begins
	decided  bool   // for that batch
	joins    []*join
}

func newLineTimes(progress *ledger.Source) lineTimes {
	t := lineTimes{progress: progress}
	t.earlier, t.until = progress.EarlierTimeAnchors()
	t.bound = t.until
	return t
}

// round begins a batch, which all pipelines of the source name by the same first
// position.
func (t *lineTimes) round(first uint64) { t.first, t.decided = first, false }

// at gives the time of a line of the batch.
func (t *lineTimes) at(pos uint64, now func() time.Time) int64 {
	if at, ok := t.earlierAt(pos); ok {
		return at
	}
	if !t.decided {
		t.decide(t.first, now().UnixNano())
	}
	return t.last.Time
}

// ofHeld gives the time of a record that was held since an earlier batch: that
// which its first line would have taken then.
func (t *lineTimes) ofHeld(o *openRecord, now func() time.Time) int64 {
	if o.date != 0 {
		return o.date
	}
	if at, ok := t.earlierAt(o.pos); ok {
		return at
	}
	if !t.decided {
		t.decide(o.first, now().UnixNano())
	}
	return t.last.Time
}

// earlierAt gives the time that the line at a position had in an earlier run.
func (t *lineTimes) earlierAt(pos uint64) (int64, bool) {
	if pos >= t.until {
		return 0, false
	}
	if m, ok := t.markBefore(pos); ok {
		return m.Time, true
	}
	// No line that takes a mark was sent: room was reserved, and no more.
	t.earlier, t.until = nil, 0
	return 0, false
}

// decide chooses the time of all lines from a position on: the last one, or now. It
// holds for the records that are held, too: a mark that came before theirs could not
// be noted any more.
func (t *lineTimes) decide(from uint64, now int64) {
	t.decided = true
	for _, j := range t.joins {
		if !j.open.undated() {
			continue
		}
		if at, ok := t.earlierAt(j.open.pos); ok {
			j.open.date = at
		} else {
			from = min(from, j.open.first)
		}
	}
	t.mark(max(from, t.until), now)
	for _, j := range t.joins {
		t.dateHeld(j)
	}
}

func (t *lineTimes) mark(from uint64, now int64) {
	if age := now - t.last.Time; t.last.Time != 0 && age >= 0 && age < int64(markEvery)<<min(t.held/marksHeld, 20) {
		return
	}
	t.last = ledger.TimeAnchor{Pos: from, Time: now}
	t.held = t.progress.AddTimeAnchor(t.last)
}

// dateHeld dates a record that is held, where the time of its batch is decided.
func (t *lineTimes) dateHeld(j *join) {
	if !t.decided || !j.open.undated() {
		return
	}
	if at, ok := t.earlierAt(j.open.pos); ok {
		j.open.date = at
	} else {
		j.open.date = t.last.Time
	}
}

// markBefore gives the last mark at or before a position.
func (t *lineTimes) markBefore(pos uint64) (ledger.TimeAnchor, bool) {
	i := sort.Search(len(t.earlier), func(i int) bool { return t.earlier[i].Pos > pos })
	if i == 0 {
		return ledger.TimeAnchor{}, false
	}
	return t.earlier[i-1], true
}
