// Package recognize finds the core of a record (time, level, message, service, trace and span)
// among the fields of a line, by the keys and forms in which logging libraries write them.
//
// A line's time is rejected ("time_rejected": true, and the source's own is kept) if it is more
// than a day ahead of the source's or five years behind it. Where the source knows no time the
// bounds are 1990 and 2100, not the clock: a line that is read again must be given the time it had.
package recognize

import (
	"bytes"
	"time"

	"github.com/longshore/longshore/pipeline/event"
)

// A Recognizer fills records from fields. It belongs to one parser, and with it
// to one goroutine. The zero value works.
type Recognizer struct {
	// Zone is where times that do not name one are at home.
	Zone Zone
	// Now completes times without a year where the source knows no time; nil is time.Now.
	Now func() time.Time

	fields   []event.Field // of the line being read
	core     []coreField
	keys     mask
	repeat   repeats
	repeated bool

	// While Fill runs:
	b       *event.Batch
	rec     *event.Record
	picks   [parts]pick
	time    int64
	level   event.Level
	message event.Value
	service event.Value
	ids     ids
	hints   hints
	odd     bool // a time was rejected
	scratch []byte
}

// A pick is the field that was taken for a part.
type pick struct {
	rank  uint8 // 0: none yet
	keep  bool  // the field says more than the record's core does, and stays
	field int32
}

// hints are the fields that decide about a part once all are known; 0 is none,
// otherwise one more than the index.
type hints struct {
	nanos, mongo, mysql, label, template int32
	date, timeOfDay, offset              int32
	level                                int32 // a level that was not understood
	clef, gelf, docker                   bool
	request, remote                      bool
}

// A coreField is a field whose key has a meaning.
type coreField struct {
	meaning *meaning
	field   int32
}

// A Key is what is known of a field's name; it may be kept.
type Key struct {
	hash    uint64
	meaning *meaning
	kind    event.Kind
}

// KeyOf looks a name up.
func KeyOf(name []byte) Key {
	h := hash(name)
	return Key{h, meanings.get(h, name), event.NameKind(name)}
}

// Kind returns the kind of the name's value, if it is Plain.
func (k Key) Kind() event.Kind { return k.kind }

// IsKnown reports whether the name means anything.
func (k Key) IsKnown() bool { return k.meaning != nil }

// IsCore reports whether values under this key can be part of a record's core,
// which speaks for a line being structured.
func (k Key) IsCore() bool { return k.meaning != nil && k.meaning.part < parts }

// IsID reports whether values under this key are ids, in which digits are no number.
func (k Key) IsID() bool {
	return k.meaning != nil && (k.meaning.part == partTrace || k.meaning.part == partSpan)
}

// IsTime reports whether values under this key are times.
func (k Key) IsTime() bool { return k.meaning != nil && k.meaning.part == partTime }

// IsLevel reports whether values under this key are levels.
func (k Key) IsLevel() bool { return k.meaning != nil && k.meaning.part == partLevel }

// IsService reports whether values under this key name the service.
func (k Key) IsService() bool { return k.meaning != nil && k.meaning.part == partService }

// Start begins a line.
func (r *Recognizer) Start() {
	r.fields = r.fields[:0]
	r.core = r.core[:0]
	r.keys = mask{}
	r.repeated = false
}

// Repeated reports whether a field was left out of the record because another has its name.
func (r *Recognizer) Repeated() bool { return r.repeated }

// Len returns how many fields the line has so far.
func (r *Recognizer) Len() int { return len(r.fields) }

// Add adds a field to the line. Keys are Plain, or Text without escapes, so
// that equal ones are equal bytes.
func (r *Recognizer) Add(key Key, name, value event.Value) {
	if key.meaning != nil {
		r.core = append(r.core, coreField{key.meaning, int32(len(r.fields))})
	}
	r.keys.add(key.hash)
	r.fields = append(r.fields, event.Field{Key: name, Value: value})
}

// Fill finds the core of record i among the fields that were added and returns all others to the
// record, in their order. Of fields with the same name the last one counts. Of the values that are
// taken for the core, those that say more than it can hold also stay as fields; ids that say "no
// trace" and core keys that are null are left out.
func (r *Recognizer) Fill(b *event.Batch, i int) {
	r.b, r.rec = b, &b.Records[i]
	r.picks = [parts]pick{}
	r.hints = hints{}
	r.odd = false
	r.ids = ids{}
	if r.keys.twice {
		r.dropRepeats()
	}
	for _, c := range r.core {
		r.offer(int(c.field), c.meaning)
	}
	r.decide()
	r.store()
	for k := range r.fields {
		if f := &r.fields[k]; f.Value.Kind != event.None {
			b.AddField(i, f.Key, f.Value)
		}
	}
	r.b, r.rec = nil, nil
}

