package loki

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/longshore/longshore/pipeline/event"
)

// A memory is what an output must know after a restart, so that what is read again becomes the same
// entries: a file of JSON, a line for each thing. It is on disk before anything is sent that
// depends on it.
type memory struct {
	path string // "" keeps nothing

	mu      sync.Mutex
	pending []byte // lines not on disk yet
}

// A remembered is one line of the file: that a label has a value, or a shift of a source's times.
type remembered struct {
	Label  string `json:"label,omitempty"`
	Value  string `json:"value,omitempty"`
	Source string `json:"source,omitempty"`
	From   uint64 `json:"from,omitempty"`
	By     int64  `json:"by,omitempty"`
}

const (
	memoryFile = "memory.jsonl"
	// maxMemory bounds what is read of the file.
	maxMemory = 64 << 20
)

func newMemory(folder string) *memory {
	if folder == "" {
		return &memory{}
	}
	return &memory{path: filepath.Join(folder, memoryFile)}
}

// read calls each for every line that can be read: the last one may be torn.
func (m *memory) read(each func(remembered)) error {
	if m.path == "" {
		return nil
	}
	f, err := os.Open(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading what this output knows of earlier runs: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxMemory))
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		var r remembered
		if json.Unmarshal(lines.Bytes(), &r) == nil {
			each(r)
		}
	}
	return lines.Err()
}

// add notes a line, which is on disk after the next sync.
func (m *memory) add(r remembered) {
	if m.path == "" {
		return
	}
	line, err := json.Marshal(r)
	if err != nil {
		return // strings and numbers can always be written
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending = append(append(m.pending, line...), '\n')
}

// sync brings what was added to disk.
func (m *memory) sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.pending) == 0 {
		return nil
	}
	if err := m.append(m.pending); err != nil {
		return fmt.Errorf("noting on disk what the next run must know: %w", err)
	}
	m.pending = m.pending[:0]
	return nil
}

// append appends whole lines behind what may be a torn one.
func (m *memory) append(lines []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(m.path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(m.path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if torn, err := endsTorn(f); err != nil {
		return err
	} else if torn {
		lines = bytes.Join([][]byte{nil, lines}, []byte("\n"))
	}
	if _, err := f.Write(lines); err != nil {
		return err
	}
	return f.Sync()
}

func endsTorn(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false, err
	}
	var last [1]byte
	_, err = f.ReadAt(last[:], info.Size()-1)
	return last[0] != '\n', err
}

// recall takes over what earlier runs knew, once.
func (o *Output) recall() {
	o.recalled.Do(func() {
		err := o.memory.read(func(r remembered) {
			if r.Label != "" {
				o.limiter.know(r.Label, r.Value)
				return
			}
			if id, err := strconv.ParseUint(r.Source, 16, 64); err == nil {
				o.shifts.add(event.SourceID(id), shift{r.From, r.By})
			}
		})
		if err != nil {
			o.log.Warn("what is known of earlier runs is incomplete: label values may be let through anew",
				"error", err)
		}
	})
}
