package rivals

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// debian installs packages, with those that they need and this machine lacks, into a
// folder, so that the machine stays as it is. The version is that of the first.
func debian(packages ...string) func(_, dir string) (string, error) {
	return func(_, dir string) (string, error) {
		if _, err := exec.LookPath("apt-get"); err != nil {
			return "", fmt.Errorf("it is had only on Debian and the like: %w", err)
		}
		archives := filepath.Join(dir, "archives")
		if _, err := os.Stat(archives); err != nil {
			if err := extract(dir, packages); err != nil {
				return "", err
			}
		}
		found, err := filepath.Glob(filepath.Join(archives, packages[0]+"_*.deb"))
		if err != nil || len(found) != 1 {
			return "", fmt.Errorf("no package %s in %s; remove the folder to have it fetched again", packages[0],
				archives)
		}
		return run("", "dpkg-deb", "-f", found[0], "Version")
	}
}

// extract downloads packages and unpacks them. The folder of the archives appears last.
func extract(dir string, packages []string) error {
	archives, err := os.MkdirTemp(dir, "fetching-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(archives)
	if err := os.Mkdir(filepath.Join(archives, "partial"), 0o755); err != nil {
		return err
	}
	args := append([]string{"install", "--yes", "--no-install-recommends", "--download-only",
		"-o", "Dir::Cache::archives=" + archives, "-o", "DPkg::Lock::Timeout=300"}, packages...)
	if _, err := run("", "apt-get", args...); err != nil {
		if _, err := run("", "apt-get", "update"); err != nil { // a new machine has no lists
			return err
		}
		if _, err := run("", "apt-get", args...); err != nil {
			return err
		}
	}
	debs, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if _, err := run("", "dpkg-deb", "-x", deb, dir); err != nil {
			return err
		}
	}
	return os.Rename(archives, filepath.Join(dir, "archives"))
}
