package s3

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// A fakeS3 is a bucket in memory, with what is needed of S3: PUT, also only where there is nothing,
// HEAD and DELETE.
type fakeS3 struct {
	*httptest.Server
	mu       sync.Mutex
	objects  map[string]fakeObject // by path
	order    []string
	requests []*http.Request
	// answer may answer a request in place of the bucket, and says so.
	answer func(w http.ResponseWriter, r *http.Request) bool
	// heedless takes conditions and pays no heed to them.
	heedless bool
}

type fakeObject struct {
	content []byte
	header  http.Header
}

func newFakeS3(t testing.TB) *fakeS3 {
	s := &fakeS3{objects: map[string]fakeObject{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	if s.answer != nil && s.answer(w, r) {
		return
	}
	path := r.URL.Path
	object, is := s.objects[path]
	switch {
	case r.Method == http.MethodPut && is && r.Header.Get("If-None-Match") == "*" && !s.heedless:
		xmlError(w, http.StatusPreconditionFailed, "PreconditionFailed")
	case r.Method == http.MethodPut:
		s.put(path, content, r.Header)
		w.Header().Set("Etag", `"an-etag"`)
	case r.Method == http.MethodHead && is:
		w.Header().Set("Etag", `"an-etag"`)
		w.Header().Set(emptyHeader, object.header.Get(emptyHeader))
	case r.Method == http.MethodHead && path == "/logs":
		w.Header().Set("Server", "FakeS3")
	case r.Method == http.MethodDelete:
		delete(s.objects, path)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (s *fakeS3) put(path string, content []byte, header http.Header) {
	s.objects[path] = fakeObject{content, header.Clone()}
	s.order = append(s.order, path)
}

func xmlError(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>words of it</Message></Error>`, code)
}

// keepingContent has the content of a request at hand for s.content.
func keepingContent(s *fakeS3) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(content))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
		s.ServeHTTP(w, r)
	})
}

func (s *fakeS3) content(r *http.Request) []byte {
	body, _ := r.GetBody()
	content, _ := io.ReadAll(body)
	return content
}

// messages returns those of all records, object by object.
func (s *fakeS3) messages(t testing.TB) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, path := range s.order {
		if object, is := s.objects[path]; is {
			all = append(all, messagesOf(t, path, object.content)...)
		}
	}
	return all
}

func messagesOf(t testing.TB, path string, content []byte) (all []string) {
	t.Helper()
	for line := range strings.Lines(string(unpack(t, path, content))) {
		var record struct{ Message string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("%s: %.100q: %v", path, line, err)
		}
		all = append(all, record.Message)
	}
	return all
}

func unpack(t testing.TB, path string, content []byte) []byte {
	t.Helper()
	var from io.Reader = bytes.NewReader(content)
	var err error
	switch {
	case strings.HasSuffix(path, ".gz"), strings.HasSuffix(path, ".gz.probe"):
		from, err = gzip.NewReader(from)
	case strings.HasSuffix(path, ".zst"):
		from, err = zstd.NewReader(from)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	text, err := io.ReadAll(from)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return text
}

// open returns an output to the bucket "logs" that keeps what it must know in a folder, or in
// memory.
func open(t testing.TB, s *fakeS3, folder, more string) *Output {
	t.Helper()
	yaml := fmt.Sprintf("bucket: logs\nendpoint: %s\naccess_key_id: id\nsecret_access_key: a-secret-key\n", s.URL)
	yaml += more
	env := pipetest.Env(t)
	env.Folder = folder
	out, err := pipetest.Config[*Config](t, Spec(), yaml).output(env, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return out
}

type sources []*event.Source

func (s *sources) SourceOf(i int) *event.Source { return (*s)[i] }

// noon is the time of records that have none of their own.
var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// bodyOf encodes records of a source, the first of which is at a position.
func bodyOf(t testing.TB, o *Output, id event.SourceID, from uint64, messages ...string) *pipeline.Body {
	t.Helper()
	body := &pipeline.Body{Sources: &sources{}}
	add(t, o, body, id, from, messages...)
	return body
}

func add(t testing.TB, o *Output, body *pipeline.Body, id event.SourceID, from uint64, messages ...string) {
	t.Helper()
	b := &event.Batch{}
	b.Reset(event.NewSource(id, "in", "key", []event.Label{{Name: "host.name", Value: fmt.Sprintf("web-%d", id)}}))
	encoder := o.Encoder()
	of := body.Sources.(*sources)
	for i, m := range messages {
		pos := from + uint64(i)
		b.Add(pos, noon.UnixNano(), b.PutString(m))
		group, err := encoder.Encode(body, b, i)
		if err != nil {
			t.Fatal(err)
		}
		body.Items = append(body.Items, pipeline.Item{Pos: pos, End: uint32(len(body.Bytes)), Group: group})
		*of = append(*of, b.Source)
	}
}
