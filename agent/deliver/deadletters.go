package deliver

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
	"sync"
	"syscall"
	"time"

	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/pipeline"
)

// DeadLetters keeps the records that a destination rejected. They are on disk once Write has
// returned nil. Write is called concurrently.
type DeadLetters interface {
	Write(letters []DeadLetter) error
}

// A DeadLetter is a rejected record, with why.
type DeadLetter struct {
	Time     time.Time `json:"time"`
	Output   string    `json:"output"`
	Type     string    `json:"type,omitempty"` // of the output, which alone understands Encoded
	Status   int       `json:"status,omitempty"`
	Reason   string    `json:"reason"`
	Source   string    `json:"source"`
	Key      string    `json:"key"`
	Position uint64    `json:"position"`
	// Group is that of the record in its body: for Loki, its stream.
	Group string `json:"group,omitempty"`
	// Record is the line or document, as text for people.
	Record string `json:"record"`
	// Encoded is the record as it was to be sent; empty where it could not be encoded.
	Encoded []byte `json:"encoded"`
}

func (d *Deliverer) newDeadLetter(b *Body, i, status int, reason string, original []byte) DeadLetter {
	src := b.SourceOf(i)
	l := DeadLetter{
		Time: time.Now().UTC(), Output: d.Name, Type: d.Type, Status: status, Reason: reason,
		Source: src.ID.String(), Key: src.Key, Position: b.Items[i].Pos,
		Record: string(original), Encoded: append([]byte(nil), b.Item(i)...),
	}
	if len(b.Groups) > 0 {
		l.Group = b.Groups[b.Items[i].Group]
	}
	return l
}

// Fits reports whether an output of a type can send the record.
func (l *DeadLetter) Fits(outputType string) bool { return l.Type == "" || l.Type == outputType }

// A DeadLetterFile keeps dead letters as JSON lines. The file may be moved or deleted at any time.
type DeadLetterFile struct {
	// Max is how many bytes it may have before Write takes no more; 0: any number.
	Max int64

	path string
	mu   sync.Mutex
}

// NewDeadLetterFile returns the dead letters of one output in a folder. The file is made with the
// first.
func NewDeadLetterFile(dir, output string) *DeadLetterFile {
	return &DeadLetterFile{path: filepath.Join(dir, output+".jsonl")}
}

// Path returns where the file is.
func (f *DeadLetterFile) Path() string { return f.path }

// maxFirst bounds how much of the first dead letter Size reads.
const maxFirst = 4 << 10

