package s3

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/metric"
)

const (
	// maxPrefix leaves room for a name within the 1024 bytes that a key may have.
	maxPrefix = 900
	// maxField bounds a field's part of a prefix, in bytes.
	maxField = 100
	// missingField replaces a field that a record does not have, and overflowField one too many.
	missingField, overflowField = "unknown", "overflow"
)

// A prefix is the template of how keys begin.
type prefix struct {
	parts  []part
	fields int
	// stable is set if prefixes depend only on the record's source and hour.
	stable bool
}

// A part is literal text, a date layout in Go's terms, or a field's name.
type part struct{ text, layout, field string }

// parsePrefix parses a template of literal text, {field} and {yyyy/MM/dd}.
func parsePrefix(text string) (*prefix, error) {
	template, err := event.ParseTemplate(text)
	if err != nil {
		return nil, err
	}
	p := &prefix{stable: true}
	size := 0
	for _, t := range template {
		made, err := newPart(t)
		if err != nil {
			return nil, err
		}
		p.parts = append(p.parts, made)
		size += len(made.text) + len(made.layout)
		if made.field != "" {
			size += maxField
			p.fields++
			p.stable = p.stable && event.SourceOnly(made.field)
		}
	}
	if strings.HasPrefix(text, "/") || strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../") {
		return nil, errors.New("begins with / or a dot; names of objects begin with a letter or digit")
	}
	if size > maxPrefix {
		return nil, fmt.Errorf("can become longer than %d bytes, with %d for each field", maxPrefix, maxField)
	}
	return p, nil
}

func newPart(t event.Part) (part, error) {
	switch {
	case t.Field == "":
		return part{text: t.Text}, checkText(t.Text)
	case isDate(t.Field):
		return part{layout: dates.Replace(t.Field)}, nil
	}
	switch t.Field {
	case "message", "trace_id", "span_id", "timestamp":
		return part{}, fmt.Errorf("must not use {%s}: each of its values would be an object of its own", t.Field)
	}
	return part{field: t.Field}, nil
}

var dates = strings.NewReplacer("yyyy", "2006", "MM", "01", "dd", "02", "HH", "15")

func isDate(field string) bool {
	rest := strings.NewReplacer("yyyy", "", "MM", "", "dd", "", "HH", "").Replace(field)
	return rest != field && strings.Trim(rest, "/.-_") == ""
}

// checkText validates literal text; what comes from records is sanitized.
func checkText(text string) error {
	for _, r := range text {
		if !safe(r) && r != '/' {
			return fmt.Errorf("has %q in it; letters, digits and / ! - _ . * ' ( ) = + , @ are", r)
		}
	}
	for _, folder := range []string{"//", "/./", "/../"} {
		if strings.Contains(text, folder) {
			return fmt.Errorf("has %s in it, which not every program takes for a folder", folder)
		}
	}
	return nil
}

// safe reports whether a character is one that needs no care in a key, by S3's documentation.
func safe(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		r != 0 && r < 0x80 && strings.ContainsRune("!-_.*'()=+,@", r)
}

// appendTo appends the prefix of record i. overflow is for a record of too many values.
func (p *prefix) appendTo(dst []byte, b *event.Batch, i int, overflow bool) []byte {
	for _, part := range p.parts {
		switch {
		case part.field != "" && overflow:
			dst = append(dst, overflowField...)
		case part.field != "":
			dst = appendField(dst, b, i, part.field)
		case part.layout != "":
			dst = time.Unix(0, b.Records[i].Time).UTC().AppendFormat(dst, part.layout)
		default:
			dst = append(dst, part.text...)
		}
	}
	return dst
}

// appendFields appends what the fields are for record i.
func (p *prefix) appendFields(dst []byte, b *event.Batch, i int) []byte {
	for _, part := range p.parts {
		if part.field != "" {
			dst = append(appendField(dst, b, i, part.field), '/')
		}
	}
	return dst
}

