package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// topText is a status as the API has it: some of it is hostile.
func topText(second, read int) string {
	return fmt.Sprintf(`{"version": "1.2", "started": "2026-03-01T12:00:00Z", "now": "2026-03-01T12:01:%02dZ",
"ready": false, "inputs": [
  {"name": "containers", "type": "docker", "sources": 12, "read": %d, "unread_bytes": 0, "lag_seconds": 0.25},
  {"name": "files", "type": "file", "sources": 3, "read": 7, "unread_bytes": 5000000, "lag_seconds": 1e300,
   "source_list": [{"key": "/var/log/\u001b[2Ja.log", "unread_bytes": 4000000}, {"key": "/b.log", "unread_bytes": 1}]}],
"outputs": [
  {"name": "loki", "type": "loki", "delivered": %d, "rejected": 2, "in_flight": 40, "behind": 30, "aside": 1,
   "queued_bytes": 8388608, "queue_size": 8388608, "spool_bytes": 1, "spool_size": 536870912, "lag_seconds": 93},
  {"name": "%s", "type": "stdout", "delivered": 1, "queue_size": 0}],
"problems": [{"kind": "output", "name": "loki", "since": "2026-03-01T12:00:30Z",
  "reason": "connection refused\u202e\u001b]0;x\u0007\nsecond line"}],
"dead_letters": [{"output": "loki", "bytes": 2048}, {"output": "other", "bytes": 0}]}`,
		second, read, read, strings.Repeat("語", 50))
}

func topStatusOf(t *testing.T, text string) *topStatus {
	t.Helper()
	s := &topStatus{}
	if err := json.Unmarshal([]byte(text), s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTopText holds the screen against golden files: `go test -run TopText -update` writes them.
func TestTopText(t *testing.T) {
	before, now := topStatusOf(t, topText(1, 1000)), topStatusOf(t, topText(3, 5000))
	for name, text := range map[string]string{
		"plain": topScreen{address: "127.0.0.1:5664"}.text(before, now),
		"first": topScreen{address: "127.0.0.1:5664"}.text(nil, now),
		"anew":  topScreen{address: "127.0.0.1:5664"}.text(now, before),
		"terminal": topScreen{address: "127.0.0.1:5664", style: true, width: 70, height: 12, hint: true}.
			text(before, now),
		"gone": topScreen{address: "127.0.0.1:5664", width: 60, err: io.ErrUnexpectedEOF}.text(before,
			&topStatus{Version: "1.2"}),
	} {
		t.Run(name, func(t *testing.T) {
			for line := range strings.Lines(colours.ReplaceAllString(text, "")) {
				if name == "terminal" && columns(strings.TrimSuffix(line, "\n")) > 70 {
					t.Errorf("%d columns: %q", columns(line), line)
				}
			}
			if strings.Contains(text, "\x1b[2J") || strings.Contains(text, "\u202e") {
				t.Errorf("it has %q", text)
			}
			golden(t, filepath.Join("testdata", "top", name+".txt"), text)
		})
	}
}

var colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// agentAt is an agent that answers for its status, a little further each time.
func agentAt(t *testing.T, token string) (address string) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token != "" && r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		n := int(asked.Add(1))
		_, _ = io.WriteString(w, topText(n, 100*n))
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestTopOnce(t *testing.T) {
	code, stdout, stderr := call(t, "", "top", "--once", "--interval", "50ms", "--address", agentAt(t, ""))
	if code != 0 || !strings.Contains(stdout, "containers  docker  12       100 ") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	address := agentAt(t, "hunter2hunter2")
	cfg := written(t, "http: {listen: '"+address+"', token: hunter2hunter2}\ninputs: {in: {type: stdin}}\n"+
		"outputs: {out: {type: stdout}}\n")
	code, stdout, stderr = call(t, "", "top", "--once", "--interval", "50ms", "-c", cfg)
	if code != 0 || !strings.Contains(stdout, "connection refused") {
		t.Errorf("with a token: exit %d\n%s%s", code, stdout, stderr)
	}
}

func TestTopWithoutAnAgent(t *testing.T) {
	serve := func(status int, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		return server.Listener.Addr().String()
	}
	closed := httptest.NewServer(nil)
	gone := closed.Listener.Addr().String()
	closed.Close()
	for _, test := range []struct{ address, want string }{
		{gone, "no agent answers at " + gone + "; is it running?"},
		{agentAt(t, "secret"), "wants a token"},
		{serve(404, "nginx"), "is it a longshore agent?"},
		{serve(200, "<html>"), "not that of a longshore agent"},
		{"no address", "asking the agent"},
	} {
		code, stdout, stderr := call(t, "", "top", "--once", "--address", test.address)
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: exit %d, %s%s; want %q", test.address, code, stdout, stderr, test.want)
		}
	}
}

// TestTopModel: it asks again and again, keeps what it knows when there is no answer, and ends when
// asked.
func TestTopModel(t *testing.T) {
	top := &topping{app: &app{stdout: io.Discard, env: func(string) (string, bool) { return "", false }},
		address: agentAt(t, ""), interval: leastInterval}
	m := &topModel{top: top, ctx: context.Background(), now: topStatusOf(t, topText(0, 0))}
	msg := m.Init()()
	if _, again := m.Update(msg); again == nil {
		t.Error("it does not ask again")
	}
	m.Update(tea.WindowSizeMsg{Width: 60, Height: 12})
	if text := m.View().Content; !strings.Contains(text, "100") || strings.Count(text, "\n") > 12 {
		t.Errorf("the screen is %s", text)
	}
	if _, again := m.Update(answered{err: io.ErrUnexpectedEOF}); again == nil {
		t.Error("it does not ask again after an error")
	}
	if text := m.View().Content; !strings.Contains(text, "unexpected EOF") || !strings.Contains(text, "containers") {
		t.Errorf("the screen is %s", text)
	}
	ends := []tea.KeyPressMsg{{Code: 'q', Text: "q"}, {Code: tea.KeyEscape}, {Code: 'c', Mod: tea.ModCtrl}}
	for _, key := range ends {
		if _, cmd := m.Update(key); cmd == nil || cmd() != tea.Quit() {
			t.Errorf("%s does not end it", key)
		}
	}
	if _, cmd := m.Update(tea.KeyPressMsg{Code: 'x', Text: "x"}); cmd != nil {
		t.Error("x ends it")
	}
}
