package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/longshore/longshore/agent/recent"
)

// logs answers for the recent records.
type logs struct {
	store   *recent.Store   // nil where there is none
	serving context.Context // ends with the server
}

// register adds what is asked for at /api/v1/logs.
func (l *logs) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/logs", l.page)
	mux.HandleFunc("GET /api/v1/logs/stream", l.stream)
}

// A logsPage is the answer of /api/v1/logs.
type logsPage struct {
	Records []json.RawMessage `json:"records"`          // oldest first
	Before  string            `json:"before"`           // where older ones are to be had; "" where there are none
	Oldest  *time.Time        `json:"oldest,omitempty"` // of all that are kept
	Skipped uint64            `json:"skipped"`          // since the start: what came too fast to be kept
}

// page answers with the newest records that a filter takes.
func (l *logs) page(w http.ResponseWriter, r *http.Request) {
	filter, ok := l.filter(w, r)
	if !ok {
		return
	}
	q := recent.Query{Filter: filter}
	err := readLimit(r.URL.Query().Get("limit"), &q.Limit)
	if err == nil {
		q.Before, err = recent.ParseCursor(r.URL.Query().Get("before"))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	found, err := l.store.Query(r.Context(), q)
	if err != nil {
		return // the client is gone
	}
	page := logsPage{Records: []json.RawMessage{}, Before: found.Before.String(), Skipped: l.store.LeftOut()}
	for _, record := range found.Records {
		page.Records = append(page.Records, record)
	}
	if !found.Oldest.IsZero() {
		page.Oldest = &found.Oldest
	}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(page) // fails if the client is gone
}

// filter reads the filter of a request; if there is none to be had, it answers.
func (l *logs) filter(w http.ResponseWriter, r *http.Request) (recent.Filter, bool) {
	if l.store == nil {
		http.Error(w, "recent records are not kept; set recent: on in the config", http.StatusNotFound)
		return recent.Filter{}, false
	}
	filter, err := recent.ParseFilter(r.URL.Query(), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return recent.Filter{}, false
	}
	return filter, true
}

func readLimit(text string, limit *int) error {
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > recent.MaxLimit {
		return fmt.Errorf("limit: %q is not a number from 1 to %d", text, recent.MaxLimit)
	}
	*limit = n
	return nil
}

const (
	// heartbeat is how often a stream that has nothing to say shows that it is alive.
	heartbeat = 15 * time.Second
	// streamTimeout is how long a client may take to read what is written at a time.
	streamTimeout = 10 * time.Second
	// streamBuffer is what is written at a time, but for the last record in it.
	streamBuffer = 64 << 10
)

// stream sends the records that a filter takes, from now on, until the client or the server ends.
func (l *logs) stream(w http.ResponseWriter, r *http.Request) {
	filter, ok := l.filter(w, r)
	if !ok {
		return
	}
	subscription, err := l.store.Subscribe(filter)
	if err != nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer subscription.Close()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(l.serving, cancel)()
	s := eventStream{w: w, control: http.NewResponseController(w)}
	if s.begin() == nil {
		s.follow(ctx, subscription)
	}
}

// An eventStream writes server-sent events.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	pending bytes.Buffer
	err     error // the client is gone
}

// begin ends the limits on the time that an answer takes, and answers.
func (s *eventStream) begin() error {
	s.w.Header().Set("Content-Type", "text/event-stream")
	s.w.Header().Set("X-Accel-Buffering", "no") // a proxy is not to keep it
	// Where a limit cannot be set, it is not there.
	_ = s.control.SetReadDeadline(time.Time{})
	s.pending.WriteString(": longshore\n\n")
	return s.flush()
}

func (s *eventStream) follow(ctx context.Context, from *recent.Subscription) {
	for s.err == nil {
		limit, cancel := context.WithTimeout(ctx, heartbeat)
		skipped, err := from.Next(limit, s.record)
		cancel()
		switch {
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			s.pending.WriteString(":\n\n")
		case err != nil:
			return
		case skipped > 0:
			fmt.Fprintf(&s.pending, "event: skipped\ndata: %d\n\n", skipped)
		}
		if s.flush() != nil {
			return
		}
	}
}

// record writes a record, which is one line of JSON.
func (s *eventStream) record(record []byte) {
	s.pending.WriteString("data: ")
	s.pending.Write(record)
	s.pending.WriteString("\n\n")
	if s.pending.Len() >= streamBuffer {
		_ = s.flush() // follow looks at the error
	}
}

func (s *eventStream) flush() error {
	if s.err != nil || s.pending.Len() == 0 {
		s.pending.Reset()
		return s.err
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(streamTimeout))
	_, s.err = s.w.Write(s.pending.Bytes())
	s.pending.Reset()
	if s.err == nil {
		s.err = s.control.Flush()
	}
	return s.err
}
