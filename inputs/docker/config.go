// Package docker is the input that follows the logs of containers through the
// socket of a Docker Engine, or of Podman. It only ever reads: GET requests
// to /_ping, /info, /events, /containers/json, /containers/{id}/json and
// /containers/{id}/logs; and, where it may, the files that the engine keeps logs in.
package docker

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/docker/docker/client"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/pipeline"
)

// Spec describes the input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "docker",
		Summary: "Follows the logs of containers through the Docker socket.",
		New:     func() any { return &Config{} },
	}
}

// Config is what can be set of the input.
type Config struct {
	Host     string        `yaml:"host" doc:"Where the Docker Engine listens; without it, DOCKER_HOST or unix:///var/run/docker.sock." example:"tcp://127.0.0.1:2375"`
	TLS      TLS           `yaml:"tls" doc:"For an engine that listens on TCP with TLS; without it, DOCKER_CERT_PATH and DOCKER_TLS_VERIFY."`
	Include  Match         `yaml:"include" doc:"Which containers to follow: those that match each list that is not empty. Without any list, all."`
	Exclude  Match         `yaml:"exclude" doc:"Which containers to leave out: those that match any of the lists."`
	Backends string        `yaml:"backends" doc:"Whether to follow containers that store or show logs (Loki, Grafana, Elasticsearch, Kibana, OpenSearch, VictoriaLogs), which would feed on themselves. Naming them in include.names, include.images or include.services follows them, too." enum:"exclude|include" default:"exclude"`
	Mode     string        `yaml:"mode" doc:"How to read logs of the json-file driver: from the engine's files, which costs it nothing, or through its API. auto reads the files of those containers whose files can be read. All other drivers go through the API." enum:"auto|api|files" default:"auto"`
	ReadFrom string        `yaml:"read_from" doc:"Where to start with containers that are older than this program and were never followed." enum:"beginning|end" default:"beginning"`
	MaxLine  pipeline.Size `yaml:"max_line" doc:"Longest line; of a longer one only the head is kept, and it is marked as truncated." default:"1MiB" min:"1KiB" max:"64MiB"`
}

// TLS names the files of a TLS connection.
type TLS struct {
	CA   string `yaml:"ca_file" doc:"Certificates of those who may vouch for the engine." example:"/certs/ca.pem"`
	Cert string `yaml:"cert_file" doc:"The certificate to show to the engine." example:"/certs/cert.pem"`
	Key  string `yaml:"key_file" doc:"The certificate's key." example:"/certs/key.pem"`
}

// Match chooses containers. In every pattern * stands for any characters.
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
)

// Check finds what the tags cannot.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	if c.Host != "" {
		if err := checkHost(c.Host); err != nil {
			problems = append(problems, pipeline.Problem{Path: "host", Message: err.Error()})
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		problems = append(problems, pipeline.Problem{Path: "tls", Message: "cert_file and key_file belong together; set both or none"})
	}
	problems = append(problems, c.Include.check("include")...)
	return append(problems, c.Exclude.check("exclude")...)
}

func checkHost(host string) error {
	scheme, _, found := strings.Cut(host, "://")
	if !found || !slices.Contains([]string{"unix", "tcp", "http", "https", "npipe"}, scheme) {
		return fmt.Errorf("%q is no address of a Docker Engine; write it like unix:///var/run/docker.sock or tcp://192.0.2.1:2376", host)
	}
	if _, err := client.ParseHostURL(host); err != nil {
		return fmt.Errorf("%q is no address of a Docker Engine: %w", host, err)
	}
	if scheme != "unix" && scheme != "npipe" && strings.Contains(host, "?") {
		return fmt.Errorf("%q has a query, which the address of a Docker Engine cannot have", host)
	}
	return nil
}

// Input makes the input.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Metrics == nil {
		env.Metrics = prometheus.NewRegistry()
	}
	if env.Health == nil {
		env.Health = func(error) {}
	}
	config := *c
	if config.MaxLine <= 0 {
		config.MaxLine = 1 << 20
	}
	return &Input{
		config:  config,
		log:     env.Log,
		health:  env.Health,
		metrics: newMetrics(env.Metrics),
		notify:  startWatcher,
	}, nil
}
