package loki

import (
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/longshore/longshore/inputs/receive"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/hop"
)

// A taker makes the streams of one request records.
type taker struct {
	hub                 *receive.Hub
	to                  *receive.Request
	tenantLabel, tenant string

	// Of the stream that is being taken:
	key    string // names its labels
	labels []event.Label
	level  event.Level
	src    *event.Source // of the last entry
	srcKey string
	pairs  []pair // of an entry
}

// A pair is one of structured metadata. It is valid until the next entry.
type pair struct{ name, value []byte }

// begin begins a stream by its labels, as text.
func (t *taker) begin(labels string) error {
	parsed, err := parseLabels(labels)
	if err != nil {
		return badRequest("stream %.200q: %v", labels, err)
	}
	t.beginWith(labels, parsed)
	return nil
}

// beginWith begins a stream. Its key is equal for equal labels only.
func (t *taker) beginWith(key string, labels []event.Label) {
	t.labels, t.level = renamed(labels)
	t.key, t.src = key, nil
	if t.tenantLabel != "" && t.tenant != "" {
		t.labels = append(t.labels, event.Label{Name: t.tenantLabel, Value: t.tenant})
		t.key += "\xff" + t.tenant
	}
}

// maxMetadata bounds the structured metadata of an entry, in pairs, as Loki does.
const maxMetadata = 128

// entry takes an entry with the metadata in t.pairs. at is in Unix nanoseconds, or 0.
func (t *taker) entry(at int64, line []byte) error {
	if len(t.pairs) > maxMetadata {
		return badRequest("an entry has %d pairs of structured metadata; up to %d are taken", len(t.pairs), maxMetadata)
	}
	src := t.source()
	b := t.to.Batch(src)
	i := t.to.Add(b, at, b.Put(line))
	r := &b.Records[i]
	r.Level = t.level
	if at != 0 {
		r.Flags |= event.KeepsTime
	}
	for _, p := range t.pairs {
		if !ofSource(p) && !core(r, p) {
			b.AddField(i, event.Value{Span: b.Put(p.name), Kind: event.Text}, event.Value{Span: b.Put(p.value),
				Kind: event.Text})
			r = &b.Records[i]
		}
	}
	t.pairs = t.pairs[:0]
	return nil
}

// core sets what is no field, and reports whether it was that.
func core(r *event.Record, p pair) bool {
	switch string(p.name) {
	case "trace_id", "traceID", "traceid", "TraceID":
		return setID(r, r.TraceID[:], event.HasTrace, p.value)
	case "span_id", "spanID", "spanid", "SpanID":
		return setID(r, r.SpanID[:], event.HasSpan, p.value)
	case "level", "detected_level":
		level := levelOf(string(p.value))
		if level != event.NoLevel {
			r.Level = level
		}
		return level != event.NoLevel || string(p.value) == "unknown"
	}
	return false
}

func setID(r *event.Record, to []byte, flag event.Flags, value []byte) bool {
	if r.Flags&flag != 0 || len(value) != hex.EncodedLen(len(to)) {
		return false
	}
	if _, err := hex.Decode(to, value); err != nil || allZero(to) {
		clear(to)
		return false
	}
	r.Flags |= flag
	return true
}

func allZero(p []byte) bool { return !slices.ContainsFunc(p, func(c byte) bool { return c != 0 }) }

// The metadata by which this project's own output, and Docker's, tell sources apart.
const (
	metaContainer = "container_id"
	metaStream    = "stream"
	metaSource    = "source_id"
)

// ofSource reports whether a pair is a label of the entry's source.
func ofSource(p pair) bool {
	switch string(p.name) {
	case metaContainer:
		return len(p.value) == 64 && isHex(p.value)
	case metaStream:
		return fits(event.LabelStream, string(p.value))
	case metaSource:
		return len(p.value) == 16 && isHex(p.value)
	}
	return false
}

