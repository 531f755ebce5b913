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

// Values of Config.Mode.
const (
	modeAuto  = "auto"
	modeAPI   = "api"
	modeFiles = "files"
)

const (
	// A file that has grown is read again after so many ticks, the sooner the more it has grown.
	busyTicks = 1
	idleTicks = 4
	idleRead  = 4 << 10 // bytes up to which it has grown little

	// A silent file is read less and less often and finally only when a watch, if the system has
	// room for one, shows a write.
	maxTicks     = 1 << (intervals - 1)
	watchTimeout = 10 * time.Second
)

// errWoken means that the container may have changed while its files were followed.
var errWoken = errors.New("the container may have changed")

// A noFileError means that mode files is set and the files cannot be read.
type noFileError struct{ err error }

func (e noFileError) Error() string { return e.err.Error() }
func (e noFileError) Unwrap() error { return e.err }

func (e noFileError) advice() string {
	const orAuto = ", or set mode: auto to read it through the engine's API"
	if errors.Is(e.err, fs.ErrPermission) {
		return "the engine's files belong to root: run as root or in its group (--group-add 0)" + orAuto
	}
	return "mount the folder under the same path (-v /var/lib/docker/containers:/var/lib/docker/containers:ro)" + orAuto
}

// useFiles reports whether the log is to be read from the engine's files.
func (f *follower) useFiles(c snapshot) (bool, error) {
	mode := f.in.config.Mode
	if mode == modeAPI || c.driver != "json-file" || c.logPath == "" || f.in.engine.IsPodman() {
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
	f.in.log.Debug("reading a container's log through the API, not from its files",
		"container", f.batcher.identity.name, "reason", err)
	return false, nil
}

// readable reports why a log's files cannot be read. While the engine rotates, the current file is
// missing.
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

// readFiles is readLog from the files. It returns when the container has stopped and all is read,
// or when the container may have changed.
func (f *follower) readFiles(ctx context.Context, c snapshot, whole bool) error {
	if whole || f.tail != nil && f.tail.path != c.logPath { // a restarted engine may keep them elsewhere
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
	t, partial, err := newTail(c.logPath, since)
	if err != nil {
		return err
	}
	f.missing = false
	f.batcher.setPartial(partial)
	t.history, t.onBlock = &f.history, f.mark
	t.blocks = &f.in.blocks
	t.entries = logformat.NewEntries(&f.batcher, f.corrupt)
	t.corrupt = f.corrupt
	f.tail = t
	f.openHistory(t.listed, t)
	t.listed = nil
	return nil
}

func (f *follower) closeTail() {
	if f.tail != nil {
		f.history.close(f.tail.file, f.tail.off)
		f.tail.close()
		f.tail = nil
		f.review()
	}
}

// corrupt counts a damaged entry, and warns once.
func (f *follower) corrupt() {
	f.in.metrics.corrupt.Inc()
	if f.warnedCorrupt {
		return
	}
	f.warnedCorrupt = true
	f.in.log.Warn("the engine's log file of a container is damaged: lines may be missing; continuing after the damage",
		"container", f.batcher.identity.name, "file", f.tail.file.path)
}

func (f *follower) decode(p []byte) error {
	f.bytesRead.Add(uint64(len(p)))
	return f.batcher.decode(&f.tail.entries, p, f.in.engine.clock(), true)
}

// followTail reads the files, and with follow waits for more.
func (f *follower) followTail(ctx context.Context, c snapshot, follow bool) error {
	var wait pollWait
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
		ticks := wait.next(read, f.in.ticker.pollInterval())
		if f.history.hasGone() {
			ticks = min(ticks, maxTicks/2) // an output may have read it by then
		}
		if err := f.pause(ctx, ticks); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// readFile reads the file to its current end.
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
	f.history.clear()
	f.openHistory([]*logFile{f.tail.file}, f.tail)
	return f.tail.readToEnd(f.batcher.ctx, f.decode)
}

// nextFile continues with the next file if the current one is finished.
func (f *follower) nextFile(c snapshot) (more bool, err error) {
	more, missed, err := f.tail.nextFile(c.rotation, f.batcher.newest())
	if missed {
		f.batcher.reportMissed(f.in.engine.clock())
	}
	if f.history.hasGone() || !f.history.rereadable.Load() {
		f.review()
	}
	return more, err
}

// drain reads the rest of a log that the engine has removed.
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

// A pollWait decides how many ticks to wait until a file is read again.
type pollWait struct{ last int }

// next is given the ticker's interval for little output.
func (p *pollWait) next(read int64, common int) int {
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

// pause waits until the file is to be read again.
func (f *follower) pause(ctx context.Context, ticks int) error {
	path := f.tail.path
	var changed <-chan struct{}
	if ticks == maxTicks {
		changed = f.in.watcher.add(path)
	}
	if changed == nil {
		return f.waitFor(ctx, f.in.ticker.after(ticks), nil)
	}
	defer f.in.watcher.remove(path)
	if f.tail.hasGrown() {
		return nil
	}
	timer := time.NewTimer(watchTimeout)
	defer timer.Stop()
	return f.waitFor(ctx, changed, timer.C)
}

// waitFor waits for a signal or a timeout, and returns errWoken if the container may have changed.
func (f *follower) waitFor(ctx context.Context, signal <-chan struct{}, timeout <-chan time.Time) error {
	select {
	case <-signal:
	case <-timeout:
	case <-f.woken:
		return errWoken
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
