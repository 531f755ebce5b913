package server

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
)

// Rsyslog returns Debian's rsyslogd in the foreground, with its state in a folder, to be run by a
// config, and the folder of its modules.
func Rsyslog(t testing.TB, folder, config string) *exec.Cmd {
	t.Helper()
	skipShort(t)
	dir, err := ensureRsyslog()
	if err != nil {
		unavailable(t, err)
	}
	modules, err := filepath.Glob(filepath.Join(dir, "usr", "lib", "*", "rsyslog"))
	if err != nil || len(modules) != 1 {
		unavailable(t, fmt.Errorf("no modules of rsyslog below %s", dir))
	}
	cmd := exec.Command(filepath.Join(dir, "usr", "sbin", "rsyslogd"), "-n", "-f", config,
		"-i", filepath.Join(folder, "rsyslogd.pid"), "-M", modules[0])
	cmd.Env = debianEnv(dir)
	return cmd
}

func ensureRsyslog() (dir string, err error) {
	return debianPackages("rsyslog", "rsyslog", "rsyslog-openssl")
}