func (r *Recognizer) dropRepeats() {
	before := len(r.fields)
	r.fields = r.repeat.drop(r.b, r.fields)
	if len(r.fields) == before {
		return
	}
	r.repeated = true
	r.core = r.core[:0]
	for k := range r.fields {
		if key := KeyOf(r.b.Bytes(r.fields[k].Key.Span)); key.meaning != nil {
			r.core = append(r.core, coreField{key.meaning, int32(k)})
		}
	}
}

// offer looks at a field that may be a part of the core.
func (r *Recognizer) offer(k int, m *meaning) {
	v := r.fields[k].Value
	switch m.part {
	case partTime:
		r.offerTime(k, m, v)
	case partLevel:
		r.offerLevel(k, m, v)
	case partMessage:
		r.offerMessage(k, m, v)
	case partService:
		r.offerService(k, m, v)
	case partTrace:
		r.offerTrace(k, m, v)
	case partSpan:
		r.offerSpan(k, m, v)
	default:
		r.hint(k, m, v)
	}
}

// free reports whether a part is not yet taken by a stronger key.
func (r *Recognizer) free(p part, rank uint8) bool {
	return r.picks[p].rank == 0 || rank < r.picks[p].rank
}

func (r *Recognizer) pick(k int, p part, rank uint8, keep bool) {
	r.picks[p] = pick{rank, keep, int32(k)}
}

// omit leaves a field out of the record.
func (r *Recognizer) omit(k int) { r.fields[k].Value.Kind = event.None }

// firstFields is how many of a line's fields stand where loggers put their time. The time
// of an order that a line tells of stands further behind.
const firstFields = 2

// longestText bounds the values that are looked at as times, levels and ids.
const longestText = 256

// text returns the text of a string or the digits of a number that are not too
// long, valid until the next call; nil for anything else.
func (r *Recognizer) text(v event.Value) []byte {
	switch {
	case v.Len > longestText:
		return nil
	case v.Kind == event.Escaped:
		r.scratch = event.AppendUnescaped(r.scratch[:0], r.b.Bytes(v.Span))
		return r.scratch
	case v.Kind.IsString() || v.Kind == event.Number:
		return r.b.Bytes(v.Span)
	}
	return nil
}

func (r *Recognizer) offerTime(k int, m *meaning, v event.Value) {
	r.hints.clef = r.hints.clef || m.form == formCLEF
	if !r.free(partTime, m.rank) {
		return
	}
	switch v.Kind {
	case event.Null:
		r.omit(k)
	case event.Object:
		r.nestedTime(k, m, v)
	default:
		switch {
		case m.form == formSerial:
			r.serialTime(k, r.text(v))
		case m.form != formFirst || k < firstFields:
			r.takeTime(k, m.rank, r.text(v))
		}
	}
}

func (r *Recognizer) takeTime(k int, rank uint8, p []byte) {
	ns, ok := Time(p, r.Zone, r.rec.Time)
	if !ok && r.rec.Time == 0 && len(p) > 0 {
		ns, ok = Time(p, r.Zone, r.now())
	}
	if ok && r.believe(ns) {
		r.time = ns
		r.pick(k, partTime, rank, false)
	} else if !ok && len(p) > 0 && TimeOfDay(p) == len(p) {
		r.hints.timeOfDay = int32(k + 1)
	}
}

// serialTime reads the id of an event of the kernel's audit log, which is its time and a number:
// 1136214245.123:70. It stays, as it is an id.
func (r *Recognizer) serialTime(k int, p []byte) {
	colon := bytes.IndexByte(p, ':')
	if colon != len("1136214245.123") || p[10] != '.' || len(p) == colon+1 {
		return
	}
	if _, ok := smallInt(p[colon+1:]); !ok {
		return
	}
	if ns, ok := Epoch(p[:colon]); ok && r.believe(ns) {
		r.time = ns
		r.pick(k, partTime, weakest, true)
	}
}

