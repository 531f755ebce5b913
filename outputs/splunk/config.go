package splunk

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// Config is the output's settings.
type Config struct {
	URL        string            `yaml:"url" required:"true" doc:"The collector; /services/collector/event is added." example:"https://splunk:8088"`
	Token      pipeline.Secret   `yaml:"token" required:"true" doc:"Token of the HTTP Event Collector." example:"12345678-1234-1234-1234-123456789abc"`
	Index      string            `yaml:"index" doc:"Index; by default that of the token. {field} is a field of the record or a label of its source." example:"logs_{service}"`
	Host       string            `yaml:"host" default:"{host.name}" doc:"Host of the event, a template as well."`
	Source     string            `yaml:"source" doc:"Source of the event, a template as well; by default the file's path or the container's name."`
	SourceType string            `yaml:"sourcetype" doc:"Source type, a template as well; by default that of the token." example:"_json"`
	Fields     map[string]string `yaml:"fields" doc:"Indexed fields, as templates. A field without a value is left out." example:"{level: '{level}', service: '{service}'}"`
	LineFormat string            `yaml:"line_format" default:"json" enum:"json|raw" doc:"The event: the parsed record as a JSON object, or the line as it was read."`
	Schema     string            `yaml:"schema" default:"default" enum:"default|ecs|otel" doc:"Names of the record's fields: longshore's own, the Elastic Common Schema, or OpenTelemetry's."`

	Acknowledge bool              `yaml:"acknowledge" doc:"Wait until the indexers have the events (indexer acknowledgement, which the token must have enabled). Without it, Splunk may lose what it has answered for, if it crashes."`
	AckTimeout  pipeline.Duration `yaml:"ack_timeout" default:"5m" min:"10s" max:"10m" doc:"How long to wait for that, until the events are sent again."`

	Compression string                     `yaml:"compression" default:"gzip" enum:"gzip|none" doc:"How requests are compressed."`
	Level       int                        `yaml:"compression_level" default:"1" min:"1" max:"9" doc:"1 is the fastest, 9 the smallest."`
	TLS         tlsfiles.Client            `yaml:"tls" doc:"Certificates for https."`
	Proxy       string                     `yaml:"proxy" doc:"URL of a proxy, or none; by default HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment."`
	Headers     map[string]pipeline.Secret `yaml:"headers" doc:"Additional headers of every request. Their values are never shown."`
	Timeout     pipeline.Duration          `yaml:"timeout" default:"60s" min:"1s" max:"10m" doc:"Longest time of one request, without the wait for acknowledgement."`
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
		Type:    "splunk",
		Summary: "Sends records to Splunk's HTTP Event Collector.",
		New:     func() any { return new(Config) },
	}
}

// scheme is before the token in the header; some write it in the setting, too.
const scheme = "Splunk "

// templates returns those of the config by their settings.
func (c *Config) templates() map[string]string {
	all := map[string]string{"index": c.Index, "host": c.Host, "source": c.Source, "sourcetype": c.SourceType}
	for name, text := range c.Fields {
		all["fields."+name] = text
	}
	return all
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	var problems []pipeline.Problem
	found := func(path, format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	problems = append(problems, httpclient.CheckURL("url", c.URL, &httpclient.Auth{})...)
	if u, err := httpclient.ParseURL(c.URL); err == nil && u.User != nil {
		found("url", "names a user; the collector knows us by token alone")
	}
	token := strings.TrimPrefix(c.Token.Reveal(), scheme)
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		found("token", "has blanks or control characters in it, such as a line end; take them out")
		return problems
	}
	templates := c.templates()
	for _, path := range slices.Sorted(maps.Keys(templates)) {
		if _, err := event.ParseTemplate(templates[path]); err != nil {
			found(path, "%s", err)
		}
	}
	for name := range c.Headers {
		if strings.EqualFold(name, "Authorization") {
			found("headers."+name, "would overwrite what token sets; take it out")
		}
	}
	settings := c.http()
	return append(problems, settings.Check()...)
}

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() []pipeline.Problem { return c.TLS.Warnings("tls") }

func (c *Config) http() httpclient.Settings {
	headers := maps.Clone(c.Headers)
	if headers == nil {
		headers = map[string]pipeline.Secret{}
	}
	headers["Authorization"] = pipeline.Secret(scheme + strings.TrimPrefix(c.Token.Reveal(), scheme))
	return httpclient.Settings{TLS: c.TLS, Proxy: c.Proxy, Headers: headers, Timeout: c.Timeout}
}

// Output implements pipeline.OutputConfig.
func (c *Config) Output(env pipeline.Env) (pipeline.Output, error) {
	if problems := c.Check(); len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	client, err := httpclient.New(c.http())
	if err != nil {
		return nil, err
	}
	base, err := httpclient.ParseURL(c.URL)
	if err != nil {
		return nil, err
	}
	o := &Output{
		client: client, collector: collectorOf(base), query: base.RawQuery,
		encode:     c.newEncoder(),
		compressor: compressor{off: c.Compression == "none", level: c.Level},
		ackTimeout: time.Duration(c.AckTimeout), log: env.Log,
		fixedIndex: !strings.Contains(c.Index, "{"),
	}
	if c.Acknowledge {
		o.channel = newChannel()
	}
	return o, nil
}

// collectorOf returns the URL of a collector, to which other programs add the path of events.
func collectorOf(u *url.URL) *url.URL {
	const collector = "/services/collector"
	path := strings.TrimRight(u.Path, "/")
	for _, end := range []string{"/1.0", "/event", "/raw", collector} {
		path = strings.TrimSuffix(path, end)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: path + collector}
}

// newChannel returns a channel of one's own, by which acknowledgements are asked for: a GUID.
func newChannel() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// A field is an indexed field.
type field struct {
	name  string
	value event.Template
}

func (c *Config) newEncoder() encoder {
	parsed := func(text string) event.Template {
		t, _ := event.ParseTemplate(text) // Check has found it valid
		return t
	}
	e := encoder{raw: c.LineFormat == "raw", schema: event.SchemaNamed(c.Schema), anySource: c.Source == ""}
	for _, m := range []struct{ name, text string }{
		{"host", c.Host}, {"source", c.Source}, {"sourcetype", c.SourceType}, {"index", c.Index},
	} {
		if m.text != "" {
			e.meta = append(e.meta, field{m.name, parsed(m.text)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		e.fields = append(e.fields, field{name, parsed(c.Fields[name])})
	}
	return e
}
