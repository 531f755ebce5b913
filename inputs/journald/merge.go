package journald

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/longshore/longshore/inputs/journald/journalfile"
)

const (
	maxCached   = 4096 // fields of a file that are remembered, as most repeat
	cachedBytes = 256  // of each at most
)

// A merger reads the files of a journal as one, by the numbers of the entries. It is one
// goroutine's.
type merger struct {
	in      *input
	cursors []*cursor
	entry   entry
	offsets []uint64
}

// A cursor is where a merger is in a file.
type cursor struct {
	file   *file
	reader *journalfile.Reader
	header journalfile.Header
	cache  map[uint64]field
	sought bool

	head journalfile.Head
	ok   bool // head is of the next entry
}

// follow has the merger read these files, and no others.
func (m *merger) follow(files []*file) {
	var cursors []*cursor
	for _, f := range files {
		if f.open != nil {
			cursors = append(cursors, m.cursorOf(f))
		}
	}
	m.cursors = cursors
}

func (m *merger) cursorOf(f *file) *cursor {
	for _, c := range m.cursors {
		if c.file == f && c.reader.Of(f.open) {
			return c
		}
	}
	return &cursor{file: f, reader: f.open.NewReader(), cache: map[uint64]field{}}
}

// refresh looks at what was written, and returns the number behind the last entry that is there
// with all before it.
func (m *merger) refresh() (end uint64, err error) {
	written := 0
	for _, c := range m.cursors {
		if err := c.refresh(); err != nil {
			return 0, err
		}
		if !c.ended() {
			written++
		}
		tail, ok, err := c.reader.Tail()
		if err != nil && !errors.Is(err, journalfile.ErrDamaged) {
			return 0, err
		}
		if ok {
			end = max(end, tail.Seqnum+1)
		}
		if !c.sought {
			c.reader.Release() // there may be very many files
		}
	}
	slices.SortFunc(m.cursors, func(a, b *cursor) int { return cmp.Compare(a.header.HeadSeqnum, b.header.HeadSeqnum) })
	if written < 2 {
		return end, nil
	}
	for _, c := range m.cursors { // what is before the end may have come after we looked
		if err := c.refresh(); err != nil {
			return 0, err
		}
	}
	return end, nil
}

func (c *cursor) refresh() (err error) {
	c.header, err = c.reader.Refresh()
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	return nil
}

// ended reports whether nothing more is written to a file. One that is merely not online may be
// again.
func (c *cursor) ended() bool {
	return c.header.State == journalfile.Archived || strings.HasSuffix(c.file.path, "~")
}

// next returns the cursor with the first entry from a number on, nil if there is none before end.
func (m *merger) next(from, end uint64) (*cursor, error) {
	var first *cursor
	for _, c := range m.cursors {
		if first != nil && c.header.HeadSeqnum > first.head.Seqnum {
			break // they are in order
		}
		if err := m.seek(c, from); err != nil {
			return nil, err
		}
		if c.ok && c.head.Seqnum < end && (first == nil || c.head.Seqnum < first.head.Seqnum) {
			first = c
		}
	}
	return first, nil
}

// seek sees to it that a cursor's head is of an entry from a number on. Damaged entries are left
// out.
func (m *merger) seek(c *cursor, from uint64) error {
	if !c.sought {
		c.sought = true
		err := c.reader.Seek(func(h journalfile.Head) bool { return h.Seqnum >= from })
		if err != nil && !errors.Is(err, journalfile.ErrDamaged) {
			return err
		}
		if err != nil {
			c.reader.Rewind() // entry for entry, then
		}
	}
	for c.ok && c.head.Seqnum < from {
		c.skip()
	}
	for !c.ok {
		h, ok, err := c.reader.Head()
		switch {
		case errors.Is(err, journalfile.ErrDamaged):
			m.in.damaged(c.file, err)
			c.reader.Skip()
		case err != nil:
			return fmt.Errorf("reading the journal: %w", err)
		case !ok:
			if c.ended() {
				c.reader.Release()
			}
			return nil
		case h.Seqnum < from:
			c.reader.Skip()
		default:
			c.head, c.ok = h, true
		}
	}
	return nil
}

// skip goes behind the entry of the head.
func (c *cursor) skip() {
	c.reader.Skip()
	c.ok = false
}

// read reads the fields of a cursor's entry.
func (m *merger) read(c *cursor) (*entry, error) {
	e := &m.entry
	e.fields = e.fields[:0]
	var err error
	if m.offsets, err = c.reader.Data(m.offsets[:0], c.head); err != nil {
		return e, err
	}
	for _, offset := range m.offsets {
		f, ok := c.cache[offset]
		if !ok {
			p, cut, err := c.reader.Payload(offset, int(m.in.config.MaxMessageSize))
			if errors.Is(err, journalfile.ErrPacked) {
				m.in.unreadable(c.file, err)
				continue
			}
			if err != nil {
				return e, err
			}
			f = newField(p, cut, m.in.config.Fields)
			c.remember(offset, f)
		}
		e.fields = append(e.fields, f)
	}
	return e, nil
}

func (c *cursor) remember(offset uint64, f field) {
	if len(f.value) > cachedBytes || f.name == "MESSAGE" || f.name == "_SOURCE_REALTIME_TIMESTAMP" {
		return
	}
	if len(c.cache) == maxCached {
		clear(c.cache)
	}
	c.cache[offset] = f
}