// dateTime takes the time from a field called date. That may have it whole, or the day beside a
// time of day under another key, and the offset under a third: date=2006-01-02 time=15:04:05
// tz="-0700".
func (r *Recognizer) dateTime(h *hints) {
	date := int(h.date - 1)
	if h.timeOfDay == 0 {
		r.takeTime(date, weakest, r.text(r.fields[date].Value))
		return
	}
	var joined [longestJoined]byte
	n := copy(joined[:len("2006-01-02")+1], r.text(r.fields[date].Value))
	if n != len("2006-01-02") {
		return
	}
	joined[n] = ' '
	n++
	n += copy(joined[n:longestJoined-2], r.text(r.fields[h.timeOfDay-1].Value))
	ns, ok := Time(joined[:n], r.Zone, r.rec.Time)
	if h.offset > 0 {
		joined[n] = ' '
		zoned := n + 1 + copy(joined[n+1:], r.text(r.fields[h.offset-1].Value))
		if with, zonedOK := Time(joined[:zoned], r.Zone, r.rec.Time); zonedOK {
			ns, ok = with, true
		}
	}
	if ok && r.believe(ns) {
		r.time = ns
		r.pick(int(h.timeOfDay-1), partTime, weakest, false)
		r.omit(date)
	}
}

// longestJoined bounds a date, a time of day and an offset together.
const longestJoined = 64

// weakest is the rank of what is taken only where nothing else is there.
const weakest = 250

// believe reports whether a time can be right, and marks the record otherwise.
func (r *Recognizer) believe(ns int64) bool {
	if Believable(ns, r.rec.Time) {
		return true
	}
	r.odd = true
	return false
}

func (r *Recognizer) now() int64 {
	if r.Now != nil {
		return r.Now().UnixNano()
	}
	return time.Now().UnixNano()
}

func (r *Recognizer) offerLevel(k int, m *meaning, v event.Value) {
	if !r.free(partLevel, m.rank) {
		return
	}
	if v.Kind == event.Null {
		r.omit(k)
		return
	}
	if level := r.levelOf(v, m.form); level != event.NoLevel {
		r.level = level
		r.pick(k, partLevel, m.rank, false)
		return
	}
	r.hints.level = int32(k + 1)
}

func (r *Recognizer) levelOf(v event.Value, form form) event.Level {
	p := r.text(v)
	if level := Word(p); level != event.NoLevel {
		return level
	}
	return levelText(p, form)
}

// offerMessage takes a message. One that is no string is taken as its JSON: a
// message is always text, or Elasticsearch would reject it beside the others.
func (r *Recognizer) offerMessage(k int, m *meaning, v event.Value) {
	if v.Kind == event.Null {
		r.omit(k)
		return
	}
	if m.form == formString && !v.Kind.IsString() || !r.free(partMessage, m.rank) {
		return
	}
	if !v.Kind.IsString() {
		v.Kind = event.Text
	}
	r.hints.gelf = r.hints.gelf || m.form == formGELF
	r.message = v
	r.pick(k, partMessage, m.rank, false)
}

func (r *Recognizer) offerService(k int, m *meaning, v event.Value) {
	if v.Kind == event.Null {
		r.omit(k)
		return
	}
	if !r.free(partService, m.rank) {
		return
	}
	if v.Kind == event.Object {
		r.nestedService(k, m, v)
		return
	}
	if r.isName(v) {
		r.service = v
		r.pick(k, partService, m.rank, false)
	}
}

// isName reports whether a value can be the name of a service; Heroku's router writes service=18ms.
func (r *Recognizer) isName(v event.Value) bool {
	if !v.Kind.IsString() || v.Len == 0 || v.Len > longestText {
		return false
	}
	first := r.b.Arena[v.Off]
	return first < '0' || first > '9'
}

func (r *Recognizer) offerTrace(k int, m *meaning, v event.Value) {
	switch v.Kind {
	case event.Null:
		r.omit(k)
	case event.Object:
		r.nestedTrace(k, m, v)
	case event.Bool, event.Array:
	default:
		r.takeTrace(k, m, v)
	}
}

// takeTrace reads a trace id. A bare number is one only where ids are decimal.
func (r *Recognizer) takeTrace(k int, m *meaning, v event.Value) {
	if v.Len > longestText {
		return
	}
	t := traceOf(r.text(v), m.form)
	if t.none {
		r.omit(k)
		return
	}
	if v.Kind == event.Number && m.form != formDatadog {
		return
	}
	r.takeIDs(k, m.rank, &t)
}

