// Package file writes records to a file, one line of JSON each.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// Config is the output's settings.
type Config struct {
	Path   string `yaml:"path" required:"true" doc:"The file to append to. It is created with mode 0640 if missing; its directory must exist. It may be renamed at any time, as logrotate does." example:"/var/lib/longshore/records.jsonl"`
	Sync   bool   `yaml:"sync" default:"true" doc:"Wait until records are on the disk before they count as delivered. Without it a crash of the machine may lose some."`
	Schema string `yaml:"schema" default:"default" enum:"default|ecs|otel" doc:"Names of the fields: longshore's own, the Elastic Common Schema, or OpenTelemetry's."`
}

var (
	_ pipeline.OutputConfig = (*Config)(nil)
	_ pipeline.Checker      = (*Config)(nil)
	_ pipeline.Output       = (*Output)(nil)
	_ pipeline.Encoder      = encoder{}
)

// Spec describes the output.
func Spec() pipeline.Spec {
	return pipeline.Spec{
		Kind:    pipeline.KindOutput,
		Type:    "file",
		Summary: "Writes records to a file, one line of JSON each.",
		New:     func() any { return new(Config) },
	}
}

// Check implements pipeline.Checker.
func (c *Config) Check() []pipeline.Problem {
	if c.Path == "" {
		return []pipeline.Problem{{Path: "path", Message: "is missing; name the file to write"}}
	}
	if c.Path[len(c.Path)-1] == filepath.Separator {
		return []pipeline.Problem{{Path: "path", Message: "is a directory; name a file in it"}}
	}
	return nil
}

// Warnings implements pipeline.Warner.
func (c *Config) Warnings() (problems []pipeline.Problem) {
	warn := func(format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: "path", Message: fmt.Sprintf(format, args...)})
	}
	folder := filepath.Dir(c.Path)
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		warn("the folder %s is not there; make it: mkdir -p %s", folder, folder)
	}
	if _, err := os.Lstat(c.Path); err == nil {
		return problems // it is its name
	}
	if part := variable.FindString(c.Path); part != "" {
		warn("has %s, which is taken literally: all records go to one file; logrotate may name it by the date", part)
	}
	return problems
}

// variable is what other programs replace in a path.
var variable = regexp.MustCompile(`\{[^{}]*\}|%[-_]?[YymdHMSjFe]`)

// Writes implements pipeline.FileWriter.
func (c *Config) Writes() string { return c.Path }

// Output implements pipeline.OutputConfig. The file is opened at the first Send.
func (c *Config) Output(env pipeline.Env) (pipeline.Output, error) {
	if problems := c.Check(); len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	return &Output{path: c.Path, sync: c.Sync, schema: event.SchemaNamed(c.Schema), log: env.Log}, nil
}

// An Output appends to one file. Config makes it.
type Output struct {
	path   string
	sync   bool
	schema event.Schema
	log    *slog.Logger

	mu   sync.Mutex
	file *os.File // nil until it is opened
}

// maxBytes bounds what is written at once.
const maxBytes = 1 << 20

// Limits implements pipeline.Output: the file holds each source in its order.
func (o *Output) Limits() pipeline.Limits { return pipeline.Limits{Bytes: maxBytes, InOrder: true} }

// Original implements pipeline.Output.
func (o *Output) Original(body *pipeline.Body, i int) []byte {
	line := body.Item(i)
	return line[:len(line)-1]
}

// Encoder implements pipeline.Output.
func (o *Output) Encoder() pipeline.Encoder { return encoder{o.schema} }

type encoder struct{ schema event.Schema }

// Encode implements pipeline.Encoder.
func (e encoder) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	dst.Bytes = e.schema.Append(dst.Bytes, b, i, true)
	dst.Bytes = append(dst.Bytes, '\n')
	return 0, nil
}

// Send implements pipeline.Output: all of the body is written, or none.
func (o *Output) Send(_ context.Context, body *pipeline.Body) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(body.Bytes) == 0 {
		return nil
	}
	if err := o.reopen(); err != nil {
		return failed(err)
	}
	return o.append(body.Bytes)
}

// reopen opens the file, again if it was renamed away or deleted.
func (o *Output) reopen() error {
	info, err := os.Stat(o.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking at the output file: %w", err)
	}
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file; name one that is, or none that is there", o.path)
	}
	if o.file != nil && err == nil {
		if have, statErr := o.file.Stat(); statErr == nil && os.SameFile(info, have) {
			return nil
		}
	}
	o.close()
	return o.open()
}

func (o *Output) open() error {
	f, err := os.OpenFile(o.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("opening the output file: %w", err)
	}
	if err := endLine(f); err != nil {
		_ = f.Close()
		return fmt.Errorf("opening the output file: %w", err)
	}
	o.file = f
	o.syncFolder()
	return nil
}

// endLine completes a last line that a crash left incomplete.
func endLine(f *os.File) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], size-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = f.Write([]byte{'\n'})
	return err
}

// syncFolder makes the name of a new file durable, if possible.
func (o *Output) syncFolder() {
	if !o.sync {
		return
	}
	folder, err := os.Open(filepath.Dir(o.path))
	if err != nil {
		return // one may be allowed to write into what one may not read
	}
	defer folder.Close()
	_ = folder.Sync() // not every file system can
}

// append writes lines, and removes them again if they cannot be written completely.
func (o *Output) append(lines []byte) error {
	before, err := o.file.Seek(0, io.SeekEnd)
	if err != nil {
		return failed(fmt.Errorf("finding the end of the output file: %w", err))
	}
	_, err = o.file.Write(lines)
	if err == nil && o.sync {
		err = o.file.Sync()
	}
	if err == nil {
		return nil
	}
	failure := failed(fmt.Errorf("writing the output file: %w", err))
	if err := o.file.Truncate(before); err != nil {
		failure.Uncertain = true
		o.log.Warn("what was written could not be removed again; the file may have an incomplete line, and duplicates",
			"path", o.path, "error", err)
	}
	o.close() // after a failed fsync nothing is known of what this handle wrote
	return failure
}

func (o *Output) close() {
	if o.file != nil {
		_ = o.file.Close()
		o.file = nil
	}
}

// failed is a failure that somebody has to fix: permission, space, a folder.
func failed(err error) *pipeline.SendError {
	return &pipeline.SendError{Outcome: pipeline.Hold, Reason: err.Error(), Err: err}
}

// Close implements pipeline.Output.
func (o *Output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == nil {
		return nil
	}
	err := o.file.Close()
	o.file = nil
	if err != nil {
		return fmt.Errorf("closing the output file: %w", err)
	}
	return nil
}
