package server

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// browsers are what Chromium and what is built of it are called.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless-shell"}

// Chromium returns the program of a browser for the pages that the tests look at.
func Chromium(t testing.TB) string {
	t.Helper()
	skipShort(t)
	path, err := ensureChromium()
	if err != nil {
		unavailable(t, err)
	}
	return path
}

// ensureChromium returns the machine's own, or installs Debian's: with the libraries, fonts and
// helpers that it needs, it is nothing to be run out of a folder.
func ensureChromium() (string, error) {
	if path := findBrowser(); path != "" {
		return path, nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return "", errors.New("no Chromium is in PATH, and only root on Debian and the like can install it: " +
			"apt-get install chromium")
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	unlock, err := lock(cache+"/chromium.lock", "another process is installing Chromium")
	if err != nil {
		return "", err
	}
	defer unlock()
	if path := findBrowser(); path != "" {
		return path, nil
	}
	end := progress("installing Debian's Chromium")
	err = aptInstall("chromium", "fonts-dejavu-core")
	end(err)
	if err != nil {
		return "", fmt.Errorf("installing Debian's Chromium: %w", err)
	}
	if path := findBrowser(); path != "" {
		return path, nil
	}
	return "", errors.New("the package chromium is installed, and no program of it is in PATH")
}

func findBrowser() string {
	for _, name := range browsers {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// aptInstall installs Debian packages on this machine.
func aptInstall(packages ...string) error {
	env := []string{"DEBIAN_FRONTEND=noninteractive"}
	args := []string{"install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"}
	args = append(args, packages...)
	if _, err := run("", env, "apt-get", args...); err == nil {
		return nil
	}
	// A new machine has no lists yet, or old ones.
	if _, err := run("", env, "apt-get", "update"); err != nil {
		return err
	}
	_, err := run("", env, "apt-get", args...)
	return err
}
