package rivals

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// goModule installs a program that a module of its own pins, with what it needs: the
// Go command builds it, once, and knows when it must do so again. The version
// is that of a module which it consists of.
func goModule(name, pkg, versionOf string) func(sources, dir string) (string, error) {
	return func(sources, dir string) (version string, err error) {
		source := filepath.Join(sources, name)
		fmt.Fprintf(os.Stderr, "bench: building %s, which takes minutes the first time\n", name)
		if _, err := run(source, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, name),
			pkg); err != nil {
			return "", err
		}
		return run(source, "go", "list", "-m", "-f", "{{.Version}}", versionOf)
	}
}

// run runs a command in a folder and gives what it says.
func run(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "DEBIAN_FRONTEND=noninteractive")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("running %s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
