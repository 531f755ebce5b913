package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/longshore/longshore/pipeline/disk"
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
// apply. A torn end is cut off; damage before the end sets the file aside, and
// what stands before the damage is kept: a source resumes at an older cursor
// then, which repeats rather than loses.
func openFile(on disk.FS, dir string, log *slog.Logger, apply func(entry)) (*file, error) {
	l := &file{disk: on, dir: dir, log: log, rough: true, unnamed: true}
	if err := disk.RemoveLeftover(on, l.path()); err != nil {
		return nil, fmt.Errorf("removing what a compaction has left: %w", err)
	}
	content, err := disk.ReadFile(on, l.path())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	good, err := replay(content, apply)
	if err == nil && good > 0 {
		err = l.open(good)
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

// begin makes a file of the good part of a damaged one, which is kept, or of nothing.
func (l *file) begin(content []byte, good int, damage error) error {
	if damage != nil {
		if err := l.setAside(content, good, damage); err != nil {
			return err
		}
	}
	if good == 0 {
		content, good = []byte(header), len(header)
	}
	if err := l.put(content[:good]); err != nil {
		return err
	}
	return l.mend()
}

// replay applies the entries of a file's content and gives the length of its
// good part. The error tells of damage that a torn write does not explain.
func replay(content []byte, apply func(entry)) (good int, err error) {
	if len(content) < len(header) && bytes.HasPrefix([]byte(header), content) {
		return 0, nil
	}
	if !bytes.HasPrefix(content, []byte(header)) {
		return 0, fmt.Errorf("it does not start with %q", header)
	}
	good = len(header)
	for good < len(content) {
		e, n, err := readFrame(content[good:])
		if err != nil {
			return good, damage(content[good:])
		}
		apply(e)
		good += n
	}
	return good, nil
}

// damage tells a torn end from worse: after a tear nothing good follows.
func damage(rest []byte) error {
	for at := 1; at < len(rest) && at < maxFrame; at++ {
		if _, _, err := readFrame(rest[at:]); err == nil {
			return fmt.Errorf("a damaged entry stands before good ones")
		}
	}
	return nil
}

// setAside keeps a copy of a damaged file, on disk before the file is written anew.
func (l *file) setAside(content []byte, good int, damage error) error {
	aside := fmt.Sprintf("%s.damaged-%s", l.path(), time.Now().UTC().Format("20060102T150405.000"))
	if err := disk.WriteFile(l.disk, aside, content); err != nil {
		return fmt.Errorf("setting the damaged ledger aside: %w", err)
	}
	if err := l.syncDir(); err != nil {
		return err
	}
	l.log.Warn("the ledger is damaged; it was set aside, and sources resume from their last good entry: some records may be sent again",
		"error", damage, "kept", aside, "good_bytes", good, "bytes", len(content))
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
