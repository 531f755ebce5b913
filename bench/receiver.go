package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/s2"
)

// receiver takes Loki pushes and bulk requests, counts their records and
// keeps nothing.
type receiver struct {
	address  string
	server   *http.Server
	want     int64
	all      chan struct{}
	allOnce  sync.Once
	lines    atomic.Int64
	requests atomic.Int64
	bytes    atomic.Int64

	timed     bool // lines say when they were written
	mu        sync.Mutex
	latencies []time.Duration
}

func newReceiver(want int64) (*receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{address: l.Addr().String(), want: want, all: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /loki/api/v1/push", r.push)
	mux.HandleFunc("POST /_bulk", r.bulk)
	r.server = &http.Server{Handler: mux}
	go r.server.Serve(l)
	return r, nil
}

func (r *receiver) close() { r.server.Close() }

func (r *receiver) count(records int, body int) {
	r.requests.Add(1)
	r.bytes.Add(int64(body))
	if r.lines.Add(int64(records)) >= r.want {
		r.allOnce.Do(func() { close(r.all) })
	}
}

func (r *receiver) push(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	raw, err := s2.Decode(nil, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	entries, err := r.entries(raw, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.count(entries, len(body))
	w.WriteHeader(http.StatusNoContent)
}

// entries counts field 2 (entries) of every field 1 (streams) of a push
// request.
func (r *receiver) entries(p []byte, now time.Time) (n int, err error) {
	err = fields(p, func(number uint64, stream []byte) error {
		if number != 1 {
			return nil
		}
		return fields(stream, func(number uint64, entry []byte) error {
			if number == 2 {
				n++
				r.time(entry, now)
			}
			return nil
		})
	})
	return n, err
}

// time notes how long a line was on its way.
func (r *receiver) time(entry []byte, now time.Time) {
	_, rest, found := bytes.Cut(entry, []byte(`"written":`))
	if !r.timed || !found {
		return
	}
	var written int64
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		written = written*10 + int64(c-'0')
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latencies = append(r.latencies, now.Sub(time.Unix(0, written)))
}

// takeLatencies gives what was noted since the last call.
func (r *receiver) takeLatencies() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.latencies
	r.latencies = nil
	return taken
}

// fields calls f for each length-delimited field of a protobuf message, and
// skips varints; there are no others in a push request.
func fields(p []byte, f func(number uint64, value []byte) error) error {
	for len(p) > 0 {
		tag, n := binary.Uvarint(p)
		if n <= 0 {
			return fmt.Errorf("bad tag")
		}
		p = p[n:]
		v, n := binary.Uvarint(p)
		if n <= 0 {
			return fmt.Errorf("bad varint")
		}
		p = p[n:]
		if tag&7 == 0 {
			continue
		}
		if tag&7 != 2 || v > uint64(len(p)) {
			return fmt.Errorf("bad field")
		}
		if err := f(tag>>3, p[:v]); err != nil {
			return err
		}
		p = p[v:]
	}
	return nil
}

func (r *receiver) bulk(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	raw := body
	if req.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			raw, err = io.ReadAll(z)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	n := bytes.Count(raw, []byte{'\n'}) / 2
	r.count(n, len(body))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	io.WriteString(w, `{"errors":false,"items":[`+strings.TrimSuffix(strings.Repeat(`{"create":{"status":201}},`, n), ",")+`]}`)
}
