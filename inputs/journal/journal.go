// Package journal is for inputs that make records of what they find out themselves: they write each
// as a line into a file of their own, and it is read as any log is. So what such an input concludes
// outlasts a crash, waits for a destination that is away, and is delivered once.
package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/inputs/file"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

const (
	name = "journal.jsonl"
	// maxSize is where a journal is rotated; one older file is kept.
	maxSize = 4 << 20
	maxLine = 1 << 20
)

// A Journal is open for writing. Its methods may be called from several goroutines.
type Journal struct {
	dir string

	mu   sync.Mutex
	file *os.File
	size int64
}

// Open opens the journal in a folder, or makes one.
func Open(dir string) (*Journal, error) {
	if dir == "" {
		return nil, errors.New("there is no folder for the journal")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("making the folder of the journal: %w", err)
	}
	j := &Journal{dir: dir}
	if err := j.open(); err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	return j, nil
}

func (j *Journal) open() error {
	f, err := pipeline.OpenDataFile(filepath.Join(j.dir, name), os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		j.file, j.size = f, info.Size()
		err = j.endLine()
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	return pipeline.SyncFolder(j.dir)
}

// endLine ends a line that was written in part when the power failed.
func (j *Journal) endLine() error {
	if j.size == 0 {
		return nil
	}
	var last [1]byte
	if _, err := j.file.ReadAt(last[:], j.size-1); err != nil || last[0] == '\n' {
		return err
	}
	return j.write([]byte("\n"))
}

// Append writes a line, and returns when it is on disk.
func (j *Journal) Append(line []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.size > 0 && j.size+int64(len(line)) >= maxSize {
		if err := j.rotate(); err != nil {
			return fmt.Errorf("rotating the journal: %w", err)
		}
	}
	if err := j.write(append(line[:len(line):len(line)], '\n')); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

func (j *Journal) write(text []byte) error {
	n, err := j.file.Write(text)
	j.size += int64(n)
	return errors.Join(err, j.file.Sync())
}

// rotate goes on with a new file. Of the old one the reader has what it has not read.
func (j *Journal) rotate() error {
	path := filepath.Join(j.dir, name)
	if err := os.Rename(path, path+".1"); err != nil {
		return err
	}
	before := j.file
	if err := j.open(); err != nil {
		return err
	}
	return before.Close()
}

// Lines calls each with the lines that there are, oldest first. They are each's until it returns.
func (j *Journal) Lines(each func(line []byte)) error {
	for _, file := range []string{name + ".1", name} {
		f, err := os.Open(filepath.Join(j.dir, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading the journal: %w", err)
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, maxLine)
		for lines.Scan() {
			each(lines.Bytes())
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			return fmt.Errorf("reading the journal: %w", err)
		}
	}
	return nil
}

// Close closes the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.Close()
}

// A Reader is the input of a journal's lines. It is an input of files with labels of its own.
type Reader struct{ follower }

// A follower is what a journal takes of an input of files.
type follower interface {
	pipeline.Input
	pipeline.Rereader
	pipeline.Lookout
	pipeline.Gauge
}

// NewReader returns the input of the journal in Env.Folder.
func NewReader(env pipeline.Env, labels []event.Label) (*Reader, error) {
	c, ok := file.Spec().New().(*file.Config)
	if !ok {
		return nil, errors.New("longshore's input of files has another config")
	}
	path := filepath.Join(env.Folder, name)
	c.Paths, c.ReadFrom, c.Encoding, c.MaxLineSize = []string{path, path + ".1"}, "beginning", "utf-8", maxLine
	c.LineTimeout, c.MaxOpenFiles = lineTimeout, 16
	env.Found = func(string) {}            // what was found is for who writes the journal to say
	env.Metrics = prometheus.NewRegistry() // so are metrics: these would be those of an input of files
	in, err := c.Guided(env, ours(labels))
	if err != nil {
		return nil, err
	}
	return &Reader{in}, nil
}

// lineTimeout is that of the last line, which is always whole.
const lineTimeout = pipeline.Duration(1e9 * 60)

// ours are the labels of all that a journal has.
type ours []event.Label

// Choose implements file.Guide.
func (ours) Choose(string) file.Choice { return file.Take }

// Labels implements file.Guide.
func (o ours) Labels(string) []event.Label { return o }
