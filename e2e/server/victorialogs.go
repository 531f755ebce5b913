package server

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// A VictoriaLogsServer is one node of VictoriaLogs.
type VictoriaLogsServer struct {
	*Server
	URL string // without a path
}

// VictoriaLogs starts a VictoriaLogs that keeps lines of up to a year ago. Each flag is as on its
// command line; with -tls it is reached by https.
func VictoriaLogs(t testing.TB, flags ...string) *VictoriaLogsServer {
	t.Helper()
	binary, address := programAt(t, ensureVictoriaLogs)
	dir := t.TempDir()
	url := "http://" + address
	if slices.Contains(flags, "-tls") {
		url = "https://" + address
	}
	args := []string{"-httpListenAddr=" + address, "-storageDataPath=" + filepath.Join(dir, "data"),
		"-retentionPeriod=1y"}
	args = append(args, flags...)
	d := &daemon{
		name:    "VictoriaLogs",
		dir:     dir,
		command: func() *exec.Cmd { return exec.Command(binary, args...) },
		ready:   answers(url+"/health", "OK"),
		patient: time.Minute,
		grace:   30 * time.Second,
		onDeath: syscall.SIGKILL,
	}
	return &VictoriaLogsServer{Server: serve(t, d), URL: url}
}

// ensureVictoriaLogs returns the path of its binary.
func ensureVictoriaLogs() (string, error) {
	const module = "github.com/VictoriaMetrics/VictoriaLogs"
	tool, err := newTool("victorialogs", "go.mod", `\s`+module+` v(\S+)`)
	if err != nil {
		return "", err
	}
	announce := fmt.Sprintf("building VictoriaLogs %s, about a minute, once", tool.version)
	dir, err := once(tool.folder, announce, func(dir string) error {
		version := "-X github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version=victoria-logs-v" + tool.version
		return tool.buildGo(module+"/app/victoria-logs", version, filepath.Join(dir, "victoria-logs"))
	})
	return filepath.Join(dir, "victoria-logs"), err
}
