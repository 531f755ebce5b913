package elasticsearch

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/longshore/longshore/pipeline/pipetest"
)

// A store keeps the documents of bulk requests, each id once.
type store struct {
	t *testing.T

	mu       sync.Mutex
	ids      map[string]bool
	messages []string
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	lines := documents(s.t, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	var answer []string
	for i := 0; i+1 < len(lines); i += 2 {
		id, _ := lines[i]["create"].(map[string]any)["_id"].(string)
		if s.ids[id] {
			answer = append(answer, failedItem(409, "version_conflict_engine_exception", "exists"))
			continue
		}
		s.ids[id] = true
		message, _ := lines[i+1]["message"].(string)
		s.messages = append(s.messages, message)
		answer = append(answer, created)
	}
	_, _ = io.WriteString(w, items(answer...))
}

func (s *store) stored() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.messages...)
}

// TestConformance is not parallel: it looks for goroutines left behind.
func TestConformance(t *testing.T) {
	pipetest.TestOutput(t, func(t *testing.T) pipetest.OutputHarness {
		s := &store{t: t, ids: map[string]bool{}}
		server := httptest.NewServer(s)
		t.Cleanup(server.Close)
		out, err := pipetest.Config[*Config](t, Spec(),
			"{proxy: none, urls: ['"+server.URL+"']}").Output(pipetest.Env(t))
		if err != nil {
			t.Fatal(err)
		}
		return pipetest.OutputHarness{
			Output: out,
			Stored: func(testing.TB) []string { return s.stored() },
			Away:   func(testing.TB) { server.Close() },
		}
	})
}

// TestSentTwice: the ids let a body be sent again without storing it twice.
func TestSentTwice(t *testing.T) {
	t.Parallel()
	s := &store{t: t, ids: map[string]bool{}}
	o := output(t, Config{URLs: []string{serve(t, s.ServeHTTP)}, DocumentIDs: true})
	for range 2 {
		if e := send(t, o, 10); e != nil {
			t.Fatal(e)
		}
	}
	if got := s.stored(); len(got) != 10 || strings.Join(got[:1], "") == "" {
		t.Errorf("stored %q", got)
	}
}
