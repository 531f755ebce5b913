package docker

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/longshore/longshore/inputs/docker/logformat"
)

// A logFile is one file of a container's log: the current one, <id>-json.log, or a rotated one, of
// which .1 is the newest. If told to, the engine compresses .1 to .gz while it writes the next
// (moby, daemon/logger/loggerutils/logfile.go).
type logFile struct {
	path       string
	age        int // how often it was rotated; 0 for the current file
	compressed bool
	info       os.FileInfo
	number     uint64 // in the log's history

	fd    *os.File
	users atomic.Int32 // beside the first
	src   io.ReaderAt  // its text, which must be read in order
}

func (f *logFile) same(o *logFile) bool { return os.SameFile(f.info, o.info) }

// open opens the file if it is still the one that was listed.
func (f *logFile) open() error {
	fd, err := os.Open(f.path)
	if err != nil {
		return err
	}
	info, err := fd.Stat()
	if err == nil && !os.SameFile(info, f.info) {
		err = errRotating
	}
	if err != nil {
		fd.Close()
		return err
	}
	f.fd, f.src = fd, fd
	if f.compressed {
		f.src = &gzipFile{file: fd}
	}
	return nil
}

// retain keeps the file open until close was called once more.
func (f *logFile) retain() { f.users.Add(1) }

func (f *logFile) close() {
	if f.fd != nil && f.users.Add(-1) < 0 {
		f.fd.Close()
	}
}

// again returns the file to be read once more from an offset on. It is open as long as f is, and
// not to be closed.
func (f *logFile) again(off int64) (*logFile, error) {
	own := &logFile{path: f.path, age: f.age, compressed: f.compressed, info: f.info, fd: f.fd, src: f.fd}
	if f.compressed {
		zip := &gzipFile{file: f.fd}
		own.src = zip
		return own, zip.skipTo(off)
	}
	return own, nil
}

func closeAll(files []*logFile) {
	for _, f := range files {
		f.close()
	}
}

// errRotating means that the engine was rotating while its files were examined.
var errRotating = errors.New("the engine is rotating the log")

// listLog lists the files of a log, oldest first. The current one is missing while the engine
// rotates. The folder itself may be unreadable, so names are tried.
func listLog(path string) (files []*logFile, err error) {
	missing := 0
	for age := 0; missing < 2; age++ { // one may be missing while the engine renames
		f, err := statFile(path, age)
		switch {
		case err == nil:
			files, missing = append(files, f), 0
		case errors.Is(err, fs.ErrNotExist):
			missing++
		default:
			return nil, err
		}
	}
	slices.Reverse(files)
	return files, nil
}

// statFile returns the file of an age. While it is being compressed it exists twice, and only the
// original is complete.
func statFile(path string, age int) (f *logFile, err error) {
	f = &logFile{path: path, age: age}
	if age > 0 {
		f.path = path + "." + strconv.Itoa(age)
	}
	if f.info, err = os.Stat(f.path); age > 0 && errors.Is(err, fs.ErrNotExist) {
		f.compressed, f.path = true, f.path+".gz"
		f.info, err = os.Stat(f.path)
	}
	if err == nil && !f.info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", f.path)
	}
	return f, err
}

// openTries bounds how many milliseconds a rotation may take.
const openTries = 100

// openLog opens all files of a log as they are at one moment, oldest first. The last is the current
// one.
func openLog(path string) (files []*logFile, err error) {
	for try := range openTries {
		if files, err = tryOpen(path, try > openTries/2); err == nil || !errors.Is(err, errRotating) {
			return files, err
		}
		time.Sleep(time.Millisecond)
	}
	return nil, err
}

