package deliver

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A Replay sends dead letters to their output again. It is the spool of a Deliverer with one lane:
// they are uncertain, so that a replay that was interrupted can be repeated without duplicates. An
// agent may go on writing dead letters meanwhile.
type Replay struct {
	path string // of the dead letters that are being sent

	total   int
	damaged bool          // some lines are no dead letters
	letters []letterState // of those that were read
	pending atomic.Int64
	file    *os.File
	lines   *bufio.Reader
	left    int      // to be read
	alone   *os.File // the lock that keeps other replays away
}

// letterState is what became of a dead letter so far.
type letterState uint8

const (
	letterUntried letterState = iota
	letterRefused             // once more
	letterDone
)

var _ Spool = (*Replay)(nil)

const (
	replaySuffix     = ".replay"
	replayedAtOnce   = 500       // dead letters in a body
	replayedAtOnceIn = 512 << 10 // bytes
)

// ErrReplaying is why a replay cannot begin: another one of the same dead letters, here or in
// another process, has not ended.
var ErrReplaying = errors.New("these dead letters are being replayed already")

// OpenReplay takes the chosen dead letters out of the file, and adds what an earlier replay has
// left. Close must follow.
func OpenReplay(from *DeadLetterFile, chosen func(*DeadLetter) bool) (*Replay, error) {
	alone, err := lockReplay(from.path + replaySuffix)
	if err != nil {
		return nil, err
	}
	r, err := openReplay(from, chosen)
	if err != nil {
		alone.Close()
		return nil, err
	}
	r.alone = alone
	return r, nil
}

// lockReplay keeps other replays away until the returned file is closed: both would send all.
func lockReplay(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	lock, err := pipeline.OpenDataFile(path+".lock", os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return lock, nil
	}
	lock.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ErrReplaying
	}
	return nil, fmt.Errorf("locking %s: %w", lock.Name(), err)
}

func openReplay(from *DeadLetterFile, chosen func(*DeadLetter) bool) (*Replay, error) {
	r := &Replay{path: from.path + replaySuffix}
	sendable := func(l *DeadLetter) bool { return len(l.Encoded) > 0 && chosen(l) }
	if err := from.move(r.path, sendable); err != nil {
		return nil, fmt.Errorf("taking dead letters out of %s: %w", from.path, err)
	}
	file, err := pipeline.OpenDataFile(r.path, os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading dead letters: %w", err)
	}
	r.file, r.lines = file, bufio.NewReaderSize(file, 64<<10)
	err = eachLine(file, func(l *DeadLetter, _ []byte) error {
		if l == nil {
			r.damaged = true
		} else {
			r.total++
		}
		return nil
	})
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("reading %s: %w", r.path, err)
	}
	r.left = r.total
	r.pending.Store(int64(r.total))
	return r, nil
}

// DeadLetters returns how many there are to be sent.
func (r *Replay) DeadLetters() int { return r.total }

// Close ends the replay. When all dead letters were dealt with, they are deleted, but for what is
// damaged; otherwise the next replay begins with them.
func (r *Replay) Close() error {
	defer r.alone.Close()
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	switch {
	case r.pending.Load() > 0:
	case r.damaged:
		err = errors.Join(err, os.Rename(r.path, r.path+".damaged"))
	default:
		err = errors.Join(err, os.Remove(r.path))
	}
	return err
}

// putBack ends the replay, and puts what is not dealt with back to the dead letters: last what was
// refused once more. After an error it can be called again.
func (r *Replay) putBack(to *DeadLetterFile) error {
	if r.file == nil {
		return nil
	}
	if r.pending.Load() > 0 {
		if err := to.takeIn(r.path, r.letters); err != nil {
			return fmt.Errorf("putting records back to %s: %w", to.path, err)
		}
		r.pending.Store(0)
	}
	return r.Close()
}

// Len implements Spool.
func (r *Replay) Len() int { return r.left }

// Append implements Spool: nothing is ever added.
func (r *Replay) Append(*Body) error { return errors.New("a replay takes nothing in") }

// Next implements Spool.
func (r *Replay) Next(b *Body) (earlier, ok bool, err error) {
	for r.left > 0 && len(b.Items) < replayedAtOnce && len(b.Bytes) < replayedAtOnceIn {
		line, err := r.lines.ReadBytes('\n')
		if err != nil && len(line) == 0 {
			return false, false, fmt.Errorf("reading %s: %w", r.path, err)
		}
		var l DeadLetter
		if json.Unmarshal(line, &l) != nil {
			continue // it was not counted either
		}
		r.left--
		r.add(b, &l)
	}
	return true, len(b.Items) > 0, nil
}

func (r *Replay) add(b *Body, l *DeadLetter) {
	id, _ := strconv.ParseUint(l.Source, 16, 64) // it is for people here, not an identity
	b.Bytes = append(b.Bytes, l.Encoded...)
	item := pipeline.Item{Pos: l.Position, End: uint32(len(b.Bytes))}
	if l.Group != "" {
		item.Group = b.Group([]byte(l.Group))
	}
	b.Runs = append(b.Runs, Run{
		Source: event.NewSource(event.SourceID(id), "", l.Key, nil), Track: replayTrack{r, len(r.letters)},
		First: len(b.Items), From: l.Position, To: l.Position + 1,
	})
	b.Items = append(b.Items, item)
	r.letters = append(r.letters, letterUntried)
}

// replayTrack notes that one dead letter is dealt with: delivered, or rejected again and kept anew.
type replayTrack struct {
	replay *Replay
	letter int
}

// Done implements Track. Its lane calls it.
func (t replayTrack) Done(uint64, uint64) {
	t.replay.letters[t.letter] = letterDone
	t.replay.pending.Add(-1)
}

func (t replayTrack) Skip(uint64) bool      { return false }
func (t replayTrack) Uncertain(uint64) bool { return false }
func (t replayTrack) Reserve(uint64) error  { return nil }
