package deliver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/pipeline"
)

// DeadLetters keeps the records that a destination refused for good. A letter is
// kept for certain once Write has returned nil. Write is called concurrently.
type DeadLetters interface {
	Write(letters []DeadLetter) error
}

// A DeadLetter is a refused record, with why.
type DeadLetter struct {
	Time     time.Time `json:"time"`
	Output   string    `json:"output"`
	Type     string    `json:"type,omitempty"` // of the output, which alone understands Encoded
	Status   int       `json:"status,omitempty"`
	Reason   string    `json:"reason"`
	Source   string    `json:"source"`
	Key      string    `json:"key"`
	Position uint64    `json:"position"`
	// Group is the Body's group the record belongs to: for Loki, its stream.
	Group string `json:"group,omitempty"`
	// Record is the line or document, as text for people.
	Record string `json:"record"`
	// Encoded is the record as it was to be sent.
	Encoded []byte `json:"encoded"`
}

func (d *Deliverer) newLetter(b *Body, i int, status int, reason string, original []byte) DeadLetter {
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

// Fits says whether an output of a type can send the letter: what is encoded for
// one is nothing to another.
func (l *DeadLetter) Fits(outputType string) bool { return l.Type == "" || l.Type == outputType }

// DeadLetterFile keeps letters as JSON lines in a file, on disk before they count
// as kept. The file may be moved or taken away at any time.
type DeadLetterFile struct {
	// Max is how many bytes it may have before Write takes no more; 0: any number.
	Max int64

	path string
	mu   sync.Mutex
}

// NewDeadLetterFile gives the dead letters of one output in the folder. The file
// is made at the first letter.
func NewDeadLetterFile(dir, output string) *DeadLetterFile {
	return &DeadLetterFile{path: filepath.Join(dir, output+".jsonl")}
}

// Path tells where the letters are.
func (l *DeadLetterFile) Path() string { return l.path }

// Write implements DeadLetters.
func (l *DeadLetterFile) Write(letters []DeadLetter) error {
	var p []byte
	for i := range letters {
		line, err := json.Marshal(&letters[i])
		if err != nil {
			return fmt.Errorf("encoding a dead letter: %w", err)
		}
		p = append(append(p, line...), '\n')
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	held, err := l.lock()
	if err == nil {
		err = l.append(p)
		held.Close()
	}
	if err != nil {
		return fmt.Errorf("writing dead letters to %s: %w", l.path, err)
	}
	return nil
}

// lock keeps other processes from the letters until the file it gives is closed: an agent
// adds to them while a replay takes some out.
func (l *DeadLetterFile) lock() (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o750); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(l.path+".lock", os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	return f, nil
}

// append opens the file anew each time: letters are rare, and whoever has read
// them may have deleted it.
func (l *DeadLetterFile) append(p []byte) error {
	f, size, err := l.open()
	if err != nil {
		return err
	}
	if err = l.fits(size, len(p)); err == nil {
		_, err = f.Write(p)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		_ = f.Truncate(size) // they are written again
	}
	return errors.Join(err, f.Close())
}

// fits holds the file to Max. An empty one takes whatever there is.
func (l *DeadLetterFile) fits(size int64, more int) error {
	if l.Max <= 0 || size == 0 || size+int64(more) <= l.Max {
		return nil
	}
	return fmt.Errorf("it has %d bytes of the %s that dead_letters_size allows; what is refused is held until you run \"longshore replay\", move the file away or allow more",
		size, pipeline.Size(l.Max))
}

// open opens the file and gives its size; its name is on disk then. A last line
// that a crash has torn is ended, so that it does not spoil the next.
func (l *DeadLetterFile) open() (f *os.File, size int64, err error) {
	dir := filepath.Dir(l.path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, 0, err
	}
	f, err = os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return nil, 0, err
	}
	if err = endLine(f); err == nil {
		size, err = f.Seek(0, io.SeekEnd)
	}
	if err == nil && size == 0 {
		err = errors.Join(disk.MkdirAll(disk.OS{}, dir), disk.OS{}.SyncDir(dir))
	}
	if err != nil {
		f.Close()
	}
	return f, size, err
}

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
