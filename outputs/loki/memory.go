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
	"syscall"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A memory is what an output must know after a restart, so that what is read again becomes the same
// entries: a file of JSON, a line for each thing. A line is written at once, so that it outlives
// the process together with records that wait in the spool, and is on disk before anything is sent
// that depends on it.
//
// Another process, such as a replay, may use the file at the same time: it is locked while lines
// are written, and whoever finds that it was compacted meanwhile opens it anew.
type memory struct {
	path string // "" keeps nothing

	mu        sync.Mutex
	pending   []byte // lines not on disk yet
	written   int    // bytes of these that are in the file
	compactAt int64  // a larger file is compacted: at a run's first line, or once it doubled
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
	// maxValues bounds the label values that are read, in bytes of the file.
	maxValues = 64 << 20
	// compactLess is a size that is not worth compacting during a run.
	compactLess = 1 << 20
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
	f, err := pipeline.OpenDataFile(m.path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading what this output knows of earlier runs: %w", err)
	}
	defer f.Close()
	return readLines(f, each)
}

func readLines(f io.Reader, each func(remembered)) error {
	lines, values := bufio.NewScanner(f), 0
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		var r remembered
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue
		}
		if r.Label != "" {
			if values += len(lines.Bytes()); values > maxValues {
				continue
			}
		}
		each(r)
	}
	return lines.Err()
}

// add notes a line, which is on disk after the next sync.
func (m *memory) add(r remembered) {
	if m.path == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending = appendLine(m.pending, r)
	_ = m.write(false) // sync tries again, and returns the error
}

func appendLine(dst []byte, r remembered) []byte {
	line, err := json.Marshal(r)
	if err != nil {
		return dst // strings and numbers can always be written
	}
	return append(append(dst, line...), '\n')
}

// sync brings what was added to disk.
func (m *memory) sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.pending) == 0 {
		return nil
	}
	if err := m.write(true); err != nil {
		return fmt.Errorf("noting on disk what the next run must know: %w", err)
	}
	m.pending, m.written = m.pending[:0], 0
	return nil
}

// write writes the lines that are not in the file yet. After an error all that may not be on disk
// is written again: no later fsync would tell.
func (m *memory) write(durably bool) (err error) {
	if err := os.MkdirAll(filepath.Dir(m.path), 0o750); err != nil {
		return err
	}
	f, err := pipeline.OpenLocked(m.path)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			m.written = 0
		}
	}()
	if compacted, err := m.compact(f); err == nil { // it is only long otherwise
		f = compacted
	}
	if err := appendLines(f, m.pending[m.written:]); err != nil {
		return err
	}
	m.written = len(m.pending)
	if !durably {
		return nil
	}
	return errors.Join(f.Sync(), pipeline.SyncFolder(filepath.Dir(m.path)))
}

// appendLines appends whole lines behind what may be a torn one.
func appendLines(f *os.File, lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	if torn, err := endsTorn(f); err != nil {
		return err
	} else if torn {
		lines = bytes.Join([][]byte{nil, lines}, []byte("\n"))
	}
	_, err := f.Write(lines)
	return err
}

// compact replaces the locked file by one without what nobody needs any more, where it is large
// enough for that, and returns the one that is in use then.
func (m *memory) compact(f *os.File) (*os.File, error) {
	info, err := f.Stat()
	if err != nil || info.Size() <= m.compactAt {
		return f, err
	}
	m.compactAt = max(compactLess, 2*info.Size())
	var all []remembered
	err = readLines(io.NewSectionReader(f, 0, info.Size()), func(r remembered) { all = append(all, r) })
	if err != nil {
		return f, err
	}
	var lines []byte
	for _, r := range needed(all) {
		lines = appendLine(lines, r)
	}
	if int64(len(lines)) >= info.Size() {
		return f, nil
	}
	m.compactAt = max(compactLess, 2*int64(len(lines)))
	return m.replace(f, info, lines)
}

// replace puts a locked file with these lines in the place of another one, which it closes.
func (m *memory) replace(f *os.File, info os.FileInfo, lines []byte) (*os.File, error) {
	next, err := pipeline.OpenDataFile(m.path+".new", os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_RDWR)
	if err != nil {
		return nil, err
	}
	if of, ok := info.Sys().(*syscall.Stat_t); ok { // root may be replaying for the agent's user
		err = next.Chown(int(of.Uid), int(of.Gid))
	}
	if err == nil {
		err = syscall.Flock(int(next.Fd()), syscall.LOCK_EX)
	}
	if err == nil {
		_, err = next.Write(lines)
	}
	if err == nil {
		err = next.Sync()
	}
	if err == nil {
		err = os.Rename(next.Name(), m.path)
	}
	if err != nil {
		return nil, errors.Join(err, next.Close(), os.Remove(m.path+".new"))
	}
	_ = f.Close()
	return next, nil
}

// needed returns what an output would know that has read all this, each thing once.
func needed(all []remembered) (needed []remembered) {
	var known shifts
	for _, r := range all {
		if id, ok := r.source(); ok {
			known.add(id, shift{r.From, r.By})
		}
	}
	seen := map[remembered]bool{}
	for _, r := range all {
		if id, ok := r.source(); ok && !known.has(id, shift{r.From, r.By}) || seen[r] {
			continue
		}
		seen[r] = true
		needed = append(needed, r)
	}
	return needed
}

// source returns whose shift a line has; ok is false if it has another thing.
func (r remembered) source() (id event.SourceID, ok bool) {
	if r.Label != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(r.Source, 16, 64)
	return event.SourceID(n), err == nil
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
			if id, ok := r.source(); ok {
				o.shifts.add(id, shift{r.From, r.By})
			}
		})
		if err != nil {
			o.log.Warn("what is known of earlier runs is incomplete: label values may be let through anew",
				"error", err)
		}
	})
}
