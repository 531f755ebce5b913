// Package journalfile reads the files of systemd's journal, as systemd.io/JOURNAL_FILE_FORMAT
// describes them: also while journald writes them, compact ones, those with keyed hashes, and data
// that is compressed by LZ4 or zstd. What is in a file is believed only as far as it makes sense:
// offsets are within the file, sizes are bounded, and chains end.
//
// Files are read by read(2), not mapped: journald truncates files, and a page of a mapping that is
// gone ends the program.
package journalfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrDamaged is wrapped by what is said of a file that makes no sense.
var ErrDamaged = errors.New("is damaged")

// ErrNewer is wrapped by what is said of a file with features that are not known here.
var ErrNewer = errors.New("is of a newer format")

const (
	signature  = "LPKSHHRH"
	headerSize = 208 // what the first version of the format has

	flagCompact = 1 << 4
	flagsKnown  = 1<<5 - 1 // XZ, LZ4, keyed hash, zstd, compact
)

// A File is an open journal file. Any goroutine may use it.
type File struct {
	of        source
	name      string
	SeqnumID  [16]byte // equal in all files between which sequence numbers go on
	MachineID [16]byte
	compact   bool
}

// A source is what a file is read from.
type source interface {
	io.ReaderAt
	io.Closer
	size() (int64, error)
}

type osFile struct{ *os.File }

func (f osFile) size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// States of a file.
const (
	Offline  = 0
	Online   = 1 // it is being written
	Archived = 2
)

// A Header is what changes at the beginning of a file while it is written.
type Header struct {
	State        byte
	Entries      uint64 // that are linked
	HeadSeqnum   uint64
	entryArray   uint64
	end          uint64 // of the objects
	TailRealtime uint64
}

// Open opens a file and reads what stays as it is.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return open(osFile{f}, path)
}

func open(from source, name string) (*File, error) {
	f := &File{of: from, name: name}
	if err := f.identify(); err != nil {
		from.Close()
		return nil, fmt.Errorf("%s %w", name, err)
	}
	return f, nil
}

// Name returns the path that the file was opened by.
func (f *File) Name() string { return f.name }

// Close closes the file.
func (f *File) Close() error { return f.of.Close() }

func (f *File) identify() error {
	head, err := f.head()
	if err != nil {
		return err
	}
	if flags := binary.LittleEndian.Uint32(head[12:]); flags&^flagsKnown != 0 {
		return fmt.Errorf("%w (flags %#x)", ErrNewer, flags)
	} else if flags&flagCompact != 0 {
		f.compact = true
	}
	copy(f.MachineID[:], head[40:])
	copy(f.SeqnumID[:], head[72:])
	return nil
}

func (f *File) head() ([]byte, error) {
	head := make([]byte, headerSize)
	if _, err := f.of.ReadAt(head, 0); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it is too short for a journal", ErrDamaged)
	} else if err != nil {
		return nil, err
	}
	if string(head[:8]) != signature {
		return nil, fmt.Errorf("%w: it does not begin as a journal", ErrDamaged)
	}
	return head, nil
}

// Header reads the header as it is now.
func (f *File) Header() (Header, error) {
	head, err := f.head()
	if err != nil {
		return Header{}, err
	}
	at := func(i int) uint64 { return binary.LittleEndian.Uint64(head[i:]) }
	h := Header{State: head[16], Entries: at(152), HeadSeqnum: at(168), entryArray: at(176), TailRealtime: at(192)}
	size, err := f.of.size()
	if err != nil {
		return Header{}, err
	}
	h.end = uint64(size)
	if h.Entries > h.end/minEntry {
		return Header{}, fmt.Errorf("%s %w: %d entries do not fit into %d bytes", f.name, ErrDamaged, h.Entries, h.end)
	}
	return h, nil
}
