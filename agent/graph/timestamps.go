package graph

import (
	"sort"
	"time"

	"github.com/longshore/longshore/agent/ledger"
)

// anchorEvery is how far apart the times are that lines without one are assigned, besides the
// nanosecond that sets each apart. It doubles with every anchorsKept that the ledger has to keep,
// since a destination may be away for weeks while a source goes on.
const (
	anchorEvery = 500 * time.Millisecond
	anchorsKept = 128
)

// timestamps assigns times to the lines of one source that have none of their own. Each is anchored
// in the ledger before a line with it is sent, so that a replay assigns every line the same time.
type timestamps struct {
	progress      *ledger.Source
	earlier       []ledger.TimeAnchor // of the run before
	anchoredBelow uint64              // they hold for positions below; 0 once it is clear that none was used
	earlierEnd    uint64              // what anchoredBelow was
	last          ledger.TimeAnchor
	kept          int    // anchors that the ledger keeps
	from          uint64 // where the current batch begins
	decided       bool   // for that batch
	joins         []*join
	// following says that the anchors are another's, who reads ahead: none is added.
	following bool
}

func newTimestamps(progress *ledger.Source) timestamps {
	t := timestamps{progress: progress}
	t.earlier, t.anchoredBelow = progress.EarlierTimeAnchors()
	t.earlierEnd = t.anchoredBelow
	return t
}

// startBatch begins a batch, for all pipelines of the source by the same first position.
func (t *timestamps) startBatch(from uint64) { t.from, t.decided = from, false }

// at returns the time of a line of the batch.
func (t *timestamps) at(pos uint64, now func() time.Time) int64 {
	return t.assign(pos, t.from, now)
}

// ofPending returns the time of a record that was pending since an earlier batch: that which its
// first line would have been assigned then.
func (t *timestamps) ofPending(o *openRecord, now func() time.Time) int64 {
	if o.assigned != 0 {
		return o.assigned
	}
	return t.assign(o.pos, o.batchFrom, now)
}

func (t *timestamps) assign(pos, from uint64, now func() time.Time) int64 {
	if at, ok := t.earlierAt(pos); ok {
		return at
	}
	if !t.decided {
		t.decide(from, now().UnixNano())
	}
	return t.last.Time
}

// earlierAt returns the time that the line at a position had in an earlier run.
func (t *timestamps) earlierAt(pos uint64) (int64, bool) {
	if pos >= t.anchoredBelow {
		return 0, false
	}
	if i := sort.Search(len(t.earlier), func(i int) bool { return t.earlier[i].Pos > pos }); i > 0 {
		return t.earlier[i-1].Time, true
	}
	// No line with an assigned time was sent: positions were reserved, and no more.
	t.earlier, t.anchoredBelow = nil, 0
	return 0, false
}

// decide chooses the time of all lines from a position on: the last one, or now. It holds for
// pending records, too: an anchor before theirs could not be added any more.
func (t *timestamps) decide(from uint64, now int64) {
	t.decided = true
	for _, j := range t.joins {
		if !j.open.needsTime() {
			continue
		}
		if at, ok := t.earlierAt(j.open.pos); ok {
			j.open.assigned = at
		} else {
			from = min(from, j.open.batchFrom)
		}
	}
	t.anchor(max(from, t.anchoredBelow), now)
	for _, j := range t.joins {
		t.datePending(j)
	}
}

func (t *timestamps) anchor(from uint64, now int64) {
	if age := now - t.last.Time; t.last.Time != 0 && age >= 0 && age < int64(anchorEvery)<<min(t.kept/anchorsKept, 20) {
		return
	}
	t.last = ledger.TimeAnchor{Pos: from, Time: now}
	if t.following {
		return
	}
	t.kept = t.progress.AddTimeAnchor(t.last)
}

// datePending assigns a pending record its time, where that of its batch is decided.
func (t *timestamps) datePending(j *join) {
	if !t.decided || !j.open.needsTime() {
		return
	}
	if at, ok := t.earlierAt(j.open.pos); ok {
		j.open.assigned = at
	} else {
		j.open.assigned = t.last.Time
	}
}
