package loki

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Config is the output's settings.
type Config struct {
	URL                string            `yaml:"url" required:"true" doc:"URL of Loki; a full push URL works too." example:"http://loki:3100"`
	Path               string            `yaml:"path" default:"/loki/api/v1/push" doc:"Path of the push endpoint."`
	TenantID           string            `yaml:"tenant_id" formerly:"tenant" doc:"Tenant, sent as X-Scope-OrgID, for a Loki with auth_enabled."`
	Labels             map[string]string `yaml:"labels" doc:"Labels of the streams, instead of the default host, service_name, container or filename, compose_project. {field} is a field of the record or a label of its source; an empty label is left out." example:"{service_name: \"{service}\", container: \"{container.name}\"}"`
	MaxLabelValues     int               `yaml:"max_label_values" default:"1000" min:"1" doc:"Values of one label that may come from the lines; further ones become \"other\". Each makes a stream of its own, and many streams slow Loki down."`
	StructuredMetadata string            `yaml:"structured_metadata" default:"auto" enum:"auto|off" doc:"Send trace_id, span_id, container_id, stream, source_id (of what is no container) and detected_level beside the line; auto stops if Loki rejects them."`
	LineFormat         string            `yaml:"line_format" formerly:"line" default:"json" enum:"json|raw" doc:"The line to send: the parsed record as JSON, or the line as it was read."`
	Schema             string            `yaml:"schema" default:"default" enum:"default|ecs|otel" doc:"Names of the fields with line_format: json: longshore's own, the Elastic Common Schema, or OpenTelemetry's."`
	MaxLineSize        pipeline.Size     `yaml:"max_line_size" formerly:"max_line" default:"256KiB" min:"1KiB" max:"1MiB" doc:"Longest line, as Loki's max_line_size; longer ones are truncated and marked."`
	LateStream         bool              `yaml:"late_stream" formerly:"late" default:"true" doc:"Send what Loki rejects for being too far behind its stream (an hour by default) to a stream with the label late=\"1\" beside it, instead of keeping it as a dead letter."`
	Reconcile          string            `yaml:"reconcile" default:"auto" enum:"auto|off" doc:"Ask Loki what it has stored before sending again what may be stored already (after a crash, a timeout, a 5xx), and send only what is missing; off sends it again without asking."`
	Query              Query             `yaml:"query" doc:"Where and how to query, if not at url with auth."`
	httpclient.Settings
	Timeout pipeline.Duration `yaml:"timeout" default:"30s" min:"1s" max:"10m" doc:"Longest time of one request."`
}

// Query says where and how Loki is queried.
type Query struct {
	URL  string          `yaml:"url" doc:"URL for queries, up to /loki/api/v1, if Loki receives logs at another." example:"http://loki-read:3100"`
	Auth httpclient.Auth `yaml:"auth" doc:"Authentication of queries. With this or query.url, the output's own auth is not used for them."`
}

// separate reports whether queries use a client of their own.
func (q *Query) separate() bool {
	return q.URL != "" || q.Auth.Set()
}

var (
	_ pipeline.OutputConfig = (*Config)(nil)
	_ pipeline.Checker      = (*Config)(nil)
	_ pipeline.Warner       = (*Config)(nil)
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
		problems = append(problems, pipeline.Problem{Path: "tenant_id",
			Message: "has characters that Loki does not allow; letters, digits and !-_.*'() are allowed"})
	}
	for name := range c.Headers {
		if strings.EqualFold(name, tenantHeader) && c.TenantID != "" {
			problems = append(problems, pipeline.Problem{Path: "headers." + name,
				Message: "would overwrite what tenant_id sets; use one of the two"})
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

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() []pipeline.Problem {
	return append(c.warnOfStreams(), c.TLS.Warnings("tls")...)
}

// warnOfStreams warns of labels that merge sources.
func (c *Config) warnOfStreams() []pipeline.Problem {
	labels, problems := parseLabels(c.Labels)
	if len(problems) > 0 || slices.ContainsFunc(labels, label.namesSource) {
		return nil
	}
	kept := "source_id beside each line says whose it is"
	if c.StructuredMetadata == "off" {
		kept = "times that differ by less than a millisecond keep equal lines apart"
	}
	return []pipeline.Problem{{Path: "labels", Message: "have neither {filename} nor {container.name}, so sources " +
		"share a stream, in which " + kept + "; add one of the two if that is not meant"}}
}

func (c *Config) http() httpclient.Settings {
	s := c.Settings
	s.Timeout = c.Timeout
	return s
}

// queryHTTP returns the settings for queries with a client of their own. Credentials for pushes are
// left out.
func (c *Config) queryHTTP() httpclient.Settings {
	s := c.http()
	s.Auth = c.Query.Auth
	s.Headers = maps.Clone(c.Headers)
	maps.DeleteFunc(s.Headers, func(name string, _ pipeline.Secret) bool {
		return strings.EqualFold(name, "Authorization")
	})
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
		base:    c.baseURL(to),
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

		memory: newMemory(env.Folder), recalled: new(sync.Once), shifts: &shifts{},
	}
	if c.Reconcile != "off" {
		if o.querier, err = c.newQuerier(to, client); err != nil {
			return nil, err
		}
	}
	o.health.now = time.Now
	o.limiter = newLimiter(c.MaxLabelValues, env.Log, metrics.replaced)
	o.limiter.admitted = func(name, value string) { o.memory.add(remembered{Label: name, Value: value}) }
	o.metadataOff.Store(c.StructuredMetadata == "off")
	return o, nil
}

// pushURL joins url and path, unless url is a full push URL.
func (c *Config) pushURL() (*url.URL, error) {
	u, err := httpclient.ParseURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("url %w", err)
	}
	base := strings.TrimSuffix(u.Path, "/")
	u.Path = strings.TrimSuffix(base, c.Path) + c.Path
	return u, nil
}
