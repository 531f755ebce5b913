// Package server gives tests the real servers that Longshore talks to: Docker Engine and Compose,
// Grafana Loki, VictoriaLogs, Elasticsearch, OpenSearch, Kafka.
//
// Each function makes sure that the server is on this machine (the first time it is built or
// fetched from a package registry into the user's cache folder, see the Setup function), starts it
// on a free loopback port with its data in a temporary folder, waits until it answers, and ends it
// when the test ends. With -short the test is skipped. Where a server cannot be had, the test is
// skipped with the reason, or fails when the environment has CI=true; Loki, which no registry has
// under a licence that this repository could require, fails it only with
// LONGSHORE_E2E_REQUIRE=loki.
package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Server is one running server of a test. Its methods fail the test when they cannot do what they
// say. Port and data stay the same whatever is done to it.
type Server struct {
	t testing.TB
	d lifecycle
	// foreign says, of a server that is not ours, why a test of its end is skipped.
	foreign string
}

// A lifecycle is what runs behind a Server.
type lifecycle interface {
	start() error
	stop()
	kill()
	pause() error
	resume() error
	log() string
}

// Stop asks the server to end and waits until it has.
func (s *Server) Stop() {
	s.t.Helper()
	s.mustBeOurs()
	s.d.stop()
}

// Kill ends the server at once, as a crash would, and waits until it has ended.
func (s *Server) Kill() {
	s.t.Helper()
	s.mustBeOurs()
	s.d.kill()
}

// Start starts the server again after Stop or Kill, and waits until it is ready.
func (s *Server) Start() {
	s.t.Helper()
	s.mustBeOurs()
	if err := s.d.start(); err != nil {
		s.t.Fatal(err)
	}
}

// Restart is Stop and Start.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.Start()
}

// Pause freezes the server: connections are taken by the kernel, and nothing answers.
func (s *Server) Pause() {
	s.t.Helper()
	s.mustBeOurs()
	if err := s.d.pause(); err != nil {
		s.t.Fatal(err)
	}
}

// Resume ends a Pause.
func (s *Server) Resume() {
	s.t.Helper()
	s.mustBeOurs()
	if err := s.d.resume(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) mustBeOurs() {
	s.t.Helper()
	if s.foreign != "" {
		s.t.Skip(s.foreign)
	}
	if s.d == nil {
		s.t.Fatal("this server is the machine's own, a test must not end it: use server.PrivateDocker")
	}
}

// Log returns what the server has written so far.
func (s *Server) Log() string {
	s.t.Helper()
	s.mustBeOurs()
	return s.d.log()
}

// serve starts a server for a test, and ends it with the test.
func serve(t testing.TB, d lifecycle) *Server {
	t.Helper()
	t.Cleanup(func() {
		d.stop()
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", lastLines(d.log(), 40))
		}
	})
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	return &Server{t: t, d: d}
}

// A daemon is a server without a test: what to run, and how to tell that it is ready.
type daemon struct {
	name    string
	dir     string // for its data and its log
	command func() *exec.Cmd
	ready   func(context.Context) error
	patient time.Duration // how long it may take to get ready
	grace   time.Duration // how long it may take to end
	onDeath syscall.Signal

	process *process
}

func (d *daemon) start() error {
	if d.process != nil && !d.process.ended() {
		return fmt.Errorf("%s runs already", d.name)
	}
	log, err := os.OpenFile(d.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening the log of %s: %w", d.name, err)
	}
	defer log.Close()
	cmd := d.command()
	cmd.Stdout, cmd.Stderr = log, log
	d.process, err = start(cmd, d.onDeath)
	if err != nil {
		return err
	}
	if err := d.wait(); err != nil {
		d.kill()
		return fmt.Errorf("%s does not get ready: %w\n%s", d.name, err, lastLines(d.log(), 40))
	}
	return nil
}

func (d *daemon) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), d.patient)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := d.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-d.process.done:
			return fmt.Errorf("it has ended: %v", d.process.err)
		case <-ctx.Done():
			return fmt.Errorf("after %s: %w", d.patient, err)
		case <-tick.C:
		}
	}
}

func (d *daemon) stop() {
	if d.process != nil {
		d.process.stop(d.grace)
	}
}

func (d *daemon) kill() {
	if d.process != nil {
		d.process.kill()
	}
}

func (d *daemon) pause() error { return d.signal(syscall.SIGSTOP) }

func (d *daemon) resume() error { return d.signal(syscall.SIGCONT) }

func (d *daemon) signal(signal syscall.Signal) error {
	if err := d.process.signal(signal); err != nil {
		return fmt.Errorf("sending %v to %s: %w", signal, d.name, err)
	}
	return nil
}

func (d *daemon) logPath() string { return filepath.Join(d.dir, "server.log") }

func (d *daemon) log() string {
	text, err := os.ReadFile(d.logPath())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// unavailable ends a test whose server cannot be had. On a developer's machine that may be so; in
// CI it would hide that nothing was tested.
func unavailable(t testing.TB, why error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// requireServers is the environment variable that names servers, with commas between them, whose
// lack fails their tests.
const requireServers = "LONGSHORE_E2E_REQUIRE"

// missing ends a test whose server cannot be had from a package registry, so that its lack is a
// failure only where the environment requires it.
func missing(t testing.TB, name string, why error) {
	t.Helper()
	if required(name) {
		t.Fatal(why)
	}
	t.Skip(why)
}

func required(name string) bool {
	return slices.Contains(strings.Split(os.Getenv(requireServers), ","), name)
}

func skipShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("real servers are not started with -short")
	}
}

// answers returns a check that a GET of the URL is answered with 200 and with the text in its body,
// whatever certificate is shown: some are wrong on purpose.
func answers(url, text string) func(context.Context) error {
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	return func(ctx context.Context) error {
		status, body, err := get(ctx, client, url)
		if err != nil {
			return err
		}
		if status != http.StatusOK || !strings.Contains(body, text) {
			return fmt.Errorf("%s answers %d: %s", url, status, strings.TrimSpace(body))
		}
		return nil
	}
}

// freePort looks below the ports that the kernel gives to outgoing connections: one of those could
// be a client's, while the server is down, that retries this very port.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := 15000 + rand.IntN(15000)
		var l net.Listener
		l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("looking for a free port: %w", err)
}

func get(ctx context.Context, client *http.Client, url string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set(tenantHeader, "longshore-e2e") // for a Loki with auth_enabled
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}
