// Package stdout prints records on standard output: for people on a terminal, one line of JSON each
// otherwise.
package stdout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Config is the output's settings.
type Config struct {
	Format string `yaml:"format" default:"auto" enum:"auto|pretty|json" doc:"pretty is for people, json is one record per line; auto is pretty on a terminal."`
	Schema string `yaml:"schema" default:"default" enum:"default|ecs|otel" doc:"Names of the fields of json: longshore's own, the Elastic Common Schema, or OpenTelemetry's."`
}

var (
	_ pipeline.OutputConfig = (*Config)(nil)
	_ pipeline.Output       = (*Output)(nil)
	_ pipeline.Encoder      = jsonEncoder{}
	_ pipeline.Encoder      = (*pretty)(nil)
)

// Spec describes the output.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindOutput,
		Type:    "stdout",
		Summary: "Prints records on standard output.",
		New:     func() any { return new(Config) },
	}
}

// A Screen is where records are printed.
type Screen struct {
	io.Writer
	// Terminal is set if people read it.
	Terminal bool
	Color    bool
	// Location is the time zone of pretty; nil means UTC.
	Location *time.Location
}

// StandardOutput is the process's own. It has colours on a terminal, unless NO_COLOR is set
// (no-color.org) or TERM is dumb.
func StandardOutput() Screen {
	terminal := term.IsTerminal(int(os.Stdout.Fd()))
	return Screen{
		Writer:   os.Stdout,
		Terminal: terminal,
		Color:    terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		Location: time.Local,
	}
}

// Output implements pipeline.OutputConfig.
func (c *Config) Output(pipeline.Env) (pipeline.Output, error) {
	return c.On(StandardOutput()), nil
}

// On returns the output that prints on the given screen.
func (c *Config) On(s Screen) *Output {
	if s.Location == nil {
		s.Location = time.UTC
	}
	return &Output{
		screen: s,
		pretty: c.Format == "pretty" || c.Format != "json" && s.Terminal,
		schema: event.SchemaNamed(c.Schema),
	}
}

// An Output prints on one screen. Config makes it.
type Output struct {
	screen Screen
	pretty bool
	schema event.Schema

	mu sync.Mutex // held while writing
}

// maxBytes is small, so that people need not wait for a full body.
const maxBytes = 256 << 10

// Limits implements pipeline.Output: each source is printed in order.
func (o *Output) Limits() pipeline.Limits { return pipeline.Limits{Bytes: maxBytes, InOrder: true} }

// Original implements pipeline.Output: what was to be printed.
func (o *Output) Original(body *pipeline.Body, i int) []byte {
	text := body.Item(i)
	return text[:len(text)-1]
}

// Encoder implements pipeline.Output.
func (o *Output) Encoder() pipeline.Encoder {
	if o.pretty {
		return &pretty{color: o.screen.Color, location: o.screen.Location}
	}
	return jsonEncoder{o.schema}
}

// jsonEncoder writes a record as one line of JSON.
type jsonEncoder struct{ schema event.Schema }

// Encode implements pipeline.Encoder.
func (d jsonEncoder) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	dst.Bytes = d.schema.Append(dst.Bytes, b, i, true)
	dst.Bytes = append(dst.Bytes, '\n')
	return 0, nil
}

// Send implements pipeline.Output. What was printed before an error counts as delivered. It cannot
// be interrupted while the screen blocks.
func (o *Output) Send(_ context.Context, body *pipeline.Body) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.screen.Write(body.Bytes)
	if err == nil {
		return nil
	}
	failure := &pipeline.SendError{Outcome: pipeline.Hold, Reason: reason(err), Err: err}
	if n > 0 {
		failure.Items = unprinted(body, n, failure.Reason)
	}
	return failure
}

func reason(err error) string {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) || errors.Is(err, io.ErrClosedPipe) {
		return "standard output is closed: nobody reads it any more; the records that were not printed are read " +
			"again at the next start"
	}
	return fmt.Sprintf("writing to standard output: %v", err)
}

// unprinted returns the items that end beyond the first n bytes.
func unprinted(body *pipeline.Body, n int, reason string) []pipeline.ItemError {
	var rest []pipeline.ItemError
	for i, item := range body.Items {
		if int(item.End) > n {
			rest = append(rest, pipeline.ItemError{Index: i, Outcome: pipeline.Hold, Reason: reason})
		}
	}
	return rest
}

// Close implements pipeline.Output; standard output stays open.
func (o *Output) Close() error { return nil }
