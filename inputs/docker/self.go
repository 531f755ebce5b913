package docker

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
)

// self knows by what this program recognises the container that it runs in,
// whatever hostname it was given.
type self struct {
	ids      []string // containers that this process seems to be in
	upper    string   // the writable layer of its root, an absolute path on the host
	hostname string
}

// longID is what Docker and Podman call a container.
var longID = regexp.MustCompile(`[0-9a-f]{64}`)

// findSelf looks around in a process's folder below /proc. Outside of a
// container it finds nothing that any container is.
func findSelf(proc string) self {
	var me self
	me.hostname, _ = os.Hostname()
	eachLine(filepath.Join(proc, "cgroup"), me.cgroup)
	eachLine(filepath.Join(proc, "mountinfo"), me.mount)
	return me
}

func eachLine(path string, take func(string)) {
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		take(lines.Text())
	}
}

// cgroup reads a line like 0::/system.slice/docker-<id>.scope. There may be
// several: an engine can run in a container itself.
func (me *self) cgroup(line string) {
	for _, id := range longID.FindAllString(line, -1) {
		me.add(id)
	}
}

// mount reads a line of mountinfo (proc_pid_mountinfo(5)). The engine mounts
// files of the container's own folder: hostname, hosts, resolv.conf.
func (me *self) mount(line string) {
	head, tail, _ := strings.Cut(line, " - ")
	fields := strings.Fields(head)
	if len(fields) < 5 {
		return
	}
	root, point := fields[3], fields[4]
	switch point {
	case "/etc/hostname", "/etc/hosts", "/etc/resolv.conf":
		me.add(longID.FindString(root))
	case "/":
		for option := range strings.SplitSeq(tail[strings.LastIndexByte(tail, ' ')+1:], ",") {
			if upper, found := strings.CutPrefix(option, "upperdir="); found {
				me.upper = upper
			}
		}
	}
}

func (me *self) add(id string) {
	if id != "" && !slices.Contains(me.ids, id) {
		me.ids = append(me.ids, id)
	}
}

// is tells whether a container is this program's own. Its writable layer
// decides where both sides know it: a container that shares another one's network
// has that one's files mounted.
func (me *self) is(c container.InspectResponse) bool {
	if c.ContainerJSONBase == nil {
		return false
	}
	if layer := c.GraphDriver.Data["UpperDir"]; me.upper != "" && filepath.IsAbs(layer) {
		return layer == me.upper
	}
	if len(me.ids) > 0 {
		return slices.Contains(me.ids, c.ID)
	}
	return len(me.hostname) >= 12 && strings.HasPrefix(c.ID, me.hostname)
}
