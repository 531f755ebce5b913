package config

import (
	"path/filepath"
	"strings"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/dockerapi"
)

// Watch is what /metrics says of the host and its containers. Where it is a single word, that
// switches both on or off.
type Watch struct {
	Host       bool              `yaml:"host" doc:"Metrics of the machine, named as those of node_exporter." default:"true"`
	Containers bool              `yaml:"containers" doc:"Metrics of all containers, named as those of cAdvisor." default:"true"`
	MaxAge     pipeline.Duration `yaml:"max_age" doc:"How old values may be: scrapes that come closer together share one reading." default:"5s" min:"1s" max:"10m"`
	Mode       string            `yaml:"mode" doc:"Where the numbers of a container come from: the kernel's files (cgroups), which costs least, or the engine's API. auto reads the files of those whose files can be found, and asks for the others." enum:"auto|files|api" default:"auto"`
	Docker     WatchDocker       `yaml:"docker" doc:"The Docker Engine that knows the containers."`
	Labels     []string          `yaml:"labels" doc:"Labels of containers that are labels of their metrics, too: container_label_NAME, with _ for what such a name may not have." default:"[com.docker.compose.project, com.docker.compose.service]" example:"[com.example.team]"`
	Proc       string            `yaml:"proc" doc:"Where the host's /proc is: in a container, where it is mounted." default:"/proc" required:"true" example:"/host/proc"`
	Sys        string            `yaml:"sys" doc:"Where the host's /sys is." default:"/sys" required:"true" example:"/host/sys"`
	Root       string            `yaml:"root" doc:"Where the host's / is, for the space of its file systems." default:"/" required:"true" example:"/host/root"`
}

// WatchDocker is how the engine is reached.
type WatchDocker struct {
	Host string        `yaml:"host" doc:"Address of the Docker Engine; by default DOCKER_HOST, or else unix:///var/run/docker.sock." example:"tcp://127.0.0.1:2375"`
	TLS  dockerapi.TLS `yaml:"tls" doc:"For an engine that listens on TCP with TLS; by default DOCKER_CERT_PATH and DOCKER_TLS_VERIFY."`
}

// On reports whether there is anything to watch.
func (w Watch) On() bool { return w.Host || w.Containers }

// maxWatchLabels bounds the labels of each series.
const maxWatchLabels = 16

// watch takes over what is watched: nothing, unless the config asks for it.
func (d *document) watch() {
	n := d.root.get("watch")
	if n == nil || n.kind == scalarKind && !switches[strings.ToLower(n.text)] {
		return
	}
	w := d.general.Watch
	for _, p := range dockerapi.Check(w.Docker.Host, w.Docker.TLS) {
		d.report(n, child("watch.docker", p.Path), "%s", p.Message)
	}
	for name, path := range map[string]string{"proc": w.Proc, "sys": w.Sys, "root": w.Root} {
		if path != "" && !filepath.IsAbs(path) {
			d.report(n.get(name), child("watch", name), "must be an absolute path, such as /host/%s", name)
		}
	}
	if len(w.Labels) > maxWatchLabels {
		d.report(n.get("labels"), "watch.labels", "has more than %d labels", maxWatchLabels)
	}
	d.cfg.Watch = w
}
