package docker

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/longshore/longshore/inputs/docker/logformat"
)

// How a container's log may be read.
const (
	modeAuto  = "auto"
	modeAPI   = "api"
	modeFiles = "files"
)

const (
	// A container that has just written is looked at again after a while, not at each
	// line: the sooner the more it wrote. Both are ticks of the beat.
	busySpan  = 1
	quietSpan = 4
	quietRead = 4 << 10 // bytes in a look up to which it writes little

	// One that is silent is looked at less and less, and then only when it writes; or, where
	// nobody tells of that, every longestSpan.
	longestSpan  = 1 << (spans - 1)
	watchedPause = 10 * time.Second
)

// errWoken says that something has happened to the container whose files are read.
var errWoken = errors.New("something has happened to the container")

// A noFileError says that a log cannot be read from its files, although it should.
type noFileError struct{ err error }

func (e noFileError) Error() string { return e.err.Error() }
func (e noFileError) Unwrap() error { return e.err }

// advice tells what to do.
func (e noFileError) advice() string {
	if errors.Is(e.err, fs.ErrPermission) {
		return "the engine's files belong to root: run as root or in its group (--group-add 0), or set mode: auto to read it through the engine's API"
	}
	return "mount the folder under the same path (-v /var/lib/docker/containers:/var/lib/docker/containers:ro), or set mode: auto to read it through the engine's API"
}

// direct tells whether a log is to be read from the engine's files.
func (f *follower) direct(c condition) (bool, error) {
	mode := f.in.config.Mode
	if mode == modeAPI || c.driver != "json-file" || c.logPath == "" || f.in.engine.podman.Load() {
		return false, nil
	}
	if f.tail != nil {
		return true, nil
	}
	err := readable(c.logPath)
	switch {
	case err == nil:
		return true, nil
	case mode == modeFiles:
		return false, noFileError{err}
	}
	f.in.log.Debug("reading a container's log through the API, not from its files", "container", f.out.who.name, "reason", err)
	return false, nil
}

// readable tells whether a log's files can be read. While the engine rotates, the file
// that it writes is missing.
func readable(path string) error {
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := find(path, 0)
	if err == nil {
		err = f.open()
		f.close()
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errMoving) {
		return nil
	}
	return err
}

// readFiles reads the log from where it stands: until the container is stopped and all is read, or
// something happens to it. With whole, it reads all that there is, and does not follow.
func (f *follower) readFiles(ctx context.Context, c condition, whole bool) error {
	if whole || f.tail != nil && f.tail.path != c.logPath { // an engine may come back with its files elsewhere
		f.closeTail()
	}
	if f.tail == nil {
		if err := f.openTail(c, whole); err != nil {
			return err
		}
	}
	f.filing.Store(true)
	defer f.filing.Store(false)
	f.kept = c.rotation.size
	err := f.followTail(ctx, c, c.running && !whole)
	if !errors.Is(err, errWoken) {
		f.closeTail()
	}
	return errors.Join(err, f.out.release())
}

func (f *follower) openTail(c condition, whole bool) error {
	since := f.out.connected(f.in.engine.clock(), rotation{}, false)
	if whole || f.settled || f.strayed {
		since = 0
	}
	t, guessed, err := newTail(c.logPath, since)
	if err != nil {
		return err
	}
	f.strayed = false
	f.out.guessed(guessed)
	t.blocks = &f.in.blocks
	t.from = logformat.NewEntries(&f.out, f.corrupt)
	t.corrupt = f.corrupt
	f.tail = t
	return nil
}

func (f *follower) closeTail() {
	if f.tail != nil {
		f.tail.close()
		f.tail = nil
	}
}

// corrupt notes that the engine's file has something in it that is no entry.
func (f *follower) corrupt() {
	f.in.metrics.corrupt.Inc()
	if f.garbled {
		return
	}
	f.garbled = true
	f.in.log.Warn("the engine's log file of a container is damaged: lines may be missing; going on behind that",
		"container", f.out.who.name, "file", f.tail.file.path)
}

// take gives what was read to the gatherer.
func (f *follower) take(p []byte) error {
	f.read.Add(uint64(len(p)))
	return f.out.take(&f.tail.from, p, f.in.engine.clock(), true)
}

// followTail reads on, and with follow waits for more.
func (f *follower) followTail(ctx context.Context, c condition, follow bool) error {
	var rest pace
	for ctx.Err() == nil {
		read, err := f.look(c)
		if err != nil {
			return err
		}
		if read == 0 {
			more, err := f.next(c)
			if err == nil && !more {
				err = f.out.misguessed()
			}
			if err != nil || !more && !follow {
				return err
			}
			if more {
				continue
			}
		}
		if !follow || f.tail.final {
			continue
		}
		if err := f.out.release(); err != nil {
			return err
		}
		if err := f.pause(ctx, rest.after(read, f.in.beat.span())); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// look reads a file to its end of now.
func (f *follower) look(c condition) (int64, error) {
	read, err := f.tail.look(f.out.ctx, f.take)
	if !errors.Is(err, errRewritten) {
		return read, err
	}
	if f.tail.final {
		return 0, errAstray
	}
	if f.tail.restart(c.rotation) {
		f.out.missed(f.in.engine.clock())
	}
	return f.tail.look(f.out.ctx, f.take)
}

// next goes on to the next file, if the one that is read is done with.
func (f *follower) next(c condition) (more bool, err error) {
	more, missed, err := f.tail.next(c.rotation, f.out.newest())
	if missed {
		f.out.missed(f.in.engine.clock())
	}
	return more, err
}

// drain reads what is left of a log that the engine has removed.
func (f *follower) drain(ctx context.Context) {
	if f.tail == nil {
		return
	}
	defer f.closeTail()
	for ctx.Err() == nil {
		read, err := f.tail.look(f.out.ctx, f.take)
		switch {
		case err != nil:
			return
		case read > 0:
		case len(f.tail.rest) > 0:
			f.tail.next(rotation{}, 0)
		default:
			full := f.kept > 0 && f.tail.off >= f.kept
			f.ran.Store(full || f.tail.final) // there may have been another file
			return
		}
	}
}

// A pace says how many ticks to wait until a file is looked at again.
type pace struct{ last int }

// after is given what is common to those who have little to read.
func (p *pace) after(read int64, common int) int {
	switch {
	case read > quietRead:
		p.last = busySpan
	case read > 0:
		p.last = max(quietSpan, common)
	default:
		p.last = min(max(2*p.last, quietSpan), longestSpan)
	}
	return p.last
}

// pause waits until the file is to be looked at again.
func (f *follower) pause(ctx context.Context, span int) error {
	if span == longestSpan {
		if w := f.in.watches.add(f.tail.path); w != nil {
			defer f.in.watches.remove(w)
			return f.untilWritten(ctx, w)
		}
	}
	return f.until(ctx, f.in.beat.join(span), nil)
}

// untilWritten waits until a file is written to that is silent.
func (f *follower) untilWritten(ctx context.Context, w *watch) error {
	if f.tail.grown() {
		return nil
	}
	timer := time.NewTimer(watchedPause)
	defer timer.Stop()
	return f.until(ctx, w.changed, timer.C)
}

// until waits for one of two things, unless something happens to the container.
func (f *follower) until(ctx context.Context, one <-chan struct{}, other <-chan time.Time) error {
	select {
	case <-one:
	case <-other:
	case <-f.wake:
		return errWoken
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
