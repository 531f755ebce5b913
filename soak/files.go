package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/soak/numbered"
)

// A logFile is written by one writer and rotated again and again, in one of the
// ways that are common.
type logFile struct {
	writer int
	path   string
	rate   int
	way    rotation
	soak   *soak
	random *rand.Rand
	asked  chan struct{}
	count  atomic.Uint64 // lines written

	file    *os.File
	size    int    // bytes written to the file
	since   uint64 // first line of the file
	rotated []past // oldest first
	turns   int
	early   int // rotated files that were deleted before all of them had arrived
	buf     []byte
}

// A past is a rotated file. It is deleted once all of it has arrived, or when there are too many.
type past struct {
	path     string
	from, to uint64
}

type rotation uint8

// Rotation by size: how large a file grows, and how many rotated ones are kept.
const (
	largest = 1 << 20
	keep    = 3
)

const (
	byNumber   rotation = iota // app.log to app.log.1, app.log.1 to app.log.2, …
	byDate                     // app.log to app.log-20261001-0007
	byName                     // app-0007.log: as much a log as the new one
	bySize                     // by number, when the file is large; few are kept, whatever has arrived
	byTruncate                 // copied and emptied
)

func newLogFile(writer int, dir string, rate int, s *soak) *logFile {
	f := &logFile{
		writer: writer, rate: max(1, rate), soak: s, way: rotation(writer % 4),
		path:   filepath.Join(dir, fmt.Sprintf("%s-%d.log", numbered.FormatOf(writer), writer)),
		random: rand.New(rand.NewPCG(s.seed, 100+uint64(writer))),
		asked:  make(chan struct{}, 8),
	}
	if s.truncate && writer == 0 {
		f.way = byTruncate
	}
	return f
}

func (f *logFile) lines() uint64 { return f.count.Load() }

// askRotation has the file rotated soon.
func (f *logFile) askRotation() {
	select {
	case f.asked <- struct{}{}:
	default:
	}
}

// write writes lines at the file's rate until ctx ends.
func (f *logFile) write(ctx context.Context) error {
	if err := f.open(); err != nil {
		return err
	}
	defer func() { f.file.Close() }()
	const tick = 10 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	sweep := time.NewTicker(time.Second)
	defer sweep.Stop()
	began, next := time.Now(), f.nextTurn(time.Now())
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.asked:
			if err := f.rotate(ctx); err != nil {
				return err
			}
		case <-sweep.C:
			f.sweep()
		case now := <-ticker.C:
			if err := f.catchUp(now.Sub(began)); err != nil {
				return err
			}
			if f.due(now, next) {
				if err := f.rotate(ctx); err != nil {
					return err
				}
				next = f.nextTurn(now)
			}
		}
	}
}

func (f *logFile) due(now, next time.Time) bool {
	if f.way == bySize {
		return f.size >= largest
	}
	return now.After(next)
}

// nextTurn gives the time of the next rotation.
func (f *logFile) nextTurn(now time.Time) time.Time {
	return now.Add(2*time.Second + time.Duration(f.random.Int64N(int64(8*time.Second))))
}

// mostAtOnce bounds what is written in one go when the machine was too busy to keep the rate.
const mostAtOnce = 2000

// catchUp writes the lines that are due after some time. Now and then a line is
// written in two parts.
func (f *logFile) catchUp(elapsed time.Duration) error {
	due := uint64(elapsed.Seconds() * float64(f.rate))
	n := f.count.Load()
	if due <= n {
		return nil
	}
	f.buf = f.buf[:0]
	now := time.Now()
	end := min(due, n+mostAtOnce)
	for ; n < end; n++ {
		f.buf = numbered.Append(f.buf, f.writer, n, now)
	}
	rest := f.buf
	if f.random.IntN(4) == 0 {
		cut := f.random.IntN(len(rest))
		if _, err := f.file.Write(rest[:cut]); err != nil {
			return err
		}
		rest = rest[cut:]
	}
	if _, err := f.file.Write(rest); err != nil {
		return err
	}
	f.size += len(f.buf)
	f.count.Store(n)
	return nil
}

