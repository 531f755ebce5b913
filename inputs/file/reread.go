package file

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

var errNotFollowed = errors.New("its file is no longer followed")

// Reread implements pipeline.Rereader. It reads with a descriptor of its own, and so beside the
// reader that follows the file.
func (in *input) Reread(ctx context.Context, from pipeline.Known, feed pipeline.Feed) error {
	c := in.running.Load()
	if c == nil {
		return errNotFollowed
	}
	f := c.sources.Of(from.ID)
	if f == nil {
		return errNotFollowed
	}
	fd, err := c.open.duplicate(f)
	if err != nil {
		return fmt.Errorf("opening a log file once more: %w", err)
	}
	defer fd.Close()
	k := &knownSource{Known: from}
	if from.Cursor.State != nil {
		if k.at, err = decodeCursor(from.Cursor.State, from.Key); err != nil {
			return err
		}
	}
	return c.reread(ctx, f, fd, k, feed)
}

// CanReread implements pipeline.Rereader.
func (in *input) CanReread(event.SourceID) bool { return true }

// reread reads a file from a cursor on with a reader of its own, which shares nothing with others
// but the settings.
func (c *core) reread(ctx context.Context, f *file, fd *os.File, k *knownSource, feed pipeline.Feed) error {
	own := *c
	own.feed, own.unpacks, own.metrics = feed, &unpackSlots{}, c.rereadMetrics
	r := &reader{core: &own, rereads: true}
	again := &file{id: f.id, compressed: f.compressed}
	again.read = readState{startSize: -1, fd: fd, progress: c.settings.newProgress(k.Key)}
	again.read.begun = true
	if err := r.resume(again, k); err != nil {
		return err
	}
	for ctx.Err() == nil {
		more, err := r.rereadSlice(ctx, again)
		if !more || err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (r *reader) rereadSlice(ctx context.Context, f *file) (more bool, err error) {
	s := &f.read
	info, err := s.fd.Stat()
	if err != nil {
		return false, fmt.Errorf("looking at a log file: %w", err)
	}
	s.noteSize(info)
	if f.compressed {
		result, err := r.unpackBlocks(ctx, f, info.Size())
		return result.more, err
	}
	if same, err := s.hasHead(); !same || err != nil {
		return false, errors.Join(err, errRewritten)
	}
	result, err := r.readBlocks(ctx, f, info.Size())
	return result.more, err
}

// duplicate returns a descriptor of a file that is open, or opens it once more.
func (o *openFiles) duplicate(f *file) (*os.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f.hold.state.isOpen() {
		return duplicate(f.read.fd)
	}
	at := o.table.where(f)
	if at.path == "" {
		return nil, os.ErrNotExist
	}
	return openSame(o.openFile, at.path, f.id)
}

func duplicate(fd *os.File) (*os.File, error) {
	raw, err := fd.SyscallConn()
	if err != nil {
		return nil, err
	}
	var second int
	var failed error
	if err := raw.Control(func(first uintptr) {
		second, failed = unix.FcntlInt(first, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, os.NewSyscallError("fcntl", failed)
	}
	return os.NewFile(uintptr(second), fd.Name()), nil
}
