package elasticsearch

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"strings"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Config is the output's settings.
type Config struct {
	URLs            []string          `yaml:"urls" required:"true" doc:"The nodes; they are used in turn, except those that are down." example:"[https://elasticsearch:9200]"`
	Index           string            `yaml:"index" default:"logs-longshore-default" doc:"Index or data stream. {field} is a field of the record or a label of its source, {yyyy.MM.dd} the record's own date in UTC (yyyy, MM, dd and HH with . - or _ between them)." example:"logs-{service}-default"`
	DocumentIDs     bool              `yaml:"document_ids" formerly:"ids" default:"true" doc:"Give every document an _id made of its source and position, so that nothing is stored twice. Without it indexing is a little cheaper, and a record that is sent again is a duplicate."`
	Schema          string            `yaml:"schema" default:"default" enum:"default|ecs|otel" doc:"Names of the fields: longshore's own, the Elastic Common Schema, or OpenTelemetry's (for an index such as logs-longshore.otel-default, whose templates Elasticsearch has)."`
	Pipeline        string            `yaml:"pipeline" doc:"Ingest pipeline that every document goes through."`
	InstallTemplate bool              `yaml:"install_template" doc:"Install an index template before the first record is sent: a data stream with a lifecycle policy if the server supports them and index has no date in it. What exists and was not made by longshore is left as it is."`
	Retention       pipeline.Duration `yaml:"retention" doc:"With install_template: delete records after this time, if the server supports lifecycle policies; 0 keeps them." example:"30d"`
	MaxIndices      int               `yaml:"max_indices" default:"500" min:"1" doc:"Most index names in use within a day; records of further ones go to the index with overflow in place of each { }."`
	Compression     string            `yaml:"compression" default:"gzip" enum:"gzip|none" doc:"How requests are compressed."`
	Level           int               `yaml:"compression_level" default:"1" min:"1" max:"9" doc:"1 is the fastest, 9 the smallest."`
	APIKey          pipeline.Secret   `yaml:"api_key" doc:"API key, as id:key or encoded as Elasticsearch prints it."`
	httpclient.Settings
	Timeout pipeline.Duration `yaml:"timeout" default:"60s" min:"1s" max:"10m" doc:"Longest time of one request."`
}

var (
	_ pipeline.OutputConfig = (*Config)(nil)
	_ pipeline.Checker      = (*Config)(nil)
)

// Spec describes the output.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindOutput,
		Type:    "elasticsearch",
		Summary: "Sends records to Elasticsearch or OpenSearch.",
		New:     func() any { return new(Config) },
	}
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	found := func(path, format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if len(c.URLs) == 0 {
		found("urls", "has no URL in it")
	}
	for i, u := range c.URLs {
		problems = append(problems, httpclient.CheckURL(fmt.Sprintf("urls[%d]", i), u, &c.Auth)...)
	}
	index, err := parseIndex(c.Index)
	if err != nil {
		found("index", "%s", err)
	}
	if err == nil && c.InstallTemplate && strings.HasPrefix(index.pattern(), "*") {
		found("index", "begins with a { }; with install_template it needs a word before, or the template would be "+
			"for all indices")
	}
	if c.Retention != 0 && !c.InstallTemplate {
		found("retention", "does nothing without install_template: true")
	}
	problems = append(problems, c.checkAPIKey()...)
	settings := c.http()
	return append(problems, settings.Check()...)
}

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() []pipeline.Problem { return c.TLS.Warnings("tls") }

func (c *Config) checkAPIKey() []pipeline.Problem {
	if c.APIKey == "" {
		return nil
	}
	if c.Auth.Set() {
		return []pipeline.Problem{{Path: "api_key", Message: "is set beside auth; use one of the two"}}
	}
	for i, raw := range c.URLs {
		if u, err := httpclient.ParseURL(raw); err == nil && u.User != nil {
			return []pipeline.Problem{{Path: fmt.Sprintf("urls[%d]", i),
				Message: "names a user, and api_key is set too; use one of the two"}}
		}
	}
	for name := range c.Headers {
		if strings.EqualFold(name, "Authorization") {
			return []pipeline.Problem{{Path: "headers." + name,
				Message: "would overwrite what api_key sets; use one of the two"}}
		}
	}
	return nil
}

func (c *Config) http() httpclient.Settings {
	s := c.Settings
	s.Timeout = c.Timeout
	if c.APIKey != "" && !c.Auth.Set() {
		s.Headers = maps.Clone(c.Headers)
		if s.Headers == nil {
			s.Headers = map[string]pipeline.Secret{}
		}
		s.Headers["Authorization"] = pipeline.Secret("ApiKey " + encodedKey(c.APIKey.Reveal()))
	}
	return s
}

// encodedKey returns an API key as the header needs it: base64 of id:key.
func encodedKey(key string) string {
	if strings.Contains(key, ":") {
		return base64.StdEncoding.EncodeToString([]byte(key))
	}
	return key
}

// Output implements pipeline.OutputConfig.
func (c *Config) Output(env pipeline.Env) (pipeline.Output, error) {
	if problems := c.Check(); len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	index, err := parseIndex(c.Index)
	if err != nil {
		return nil, err
	}
	client, err := httpclient.New(c.http())
	if err != nil {
		return nil, err
	}
	wire, err := newWire(c.nodeURLs(), client)
	if err != nil {
		return nil, err
	}
	metrics := newMetrics(env.Metrics)
	o := &Output{
		wire:       wire,
		metrics:    metrics,
		indexNames: newIndexNames(index, c.MaxIndices, env.Log, metrics.overflowed),
		ids:        c.DocumentIDs,
		schema:     event.SchemaNamed(c.Schema),
		pipeline:   c.Pipeline,
		log:        env.Log,
	}
	if c.Compression != "none" {
		o.gzip = &compressor{level: c.Level}
	}
	if c.InstallTemplate {
		o.setup = newSetup(wire, env.Log, index, o.schema, c.Retention)
	}
	return o, nil
}

// nodeURLs returns the URLs that Check found valid, without what every request adds itself: the
// slash at the end of the path, and the path of bulk requests, as other programs are told it.
func (c *Config) nodeURLs() []*url.URL {
	var nodes []*url.URL
	for _, raw := range c.URLs {
		if u, err := httpclient.ParseURL(raw); err == nil {
			u.Path = strings.TrimRight(u.Path, "/")
			u.Path = strings.TrimRight(strings.TrimSuffix(u.Path, "/_bulk"), "/")
			u.Fragment = ""
			nodes = append(nodes, u)
		}
	}
	return nodes
}
