package docker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/longshore/longshore/inputs/docker/logformat"
)

// A fakeEngine speaks the Engine API as dockerd does, over connections in memory, so that tests can
// run in a synctest bubble, or over a real socket.
type fakeEngine struct {
	version    string // of its API
	negotiated string // the one that requests use, if it is another
	// oldSince filters every message by its time, as engines before 23.0 do; newer ones stop at the
	// first match.
	oldSince bool
	ahead    time.Duration // of its clock against that of the test
	// breakAfter breaks a log connection after so many bytes of the log, if > 0.
	breakAfter int
	// reject answers a request with a status, if it is not 0.
	reject     func(r *http.Request) (status int, message string)
	answer     func(w http.ResponseWriter, r *http.Request) (done bool)
	lateHeader bool   // send the header of the events with the first one, as old Podman does
	answered   func() // called after that header, before events are collected
	podman     bool   // answer as Podman does
	endsEarly  bool   // end a followed log when its container stops, with messages unsent

	server *http.Server
	served sync.WaitGroup
	conns  chan net.Conn
	closed chan struct{}

	mu         sync.Mutex
	changed    chan struct{}
	generation int // raised by a restart: all connections end
	containers map[string]*fakeContainer
	events     []fakeEvent
	requests   []string
	sinces     []string
	dialled    int
}

type fakeContainer struct {
	ID, Name, Image string
	TTY             bool
	Labels          map[string]string
	Driver          string
	Options         map[string]string // of the driver
	State           string            // created, running, paused, exited, removing, dead
	Framed          bool              // although there is a TTY
	Created         time.Time
	Upper           string
	Log             []message
	Compressed      int       // so many messages are in compressed files, the first of them in the oldest
	Files           *jsonFile // where the log is also stored, or nil
}

// A message is one entry of a container's log file.
type message struct {
	ts   int64
	from logformat.Stream
	text string
	// A rotated message is still in the files, but the engine's stream leaves it out.
	rotated bool
	// The last so many messages are sent again after this one when the log is followed.
	duplicates int
}

type fakeEvent struct {
	action, id, name string
	ts               int64
}

func newFakeEngine(t testing.TB) *fakeEngine {
	e := &fakeEngine{
		version:    "1.51",
		conns:      make(chan net.Conn),
		closed:     make(chan struct{}),
		changed:    make(chan struct{}),
		containers: map[string]*fakeContainer{},
	}
	e.listen(memoryListener{e})
	t.Cleanup(e.close)
	return e
}

func (e *fakeEngine) listen(l net.Listener) {
	e.server = &http.Server{Handler: e}
	e.served.Go(func() { e.server.Serve(l) })
}

// atSocket makes the engine listen at a real socket, and returns its address.
func (e *fakeEngine) atSocket(t *testing.T) (host string) {
	path := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	e.close()
	e.listen(l)
	return "unix://" + path
}

func (e *fakeEngine) close() {
	e.server.Close()
	e.restart()
	e.served.Wait()
}

// A memoryListener accepts what dial makes.
type memoryListener struct{ e *fakeEngine }

func (l memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.e.conns:
		return c, nil
	case <-l.e.closed:
		return nil, net.ErrClosed
	}
}
func (l memoryListener) Close() error   { close(l.e.closed); return nil }
func (l memoryListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (e *fakeEngine) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	e.change(func() { e.dialled++ })
	select {
	case e.conns <- server:
		return client, nil
	case <-e.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// change changes the engine's state and wakes all handlers.
func (e *fakeEngine) change(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *fakeEngine) add(c *fakeContainer) *fakeContainer {
	if len(c.ID) < 64 {
		c.ID += strings.Repeat("0", 64-len(c.ID))
	}
	if c.Created.IsZero() {
		c.Created = time.Now()
	}
	e.change(func() { e.containers[c.ID] = c })
	return c
}

func (e *fakeEngine) event(action string, c *fakeContainer) {
	e.change(func() { e.events = append(e.events, fakeEvent{action, c.ID, c.Name, time.Now().UnixNano()}) })
}

// start adds a running container, with the event of its start.
func (e *fakeEngine) start(c *fakeContainer) *fakeContainer {
	e.add(c)
	e.change(func() { c.State = "running" })
	e.event("start", c)
	return c
}

func (e *fakeEngine) stop(c *fakeContainer) {
	e.change(func() { c.State = "exited" })
	e.event("die", c)
}

func (e *fakeEngine) pause(c *fakeContainer) {
	e.change(func() { c.State = "paused" })
	e.event("pause", c)
}

func (e *fakeEngine) unpause(c *fakeContainer) {
	e.change(func() { c.State = "running" })
	e.event("unpause", c)
}

// again starts a stopped container.
func (e *fakeEngine) again(c *fakeContainer) {
	e.change(func() { c.State = "running" })
	e.event("start", c)
}

func (e *fakeEngine) remove(c *fakeContainer) {
	e.change(func() { delete(e.containers, c.ID) })
	if e.podman {
		e.event("remove", c)
		return
	}
	e.event("destroy", c)
}

func (e *fakeEngine) write(c *fakeContainer, log ...message) {
	e.change(func() {
		c.Log = append(c.Log, log...)
		for _, m := range log {
			c.Files.write(m)
		}
	})
}

// restart ends all connections.
func (e *fakeEngine) restart() { e.change(func() { e.generation++ }) }

func (e *fakeEngine) dials() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dialled
}

func (e *fakeEngine) asked() (requests, sinces []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.requests...), append([]string(nil), e.sinces...)
}

