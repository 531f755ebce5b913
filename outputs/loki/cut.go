package loki

import "github.com/longshore/longshore/pipeline/event"

// smallField is how long a field may be to stay in a record whose message could
// not be cut enough.
const smallField = 1 << 10

// A cutter writes records that are too long for Loki. It works on a copy of the
// record that shares the bytes of the batch, which other outputs read as well.
type cutter struct{ copy event.Batch }

// append appends record i as JSON of at most limit bytes, marked as truncated.
// The message is cut; where that is not enough, the long fields are left out,
// then all of them, then the service.
func (c *cutter) append(dst []byte, b *event.Batch, i int, schema event.Schema, limit int) []byte {
	defer c.forget()
	for _, longest := range []int{limit, smallField, -1} {
		c.take(b, i, longest)
		if out, fits := c.fit(dst, schema, limit); fits {
			return out
		}
	}
	c.copy.Records[0].Service = event.Value{}
	out, _ := c.fit(dst, schema, limit)
	return out
}

// take copies record i with the fields that are not longer than longest.
func (c *cutter) take(b *event.Batch, i, longest int) {
	from := &b.Records[i]
	c.copy.Reset(b.Source)
	c.copy.Arena = b.Arena
	r := c.copy.Add(from.Pos, from.Time, from.Line)
	r.Message, r.Service = b.MessageOf(i), from.Service
	r.TraceID, r.SpanID = from.TraceID, from.SpanID
	r.Level, r.Flags = from.Level, from.Flags|event.Truncated
	for _, f := range b.Fields(i) {
		if int(f.Key.Len)+int(f.Value.Len) <= longest {
			c.copy.AddField(0, f.Key, f.Value)
		}
	}
}

// fit appends the copy, cutting its message until the whole fits. It guesses
// from how much longer the message gets by escaping; taking n bytes off a
// message takes at least n off its JSON, and that ends the guessing.
func (c *cutter) fit(dst []byte, schema event.Schema, limit int) (_ []byte, fits bool) {
	start := len(dst)
	message := &c.copy.Records[0].Message
	whole := *message
	*message = event.Value{Kind: event.Plain}
	dst = schema.Append(dst, &c.copy, 0, false)
	room := limit - (len(dst) - start)
	if room < 0 {
		*message = whole
		return dst, false
	}
	text := c.copy.Bytes(whole.Span)
	for keep, tries := min(len(text), room), 0; ; tries++ {
		*message = whole.Truncate(text, keep)
		dst = schema.Append(dst[:start], &c.copy, 0, false)
		over := len(dst) - start - limit
		if over <= 0 {
			return dst, len(text) == 0 || keep > 0
		}
		atMost := keep - over
		if tries < 4 {
			atMost = max(atMost, keep*room/(room+over))
		}
		keep = max(0, atMost)
	}
}

// forget lets go of the batch.
func (c *cutter) forget() {
	c.copy.Reset(nil)
	c.copy.Arena = nil
}
