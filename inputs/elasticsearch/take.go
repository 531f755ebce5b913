package elasticsearch

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/longshore/longshore/inputs/receive"
	"github.com/longshore/longshore/pipeline/event"
)

// Bounds of names: those of Elasticsearch.
const (
	maxIndex = 255
	maxID    = 512
)

// A taker makes the documents of one request records.
type taker struct {
	*handler
	to     *receive.Request
	index  string // of actions that name none
	items  []item
	errors bool // an item was refused

	scratch []byte
	key     []byte
	ids     idMaker
}

// take takes a body: an action in a line, its document in the next, and so on.
func (t *taker) take(body []byte) error {
	for n := 1; ; n += 2 {
		var line []byte
		for len(line) == 0 { // between actions Elasticsearch takes empty lines
			if len(body) == 0 {
				return t.end()
			}
			line, body = cutLine(body)
		}
		action, err := t.readAction(line, n)
		if err != nil {
			return err
		}
		if action.action == "delete" {
			t.refuse(action, "illegal_argument_exception", "delete is not taken here: only create and index are")
			continue
		}
		if len(body) == 0 {
			return badRequest("%v", errNoDocument)
		}
		line, body = cutLine(body)
		if action.action == "update" {
			t.refuse(action, "illegal_argument_exception", "update is not taken here: only create and index are")
			continue
		}
		t.document(action, line)
	}
}

func (t *taker) end() error {
	if len(t.items) == 0 {
		return errNoBody
	}
	return nil
}

func cutLine(body []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(body, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'}), rest
}

// readAction reads the line of an action: {"create":{"_index":"logs","_id":"1"}}.
func (t *taker) readAction(line []byte, n int) (item, error) {
	i := item{index: t.index}
	if !json.Valid(line) {
		return i, badRequest("Malformed action/metadata line [%d]: %.80q is no JSON", n, line)
	}
	members, odd := 0, ""
	receive.Members(line, func(name, value []byte) bool {
		members++
		switch i.action = string(name); i.action {
		case "create", "index", "update", "delete":
			odd = i.readMeta(value)
		default:
			odd = fmt.Sprintf("expected field [create], [delete], [index] or [update] but found [%.80s]", i.action)
		}
		return odd == "" && members < 2
	})
	switch {
	case odd == "" && members != 1:
		odd = "an action is an object with one member"
	case odd == "" && i.index == "":
		odd = "index is missing"
	case len(i.index) > maxIndex || len(i.id) > maxID:
		odd = fmt.Sprintf("_index has at most %d bytes, and _id %d", maxIndex, maxID)
	}
	if odd != "" {
		return i, badRequest("Malformed action/metadata line [%d], %s", n, odd)
	}
	return i, nil
}

// readMeta reads what an action says of its document, and returns what is wrong in it.
func (i *item) readMeta(meta []byte) (wrong string) {
	if len(meta) == 0 || meta[0] != '{' {
		return "an action has an object as its value"
	}
	receive.Members(meta, func(name, value []byte) bool {
		text, isText := receive.Text(value)
		if !isText {
			text = value // numbers are ids, too
		}
		switch string(name) {
		case "_index":
			i.index = string(text)
		case "_id":
			if string(value) != "null" {
				i.id = string(text)
			}
		}
		return true
	})
	return ""
}

func (t *taker) refuse(i item, kind, why string) {
	i.kind, i.refused = kind, why
	t.errors = true
	t.items = append(t.items, i)
}

// document takes a document of an action.
func (t *taker) document(i item, line []byte) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' || !json.Valid(line) {
		t.refuse(i, "document_parsing_exception", "failed to parse: the document is no JSON object")
		return
	}
	if !t.own(i, line) {
		t.add(i, line)
	}
	if i.id == "" {
		i.id = t.ids.next()
	}
	t.items = append(t.items, i)
}

// add adds a document as a line.
func (t *taker) add(i item, line []byte) {
	src := t.sourceOf(0, i.index, line, nil)
	b := t.to.Batch(src)
	at := timeOf(line)
	r := &b.Records[t.to.Add(b, at, b.Put(line))]
	if at != 0 {
		r.Flags |= event.KeepsTime
	}
}

// ownHead is how a document of this project's own output begins.
const ownHead = `{"@timestamp":"`

// own adds a document of this project's own output, in the default shape, as the record that it
// was, and reports whether it is one. Its id is the record's identity.
func (t *taker) own(i item, line []byte) bool {
	id, pos, ok := parseID(i.id)
	rest, isOwn := bytes.CutPrefix(line, []byte(ownHead))
	if !ok || !isOwn {
		return false
	}
	_, rest, isOwn = bytes.Cut(rest, []byte(`",`))
	if !isOwn || !bytes.HasPrefix(rest, []byte(`"timestamp":"`)) {
		return false
	}
	t.scratch = append(append(t.scratch[:0], '{'), rest...)
	src := t.sourceOf(id, i.index, t.scratch, ownLabels[:])
	b := t.to.Batch(src)
	return t.to.AddRecord(b, pos, t.scratch)
}

