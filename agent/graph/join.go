package graph

import (
	"slices"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A join merges the lines of one source into records, as one pipeline goes through it, before they
// are parsed. The record that is open at the end of a batch is pending until the next lines come,
// and so is the batch's coverage of the source: what the pipeline hands on ends before it.
//
// Records end in the same places when the lines are read again: where the joiner says so, which
// knows nothing but the record's own lines; where a limit says so, which counts those; and at
// bounds, which are known beforehand.
type join struct {
	joiner pipeline.Joiner
	limits pipeline.JoinLimits

	// bounds are positions, ascending, at which a record ends whatever the joiner says: the timeout
	// boundaries, and the ends of what was done in an earlier run (also if that run has joined
	// otherwise, no line may become part of a record that is skipped).
	bounds []uint64
	// begin is where the first record of this run begins: the lines before it are of one that was
	// done in an earlier run.
	begin uint64

	open openRecord
	text []byte // of the open record, if it is pending

	carried     openRecord // was pending, and is the first record of the current batch
	passed      bool       // it is parsed, and has its time
	after       resumption // how the pipeline goes on behind it
	boundNeeded bool       // a bound has ended what the joiner would have continued
}

func newJoin(p *parsing, src *event.Source, begin uint64, bounds []uint64) *join {
	return &join{joiner: p.newJoiner(src), limits: p.limits, begin: begin, bounds: bounds}
}

// maxKeptText is how much memory a join keeps for the next pending record.
const maxKeptText = 16 << 10

// openRecord is a record of which more lines may come.
type openRecord struct {
	lines    int // 0: there is none
	pos      uint64
	time     int64
	line     event.Span // in the batch, unless it is pending
	flags    event.Flags
	complete bool // no more lines come
	pending  bool

	batchFrom uint64 // position of the batch that its first line came with
	assigned  int64  // the time it is assigned, if it has none of its own; 0: not decided yet
}

// needsTime reports whether it has no time, and is not assigned one yet.
func (o *openRecord) needsTime() bool { return o.lines > 0 && o.time == 0 && o.assigned == 0 }

// wait returns how long a record is pending.
func (j *join) wait() time.Duration {
	if j == nil {
		return 0
	}
	return time.Duration(j.limits.Wait)
}

// pending reports whether a record is pending between two batches.
func (j *join) pending() bool { return j != nil && j.open.lines > 0 }

// joinLines makes records of the lines of a batch, in place. The batch then ends where the record
// begins that is still open.
func (j *join) joinLines(b *event.Batch) {
	batchFrom := b.From
	if j.open.lines > 0 {
		b.From = j.open.pos
	}
	records, o := 0, &j.open
	for i := j.skipDone(b); i < len(b.Records); i++ {
		r := &b.Records[i]
		pos, time, span, flags := r.Pos, r.Time, r.Line, r.Flags
		decision := j.joiner.Line(b.Bytes(span))
		if decision&pipeline.Continues != 0 || len(j.bounds) > 0 && pos >= j.bounds[0] {
			decision = j.restrict(decision, pos, b.Bytes(span))
		}
		if decision&pipeline.Continues != 0 {
			j.extend(b, span)
			o.flags |= flags
			o.complete = decision&pipeline.Complete != 0
			continue
		}
		if o.lines > 0 && !o.pending { // as write does, for the many
			r := &b.Records[records]
			r.Pos, r.Time, r.Line, r.Flags = o.pos, o.time, o.line, o.flags
			records++
		} else {
			records = j.write(b, records)
		}
		o.lines, o.pending, o.complete = 1, false, decision&pipeline.Complete != 0
		o.pos, o.time, o.line, o.flags = pos, time, span, flags
		o.batchFrom, o.assigned = batchFrom, 0
	}
	j.end(b, records)
}

// skipDone returns the index of the first line that is not of a record done before.
func (j *join) skipDone(b *event.Batch) int {
	i := 0
	for i < len(b.Records) && b.Records[i].Pos < j.begin {
		i++
	}
	return i
}

// restrict applies the bounds and limits to what the joiner says of a line. Where these end the
// open record, it is asked again, for a line that begins one.
func (j *join) restrict(decision pipeline.JoinDecision, pos uint64, line []byte) pipeline.JoinDecision {
	bound := j.passBounds(pos)
	if decision&pipeline.Continues == 0 {
		return decision
	}
	if !bound && j.hasRoom(len(line)) {
		return decision
	}
	j.boundNeeded = j.boundNeeded || bound
	j.joiner.End()
	return j.joiner.Line(line) &^ pipeline.Continues
}

// passBounds removes the bounds up to a position, and reports whether there was one.
func (j *join) passBounds(pos uint64) bool {
	n := 0
	for n < len(j.bounds) && j.bounds[n] <= pos {
		n++
	}
	j.bounds = j.bounds[n:]
	return n > 0
}

// hasRoom reports whether the open record takes another line.
func (j *join) hasRoom(line int) bool {
	o := &j.open
	return o.lines > 0 && !o.complete && o.lines < j.limits.Lines && j.size()+1+line <= j.limits.Bytes
}

// full reports whether the open record takes no other line.
func (j *join) full() bool { return j.open.lines >= j.limits.Lines || j.size() >= j.limits.Bytes }

func (j *join) size() int {
	if j.open.pending {
		return len(j.text)
	}
	return int(j.open.line.Len)
}

// extend adds a line to the open record. In the block of a file it stands behind the others, with a
// line end between.
func (j *join) extend(b *event.Batch, line event.Span) {
	o := &j.open
	o.lines++
	if o.pending {
		j.text = append(append(j.text, '\n'), b.Bytes(line)...)
		return
	}
	end := o.line.Off + o.line.Len
	if line.Off != end+1 || b.Arena[end] != '\n' {
		if int(end) != len(b.Arena) {
			o.line = b.Put(b.Bytes(o.line))
		}
		added := b.Bytes(line)
		b.Arena = append(b.Arena, '\n')
		b.Arena = append(b.Arena, added...)
	}
	o.line.Len += 1 + line.Len
}

// write puts the open record behind the first records of a batch, and returns their number.
func (j *join) write(b *event.Batch, records int) int {
	o := &j.open
	if o.lines == 0 {
		return records
	}
	if o.pending {
		o.line = b.Put(j.text)
		j.carried = *o
		if cap(j.text) > maxKeptText {
			j.text = nil
		}
	}
	if records == len(b.Records) {
		b.Add(o.pos, o.time, o.line).Flags = o.flags
	} else {
		r := &b.Records[records]
		r.Pos, r.Time, r.Line, r.Flags = o.pos, o.time, o.line, o.flags
	}
	o.lines = 0
	return records + 1
}

// end ends a batch: the open record is pending if more of it may come.
func (j *join) end(b *event.Batch, records int) {
	if j.open.lines > 0 && (j.open.complete || j.full() || len(j.bounds) > 0 && j.bounds[0] <= b.To) {
		records = j.write(b, records)
	}
	b.Records = b.Records[:records]
	if j.open.lines == 0 {
		return
	}
	if !j.open.pending {
		j.text = append(j.text[:0], b.Bytes(j.open.line)...)
		j.open.pending = true
	}
	b.To = j.open.pos
}

// release puts the pending record into an empty batch, which ends where the source does.
func (j *join) release(b *event.Batch, to uint64) {
	b.From, b.To = j.open.pos, to
	b.Records = b.Records[:j.write(b, 0)]
}

func (j *join) addBounds(at ...uint64) {
	j.bounds = append(slices.Clip(j.bounds), at...)
	slices.Sort(j.bounds)
	j.bounds = slices.Compact(j.bounds)
}

// onFirst notes how the pipeline goes on behind the first record of a batch, if that was pending.
func (j *join) onFirst(after resumption, b *event.Batch) {
	if j.carried.lines == 0 {
		return
	}
	j.carried.lines = 0
	after.begin = b.To
	if len(b.Records) > 1 {
		after.begin = b.Records[1].Pos
	}
	j.passed, j.after = true, after
}
