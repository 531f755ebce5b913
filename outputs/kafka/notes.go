package kafka

import (
	"crypto/rand"
	"encoding/hex"
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

	"github.com/longshore/longshore/pipeline"
)

// A note is what an output must know after a restart. It is written in place and in one write, so
// that a crash leaves the one from before or the new one.
type note struct {
	// ID is the random part of the transactional ids.
	ID string `json:"id"`
	// Producers is how many of them were used.
	Producers int `json:"producers"`
	// From is a time, in ms since 1970, before which nothing was sent whose outcome is not known.
	// An older one only costs reading more.
	From int64 `json:"from"`
}

const (
	noteFile = "kafka.json"
	// noteSize is what a note is filled up to, within one sector of a disk.
	noteSize = 256
	// noteEvery is how old the note may be when something is sent.
	noteEvery = 2 * time.Second
	// margin is for what the ledger had not yet noted as done, for clocks that are set back a
	// little, and for topics whose records have the time at which the broker took them.
	margin = 15 * time.Second
	// carryTime is how long after a restart, or after the last question, the time of the run before
	// is kept. By then all has been asked for that was read before the restart.
	carryTime = time.Hour
)

// notes keeps the note of an output, and knows what it is about: the requests that are not done.
type notes struct {
	folder string // "" keeps nothing
	now    func() time.Time

	mu      sync.Mutex
	file    *os.File // nil until it is opened, and where nothing is kept
	opened  bool
	note    note
	written time.Time

	carried time.Time // From of the run before; zero once all of it must have been asked for
	asked   time.Time // when something was last asked for that this run has not sent
	flights map[*flight]struct{}
	doubts  map[*flight]struct{}
}

// A flight is one attempt to send a body.
type flight struct {
	began time.Time
	// open are the records whose outcome is not known, once it has ended so.
	open map[identity]struct{}
}

func newNotes(folder string, now func() time.Time) *notes {
	return &notes{folder: folder, now: now, flights: map[*flight]struct{}{}, doubts: map[*flight]struct{}{}}
}

// open reads the note that there is, and writes one.
func (n *notes) open() error {
	if n.opened {
		return nil
	}
	n.note = note{ID: newID(), From: n.now().UnixMilli()}
	if n.folder == "" {
		n.opened = true
		return nil
	}
	n.asked = n.now()
	if err := n.load(); err != nil {
		return fmt.Errorf("opening what this output must know after a restart: %w", err)
	}
	n.opened = true
	return nil
}

func (n *notes) load() error {
	if err := os.MkdirAll(n.folder, 0o750); err != nil {
		return err
	}
	f, err := pipeline.OpenDataFile(filepath.Join(n.folder, noteFile), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		// Another process, such as a replay beside the agent: it keeps nothing, and has ids of its
		// own.
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil
		}
		return err
	}
	text, err := io.ReadAll(io.LimitReader(f, noteSize))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		_ = f.Close()
		return err
	}
	var last note
	if json.Unmarshal(text, &last) == nil && len(last.ID) == len(n.note.ID) && last.Producers >= 0 &&
		last.Producers <= maxProducers {
		n.note = last
		n.carried = time.UnixMilli(last.From)
	}
	n.file = f
	if err := n.write(true); err != nil {
		return err
	}
	return pipeline.SyncFolder(n.folder)
}

func newID() string {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // it never fails
	return hex.EncodeToString(raw[:])
}

// write brings the note to the file, to disk as well where it says so.
func (n *notes) write(sync bool) error {
	n.note.From = n.since().UnixMilli()
	n.written = n.now()
	if n.file == nil {
		return nil
	}
	text, err := json.Marshal(n.note)
	if err != nil {
		return err
	}
	for len(text) < noteSize-1 {
		text = append(text, ' ')
	}
	if _, err := n.file.WriteAt(append(text, '\n'), 0); err != nil {
		return err
	}
	if sync {
		return n.file.Sync()
	}
	return nil
}

// since returns the time before which nothing was sent whose outcome is not known.
func (n *notes) since() time.Time {
	since := n.now()
	if !n.carried.IsZero() && since.Sub(n.asked) > carryTime {
		n.carried = time.Time{}
	}
	if !n.carried.IsZero() && n.carried.Before(since) {
		since = n.carried
	}
	for _, flights := range []map[*flight]struct{}{n.flights, n.doubts} {
		for f := range flights {
			if f.began.Before(since) {
				since = f.began
			}
		}
	}
	return since
}

// maxProducers bounds the transactional ids of an output: it never sends more bodies at a time.
const maxProducers = 1024

// transaction returns the transactional id of the k-th producer, and notes that it is used.
func (n *notes) transaction(k int) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.open(); err != nil {
		return "", err
	}
	if k >= n.note.Producers {
		n.note.Producers = k + 1
		if err := n.write(true); err != nil {
			return "", fmt.Errorf("noting a transactional id: %w", err)
		}
	}
	return fmt.Sprintf("longshore-%s-%d", n.note.ID, k), nil
}

// used returns how many producers this run and those before have used.
func (n *notes) used() (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	err := n.open()
	return n.note.Producers, err
}

// takeOff notes that a body is about to be sent.
func (n *notes) takeOff() (*flight, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.open(); err != nil {
		return nil, err
	}
	f := &flight{began: n.now()}
	if age := f.began.Sub(n.written); age > noteEvery || age < 0 {
		if err := n.write(false); err != nil {
			return nil, fmt.Errorf("noting that records are about to be sent: %w", err)
		}
	}
	n.flights[f] = struct{}{}
	return f, nil
}

// land notes that all is known of an attempt, but for the open records.
func (n *notes) land(f *flight, open map[identity]struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.flights, f)
	if len(open) > 0 {
		f.open = open
		n.doubts[f] = struct{}{}
	}
}

// from returns from when on records must be read that were sent by now, to know whether some of
// them are stored.
func (n *notes) from(ids []identity) (time.Time, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.open(); err != nil {
		return time.Time{}, err
	}
	since, all := n.now(), true
	for _, id := range ids {
		known := false
		for f := range n.doubts {
			if _, is := f.open[id]; !is {
				continue
			}
			known = true
			if f.began.Before(since) {
				since = f.began
			}
		}
		all = all && known
	}
	if !all {
		n.asked = n.now()
		since = n.since()
	}
	return since.Add(-margin), nil
}

// close notes how it stands.
func (n *notes) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.file == nil {
		return nil
	}
	err := n.write(true)
	if closing := n.file.Close(); err == nil {
		err = closing
	}
	n.file = nil
	return err
}

// settled notes that of these records it is known whether they are stored.
func (n *notes) settled(ids []identity) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for f := range n.doubts {
		for _, id := range ids {
			delete(f.open, id)
		}
		if len(f.open) == 0 {
			delete(n.doubts, f)
		}
	}
}
