package journalfile

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
)

// Types of objects, and where what follows their headers begins.
const (
	typeData       = 1
	typeEntry      = 3
	typeEntryArray = 6

	objectHeader = 16
	arrayHeader  = objectHeader + 8
	entryHeader  = objectHeader + 48
	minEntry     = entryHeader
	dataHeader   = objectHeader + 48
	compactData  = dataHeader + 8
)

// Bounds of what is believed.
const (
	maxItems  = 4096 // data of an entry
	maxArrays = 4096 // arrays of a file: each is at least as long as the one before
)

// A Reader reads the entries of a file in order. It is one goroutine's.
type Reader struct {
	file   *File
	header Header
	arrays []array
	next   uint64 // index of the entry that Head is of

	arrayWindow, entryWindow, dataWindow window
	unpacker                             unpacker
}

// An array is one of the arrays of entries, which are a list.
type array struct {
	offset uint64
	first  uint64 // index of its first entry
	count  uint64
}

// A Head is what every entry has.
type Head struct {
	Seqnum    uint64
	Realtime  uint64 // µs since 1970
	Monotonic uint64
	BootID    [16]byte

	items span
}

// A span is where an entry's items are.
type span struct{ offset, size uint64 }

// NewReader returns a reader that stands before the first entry.
func (f *File) NewReader() *Reader {
	r := &Reader{file: f}
	for _, w := range []*window{&r.arrayWindow, &r.entryWindow, &r.dataWindow} {
		w.file = f
	}
	return r
}

// Refresh looks at what was written since, and returns the header.
func (r *Reader) Refresh() (Header, error) {
	h, err := r.file.Header()
	if err != nil {
		return h, err
	}
	if h.Entries != r.header.Entries || h.end != r.header.end {
		r.arrayWindow.forget()
		r.entryWindow.forget()
		r.dataWindow.forget()
	}
	r.header = h
	return h, nil
}

// Head returns the head of the next entry; ok is false at the end of what Refresh has seen.
func (r *Reader) Head() (h Head, ok bool, err error) {
	if r.next >= r.header.Entries {
		return h, false, nil
	}
	h, err = r.head(r.next)
	return h, err == nil, err
}

// Skip goes to the entry behind the next one.
func (r *Reader) Skip() { r.next++ }

// SkipAll goes to the end of what Refresh has seen.
func (r *Reader) SkipAll() { r.next = r.header.Entries }

// Tail returns the head of the last entry.
func (r *Reader) Tail() (h Head, ok bool, err error) {
	if r.header.Entries == 0 {
		return h, false, nil
	}
	h, err = r.head(r.header.Entries - 1)
	return h, err == nil, err
}

// Seek goes to the first entry for which is holds, as it must for all behind it.
func (r *Reader) Seek(is func(Head) bool) error {
	var failed error
	n := sort.Search(int(r.header.Entries), func(i int) bool {
		h, err := r.head(uint64(i))
		if err != nil {
			failed = err
			return true
		}
		return is(h)
	})
	r.next = uint64(n)
	return failed
}

func (r *Reader) damaged(offset uint64, what string) error {
	return fmt.Errorf("%s %w at %d: %s", r.file.name, ErrDamaged, offset, what)
}

// object returns the size of an object of a type at an offset.
func (r *Reader) object(w *window, offset uint64, kind byte, least uint64) (size uint64, flags byte, err error) {
	if offset < headerSize || offset%8 != 0 || offset > r.header.end-least || r.header.end < least {
		return 0, 0, r.damaged(offset, "no object can be there")
	}
	head, err := w.at(offset, objectHeader)
	if err != nil {
		return 0, 0, err
	}
	size = binary.LittleEndian.Uint64(head[8:])
	if head[0] != kind || size < least || size > r.header.end-offset {
		what := fmt.Sprintf("an object of type %d and %d bytes, want type %d", head[0], size, kind)
		return 0, 0, r.damaged(offset, what)
	}
	return size, head[1], nil
}

func (r *Reader) head(i uint64) (h Head, err error) {
	offset, err := r.entryOffset(i)
	if err != nil {
		return h, err
	}
	size, _, err := r.object(&r.entryWindow, offset, typeEntry, entryHeader)
	if err != nil {
		return h, err
	}
	p, err := r.entryWindow.at(offset, entryHeader)
	if err != nil {
		return h, err
	}
	h.Seqnum = binary.LittleEndian.Uint64(p[16:])
	h.Realtime = binary.LittleEndian.Uint64(p[24:])
	h.Monotonic = binary.LittleEndian.Uint64(p[32:])
	copy(h.BootID[:], p[40:])
	h.items = span{offset + entryHeader, size - entryHeader}
	return h, nil
}

