// Package stdin reads lines from standard input, to its end. What was read cannot be read again, so
// every run is a new source: a line that was not delivered when the program is stopped is lost.
package stdin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/inputs/lines"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/metric"
)

// Config is the config of the stdin input.
type Config struct {
	MaxLineSize pipeline.Size `yaml:"max_line_size" formerly:"max_line" doc:"Longest line. Of a longer one only this much is kept, marked as truncated." default:"1MiB" min:"16B" max:"16MiB"`
}

// Spec describes the stdin input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "stdin",
		Summary: "Reads lines from standard input, to its end.",
		Traits:  pipeline.Traits{Ephemeral: true}, // it cannot be read again
		New:     func() any { return new(Config) },
	}
}

// Input returns the input of the process's standard input.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	return c.From(os.Stdin, env), nil
}

const blockSize = 256 << 10

// From returns the input that reads r instead of standard input. An *os.File stops being read as
// soon as ctx ends; another reader only when its Read returns.
func (c *Config) From(r io.Reader, env pipeline.Env) pipeline.Input {
	return &input{
		found:    env.Found,
		reader:   r,
		splitter: lines.Splitter{Max: int(c.MaxLineSize)},
		truncatedBytes: metric.Counter(env.Metrics, "longshore_stdin_truncated_bytes_total",
			"Bytes truncated from lines that were longer than max_line_size."),
	}
}

type input struct {
	found          func(string)
	reader         io.Reader
	splitter       lines.Splitter
	truncatedBytes prometheus.Counter

	src  *event.Source
	pos  uint64 // position of buf[0]
	buf  []byte // read, and not yet sent
	sent uint64 // To of the last batch
}

// Run reads to the end of the input, or until ctx ends.
func (in *input) Run(ctx context.Context, feed pipeline.Feed) (err error) {
	if err := forgetEarlier(feed); err != nil {
		return err
	}
	host, _ := os.Hostname() // without a name there is no label
	in.src, err = feed.Open(0, "stdin", []event.Label{
		{Name: event.LabelHost, Value: host},
		{Name: event.LabelService, Value: "stdin"},
	})
	if err != nil {
		return fmt.Errorf("opening the source of standard input: %w", err)
	}
	defer feed.Close(in.src, true)

	r, done, err := interruptible(ctx, in.reader)
	if err != nil {
		return fmt.Errorf("preparing to read standard input: %w", err)
	}
	defer done()
	in.found("standard input")
	return in.readAll(ctx, feed, r)
}

// forgetEarlier closes the sources of earlier runs that did not end in order.
func forgetEarlier(feed pipeline.Feed) error {
	for _, k := range feed.Known() {
		src, err := feed.Open(k.ID, k.Key, nil)
		if err != nil {
			return fmt.Errorf("ending the source of an earlier standard input: %w", err)
		}
		feed.Close(src, true)
	}
	return nil
}

func (in *input) readAll(ctx context.Context, feed pipeline.Feed, r io.Reader) error {
	for {
		err := in.fill(r)
		if ctx.Err() != nil {
			return nil
		}
		if sendErr := in.send(ctx, feed, err != nil); sendErr != nil {
			return nil // ctx has ended
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading standard input: %w", err)
		}
	}
}

// fill reads once, up to a block.
func (in *input) fill(r io.Reader) error {
	if cap(in.buf)-len(in.buf) < blockSize {
		in.buf = append(make([]byte, 0, 2*len(in.buf)+blockSize), in.buf...)
	}
	n, err := r.Read(in.buf[len(in.buf) : len(in.buf)+blockSize])
	in.buf = in.buf[:len(in.buf)+n]
	return err
}

// send sends the lines that were read. With last, what is left without a line end is a line too.
func (in *input) send(ctx context.Context, feed pipeline.Feed, last bool) error {
	if len(in.buf) == 0 {
		return nil
	}
	b := feed.Batch(in.src)
	b.Arena = append(b.Arena, in.buf...)
	used := in.splitter.Split(b, 0, in.pos)
	if last && used < len(b.Arena) {
		in.splitter.Last(b, used, in.pos+uint64(used))
		used = len(b.Arena)
	}
	in.pos += uint64(used)
	in.buf = in.buf[:copy(in.buf, in.buf[used:])]
	b.From, b.To = in.sent, in.pos
	b.Cursor = append(b.Cursor[:0], 1) // it cannot be read again
	in.sent = in.pos
	in.truncatedBytes.Add(float64(in.splitter.TruncatedBytes))
	in.splitter.TruncatedBytes = 0
	return feed.Send(ctx, b)
}
