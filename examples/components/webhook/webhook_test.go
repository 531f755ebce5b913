package webhook

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	pipetest.TestOutput(t, func(t *testing.T) pipetest.OutputHarness {
		r := &receiver{}
		server := httptest.NewServer(r)
		t.Cleanup(server.Close)
		out := newOutput(t, server.URL)
		return pipetest.OutputHarness{
			Output: out,
			Stored: func(testing.TB) []string { return r.all() },
			Away:   func(testing.TB) { server.Close() },
		}
	})
}

func TestAnswers(t *testing.T) {
	for status, want := range map[int]pipeline.Outcome{413: pipeline.Split, 429: pipeline.Retry, 503: pipeline.Retry,
		401: pipeline.Hold} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
			_ *http.Request) {
			w.WriteHeader(status)
		}))
		var failed *pipeline.SendError
		err := newOutput(t, server.URL).Send(t.Context(), &pipeline.Body{Bytes: []byte("{}\n")})
		if !errors.As(err, &failed) || failed.Outcome != want {
			t.Errorf("%d: %v, want %v", status, err, want)
		}
		server.Close()
	}
}

func newOutput(t testing.TB, url string) pipeline.Output {
	t.Helper()
	out, err := pipetest.Config[*Config](t, Spec(), "url: "+url).Output(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A receiver keeps the messages that are posted to it.
type receiver struct {
	mu       sync.Mutex
	messages []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := bufio.NewScanner(req.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var record struct{ Message string }
		if json.Unmarshal(lines.Bytes(), &record) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.messages = append(r.messages, record.Message)
	}
}

func (r *receiver) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.messages
}
