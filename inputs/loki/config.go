// Package loki is the input that takes what is sent to Grafana Loki: its push API, as protobuf and
// JSON. It answers when the entries are done.
//
// The labels of a stream become those of a source, under this project's names, and structured
// metadata become fields. An entry keeps its time.
package loki

import (
	"net/http"

	"github.com/longshore/longshore/inputs/receive"
	"github.com/longshore/longshore/pipeline"
)

// Config is the input's config.
type Config struct {
	Listen      string `yaml:"listen" required:"true" doc:"Address to listen at; without a host, all of this one's." example:"127.0.0.1:3100"`
	TenantLabel string `yaml:"tenant_label" doc:"Label that gets the tenant of a request, which is in its header X-Scope-OrgID." example:"tenant"`
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
		Type:    "loki",
		Summary: "Receives what is sent to Loki (Promtail, Alloy, Docker's plugin), and answers when it is done.",
		Traits:  receive.Traits,
		New:     func() any { return new(Config) },
	}
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem { return c.Settings.Check(c.Listen) }

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() []pipeline.Problem { return c.Settings.Warnings(c.Listen) }

// Input implements pipeline.InputConfig.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	hub := receive.NewHub()
	h := &handler{hub: hub, maxBody: int64(c.MaxBodySize), tenantLabel: c.TenantLabel}
	return receive.Input{Server: &receive.Server{
		Hub: hub, Listen: c.Listen, Settings: &c.Settings, Handler: http.HandlerFunc(h.serve),
		Open: []string{readyPath}, Env: env,
	}}, nil
}
