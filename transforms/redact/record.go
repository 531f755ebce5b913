package redact

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/longshore/longshore/pipeline/event"
)

// redact takes the secrets out of record i. Nearly all records have none: then it
// looks at the line once, and at those values that are not in the line.
func (t *transform) redact(b *event.Batch, i int) {
	r := &b.Records[i]
	if r.Line.Len > 0 && r.RedundantText == r.Line && !t.shown(b, i) {
		return
	}
	found := t.detector.scan(b.Bytes(r.Line), nil)
	if len(found) > 0 || t.oddFields(b, i) || t.oddValue(b, r.Line, r.Message) || t.oddValue(b, r.Line, r.Service) {
		t.rewrite(b, i, found)
	}
}

// shown tells whether there may be something to take out of a record that shows all of
// its line. That is quicker than to look at the line: most of it is names, numbers, time
// and ids.
func (t *transform) shown(b *event.Batch, i int) bool {
	r := &b.Records[i]
	if t.mayHave(b, r.Message) || t.mayHave(b, r.Service) {
		return true
	}
	for _, f := range b.Fields(i) {
		key := b.Bytes(f.Key.Span)
		if t.detector.names.mayBeSecret(key) && t.isSecretField(b, f) || t.mayHave(b, f.Value) {
			return true
		}
		if len(key) >= longName && len(t.detector.scan(key, nil)) > 0 {
			return true
		}
	}
	return false
}

// shortestFinding is shorter than any text with a secret in it that is found without the
// name of its field: sig= and its like have a character before them.
const shortestFinding = 8

// longName is the length from which on a name is looked at as a text.
const longName = 20

// mayHave tells whether a value has a secret in it.
func (t *transform) mayHave(b *event.Batch, v event.Value) bool {
	d := t.detector
	switch {
	case v.Kind == event.None || v.Kind == event.Bool || v.Kind == event.Null:
		return false
	case d.anyMore:
		return len(d.scan(b.Bytes(v.Span), nil)) > 0
	case v.Kind == event.Number || v.Len < shortestFinding:
		return false
	}
	_, quiet := d.index.quiet(b.Bytes(v.Span))
	return !quiet && len(d.scan(b.Bytes(v.Span), nil)) > 0
}

// oddFields tells whether there is something to take out of the fields that the
// line does not show: one named by a pattern's group, or with escapes in its name.
func (t *transform) oddFields(b *event.Batch, i int) bool {
	line := b.Records[i].Line
	for _, f := range b.Fields(i) {
		shown := inside(line, f.Key.Span) && inside(line, f.Value.Span)
		if (!shown || f.Key.Len == shortLength) && t.isSecretField(b, f) || t.oddValue(b, line, f.Value) {
			return true
		}
	}
	return false
}

// oddValue tells whether a value that is not in the line has a secret in it.
func (t *transform) oddValue(b *event.Batch, line event.Span, v event.Value) bool {
	return v.Kind != event.None && !inside(line, v.Span) && len(t.detector.scan(b.Bytes(v.Span), nil)) > 0
}

func inside(line, s event.Span) bool {
	return s.Off >= line.Off && s.Off+s.Len <= line.Off+line.Len
}

func (t *transform) isSecretField(b *event.Batch, f event.Field) bool {
	key := b.Bytes(f.Key.Span)
	if f.Key.Kind == event.Escaped {
		key = b.AppendText(nil, f.Key)
	}
	if !t.detector.names.isSecret(key) {
		return false
	}
	switch f.Value.Kind {
	case event.Bool, event.Null, event.None:
		return false
	case event.Object, event.Array:
		return f.Value.Len > 2
	}
	return !harmless(b.Bytes(f.Value.Span)) && !isFolder(key, b.Bytes(f.Value.Span))
}

// isFolder tells whether PWD is what the shell means by it.
func isFolder(key, value []byte) bool { return len(key) == 3 && value[0] == '/' }

// rewrite gives record i a line without what was found in it, and values without
// what was found in them. The old bytes stay in the arena, where nothing points to them
// any more but what had no secret in it.
func (t *transform) rewrite(b *event.Batch, i int, found []finding) {
	r := &b.Records[i]
	line := r.Line
	for _, f := range b.Fields(i) {
		if inside(line, f.Value.Span) && f.Value.Len > 0 && t.isSecretField(b, f) {
			found = append(found, finding{from: int(f.Value.Off - line.Off), to: int(f.Value.Off + f.Value.Len - line.Off), quotes: quotesAround(f)})
		}
	}
	found = merged(found)
	for _, f := range found {
		t.counts[f.kind].Inc()
	}
	r.Message = t.value(b, line, found, r.Message)
	r.Service = t.value(b, line, found, r.Service)
	for k, f := range b.Fields(i) {
		whole := !inside(line, f.Value.Span) && t.isSecretField(b, f)
		f.Key = t.value(b, line, found, f.Key)
		f.Value = t.value(b, line, found, f.Value)
		if whole {
			f.Value = t.instead(b, f.Value, secret)
		}
		b.SetField(i, k, f)
	}
	if len(found) > 0 {
		r.Line = t.replaced(b, line, line, found)
	}
}

// quotesAround gives the quotes that what replaces a field's value in its line needs
// to be a string.
func quotesAround(f event.Field) quotes {
	if f.Value.Kind.IsString() || f.Value.Kind == event.None {
		return quotes{}
	}
	return quotes{char: '"'}
}

// merged sorts findings and makes one of those that overlap.
func merged(found []finding) []finding {
	slices.SortFunc(found, func(a, b finding) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to)) })
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

// value gives a value without what was found in it: what the line was found to have there or,
// where it is not in the line, what it has itself.
func (t *transform) value(b *event.Batch, line event.Span, found []finding, v event.Value) event.Value {
	if v.Kind == event.None {
		return v
	}
	base := line
	if !inside(line, v.Span) {
		base = v.Span
		found = merged(t.detector.scan(b.Bytes(v.Span), nil))
	}
	from := int(v.Off - base.Off)
	to := from + int(v.Len)
	for _, f := range found {
		switch {
		case f.to <= from || f.from >= to:
			continue
		case f.from <= from && f.to >= to:
			return t.instead(b, v, f.kind)
		}
		v.Span = t.replaced(b, base, v.Span, found)
		if !v.Kind.IsString() && !json.Valid(b.Bytes(v.Span)) {
			v.Kind = event.Text // a pattern of the user's own took a part of the form
		}
		return v
	}
	return v
}

// instead gives the value that stands in the place of another.
func (t *transform) instead(b *event.Batch, v event.Value, k kind) event.Value {
	off := len(b.Arena)
	b.Arena = t.appendInstead(b.Arena, b.Bytes(v.Span), k)
	return event.Value{Span: event.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}, Kind: event.Plain}
}

// replaced puts a stretch of base into the arena again, without what was found in base.
func (t *transform) replaced(b *event.Batch, base, stretch event.Span, found []finding) event.Span {
	p := b.Bytes(base)
	at, end := int(stretch.Off-base.Off), int(stretch.Off-base.Off+stretch.Len)
	off := len(b.Arena)
	for _, f := range found {
		from, to := max(f.from, at), min(f.to, end)
		if from >= to {
			continue
		}
		b.Arena = append(b.Arena, p[at:from]...)
		b.Arena = f.quotes.append(b.Arena)
		b.Arena = t.appendInstead(b.Arena, p[f.from:f.to], f.kind)
		b.Arena = f.quotes.append(b.Arena)
		at = to
	}
	b.Arena = append(b.Arena, p[at:end]...)
	return event.Span{Off: uint32(off), Len: uint32(len(b.Arena) - off)}
}
