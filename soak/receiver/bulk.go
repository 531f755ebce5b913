package receiver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/longshore/longshore/soak/numbered"
)

// Elasticsearch imitates the bulk endpoint of Elasticsearch, where documents
// are created once under each id.
type Elasticsearch struct {
	*Server
	Tally numbered.Tally
}

// NewElasticsearch starts one.
func NewElasticsearch(faults *Faults) (*Elasticsearch, error) {
	e := &Elasticsearch{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /_bulk", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		takeWrite(faults, w, r, func(body []byte) (write, error) { return e.readBulk(r, body) })
	})
	var err error
	e.Server, err = newServer(faults, mux)
	return e, err
}

// A bulk is a decoded request to store documents.
type bulk struct {
	elastic *Elasticsearch
	docs    []doc
}

type doc struct {
	id     uint64 // of its index and _id
	source []byte
}

var unpackers = sync.Pool{New: func() any { return new(gzip.Reader) }}

func (e *Elasticsearch) readBulk(r *http.Request, body []byte) (write, error) {
	if r.Header.Get("Content-Encoding") == "gzip" {
		z := unpackers.Get().(*gzip.Reader)
		defer unpackers.Put(z)
		err := z.Reset(bytes.NewReader(body))
		if err == nil {
			body, err = io.ReadAll(io.LimitReader(z, 4*maxRequest))
		}
		if err != nil {
			return nil, fmt.Errorf("decompressing the request: %w", err)
		}
	}
	b := &bulk{elastic: e}
	for len(body) > 0 {
		var d doc
		var err error
		if d, body, err = readDoc(body); err != nil {
			return nil, fmt.Errorf("document %d: %w", len(b.docs), err)
		}
		b.docs = append(b.docs, d)
	}
	return b, nil
}

func readDoc(body []byte) (d doc, rest []byte, err error) {
	action, body, _ := bytes.Cut(body, []byte{'\n'})
	source, rest, ok := bytes.Cut(body, []byte{'\n'})
	if !ok {
		return d, nil, errors.New("the bulk request must be terminated by a newline [\\n]")
	}
	var asks struct {
		Create *struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		}
	}
	if err := json.Unmarshal(action, &asks); err != nil {
		return d, nil, err
	}
	if asks.Create == nil || asks.Create.Index == "" || asks.Create.ID == "" {
		return d, nil, fmt.Errorf("%s is no create with _index and _id", action)
	}
	d = doc{id: max(1, numbered.Hash([]byte(asks.Create.Index), []byte(asks.Create.ID))), source: source}
	return d, rest, nil
}

func (b *bulk) len() int { return len(b.docs) }

// store implements write.
func (b *bulk) store(keep func(i int) bool) reply {
	return b.answer(func(i int) int {
		if !keep(i) || b.elastic.Faults.turnsAway() {
			return http.StatusTooManyRequests
		}
		return b.elastic.create(&b.docs[i])
	})
}

// refuse implements write: a random part is refused for now.
func (b *bulk) refuse() reply {
	keep := b.elastic.Faults.some(len(b.docs))
	busy := b.elastic.Faults.intN(len(b.docs) + 1)
	return b.answer(func(i int) int {
		switch {
		case keep(i):
			return b.elastic.create(&b.docs[i])
		case i < busy:
			return http.StatusTooManyRequests
		}
		return http.StatusServiceUnavailable
	})
}

func (e *Elasticsearch) create(d *doc) (status int) {
	w, n, ok := numbered.Find(d.source)
	if !ok || !json.Valid(d.source) {
		e.Tally.Damaged(d.source)
		return http.StatusCreated
	}
	if !e.Tally.AddOnce(w, n, d.id) {
		return http.StatusConflict
	}
	return http.StatusCreated
}

// The errors of items, from Elasticsearch 7.17.
const (
	saysConflict = `,"error":{"type":"version_conflict_engine_exception","reason":"[1]: version conflict, ` +
		`document already exists (current version [1])"}`
	saysRejected = `,"error":{"type":"es_rejected_execution_exception","reason":"rejected execution of ` +
		`coordinating operation"}`
	saysUnavailable = `,"error":{"type":"unavailable_shards_exception","reason":"[soak][0] primary shard is not ` +
		`active"}`
)

// answer does each document in turn and tells of it.
func (b *bulk) answer(do func(i int) (status int)) reply {
	var items []byte
	failed := false
	for i := range b.docs {
		status := do(i)
		why := errorOf(status)
		failed = failed || why != ""
		if i > 0 {
			items = append(items, ',')
		}
		items = fmt.Appendf(items, `{"create":{"status":%d%s}}`, status, why)
	}
	body := fmt.Appendf(nil, `{"errors":%v,"items":[%s]}`, failed, items)
	return reply{status: http.StatusOK, header: map[string]string{"Content-Type": "application/json"}, body: body}
}

func errorOf(status int) string {
	switch status {
	case http.StatusConflict:
		return saysConflict
	case http.StatusTooManyRequests:
		return saysRejected
	case http.StatusServiceUnavailable:
		return saysUnavailable
	}
	return ""
}
