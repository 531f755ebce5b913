package server

import (
	"os/exec"
	"testing"
)

// SystemdAnalyze returns the program systemd-analyze, which checks unit files.
func SystemdAnalyze(t testing.TB) string {
	t.Helper()
	skipShort(t)
	path, err := ensureSystemd()
	if err != nil {
		unavailable(t, err)
	}
	return path
}

// ensureSystemd finds the machine's own, or installs Debian's: it needs its own library and its
// lists, and runs nothing where it is not the first process.
func ensureSystemd() (string, error) {
	if err := ensureCommand("systemd-analyze", "systemd"); err != nil {
		return "", err
	}
	return exec.LookPath("systemd-analyze")
}