func (f *logFile) open() (err error) {
	f.file, err = os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	f.since, f.size = f.count.Load(), 0
	return err
}

// rotate puts the file aside and begins another.
func (f *logFile) rotate(ctx context.Context) error {
	if f.count.Load() == f.since {
		return nil
	}
	f.turns++
	switch f.way {
	case byTruncate:
		return f.copyTruncate(ctx)
	case byNumber, bySize:
		return f.moveTo(f.path+".1", f.shift)
	case byDate:
		return f.moveTo(fmt.Sprintf("%s-%s-%04d", f.path, time.Now().Format("20060102"), f.turns), nil)
	}
	return f.moveTo(fmt.Sprintf("%s-%04d.log", f.path[:len(f.path)-len(".log")], f.turns), nil)
}

// shift makes room for the newest of the numbered files.
func (f *logFile) shift() error {
	for i := range f.rotated { // the oldest has the highest number
		p := &f.rotated[i]
		to := fmt.Sprintf("%s.%d", f.path, len(f.rotated)-i+1)
		if err := os.Rename(p.path, to); err != nil {
			return err
		}
		p.path = to
	}
	return nil
}

func (f *logFile) moveTo(path string, before func() error) error {
	if before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	if err := os.Rename(f.path, path); err != nil {
		return err
	}
	f.soak.journal.note("%s is now %s, with the lines from %d", filepath.Base(f.path), filepath.Base(path), f.since)
	// A program that logs notices a moment later, and goes on in the old file until then.
	old, since := f.file, f.since
	if f.random.IntN(2) == 0 {
		n := f.count.Load()
		f.buf = f.buf[:0]
		for end := n + uint64(f.random.IntN(100)); n < end; n++ {
			f.buf = numbered.Append(f.buf, f.writer, n, time.Now())
		}
		if _, err := old.Write(f.buf); err != nil {
			return err
		}
		f.count.Store(n)
	}
	if err := old.Close(); err != nil {
		return err
	}
	f.rotated = append(f.rotated, past{path, since, f.count.Load()})
	return f.open()
}

// copyTruncate empties the file once all of it has arrived: what has not would
// be lost, since nobody can tell the copy's tail from what comes after.
func (f *logFile) copyTruncate(ctx context.Context) error {
	for range 50 {
		if f.soak.places.has(f.writer, f.since, f.count.Load()) {
			break
		}
		pause(ctx, 100*time.Millisecond)
	}
	if !f.soak.places.has(f.writer, f.since, f.count.Load()) {
		return nil // later
	}
	if err := copyFile(f.path, f.path+".copy"); err != nil {
		return err
	}
	if err := os.Truncate(f.path, 0); err != nil {
		return err
	}
	f.soak.journal.note("%s is truncated, with the lines from %d", filepath.Base(f.path), f.since)
	f.since = f.count.Load()
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// tooMany reports whether the oldest rotated file is to be deleted, whether or not it has arrived.
func (f *logFile) tooMany() bool {
	return f.way == bySize && f.soak.early.Load() && len(f.rotated) > keep
}

// sweep deletes rotated files, oldest first: those of which all has arrived, and, where files
// rotate by size, those that are too many and that the agent has open. What it never saw it cannot
// keep.
func (f *logFile) sweep() {
	if !f.soak.deleting.TryLock() {
		return // the agent is about to be killed
	}
	defer f.soak.deleting.Unlock()
	for len(f.rotated) > 0 {
		p := f.rotated[0]
		arrived := f.soak.places.has(f.writer, p.from, p.to)
		if !arrived && (!f.tooMany() || !f.soak.agent.hasOpen(p.path)) {
			return
		}
		if os.Remove(p.path) != nil {
			return
		}
		if !arrived {
			f.early++
			f.soak.deletedAt.Store(time.Now().UnixNano())
		}
		f.soak.journal.note("%s is deleted, with the lines from %d to %d; arrived: %v", filepath.Base(p.path), p.from,
			p.to-1, arrived)
		f.rotated = f.rotated[1:]
	}
}
