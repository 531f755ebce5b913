package server

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// mobyTags leave out what a test's engine needs no C library for.
const mobyTags = "netgo osusergo static_build no_btrfs no_zfs no_devmapper exclude_graphdriver_btrfs"

// docker29 are the programs of Docker Engine 29. It starts the others itself, so all have to be on
// its PATH.
var docker29 = []goProgram{
	{
		pkg: "github.com/moby/moby/v2/cmd/dockerd", tags: mobyTags,
		ldflags: "-X github.com/moby/moby/v2/dockerversion.Version=29.0.0",
	},
	{pkg: "github.com/moby/moby/v2/cmd/docker-proxy"},
	{pkg: "github.com/containerd/containerd/v2/cmd/containerd", tags: mobyTags},
	{pkg: "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", tags: mobyTags},
	{pkg: "github.com/opencontainers/runc", cgo: true}, // joining namespaces is in C
}

// ensureDocker29 builds the programs. The docker command and iptables are the machine's, or
// Debian's.
func ensureDocker29() (dockerInstall, error) {
	install, err := ensureDocker()
	if err != nil {
		return dockerInstall{}, err
	}
	tool, err := newTool("docker29", "go.mod", `\sgithub.com/moby/moby/v2 v(\S+)`)
	if err != nil {
		return dockerInstall{}, err
	}
	announce := fmt.Sprintf("building Docker Engine 29 (moby %s), about 5 minutes, once", tool.version)
	dir, err := once(tool.folder, announce, func(dir string) error {
		for _, program := range docker29 {
			if err := tool.buildProgram(program, dir); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return dockerInstall{}, err
	}
	install.dockerd = filepath.Join(dir, "dockerd")
	install.args = []string{"--seccomp-profile", "unconfined"} // runc is built without, as it would need a C library
	install.env = append(install.env, "PATH="+dir+":"+lastPath(install.env))
	if _, err := exec.LookPath("docker"); err != nil {
		install.env = append(install.env, "DOCKER_MIN_API_VERSION=1.41") // that of Debian's docker command
	}
	return install, nil
}

// lastPath is the PATH that a command with that environment gets.
func lastPath(env []string) string {
	path := os.Getenv("PATH")
	for _, variable := range env {
		if value, found := strings.CutPrefix(variable, "PATH="); found {
			path = value
		}
	}
	return path
}
