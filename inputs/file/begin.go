package file

import (
	"errors"
	"fmt"
	"os"

	"github.com/longshore/longshore/pipeline"
)

// What CursorAt cannot make a cursor of.
var (
	ErrBeyondEnd  = errors.New("the file is shorter than that")
	ErrCompressed = errors.New("the file is compressed")
	ErrNotRegular = errors.New("it is no regular file")
)

// A Place is a position in a file that another program has read up to.
type Place struct {
	Cursor pipeline.Cursor
	Size   uint64 // of the file
	// File is the same for all names of a file, and another for others.
	File [2]uint64
	// InLine is set where the byte before the position ends no line.
	InLine bool
	// Before is what stands right before the position, up to 64 bytes.
	Before []byte
}

// CursorAt returns the cursor of a source of which all before a position of the file at a path is
// done: with it in the ledger, the file input goes on there, as long as the file has what it has
// now.
func CursorAt(path string, pos uint64) (Place, error) {
	if isCompressed(path) {
		return Place{}, ErrCompressed
	}
	fd, err := openFile(path)
	if err != nil {
		return Place{}, err
	}
	defer fd.Close()
	info, err := fd.Stat()
	if err != nil {
		return Place{}, err
	}
	if !info.Mode().IsRegular() {
		return Place{}, ErrNotRegular
	}
	place := Place{Size: uint64(info.Size())}
	if pos > place.Size {
		return place, ErrBeyondEnd
	}
	var buf [headMax]byte
	head, err := readHead(fd, buf[:])
	if err != nil {
		return place, err
	}
	before, err := bytesBefore(fd, pos)
	if err != nil {
		return place, err
	}
	c := cursor{id: inodeOf(info), pos: pos, size: place.Size, modified: uint64(info.ModTime().UnixMilli()),
		head: fingerprintOf(withoutRoom(head)), tail: fingerprintOf(before)}
	place.InLine = len(before) > 0 && before[len(before)-1] != '\n'
	place.File = [2]uint64{c.id.dev, c.id.ino}
	place.Before, c.ended = before, place.InLine
	place.Cursor = pipeline.Cursor{Pos: pos, State: c.append(nil)}
	return place, nil
}

// bytesBefore reads the last bytes before a position.
func bytesBefore(fd *os.File, pos uint64) ([]byte, error) {
	p := make([]byte, min(pos, tailMax))
	if len(p) == 0 {
		return nil, nil
	}
	if _, err := fd.ReadAt(p, int64(pos)-int64(len(p))); err != nil {
		return nil, fmt.Errorf("reading a log file before its position: %w", err)
	}
	return p, nil
}

// SameFile reports whether a path leads to the file of an inode.
func SameFile(path string, ino uint64) bool {
	info, err := os.Stat(path)
	return err == nil && inodeOf(info).ino == ino
}
