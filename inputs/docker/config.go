package docker

import (
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/dockerapi"
)

// Spec describes the input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "docker",
		Summary: "Follows the logs of containers through the Docker socket.",
		Traits: pipeline.Traits{
			ReserveAhead: uint64(time.Minute), // positions are nanoseconds
			Ephemeral:    true,                // dockerd rotates what is not read in time
			Rereadable:   true, SourceOptions: true,
		},
		New: func() any { return &Config{} },
	}
}

// Config holds the settings of the input.
type Config struct {
	Host     string        `yaml:"host" doc:"Address of the Docker Engine; by default DOCKER_HOST, or else unix:///var/run/docker.sock." example:"tcp://127.0.0.1:2375"`
	TLS      dockerapi.TLS `yaml:"tls" doc:"For an engine that listens on TCP with TLS; by default DOCKER_CERT_PATH and DOCKER_TLS_VERIFY."`
	Include  Match         `yaml:"include" doc:"Containers to follow: those that match every list that is not empty. Without any list, all."`
	Exclude  Match         `yaml:"exclude" doc:"Containers not to follow: those that match any of the lists."`
	Backends string        `yaml:"backends" doc:"Whether to follow containers that store or show logs (Loki, Grafana, Elasticsearch, Kibana, OpenSearch, VictoriaLogs), which would log about their own logs. Those named in include.names, include.images or include.services are followed in any case." enum:"exclude|include" default:"exclude"`
	Mode     string        `yaml:"mode" doc:"How to read logs of the json-file driver: from the engine's files, which costs the engine nothing, or through its API. auto reads the files that can be read, and uses the API for other containers. Other drivers always go through the API." enum:"auto|api|files" default:"auto"`
	ReadFrom string        `yaml:"read_from" doc:"Where to start in the logs of containers that were created before the agent first started: tail is ten lines before the end. Later ones are read from their first line." enum:"beginning|tail|end" default:"beginning"`
	MaxLine  pipeline.Size `yaml:"max_line_size" formerly:"max_line" doc:"Longest line; of a longer one only the beginning is kept, and it is marked as truncated." default:"1MiB" min:"1KiB" max:"64MiB"`

	tail int // see FromTail
}

// Values of Config.ReadFrom.
const (
	fromTail = "tail"
	fromEnd  = "end"
)

// FromTail has containers that were created before the agent first started read from a number of
// lines before the end of their logs; all of them, if that is negative.
func (c *Config) FromTail(lines int) {
	c.ReadFrom, c.tail = fromTail, lines
	switch {
	case lines == 0:
		c.ReadFrom = fromEnd
	case lines < 0:
		c.ReadFrom = "beginning"
	}
}

// skipsOldLines reports whether what was written before the first start is not read, or in part.
func (c *Config) skipsOldLines() bool { return c.ReadFrom == fromTail || c.ReadFrom == fromEnd }

// Match selects containers. In every pattern * stands for any characters.
type Match struct {
	Names    []string `yaml:"names" doc:"Names of containers." example:"[web-*]"`
	Images   []string `yaml:"images" doc:"Images, with or without registry and tag." example:"[nginx, ghcr.io/acme/*]"`
	Labels   []string `yaml:"labels" doc:"Labels, as key or key=value." example:"[com.example.env=prod]"`
	Projects []string `yaml:"projects" doc:"Compose projects." example:"[shop]"`
	Services []string `yaml:"services" doc:"Compose services." example:"[api, worker-*]"`
}

var (
	_ pipeline.InputConfig = (*Config)(nil)
	_ pipeline.Checker     = (*Config)(nil)
	_ pipeline.FileReader  = (*Config)(nil)
)

// engineFiles is where an engine on this machine keeps its containers' logs, unless its data-root
// is another.
const engineFiles = "/var/lib/docker/containers/*/*-json.log"

// Globs implements pipeline.FileReader, where all containers are followed: which those would be
// otherwise, only the engine knows.
func (c *Config) Globs() []string {
	if c.Host != "" || !c.Include.empty() || !c.Exclude.empty() {
		return nil
	}
	return []string{engineFiles}
}

// Reads implements pipeline.FileReader.
func (c *Config) Reads(path string) bool {
	return slices.ContainsFunc(c.Globs(), func(glob string) bool {
		matches, err := filepath.Match(glob, path)
		return matches && err == nil
	})
}

func (m *Match) empty() bool {
	return len(m.Names)+len(m.Images)+len(m.Labels)+len(m.Projects)+len(m.Services) == 0
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	problems := dockerapi.Check(c.Host, c.TLS)
	problems = append(problems, c.Include.check("include")...)
	return append(problems, c.Exclude.check("exclude")...)
}

// Input implements pipeline.InputConfig.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	return &Input{
		config:   *c,
		log:      env.Log,
		health:   env.Health,
		found:    env.Found,
		folder:   env.Folder,
		panicked: env.Panicked,
		metrics:  newMetrics(env.Metrics),
		notify:   startWatcher,

		rereadMetrics: newMetrics(prometheus.NewRegistry()),
		entrySpacing:  entrySpacing,
	}, nil
}