func (e *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	e.requests = append(e.requests, r.Method+" "+r.URL.Path)
	e.mu.Unlock()
	w.Header().Set("Api-Version", e.version)
	if e.podman {
		w.Header().Set("Libpod-Api-Version", "5.6.2")
		w.Header().Set("Server", "Libpod/5.6.2 (linux)")
	}
	if e.reject != nil {
		if status, text := e.reject(r); status != 0 {
			fail(w, status, text)
			return
		}
	}
	if e.answer != nil && e.answer(w, r) {
		return
	}
	path, versioned := strings.CutPrefix(r.URL.Path, "/v"+cmp.Or(e.negotiated, e.version))
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case path == "/_ping":
		w.Write([]byte("OK"))
	case !versioned:
		fail(w, 400, "client version is too new. Maximum supported API version is "+e.version)
	case path == "/info":
		reply(w, map[string]any{"Name": "dockerhost", "SystemTime": time.Now().Add(e.ahead).Format(time.RFC3339Nano)})
	case path == "/events":
		e.serveEvents(w, r)
	case path == "/containers/json":
		e.serveList(w)
	case len(parts) == 3 && parts[2] == "json":
		e.serveInspect(w, parts[1])
	case len(parts) == 3 && parts[2] == "logs":
		e.serveLogs(w, r, parts[1])
	default:
		fail(w, 404, "page not found")
	}
}

func fail(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"message": text})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func (e *fakeEngine) serveList(w http.ResponseWriter) {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := []map[string]any{}
	for _, c := range e.containers {
		list = append(list, map[string]any{"Id": c.ID, "Names": []string{"/" + c.Name}, "State": c.State})
	}
	reply(w, list)
}

func (e *fakeEngine) serveInspect(w http.ResponseWriter, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.containers[id]
	if c == nil {
		fail(w, 404, "No such container: "+id)
		return
	}
	driver := c.Driver
	if driver == "" {
		driver = "json-file"
	}
	logPath := ""
	if c.Files != nil {
		logPath = c.Files.path
	}
	reply(w, map[string]any{
		"Id": c.ID, "Name": "/" + c.Name, "Created": c.Created.Format(time.RFC3339Nano), "LogPath": logPath,
		"State": map[string]any{"Status": c.State, "Running": c.State == "running" || c.State == "paused",
			"Dead": c.State == "dead"},
		"Config":      map[string]any{"Image": c.Image, "Labels": c.Labels, "Tty": c.TTY},
		"HostConfig":  map[string]any{"LogConfig": map[string]any{"Type": driver, "Config": c.Options}},
		"GraphDriver": map[string]any{"Name": "overlay2", "Data": map[string]string{"UpperDir": c.Upper}},
	})
}

