package jsonlines

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
	for status, want := range map[int]pipeline.Outcome{
		301: pipeline.Hold, 400: pipeline.Bisect, 401: pipeline.Hold,
		413: pipeline.Split, 429: pipeline.Retry, 503: pipeline.Retry,
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
			}))
			defer server.Close()
			out := newOutput(t, server.URL)
			defer out.Close()
			var failed *pipeline.SendError
			err := out.Send(t.Context(), &pipeline.Body{Bytes: []byte("{}\n")})
			if !errors.As(err, &failed) || failed.Outcome != want {
				t.Errorf("Send: %v, want an error with the outcome %s", err, want)
			}
		})
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
