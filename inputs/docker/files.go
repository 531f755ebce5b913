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
	busyTicks = 1
	idleTicks = 4
	idleRead  = 4 << 10 // bytes in a look up to which it writes little

	// One that is silent is looked at less and less, and then only when it writes; or, where
	// nobody tells of that, every longestSpan.
	maxTicks     = 1 << (intervals - 1)
	watchTimeout = 10 * time.Second
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
func (f *follower) useFiles(c snapshot) (bool, error) {
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
	f.in.log.Debug("reading a container's log through the API, not from its files", "container", f.batcher.identity.name, "reason", err)
	return false, nil
}

// readable tells whether a log's files can be read. While the engine rotates, the file
// that it writes is missing.
func readable(path string) error {
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := statFile(path, 0)
	if err == nil {
		err = f.open()
		f.close()
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errRotating) {
		return nil
	}
	return err
}

// readFiles reads the log from where it stands: until the container is stopped and all is read, or
// something happens to it. With whole, it reads all that there is, and does not follow.
func (f *follower) readFiles(ctx context.Context, c snapshot, whole bool) error {
	if whole || f.tail != nil && f.tail.path != c.logPath { // an engine may come back with its files elsewhere
		f.closeTail()
	}
	if f.tail == nil {
		if err := f.openTail(c, whole); err != nil {
			return err
		}
	}
	f.followingFiles.Store(true)
	defer f.followingFiles.Store(false)
	f.maxFileSize = c.rotation.size
	err := f.followTail(ctx, c, c.running && !whole)
	if !errors.Is(err, errWoken) {
		f.closeTail()
	}
	return errors.Join(err, f.batcher.sendAll())
}

func (f *follower) openTail(c snapshot, whole bool) error {
	since := f.batcher.connect(f.in.engine.clock(), rotation{}, false)
	if whole || f.fullyRead || f.missing {
		since = 0
	}
	t, guessed, err := newTail(c.logPath, since)
	if err != nil {
		return err
	}
	f.missing = false
	f.batcher.setPartial(guessed)
	t.blocks = &f.in.blocks
	t.entries = logformat.NewEntries(&f.batcher, f.corrupt)
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
	if f.warnedCorrupt {
		return
	}
	f.warnedCorrupt = true
	f.in.log.Warn("the engine's log file of a container is damaged: lines may be missing; going on behind that",
		"container", f.batcher.identity.name, "file", f.tail.file.path)
}

// take gives what was read to the gatherer.
func (f *follower) decode(p []byte) error {
	f.bytesRead.Add(uint64(len(p)))
	return f.batcher.decode(&f.tail.entries, p, f.in.engine.clock(), true)
}

// followTail reads on, and with follow waits for more.
func (f *follower) followTail(ctx context.Context, c snapshot, follow bool) error {
	var rest pollBackoff
	for ctx.Err() == nil {
		read, err := f.readFile(c)
		if err != nil {
			return err
		}
		if read == 0 {
			more, err := f.nextFile(c)
			if err == nil && !more {
				err = f.batcher.checkFound()
			}
			if err != nil || !more && !follow {
				return err
			}
			if more {
				continue
			}
		}
		if !follow || f.tail.rotated {
			continue
		}
		if err := f.batcher.sendAll(); err != nil {
			return err
		}
		if err := f.pause(ctx, rest.next(read, f.in.ticker.pollInterval())); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// look reads a file to its end of now.
func (f *follower) readFile(c snapshot) (int64, error) {
	read, err := f.tail.readToEnd(f.batcher.ctx, f.decode)
	if !errors.Is(err, errTruncated) {
		return read, err
	}
	if f.tail.rotated {
		return 0, errNextFileMissing
	}
	if f.tail.restart(c.rotation) {
		f.batcher.reportMissed(f.in.engine.clock())
	}
	return f.tail.readToEnd(f.batcher.ctx, f.decode)
}

// next goes on to the next file, if the one that is read is done with.
func (f *follower) nextFile(c snapshot) (more bool, err error) {
	more, missed, err := f.tail.nextFile(c.rotation, f.batcher.newest())
	if missed {
		f.batcher.reportMissed(f.in.engine.clock())
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
		read, err := f.tail.readToEnd(f.batcher.ctx, f.decode)
		switch {
		case err != nil:
			return
		case read > 0:
		case len(f.tail.newer) > 0:
			f.tail.nextFile(rotation{}, 0)
		default:
			full := f.maxFileSize > 0 && f.tail.off >= f.maxFileSize
			f.unread.Store(full || f.tail.rotated) // there may have been another file
			return
		}
	}
}

// A pace says how many ticks to wait until a file is looked at again.
type pollBackoff struct{ last int }

// after is given what is common to those who have little to read.
func (p *pollBackoff) next(read int64, common int) int {
	switch {
	case read > idleRead:
		p.last = busyTicks
	case read > 0:
		p.last = max(idleTicks, common)
	default:
		p.last = min(max(2*p.last, idleTicks), maxTicks)
	}
	return p.last
}

// pause waits until the file is to be looked at again.
func (f *follower) pause(ctx context.Context, ticks int) error {
	if ticks == maxTicks {
		if w := f.in.watcher.add(f.tail.path); w != nil {
			defer f.in.watcher.remove(w)
			return f.waitForWrite(ctx, w)
		}
	}
	return f.waitFor(ctx, f.in.ticker.after(ticks), nil)
}

// untilWritten waits until a file is written to that is silent.
func (f *follower) waitForWrite(ctx context.Context, w *watch) error {
	if f.tail.hasGrown() {
		return nil
	}
	timer := time.NewTimer(watchTimeout)
	defer timer.Stop()
	return f.waitFor(ctx, w.changed, timer.C)
}

// until waits for one of two things, unless something happens to the container.
func (f *follower) waitFor(ctx context.Context, one <-chan struct{}, other <-chan time.Time) error {
	select {
	case <-one:
	case <-other:
	case <-f.woken:
		return errWoken
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