func (r *Recognizer) takeIDs(k int, rank uint8, t *ids) {
	if t.hasTrace && r.free(partTrace, rank) {
		r.ids.trace, r.ids.hasTrace = t.trace, true
		r.pick(k, partTrace, rank, t.more)
	}
	// A span that comes with the trace in one value is weaker than one that has a key to itself.
	if t.hasSpan && t.hasTrace {
		rank += nestedRank
	}
	if t.hasSpan && r.free(partSpan, rank) {
		r.ids.span, r.ids.hasSpan = t.span, true
		r.pick(k, partSpan, rank, t.more)
	}
}

func (r *Recognizer) offerSpan(k int, m *meaning, v event.Value) {
	switch v.Kind {
	case event.Null:
		r.omit(k)
	case event.Object:
		r.nestedTrace(k, m, v)
	case event.Bool, event.Array:
	default:
		if v.Len > longestText {
			return
		}
		t := spanOf(r.text(v), m.form)
		if t.none {
			r.omit(k)
			return
		}
		if v.Kind != event.Number || m.form == formDatadog {
			r.takeIDs(k, m.rank, &t)
		}
	}
}

// decide settles what depends on several fields.
func (r *Recognizer) decide() {
	h := &r.hints
	if r.picks[partTime].rank == 0 && h.date > 0 {
		r.dateTime(h)
	}
	if h.nanos > 0 && r.picks[partTime].rank > 0 {
		r.refineTime(int(h.nanos - 1))
	}
	if r.picks[partLevel].rank == 0 {
		r.decideLevel(h)
	}
	if h.template > 0 && r.picks[partMessage].rank == 0 {
		r.message = r.render(r.fields[h.template-1].Value)
		r.pick(int(h.template-1), partMessage, 1, true)
	}
}

func (r *Recognizer) decideLevel(h *hints) {
	switch {
	case h.mongo > 0 && r.picks[partTime].rank > 0 && r.nestedTimePicked():
		r.hintedLevel(int(h.mongo-1), formAny)
	case h.mysql > 0 && h.label > 0:
		r.hintedLevel(int(h.label-1), formMySQL)
	case h.gelf && h.level > 0:
		r.hintedLevel(int(h.level-1), formSyslog)
	case h.request && h.remote && h.level > 0:
		r.hintedLevel(int(h.level-1), formNextcloud)
	case h.clef:
		r.level = event.Info
		r.picks[partLevel] = pick{rank: 1, keep: true}
	}
}

func (r *Recognizer) hintedLevel(k int, form form) {
	if level := r.levelOf(r.fields[k].Value, form); level != event.NoLevel {
		r.level = level
		r.pick(k, partLevel, 1, false)
	}
}

// nestedTimePicked reports whether the time was an object, such as MongoDB's {"$date": …}.
func (r *Recognizer) nestedTimePicked() bool {
	return r.fields[r.picks[partTime].field].Value.Kind == event.Object
}

// refineTime adds logback's nanoseconds within the second to its timestamp
// in milliseconds, if they fit together.
func (r *Recognizer) refineTime(k int) {
	v := r.fields[k].Value
	if v.Kind != event.Number {
		return
	}
	nanos, ok := smallInt(r.b.Bytes(v.Span))
	within := r.time % 1e9
	if ok && int64(nanos)/1e6 == within/1e6 && within%1e6 == 0 {
		r.time += int64(nanos) - within
		r.omit(k)
	}
}

// store writes what was found to the record, and leaves out the fields that say no more.
func (r *Recognizer) store() {
	rec := r.rec
	rec.Flags |= event.Parsed
	if r.picks[partTime].rank > 0 {
		rec.Time = r.time
		rec.Flags |= event.LineTime
	} else if r.odd {
		rec.Flags |= event.OddTime
	}
	if r.picks[partLevel].rank > 0 {
		rec.Level = r.level
	}
	if p := &r.picks[partMessage]; p.rank > 0 {
		rec.Message = r.message
		if r.hints.docker && p.rank == nestedRank {
			rec.Format = event.FormatDocker
		}
	}
	if r.picks[partService].rank > 0 {
		rec.Service = r.service
	}
	if r.ids.hasTrace {
		rec.TraceID = r.ids.trace
		rec.Flags |= event.HasTrace
	}
	if r.ids.hasSpan {
		rec.SpanID = r.ids.span
		rec.Flags |= event.HasSpan
	}
	for _, p := range r.picks {
		if p.rank > 0 && !p.keep {
			r.omit(int(p.field))
		}
	}
}
