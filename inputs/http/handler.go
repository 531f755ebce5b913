package http

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"

	"github.com/longshore/longshore/inputs/receive"
	"github.com/longshore/longshore/pipeline/event"
)

// readyPath answers load balancers.
const readyPath = "/ready"

type handler struct {
	hub     *receive.Hub
	path    string // "" for all
	maxBody int64
	service string // of records that name none
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) {
	look := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case r.URL.Path == readyPath && look:
		w.Write([]byte("ready\n"))
	case h.path != "" && r.URL.Path != h.path:
		http.Error(w, "records are taken at "+h.path, http.StatusNotFound)
	case r.Method != http.MethodPost && r.Method != http.MethodPut:
		w.Header().Set("Allow", "POST, PUT")
		http.Error(w, "send records by POST", http.StatusMethodNotAllowed)
	default:
		if err := h.take(w, r); err != nil {
			receive.Fail(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// take takes a request's records, and returns nil when they are done.
func (h *handler) take(w http.ResponseWriter, r *http.Request) error {
	split, err := splitterOf(r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	body, release, err := h.hub.ReadBody(w, r, h.maxBody)
	if err != nil {
		return err
	}
	defer release()
	src := h.hub.Source(0, "http", func() []event.Label {
		return []event.Label{{Name: event.LabelService, Value: h.service}}
	})
	to := h.hub.NewRequest()
	to.ReleaseOnceHandedOn(release)
	err = split(body, func(line []byte) {
		b := to.Batch(src)
		to.Add(b, 0, b.Put(line))
	})
	if err != nil {
		return err
	}
	return to.Deliver(r.Context())
}

// A splitter calls each for every record of a body. After an error nothing may be taken.
type splitter func(body []byte, each func(line []byte)) error

// splitterOf returns how a type of body is split.
func splitterOf(contentType string) (splitter, error) {
	if contentType == "" {
		return splitAny, nil
	}
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, receive.Refuse(http.StatusUnsupportedMediaType, "the Content-Type %.80q cannot be read: %v",
			contentType, err)
	}
	switch kind {
	case "text/plain", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
		"application/jsonlines", "application/stream+json":
		return splitLines, nil
	case "application/json", "text/json", "application/cloudevents-batch+json", "application/cloudevents+json":
		return splitJSON, nil
	case "application/x-www-form-urlencoded", "application/octet-stream": // what curl says unless it is told
		return splitAny, nil
	}
	return nil, receive.Refuse(http.StatusUnsupportedMediaType,
		"the Content-Type %.80q is not taken; send text/plain, "+
			"application/x-ndjson or application/json", kind)
}

// splitAny splits what may be anything: whole JSON is that, all else is lines.
func splitAny(body []byte, each func(line []byte)) error {
	if at := event.SkipBlanks(body, 0); at < len(body) && (body[at] == '[' || body[at] == '{') && json.Valid(body) &&
		splitJSON(body, func([]byte) {}) == nil {
		return splitJSON(body, each)
	}
	return splitLines(body, each)
}

// splitLines splits lines, which end with LF or CR LF. An empty line is a line.
func splitLines(body []byte, each func(line []byte)) error {
	for len(body) > 0 {
		line, rest, _ := bytes.Cut(body, []byte{'\n'})
		each(bytes.TrimSuffix(line, []byte{'\r'}))
		body = rest
	}
	return nil
}

// splitJSON splits an array of objects, an object, or several, one after the other.
func splitJSON(body []byte, each func(line []byte)) error {
	at := event.SkipBlanks(body, 0)
	if at < len(body) && body[at] == '[' {
		return splitArray(body, each)
	}
	if json.Valid(body) { // most are one object
		return object(body[at:], each)
	}
	from := json.NewDecoder(bytes.NewReader(body))
	for n := 1; from.More(); n++ {
		var value json.RawMessage
		if err := from.Decode(&value); err != nil {
			return receive.Refuse(http.StatusBadRequest,
				"object %d of the body is no JSON: %v; nothing of it was taken", n, err)
		}
		if err := object(value, each); err != nil {
			return err
		}
	}
	return nil
}

func splitArray(body []byte, each func(line []byte)) (err error) {
	if !json.Valid(body) {
		var any json.RawMessage
		return receive.Refuse(http.StatusBadRequest, "the body is no JSON: %v; nothing of it was taken",
			json.Unmarshal(body, &any))
	}
	n := 0
	receive.Elements(body, func(value []byte) bool {
		if err = object(value, each); err != nil {
			err = receive.Refuse(http.StatusBadRequest, "element %d of the array: %v", n, err)
		}
		n++
		return err == nil
	})
	return err
}

// object makes an object a line.
func object(value []byte, each func(line []byte)) error {
	if len(value) == 0 || value[0] != '{' {
		return receive.Refuse(http.StatusBadRequest, "%.40q is no object; nothing was taken", value)
	}
	value = bytes.TrimRight(value, " \t\r\n")
	if bytes.IndexByte(value, '\n') >= 0 || bytes.IndexByte(value, '\r') >= 0 {
		var line bytes.Buffer
		if err := json.Compact(&line, value); err != nil {
			return receive.Refuse(http.StatusBadRequest, "%v; nothing was taken", err)
		}
		value = line.Bytes()
	}
	each(value)
	return nil
}
