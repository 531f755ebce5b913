package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/longshore/longshore/agent/disk"
)

// file is the append-only file under the ledger.
type file struct {
	disk    disk.FS
	dir     string
	log     *slog.Logger
	f       disk.File
	size    int64
	rough   bool // there may be more than size in it
	unnamed bool // its name may not be on disk
}

const fileName = "ledger.log"

// openFile opens or creates the ledger's file and hands every entry in it to
// apply. A torn end is cut off. Damage before the end sets the file aside, and all
// entries are kept that can be read: each of progress says all there is to say, so that a source
// whose last one is damaged resumes at an older cursor, which repeats rather than loses.
func openFile(on disk.FS, dir string, log *slog.Logger, apply func(entry)) (*file, error) {
	l := &file{disk: on, dir: dir, log: log, rough: true, unnamed: true}
	if err := disk.RemoveLeftover(on, l.path()); err != nil {
		return nil, fmt.Errorf("removing what a compaction has left: %w", err)
	}
	content, err := disk.ReadFile(on, l.path())
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	good, err := []byte(nil), error(nil)
	if !fresh {
		good, err = replay(content, apply)
	}
	if err == nil && !fresh {
		err = l.open(len(good))
	} else {
		err = l.begin(content, good, err)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *file) path() string { return filepath.Join(l.dir, fileName) }

// open goes on with a good file. It is synced, as nobody knows whether the
// process that wrote it came to that.
func (l *file) open(size int) (err error) {
	if l.f, err = l.disk.Open(l.path()); err != nil {
		return fmt.Errorf("opening the ledger: %w", err)
	}
	l.size = int64(size)
	if err := l.mend(); err != nil {
		return err
	}
	if err := l.f.Sync(); err != nil {
		return fmt.Errorf("writing the ledger %s to disk: %w", l.path(), err)
	}
	return nil
}

// begin makes a file of what is good of a damaged one, which is kept, or of nothing.
func (l *file) begin(content, good []byte, damage error) error {
	if damage != nil {
		if err := l.setAside(content, good, damage); err != nil {
			return err
		}
	}
	if len(good) == 0 {
		good = []byte(header)
	}
	if err := l.put(good); err != nil {
		return err
	}
	return l.mend()
}

// replay applies the entries of a file's content and gives a content of those
// alone. The error tells of damage that a torn write does not explain.
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

// torn says whether what stands behind the last good frame can be an append that was
// cut short: its frame is not complete, or a part of it was never written.
func torn(content []byte, at int) bool {
	rest := content[at:]
	if len(rest) < frameHead {
		return true
	}
	length := int(binary.LittleEndian.Uint32(rest))
	return length <= maxFrame && length > len(rest)-frameHead || disk.HasUnwritten(rest, int64(at))
}

// nextFrame finds the next good frame of a kind that is known, or the end.
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
	l.log.Warn("the ledger is damaged; it was set aside, and sources resume from their last good entry: some records may be sent again",
		"error", damage, "kept", aside, "good_bytes", len(good), "bytes", len(content))
	return nil
}

// append writes and fsyncs. After an error, the next append begins where this
// one did.
func (l *file) append(p []byte) error {
	if err := l.mend(); err != nil {
		return err
	}
	l.rough = true
	if _, err := l.f.WriteAt(p, l.size); err != nil {
		return fmt.Errorf("writing the ledger %s: %w", l.path(), err)
	}
	if err := l.f.Sync(); err != nil {
		return fmt.Errorf("writing the ledger %s to disk: %w", l.path(), err)
	}
	l.rough = false
	l.size += int64(len(p))
	return nil
}

// mend brings the file back to what is known of it: what an append that failed
// has left would look like entries, and what is appended to a file without a name is lost.
func (l *file) mend() error {
	if l.rough {
		if err := l.f.Truncate(l.size); err != nil {
			return fmt.Errorf("cutting the torn end off the ledger %s: %w", l.path(), err)
		}
		l.rough = false
	}
	if l.unnamed {
		if err := l.syncDir(); err != nil {
			return err
		}
		l.unnamed = false
	}
	return nil
}

// replace puts a compacted content in the file's place.
func (l *file) replace(content []byte) error {
	if err := l.put(content); err != nil {
		return fmt.Errorf("compacting the ledger: %w", err)
	}
	return l.mend()
}

// put puts a file with this content in the place of the one there is, if any. Its
// name is on disk after mend.
func (l *file) put(content []byte) error {
	f, err := disk.Replace(l.disk, l.path(), content)
	if err != nil {
		return err
	}
	l.close()
	l.f, l.size = f, int64(len(content))
	l.rough, l.unnamed = false, true
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
