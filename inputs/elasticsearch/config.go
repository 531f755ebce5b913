// Package elasticsearch is the input that takes what is sent to Elasticsearch: documents by its
// bulk API, and as much of the rest as senders ask for before they send. It answers item by item,
// when the documents are done.
//
// A document becomes a line, its JSON, for the parsers. One that this project's own output made
// becomes the record that it was, with its identity.
package elasticsearch

import (
	"net/http"
	"regexp"

	"github.com/longshore/longshore/inputs/receive"
	"github.com/longshore/longshore/pipeline"
)

// Config is the input's config.
type Config struct {
	Listen     string            `yaml:"listen" required:"true" doc:"Address to listen at; without a host, all of this one's." example:"127.0.0.1:9200"`
	Version    string            `yaml:"version" default:"8.17.0" doc:"Version of Elasticsearch that senders are told. Many refuse one that is older than themselves."`
	IndexLabel string            `yaml:"index_label" doc:"Label that gets the index that a document is for." example:"index"`
	LabelsFrom map[string]string `yaml:"labels_from" doc:"Labels that documents have the values of, by the names of their members; a dot leads into an object." example:"{host.name: host.name, container.name: container.name}"`
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
		Kind: pipeline.KindInput,
		Type: "elasticsearch",
		Summary: "Receives what is sent to Elasticsearch (Filebeat, Fluent Bit, Logstash), and answers when it " +
			"is done.",
		Traits: receive.Traits,
		New:    func() any { return new(Config) },
	}
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	problems := c.Settings.Check(c.Listen)
	if !regexp.MustCompile(`^\d{1,3}\.\d{1,3}\.\d{1,3}$`).MatchString(c.Version) {
		problems = append(problems, pipeline.Problem{Path: "version", Message: "must be three numbers, such as 8.17.0"})
	}
	return problems
}

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() []pipeline.Problem { return c.Settings.Warnings(c.Listen) }

// Input implements pipeline.InputConfig.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	hub := receive.NewHub()
	h := &handler{
		hub: hub, maxBody: int64(c.MaxBodySize), version: c.Version, indexLabel: c.IndexLabel,
		labels: labelsFrom(c.LabelsFrom), service: env.Name,
	}
	return receive.Input{Server: &receive.Server{
		Hub: hub, Listen: c.Listen, Settings: &c.Settings, Handler: http.HandlerFunc(h.serve), Env: env,
		Open: []string{readyPath},
	}}, nil
}
