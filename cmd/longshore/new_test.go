package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/components"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// emptyMachine is one where nothing is found.
func emptyMachine(t *testing.T) machine {
	t.Helper()
	free := httptest.NewServer(http.NotFoundHandler())
	closed := free.Listener.Addr().String()
	free.Close()
	return machine{
		env:  func(string) (string, bool) { return "", false },
		home: "/home/me", logs: filepath.Join(t.TempDir(), "log"),
		sockets: []string{filepath.Join(t.TempDir(), "none.sock")},
		loki:    closed, elastic: closed, victoria: closed, now: time.Now,
	}
}

// newOn runs the command on a machine, and holds what it writes against check and the schema.
func newOn(t *testing.T, m machine, types ...string) (text, saw string) {
	t.Helper()
	var out, errs strings.Builder
	a := &app{stdout: &out, stderr: &errs, env: m.env, components: components.All()}
	n := newConfig{app: a, machine: m}
	if err := n.run(t.Context(), types); err != nil {
		t.Fatal(err)
	}
	text = out.String()
	out.Reset()
	code := a.run(t.Context(), []string{"check", written(t, text)})
	if code != 0 || strings.Contains(errs.String(), "there are no outputs") {
		t.Errorf("check ends with %d: %s\n%s", code, &errs, text)
	}
	return text, errs.String()
}

// withoutComments is what of a config is more than words.
func withoutComments(text string) string {
	return regexp.MustCompile(`(?m)^\s*#.*\n|^\n| +# .*$`).ReplaceAllString(text, "")
}

func TestNewWhereNothingIs(t *testing.T) {
	text, saw := newOn(t, emptyMachine(t))
	want := "version: 1\ndata_dir: /home/me/.local/state/longshore\n" +
		"inputs:\n  logs:\n    type: file\n    paths:\n      - /var/log/app/*.log\nrecent: on\n"
	if diff := cmp.Diff(want, withoutComments(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(text, "# yaml-language-server: $schema=") {
		t.Error("has no modeline")
	}
	for _, looked := range []string{"none.sock: is not there", "log: cannot be read", "no Loki answers",
		"no Elasticsearch or OpenSearch answers", "no VictoriaLogs answers"} {
		if !strings.Contains(saw, looked) {
			t.Errorf("does not say %q:\n%s", looked, saw)
		}
	}
}

func TestNewOnAServer(t *testing.T) {
	m := emptyMachine(t)
	m.isRoot = true
	m.sockets = []string{filepath.Join(t.TempDir(), "d.sock")}
	l, err := net.Listen("unix", m.sockets[0])
	if err != nil {
		t.Skip(err) // the folder's name is too long for a socket
	}
	defer l.Close()
	m.logs = logFolder(t)
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	m.loki = serve(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"version":"3.7.8","revision":"x"}`)
	})
	m.victoria = serve(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<h2>Single-node VictoriaLogs</h2>")
	})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of what comes without TLS
	s.StartTLS()
	defer s.Close()
	m.elastic = s.Listener.Addr().String()

	text, saw := newOn(t, m)
	if err := pipetest.Schema(t, components.All())(text); err != nil {
		t.Errorf("the schema says %v\n%s", err, text)
	}
	want := `version: 1
data_dir: /var/lib/longshore
inputs:
  containers:
    type: docker
    host: unix://SOCKET
  logs:
    type: file
    paths:
      - LOGS/*.log
      - LOGS/nginx/*.log
      - LOGS/syslog
outputs:
  loki:
    type: loki
    url: http://LOKI
  elasticsearch:
    type: elasticsearch
    urls: [https://ELASTIC]
  victorialogs:
    type: loki
    url: http://VICTORIA/insert?_msg_field=message
    reconcile: "off"
`
	want = strings.NewReplacer("SOCKET", m.sockets[0], "LOGS", m.logs, "LOKI", m.loki, "ELASTIC", m.elastic,
		"VICTORIA", m.victoria).Replace(want)
	if diff := cmp.Diff(want, withoutComments(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(text, "# api_key:") || !strings.Contains(text, "ca_file") {
		t.Errorf("does not say how to log in:\n%s", text)
	}
	if !strings.Contains(saw, "1 file not written to for a day") {
		t.Errorf("said:\n%s", saw)
	}
}

// logFolder has logs, an old one, and what is none.
func logFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range map[string]string{
		"app.log": "x\n", "other.log": "x\n", "nginx/access.log": "x\n", "nginx/access.log.1": "x\n", "syslog": "x\n",
		"wtmp": "\x00", "bad.log/x": "x", "old/a.log": "x\n",
		"journal/a.log": "x\n", "a b/c.log": "x\n", "a*/c.log": "x\n", "1/2/3/4/deep.log": "x\n",
		"two\nlines/a.log": "x\n",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * growing)
	if err := os.Chtimes(filepath.Join(folder, "old/a.log"), old, old); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestNewByTheEnvironment(t *testing.T) {
	m := emptyMachine(t)
	m.env = func(name string) (string, bool) {
		value, set := map[string]string{
			"LONGSHORE_LOKI_URL": "http://loki:3100", "LONGSHORE_LOKI_PASSWORD": "hunter2", "XDG_STATE_HOME": "/state",
			"LONGSHORE_LOKI_USERNAME": "me", "DOCKER_HOST": "tcp://127.0.0.1:2375",
		}[name]
		return value, set
	}
	text, saw := newOn(t, m)
	for _, want := range []string{"url: ${LONGSHORE_LOKI_URL}", "data_dir: /state/longshore", "type: docker"} {
		if !strings.Contains(text, want) {
			t.Errorf("has no %s:\n%s", want, text)
		}
	}
	if strings.Contains(text+saw, "hunter2") {
		t.Error("shows the password")
	}
}

// TestNewOfEveryType: each type gives a config that check takes.
func TestNewOfEveryType(t *testing.T) {
	m := emptyMachine(t)
	for _, spec := range components.All() {
		name := string(spec.Kind) + "." + spec.Type
		if name == "transform.route" || spec.Traits.Observes {
			continue // names outputs of its example, or is a section of its own
		}
		text, _ := newOn(t, m, name)
		if !strings.Contains(text, "\n    type: "+spec.Type+"\n") {
			t.Errorf("%s is not in it:\n%s", name, text)
		}
	}
	newOn(t, m, "route", "loki", "output.file", "elasticsearch", "docker")
}

// TestNewOfHostileServers: what answers otherwise is not taken for a server.
func TestNewOfHostileServers(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		},
		"other": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"version": 5}`) },
	} {
		s := httptest.NewServer(h)
		m := emptyMachine(t)
		address := s.Listener.Addr().String()
		m.loki, m.elastic, m.victoria = address, address, address
		if text, _ := newOn(t, m); strings.Contains(withoutComments(text), "outputs:") {
			t.Errorf("%s: takes it for a server:\n%s", name, text)
		}
		s.Close()
	}
}
