// Package receiver imitates Grafana Loki and Elasticsearch for the soak test:
// it stores log lines as they do, as far as a sender can tell, and lets requests
// go wrong in every way that networks and servers know.
package receiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// A Server is one destination. It keeps its address whatever happens.
type Server struct {
	Faults  *Faults
	address string

	mu      sync.Mutex
	handler http.Handler
	server  *http.Server // nil while it does not listen
	serving sync.WaitGroup
}

// newServer listens on a free port of the loopback.
func newServer(faults *Faults, handler http.Handler) (*Server, error) {
	s := &Server{Faults: faults, address: "127.0.0.1:0", handler: handler}
	return s, s.Listen()
}

// URL gives the server's address, without a path.
func (s *Server) URL() string { return "http://" + s.address }

// Handler answers as the server does, for one that listens elsewhere.
func (s *Server) Handler() http.Handler { return s.handler }

// Listen takes requests again after Close, at the same address.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return nil
	}
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return fmt.Errorf("listening again: %w", err)
	}
	s.address = l.Addr().String()
	server := &http.Server{Handler: s.handler, ErrorLog: log.New(io.Discard, "", 0)}
	s.server = server
	s.serving.Go(func() { server.Serve(l) })
	return nil
}

// Close ends all connections and stops listening.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		s.server.Close()
		s.serving.Wait()
		s.server = nil
	}
}

// Refuse stops listening for a while.
func (s *Server) Refuse(ctx context.Context, span time.Duration) error {
	s.Faults.happened(Refusal)
	s.Close()
	wait(ctx, span)
	return s.Listen()
}

// Fall silent for a while: requests are taken, and not answered.
func (s *Server) FallSilent(ctx context.Context, span time.Duration) {
	s.Faults.silent()
	wait(ctx, span)
	s.Faults.speak()
}

func wait(ctx context.Context, span time.Duration) {
	t := time.NewTimer(span)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// maxRequest is more than any sender should send.
const maxRequest = 64 << 20

// A reply is an answer.
type reply struct {
	status int
	header map[string]string
	body   []byte
}

func text(status int, words string) reply { return reply{status: status, body: []byte(words)} }

// A write is a request to store items: it stores those that keep chooses, and
// gives the answer there would be if that were all, or, with refuse, one
// that says which of them were not stored for now.
type write interface {
	len() int
	store(keep func(i int) bool) reply
	refuse() reply
}

// takeWrite serves a request to store something, whatever goes wrong.
func takeWrite(f *Faults, w http.ResponseWriter, r *http.Request, read func(body []byte) (write, error)) {
	fault := f.roll(writeFaults)
	defer func() {
		if fault != Fine {
			f.happened(fault)
		}
	}()
	switch fault {
	case ResetUnread:
		reset(w)
		return
	case ResetMidway:
		io.CopyN(io.Discard, r.Body, max(r.ContentLength/2, 1))
		reset(w)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		fault = Fine // the sender is gone
		return
	}
	if f.listen(r.Context()) {
		fault = Fine // it was Silence, and counted as such
		reset(w)
		return
	}
	it, err := read(body)
	if err != nil {
		answer(w, text(http.StatusBadRequest, err.Error()))
		return
	}
	serveWrite(f, fault, w, r, it)
}

func serveWrite(f *Faults, fault Fault, w http.ResponseWriter, r *http.Request, it write) {
	all := func(int) bool { return true }
	switch fault {
	case Busy, BusyUntil, Failing, Unavailable:
		answer(w, failure(fault))
	case ResetStored:
		it.store(all)
		reset(w)
	case ResetPart:
		it.store(f.some(it.len()))
		reset(w)
	case FailingStored:
		it.store(all)
		answer(w, failure(Failing))
	case FailingPart:
		it.store(f.some(it.len()))
		answer(w, failure(Failing))
	case Stall:
		wait(r.Context(), f.stall)
		reset(w)
	case StallStored:
		it.store(all)
		wait(r.Context(), f.stall)
		reset(w)
	case Partial:
		answer(w, it.refuse())
	case Slow:
		wait(r.Context(), f.stall/4)
		fallthrough
	default:
		answer(w, it.store(all))
	}
}

// takeRead serves a question.
func takeRead(f *Faults, w http.ResponseWriter, r *http.Request, ask func() reply) {
	fault := f.roll(readFaults)
	if fault != Fine {
		f.happened(fault)
	}
	if f.listen(r.Context()) {
		reset(w)
		return
	}
	switch fault {
	case Busy, Failing, Unavailable:
		answer(w, failure(fault))
	case ResetUnread:
		reset(w)
	case Stall:
		wait(r.Context(), f.stall)
		reset(w)
	case Slow:
		wait(r.Context(), f.stall/4)
		fallthrough
	default:
		answer(w, ask())
	}
}

// failure is an answer before anything is stored, or where the sender cannot tell.
func failure(fault Fault) reply {
	switch fault {
	case Busy:
		return text(http.StatusTooManyRequests, "too many requests")
	case BusyUntil:
		return reply{status: http.StatusTooManyRequests, header: map[string]string{"Retry-After": "1"},
			body: []byte("too many requests")}
	case Unavailable:
		return text(http.StatusServiceUnavailable, "service unavailable")
	}
	return text(http.StatusInternalServerError, "internal error")
}

func answer(w http.ResponseWriter, r reply) {
	for name, value := range r.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(r.status)
	w.Write(r.body)
}

// reset ends the connection as a crash would: the client reads ECONNRESET.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if errors.Is(err, http.ErrHijacked) || err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}
