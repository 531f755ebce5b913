package deliver

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// Letters keeps the records that a destination refused for good. A letter is
// kept for certain once Write has returned nil. Write is called concurrently.
type Letters interface {
	Write(letters []Letter) error
}

// A Letter is a refused record, with why.
type Letter struct {
	Time     time.Time `json:"time"`
	Output   string    `json:"output"`
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

func newLetter(output string, b *pipeline.Body, i int, status int, reason string, original []byte) Letter {
	run := runOf(b, i)
	l := Letter{
		Time: time.Now().UTC(), Output: output, Status: status, Reason: reason,
		Source: run.Source.ID.String(), Key: run.Source.Key, Position: b.Items[i].Pos,
		Record: string(original), Encoded: append([]byte(nil), b.Item(i)...),
	}
	if len(b.Groups) > 0 {
		l.Group = b.Groups[b.Items[i].Group]
	}
	return l
}

func runOf(b *pipeline.Body, i int) *pipeline.Run {
	k := 0
	for k+1 < len(b.Runs) && b.Runs[k+1].First <= i {
		k++
	}
	return &b.Runs[k]
}

// LetterFile keeps letters as JSON lines in a file, on disk before they count
// as kept.
type LetterFile struct {
	path string
	mu   sync.Mutex
	f    *os.File
}

// NewLetterFile gives the dead letters of one output in the folder. The file
// is made at the first letter.
func NewLetterFile(dir, output string) *LetterFile {
	return &LetterFile{path: filepath.Join(dir, output+".jsonl")}
}

// Path tells where the letters are.
func (l *LetterFile) Path() string { return l.path }

// Write implements Letters.
func (l *LetterFile) Write(letters []Letter) error {
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
	if err := l.append(p); err != nil {
		return fmt.Errorf("writing dead letters to %s: %w", l.path, err)
	}
	return nil
}

func (l *LetterFile) append(p []byte) error {
	if err := l.open(); err != nil {
		return err
	}
	info, err := l.f.Stat()
	if err != nil {
		return err
	}
	if _, err := l.f.Write(p); err != nil {
		l.f.Truncate(info.Size())
		return err
	}
	return l.f.Sync()
}

func (l *LetterFile) open() error {
	if l.f != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	l.f = f
	return err
}

// Close closes the file.
func (l *LetterFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	return l.f.Close()
}
