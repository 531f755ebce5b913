package recognize

import "github.com/longshore/longshore/pipeline/event"

// nestedRank puts what stands in an object behind what has a key of its own at the top.
const nestedRank = 100

// A members goes through an object or array that is known to be valid JSON.
type members struct {
	p  []byte // the arena up to the object's end
	at int
}

func (r *Recognizer) members(v event.Value) members {
	return members{r.b.Arena[:v.Off+v.Len], int(v.Off) + 1}
}

// next returns the next member of an object, or, with an absent key, the next element of an array.
func (m *members) next(object bool) (key event.Span, value event.Value, ok bool) {
	m.skip()
	if m.at >= len(m.p)-1 {
		return key, value, false
	}
	if object {
		end := event.StringEnd(m.p, m.at+1)
		key = event.Span{Off: uint32(m.at + 1), Len: uint32(end - m.at - 1)}
		m.at = end + 1
		m.skip()
	}
	start := m.at
	value.Kind, m.at = valueEnd(m.p, m.at)
	value.Span = event.Span{Off: uint32(start), Len: uint32(m.at - start)}
	if value.Kind.IsString() {
		value.Off++
		value.Len -= 2
	}
	return key, value, true
}

// skip goes over blanks, commas and colons.
func (m *members) skip() {
	for m.at < len(m.p) {
		switch m.p[m.at] {
		case ' ', '\t', '\n', '\r', ',', ':':
			m.at++
		default:
			return
		}
	}
}

func valueEnd(p []byte, at int) (event.Kind, int) {
	switch p[at] {
	case '"':
		end := event.StringEnd(p, at+1)
		return event.Escaped, end + 1
	case '{':
		return event.Object, event.NestedEnd(p, at)
	case '[':
		return event.Array, event.NestedEnd(p, at)
	}
	start := at
	for at < len(p) && p[at] != ',' && p[at] != '}' && p[at] != ']' && p[at] > ' ' {
		at++
	}
	switch p[start] {
	case 't', 'f':
		return event.Bool, at
	case 'n':
		return event.Null, at
	}
	return event.Number, at
}

// hint looks at a field that can hold or decide about parts of the core.
func (r *Recognizer) hint(k int, m *meaning, v event.Value) {
	switch m.part {
	case hintNanos:
		r.hints.nanos = int32(k + 1)
	case hintDate:
		r.hints.date = int32(k + 1)
	case hintOffset:
		r.hints.offset = int32(k + 1)
	case hintMongo:
		r.hints.mongo = int32(k + 1)
	case hintMySQL:
		r.hints.mysql = int32(k + 1)
	case hintLabel:
		r.hints.label = int32(k + 1)
	case hintTemplate:
		if v.Kind.IsString() {
			r.hints.template = int32(k + 1)
		}
	case hintScopes:
		r.nestedScopes(k, v)
	case hintContext:
		r.nestedContext(k, v, false)
	case hintDatadog:
		r.nestedDatadog(k, v)
	case hintLog:
		r.nestedLog(k, v)
	case hintFields:
		r.nestedContext(k, v, true)
	case hintRecord:
		r.nestedRecord(k, v)
	case hintRequest:
		r.hints.request = true
	case hintRemote:
		r.hints.remote = true
	}
}

// nestedTime reads a time that is an object: log4j2's instant{epochSecond,nanoOfSecond}, Google's
// timestamp{seconds,nanos} and MongoDB's t{$date}.
func (r *Recognizer) nestedTime(k int, m *meaning, v event.Value) {
	var seconds, nanos int64
	count, known, whole := 0, 0, false
	for it := r.members(v); ; count++ {
		key, value, ok := it.next(true)
		if !ok {
			break
		}
		switch string(r.b.Bytes(key)) {
		case "$date":
			r.takeTime(k, m.rank, r.text(value))
			return
		case "epochSecond", "seconds":
			n, ok := decimal(r.text(value))
			seconds, whole = int64(min(n, 1<<33)), ok
			known++
		case "nanoOfSecond", "nanos":
			n, _ := smallInt(r.text(value))
			nanos = int64(n)
			known++
		}
	}
	ns := seconds*1e9 + nanos
	if whole && r.believe(ns) {
		r.time = ns
		r.pick(k, partTime, m.rank, known < count)
	}
}

// nestedService reads service{name}.
func (r *Recognizer) nestedService(k int, m *meaning, v event.Value) {
	count, found := 0, false
	for it := r.members(v); ; count++ {
		key, value, ok := it.next(true)
		if !ok {
			break
		}
		if string(r.b.Bytes(key)) == "name" && r.isName(value) {
			r.service, found = value, true
		}
	}
	if found {
		r.pick(k, partService, m.rank, count > 1)
	}
}

// nestedTrace reads trace{id} and span{id}.
func (r *Recognizer) nestedTrace(k int, m *meaning, v event.Value) {
	var found ids
	count := 0
	for it := r.members(v); ; count++ {
		key, value, ok := it.next(true)
		if !ok {
			break
		}
		if string(r.b.Bytes(key)) != "id" || !value.Kind.IsString() {
			continue
		}
		if m.part == partTrace {
			found = traceOf(r.text(value), formECS)
		} else {
			found = spanOf(r.text(value), m.form)
		}
	}
	found.more = found.more || count > 1
	r.takeIDs(k, m.rank, &found)
}

