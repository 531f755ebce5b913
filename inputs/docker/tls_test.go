package docker

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestTLS(t *testing.T) {
	e := newFakeEngine(t)
	c := e.add(&fakeContainer{ID: "a", Name: "a", State: "exited", Log: []message{out(1, "one\n")}})
	server := httptest.NewTLSServer(e)
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	host := "tcp://" + strings.TrimPrefix(server.URL, "https://")
	r := run(t, e, pipetest.NewFeed(t), Config{Host: host, TLS: TLS{CA: ca}})
	r.feed.WaitFor(t.Context(), 1)
	r.stop()
	e.restart()
	r.wantLines(c)
}

// TestEnvironment reaches the engine by DOCKER_HOST, in a version given by
// DOCKER_API_VERSION.
func TestEnvironment(t *testing.T) {
	e := newFakeEngine(t)
	e.version = "1.43"
	server := httptest.NewServer(e)
	defer server.Close()
	t.Setenv("DOCKER_HOST", "tcp://"+strings.TrimPrefix(server.URL, "http://"))
	t.Setenv("DOCKER_API_VERSION", "1.43")
	engine := newEngine(&Config{})
	defer engine.close()
	now, err := engine.connect(t.Context())
	if err != nil || now.name != "dockerhost" {
		t.Errorf("connected to %q, %v", now.name, err)
	}
	if v := engine.now.Load().ClientVersion(); v != "1.43" {
		t.Errorf("speaks %s", v)
	}
}
