package redact

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"

	"github.com/longshore/longshore/pipeline/event"
)

// redact redacts record i. Nearly all records have no secret: then it scans the line once, and only
// those values that are not in it.
func (t *transform) redact(b *event.Batch, i int) {
	r := &b.Records[i]
	text := r.Message.Span // what the line says beside names, times and the like
	if r.Message.Kind == event.None {
		text = r.Line
	}
	keyLine := mayBeKeyLine(b.Bytes(text)) && t.detector.secrets && isKeyLine(bytes.TrimSpace(b.Bytes(text)))
	if r.Line.Len > 0 && r.RedundantText == r.Line && !keyLine && !t.hasSecret(b, i) {
		return
	}
	found := t.detector.scan(b.Bytes(r.Line), nil)
	if keyLine && within(r.Line, text) {
		found = append(found, spanFinding(b, r.Line, text))
	}
	if len(found) > 0 || t.secretOutsideLine(b, i) || t.secretOutside(b, r.Line, r.Message) ||
		t.secretOutside(b, r.Line, r.Service) {
		t.rewrite(b, i, found)
	}
}

// spanFinding is all of a part of the line but the blanks around it.
func spanFinding(b *event.Batch, line, s event.Span) finding {
	p := b.Bytes(s)
	from := int(s.Off-line.Off) + len(p) - len(bytes.TrimLeft(p, " \t\r\n"))
	return finding{from: from, to: from + len(bytes.TrimSpace(p))}
}

// hasSecret reports whether a record whose line says nothing more may have a secret. That is
// quicker than scanning the line, most of which is names, numbers, time and ids.
func (t *transform) hasSecret(b *event.Batch, i int) bool {
	r := &b.Records[i]
	if t.valueHasSecret(b, r.Message) || t.valueHasSecret(b, r.Service) {
		return true
	}
	shortest := uint32(shortestFinding)
	if t.detector.beyondSecrets {
		shortest = 0
	}
	fields := b.Fields(i)
	for k := range fields {
		f := &fields[k]
		key := b.Bytes(f.Key.Span)
		if f.Value.Len >= shortest && t.valueHasSecret(b, f.Value) {
			return true
		}
		h := t.detector.names.hints(key)
		if (h != 0 || f.Key.Kind == event.Escaped) && t.nameHasSecret(b, f, key, h) {
			return true
		}
		if len(key) >= longName && len(t.detector.scan(key, nil)) > 0 {
			return true
		}
	}
	return false
}

// shortestFinding is shorter than any secret found without its field's name: sig= and the like have
// a character before them.
const shortestFinding = 8

// longName is the length from which a name is scanned as a text.
const longName = 20

// valueHasSecret reports whether a value has a secret in it.
func (t *transform) valueHasSecret(b *event.Batch, v event.Value) bool {
	d := t.detector
	switch {
	case v.Kind == event.None || v.Kind == event.Bool || v.Kind == event.Null:
		return false
	case d.beyondSecrets:
		return len(d.scan(b.Bytes(v.Span), nil)) > 0
	case v.Kind == event.Number || v.Len < shortestFinding:
		return false
	}
	p := b.Bytes(v.Span)
	if _, none := d.index.none(p); none && (len(p) < minLongToken || !hasLongToken(p)) {
		return false
	}
	return len(d.scan(p, nil)) > 0
}

// nameHasSecret reports whether a field's name makes its value a secret, or that of another field.
// h is what the end of the name says.
func (t *transform) nameHasSecret(b *event.Batch, f *event.Field, key []byte, h hint) bool {
	return h&mayBePair != 0 && t.namesSecret(b, f.Value) ||
		t.detector.names.mayBeSecret(key, h, f.Key.Kind) && t.isSecretField(b, *f)
}

// namesSecret reports whether the value of a key, name or type is the name of a secret, which may
// be beside it: "name":"DB_PASSWORD","value":"…".
func (t *transform) namesSecret(b *event.Batch, v event.Value) bool {
	return v.Kind.IsString() && t.detector.names.isSecret(b.Bytes(v.Span))
}

// secretOutsideLine reports whether fields have a secret that scanning the line misses, such as one
// named by a pattern's group.
func (t *transform) secretOutsideLine(b *event.Batch, i int) bool {
	line := b.Records[i].Line
	fields := b.Fields(i)
	for k := range fields {
		f := &fields[k]
		if !within(line, f.Value.Span) && t.secretOutside(b, line, f.Value) {
			return true
		}
		key := b.Bytes(f.Key.Span)
		h := t.detector.names.hints(key)
		if h == 0 && f.Key.Kind != event.Escaped || !t.detector.names.mayBeSecret(key, h, f.Key.Kind) {
			continue
		}
		if t.isSecretField(b, *f) {
			return true
		}
	}
	return false
}

// secretOutside reports whether a value that is not in the line has a secret in it.
func (t *transform) secretOutside(b *event.Batch, line event.Span, v event.Value) bool {
	return v.Kind != event.None && !within(line, v.Span) && len(t.detector.scan(b.Bytes(v.Span), nil)) > 0
}

