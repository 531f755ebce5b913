package loki

import (
	"bytes"
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Loki rejects entries that are more than ten minutes ahead of its clock: of programs that log
// another zone's local time without naming it, of hosts whose clock is fast. They are sent with the
// time that their source knows; where it knows none, their times are shifted by whole quarter hours
// to behind now, which for another zone is their right time. Each is marked as time_rejected.
//
// The time of an entry is its identity, so it must be the same when its record is read again: a
// source's time is its position, and shifts are on disk before the first entry with them is sent.

const msgTooNew = "has timestamp too new"

// A shift is what is subtracted from the times of a source's records that are ahead, from a
// position on.
type shift struct {
	from uint64
	by   int64
}

// shifts are those of all sources.
type shifts struct {
	mu       sync.Mutex
	bySource map[event.SourceID][]shift // ascending by position
	count    int
}

const (
	quarterHour = int64(15 * time.Minute)
	// maxZone is how far a zone may be ahead. A shift up to it is kept for times long past, too.
	maxZone = int64(14 * time.Hour)
	// maxShifts bounds the memory of shifts. What is beyond it is forgotten, oldest first of a
	// source.
	maxShifts         = 1 << 14
	maxShiftsOfSource = 64
)

func (s *shifts) add(id event.SourceID, next shift) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bySource == nil || s.count >= maxShifts {
		s.bySource, s.count = map[event.SourceID][]shift{}, 0
	}
	all := s.bySource[id]
	at, found := slices.BinarySearchFunc(all, next.from, comparePos)
	if found {
		all[at] = next
		return
	}
	all = slices.Insert(all, at, next)
	s.count++
	if len(all) > maxShiftsOfSource {
		all = slices.Delete(all, 0, 1)
		s.count--
	}
	s.bySource[id] = all
}

// has reports whether this very shift is there.
func (s *shifts) has(id event.SourceID, want shift) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.bySource[id], want)
}

func comparePos(s shift, pos uint64) int { return cmp.Compare(s.from, pos) }

// at returns the shift that holds for a position, and how many the source has.
func (s *shifts) at(id event.SourceID, pos uint64) (by int64, count int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.bySource[id]
	i, found := slices.BinarySearchFunc(all, pos, comparePos)
	if !found {
		i--
	}
	if i < 0 {
		return 0, len(all), false
	}
	return all[i].by, len(all), true
}

// positionIsTime reports whether a position is a time in nanoseconds: of 2001 to 2100. No file is
// that long.
func positionIsTime(pos uint64) bool { return pos >= 1e18 && pos < 4.1e18 }

// movedTime returns the time that an item has if Loki finds it ahead; ok is false if it never was.
func (o *Output) movedTime(body *pipeline.Body, i int) (at int64, ok bool) {
	pos, e := body.Items[i].Pos, readEntry(body.Item(i))
	if positionIsTime(pos) {
		return int64(pos), int64(pos) < e.time-int64(minAhead)
	}
	by, _, ok := o.shifts.at(body.SourceOf(i).ID, pos)
	return e.time - by, ok
}

// aboutNow allows for clocks that differ, and are read in whole seconds.
const aboutNow = int64(5 * time.Second)

// minAhead is less than any Loki is likely to allow.
const minAhead = time.Minute

// shiftFor returns the time of an item that is ahead, and notes a shift for its source where there
// is none, or where the last one does not do.
func (o *Output) shiftFor(body *pipeline.Body, i int, now int64) int64 {
	pos, at := body.Items[i].Pos, timeOf(body.Item(i))
	if to, ok := o.movedTime(body, i); ok && to <= now+int64(minAhead) {
		if positionIsTime(pos) || at-to <= maxZone || to >= now-int64(time.Hour) {
			return to
		}
	}
	id := body.SourceOf(i).ID
	_, count, _ := o.shifts.at(id, pos)
	by := (at - now - aboutNow + quarterHour - 1) / quarterHour * quarterHour
	by -= int64(count) * int64(time.Microsecond) // so that no two shifts make one time of two
	o.shifts.add(id, shift{pos, by})
	o.memory.add(remembered{Source: id.String(), From: pos, By: by})
	return at - by
}

