package server

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// DebianRoot makes a small Debian, with systemd's programs, in a folder of the test's own.
func DebianRoot(t testing.TB) string {
	t.Helper()
	skipShort(t)
	archive, err := ensureDebianRoot()
	if err != nil {
		unavailable(t, err)
	}
	dir := t.TempDir()
	if _, err := run("", nil, "tar", "-C", dir, "-xf", archive, "--exclude=./dev/*"); err != nil {
		t.Fatal(err)
	}
	return dir
}

func ensureDebianRoot() (archive string, err error) {
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return "", errors.New("only root on Debian and the like can make a Debian root")
	}
	dir, err := once("debian-root-"+release(), "making a small Debian", func(dir string) error {
		if err := ensureCommand("mmdebstrap", "mmdebstrap"); err != nil {
			return err
		}
		_, err := run("", nil, "mmdebstrap", "--variant=essential", "--mode=root", "--include=systemd",
			"--dpkgopt=force-unsafe-io", release(), filepath.Join(dir, "root.tar"))
		return err
	})
	return filepath.Join(dir, "root.tar"), err
}

// RPM returns Debian's program rpm.
func RPM(t testing.TB) string {
	t.Helper()
	skipShort(t)
	if err := ensureCommand("rpm", "rpm"); err != nil {
		unavailable(t, err)
	}
	return "rpm"
}

// EmulatorARM64 returns a program that runs programs for arm64.
func EmulatorARM64(t testing.TB) string {
	t.Helper()
	skipShort(t)
	path, err := ensureEmulator()
	if err != nil {
		unavailable(t, err)
	}
	return path
}

func ensureEmulator() (string, error) {
	const name = "qemu-aarch64-static"
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	dir, err := debianPackages("qemu-user", "qemu-user-static")
	return filepath.Join(dir, "usr", "bin", name), err
}

// ensureCommand installs Debian's package of a command that is not in PATH.
func ensureCommand(name, pkg string) error {
	if _, err := exec.LookPath(name); err == nil {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return errors.New("no " + name + " is in PATH, and only root on Debian and the like can install it: " +
			"apt-get install " + pkg)
	}
	if err := aptInstall(pkg); err != nil {
		return err
	}
	_, err := exec.LookPath(name)
	return err
}

func ensurePackageTools() error {
	_, err := ensureDebianRoot()
	_, emulator := ensureEmulator()
	return errors.Join(err, emulator, ensureCommand("rpm", "rpm"))
}