// Size returns how many bytes the file has, and when its first dead letter was written: a zero time
// for none.
func (f *DeadLetterFile) Size() (bytes int64, since time.Time, err error) {
	file, err := pipeline.OpenDataFile(f.path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, time.Time{}, nil
	}
	if err != nil {
		return 0, time.Time{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, time.Time{}, err
	}
	head, err := io.ReadAll(io.LimitReader(file, maxFirst))
	return info.Size(), timeOf(head), err
}

// timeOf returns the time of the dead letter that a text begins with, which may be cut off.
func timeOf(head []byte) time.Time {
	var at time.Time
	rest, ok := bytes.CutPrefix(head, []byte(`{"time":`)) // its first member
	if !ok || json.NewDecoder(bytes.NewReader(rest)).Decode(&at) != nil {
		return time.Time{}
	}
	return at
}

// Write implements DeadLetters.
func (f *DeadLetterFile) Write(letters []DeadLetter) error {
	var p []byte
	for i := range letters {
		line, err := json.Marshal(&letters[i])
		if err != nil {
			return fmt.Errorf("encoding a dead letter: %w", err)
		}
		p = append(append(p, line...), '\n')
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	lock, err := f.lock()
	if err == nil {
		err = f.append(p)
		lock.Close()
	}
	if err != nil {
		return fmt.Errorf("writing dead letters to %s: %w", f.path, err)
	}
	return nil
}

// lock keeps other processes away until the returned file is closed: an agent adds dead letters
// while a replay takes some out.
func (f *DeadLetterFile) lock() (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o750); err != nil {
		return nil, err
	}
	lock, err := pipeline.OpenDataFile(f.path+".lock", os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		lock.Close()
		return nil, fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	return lock, nil
}

// append opens the file anew each time: dead letters are rare, and it may have been deleted.
func (f *DeadLetterFile) append(p []byte) error {
	file, size, err := f.open()
	if err != nil {
		return err
	}
	if err = f.checkRoom(size, len(p)); err == nil {
		_, err = file.Write(p)
	}
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		_ = file.Truncate(size) // they are written again
	}
	return errors.Join(err, file.Close())
}

// checkRoom holds the file to Max. An empty one takes whatever there is.
func (f *DeadLetterFile) checkRoom(size int64, more int) error {
	if f.Max <= 0 || size == 0 || size+int64(more) <= f.Max {
		return nil
	}
	return fmt.Errorf("it has %d bytes of the %s that dead_letters_size allows; rejected records are held "+
		"until you run \"longshore replay\", move the file away or allow more", size, pipeline.Size(f.Max))
}

// open opens the file, which must be locked and whose name is on disk then, and returns its size. A
// last line that a crash has torn is ended, so that it does not spoil the next.
func (f *DeadLetterFile) open() (file *os.File, size int64, err error) {
	file, err = pipeline.OpenDataFile(f.path, os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return nil, 0, err
	}
	if err = endLine(file); err == nil {
		size, err = file.Seek(0, io.SeekEnd)
	}
	if err == nil && size == 0 {
		dir := filepath.Dir(f.path)
		err = errors.Join(disk.MkdirAll(disk.OS{}, dir), disk.OS{}.SyncDir(dir))
	}
	if err != nil {
		file.Close()
	}
	return file, size, err
}

func endLine(file *os.File) error {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return err
	}
	var last [1]byte
	if _, err := file.ReadAt(last[:], size-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = file.Write([]byte{'\n'})
	return err
}

// EachPending calls visit for every dead letter there is: those in the file, and those that a
// replay has taken out of it and not yet dealt with.
func (f *DeadLetterFile) EachPending(visit func(*DeadLetter) error) error {
	if err := f.Each(visit); err != nil {
		return err
	}
	return (&DeadLetterFile{path: f.path + replaySuffix}).Each(visit)
}

// Each calls visit for every dead letter in the file, oldest first. Damaged lines are passed over.
func (f *DeadLetterFile) Each(visit func(*DeadLetter) error) error {
	return f.eachLine(func(l *DeadLetter, _ []byte) error {
		if l == nil {
			return nil
		}
		return visit(l)
	})
}

// Damaged counts the lines of the file that are no dead letters. A replay leaves them.
func (f *DeadLetterFile) Damaged() (lines int, err error) {
	err = f.eachLine(func(l *DeadLetter, _ []byte) error {
		if l == nil {
			lines++
		}
		return nil
	})
	return lines, err
}

func (f *DeadLetterFile) eachLine(visit func(l *DeadLetter, line []byte) error) error {
	file, err := pipeline.OpenDataFile(f.path, os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading dead letters: %w", err)
	}
	defer file.Close()
	return eachLine(file, visit)
}

// eachLine calls visit with every line but empty ones, and the dead letter that it is, or nil.
func eachLine(from io.Reader, visit func(l *DeadLetter, line []byte) error) error {
	lines := bufio.NewReaderSize(from, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			l := &DeadLetter{}
			if json.Unmarshal(line, l) != nil {
				l = nil
			}
			if err := visit(l, line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// move moves the chosen dead letters to the end of another file. They are there on disk before they
// are taken from this one.
func (f *DeadLetterFile) move(to string, chosen func(*DeadLetter) bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	lock, err := f.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := os.Stat(f.path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	moved, before, err := (&DeadLetterFile{path: to}).open()
	if err != nil {
		return err
	}
	defer moved.Close()
	if err := f.split(moved, chosen); err != nil {
		return errors.Join(err, moved.Truncate(before))
	}
	if end, err := moved.Seek(0, io.SeekEnd); err != nil || end > 0 {
		return err
	}
	return os.Remove(to)
}

// takeIn adds the dead letters of another file that are not done: first those that were not tried.
// They are on disk when it returns nil; after an error none is there.
func (f *DeadLetterFile) takeIn(from string, states []letterState) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	lock, err := f.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	file, before, err := f.open()
	if err != nil {
		return err
	}
	defer file.Close()
	to := bufio.NewWriter(file)
	for _, state := range []letterState{letterUntried, letterRefused} {
		next := 0
		err = errors.Join(err, (&DeadLetterFile{path: from}).eachLine(func(l *DeadLetter, line []byte) error {
			if l == nil {
				return nil
			}
			is := letterUntried
			if next < len(states) {
				is = states[next]
			}
			if next++; is != state {
				return nil
			}
			_, err := to.Write(line)
			return err
		}))
	}
	if err = errors.Join(err, to.Flush()); err == nil {
		err = file.Sync()
	}
	if err != nil {
		_ = file.Truncate(before) // they are written again
	}
	return err
}

// split writes the chosen dead letters to another file, and leaves the rest.
func (f *DeadLetterFile) split(to *os.File, chosen func(*DeadLetter) bool) error {
	rest, err := pipeline.OpenDataFile(f.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	defer os.Remove(rest.Name())
	defer rest.Close()
	toChosen, toRest := bufio.NewWriter(to), bufio.NewWriter(rest)
	err = f.eachLine(func(l *DeadLetter, line []byte) error {
		w := toRest
		if l != nil && chosen(l) {
			w = toChosen
		}
		_, err := w.Write(line)
		return err
	})
	if err = errors.Join(err, toChosen.Flush(), toRest.Flush(), to.Sync(), rest.Sync()); err != nil {
		return err
	}
	size, err := rest.Seek(0, io.SeekEnd)
	switch {
	case err != nil:
		return err
	case size == 0:
		return os.Remove(f.path)
	}
	return os.Rename(rest.Name(), f.path)
}
