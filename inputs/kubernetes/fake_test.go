package kubernetes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A fakeAPI lists and watches pods as an API server does, over HTTP.
type fakeAPI struct {
	*httptest.Server
	mu       sync.Mutex
	version  int
	objects  map[string]string // by uid
	changes  []string          // lines of a watch; the one at i is of version i+1
	lists    int
	broken   bool // it answers with 500
	grown    chan struct{}
	requests []string
}

func newFakeAPI(t testing.TB) *fakeAPI {
	f := &fakeAPI{objects: map[string]string{}, grown: make(chan struct{})}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeAPI) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.URL.Path+" "+r.URL.Query().Get("fieldSelector")+" "+r.Header.Get("Accept"))
	broken := f.broken
	f.mu.Unlock()
	switch {
	case broken:
		http.Error(w, `{"message":"out of order"}`, http.StatusInternalServerError)
	case r.URL.Query().Get("watch") != "":
		f.watch(w, r)
	default:
		f.list(w)
	}
}

func (f *fakeAPI) list(w http.ResponseWriter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	var items []string
	for _, object := range f.objects {
		items = append(items, object)
	}
	fmt.Fprintf(w, `{"metadata":{"resourceVersion":"%d"},"items":[%s]}`, f.version, strings.Join(items, ","))
}

func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request) {
	var at int
	fmt.Sscan(r.URL.Query().Get("resourceVersion"), &at)
	w.WriteHeader(http.StatusOK)
	for {
		w.(http.Flusher).Flush()
		f.mu.Lock()
		lines, grown, broken := f.changes[min(at, len(f.changes)):], f.grown, f.broken
		f.mu.Unlock()
		for _, line := range lines {
			fmt.Fprintln(w, line)
		}
		at += len(lines)
		if len(lines) > 0 {
			continue
		}
		if broken {
			return
		}
		select {
		case <-grown:
		case <-r.Context().Done():
			return
		}
	}
}

// put adds a pod, or changes or deletes one.
func (f *fakeAPI) put(what, uid string, labels, annotations map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	object, _ := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": uid, "labels": labels, "annotations": annotations, "resourceVersion": fmt.Sprint(f.version),
	}})
	f.objects[uid] = string(object)
	if what == "DELETED" {
		delete(f.objects, uid)
	}
	f.changes = append(f.changes, fmt.Sprintf(`{"type":%q,"object":%s}`, what, object))
	close(f.grown)
	f.grown = make(chan struct{})
}

// breaks has the server fail, or work again. What is being watched ends.
func (f *fakeAPI) breaks(broken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = broken
	close(f.grown)
	f.grown = make(chan struct{})
}
