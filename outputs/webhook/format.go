package webhook

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A format says what is posted.
type format struct {
	contentType string
	atOnce      int // records of a body; 0 for as many as fit
	// frame returns the request of a body. nil: each record has one of its own.
	frame func(body *pipeline.Body) []byte
	// posted appends what is posted of a record. nil: the record itself.
	posted func(dst []byte, r record) []byte
}

// perRecord bounds a body of records that have a request each: what is left of it waits for the
// first that fails.
const perRecord = 16

func (c *Config) newFormat() format {
	text, _ := event.ParseTemplate(c.Text)
	object, _, _ := newObject(c.Body)
	f := format{contentType: "application/json", atOnce: perRecord}
	switch c.Format {
	case "json":
		if len(object) > 0 {
			f.posted = object.append
		}
	case "lines":
		f.contentType, f.atOnce, f.frame = "application/x-ndjson", 0, lines
	case "text":
		f.contentType = "text/plain; charset=utf-8"
		f.posted = func(dst []byte, r record) []byte { return text.Append(dst, r.b, r.i) }
	case "slack":
		f.posted = func(dst []byte, r record) []byte { return appendJSON(dst, slackMessage(r, text)) }
	case "pagerduty":
		f.posted = func(dst []byte, r record) []byte {
			return appendJSON(dst, pagerDutyEvent(r, text, c.RoutingKey.Reveal()))
		}
	case "alertmanager":
		f.atOnce, f.frame = maxAtOnce, array
		f.posted = func(dst []byte, r record) []byte { return appendJSON(dst, newAlert(r, text)) }
	}
	return f
}

// lines returns a body's records, one on each line.
func lines(body *pipeline.Body) []byte {
	text := make([]byte, 0, len(body.Bytes))
	for i := range body.Items {
		text = append(append(text, itemOf(body, i).posted...), '\n')
	}
	return text
}

// array returns what is posted of a body's records, as one array.
func array(body *pipeline.Body) []byte {
	text := append(make([]byte, 0, len(body.Bytes)+1), '[')
	for i := range body.Items {
		text = append(append(text, itemOf(body, i).posted...), ',')
	}
	return append(text[:max(1, len(text)-1)], ']')
}

type encoder struct{ format format }

// Encode implements pipeline.Encoder.
func (e *encoder) Encode(dst *pipeline.Body, b *event.Batch, i int) (group uint32, err error) {
	start := len(dst.Bytes)
	dst.Bytes = event.AppendRecord(dst.Bytes, b, i, true)
	if e.format.posted != nil {
		text := string(dst.Bytes[start:])
		dst.Bytes = e.format.posted(append(dst.Bytes, '\n'), record{b, i, text})
	}
	return 0, nil
}

// A record is record i of a batch.
type record struct {
	b    *event.Batch
	i    int
	json string
}

// field returns what the record has under a name, as text.
func (r record) field(name string) string { return string(r.b.AppendNamed(nil, r.i, name)) }

func (r record) level() event.Level { return r.b.Records[r.i].Level }

func (r record) time() time.Time { return time.Unix(0, r.b.Records[r.i].Time).UTC() }

// text returns what people read of the record, in at most limit bytes.
func (r record) text(t event.Template, limit int) string {
	text := strings.ToValidUTF8(string(t.Append(nil, r.b, r.i)), "\uFFFD")
	if strings.TrimSpace(text) == "" {
		text = "(a record without text)"
	}
	return shorten(text, limit)
}

func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit - len(" …")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + " …"
}

// The fields of a record that is an alert.
const (
	fieldAlert  = "alert"  // its name
	fieldStatus = "status" // firing or resolved
	fieldKey    = "key"    // the same from firing to resolved
	fieldLink   = "link"   // to a page about it
	fieldUntil  = "until"  // when it is over, unless it has rung again
)

func (r record) isResolved() bool {
	return r.field(fieldAlert) != "" && r.field(fieldStatus) == "resolved"
}

// key returns what the record is known by at its destination: an alert by its key.
func (r record) key() string {
	if key := r.field(fieldKey); key != "" && r.field(fieldAlert) != "" {
		return shorten(key, 255)
	}
	return identity(r.b.IdentityOf(r.i))
}

func appendJSON(dst []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and maps of them
	}
	return append(dst, text...)
}

// An object is what is posted instead of a record.
type object []member

type member struct {
	name  string
	value event.Template
}

// newObject returns the name of a member that is invalid with its error.
func newObject(body map[string]string) (o object, bad string, err error) {
	for _, name := range slices.Sorted(maps.Keys(body)) {
		value, err := event.ParseTemplate(body[name])
		if err != nil {
			return nil, name, err
		}
		o = append(o, member{name, value})
	}
	return o, "", nil
}

func (o object) append(dst []byte, r record) []byte {
	members := make(map[string]string, len(o))
	for _, m := range o {
		members[m.name] = strings.ToValidUTF8(string(m.value.Append(nil, r.b, r.i)), "\uFFFD")
	}
	return appendJSON(dst, members)
}
