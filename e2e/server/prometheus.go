package server

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A PrometheusServer is one Prometheus.
type PrometheusServer struct {
	*Server
	URL string // without a path
}

// Prometheus starts a Prometheus with a config.
func Prometheus(t testing.TB, config string) *PrometheusServer {
	t.Helper()
	folder, address := programAt(t, ensurePrometheus)
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &daemon{
		name: "Prometheus",
		dir:  dir,
		command: func() *exec.Cmd {
			return exec.Command(filepath.Join(folder, "prometheus"), "--config.file="+file,
				"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
		},
		ready:   answers("http://"+address+"/-/ready", "Ready"),
		patient: time.Minute,
		grace:   30 * time.Second,
		onDeath: syscall.SIGKILL,
	}
	return &PrometheusServer{Server: serve(t, d), URL: "http://" + address}
}

// Promtool runs promtool in a folder, and returns what it says.
func Promtool(t testing.TB, dir string, args ...string) (string, error) {
	t.Helper()
	skipShort(t)
	folder, err := ensurePrometheus()
	if err != nil {
		unavailable(t, err)
	}
	return run(dir, nil, filepath.Join(folder, "promtool"), args...)
}

// ensurePrometheus returns the folder of its two binaries. They are built without what discovers
// machines of clouds, which is most of them.
func ensurePrometheus() (string, error) {
	const module = "github.com/prometheus/prometheus"
	tool, err := newTool("prometheus", "go.mod", `\s`+module+` v(\S+)`)
	if err != nil {
		return "", err
	}
	announce := fmt.Sprintf("building Prometheus %s, about four minutes, once", tool.version)
	return once(tool.folder, announce, func(dir string) error {
		for _, name := range []string{"prometheus", "promtool"} {
			program := goProgram{pkg: module + "/cmd/" + name, tags: "remove_all_sd"}
			if err := tool.buildProgram(program, filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		return nil
	})
}
