package otlp

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/otlplog"
)

// Config is the output's settings.
type Config struct {
	URL         string `yaml:"url" required:"true" doc:"URL of the receiver: port 4317 is usually gRPC's, 4318 HTTP's." example:"http://otel-collector:4317"`
	Protocol    string `yaml:"protocol" default:"auto" enum:"auto|grpc|http" doc:"What the receiver speaks at that URL. auto is grpc for port 4317, http for any other."`
	Path        string `yaml:"path" default:"/v1/logs" doc:"Path of the endpoint for logs over http, unless the URL ends with it."`
	Encoding    string `yaml:"encoding" default:"protobuf" enum:"protobuf|json" doc:"How records are written; json is for http alone."`
	Compression string `yaml:"compression" default:"gzip" enum:"gzip|zstd|none" doc:"How requests are compressed. Every receiver should take gzip."`
	Identity    bool   `yaml:"identity" doc:"For a Longshore that receives: it is told whose each record is, so that it keeps labels as they are and stores nothing twice. Other receivers would see attributes that are of no use."`
	httpclient.Settings
	Timeout pipeline.Duration `yaml:"timeout" default:"30s" min:"1s" max:"10m" doc:"Longest time of one request."`
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
		Type:    "otlp",
		Summary: "Sends records by OpenTelemetry's protocol, over gRPC or HTTP.",
		New:     func() any { return new(Config) },
	}
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	problems := httpclient.CheckURL("url", c.URL, &c.Auth)
	if c.Path != "" && !strings.HasPrefix(c.Path, "/") {
		problems = append(problems, pipeline.Problem{Path: "path", Message: "must begin with /"})
	}
	if c.Encoding == "json" && c.grpc() {
		problems = append(problems, pipeline.Problem{Path: "encoding",
			Message: "json is for http alone; set protocol: http, with the port of that (4318)"})
	}
	settings := c.http()
	return append(problems, settings.Check()...)
}

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() []pipeline.Problem { return c.TLS.Warnings("tls") }

// grpcPort is the one that is registered for OTLP over gRPC.
const grpcPort = "4317"

func (c *Config) grpc() bool {
	if c.Protocol != "auto" && c.Protocol != "" {
		return c.Protocol == "grpc"
	}
	u, err := httpclient.ParseURL(c.URL)
	return err == nil && u.Port() == grpcPort
}

func (c *Config) http() httpclient.Settings {
	s := c.Settings
	s.Timeout = c.Timeout
	return s
}

// Output implements pipeline.OutputConfig.
func (c *Config) Output(env pipeline.Env) (pipeline.Output, error) {
	if problems := c.Check(); len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	target, err := c.target()
	if err != nil {
		return nil, err
	}
	client, err := httpclient.New(c.http())
	if err != nil {
		return nil, err
	}
	o := &Output{
		url: target, client: client, log: env.Log, metrics: newMetrics(env.Metrics), now: time.Now,
		grpc: c.grpc(), json: c.Encoding == "json", identity: c.Identity, sender: senderOf(env),
		compression: c.Compression,
		scope:       otlplog.Scope{Name: "longshore", Version: version()},
		frames:      &sync.Pool{New: func() any { return new(frame) }},
	}
	if o.grpc {
		onlyHTTP2(client.Transport())
	}
	if c.Compression == "zstd" {
		if o.zstd, err = newZstd(); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// senderOf returns what names us to another Longshore: who sends what it has sent before has the
// same name.
func senderOf(env pipeline.Env) string {
	host, _ := os.Hostname() // "" names us well enough
	of := fnv.New64a()
	fmt.Fprintf(of, "%s\x00%s\x00%s", host, env.Name, env.Folder)
	return strconv.FormatUint(of.Sum64(), 16)
}

// target returns the URL of requests.
func (c *Config) target() (*url.URL, error) {
	u, err := httpclient.ParseURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("url %w", err)
	}
	path := c.Path
	if c.grpc() {
		path = otlplog.ExportPath
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), path) + path
	return u, nil
}

// onlyHTTP2 makes a pool speak HTTP/2 from the start, as gRPC needs it, and notice within half a
// minute that the other side is gone.
func onlyHTTP2(t *http.Transport) {
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP2(true)
	t.Protocols.SetUnencryptedHTTP2(true)
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second}
}

// zstdWindow is how far back a request refers: more costs memory, and gains little.
const zstdWindow = 512 << 10

func newZstd() (*zstd.Encoder, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(zstdWindow),
		zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("making the zstd compressor: %w", err)
	}
	return e, nil
}

// version is that of the program, without what it is called.
func version() string {
	_, v, _ := strings.Cut(httpclient.UserAgent(), "/")
	return v
}
