package deliver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// A Replay is dead letters on their way to their output again. It is the spool
// of a Deliverer with one lane: they are asked for before they are sent, so
// that a replay that was cut off can be done again without repeats. An agent
// may go on writing letters meanwhile.
type Replay struct {
	path string // of the letters that are on their way

	letters int
	damaged bool // there are lines in it that are no letters
	undone  atomic.Int64
	file    *os.File
	lines   *bufio.Reader
	left    int
}

var _ Spool = (*Replay)(nil)

// replayBody is how many letters go into one body.
const replayBody = 500

// OpenReplay takes the letters that choose wants out of the file, and adds what
// an earlier replay has left. Close must follow.
func OpenReplay(from *DeadLetterFile, choose func(*DeadLetter) bool) (*Replay, error) {
	r := &Replay{path: from.path + ".replay"}
	sendable := func(l *DeadLetter) bool { return len(l.Encoded) > 0 && choose(l) }
	if err := from.takeOut(r.path, sendable); err != nil {
		return nil, fmt.Errorf("taking letters out of %s: %w", from.path, err)
	}
	f, err := os.Open(r.path)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading letters: %w", err)
	}
	r.file, r.lines = f, bufio.NewReaderSize(f, 64<<10)
	err = eachLine(f, func(l *DeadLetter, _ []byte) error {
		if l == nil {
			r.damaged = true
		} else {
			r.letters++
		}
		return nil
	})
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("reading %s: %w", r.path, err)
	}
	r.left = r.letters
	r.undone.Store(int64(r.letters))
	return r, nil
}

// DeadLetters is how many there are to be sent.
func (r *Replay) DeadLetters() int { return r.letters }

// Close ends the replay. When all letters were dealt with, they are gone, but for
// what is damaged; otherwise the next replay begins with them.
func (r *Replay) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	switch {
	case r.undone.Load() > 0:
	case r.damaged:
		err = errors.Join(err, os.Rename(r.path, r.path+".damaged"))
	default:
		err = errors.Join(err, os.Remove(r.path))
	}
	return err
}

// Len implements Spool.
func (r *Replay) Len() int { return r.left }

// Append implements Spool: nothing is ever added.
func (r *Replay) Append(*Body) error { return errors.New("a replay takes nothing in") }

// Next implements Spool.
func (r *Replay) Next(b *Body) (earlier, ok bool, err error) {
	for r.left > 0 && len(b.Items) < replayBody && len(b.Bytes) < 512<<10 {
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
		Source: event.NewSource(event.SourceID(id), "", l.Key, nil), Track: letterTrack{r},
		First: len(b.Items), From: l.Position, To: l.Position + 1,
	})
	b.Items = append(b.Items, item)
}

// letterTrack takes note of one letter that is dealt with: delivered, or
// refused again, and then a letter again.
type letterTrack struct{ of *Replay }

func (t letterTrack) Done(uint64, uint64)   { t.of.undone.Add(-1) }
func (t letterTrack) Skip(uint64) bool      { return false }
func (t letterTrack) Uncertain(uint64) bool { return false }
func (t letterTrack) Reserve(uint64) error  { return nil }

// Each calls f for every letter in the file, oldest first. Lines that are no letters
// are passed over.
func (l *DeadLetterFile) Each(f func(*DeadLetter) error) error {
	return l.each(func(letter *DeadLetter, _ []byte) error {
		if letter == nil {
			return nil
		}
		return f(letter)
	})
}

// Damaged counts the lines of the file that are no letters. A replay leaves them.
func (l *DeadLetterFile) Damaged() (lines int, err error) {
	err = l.each(func(letter *DeadLetter, _ []byte) error {
		if letter == nil {
			lines++
		}
		return nil
	})
	return lines, err
}

func (l *DeadLetterFile) each(f func(l *DeadLetter, line []byte) error) error {
	file, err := os.Open(l.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading dead letters: %w", err)
	}
	defer file.Close()
	return eachLine(file, f)
}

// eachLine gives f every line but empty ones, and the letter that it is, or nil.
func eachLine(from io.Reader, f func(l *DeadLetter, line []byte) error) error {
	lines := bufio.NewReaderSize(from, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			l := &DeadLetter{}
			if json.Unmarshal(line, l) != nil {
				l = nil
			}
			if err := f(l, line); err != nil {
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

// takeOut moves the chosen letters to the end of another file. They are there
// on disk before they are taken from this one.
func (l *DeadLetterFile) takeOut(to string, choose func(*DeadLetter) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	held, err := l.lock()
	if err != nil {
		return err
	}
	defer held.Close()
	from, err := os.Open(l.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer from.Close()
	taken, before, err := (&DeadLetterFile{path: to}).open()
	if err != nil {
		return err
	}
	defer taken.Close()
	if err := l.part(from, taken, choose); err != nil {
		return errors.Join(err, taken.Truncate(before))
	}
	if end, err := taken.Seek(0, io.SeekEnd); err != nil || end > 0 {
		return err
	}
	return os.Remove(to)
}

// part writes the chosen letters of a file to another, and leaves the rest in
// its place.
func (l *DeadLetterFile) part(from io.Reader, chosen *os.File, choose func(*DeadLetter) bool) error {
	rest, err := os.OpenFile(l.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	defer os.Remove(rest.Name())
	defer rest.Close()
	toChosen, toRest := bufio.NewWriter(chosen), bufio.NewWriter(rest)
	err = eachLine(from, func(letter *DeadLetter, line []byte) error {
		to := toRest
		if letter != nil && choose(letter) {
			to = toChosen
		}
		_, err := to.Write(line)
		return err
	})
	if err = errors.Join(err, toChosen.Flush(), toRest.Flush(), chosen.Sync(), rest.Sync()); err != nil {
		return err
	}
	size, err := rest.Seek(0, io.SeekEnd)
	switch {
	case err != nil:
		return err
	case size == 0:
		return os.Remove(l.path)
	}
	return os.Rename(rest.Name(), l.path)
}
