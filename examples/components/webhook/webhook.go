// Package webhook is the example output of docs/contributing/output.md: it posts JSON lines to a
// URL.
package webhook

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Config is the output's config.
type Config struct {
	URL     string            `yaml:"url" required:"true" doc:"Where to post." example:"http://127.0.0.1:9000/logs"`
	Timeout pipeline.Duration `yaml:"timeout" default:"30s" min:"1s" doc:"How long one request may take."`
}

// Spec describes the output.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindOutput,
		Type:    "webhook",
		Summary: "Posts records to a URL, one line of JSON each.",
		New:     func() any { return new(Config) },
	}
}

// Output implements pipeline.OutputConfig.
func (c *Config) Output(pipeline.Env) (pipeline.Output, error) {
	return &output{url: c.URL, client: &http.Client{Timeout: time.Duration(c.Timeout)}}, nil
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

// Send implements pipeline.Output.
func (o *output) Send(ctx context.Context, body *pipeline.Body) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body.Bytes))
	if err != nil {
		return &pipeline.SendError{Outcome: pipeline.Hold, Reason: err.Error(), Err: err}
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := o.client.Do(req)
	if err != nil { // it may have been stored: the answer is what is missing
		return &pipeline.SendError{Outcome: pipeline.Retry, Uncertain: true, Reason: err.Error(), Err: err}
	}
	defer resp.Body.Close()
	return outcomeOf(resp)
}

// outcomeOf returns what an answer means, nil for stored.
func outcomeOf(resp *http.Response) error {
	failed := &pipeline.SendError{Status: resp.StatusCode, Reason: fmt.Sprintf("the server answered %s", resp.Status)}
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return nil
	case resp.StatusCode == http.StatusRequestEntityTooLarge:
		failed.Outcome = pipeline.Split
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		failed.Outcome = pipeline.Retry
		failed.Uncertain = resp.StatusCode >= 500
	default:
		failed.Outcome = pipeline.Hold
	}
	return failed
}

// Close implements pipeline.Output.
func (o *output) Close() error {
	o.client.CloseIdleConnections()
	return nil
}
