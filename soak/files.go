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
	since   uint64 // first line of the file
	rotated []past // oldest first
	turns   int
	buf     []byte
}

// A past is a rotated file. It is deleted once all of it has arrived.
type past struct {
	path     string
	from, to uint64
}

type rotation uint8

const (
	byNumber   rotation = iota // app.log to app.log.1, app.log.1 to app.log.2, …
	byDate                     // app.log to app.log-20261001-0007
	byName                     // app-0007.log: as much a log as the new one
	byTruncate                 // copied and emptied
)

func newLogFile(writer int, dir string, rate int, s *soak) *logFile {
	f := &logFile{
		writer: writer, rate: max(1, rate), soak: s, way: rotation(writer % 3),
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
			if now.After(next) {
				if err := f.rotate(ctx); err != nil {
					return err
				}
				next = f.nextTurn(now)
			}
		}
	}
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
	f.count.Store(n)
	return nil
}

func (f *logFile) open() (err error) {
	f.file, err = os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	f.since = f.count.Load()
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
	case byNumber:
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

// sweep deletes rotated files of which all has arrived, oldest first.
func (f *logFile) sweep() {
	for len(f.rotated) > 0 {
		p := f.rotated[0]
		if !f.soak.places.has(f.writer, p.from, p.to) || os.Remove(p.path) != nil {
			return
		}
		f.soak.journal.note("%s is deleted, with the lines from %d to %d", filepath.Base(p.path), p.from, p.to-1)
		f.rotated = f.rotated[1:]
	}
}
