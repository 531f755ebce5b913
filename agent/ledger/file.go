package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/longshore/longshore/agent/disk"
	"github.com/longshore/longshore/pipeline"
)

// file is the append-only file under the ledger.
type file struct {
	disk    disk.FS
	dir     string
	log     *slog.Logger
	f       disk.File
	size    int64
	overlap bool // the file may be longer than size
	unnamed bool // its name may not be on disk
}

const fileName = "ledger.log"

// openFile opens or creates the ledger's file and applies every entry in it. A torn end is
// truncated. For damage before the end the file is set aside, and all entries that can be read are
// kept.
func openFile(on disk.FS, dir string, log *slog.Logger, apply func(entry)) (*file, error) {
	l := &file{disk: on, dir: dir, log: log, overlap: true, unnamed: true}
	if err := disk.RemoveLeftover(on, l.path()); err != nil {
		return nil, fmt.Errorf("removing what a compaction has left: %w", err)
	}
	content, err := disk.ReadFile(on, l.path())
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	good, err := []byte(nil), error(nil)
	if !missing {
		good, err = replay(content, apply)
	}
	if err == nil && !missing {
		err = l.open(len(good))
	} else {
		err = l.create(content, good, err)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *file) path() string { return filepath.Join(l.dir, fileName) }

// open opens a good file. It is synced, as the process that wrote it may have been killed before
// that.
func (l *file) open(size int) (err error) {
	if l.f, err = l.disk.Open(l.path()); err != nil {
		return fmt.Errorf("opening the ledger: %w", err)
	}
	l.size = int64(size)
	if err := l.repair(); err != nil {
		return err
	}
	return l.sync()
}

// create writes a file of what is good of a damaged one, which is kept, or an empty one.
func (l *file) create(content, good []byte, damage error) error {
	if damage != nil {
		if err := l.setAside(content, good, damage); err != nil {
			return err
		}
	}
	if len(good) == 0 {
		good = []byte(header)
	}
	if err := l.install(good); err != nil {
		return err
	}
	return l.repair()
}

// replay applies the entries of a file's content and returns a content of those alone. damage is
// what a torn write does not explain.
func replay(content []byte, apply func(entry)) (good []byte, damage error) {
	good = content[:min(len(header), len(content))]
	at := len(good)
	if string(good) != header {
		good, at, damage = []byte(header), 0, fmt.Errorf("it does not start with %q", header)
	}
	for at < len(content) {
		e, n, err := readFrame(content[at:])
		if err != nil {
			next := nextFrame(content, at+1)
			if next == len(content) && torn(content, at) {
				break
			}
			if damage == nil {
				good, damage = slices.Clip(good), fmt.Errorf("%d bytes from %d on are damaged", next-at, at)
			}
			at = next
			continue
		}
		apply(e)
		if at += n; damage == nil {
			good = content[:at]
		} else {
			good = append(good, content[at-n:at]...)
		}
	}
	return good, damage
}

// torn reports whether what follows the last good frame can be an append that was interrupted: its
// frame is not complete, or a part of it was never written.
func torn(content []byte, at int) bool {
	rest := content[at:]
	if len(rest) < frameHead {
		return true
	}
	length := int(binary.LittleEndian.Uint32(rest))
	return length <= maxFrame && length > len(rest)-frameHead || disk.HasUnwritten(rest, int64(at))
}

// nextFrame returns the offset of the next good frame of a known kind, or the end.
func nextFrame(content []byte, at int) int {
	for ; at < len(content); at++ {
		if len(content)-at <= frameHead || bytes.IndexByte(kinds, content[at+frameHead]) < 0 {
			continue
		}
		if _, _, err := readFrame(content[at:]); err == nil {
			return at
		}
	}
	return at
}

// setAside keeps a copy of a damaged file, on disk before the file is written anew.
func (l *file) setAside(content, good []byte, damage error) error {
	aside := fmt.Sprintf("%s.damaged-%s", l.path(), time.Now().UTC().Format("20060102T150405.000"))
	if err := disk.WriteFile(l.disk, aside, content); err != nil {
		return fmt.Errorf("setting the damaged ledger aside: %w", err)
	}
	if err := l.syncDir(); err != nil {
		return err
	}
	l.log.Warn("the ledger is damaged; it was set aside, and sources resume from their last good entry: some "+
		"records may be sent again",
		"error", damage, "kept", aside, "good_bytes", len(good), "bytes", len(content))
	return nil
}

// append writes and syncs. After an error, the next append begins where this one did.
func (l *file) append(p []byte) error {
	if err := l.repair(); err != nil {
		return err
	}
	l.overlap = true
	if _, err := l.f.WriteAt(p, l.size); err != nil {
		return fmt.Errorf("writing the ledger %s: %w", l.path(), err)
	}
	if err := l.sync(); err != nil {
		return err
	}
	l.overlap = false
	l.size += int64(len(p))
	return nil
}

func (l *file) sync() error {
	if err := l.f.Sync(); err != nil {
		return fmt.Errorf("writing the ledger %s to disk: %w", l.path(), err)
	}
	return nil
}

// repair restores the file after a failure: what a failed append has left would look like entries,
// and what is appended to a file without a name is lost.
func (l *file) repair() error {
	if l.overlap {
		if err := l.f.Truncate(l.size); err != nil {
			return fmt.Errorf("truncating the torn end of the ledger %s: %w", l.path(), err)
		}
		l.overlap = false
	}
	if l.unnamed {
		if err := l.syncDir(); err != nil {
			return err
		}
		l.unnamed = false
	}
	return nil
}

// replace installs a compacted content.
func (l *file) replace(content []byte) error {
	if err := l.install(content); err != nil {
		return fmt.Errorf("compacting the ledger: %w", err)
	}
	return l.repair()
}

// install replaces the file, if there is one, by one with this content. Its name is on disk after
// repair.
func (l *file) install(content []byte) error {
	f, err := disk.Replace(l.disk, l.path(), content)
	if err != nil {
		return err
	}
	l.close()
	l.f, l.size = f, int64(len(content))
	l.overlap, l.unnamed = false, true
	return nil
}

func (l *file) close() {
	if l.f != nil {
		l.f.Close()
	}
}

func (l *file) syncDir() error {
	if err := l.disk.SyncDir(l.dir); err != nil {
		return fmt.Errorf("writing folder %s to disk: %w", l.dir, err)
	}
	return nil
}

// lock locks the data folder for this process until the file is closed.
func lock(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := pipeline.OpenDataFile(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("data_dir cannot be written: %w; make it writable for this user or set another "+
			"data_dir", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		f.Truncate(0)
		fmt.Fprintf(f, "%d\n", os.Getpid())
		return f, nil
	}
	defer f.Close()
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	holder, _ := io.ReadAll(f)
	return nil, fmt.Errorf("data_dir %s is in use by another longshore (process %s); stop it or set another data_dir",
		dir, strings.TrimSpace(string(holder)))
}