// tryOpen is openLog, but fails if the engine rotates meanwhile. A missing number is a sign of that
// unless holes are accepted.
func tryOpen(path string, holes bool) ([]*logFile, error) {
	files, err := listLog(path)
	if err != nil {
		return nil, err
	}
	if n := len(files); n == 0 || files[n-1].age != 0 {
		if !holes {
			return nil, errRotating
		}
		return nil, fmt.Errorf("open %s: %w", path, fs.ErrNotExist)
	}
	if files[0].age != len(files)-1 && !holes {
		return nil, errRotating
	}
	for i, f := range files {
		if err := f.open(); err != nil {
			closeAll(files[:i])
			if errors.Is(err, fs.ErrNotExist) {
				return nil, errRotating
			}
			return nil, err
		}
	}
	again, err := listLog(path)
	if err != nil || !slices.EqualFunc(files, again, (*logFile).same) {
		closeAll(files)
		return nil, errRotating
	}
	return files, nil
}

// firstTime returns the time of a file's first entry. It reports false if there is none near its
// beginning.
func (f *logFile) firstTime() (ts int64, ok bool) {
	src := io.ReaderAt(f.fd)
	if f.compressed {
		src = &gzipFile{file: f.fd}
	}
	p := make([]byte, smallBlock)
	n, _ := src.ReadAt(p, 0)
	ts, _, ok = logformat.TimeRange(p[:n])
	return ts, ok
}

// seekTolerance is how far before the best offset reading may begin.
const seekTolerance = 256 << 10

// offsetBefore returns the offset of a line before which, as far as times ascend, all entries are
// earlier than ts. It reads little of the file.
func (f *logFile) offsetBefore(ts int64) (off int64) {
	info, err := f.fd.Stat()
	if f.compressed || err != nil {
		return 0
	}
	p := make([]byte, smallBlock)
	for end := info.Size(); end-off > seekTolerance; {
		mid := off + (end-off)/2
		n, _ := f.fd.ReadAt(p, mid)
		start := bytes.IndexByte(p[:n], '\n') + 1
		_, latest, ok := logformat.TimeRange(p[start:n])
		switch {
		case start == 0 || !ok:
			return off
		case latest < ts:
			off = mid + int64(start)
		default:
			end = mid
		}
	}
	return off
}

// damaged reports whether a compressed file turned out to be incomplete.
func (f *logFile) damaged() bool {
	zip, ok := f.src.(*gzipFile)
	return ok && zip.err != nil && zip.err != io.EOF
}

// A gzipFile reads the text of a compressed file from front to back. Where the file is damaged, it
// ends.
type gzipFile struct {
	file     *os.File
	reader   *gzip.Reader
	err      error  // that ended it
	lastRead []byte // by the last ReadAt, at lastOff
	lastOff  int64
}

// ReadAt implements io.ReaderAt for offsets within or at the end of the last read.
func (u *gzipFile) ReadAt(p []byte, off int64) (n int, err error) {
	if off < u.lastOff || off > u.lastOff+int64(len(u.lastRead)) {
		return 0, fmt.Errorf("offset %d of a compressed file is out of reach", off)
	}
	n = copy(p, u.lastRead[off-u.lastOff:])
	n += u.fill(p[n:])
	u.lastRead, u.lastOff = append(u.lastRead[:0], p[:n]...), off
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// skipTo has the file be read from an offset on.
func (u *gzipFile) skipTo(off int64) error {
	p := make([]byte, smallBlock)
	for u.lastOff < off {
		n := u.fill(p[:min(off-u.lastOff, smallBlock)])
		if n == 0 {
			return fmt.Errorf("%s: offset %d is beyond its end: %w", u.file.Name(), off, u.err)
		}
		u.lastOff += int64(n)
	}
	return nil
}

func (u *gzipFile) fill(p []byte) (n int) {
	if u.reader == nil && u.err == nil {
		u.reader, u.err = gzip.NewReader(bufio.NewReaderSize(io.NewSectionReader(u.file, 0, math.MaxInt64), smallBlock))
	}
	for n < len(p) && u.err == nil {
		var read int
		read, u.err = u.reader.Read(p[n:])
		n += read
	}
	return n
}