func isHex(p []byte) bool {
	for _, c := range p {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// source returns the source of an entry with the metadata in t.pairs.
func (t *taker) source() *event.Source {
	var room [128]byte
	more := room[:0]
	for _, p := range t.pairs {
		if ofSource(p) {
			more = append(append(append(more, 0xff), p.name[0]), p.value...)
		}
	}
	if t.src != nil && string(more) == t.srcKey {
		return t.src
	}
	t.srcKey = string(more)
	var id event.SourceID
	for _, p := range t.pairs {
		if string(p.name) == metaSource && ofSource(p) {
			id, _ = hop.ParseSource(p.value)
		}
	}
	t.src = t.hub.Source(id, t.key+t.srcKey, t.labelsOf)
	return t.src
}

func (t *taker) labelsOf() []event.Label {
	labels := slices.Clone(t.labels)
	for _, p := range t.pairs {
		if !ofSource(p) {
			continue
		}
		switch string(p.name) {
		case metaContainer:
			labels = append(labels, event.Label{Name: event.LabelContainerID, Value: string(p.value)})
		case metaStream:
			labels = append(labels, event.Label{Name: event.LabelStream, Value: string(p.value)})
		}
	}
	return labels
}

// maxSeconds bounds what fits into nanoseconds.
const maxSeconds = 1<<63/1_000_000_000 - 1

// unixNano returns a time in nanoseconds, or 0 where it is none that can be kept.
func unixNano(sec, nanos int64) int64 {
	if sec < -maxSeconds || sec > maxSeconds || nanos < 0 || nanos >= 1e9 {
		return 0
	}
	return sec*1e9 + nanos
}

// json takes streams as JSON, in either of Loki's ways.
func (t *taker) json(body []byte) (err error) {
	if err := valid(body); err != nil {
		return badRequest("the body is no JSON: %v", err)
	}
	found := false
	receive.Members(body, func(name, value []byte) bool {
		if string(name) != "streams" {
			return true
		}
		found = true
		receive.Elements(value, func(stream []byte) bool {
			err = t.stream(stream)
			return err == nil
		})
		return err == nil
	})
	if err == nil && !found {
		return badRequest("the body has no streams")
	}
	return err
}

// stream takes a stream: {"stream":{labels},"values":[…]}, or {"labels":"{…}","entries":[…]}.
func (t *taker) stream(stream []byte) (err error) {
	var values, entries []byte
	begun := false
	receive.Members(stream, func(name, value []byte) bool {
		switch string(name) {
		case "stream":
			begun = true
			err = t.beginJSON(value)
		case "labels":
			text, _ := receive.Text(value)
			begun = true
			err = t.begin(string(text))
		case "values":
			values = value
		case "entries":
			entries = value
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	if !begun {
		return badRequest("a stream has no labels")
	}
	receive.Elements(values, func(value []byte) bool {
		err = t.value(value)
		return err == nil
	})
	if err != nil {
		return err
	}
	receive.Elements(entries, func(entry []byte) bool {
		err = t.legacy(entry)
		return err == nil
	})
	return err
}

// beginJSON begins a stream by its labels, as an object of strings.
func (t *taker) beginJSON(object []byte) (err error) {
	byName := map[string]string{}
	receive.Members(object, func(name, value []byte) bool {
		text, ok := receive.Text(value)
		if !ok {
			err = badRequest("label %.80q is no string", name)
		}
		byName[string(receive.Unescaped(name))] = string(text)
		if len(byName) > maxLabels || len(object) > maxLabelBytes {
			err = badRequest("more than %d labels, or %d bytes of them", maxLabels, maxLabelBytes)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	var labels []event.Label
	var key strings.Builder
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		labels = append(labels, event.Label{Name: name, Value: byName[name]})
		key.WriteString(strconv.Quote(name) + "=" + strconv.Quote(byName[name]) + ",")
	}
	t.beginWith(key.String(), labels)
	return nil
}

// value takes an entry: ["nanoseconds","line",{metadata}].
func (t *taker) value(value []byte) (err error) {
	var at int64
	var line []byte
	n := 0
	receive.Elements(value, func(part []byte) bool {
		text, isText := receive.Text(part)
		switch {
		case n == 0 && isText:
			at, err = strconv.ParseInt(string(text), 10, 64)
		case n == 1 && isText:
			line = text
		case n == 2:
			err = t.metadata(part)
		default:
			n = -2
		}
		n++
		return err == nil && n > 0
	})
	if err != nil || n < 2 {
		return badRequest(`%.80q is no entry; it is ["NANOSECONDS", "LINE"],`+
			` perhaps with {"name": "value"} behind`, value)
	}
	return t.entry(at, line)
}

func (t *taker) metadata(object []byte) (err error) {
	receive.Members(object, func(name, value []byte) bool {
		text, ok := receive.Text(value)
		if !ok {
			text = value
		}
		t.pairs = append(t.pairs, pair{receive.Unescaped(name), text})
		return len(t.pairs) <= maxMetadata
	})
	return nil
}

// legacy takes an entry: {"ts":"RFC 3339","line":"…"}.
func (t *taker) legacy(entry []byte) (err error) {
	var at int64
	var line []byte
	hasLine := false
	receive.Members(entry, func(name, value []byte) bool {
		text, ok := receive.Text(value)
		switch string(name) {
		case "ts", "timestamp":
			var ts time.Time
			ts, err = time.Parse(time.RFC3339Nano, string(text))
			at = unixNano(ts.Unix(), int64(ts.Nanosecond()))
		case "line":
			line, hasLine = text, ok
		case "structuredMetadata":
			err = t.metadata(value)
		}
		return err == nil
	})
	if err != nil || !hasLine {
		return badRequest(`%.80q is no entry; it is {"ts": "2026-11-30T12:00:00Z", "line": "LINE"}`, entry)
	}
	return t.entry(at, line)
}
