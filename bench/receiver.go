package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// receiver takes Loki pushes, bulk requests, JSON lines, OTLP logs and the floor's blocks, counts
// their records and keeps nothing. It shares the machine with what is measured, so it allocates
// nothing for a request and looks at no more of it than it must.
type receiver struct {
	address  string
	server   *http.Server
	broker   *kfake.Cluster // nil without Kafka
	want     int64
	all      chan struct{}
	allOnce  sync.Once
	lines    atomic.Int64
	requests atomic.Int64
	bytes    atomic.Int64
	first    atomic.Int64 // when the first request came, in Unix nanoseconds
	bodies   sync.Pool    // of *body

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
	mux.HandleFunc("POST /insert/jsonline", r.counting(jsonRecords, noContent))
	mux.HandleFunc("POST /v1/logs", r.counting(otlpRecords, noOTLPTrouble))
	mux.HandleFunc("POST "+floorPath, r.counting(floorRecords, noContent))
	r.server = &http.Server{Handler: mux}
	go r.server.Serve(l)
	return r, nil
}

func (r *receiver) close() {
	r.server.Close()
	if r.broker != nil {
		r.broker.Close()
	}
}

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
	if r.requests.Add(1) == 1 {
		r.first.Store(time.Now().UnixNano())
	}
	r.bytes.Add(int64(sent))
	if r.lines.Add(int64(records)) >= r.want {
		r.allOnce.Do(func() { close(r.all) })
	}
}

// stalled is how long nothing may come from a process that has lines to send. The
// first ones may take some time.
const stalled = 30 * time.Second

// wait waits until so many records have come from a process.
func (r *receiver) wait(ctx context.Context, from *agent, n int64) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	lines, since := int64(0), time.Now()
	for lines < n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			<-from.ended
			return ctx.Err()
		case err := <-from.ended:
			return fmt.Errorf("it ended after %d of %d lines: %v\n%s", lines, n, err, from.out.Bytes())
		}
		if now := r.lines.Load(); now != lines {
			lines, since = now, time.Now()
		}
		if time.Since(since) > stalled {
			from.end()
			<-from.ended
			return fmt.Errorf("%d of %d lines came, and then none for %s\n%s", lines, n, stalled, from.out.Bytes())
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
