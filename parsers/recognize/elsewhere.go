package recognize

import (
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A Relocator parses lines whose source knows when they were written. A time that names no zone,
// and is whole quarter hours away from that, was written in another zone than the configured one,
// and is read in that. It depends on nothing but the record.
type Relocator struct {
	zone      Zone
	usual     pipeline.Parser
	newParser func(Zone) pipeline.Parser
	elsewhere map[int64]pipeline.Parser // by seconds east of UTC
	last      int64                     // the zone that the line before had; makes the next one faster
}

var _ pipeline.Parser = (*Relocator)(nil)

// NewRelocator returns one for a parser of a zone, which is new if usual is nil.
func NewRelocator(zone Zone, usual pipeline.Parser, newParser func(Zone) pipeline.Parser) *Relocator {
	if usual == nil {
		usual = newParser(zone)
	}
	return &Relocator{zone: zone, usual: usual, newParser: newParser}
}

// Parse implements pipeline.Parser.
func (r *Relocator) Parse(b *event.Batch, i int) bool {
	rec := &b.Records[i]
	if rec.Time == 0 || rec.Flags&event.LineTime != 0 {
		return r.usual.Parse(b, i)
	}
	return r.ParseNear(b, i, rec.Time)
}

// ParseNear is Parse for a line that was written at a time.
func (r *Relocator) ParseNear(b *event.Batch, i int, written int64) bool {
	rec := &b.Records[i]
	before := *rec
	// In UTC, what it would have been as usual follows from what it is elsewhere.
	if r.last != 0 && r.zone == nil {
		ok := r.parserAt(r.last).Parse(b, i)
		if ok && rec.Flags&event.LineTime != 0 && offsetElsewhere(rec.Time+r.last*second-written, 0) == r.last {
			return true
		}
		*rec = before
	}
	ok := r.usual.Parse(b, i)
	if !ok || rec.Flags&event.LineTime == 0 {
		return ok
	}
	here := r.offsetAt(rec.Time)
	offset := offsetElsewhere(rec.Time-written, here)
	if offset == 0 {
		return true
	}
	usual := *rec
	*rec = before
	if r.parserAt(here+offset).Parse(b, i) && rec.Time == usual.Time-offset*second {
		r.last = offset
		return true
	}
	*rec = usual
	return true
}

const second = int64(time.Second)

// offsetAt returns how far east of UTC the configured zone is at a time, in seconds.
func (r *Relocator) offsetAt(ns int64) int64 {
	if r.zone == nil {
		return 0
	}
	_, offset := time.Unix(0, ns).In(r.zone).Zone()
	return int64(offset)
}

// maxElsewhere bounds the parsers that a Relocator keeps.
const maxElsewhere = 8

func (r *Relocator) parserAt(offset int64) pipeline.Parser {
	if p := r.elsewhere[offset]; p != nil {
		return p
	}
	if r.elsewhere == nil || len(r.elsewhere) >= maxElsewhere {
		r.elsewhere = map[int64]pipeline.Parser{}
	}
	p := r.newParser(time.FixedZone("", int(offset)))
	r.elsewhere[offset] = p
	return p
}

const (
	quarterHour = 15 * 60
	// A line is written some time after the time in it. One that is ahead can only be of another
	// zone; one that is behind may be late, and is of another zone only if all but exactly so.
	maxDelayAhead  = 5 * 60 * second
	maxDelayBehind = 2 * second
	// Times are rounded.
	maxRounding = second
)

// offsetElsewhere returns by how many seconds the zone of a time is east of the configured one, if
// the time is so far ahead of when it was written; 0 if it is not of another zone. The configured
// one is so many seconds east of UTC.
func offsetElsewhere(ahead, here int64) int64 {
	if ahead < quarterHour*second-maxDelayAhead && ahead > -quarterHour*second {
		return 0
	}
	quarters := (ahead - maxRounding) / (quarterHour * second)
	if (ahead-maxRounding)%(quarterHour*second) > 0 {
		quarters++ // the next one up
	}
	offset, limit := quarters*quarterHour, maxDelayAhead
	if offset < 0 {
		limit = maxDelayBehind
	}
	if offset == 0 || offset*second-ahead > limit || !isOffset(here+offset) {
		return 0
	}
	return offset
}

// isOffset reports whether there is a place so many seconds east of UTC.
func isOffset(seconds int64) bool {
	hours, minutes := seconds/3600, seconds%3600/60
	if hours < -12 || hours > 14 {
		return false
	}
	switch minutes {
	case 0:
		return true
	case 30: // India, Adelaide and others
		return hours >= 3 && hours <= 6 || hours >= 9 && hours <= 10
	case 45: // Nepal, Eucla, Chatham
		return hours == 5 || hours == 8 || hours >= 12 && hours <= 13
	case -30: // Newfoundland, Marquesas
		return hours == -2 || hours == -3 || hours == -9
	}
	return false
}
