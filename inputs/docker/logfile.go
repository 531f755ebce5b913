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
	"time"

	"github.com/longshore/longshore/inputs/docker/logformat"
)

// A logFile is one of the files that a container's log is kept in: the one that the
// engine writes, <id>-json.log, or one that it has rotated away, .1 being the newest of
// those. It packs them from .1 on into .gz, if it was told to, while it writes the next
// (moby, daemon/logger/loggerutils/logfile.go).
type logFile struct {
	path       string
	age        int // 0: it is written; k: it was rotated away k times
	compressed bool
	info       os.FileInfo

	fd  *os.File
	src io.ReaderAt // its text; asked for in order
}

func (f *logFile) same(o *logFile) bool { return os.SameFile(f.info, o.info) }

// open opens the file, if it is still the one that was listed.
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
		f.src = &gzipFile{from: fd}
	}
	return nil
}

func (f *logFile) close() {
	if f.fd != nil {
		f.fd.Close()
	}
}

func closeAll(files []*logFile) {
	for _, f := range files {
		f.close()
	}
}

// errMoving says that the engine was rotating while its files were looked at.
var errRotating = errors.New("the engine is rotating the log")

// listLog lists the files of a log, oldest first. The last one is that which is written, if it
// is there: while the engine rotates it is not. The folder itself may be one that cannot be listed.
func listLog(path string) (files []*logFile, err error) {
	missing := 0
	for age := 0; missing < 2; age++ { // one is missing while the engine renames it
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

// find finds the file of an age. While it is being packed it is there twice, and whole where it
// is not packed.
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

// movingTime is how long the engine may take to rotate a log.
const openTries = 100

// openLog opens all files of a log as they are at one moment, oldest first. The last is
// the one that is written.
func openLog(path string) (files []*logFile, err error) {
	for try := range openTries {
		if files, err = tryOpen(path, try > openTries/2); err == nil || !errors.Is(err, errRotating) {
			return files, err
		}
		time.Sleep(time.Millisecond)
	}
	return nil, err
}

// tryOpen is openLog unless the engine rotates meanwhile. A missing number is a sign of that, unless it
// stays missing.
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

// firstTime gives the time of a file's first entry; it reports false if there is none near its
// beginning.
func (f *logFile) firstTime() (ts int64, ok bool) {
	src := io.ReaderAt(f.fd)
	if f.compressed {
		src = &gzipFile{from: f.fd}
	}
	p := make([]byte, smallBlock)
	n, _ := src.ReadAt(p, 0)
	ts, _, ok = logformat.TimeRange(p[:n])
	return ts, ok
}

// nearEnough is how far before the wanted place reading may begin.
const seekTolerance = 256 << 10

// before finds a place in a file that is not packed, at the start of a line, before which
// nothing is as late as a time. It reads little of the file, and takes it that times ascend.
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

// broken tells whether a packed file turned out not to be whole.
func (f *logFile) damaged() bool {
	zip, ok := f.src.(*gzipFile)
	return ok && zip.err != nil && zip.err != io.EOF
}

// unpacked reads what a packed file holds, from front to back. What it gave last may be asked for
// again. Where the file is broken, it ends.
type gzipFile struct {
	from *os.File
	zip  *gzip.Reader
	err  error  // where it ended
	last []byte // what it gave last, which began at
	at   int64
}

// ReadAt implements io.ReaderAt for ascending places.
func (u *gzipFile) ReadAt(p []byte, off int64) (n int, err error) {
	if off < u.at || off > u.at+int64(len(u.last)) {
		return 0, fmt.Errorf("place %d of a packed file is out of reach", off)
	}
	n = copy(p, u.last[off-u.at:])
	n += u.more(p[n:])
	u.last, u.at = append(u.last[:0], p[:n]...), off
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (u *gzipFile) more(p []byte) (n int) {
	if u.zip == nil && u.err == nil {
		u.zip, u.err = gzip.NewReader(bufio.NewReaderSize(io.NewSectionReader(u.from, 0, math.MaxInt64), smallBlock))
	}
	for n < len(p) && u.err == nil {
		var read int
		read, u.err = u.zip.Read(p[n:])
		n += read
	}
	return n
}
