package docker

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
)

// self recognises the container that the agent runs in, whatever its hostname.
type self struct {
	ids      []string // of containers that the process seems to be in
	upper    string   // the writable layer of its root, an absolute path on the host
	hostname string
}

// longID matches container IDs.
var longID = regexp.MustCompile(`[0-9a-f]{64}`)

// findSelf examines a process's folder below /proc. Outside of a container it finds nothing that
// matches one.
func findSelf(proc string) self {
	var s self
	s.hostname, _ = os.Hostname()
	// Lines like 0::/system.slice/docker-<id>.scope: several if the engine runs in a container.
	cgroups, _ := os.ReadFile(filepath.Join(proc, "cgroup"))
	for _, id := range longID.FindAllString(string(cgroups), -1) {
		s.add(id)
	}
	mounts, _ := os.ReadFile(filepath.Join(proc, "mountinfo"))
	for line := range strings.Lines(string(mounts)) {
		s.mount(strings.TrimSuffix(line, "\n"))
	}
	return s
}

// mount reads a line of mountinfo (proc_pid_mountinfo(5)). The engine mounts hostname, hosts and
// resolv.conf from the container's own folder.
func (s *self) mount(line string) {
	head, tail, _ := strings.Cut(line, " - ")
	fields := strings.Fields(head)
	if len(fields) < 5 {
		return
	}
	root, point := fields[3], fields[4]
	switch point {
	case "/etc/hostname", "/etc/hosts", "/etc/resolv.conf":
		s.add(longID.FindString(root))
	case "/":
		for option := range strings.SplitSeq(tail[strings.LastIndexByte(tail, ' ')+1:], ",") {
			if upper, found := strings.CutPrefix(option, "upperdir="); found {
				s.upper = upper
			}
		}
	}
}

func (s *self) add(id string) {
	if id != "" && !slices.Contains(s.ids, id) {
		s.ids = append(s.ids, id)
	}
}

// is reports whether a container is the agent's own. Where both sides know the writable layer, it
// decides: a container that shares another one's network has that one's files mounted.
func (s *self) is(c container.InspectResponse) bool {
	if c.ContainerJSONBase == nil {
		return false
	}
	if layer := c.GraphDriver.Data["UpperDir"]; s.upper != "" && filepath.IsAbs(layer) {
		return layer == s.upper
	}
	if len(s.ids) > 0 {
		return slices.Contains(s.ids, c.ID)
	}
	return len(s.hostname) >= 12 && strings.HasPrefix(c.ID, s.hostname)
}
