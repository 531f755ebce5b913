package file

import (
	"encoding/binary"
	"errors"
)

// A cursor is what is stored with a position: enough to find the file again and to be sure that it
// is the same one.
//
// Its bytes are: the version (3), flags, then as uvarints the device, inode, position, size and
// time of modification (not in version 1), then the length (uvarint) and sum (8 bytes, little
// endian) of the head's fingerprint and of the tail's.
type cursor struct {
	id       inode
	pos      uint64 // the position that the cursor is for
	size     uint64 // of the file when it was read
	modified uint64 // when the file was last written to, in Unix milliseconds; 0 if that is not known
	skipping bool   // pos is inside a truncated line
	finished bool   // a compressed file was read to its end when it had this size
	// ended says that the line before pos was sent without its line end, which is no line of its
	// own when it comes after all.
	ended bool
	// compressed says that size and head are those of the file, pos and tail those of its text.
	compressed bool
	head, tail fingerprint
}

const (
	cursorVersion    = 3
	cursorSkipping   = 1 << 0
	cursorFinished   = 1 << 1
	cursorEnded      = 1 << 2 // from version 3 on
	cursorCompressed = 1 << 3 // from version 3 on; before, the name tells
	cursorFlags      = 1<<4 - 1

	maxPosition = 1 << 62
)

var errCursor = errors.New("not a cursor of a file")

// append encodes the cursor.
func (c *cursor) append(dst []byte) []byte {
	flags := flag(c.skipping, cursorSkipping) | flag(c.finished, cursorFinished) |
		flag(c.ended, cursorEnded) | flag(c.compressed, cursorCompressed)
	dst = append(dst, cursorVersion, flags)
	for _, n := range [...]uint64{c.id.dev, c.id.ino, c.pos, c.size, c.modified} {
		dst = binary.AppendUvarint(dst, n)
	}
	dst = appendFingerprint(dst, c.head)
	return appendFingerprint(dst, c.tail)
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

func appendFingerprint(dst []byte, p fingerprint) []byte {
	dst = binary.AppendUvarint(dst, uint64(p.len))
	return binary.LittleEndian.AppendUint64(dst, p.sum)
}

// decodeCursor decodes the cursor of a source with this key. What append could not have written is
// an error.
func decodeCursor(p []byte, key string) (cursor, error) {
	if len(p) < 2 || p[0] < 1 || p[0] > cursorVersion || p[1] > cursorFlags {
		return cursor{}, errCursor
	}
	c := cursor{
		skipping: p[1]&cursorSkipping != 0, finished: p[1]&cursorFinished != 0,
		ended: p[1]&cursorEnded != 0, compressed: p[1]&cursorCompressed != 0,
	}
	if p[0] < 3 {
		c.compressed = isCompressed(key)
	}
	d := decoder{rest: p[2:]}
	c.id = inode{d.uvarint(), d.uvarint()}
	c.pos, c.size = d.uvarint(), d.uvarint()
	if p[0] > 1 {
		c.modified = d.uvarint()
	}
	c.head, c.tail = d.fingerprint(headMax), d.fingerprint(tailMax)
	if d.bad || len(d.rest) != 0 || c.pos > maxPosition || c.size > maxPosition || c.modified > maxPosition {
		return cursor{}, errCursor
	}
	return c, nil
}

type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.bad, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) fingerprint(limit uint64) fingerprint {
	n := d.uvarint()
	if n > limit || len(d.rest) < 8 {
		d.bad, d.rest = true, nil
		return fingerprint{}
	}
	p := fingerprint{uint16(n), binary.LittleEndian.Uint64(d.rest)}
	d.rest = d.rest[8:]
	return p
}