func within(line, s event.Span) bool {
	return s.Off >= line.Off && s.Off+s.Len <= line.Off+line.Len
}

func (t *transform) isSecretField(b *event.Batch, f event.Field) bool {
	key := b.Bytes(f.Key.Span)
	if f.Key.Kind == event.Escaped {
		key = b.AppendText(nil, f.Key)
	}
	class, ok := t.detector.names.secretClass(key)
	if !ok {
		return false
	}
	value := b.Bytes(f.Value.Span)
	switch f.Value.Kind {
	case event.Bool, event.Null, event.None:
		return false
	case event.Object, event.Array:
		return f.Value.Len > 2 && (class != random || looksRandom(value))
	case event.Number:
		return class != pass && class.counts(value)
	}
	if class == pass && len(key) == len("pass") && f.Value.Off > 0 && b.Arena[f.Value.Off-1] == '=' {
		return len(value) >= 6 && hasLetterAndDigit(value) // pass=lint
	}
	return class.counts(value)
}

// rewrite replaces the findings in the line and the values of record i. The old bytes stay in the
// arena, where only harmless values point to them.
func (t *transform) rewrite(b *event.Batch, i int, found []finding) {
	r := &b.Records[i]
	line := r.Line
	for _, f := range b.Fields(i) {
		if within(line, f.Value.Span) && f.Value.Len > 0 && t.isSecretField(b, f) {
			found = append(found, finding{from: int(f.Value.Off - line.Off),
				to: int(f.Value.Off + f.Value.Len - line.Off), quotes: quotesFor(f)})
		}
	}
	found = mergeFindings(found)
	for _, f := range found {
		t.counts[f.kind].Inc()
	}
	r.Message = t.redactValue(b, line, found, r.Message)
	r.Service = t.redactValue(b, line, found, r.Service)
	for k, f := range b.Fields(i) {
		whole := !within(line, f.Value.Span) && t.isSecretField(b, f)
		f.Key = t.redactValue(b, line, found, f.Key)
		f.Value = t.redactValue(b, line, found, f.Value)
		if whole {
			f.Value = t.replacement(b, f.Value, secret)
		}
		b.SetField(i, k, f)
	}
	if len(found) > 0 {
		r.Line = t.copyRedacted(b, line, line, found)
	}
}

// quotesFor returns the quotes that a replacement needs to be a string in its line.
func quotesFor(f event.Field) quotes {
	if f.Value.Kind.IsString() || f.Value.Kind == event.None {
		return quotes{}
	}
	return quotes{char: '"'}
}

// mergeFindings sorts findings and joins those that overlap.
func mergeFindings(found []finding) []finding {
	slices.SortFunc(found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to))
	})
	kept := found[:0]
	for _, f := range found {
		if n := len(kept); n > 0 && f.from < kept[n-1].to {
			last := &kept[n-1]
			last.to = max(last.to, f.to)
			continue
		}
		kept = append(kept, f)
	}
	return kept
}

// redactValue replaces the findings of the line in a value or, if it is not in the line, its own.
func (t *transform) redactValue(b *event.Batch, line event.Span, found []finding, v event.Value) event.Value {
	if v.Kind == event.None {
		return v
	}
	base := line
	if !within(line, v.Span) {
		base = v.Span
		found = mergeFindings(t.detector.scan(b.Bytes(v.Span), nil))
	}
	from := int(v.Off - base.Off)
	to := from + int(v.Len)
	for _, f := range found {
		switch {
		case f.to <= from || f.from >= to:
			continue
		case f.from <= from && f.to >= to:
			return t.replacement(b, v, f.kind)
		}
		v.Span = t.copyRedacted(b, base, v.Span, found)
		if !v.Kind.IsString() && !json.Valid(b.Bytes(v.Span)) {
			v.Kind = event.Text // a custom pattern took a part of its syntax
		}
		return v
	}
	return v
}

// replacement returns the value that replaces another.
func (t *transform) replacement(b *event.Batch, v event.Value, k kind) event.Value {
	off := len(b.Arena)
	b.Arena = t.appendReplacement(b.Arena, b.Bytes(v.Span), k)
	return event.Value{Span: event.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}, Kind: event.Plain}
}

// copyRedacted appends a part of base to the arena, with the findings in base replaced.
func (t *transform) copyRedacted(b *event.Batch, base, span event.Span, found []finding) event.Span {
	p := b.Bytes(base)
	at, end := int(span.Off-base.Off), int(span.Off-base.Off+span.Len)
	off := len(b.Arena)
	for _, f := range found {
		from, to := max(f.from, at), min(f.to, end)
		if from >= to {
			continue
		}
		b.Arena = append(b.Arena, p[at:from]...)
		b.Arena = f.quotes.append(b.Arena)
		b.Arena = t.appendReplacement(b.Arena, p[f.from:f.to], f.kind)
		b.Arena = f.quotes.append(b.Arena)
		at = to
	}
	b.Arena = append(b.Arena, p[at:end]...)
	return event.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}
}
