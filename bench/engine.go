package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// An engine speaks as much of the Docker Engine's API as the agent asks for, of
// containers that only exist as logs.
type engine struct {
	socket     string // its path
	server     *http.Server
	containers map[string]*container
}

const engineVersion = "1.51"

// newEngine listens on a socket in a folder.
func newEngine(dir string, containers []*container) (*engine, error) {
	socket := filepath.Join(dir, "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	e := &engine{socket: socket, containers: map[string]*container{}}
	for _, c := range containers {
		e.containers[c.id] = c
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_ping", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("OK")) })
	const root = "GET /v" + engineVersion
	mux.HandleFunc(root+"/info", e.info)
	mux.HandleFunc(root+"/events", e.events)
	mux.HandleFunc(root+"/containers/json", e.list)
	mux.HandleFunc(root+"/containers/{id}/json", e.of((*container).inspect))
	mux.HandleFunc(root+"/containers/{id}/logs", e.of((*container).logs))
	e.server = &http.Server{Handler: versioned(mux)}
	go e.server.Serve(l)
	return e, nil
}

func (e *engine) close() { e.server.Close() }

// input is the agent's config to follow this engine.
func (e *engine) input(more string) string {
	return fmt.Sprintf("{type: docker, host: \"unix://%s\"%s}", e.socket, more)
}

func versioned(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", engineVersion)
		h.ServeHTTP(w, r)
	})
}

func (e *engine) info(w http.ResponseWriter, _ *http.Request) {
	reply(w, map[string]any{"Name": "bench", "SystemTime": time.Now().Format(time.RFC3339Nano)})
}

// events has none to tell, and stays open as dockerd's does.
func (e *engine) events(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func (e *engine) list(w http.ResponseWriter, _ *http.Request) {
	var all []map[string]any
	for _, c := range e.containers {
		all = append(all, map[string]any{"Id": c.id, "Names": []string{"/" + c.name}, "State": "running"})
	}
	reply(w, all)
}

// of finds the container that a request is about.
func (e *engine) of(f func(*container, http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := e.containers[r.PathValue("id")]
		if c == nil {
			w.WriteHeader(http.StatusNotFound)
			reply(w, map[string]any{"message": "No such container: " + r.PathValue("id")})
			return
		}
		f(c, w, r)
	}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// A container runs for as long as its engine.
type container struct {
	id, name string
	logPath  string // of its json-file, as the engine tells it; "": there is none
	created  time.Time

	mu     sync.Mutex
	file   *os.File            // at logPath, if it writes there
	out    http.ResponseWriter // of who follows its log, if anybody does
	packed []byte
}

func newContainer(i int) *container {
	return &container{
		id:      fmt.Sprintf("%012x", i+1) + strings.Repeat("0", 52),
		name:    fmt.Sprintf("shop-app%03d-1", i),
		created: time.Now().Add(-time.Hour),
	}
}

func (c *container) inspect(w http.ResponseWriter, _ *http.Request) {
	reply(w, map[string]any{
		"Id": c.id, "Name": "/" + c.name, "Created": c.created.Format(time.RFC3339Nano), "LogPath": c.logPath,
		"State": map[string]any{"Status": "running", "Running": true},
		"Config": map[string]any{"Image": "registry.example.com/shop/app:1.4.2", "Tty": false,
			"Labels": map[string]string{
				"com.docker.compose.project": "shop",
				"com.docker.compose.service": strings.TrimSuffix(strings.TrimPrefix(c.name, "shop-"), "-1"),
			}},
		"HostConfig": map[string]any{"LogConfig": map[string]any{"Type": "json-file", "Config": map[string]string{}}},
	})
}

// logs lets write find who follows, until they go.
func (c *container) logs(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/vnd.docker.multiplexed-stream")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	if r.URL.Query().Get("follow") != "1" {
		return
	}
	c.mu.Lock()
	c.out = w
	c.mu.Unlock()
	<-r.Context().Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out == w {
		c.out = nil
	}
}

// write logs a line on stdout, into the file or to who follows, and reports whether
// there was either.
func (c *container) write(line []byte, now time.Time) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != nil {
		c.packed = append(appendEntry(c.packed[:0], now, line), '\n')
		_, err := c.file.Write(c.packed)
		return true, err
	}
	if c.out == nil {
		return false, nil
	}
	c.packed = appendFrame(c.packed[:0], now, line)
	c.out.Write(c.packed) // who has gone is not there the next time
	c.out.(http.Flusher).Flush()
	return true, nil
}

// openFile makes the container's json-file, where dockerd has it in its folder.
func (c *container) openFile(dir string) (err error) {
	c.logPath = jsonFile(dir, c.id)
	if err := os.MkdirAll(filepath.Dir(c.logPath), 0o755); err != nil {
		return err
	}
	c.file, err = os.Create(c.logPath)
	return err
}

func jsonFile(dir, id string) string { return filepath.Join(dir, id, id+"-json.log") }
