// Package jsonlines is the example output of docs/contributing/output.md: it posts JSON lines to a
// URL.
package jsonlines

import (
	"bytes"
	"context"
	"net/http"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

// Config is the output's config.
type Config struct {
	URL     string            `yaml:"url" required:"true" doc:"Where to post." example:"http://127.0.0.1:9000/logs"`
	Auth    httpclient.Auth   `yaml:"auth" doc:"Authentication."`
	TLS     tlsfiles.Client   `yaml:"tls" doc:"Certificates for https."`
	Timeout pipeline.Duration `yaml:"timeout" default:"30s" min:"1s" doc:"How long one request may take."`
}

// Spec describes the output.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindOutput,
		Type:    "jsonlines",
		Summary: "Posts records to a URL, one line of JSON each.",
		New:     func() any { return new(Config) },
	}
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	settings := c.http()
	return append(httpclient.CheckURL("url", c.URL, &c.Auth), settings.Check()...)
}

func (c *Config) http() httpclient.Settings {
	return httpclient.Settings{Auth: c.Auth, TLS: c.TLS, Timeout: c.Timeout}
}

// Output implements pipeline.OutputConfig.
func (c *Config) Output(pipeline.Env) (pipeline.Output, error) {
	transport, err := httpclient.New(c.http())
	if err != nil {
		return nil, err
	}
	return &output{url: c.URL, client: &http.Client{Transport: transport, Timeout: transport.Timeout()}}, nil
}

type output struct {
	url    string
	client *http.Client
}

// Encoder implements pipeline.Output.
func (o *output) Encoder() pipeline.Encoder { return encoder{} }

type encoder struct{}

// Encode implements pipeline.Encoder.
func (encoder) Encode(dst *pipeline.Body, b *event.Batch, i int) (group uint32, err error) {
	dst.Bytes = event.AppendRecord(dst.Bytes, b, i, true)
	dst.Bytes = append(dst.Bytes, '\n')
	return 0, nil
}

// Limits implements pipeline.Output.
func (o *output) Limits() pipeline.Limits { return pipeline.Limits{Bytes: 1 << 20, InOrder: true} }

// Original implements pipeline.Output.
func (o *output) Original(body *pipeline.Body, i int) []byte {
	return bytes.TrimSuffix(body.Item(i), []byte("\n"))
}

// Send implements pipeline.Output. It sends a copy, as a transport may read a request even after
// its answer.
func (o *output) Send(ctx context.Context, body *pipeline.Body) error {
	text := bytes.NewReader(bytes.Clone(body.Bytes))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, text)
	if err != nil {
		return httpclient.RequestError(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := o.client.Do(req)
	if err != nil {
		return httpclient.RequestError(err)
	}
	answer, _ := httpclient.ReadBody(resp) // what is there of it; the status decides
	if resp.StatusCode/100 != 2 {
		return httpclient.ResponseError(resp, answer)
	}
	return nil
}

// Close implements pipeline.Output.
func (o *output) Close() error {
	o.client.CloseIdleConnections()
	return nil
}