func appendField(dst []byte, b *event.Batch, i int, name string) []byte {
	start := len(dst)
	if event.SourceOnly(name) {
		dst = append(dst, b.Source.Label(name)...)
	} else {
		dst = b.AppendNamed(dst, i, name)
	}
	dst = dst[:min(len(dst), start+maxField)]
	value := dst[start:]
	for k, c := range value {
		if !safe(rune(c)) {
			value[k] = '_'
		}
	}
	switch string(value) {
	case "":
		return append(dst, missingField...)
	case ".", "..":
		value[0] = '_'
	}
	return dst
}

// prefixes bounds how many values the fields of a prefix have within a day: each is a request a
// batch.
type prefixes struct {
	prefix   *prefix
	most     int
	log      *slog.Logger
	overflow prometheus.Counter

	mu    sync.Mutex
	since time.Time
	known map[string]bool
	told  bool // of too many, this day
}

func newPrefixes(p *prefix, most int, env pipeline.Env) *prefixes {
	return &prefixes{
		prefix: p, most: most, log: env.Log, known: map[string]bool{},
		overflow: metric.Counter(env.Metrics, "longshore_s3_rejected_prefixes_total",
			"Values of the fields in prefix beyond max_prefixes, whose records went to the overflow prefix."),
	}
}

// admit reports whether there is room for the values of some fields.
func (p *prefixes) admit(fields []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.since) > 24*time.Hour {
		p.since, p.known, p.told = time.Now(), map[string]bool{}, false
	}
	if p.known[string(fields)] {
		return true
	}
	if len(p.known) < p.most {
		p.known[string(fields)] = true
		return true
	}
	p.overflow.Inc()
	if !p.told {
		p.told = true
		p.log.Warn("the fields in prefix have too many values; records of further ones go to the overflow prefix",
			"max_prefixes", p.most)
	}
	return false
}

// An encoder writes an item as the record's identity and one line of JSON; its group is the prefix.
type encoder struct {
	schema   event.Schema
	prefixes *prefixes
	fields   []byte
	name     []byte // of the record before
	source   *event.Source
	hour     int64
}

// Encode implements pipeline.Encoder.
func (e *encoder) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	id, pos := b.IdentityOf(i)
	dst.Bytes = binary.BigEndian.AppendUint64(dst.Bytes, uint64(id))
	dst.Bytes = binary.BigEndian.AppendUint64(dst.Bytes, pos)
	dst.Bytes = e.schema.Append(dst.Bytes, b, i, true)
	dst.Bytes = append(dst.Bytes, '\n')
	return dst.Group(e.nameOf(b, i)), nil
}

// identitySize is the length of an identity, which no object has.
const identitySize = 16

// identityOf returns that of item i: the source that first read it, and its position there.
func identityOf(body *pipeline.Body, i int) (event.SourceID, uint64) {
	item := body.Item(i)
	if len(item) < identitySize { // a spool's or a dead letter's that is not ours
		return body.SourceOf(i).ID, body.Items[i].Pos
	}
	return event.SourceID(binary.BigEndian.Uint64(item)), binary.BigEndian.Uint64(item[8:])
}

// lineOf returns the line of item i, with its end.
func lineOf(body *pipeline.Body, i int) []byte {
	item := body.Item(i)
	return item[min(len(item), identitySize):]
}

// nameOf returns the prefix of record i, which is valid until the next call.
func (e *encoder) nameOf(b *event.Batch, i int) []byte {
	p := e.prefixes.prefix
	hour := b.Records[i].Time / int64(time.Hour)
	if p.stable && e.source == b.Source && e.hour == hour {
		return e.name
	}
	overflow := false
	if p.fields > 0 {
		e.fields = p.appendFields(e.fields[:0], b, i)
		overflow = !e.prefixes.admit(e.fields)
	}
	e.name = p.appendTo(e.name[:0], b, i, overflow)
	e.source, e.hour = b.Source, hour
	return e.name
}
