package loki

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	for _, line := range []string{"json", "raw"} {
		t.Run(line, func(t *testing.T) {
			pipetest.TestOutput(t, func(t *testing.T) pipetest.OutputHarness {
				loki := newFakeLoki(t, answers(http.StatusNoContent, ""))
				out, err := withDefaults(t, Config{URL: loki.URL, LineFormat: line}).Output(pipetest.Env(t))
				if err != nil {
					t.Fatal(err)
				}
				return pipetest.OutputHarness{
					Output: out,
					Stored: func(t testing.TB) []string { return loki.messages(t, line) },
					Away:   func(testing.TB) { loki.Close() },
				}
			})
		})
	}
}

// messages returns the messages of all entries that were pushed, request by request and stream by
// stream.
func (l *fakeLoki) messages(t testing.TB, line string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, req := range l.pushed {
		for _, s := range req.Streams {
			for _, e := range s.Entries {
				all = append(all, messageOf(t, line, e.Line))
			}
		}
	}
	return all
}

func messageOf(t testing.TB, line, text string) string {
	if line == "raw" {
		return text
	}
	var document struct{ Message string }
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Errorf("%.100q: %v", text, err)
	}
	return document.Message
}
