// Package growing is the example input of docs/contributing/input.md: it reads a file that only
// grows.
package growing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/longshore/longshore/inputs/lines"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/backoff"
	"github.com/longshore/longshore/pipeline/event"
)

// Config is the input's config.
type Config struct {
	Path string            `yaml:"path" required:"true" doc:"The file to read." example:"/var/log/app.log"`
	Poll pipeline.Duration `yaml:"poll_interval" default:"100ms" min:"1ms" doc:"Pause between two looks at the file."`
}

// Spec describes the input.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindInput,
		Type:    "growing",
		Summary: "Reads a file that only grows.",
		New:     func() any { return new(Config) },
		Traits:  pipeline.Traits{Rereadable: true},
	}
}

// Input implements pipeline.InputConfig.
func (c *Config) Input(env pipeline.Env) (pipeline.Input, error) {
	return &input{config: *c, env: env, split: lines.Splitter{Max: maxLine}}, nil
}

const maxLine = 1 << 20

type input struct {
	config Config
	env    pipeline.Env
	split  lines.Splitter
	block  []byte
}

// Run implements pipeline.Input.
func (in *input) Run(ctx context.Context, feed pipeline.Feed) error {
	id, pos := event.SourceID(0), uint64(0)
	for _, known := range feed.Known() {
		if known.Key == in.config.Path { // others are of an earlier config
			id, pos = known.ID, known.Cursor.Pos
			in.split.Skipping = string(known.Cursor.State) == skipping
		}
	}
	src, err := feed.Open(id, in.config.Path, []event.Label{{Name: event.LabelService, Value: in.env.Name}})
	if err != nil {
		return fmt.Errorf("opening the source %s: %w", in.config.Path, err)
	}
	defer feed.Close(src, false)
	in.block = make([]byte, maxLine+2) // the longest line and its CR LF
	for ctx.Err() == nil {
		to, err := in.send(ctx, feed, src, pos)
		in.env.Health(err) // it may pass, so /ready says so and reading goes on
		if to == pos {
			_ = backoff.Sleep(ctx, time.Duration(in.config.Poll), nil)
		}
		pos = to
	}
	return nil
}

// send sends the whole lines from a position on, and returns the position behind them.
func (in *input) send(ctx context.Context, feed pipeline.Feed, src *event.Source, pos uint64) (uint64, error) {
	f, err := os.Open(in.config.Path)
	if err != nil {
		return pos, fmt.Errorf("reading the log: %w", err)
	}
	defer f.Close()
	n, err := f.ReadAt(in.block, int64(pos))
	if err != nil && !errors.Is(err, io.EOF) {
		return pos, fmt.Errorf("reading the log: %w", err)
	}
	if n == 0 {
		return pos, nil
	}
	b := feed.Batch(src)
	b.Arena = append(b.Arena, in.block[:n]...)
	b.From, b.To = pos, pos+uint64(in.split.Split(b, 0, pos))
	b.Cursor = append(b.Cursor[:0], in.state()...)
	to := b.To // the batch is the pipeline's once it is sent
	if feed.Send(ctx, b) != nil {
		return pos, nil // ctx has ended
	}
	return to, nil
}

// The states of a cursor: what must be known besides the position to go on reading from it.
const (
	betweenLines = "between lines"
	skipping     = "skipping" // the rest of a line that is too long
)

func (in *input) state() string {
	if in.split.Skipping {
		return skipping
	}
	return betweenLines
}
