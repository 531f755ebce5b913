package ledger

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// file is the append-only file under the ledger.
type file struct {
	dir  string
	log  *slog.Logger
	f    *os.File
	size int64
}

const fileName = "ledger.log"

// openFile opens or creates the ledger's file and hands every entry in it to
// apply. A torn end is cut off; damage before the end sets the file aside, and
// what stands before the damage is kept: a source resumes at an older cursor
// then, which repeats rather than loses.
func openFile(dir string, log *slog.Logger, apply func(entry)) (*file, error) {
	path := filepath.Join(dir, fileName)
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	good, err := replay(content, apply)
	if err != nil {
		if err := setAside(path, content, good, log); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	removeLeftovers(dir)
	l := &file{dir: dir, log: log, f: f, size: int64(good)}
	if err := l.start(); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// removeLeftovers removes what compactions have left that a crash cut short.
func removeLeftovers(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, fileName+".new-*")) // the pattern is good; a dir with [ in it keeps its leftovers
	for _, path := range left {
		_ = os.Remove(path)
	}
}

// start makes the file end where its good part does, with a header at least.
func (l *file) start() error {
	if err := l.f.Truncate(l.size); err != nil {
		return fmt.Errorf("cutting the torn end off the ledger %s: %w", l.f.Name(), err)
	}
	if _, err := l.f.Seek(l.size, io.SeekStart); err != nil {
		return fmt.Errorf("opening the ledger %s: %w", l.f.Name(), err)
	}
	if l.size == 0 {
		if err := l.append([]byte(header)); err != nil {
			return err
		}
	} else if err := l.f.Sync(); err != nil { // it may have been written anew
		return fmt.Errorf("writing the ledger %s to disk: %w", l.f.Name(), err)
	}
	return syncDir(l.dir)
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

// setAside keeps a damaged file under another name, and writes its good part anew.
func setAside(path string, content []byte, good int, log *slog.Logger) error {
	aside := fmt.Sprintf("%s.damaged-%s", path, time.Now().UTC().Format("20060102T150405.000"))
	if err := os.Rename(path, aside); err != nil {
		return fmt.Errorf("setting the damaged ledger aside: %w", err)
	}
	log.Warn("the ledger is damaged; it was set aside, and sources resume from their last good entry: some records may be sent again",
		"kept", aside, "good_bytes", good, "bytes", len(content))
	if err := os.WriteFile(path, content[:good], 0o640); err != nil {
		return fmt.Errorf("writing the ledger anew: %w", err)
	}
	return nil
}

// append writes and fsyncs. After an error the file is cut back, so that the
// next append stands on good ground.
func (l *file) append(p []byte) error {
	if _, err := l.f.WriteAt(p, l.size); err != nil {
		l.f.Truncate(l.size)
		return fmt.Errorf("writing the ledger %s: %w", l.f.Name(), err)
	}
	if err := l.f.Sync(); err != nil {
		l.f.Truncate(l.size) // or what the next append leaves of it would look like entries
		return fmt.Errorf("writing the ledger %s to disk: %w", l.f.Name(), err)
	}
	l.size += int64(len(p))
	return nil
}

// replace puts a compacted content in the file's place.
func (l *file) replace(content []byte) error {
	path := filepath.Join(l.dir, fileName)
	f, err := os.CreateTemp(l.dir, fileName+".new-*")
	if err != nil {
		return fmt.Errorf("compacting the ledger: %w", err)
	}
	next := &file{dir: l.dir, log: l.log, f: f}
	if err := next.append(content); err != nil {
		f.Close()
		os.Remove(f.Name())
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		f.Close()
		os.Remove(f.Name())
		return fmt.Errorf("compacting the ledger: %w", err)
	}
	l.f.Close()
	l.f, l.size = f, next.size
	return syncDir(l.dir)
}

func (l *file) close() error { return l.f.Close() }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening folder %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("writing folder %s to disk: %w", dir, err)
	}
	return nil
}
