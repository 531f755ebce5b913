package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
)

// lokiRecords counts the entries of a push, in protobuf with snappy or in JSON.
func lokiRecords(req *http.Request, b *body, each func([]byte)) (n int, err error) {
	if strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") {
		return lokiJSON(b.text, each)
	}
	raw, err := b.unsnap()
	if err != nil {
		return 0, err
	}
	return lokiProtobuf(raw, each)
}

// lokiProtobuf counts field 2 (entries) of every field 1 (streams) of a push request.
func lokiProtobuf(p []byte, each func([]byte)) (n int, err error) {
	entry := func(p []byte) error {
		n++
		if each != nil {
			each(p)
		}
		return nil
	}
	err = lengths(p, 1, func(stream []byte) error { return lengths(stream, 2, entry) })
	return n, err
}

func lokiJSON(p []byte, each func([]byte)) (n int, err error) {
	var push struct {
		Streams []struct{ Values []json.RawMessage }
	}
	if err := json.Unmarshal(p, &push); err != nil {
		return 0, err
	}
	for _, stream := range push.Streams {
		n += len(stream.Values)
		for _, value := range stream.Values {
			if each != nil {
				each(value)
			}
		}
	}
	return n, nil
}

// bulkRecords counts documents: every second line.
func bulkRecords(_ *http.Request, b *body, each func([]byte)) (int, error) {
	if each != nil {
		for line := range bytes.Lines(b.text) {
			each(line) // an action says no time
		}
	}
	return bytes.Count(b.text, []byte{'\n'}) / 2, nil
}

// jsonRecords counts lines.
func jsonRecords(_ *http.Request, b *body, each func([]byte)) (int, error) {
	if each != nil {
		for line := range bytes.Lines(b.text) {
			each(line)
		}
	}
	return bytes.Count(b.text, []byte{'\n'}), nil
}

// bulkAnswer says of each document that it was created, out of a text that only grows.
func bulkAnswer() func(w http.ResponseWriter, n int) {
	const item = `{"create":{"status":201}},`
	var mu sync.Mutex
	var items string
	return func(w http.ResponseWriter, n int) {
		mu.Lock()
		if n*len(item) > len(items) {
			items = strings.Repeat(item, 2*n)
		}
		some := items[:max(0, n*len(item)-1)]
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		io.WriteString(w, `{"errors":false,"items":[`)
		io.WriteString(w, some)
		io.WriteString(w, `]}`)
	}
}

// otlpRecords counts field 2 (log records) of every field 2 (scope logs) of every
// field 1 (resource logs) of an ExportLogsServiceRequest.
func otlpRecords(_ *http.Request, b *body, each func([]byte)) (n int, err error) {
	record := func(p []byte) error {
		n++
		if each != nil {
			each(p)
		}
		return nil
	}
	scope := func(p []byte) error { return lengths(p, 2, record) }
	err = lengths(b.text, 1, func(resource []byte) error { return lengths(resource, 2, scope) })
	return n, err
}

// noOTLPTrouble answers with an empty ExportLogsServiceResponse.
func noOTLPTrouble(w http.ResponseWriter, _ int) {
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.WriteHeader(http.StatusOK)
}

// floorRecords counts the lines of a block of the floor.
func floorRecords(_ *http.Request, b *body, _ func([]byte)) (int, error) {
	raw, err := b.unsnap()
	return bytes.Count(raw, []byte{'\n'}), err
}
