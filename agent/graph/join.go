package graph

import (
	"slices"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A join merges the lines of one source into records, as one pipeline goes
// through it, before they are parsed. The record that is open at the end of a batch
// is held until the next lines come, and so is the batch's coverage of the
// source: what the pipeline hands on ends before it.
//
// Records end in the same places when the lines are read again: where the joiner says
// so, which knows nothing but the record's own lines; where a limit says so, which
// counts those; and at bounds, which are known beforehand.
type join struct {
	joiner pipeline.Joiner
	limits pipeline.JoinLimits

	// bounds are positions, ascending, at which a record ends whatever the joiner says:
	// the cuts that time made, and the ends of what was done in an earlier run (also
	// if that run has joined otherwise, no line may become part of a record that is
	// skipped).
	bounds []uint64
	// begin is where the first record of this run begins: the lines before it are of
	// one that was done in an earlier run.
	begin uint64

	open openRecord
	text []byte // of the open record, if it is held

	carried openRecord // was held, and is the first record of the batch under way
	passed  bool       // it is parsed, and has its time
	after   resumption // how the pipeline goes on behind it
	needed  bool       // a bound has ended what the joiner would have gone on with
}

func newJoin(how *taking, src *event.Source, begin uint64, cuts []uint64) *join {
	return &join{joiner: how.newJoiner(src), limits: how.limits, begin: begin, bounds: cuts}
}

// keptText is how much memory a join keeps for the next record that it holds.
const keptText = 16 << 10

// openRecord is a record of which more lines may come.
type openRecord struct {
	lines    int // 0: there is none
	pos      uint64
	time     int64
	line     event.Span // in the batch, unless it is held
	flags    event.Flags
	complete bool // there comes no more
	held     bool

	first uint64 // position of the batch that its first line came with
	date  int64  // the time mark it takes, if it has no time; 0: not decided yet
}

// undated says that it takes a time mark, and that it is not known which.
func (o *openRecord) undated() bool { return o.lines > 0 && o.time == 0 && o.date == 0 }

// wait is how long a record is held.
func (j *join) wait() time.Duration {
	if j == nil {
		return 0
	}
	return time.Duration(j.limits.Wait)
}

// holding says whether a record is held.
func (j *join) holding() bool { return j != nil && j.open.lines > 0 }

// take makes records of the lines of a batch, in place. The batch then ends where
// the record begins that is still open.
func (j *join) take(b *event.Batch) {
	first := b.From
	if j.open.lines > 0 {
		b.From = j.open.pos
	}
	records, o := 0, &j.open
	for i := j.passDone(b); i < len(b.Records); i++ {
		r := &b.Records[i]
		pos, time, span, flags := r.Pos, r.Time, r.Line, r.Flags
		joint := j.joiner.Line(b.Bytes(span))
		if joint&pipeline.Continues != 0 || len(j.bounds) > 0 && pos >= j.bounds[0] {
			joint = j.judge(joint, pos, b.Bytes(span))
		}
		if joint&pipeline.Continues != 0 {
			j.extend(b, span)
			o.flags |= flags
			o.complete = joint&pipeline.Complete != 0
			continue
		}
		if o.lines > 0 && !o.held { // as write does, for the many
			r := &b.Records[records]
			r.Pos, r.Time, r.Line, r.Flags = o.pos, o.time, o.line, o.flags
			records++
		} else {
			records = j.write(b, records)
		}
		o.lines, o.held, o.complete = 1, false, joint&pipeline.Complete != 0
		o.pos, o.time, o.line, o.flags = pos, time, span, flags
		o.first, o.date = first, 0
	}
	j.end(b, records)
}

// passDone gives the index of the first line that is not of a record done before.
func (j *join) passDone(b *event.Batch) int {
	i := 0
	for i < len(b.Records) && b.Records[i].Pos < j.begin {
		i++
	}
	return i
}

// judge holds what the joiner says of a line against the bounds and limits. Where
// these end the open record, it is asked again, for a line that begins one.
func (j *join) judge(joint pipeline.JoinDecision, pos uint64, line []byte) pipeline.JoinDecision {
	bound := j.pass(pos)
	if joint&pipeline.Continues == 0 {
		return joint
	}
	if !bound && j.hasRoom(len(line)) {
		return joint
	}
	j.needed = j.needed || bound
	j.joiner.End()
	return j.joiner.Line(line) &^ pipeline.Continues
}

// pass leaves the bounds up to a position behind, and says whether there was one.
func (j *join) pass(pos uint64) bool {
	n := 0
	for n < len(j.bounds) && j.bounds[n] <= pos {
		n++
	}
	j.bounds = j.bounds[n:]
	return n > 0
}

// hasRoom says whether the open record takes a line more.
func (j *join) hasRoom(line int) bool {
	o := &j.open
	return o.lines > 0 && !o.complete && o.lines < j.limits.Lines && j.size()+1+line <= j.limits.Bytes
}

// full says that the open record takes no line more.
func (j *join) full() bool { return j.open.lines >= j.limits.Lines || j.size() >= j.limits.Bytes }

func (j *join) size() int {
	if j.open.held {
		return len(j.text)
	}
	return int(j.open.line.Len)
}

// extend adds a line to the open record. In the block of a file it stands behind
// the others, with a line end between.
func (j *join) extend(b *event.Batch, line event.Span) {
	o := &j.open
	o.lines++
	if o.held {
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

// write puts the open record behind the first records of a batch, and gives their
// number.
func (j *join) write(b *event.Batch, records int) int {
	o := &j.open
	if o.lines == 0 {
		return records
	}
	if o.held {
		o.line = b.Put(j.text)
		j.carried = *o
		if cap(j.text) > keptText {
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

// end ends a batch: the open record is held if more of it may come.
func (j *join) end(b *event.Batch, records int) {
	if j.open.lines > 0 && (j.open.complete || j.full() || len(j.bounds) > 0 && j.bounds[0] <= b.To) {
		records = j.write(b, records)
	}
	b.Records = b.Records[:records]
	if j.open.lines == 0 {
		return
	}
	if !j.open.held {
		j.text = append(j.text[:0], b.Bytes(j.open.line)...)
		j.open.held = true
	}
	b.To = j.open.pos
}

// release puts the record that is held into an empty batch, which ends where the
// source does.
func (j *join) release(b *event.Batch, to uint64) {
	b.From, b.To = j.open.pos, to
	b.Records = b.Records[:j.write(b, 0)]
}

// bound adds bounds.
func (j *join) bound(at ...uint64) {
	j.bounds = append(slices.Clip(j.bounds), at...)
	slices.Sort(j.bounds)
	j.bounds = slices.Compact(j.bounds)
}

// first notes how the pipeline goes on behind the first record of a batch, if that
// was held.
func (j *join) first(after resumption, b *event.Batch) {
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