// entryOffset returns where entry i is.
func (r *Reader) entryOffset(i uint64) (uint64, error) {
	for len(r.arrays) == 0 || i >= r.arrays[len(r.arrays)-1].first+r.arrays[len(r.arrays)-1].count {
		if err := r.nextArray(); err != nil {
			return 0, err
		}
	}
	k := sort.Search(len(r.arrays), func(k int) bool { return r.arrays[k].first > i }) - 1
	a, width := r.arrays[k], r.width()
	item, err := r.arrayWindow.at(a.offset+arrayHeader+(i-a.first)*width, int(width))
	if err != nil {
		return 0, err
	}
	if r.file.compact {
		return uint64(binary.LittleEndian.Uint32(item)), nil
	}
	return binary.LittleEndian.Uint64(item), nil
}

// width is the size of an item of an array.
func (r *Reader) width() uint64 {
	if r.file.compact {
		return 4
	}
	return 8
}

func (r *Reader) nextArray() error {
	offset, first := r.header.entryArray, uint64(0)
	if n := len(r.arrays); n > 0 {
		last := r.arrays[n-1]
		p, err := r.arrayWindow.at(last.offset, arrayHeader)
		if err != nil {
			return err
		}
		offset, first = binary.LittleEndian.Uint64(p[objectHeader:]), last.first+last.count
		if offset <= last.offset || n == maxArrays {
			return r.damaged(last.offset, "the list of entries ends too early, or never")
		}
	}
	size, _, err := r.object(&r.arrayWindow, offset, typeEntryArray, arrayHeader+r.width())
	if err != nil {
		return err
	}
	r.arrays = append(r.arrays, array{offset, first, (size - arrayHeader) / r.width()})
	return nil
}

// Data appends the offsets of an entry's data to dst. What is at an offset never changes.
func (r *Reader) Data(dst []uint64, h Head) ([]uint64, error) {
	width := uint64(16)
	if r.file.compact {
		width = 4
	}
	n := h.items.size / width
	if n > maxItems {
		return dst, r.damaged(h.items.offset, fmt.Sprintf("an entry of %d fields", n))
	}
	p, err := r.entryWindow.at(h.items.offset, int(n*width))
	if err != nil {
		return dst, err
	}
	for ; len(p) > 0; p = p[width:] {
		offset := uint64(0)
		if r.file.compact {
			offset = uint64(binary.LittleEndian.Uint32(p))
		} else {
			offset = binary.LittleEndian.Uint64(p)
		}
		if offset != 0 && !slices.Contains(dst, offset) {
			dst = append(dst, offset)
		}
	}
	return dst, nil
}

// Payload returns the data at an offset, NAME=value, and whether it was cut after most bytes. It is
// valid until the next call. An error that wraps ErrPacked is of this one field.
func (r *Reader) Payload(offset uint64, most int) (p []byte, cut bool, err error) {
	header := uint64(dataHeader)
	if r.file.compact {
		header = compactData
	}
	size, flags, err := r.object(&r.dataWindow, offset, typeData, header)
	if err != nil {
		return nil, false, err
	}
	size -= header
	if flags&packedAny != 0 {
		if size > uint64(most)+packedSlack {
			return nil, false, fmt.Errorf("%w: %d bytes are too many", ErrPacked, size)
		}
		if p, err = r.dataWindow.at(offset+header, int(size)); err != nil {
			return nil, false, err
		}
		return r.unpacker.unpack(p, flags&packedAny, most)
	}
	if size > uint64(most) {
		size, cut = uint64(most), true
	}
	p, err = r.dataWindow.at(offset+header, int(size))
	return p, cut, err
}

// Rewind goes to the first entry.
func (r *Reader) Rewind() { r.next = 0 }

// Of reports whether the reader is of a file.
func (r *Reader) Of(f *File) bool { return r.file == f }

// Release gives back the reader's memory until it reads again.
func (r *Reader) Release() {
	for _, w := range []*window{&r.arrayWindow, &r.entryWindow, &r.dataWindow} {
		w.buf = nil
	}
}
