package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/agent/admin"
	"github.com/longshore/longshore/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start returns the URL of a running server, which is ended with the test.
func start(t *testing.T, metrics *prometheus.Registry, health *admin.Health) string {
	t.Helper()
	server, err := admin.Listen(admin.Options{Address: "127.0.0.1:0", Metrics: metrics, Health: health, Status: status,
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return "http://" + server.Addr()
}

func ask(t *testing.T, method, url string) (status int, body string, header http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data), response.Header
}

func TestHealthAndReady(t *testing.T) {
	health := &admin.Health{}
	url := start(t, prometheus.NewRegistry(), health)
	loki := health.Component(pipeline.KindOutput, "loki")
	ledger := health.Vital("ledger")

	steps := []struct {
		name             string
		do               func()
		health, ready    int
		healthy, waiting string
	}{
		{"before the start", func() {}, 200, 503, "alive", "starting"},
		{"started", func() { health.Ready(true) }, 200, 200, "alive", "ready"},
		{"an output has a problem", func() { loki(errors.New("connection refused")) }, 200, 503, "alive",
			"connection refused"},
		{"for another reason", func() { loki(errors.New("HTTP 500")) }, 200, 503, "alive", "HTTP 500"},
		{"the problem is gone", func() { loki(nil); loki(nil) }, 200, 200, "alive", "ready"},
		{"the ledger has a problem", func() { ledger(errors.New("disk full")) }, 503, 503, "disk full", "disk full"},
		{"no problems", func() { ledger(nil) }, 200, 200, "alive", "ready"},
		{"stopping", func() { health.Ready(false) }, 200, 503, "alive", "stopping"},
	}
	for _, step := range steps {
		step.do()
		for _, c := range []struct {
			path, says string
			status     int
		}{{"/health", step.healthy, step.health}, {"/ready", step.waiting, step.ready}} {
			status, body, header := ask(t, http.MethodGet, url+c.path)
			if status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("%s: %s answers %d %s, want %d with %q", step.name, c.path, status, body, c.status, c.says)
			}
			if !json.Valid([]byte(body)) || header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: %s is not JSON: %s", step.name, c.path, body)
			}
		}
	}
}

func TestSinceIsTheFirstTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		health := &admin.Health{}
		note := health.Component(pipeline.KindInput, "containers")
		first := time.Now()
		note(errors.New("no socket"))
		time.Sleep(time.Minute) // of the bubble's clock
		note(errors.New("no permission"))
		_, problems := health.Readiness()
		if len(problems) != 1 || !problems[0].Since.Equal(first) || problems[0].Reason != "no permission" {
			t.Errorf("the problems are %+v, want the second reason since %s", problems, first)
		}
		note(nil)
		note(errors.New("no socket"))
		if _, problems = health.Readiness(); problems[0].Since.Equal(first) {
			t.Error("the problem was gone in between, but is reported since before")
		}
	})
}

func TestMetrics(t *testing.T) {
	metrics := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "longshore_records_total", Help: "Records."})
	metrics.MustRegister(counter)
	counter.Add(42)
	status, body, _ := ask(t, http.MethodGet, start(t, metrics, &admin.Health{})+"/metrics")
	if status != 200 || !strings.Contains(body, "longshore_records_total 42") {
		t.Errorf("/metrics answers %d %s", status, body)
	}
}

func TestReadOnly(t *testing.T) {
	url := start(t, prometheus.NewRegistry(), &admin.Health{})
	tests := []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/", 200},
		{http.MethodHead, "/health", 200},
		{http.MethodHead, "/metrics", 200},
		{http.MethodPost, "/health", 405},
		{http.MethodDelete, "/metrics", 405},
		{http.MethodPut, "/ready", 405},
		{http.MethodGet, "/api/v1/x", 404},
		{http.MethodGet, "/debug/pprof/", 404},
	}
	for _, test := range tests {
		if got, body, _ := ask(t, test.method, url+test.path); got != test.want {
			t.Errorf("%s %s answers %d %s, want %d", test.method, test.path, got, body, test.want)
		}
	}
}

func TestLargeHeaderIsRejected(t *testing.T) {
	url := start(t, prometheus.NewRegistry(), &admin.Health{})
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/health", nil)
	request.Header.Set("X-Large", strings.Repeat("x", 64<<10))
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return // closed in the middle of it
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 64 KiB is answered with %s", response.Status)
	}
}

func TestEndsWithOpenConnections(t *testing.T) {
	server, err := admin.Listen(admin.Options{Address: "127.0.0.1:0", Metrics: prometheus.NewRegistry(),
		Health: &admin.Health{}, Status: status, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if _, err := net.Dial("tcp", server.Addr()); err == nil {
		t.Error("the server still listens")
	}
}

func TestAddressUnavailable(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tests := []struct{ name, address, want string }{
		{"taken", taken.Addr().String(), "in use by another program"},
		{"not ours", "192.0.2.1:8080", "this host has no such address"},
		{"no port", "localhost", "missing port"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := admin.Listen(admin.Options{Address: test.address, Metrics: prometheus.NewRegistry(),
				Health: &admin.Health{}, Status: status, Log: slog.New(slog.DiscardHandler)})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.address) {
				t.Errorf("the error is %v, want one with %q and the address", err, test.want)
			}
		})
	}
}

func status() any { return map[string]int{"read": 7} }

func TestAnotherPortWhereTheDefaultIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var log strings.Builder
	options := admin.Options{Address: taken.Addr().String(), Metrics: prometheus.NewRegistry(), Health: &admin.Health{},
		Status: status, Log: slog.New(slog.NewTextHandler(&log, nil))}
	if _, err := admin.Listen(options); err == nil || !strings.Contains(err.Error(), "http.listen") {
		t.Errorf("an address that was set, and is in use, gives the error %v", err)
	}
	options.OrFree = true
	server, err := admin.Listen(options)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if server.Addr() == taken.Addr().String() || !strings.HasPrefix(server.Addr(), "127.0.0.1:") {
		t.Errorf("the address is %s, with %s in use", server.Addr(), taken.Addr())
	}
	if !strings.Contains(log.String(), taken.Addr().String()) || !strings.Contains(log.String(), server.Addr()) {
		t.Errorf("the warning names not both addresses: %s", log.String())
	}
}
