package server

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// HAProxy returns Debian's haproxy, to be run by a config.
func HAProxy(t testing.TB, config string) *exec.Cmd {
	t.Helper()
	skipShort(t)
	if path, err := exec.LookPath("haproxy"); err == nil {
		return exec.Command(path, "-db", "-f", config)
	}
	dir, err := ensureHAProxy()
	if err != nil {
		unavailable(t, err)
	}
	cmd := exec.Command(filepath.Join(dir, "usr", "sbin", "haproxy"), "-db", "-f", config)
	cmd.Env = debianEnv(dir)
	return cmd
}

func ensureHAProxy() (dir string, err error) {
	if _, err := exec.LookPath("haproxy"); err == nil {
		return "", nil
	}
	return debianPackages("haproxy", "haproxy")
}
