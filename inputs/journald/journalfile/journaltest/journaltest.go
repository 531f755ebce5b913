// Package journaltest writes files of systemd's journal for tests: as journald does, but for the
// hash tables, which are for searching.
package journaltest

import (
	"encoding/binary"
	"os"
	"testing"
)

const (
	headerSize = 272
	headState  = 16
)

// A Writer writes a file.
type Writer struct {
	t       testing.TB
	f       *os.File
	compact bool

	seqnum  uint64
	end     uint64
	entries uint64
	data    map[string]uint64 // offsets of what is there by now
	array   uint64            // the last one
	used    uint64
	room    uint64
}

// New makes a file whose next entry has a number.
func New(t testing.TB, path string, seqnumID [16]byte, next uint64, compact bool) *Writer {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	w := &Writer{t: t, f: f, compact: compact, seqnum: next, end: headerSize, data: map[string]uint64{}}
	head := make([]byte, headerSize)
	copy(head, "LPKSHHRH")
	if compact {
		binary.LittleEndian.PutUint32(head[12:], 1<<4)
	}
	head[headState] = 1
	copy(head[40:], "the machine's id")
	copy(head[72:], seqnumID[:])
	binary.LittleEndian.PutUint64(head[88:], headerSize)
	w.write(0, head)
	return w
}

// Append adds an entry. Fields are NAME=value.
func (w *Writer) Append(realtime uint64, fields ...string) {
	w.t.Helper()
	var items []byte
	for _, field := range fields {
		offset, ok := w.data[field]
		if !ok {
			offset = w.object(1, w.dataBody(field))
			w.data[field] = offset
		}
		if w.compact {
			items = binary.LittleEndian.AppendUint32(items, uint32(offset))
		} else {
			items = binary.LittleEndian.AppendUint64(items, offset)
			items = append(items, make([]byte, 8)...)
		}
	}
	body := make([]byte, 48, 48+len(items))
	binary.LittleEndian.PutUint64(body, w.seqnum)
	binary.LittleEndian.PutUint64(body[8:], realtime)
	binary.LittleEndian.PutUint64(body[16:], realtime)
	copy(body[24:], "the boot's own id")
	w.link(w.object(3, append(body, items...)))
	if w.entries++; w.entries == 1 {
		w.put(168, w.seqnum)
	}
	w.put(192, realtime)
	w.put(160, w.seqnum)
	w.put(152, w.entries)
	w.seqnum++
}

// Next returns the number of the next entry.
func (w *Writer) Next() uint64 { return w.seqnum }

// Archive marks the file as one that is written no more.
func (w *Writer) Archive() {
	w.t.Helper()
	w.write(headState, []byte{2})
}

func (w *Writer) dataBody(field string) []byte {
	if w.compact {
		return append(make([]byte, 56), field...)
	}
	return append(make([]byte, 48), field...)
}

func (w *Writer) link(entry uint64) {
	width := uint64(8)
	if w.compact {
		width = 4
	}
	if w.used == w.room {
		w.room, w.used = max(4, 2*w.room), 0
		before := w.array
		w.array = w.object(6, make([]byte, 8+w.room*width))
		if before == 0 {
			w.put(176, w.array)
		} else {
			w.put(before+16, w.array)
		}
	}
	at := w.array + 24 + w.used*width
	if w.compact {
		w.write(at, binary.LittleEndian.AppendUint32(nil, uint32(entry)))
	} else {
		w.put(at, entry)
	}
	w.used++
}

// object writes an object, and returns its offset.
func (w *Writer) object(kind byte, body []byte) uint64 {
	offset := w.end
	head := make([]byte, 16, 16+len(body)+7)
	head[0] = kind
	binary.LittleEndian.PutUint64(head[8:], uint64(16+len(body)))
	p := append(head, body...)
	for len(p)%8 != 0 {
		p = append(p, 0)
	}
	w.write(offset, p)
	w.end += uint64(len(p))
	return offset
}

func (w *Writer) put(at, value uint64) { w.write(at, binary.LittleEndian.AppendUint64(nil, value)) }

func (w *Writer) write(at uint64, p []byte) {
	w.t.Helper()
	if _, err := w.f.WriteAt(p, int64(at)); err != nil {
		w.t.Fatal(err)
	}
}