// sendAhead sends the entries that Loki found too new with other times, and returns what remains of
// the failure.
func (o *Output) sendAhead(ctx context.Context, body *pipeline.Body, failure *pipeline.SendError) *pipeline.SendError {
	var ahead []int
	for _, item := range failure.Items {
		if item.Outcome == pipeline.Reject && item.Status == http.StatusBadRequest &&
			strings.Contains(item.Reason, msgTooNew) {
			ahead = append(ahead, item.Index)
		}
	}
	if len(ahead) == 0 || body.Sources == nil {
		return failure
	}
	now := o.health.now().UnixNano() + o.clockAhead.Load()
	moved := o.moved(body, ahead, func(i int) int64 { return o.shiftFor(body, i, now) })
	if err := o.memory.sync(); err != nil {
		again := &pipeline.SendError{Outcome: pipeline.Retry, Reason: err.Error(), Err: err}
		again.Items = itemErrors(again, indicesUpTo(len(ahead)))
		return mergeAgain(failure, again, ahead)
	}
	again := o.sendBody(ctx, moved)
	if failure, whole := resultOf(again, ahead, len(body.Items)); whole {
		return failure
	}
	o.metrics.ahead.Add(float64(len(ahead) - failedOf(again)))
	return mergeAgain(failure, again, ahead)
}

// moved returns a body of some items with other times, and marks.
func (o *Output) moved(body *pipeline.Body, items []int, timeOf func(i int) int64) *pipeline.Body {
	moved := &pipeline.Body{Groups: body.Groups, Sources: &subsetSources{body.Sources, items}}
	for _, i := range items {
		moved.Bytes = o.appendMoved(moved.Bytes, body.Item(i), timeOf(i))
		item := body.Items[i]
		item.End = uint32(len(moved.Bytes))
		moved.Items = append(moved.Items, item)
	}
	return moved
}

// appendMoved appends an item with another time, marked.
func (o *Output) appendMoved(dst, item []byte, at int64) []byte {
	_, fields, _, _ := readField(item)
	dst, start := openField(dst, tagStreamEntry)
	dst = appendTime(dst, at)
	for len(fields) > 0 {
		tag, value, rest, ok := readField(fields)
		if !ok {
			break
		}
		switch tag {
		case tagEntryTime:
		case tagEntryLine:
			var line int
			dst, line = openField(dst, tagEntryLine)
			dst = closeField(o.appendMarked(dst, value), line)
		default:
			dst = append(dst, fields[:len(fields)-len(rest)]...)
		}
		fields = rest
	}
	if o.raw && !o.metadataOff.Load() {
		dst = appendPair(dst, timeRejected, "true")
	}
	return closeField(dst, start)
}

const timeRejected = "time_rejected"

// appendMarked appends a line that says that its time was rejected, if that fits. A raw one stays
// as it is.
func (o *Output) appendMarked(dst, line []byte) []byte {
	const flags = `,"log.flags":[`
	mark, marked := `,"`+timeRejected+`":true`, []byte(`,"`+timeRejected+`":true`)
	if o.schema == event.ECS {
		mark, marked = flags+`"`+timeRejected+`"]`, []byte(flags)
	}
	if o.raw || !bytes.HasSuffix(line, []byte("}")) || bytes.Contains(line, marked) ||
		len(line)+len(mark) > o.maxLine {
		return append(dst, line...)
	}
	dst = append(dst, line[:len(line)-1]...)
	return append(append(dst, mark...), '}')
}

// movedForms returns the body of those items that may have been sent with other times, as they were
// then.
func (o *Output) movedForms(body *pipeline.Body, wanted func(i int) bool) (moved *pipeline.Body, items []int) {
	if body.Sources == nil {
		return nil, nil
	}
	o.recall()
	times := map[int]int64{}
	for i := range body.Items {
		if !wanted(i) {
			continue
		}
		if at, ok := o.movedTime(body, i); ok {
			times[i] = at
			items = append(items, i)
		}
	}
	if len(items) == 0 {
		return nil, nil
	}
	return o.moved(body, items, func(i int) int64 { return times[i] }), items
}

// noteClock notes how far Loki's clock is ahead of ours, by the Date of an answer.
func (o *Output) noteClock(resp *http.Response) {
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		ahead := date.Sub(o.health.now())
		if ahead.Abs() < 2*time.Second { // it has whole seconds
			ahead = 0
		}
		o.clockAhead.Store(int64(ahead))
	}
}

// subsetSources are the sources of some of a body's items.
type subsetSources struct {
	of    pipeline.ItemSources
	items []int
}

// SourceOf implements pipeline.ItemSources.
func (s *subsetSources) SourceOf(i int) *event.Source { return s.of.SourceOf(s.items[i]) }