// parseID reads the _id that this project's own output makes.
func parseID(text string) (event.SourceID, uint64, bool) {
	var raw [16]byte
	if len(text) != base64.RawURLEncoding.EncodedLen(len(raw)) {
		return 0, 0, false
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(text)); err != nil {
		return 0, 0, false
	}
	id := event.SourceID(binary.BigEndian.Uint64(raw[:8]))
	return id, binary.BigEndian.Uint64(raw[8:]), id != 0
}

// A labelFrom is a label that has the value of a member of documents.
type labelFrom struct {
	path  []string
	whole string // the path as one name, as some write it
	label string
}

func labelsFrom(settings map[string]string) (labels []labelFrom) {
	for _, member := range slices.Sorted(maps.Keys(settings)) {
		labels = append(labels, labelFrom{strings.Split(member, "."), member, settings[member]})
	}
	return labels
}

// ownLabels are those of a document of this project's own that a line cannot set.
var ownLabels = func() (labels [13]labelFrom) {
	for i, name := range []string{
		event.LabelHost, event.LabelFile, event.LabelStream, event.LabelContainerID, event.LabelContainerName,
		event.LabelImage, event.LabelComposeProject, event.LabelComposeService,
		event.LabelNamespace, event.LabelPod, event.LabelPodUID, event.LabelNode, event.LabelRestarts,
	} {
		labels[i] = labelFrom{whole: name, label: name}
	}
	return labels
}()

// sourceOf returns the source of a document, by its index and the labels that are taken from it.
func (t *taker) sourceOf(id event.SourceID, index string, document []byte, own []labelFrom) *event.Source {
	t.key = t.key[:0]
	if t.indexLabel != "" {
		t.key = append(append(t.key, index...), 0xff)
	}
	for _, from := range [...][]labelFrom{own, t.labels} {
		if len(from) == 0 {
			continue
		}
		values := valuesOf(document, from)
		for k := range from {
			if values[k] != nil {
				t.key = append(append(append(t.key, from[k].label...), '='), values[k]...)
			}
			t.key = append(t.key, 0xff)
		}
	}
	return t.hub.Source(id, string(t.key), func() []event.Label {
		labels := []event.Label{{Name: event.LabelService, Value: t.service}}
		if id != 0 {
			labels = nil // the record has it
		}
		if t.indexLabel != "" {
			labels = append(labels, event.Label{Name: t.indexLabel, Value: index})
		}
		for _, from := range [...][]labelFrom{own, t.labels} {
			for k, value := range valuesOf(document, from) {
				labels = append(labels, event.Label{Name: from[k].label, Value: string(value)})
			}
		}
		return labels
	})
}

// maxValue bounds the value of a label.
const maxValue = 1 << 10

// valuesOf returns the values of members, each as text, nil for those that are not there.
func valuesOf(document []byte, from []labelFrom) [][]byte {
	values := make([][]byte, len(from))
	receive.Members(document, func(name, value []byte) bool {
		for k := range from {
			switch {
			case values[k] != nil:
			case string(name) == from[k].whole:
				values[k] = labelValue(value)
			case len(from[k].path) > 1 && string(name) == from[k].path[0]:
				values[k] = nested(value, from[k].path[1:])
			}
		}
		return true
	})
	return values
}

func nested(object []byte, path []string) (found []byte) {
	receive.Members(object, func(name, value []byte) bool {
		if string(name) != path[0] {
			return true
		}
		if found = labelValue(value); len(path) > 1 {
			found = nested(value, path[1:])
		}
		return false
	})
	return found
}

// labelValue returns the text of a string or number, nil for all else.
func labelValue(value []byte) []byte {
	text, ok := receive.Text(value)
	if !ok && len(value) > 0 && (value[0] == '-' || value[0] >= '0' && value[0] <= '9') {
		text, ok = value, true
	}
	if !ok || len(text) == 0 || len(text) > maxValue {
		return nil
	}
	return text
}

// timeOf returns a document's @timestamp in Unix nanoseconds, or 0 where it has none that is
// understood.
func timeOf(document []byte) (at int64) {
	receive.Members(document, func(name, value []byte) bool {
		if string(name) != "@timestamp" {
			return true
		}
		if text, ok := receive.Text(value); ok {
			for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999-0700"} {
				if when, err := time.Parse(layout, string(text)); err == nil && when.Year() > 1677 &&
					when.Year() < 2262 {
					at = when.UnixNano()
					return false
				}
			}
			value = text
		}
		if ms, err := strconv.ParseInt(string(value), 10, 64); err == nil && ms > -9e12 && ms < 9e12 {
			at = ms * 1e6
		}
		return false
	})
	return at
}

// An idMaker makes ids, as Elasticsearch makes them for documents without.
type idMaker struct {
	head  [7]byte
	count uint64
}

func (m *idMaker) next() string {
	if m.count == 0 {
		rand.Read(m.head[:])
	}
	m.count++
	var raw [15]byte
	copy(raw[:], m.head[:])
	binary.BigEndian.PutUint64(raw[7:], m.count)
	return base64.RawURLEncoding.EncodeToString(raw[:])
}
