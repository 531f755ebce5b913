package file

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/longshore/longshore/inputs/lines"
)

const (
	headMax = 1 << 10 // bytes of the head that are fingerprinted
	tailMax = 64      // bytes before the reading position that are remembered
)

// An inode identifies a file on this machine. It outlives renames, and may be another file's once
// the file is deleted.
type inode struct{ dev, ino uint64 }

// A fingerprint is a hash of a run of bytes, with its length, so that what was shorter when it was
// last seen can still be compared.
type fingerprint struct {
	len uint16
	sum uint64
}

// fingerprintOf hashes at most headMax bytes: the first 8 bytes of SHA-256.
func fingerprintOf(p []byte) fingerprint {
	sum := sha256.Sum256(p)
	return fingerprint{uint16(len(p)), binary.LittleEndian.Uint64(sum[:])}
}

// matches reports whether p begins with what was hashed.
func (f fingerprint) matches(p []byte) bool {
	return f.len == 0 || len(p) >= int(f.len) && fingerprintOf(p[:f.len]) == f
}

// readHead reads the first bytes of a file into buf, fewer if it is shorter.
func readHead(fd *os.File, buf []byte) ([]byte, error) {
	n, err := fd.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the head of a log file: %w", err)
	}
	return buf[:n], nil
}

// A sliceHead is the head of the file that a reader has, read at most once in a read slice.
type sliceHead struct {
	isRead bool
	n      int
	buf    [headMax]byte
}

// of returns the head of an open file of a size.
func (h *sliceHead) of(f *file, size int64) ([]byte, error) {
	if !h.isRead {
		head, err := readHead(f.read.fd, h.buf[:min(size, headMax)])
		if err != nil {
			return nil, err
		}
		h.n, h.isRead = len(head), true
	}
	return h.buf[:h.n], nil
}

// withoutRoom returns a head without the NULs at its end, for they may be written over; but not
// where there is nothing else, nor where they are few and no more can come.
func withoutRoom(head []byte) []byte {
	text := bytes.TrimRight(head, "\x00")
	if len(text) == 0 || len(head) == headMax && len(head)-len(text) < lines.MinNULs {
		return head
	}
	return text
}

// isBlank reports whether a head is that of a hole, or of a file that is not written to yet.
func isBlank(head []byte) bool {
	return len(head) >= lines.MinNULs && len(bytes.TrimLeft(head, "\x00")) == 0
}

// A tail holds the last bytes that were read: if they are no longer before the reading position,
// the file was rewritten.
type tail struct {
	n   int
	buf [tailMax]byte
}

func (t *tail) bytes() []byte { return t.buf[:t.n] }

// endsWith reports whether a fingerprint is that of the end of the tail.
func (t *tail) endsWith(p fingerprint) bool {
	return int(p.len) <= t.n && fingerprintOf(t.buf[t.n-int(p.len):t.n]) == p
}

// set keeps the end of p, and what came before it where p is short.
func (t *tail) set(p []byte) {
	if len(p) >= tailMax {
		t.n = copy(t.buf[:], p[len(p)-tailMax:])
		return
	}
	keep := min(t.n, tailMax-len(p))
	copy(t.buf[:], t.buf[t.n-keep:t.n])
	t.n = keep + copy(t.buf[keep:], p)
}
