package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Otelcol starts an OpenTelemetry Collector with a config, and waits until it takes connections at
// an address, unless that is "". It has the receivers otlp and file_log, the exporters otlp and
// otlp_http, and file_storage.
func Otelcol(t testing.TB, config, listens string) *Server {
	t.Helper()
	skipShort(t)
	binary, err := ensureOtelcol()
	if err != nil {
		unavailable(t, err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "otelcol.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &daemon{
		name:    "the OpenTelemetry Collector",
		dir:     dir,
		command: func() *exec.Cmd { return exec.Command(binary, "--config=file:"+file) },
		ready:   connects(listens),
		patient: time.Minute,
		grace:   30 * time.Second,
		onDeath: syscall.SIGKILL,
	}
	return serve(t, d)
}

// connects returns whether an address takes connections.
func connects(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		if address == "" {
			return nil
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("connecting to %s: %w", address, err)
		}
		return errors.Join(conn.Close())
	}
}

// ensureOtelcol returns the path of its binary.
func ensureOtelcol() (string, error) {
	tool, err := newTool("otelcol", "go.mod", `\sgo.opentelemetry.io/collector/otelcol v(\S+)`)
	if err != nil {
		return "", err
	}
	announce := fmt.Sprintf("building the OpenTelemetry Collector %s, some minutes, once", tool.version)
	dir, err := once(tool.folder, announce, func(dir string) error {
		return tool.buildGo(".", "", filepath.Join(dir, "otelcol"))
	})
	return filepath.Join(dir, "otelcol"), err
}
