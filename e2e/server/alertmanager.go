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

// Alertmanager starts an Alertmanager that notifies nobody, and returns its URL without a path.
func Alertmanager(t testing.TB) string {
	t.Helper()
	folder, address := programAt(t, ensureAlertmanager)
	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	config := "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, &daemon{
		name: "Alertmanager",
		dir:  dir,
		command: func() *exec.Cmd {
			return exec.Command(filepath.Join(folder, "alertmanager"), "--config.file="+file,
				"--storage.path="+filepath.Join(dir, "data"), "--web.listen-address="+address,
				"--cluster.listen-address=")
		},
		ready:   answers("http://"+address+"/-/ready", "OK"),
		patient: time.Minute,
		grace:   30 * time.Second,
		onDeath: syscall.SIGKILL,
	})
	return "http://" + address
}

func ensureAlertmanager() (string, error) {
	const module = "github.com/prometheus/alertmanager"
	tool, err := newTool("alertmanager", "go.mod", `\s`+module+` v(\S+)`)
	if err != nil {
		return "", err
	}
	announce := fmt.Sprintf("building Alertmanager %s, about a minute, once", tool.version)
	return once(tool.folder, announce, func(dir string) error {
		return tool.buildGo(module+"/cmd/alertmanager", "", filepath.Join(dir, "alertmanager"))
	})
}
