package admin_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/agent/admin"
	"github.com/longshore/longshore/pipeline/tlsfiles"
	"github.com/longshore/longshore/pipeline/tlsfiles/tlstest"
)

// TestMutualTLS asks a server that wants certificates: with none, with one of its authority, with
// its own, and with one of somebody else; and then without TLS, as after a reload.
func TestMutualTLS(t *testing.T) {
	servers, clients, others := tlstest.NewAuthority(t), tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	dir := t.TempDir()
	pair := func(ca *tlstest.Authority, name string) (cert, key string) {
		cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
		ca.Issue(t, name, cert, key)
		return cert, key
	}
	own := tlsfiles.Server{ClientCAFile: clients.File}
	own.CertFile, own.KeyFile = pair(servers, "server")
	log := slog.New(slog.DiscardHandler)
	options := admin.Options{Address: "127.0.0.1:0", Metrics: prometheus.NewRegistry(), Health: &admin.Health{},
		Status: status, Log: log, Mutual: true}
	var err error
	if options.TLS, err = own.Config(log); err != nil {
		t.Fatal(err)
	}
	server, err := admin.Listen(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	certified := func(ca *tlstest.Authority, name string) *tls.Config {
		client := tlsfiles.Client{CAFile: servers.File, ServerName: "localhost"}
		if ca != nil {
			client.CertFile, client.KeyFile = pair(ca, name)
		}
		config, err := client.Config()
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	get := func(config *tls.Config, scheme, path string) int {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}}
		resp, err := client.Get(scheme + "://" + server.Addr() + path)
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for name, test := range map[string]struct {
		config          *tls.Config
		scheme          string
		health, metrics int
	}{
		"no certificate":          {certified(nil, ""), "https", 200, 403},
		"of the authority":        {certified(clients, "scraper"), "https", 200, 200},
		"of somebody else":        {certified(others, "intruder"), "https", 0, 0},
		"the server's own":        {own.Peer(), "https", 200, 200},
		"no TLS":                  {nil, "http", 400, 400},
		"who trusts others alone": {&tls.Config{MinVersion: tls.VersionTLS12}, "https", 0, 0},
	} {
		if got := get(test.config, test.scheme, "/health"); got != test.health {
			t.Errorf("%s: /health answers %d, want %d", name, got, test.health)
		}
		if got := get(test.config, test.scheme, "/metrics"); got != test.metrics {
			t.Errorf("%s: /metrics answers %d, want %d", name, got, test.metrics)
		}
	}
	options.TLS, options.Mutual = nil, false
	server.Update(options)
	if got := get(nil, "http", "/metrics"); got != 200 {
		t.Errorf("after a reload without TLS /metrics answers %d", got)
	}
}
