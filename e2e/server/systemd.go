package server

import (
	"errors"
	"os"
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
	if path, err := exec.LookPath("systemd-analyze"); err == nil {
		return path, nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return "", errors.New("no systemd-analyze is in PATH, and only root on Debian and the like can install it: " +
			"apt-get install systemd")
	}
	if err := aptInstall("systemd"); err != nil {
		return "", err
	}
	return exec.LookPath("systemd-analyze")
}