func (e *fakeEngine) serveEvents(w http.ResponseWriter, r *http.Request) {
	if !e.lateHeader {
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
	}
	if e.answered != nil {
		e.answered()
	}
	since := parseSince(r.URL.Query().Get("since"))
	e.mu.Lock()
	generation, next := e.generation, len(e.events)
	if since > 0 {
		next = 0
	}
	e.mu.Unlock()
	for {
		e.mu.Lock()
		events, changed, now := e.events[next:], e.changed, e.generation
		e.mu.Unlock()
		for _, v := range events {
			if v.ts >= since {
				json.NewEncoder(w).Encode(map[string]any{
					"Type": "container", "Action": v.action, "timeNano": v.ts,
					"Actor": map[string]any{"ID": v.id, "Attributes": map[string]string{"name": v.name}},
				})
				w.(http.Flusher).Flush()
			}
		}
		next += len(events)
		if now != generation {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

func (e *fakeEngine) serveLogs(w http.ResponseWriter, r *http.Request, id string) {
	query := r.URL.Query()
	e.mu.Lock()
	c, generation := e.containers[id], e.generation
	e.sinces = append(e.sinces, query.Get("since"))
	switch {
	case c == nil:
		defer e.mu.Unlock()
		fail(w, 404, "No such container: "+id)
		return
	case c.State == "removing" || c.State == "dead":
		defer e.mu.Unlock()
		fail(w, 409, "can not get logs from container which is dead or marked for removal")
		return
	case c.Driver == "none" || c.Driver == "syslog":
		defer e.mu.Unlock()
		fail(w, 501, "configured logging driver does not support reading")
		return
	case c.Driver == "passthrough":
		defer e.mu.Unlock()
		fail(w, 500, "failed to obtain logs for Container '"+id+"': this container is using the 'passthrough' "+
			"log driver, cannot read logs: this container is not logging output")
		return
	}
	e.mu.Unlock()
	if query.Get("stdout") != "1" || query.Get("stderr") != "1" || query.Get("timestamps") != "1" {
		fail(w, 400, "the test wants stdout, stderr and timestamps")
		return
	}
	out := &breakingWriter{w: w, remaining: e.breakAfter, limited: e.breakAfter > 0}
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	e.mu.Lock()
	tail, next := len(c.Log), 0
	since, follow := parseSince(query.Get("since")), query.Get("follow") == "1"
	if c.Compressed > 0 && e.version == "1.41" && c.Log[0].ts < since {
		next = c.Compressed // as engines before 23.0 do
	}
	e.mu.Unlock()
	if n, err := strconv.Atoi(query.Get("tail")); err == nil {
		until := parseSince(query.Get("until"))
		for until > 0 && tail > 0 && c.Log[tail-1].ts > until {
			tail--
		}
		next = max(0, tail-n)
	}
	for {
		e.mu.Lock()
		log, changed, state := c.Log, e.changed, c.State
		gone := e.containers[id] == nil || e.generation != generation
		e.mu.Unlock()
		running := state == "running" || state == "paused" && !e.podman
		if !running && follow && e.endsEarly {
			return
		}
		for next = min(next, len(log)); next < len(log); next++ {
			m := log[next]
			if m.ts < since || e.podman && m.ts == since || m.rotated && next >= tail {
				continue
			}
			if !e.oldSince && !e.podman {
				since = 0
			}
			out.Write(e.encode(m, c))
			if next < tail {
				continue
			}
			for _, m := range log[next+1-m.duplicates : next+1] {
				out.Write(e.encode(m, c))
			}
		}
		if gone || !running || !follow {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// encode writes a message as the engine does.
func (e *fakeEngine) encode(m message, c *fakeContainer) []byte {
	if !e.podman {
		return encodeMessage(m, c.TTY && !c.Framed)
	}
	zone := time.FixedZone("", 2*3600)
	return encodeLine(m.from, time.Unix(0, m.ts).In(zone).Format(time.RFC3339)+" "+m.text, c.TTY && !c.Framed)
}

// encodeMessage writes a message as the daemon's log stream does (moby,
// daemon/server/httputils/logstream).
func encodeMessage(m message, tty bool) []byte {
	return encodeLine(m.from, time.Unix(0, m.ts).UTC().Format("2006-01-02T15:04:05.000000000Z07:00")+" "+m.text, tty)
}

func encodeLine(from logformat.Stream, line string, tty bool) []byte {
	if tty {
		return []byte(line)
	}
	header := [8]byte{0: byte(from) + 1}
	binary.BigEndian.PutUint32(header[4:], uint32(len(line)))
	return append(header[:], line...)
}

func parseSince(s string) int64 {
	if s == "" {
		return 0
	}
	sec, frac, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(sec, 10, 64)
	nano, err2 := strconv.ParseInt((frac + "000000000")[:9], 10, 64)
	if err != nil || err2 != nil {
		panic(fmt.Sprintf("since %q", s))
	}
	return n*1e9 + nano
}

// A breakingWriter breaks the connection after so many bytes.
type breakingWriter struct {
	w         http.ResponseWriter
	remaining int
	limited   bool
}

func (c *breakingWriter) Write(p []byte) (int, error) {
	cut := c.limited && len(p) >= c.remaining
	if cut {
		p = p[:c.remaining]
	}
	c.remaining -= len(p)
	c.w.Write(p)
	c.w.(http.Flusher).Flush()
	if cut {
		panic(http.ErrAbortHandler)
	}
	return len(p), nil
}

// lines returns the lines of a stream: parts joined, line ends removed.
func lines(log []message, from logformat.Stream) []string {
	var out []string
	var open bytes.Buffer
	var ts int64
	begun := false
	for _, m := range log {
		if m.from != from {
			continue
		}
		if begun && ts != m.ts {
			out = append(out, open.String())
			open.Reset()
		}
		begun, ts = true, m.ts
		text, ended := strings.CutSuffix(m.text, "\n")
		open.WriteString(text)
		if ended {
			out = append(out, strings.TrimSuffix(open.String(), "\r"))
			open.Reset()
			begun = false
		}
	}
	if begun {
		out = append(out, open.String())
	}
	return out
}
