package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/agent/admin"
	"github.com/longshore/longshore/agent/recent"
	"github.com/longshore/longshore/pipeline/event"
)

// A logServer is a server with a store behind it.
type logServer struct {
	*testing.T
	url  string
	tap  *recent.Tap
	pos  uint64
	stop func()
}

func startLogs(t *testing.T) *logServer {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := recent.Open(recent.Options{DataDir: t.TempDir(), Size: 1 << 20, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	server, err := admin.Listen(admin.Options{Address: "127.0.0.1:0", Metrics: prometheus.NewRegistry(),
		Health: &admin.Health{}, Status: status, Recent: store, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	storeEnd, endStore := context.WithCancel(context.Background())
	serverEnd, endServer := context.WithCancel(context.Background())
	var storing, serving sync.WaitGroup
	storing.Go(func() { store.Run(storeEnd) })
	serving.Go(func() {
		if err := server.Run(serverEnd); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	s := &logServer{T: t, url: "http://" + server.Addr(), tap: store.Tap("main", nil)}
	s.stop = sync.OnceFunc(func() {
		endServer()
		serving.Wait()
		endStore()
		storing.Wait()
	})
	t.Cleanup(s.stop)
	return s
}

func (s *logServer) take(level event.Level, lines ...string) {
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "files", "app.log", nil))
	for _, line := range lines {
		s.pos++
		b.Add(s.pos, int64(s.pos)*int64(time.Second), b.PutString(line)).Level = level
	}
	s.tap.Take(b, func() {})
}

// A shown is a record as the API shows it.
type shown struct{ ID, Level, Source, Message string }

type logsAnswer struct {
	Records []shown
	Before  string
	Oldest  string
	Skipped int
}

// page asks until there are as many records, which are stored soon.
func (s *logServer) page(parameters string, records int) (a logsAnswer) {
	s.Helper()
	for {
		status, body, header := ask(s.T, http.MethodGet, s.url+"/api/v1/logs?"+parameters)
		if status != 200 || header.Get("Content-Type") != "application/json" || !strings.Contains(body, `"records":[`) {
			s.Fatalf("%s: %d %s", parameters, status, body)
		}
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			s.Fatal(err)
		}
		if len(a.Records) == records {
			return a
		}
	}
}

func TestLogs(t *testing.T) {
	s := startLogs(t)
	s.page("", 0)
	s.take(event.Info, "one", "<script>alert(1)</script>")
	s.take(event.Error, "three")
	a := s.page("", 3)
	if a.Before != "" || a.Oldest != "1970-01-01T00:00:01Z" || a.Skipped != 0 {
		t.Errorf("the answer is %+v", a)
	}
	if r := a.Records[1]; r.Level != "info" || r.Source != "app.log" || r.Message != "<script>alert(1)</script>" {
		t.Errorf("the record is %+v", r)
	}
	if a := s.page("level=error", 1); a.Records[0].Message != "three" {
		t.Errorf("the answer is %+v", a)
	}
	a = s.page("limit=2", 2)
	if older := s.page("limit=2&before="+url.QueryEscape(a.Before), 1); older.Records[0].Message != "one" ||
		older.Before != "" {
		t.Errorf("the answer is %+v", older)
	}
	for _, wrong := range []string{"level=loud", "limit=0", "limit=1001", "limit=x", "before=x", "since=x", "trace=x"} {
		name, _, _ := strings.Cut(wrong, "=")
		if status, body, _ := ask(t, http.MethodGet, s.url+"/api/v1/logs?"+wrong); status != 400 ||
			!strings.Contains(body, name) {
			t.Errorf("%s: %d %s", wrong, status, body)
		}
	}
}

func TestLogsThatAreNotKept(t *testing.T) {
	url := start(t, prometheus.NewRegistry(), &admin.Health{})
	for _, path := range []string{"/api/v1/logs", "/api/v1/logs/stream"} {
		if status, body, _ := ask(t, http.MethodGet, url+path); status != 404 || !strings.Contains(body, "recent: on") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// slowClient returns a client for which the system keeps little that it has not read.
func slowClient() *http.Client {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(256 << 10)
		}
		return conn, err
	}
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}
}

// follow begins a stream and returns its lines; end ends it.
func (s *logServer) follow(parameters string) (lines *bufio.Scanner, end func()) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/v1/logs/stream?"+parameters, nil)
	if err != nil {
		s.Fatal(err)
	}
	response, err := slowClient().Do(request)
	if err != nil {
		s.Fatal(err)
	}
	if got := response.Header.Get("Content-Type"); response.StatusCode != 200 || got != "text/event-stream" {
		s.Fatalf("%s: %s", response.Status, got)
	}
	lines = bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() || lines.Text() != ": longshore" {
		s.Fatalf("the stream begins with %q", lines.Text())
	}
	return lines, func() {
		cancel()
		response.Body.Close()
	}
}

func TestLogsStream(t *testing.T) {
	s := startLogs(t)
	lines, end := s.follow("level=error&text=b")
	defer end()
	s.take(event.Error, "a", "b")
	s.take(event.Info, "b")
	s.take(event.Error, "bb")
	for _, want := range []string{"b", "bb"} {
		var r shown
		if data := nextData(lines); json.Unmarshal([]byte(data), &r) != nil || r.Message != want {
			t.Errorf("%q comes, want %s", data, want)
		}
	}
	s.stop()
	if lines.Scan() && lines.Text() != "" || lines.Scan() {
		t.Errorf("after the end comes %q", lines.Text())
	}
}

func nextData(lines *bufio.Scanner) string {
	for lines.Scan() {
		if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
			return data
		}
	}
	return ""
}

// TestASlowReaderMissesRecords, is told so, and holds nothing up.
func TestASlowReaderMissesRecords(t *testing.T) {
	s := startLogs(t)
	lines, end := s.follow("")
	defer end()
	released := make(chan struct{})
	for i := range 100 { // more than the connection and all that is kept for a client take
		b := &event.Batch{}
		b.Reset(event.NewSource(1, "files", "app.log", nil))
		for k := range 4 {
			b.Add(uint64(i*4+k+1), 1, b.PutString(strings.Repeat("x", 30_000)))
		}
		s.tap.Take(b, func() { released <- struct{}{} })
		<-released
	}
	seen, skipped := 0, 0
	for seen+skipped < 400 && lines.Scan() {
		switch data, is := strings.CutPrefix(lines.Text(), "data: "); {
		case is && strings.HasPrefix(data, "{"):
			seen++
		case is:
			n := 0
			if _, err := fmt.Sscan(data, &n); err != nil || n == 0 {
				t.Errorf("skipped %q", data)
			}
			skipped += n
		}
	}
	if seen+skipped != 400 || seen == 0 || skipped == 0 {
		t.Errorf("%d records came, and %d were skipped, of 400", seen, skipped)
	}
}

// TestTooManyReaders are told so, and one has room when another has gone.
func TestTooManyReaders(t *testing.T) {
	s := startLogs(t)
	var ends []func()
	for range 8 {
		_, end := s.follow("")
		ends = append(ends, end)
	}
	status, body, header := ask(t, http.MethodGet, s.url+"/api/v1/logs/stream")
	if status != 503 || header.Get("Retry-After") == "" || !strings.Contains(body, "too many") {
		t.Errorf("the ninth: %d %s", status, body)
	}
	for _, end := range ends {
		end()
	}
	for {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/v1/logs/stream", nil)
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode == 200 {
			response.Body.Close()
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}