// nestedContext takes the ids that stand under their plain keys in an object,
// and with message, the message.
func (r *Recognizer) nestedContext(k int, v event.Value, message bool) {
	if v.Kind != event.Object {
		return
	}
	for it := r.members(v); ; {
		key, value, ok := it.next(true)
		if !ok {
			return
		}
		m := KeyOf(r.b.Bytes(key)).meaning
		if m == nil || !value.Kind.IsString() && m.part != partLevel {
			continue
		}
		switch {
		case m.part == partTrace:
			r.takeNested(k, traceOf(r.text(value), m.form))
		case m.part == partSpan:
			r.takeNested(k, spanOf(r.text(value), m.form))
		case message && m.part == partMessage && r.free(partMessage, nestedRank):
			r.message = value
			r.pick(k, partMessage, nestedRank, true)
		case m.part == partLevel && m.form == formAny:
			r.nestedLevel(k, value, m.form)
		}
	}
}

// nestedLevel takes a level that stands in an object, which stays.
func (r *Recognizer) nestedLevel(k int, v event.Value, form form) {
	if !r.free(partLevel, nestedRank) || v.Kind != event.Number && !v.Kind.IsString() {
		return
	}
	if level := r.levelOf(v, form); level != event.NoLevel {
		r.level = level
		r.pick(k, partLevel, nestedRank, true)
	}
}

// nestedRecord reads what loguru serialises: record{message, level{name}, time{timestamp},
// extra{trace_id}}.
func (r *Recognizer) nestedRecord(k int, v event.Value) {
	if v.Kind != event.Object {
		return
	}
	for it := r.members(v); ; {
		key, value, ok := it.next(true)
		if !ok {
			return
		}
		switch name := string(r.b.Bytes(key)); {
		case name == "message" && value.Kind.IsString() && r.free(partMessage, nestedRank):
			r.message = value
			r.pick(k, partMessage, nestedRank, true)
		case name == "extra":
			r.nestedContext(k, value, false)
		case name == "level" && value.Kind == event.Object:
			r.nestedLevel(k, r.member(value, "name"), formAny)
		case name == "time" && value.Kind == event.Object && r.free(partTime, nestedRank):
			r.takeTime(k, nestedRank, r.text(r.member(value, "timestamp")))
			r.picks[partTime].keep = true
		}
	}
}

// member returns the value of an object under a name; an absent one if there is none.
func (r *Recognizer) member(v event.Value, name string) event.Value {
	for it := r.members(v); ; {
		key, value, ok := it.next(true)
		if !ok {
			return event.Value{}
		}
		if string(r.b.Bytes(key)) == name {
			return value
		}
	}
}

func (r *Recognizer) takeNested(k int, t ids) {
	t.more = true
	r.takeIDs(k, nestedRank, &t)
}

// nestedScopes reads .NET's Scopes, an array of objects.
func (r *Recognizer) nestedScopes(k int, v event.Value) {
	if v.Kind != event.Array {
		return
	}
	for it := r.members(v); ; {
		_, scope, ok := it.next(false)
		if !ok {
			return
		}
		r.nestedContext(k, scope, false)
	}
}

// nestedDatadog reads dd{trace_id,span_id,service}, the ids decimal.
func (r *Recognizer) nestedDatadog(k int, v event.Value) {
	if v.Kind != event.Object {
		return
	}
	for it := r.members(v); ; {
		key, value, ok := it.next(true)
		if !ok {
			return
		}
		switch string(r.b.Bytes(key)) {
		case "trace_id":
			r.takeNested(k, datadogTrace(r.text(value)))
		case "span_id":
			r.takeNested(k, spanOf(r.text(value), formDatadog))
		case "service":
			if r.isName(value) && r.free(partService, nestedRank) {
				r.service = value
				r.pick(k, partService, nestedRank, true)
			}
		}
	}
}

// nestedLog reads ECS's log{level}, or Docker's log line.
func (r *Recognizer) nestedLog(k int, v event.Value) {
	if v.Kind.IsString() && r.free(partMessage, nestedRank) {
		r.message = v
		r.hints.docker = true
		r.pick(k, partMessage, nestedRank, false)
	}
	if v.Kind != event.Object || !r.free(partLevel, nestedRank) {
		return
	}
	count := 0
	for it := r.members(v); ; count++ {
		key, value, ok := it.next(true)
		if !ok {
			break
		}
		if string(r.b.Bytes(key)) != "level" {
			continue
		}
		if level := r.levelOf(value, formAny); level != event.NoLevel {
			r.level = level
			r.pick(k, partLevel, nestedRank, true)
		}
	}
	if p := &r.picks[partLevel]; p.rank == nestedRank && int(p.field) == k {
		p.keep = count > 1
	}
}
