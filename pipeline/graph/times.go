package graph

import (
	"sort"
	"time"

	"github.com/longshore/longshore/pipeline/ledger"
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
	earlier  []ledger.TimeMark // of the run before
	until    uint64            // they hold for positions below
	last     ledger.TimeMark
	held     int    // marks that the ledger keeps
	decided  uint64 // the batch that last was decided for: its first position + 1
}

func newLineTimes(progress *ledger.Source) lineTimes {
	t := lineTimes{progress: progress}
	t.earlier, t.until = progress.EarlierTimes()
	return t
}

// at gives the time of the record at a position of a batch, which all
// pipelines of the source name by the same first position.
func (t *lineTimes) at(first, pos uint64, now func() time.Time) int64 {
	if pos < t.until {
		if m, ok := t.markBefore(pos); ok {
			return m.Time
		}
		// No line that takes a mark was sent: room was reserved, and no more.
		t.earlier, t.until = nil, 0
	}
	if first = max(first, t.until); t.decided != first+1 {
		t.decide(first, now().UnixNano())
	}
	return t.last.Time
}

// decide chooses the time of a whole batch: the last one, or now.
func (t *lineTimes) decide(first uint64, now int64) {
	t.decided = first + 1
	if age := now - t.last.Time; t.last.Time != 0 && age >= 0 && age < int64(markEvery)<<min(t.held/marksHeld, 20) {
		return
	}
	t.last = ledger.TimeMark{Pos: first, Time: now}
	t.held = t.progress.MarkTime(t.last)
}

// markBefore gives the last mark at or before a position.
func (t *lineTimes) markBefore(pos uint64) (ledger.TimeMark, bool) {
	i := sort.Search(len(t.earlier), func(i int) bool { return t.earlier[i].Pos > pos })
	if i == 0 {
		return ledger.TimeMark{}, false
	}
	return t.earlier[i-1], true
}
