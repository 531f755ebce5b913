package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// receiver takes Loki pushes, bulk requests, OTLP logs and the floor's blocks,
// counts their records and keeps nothing. It shares the machine with what is
// measured, so it allocates nothing for a request and looks at no more of it than
// it must.
type receiver struct {
	address  string
	server   *http.Server
	want     int64
	all      chan struct{}
	allOnce  sync.Once
	lines    atomic.Int64
	requests atomic.Int64
	bytes    atomic.Int64
	bodies   sync.Pool // of *body

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
	r.bodies.New = func() any { return new(body) }
	mux := http.NewServeMux()
	mux.HandleFunc("POST /loki/api/v1/push", r.counting(lokiRecords, noContent))
	mux.HandleFunc("POST /_bulk", r.counting(bulkRecords, bulkAnswer()))
	mux.HandleFunc("POST /v1/logs", r.counting(otlpRecords, noOTLPTrouble))
	mux.HandleFunc("POST "+floorPath, r.counting(floorRecords, noContent))
	r.server = &http.Server{Handler: mux}
	go r.server.Serve(l)
	return r, nil
}

func (r *receiver) close() { r.server.Close() }

// A recordsFunc counts the records of a request, and calls each with every one of
// them, if it is not nil. The body's slices are its own to use.
type recordsFunc func(req *http.Request, b *body, each func(record []byte)) (int, error)

// counting is a handler that counts what records finds, and answers.
func (r *receiver) counting(records recordsFunc, answer func(w http.ResponseWriter, n int)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		b := r.bodies.Get().(*body)
		defer r.bodies.Put(b)
		if err := b.read(req); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var each func([]byte)
		if r.timed {
			now := time.Now()
			each = func(record []byte) { r.time(record, now) }
		}
		n, err := records(req, b, each)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.count(n, b.sent)
		answer(w, n)
	}
}

func (r *receiver) count(records int, sent int) {
	r.requests.Add(1)
	r.bytes.Add(int64(sent))
	if r.lines.Add(int64(records)) >= r.want {
		r.allOnce.Do(func() { close(r.all) })
	}
}

// wait waits until so many records have come, or none came for long.
func (r *receiver) wait(ctx context.Context, n int64) error {
	const long = 5 * time.Second
	for before := int64(-1); r.lines.Load() < n && r.lines.Load() > before; {
		before = r.lines.Load()
		for range long / (50 * time.Millisecond) {
			if err := wait(ctx, 50*time.Millisecond); err != nil {
				return err
			}
			if r.lines.Load() >= n {
				break
			}
		}
	}
	return nil
}

func noContent(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusNoContent) }

// time notes how long a line was on its way.
func (r *receiver) time(record []byte, now time.Time) {
	written, ok := writtenAt(record)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latencies = append(r.latencies, now.Sub(written))
}

// takeLatencies gives what was noted since the last call.
func (r *receiver) takeLatencies() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.latencies
	r.latencies = nil
	return taken
}
