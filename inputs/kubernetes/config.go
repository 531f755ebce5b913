package kubernetes

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/longshore/longshore/inputs/file"
	"github.com/longshore/longshore/inputs/kubernetes/kubeapi"
	"github.com/longshore/longshore/pipeline"
)

// Spec describes the input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "kubernetes",
		Summary: "Follows the logs of a Kubernetes node's pods.",
		Traits:  pipeline.Traits{Rereadable: true, SourceOptions: true},
		New:     func() any { return new(Config) },
	}
}

// Config holds the settings of the input.
type Config struct {
	Root         string            `yaml:"root" doc:"Folder in which the kubelet keeps the logs of pods." default:"/var/log/pods"`
	Node         string            `yaml:"node" doc:"Name of the node; by default the environment's NODE_NAME, or else the host's name."`
	Include      Match             `yaml:"include" doc:"Containers to follow: those that match every list that is not empty. Without any list, all."`
	Exclude      Match             `yaml:"exclude" doc:"Containers not to follow: those that match any of the lists."`
	PodLabels    []string          `yaml:"pod_labels" doc:"Labels of pods that records get, as k8s.pod.label.NAME; * stands for any characters." default:"[app, 'app.kubernetes.io/*']"`
	Annotations  []string          `yaml:"pod_annotations" doc:"Annotations of pods that records get, as k8s.pod.annotation.NAME; * stands for any characters." example:"[example.com/team]"`
	API          API               `yaml:"api" doc:"The Kubernetes API, which knows the labels and annotations of pods. All else is known without it."`
	ReadFrom     string            `yaml:"read_from" doc:"Where to begin with logs that are there at the very first start: tail is ten lines before the end. Later ones are read from their first line." default:"beginning" enum:"beginning|tail|end"`
	MaxLineSize  pipeline.Size     `yaml:"max_line_size" doc:"Longest line of a log file; runtimes split what a program writes after 16 KiB. Of a longer one only this much is kept, marked as truncated." default:"1MiB" min:"16KiB" max:"16MiB"`
	MaxOpenFiles int               `yaml:"max_open_files" doc:"Files held open at once; with more of them, those read longest ago are closed." default:"1024" min:"16"`
	PollInterval pipeline.Duration `yaml:"poll_interval" doc:"How often all files are checked, should the system fail to report a change; by default as the file input does." min:"100ms" max:"1h"`

	follow file.Config // what FromTail has set
}

// API says how the Kubernetes API is used.
type API struct {
	Mode           string `yaml:"mode" doc:"auto asks it where there is one: in a pod, or with a url; off never does." enum:"auto|off" default:"auto"`
	kubeapi.Config `yaml:",inline"`
	Wait           pipeline.Duration `yaml:"wait" doc:"How long a new log waits for the API to tell the labels of its pod, before it is read without. Nothing of it is lost meanwhile." default:"10s" min:"0s" max:"10m"`
}

// Match selects containers. In every pattern * stands for any characters.
type Match struct {
	Namespaces []string `yaml:"namespaces" doc:"Namespaces." example:"[shop, team-*]"`
	Pods       []string `yaml:"pods" doc:"Names of pods." example:"[web-*]"`
	Containers []string `yaml:"containers" doc:"Names of containers." example:"[istio-proxy]"`
	Labels     []string `yaml:"labels" doc:"Labels of pods, as key or key=value. They are known by the API alone." example:"[tier=backend]"`
}

var (
	_ pipeline.InputConfig = (*Config)(nil)
	_ pipeline.Checker     = (*Config)(nil)
	_ pipeline.Warner      = (*Config)(nil)
	_ pipeline.FileReader  = (*Config)(nil)
)

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	problems := c.API.Check("api")
	if !filepath.IsAbs(c.Root) {
		problems = append(problems, pipeline.Problem{Path: "root", Message: "must be an absolute path"})
	}
	problems = append(problems, c.Include.check("include")...)
	return append(problems, c.Exclude.check("exclude")...)
}

func (m *Match) check(path string) []pipeline.Problem {
	var problems []pipeline.Problem
	for _, list := range []struct {
		name     string
		patterns []string
	}{{"namespaces", m.Namespaces}, {"pods", m.Pods}, {"containers", m.Containers}, {"labels", m.Labels}} {
		for i, pattern := range list.patterns {
			if pattern == "" || strings.HasPrefix(pattern, "=") {
				problems = append(problems, pipeline.Problem{Path: fmt.Sprintf("%s.%s[%d]", path, list.name, i),
					Message: "this pattern is empty and matches nothing; remove it, or write * for everything"})
			}
		}
	}
	return problems
}

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() []pipeline.Problem {
	if c.API.Mode != "off" || len(c.Include.Labels)+len(c.Exclude.Labels)+len(c.Annotations) == 0 {
		return nil
	}
	return []pipeline.Problem{{Path: "api.mode", Message: "is off, so labels and annotations of pods are not known: " +
		"include.labels matches none, exclude.labels and pod_annotations say nothing"}}
}

// glob is where the logs of containers are: NAMESPACE_POD_UID/CONTAINER/RESTARTS.log.
func (c *Config) glob() string { return filepath.Join(c.Root, "*", "*", "*.log") }

// Globs implements pipeline.FileReader.
func (c *Config) Globs() []string { return []string{c.glob()} }

// Reads implements pipeline.FileReader.
func (c *Config) Reads(path string) bool {
	matches, err := filepath.Match(c.glob(), path)
	return matches && err == nil
}

// FromTail has logs that are there at the very first start read from a number of lines before their
// ends; all of them, if that is negative.
func (c *Config) FromTail(lines int) {
	c.follow.FromTail(lines)
	c.ReadFrom = c.follow.ReadFrom
}

// lineTimeout is how long the end of a last line is waited for. A runtime writes whole lines, but
// where a disk was full.
const lineTimeout = 5 * time.Second

// files returns the config of the file input that follows the logs.
func (c *Config) files() *file.Config {
	f := c.follow
	f.Paths, f.ReadFrom, f.Encoding = []string{c.glob()}, c.ReadFrom, "utf-8"
	f.MaxLineSize, f.LineTimeout = c.MaxLineSize, pipeline.Duration(lineTimeout)
	f.MaxOpenFiles, f.PollInterval = c.MaxOpenFiles, c.PollInterval
	return &f
}

// Input implements pipeline.InputConfig.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	health := &health{report: env.Health}
	pods := newPods(c, nodeName(c.Node), c.API.Mode != "off" && (c.API.URL != "" || kubeapi.InCluster()))
	filesEnv := env
	filesEnv.Health = health.setFiles
	files, err := c.files().Guided(filesEnv, pods)
	if err != nil {
		return nil, err
	}
	return &Input{Input: files, config: *c, env: env, health: health, pods: pods}, nil
}

// nodeName returns the name of the node: in a pod it is not the host's.
func nodeName(set string) string {
	host, _ := os.Hostname() // without a name there is no label
	return cmp.Or(set, os.Getenv("NODE_NAME"), host)
}
