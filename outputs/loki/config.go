// Package loki sends records to Grafana Loki, or to what speaks its push
// protocol: protobuf, compressed as a snappy block, over HTTP.
package loki

import (
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Config is the output's settings.
type Config struct {
	URL                string                     `yaml:"url" required:"true" doc:"Where Loki listens; a full push URL will do as well." example:"http://loki:3100"`
	Path               string                     `yaml:"path" default:"/loki/api/v1/push" doc:"Path of the push endpoint."`
	TenantID           string                     `yaml:"tenant_id" formerly:"tenant" doc:"Tenant, sent as X-Scope-OrgID; for a Loki with auth_enabled."`
	Labels             map[string]string          `yaml:"labels" doc:"Labels of the streams, instead of the usual host, service_name, container or filename, compose_project. {field} is a field of the record or a label of its source; a label that comes out empty is left out." example:"{service_name: \"{service}\", container: \"{container.name}\"}"`
	MaxLabelValues     int                        `yaml:"max_label_values" default:"1000" min:"1" doc:"Values that what is in the lines may give to one label; further ones become \"other\". Each makes a stream of its own, and Loki does not like many."`
	StructuredMetadata string                     `yaml:"structured_metadata" default:"auto" enum:"auto|off" doc:"Send trace_id, span_id, container_id, stream and detected_level beside the line; auto stops where Loki does not take them."`
	LineFormat         string                     `yaml:"line_format" formerly:"line" default:"json" enum:"json|raw" doc:"What the line is: the parsed record as JSON, or the line as it was read."`
	Schema             string                     `yaml:"schema" default:"default" enum:"default|ecs|otel" doc:"Names of the fields with line_format: json: longshore's own, the Elastic Common Schema, or OpenTelemetry's."`
	MaxLineSize        pipeline.Size              `yaml:"max_line_size" formerly:"max_line" default:"256KiB" min:"1KiB" max:"1MiB" doc:"Longest line, as Loki's max_line_size; longer ones are truncated and marked."`
	LateStream         bool                       `yaml:"late_stream" formerly:"late" default:"true" doc:"Send what Loki rejects for being too far behind its stream (an hour by default) to a stream with the label late=\"1\" beside it, instead of keeping it as a dead letter."`
	Reconcile          string                     `yaml:"reconcile" default:"auto" enum:"auto|off" doc:"Ask Loki what it has stored before anything is sent again that may be there already (after a crash, a timeout, a 5xx), and send only what is missing; off sends it again as it is."`
	Query              Query                      `yaml:"query" doc:"Where and how to ask, if not at url with auth."`
	Auth               httpclient.Auth            `yaml:"auth" doc:"How to log in, where something in front of Loki asks for it."`
	TLS                httpclient.TLS             `yaml:"tls" doc:"Whom to trust and what to show on https."`
	Proxy              string                     `yaml:"proxy" doc:"URL of a proxy, or none; empty takes HTTPS_PROXY and its like from the environment."`
	Headers            map[string]pipeline.Secret `yaml:"headers" doc:"Further headers of every request. Their values are never shown."`
	Timeout            pipeline.Duration          `yaml:"timeout" default:"30s" min:"1s" max:"10m" doc:"How long one request may take."`
}

// Query says where Loki is asked what it holds.
type Query struct {
	URL  string          `yaml:"url" doc:"Where Loki answers queries, up to /loki/api/v1; for a Loki that takes logs elsewhere." example:"http://loki-read:3100"`
	Auth httpclient.Auth `yaml:"auth" doc:"How to log in for queries. With this or query.url, the output's own auth is not used for them."`
}

// separate says whether queries go another way than pushes.
func (q *Query) separate() bool {
	a := &q.Auth
	return q.URL != "" || a.Username != "" || a.BearerToken != "" || a.BearerTokenFile != "" || a.OAuth2.TokenURL != ""
}

var (
	_ pipeline.OutputConfig = (*Config)(nil)
	_ pipeline.Checker      = (*Config)(nil)
)

// Spec describes the output.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindOutput,
		Type:    "loki",
		Summary: "Sends records to Grafana Loki.",
		New:     func() any { return new(Config) },
	}
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	problems := httpclient.CheckURL("url", c.URL, &c.Auth)
	if c.Path != "" && !strings.HasPrefix(c.Path, "/") {
		problems = append(problems, pipeline.Problem{Path: "path", Message: "must begin with /"})
	}
	if strings.ContainsFunc(c.TenantID, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '/' || r == '\\' }) {
		problems = append(problems, pipeline.Problem{Path: "tenant_id", Message: "has characters that Loki takes in no tenant; letters, digits and !-_.*'() are fine"})
	}
	for name := range c.Headers {
		if strings.EqualFold(name, tenantHeader) && c.TenantID != "" {
			problems = append(problems, pipeline.Problem{Path: "headers." + name, Message: "would overwrite what tenant_id sets; use one of the two"})
		}
	}
	if c.Query.URL != "" {
		problems = append(problems, httpclient.CheckURL("query.url", c.Query.URL, &c.Query.Auth)...)
	}
	problems = append(problems, c.Query.Auth.Check("query.auth")...)
	_, wrong := parseLabels(c.Labels)
	problems = append(problems, wrong...)
	settings := c.http()
	return append(problems, settings.Check()...)
}

func (c *Config) http() httpclient.Settings {
	return httpclient.Settings{TLS: c.TLS, Auth: c.Auth, Proxy: c.Proxy, Headers: c.Headers, Timeout: c.Timeout}
}

// queryHTTP is http for queries that go another way than pushes. What logs in
// for pushes does not go with them.
func (c *Config) queryHTTP() httpclient.Settings {
	s := c.http()
	s.Auth = c.Query.Auth
	s.Headers = maps.Clone(c.Headers)
	maps.DeleteFunc(s.Headers, func(name string, _ pipeline.Secret) bool { return strings.EqualFold(name, "Authorization") })
	return s
}

// Output implements pipeline.OutputConfig.
func (c *Config) Output(env pipeline.Env) (pipeline.Output, error) {
	if problems := c.Check(); len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	to, err := c.pushURL()
	if err != nil {
		return nil, err
	}
	client, err := httpclient.New(c.http())
	if err != nil {
		return nil, err
	}
	metrics := newMetrics(env.Metrics)
	labels, _ := parseLabels(c.Labels)
	o := &Output{
		url:     to,
		tenant:  c.TenantID,
		client:  client,
		log:     env.Log,
		metrics: metrics,
		raw:     c.LineFormat == "raw",
		schema:  event.SchemaNamed(c.Schema),
		maxLine: int(c.MaxLineSize),
		labels:  labels,
		late:    c.LateStream,
		target:  c.target(),
	}
	if c.Reconcile != "off" {
		if o.querier, err = c.newQuerier(to, client); err != nil {
			return nil, err
		}
	}
	o.health.now = time.Now
	o.limiter = newLimiter(c.MaxLabelValues, env.Log, metrics.replaced)
	o.metadataOff.Store(c.StructuredMetadata == "off")
	return o, nil
}

// pushURL joins url and path, unless the user gave the whole push URL.
func (c *Config) pushURL() (*url.URL, error) {
	u, err := httpclient.ParseURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("url %w", err)
	}
	base := strings.TrimSuffix(u.Path, "/")
	u.Path = strings.TrimSuffix(base, c.Path) + c.Path
	return u, nil
}
