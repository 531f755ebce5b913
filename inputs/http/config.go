// Package http is the input that takes lines and JSON by POST, and answers when they are done.
package http

import (
	"net/http"
	"strings"

	"github.com/longshore/longshore/inputs/receive"
	"github.com/longshore/longshore/pipeline"
)

// Config is the input's config.
type Config struct {
	Listen string `yaml:"listen" required:"true" doc:"Address to listen at; without a host, all of this one's." example:"127.0.0.1:8088"`
	Path   string `yaml:"path" doc:"The only path that records are taken at; every path where it is not set." example:"/logs"`
	receive.Settings
}

var (
	_ pipeline.InputConfig = (*Config)(nil)
	_ pipeline.Checker     = (*Config)(nil)
	_ pipeline.Warner      = (*Config)(nil)
)

// Spec describes the input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "http",
		Summary: "Receives lines and JSON by HTTP, and answers when they are done.",
		Traits:  receive.Traits,
		New:     func() any { return new(Config) },
	}
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	problems := c.Settings.Check(c.Listen)
	if c.Path != "" && (!strings.HasPrefix(c.Path, "/") || c.Path == readyPath) {
		problems = append(problems, pipeline.Problem{Path: "path",
			Message: "must begin with /, and " + readyPath + " is for load balancers; write it like /logs"})
	}
	return problems
}

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() []pipeline.Problem { return c.Settings.Warnings(c.Listen) }

// Input implements pipeline.InputConfig.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	hub := receive.NewHub()
	h := &handler{hub: hub, path: c.Path, maxBody: int64(c.MaxBodySize), service: env.Name}
	return receive.Input{Server: &receive.Server{
		Hub: hub, Listen: c.Listen, Settings: &c.Settings, Handler: http.HandlerFunc(h.serve),
		Open: []string{readyPath}, Env: env,
	}}, nil
}
