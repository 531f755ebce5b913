package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// A segment is a header and then frames, each appended whole; integers are
// little endian, checksums CRC-32C:
//
//	header  "longshore spool 2\n" | number uint64 | nonce uint64 | checksum of these uint32
//	frame   length uint32 | checksum of the payload uint32 |
//	        checksum of these 8 bytes uint32 | payload
//
// The checksums of frames begin with the header's, so that a frame of another segment, left on a
// reused disk block, is not taken for one of this. A frame's head has its own checksum, by which a
// damaged payload is skipped and the next frame after damage is found.
//
// Version 1 is the same: bodies in it were not packed, and who knows no other must not take those
// that are for damage.
//
// A second file of the same number notes what is done, for each record:
//
//	note    offset of its frame uint32 | checksum of that uint32
const (
	magicStart = "longshore spool "
	magic      = magicStart + "2\n"
	magic1     = magicStart + "1\n"
	headerSize = len(magic) + 20
	frameHead  = 12
	noteSize   = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errFrame   = errors.New("damaged frame")
	errHeader  = errors.New("its header is damaged")
	errVersion = errors.New("it was written by a newer version of longshore; run that version until the spool " +
		"is empty, or move the file away")
)

func appendHeader(dst []byte, number, nonce uint64) []byte {
	start := len(dst)
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint64(dst, number)
	dst = binary.LittleEndian.AppendUint64(dst, nonce)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// seedOf returns the checksum that those of a segment's frames begin with.
func seedOf(header []byte) uint32 { return crc32.Checksum(header[:headerSize-4], castagnoli) }

// readHeader checks the header of segment number and returns the checksum that those of its frames
// begin with.
func readHeader(p []byte, number uint64) (seed uint32, err error) {
	if len(p) < headerSize {
		return 0, errHeader
	}
	if newerVersion(p) {
		return 0, errVersion
	}
	seed = seedOf(p)
	version := string(p[:len(magic)])
	if seed != binary.LittleEndian.Uint32(p[headerSize-4:]) || version != magic && version != magic1 {
		return 0, errHeader
	}
	if got := binary.LittleEndian.Uint64(p[len(magic):]); got != number {
		return 0, fmt.Errorf("it is segment %d under another name", got)
	}
	return seed, nil
}

func newerVersion(p []byte) bool {
	after, ok := strings.CutPrefix(string(p[:len(magic)+1]), magicStart)
	return ok && after[0] >= '1' && after[0] <= '9' && after[:2] != "1\n" && after[:2] != "2\n"
}

// appendHead appends the head of a frame. The payload has at most maxRecord bytes.
func appendHead(dst []byte, seed uint32, payload []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Update(seed, castagnoli, payload))
	return binary.LittleEndian.AppendUint32(dst, crc32.Update(seed, castagnoli, dst[start:]))
}

// readHead decodes the head of a frame.
func readHead(p []byte, seed uint32) (length int64, sum uint32, ok bool) {
	length = int64(binary.LittleEndian.Uint32(p))
	sum = binary.LittleEndian.Uint32(p[4:])
	ok = crc32.Update(seed, castagnoli, p[:8]) == binary.LittleEndian.Uint32(p[8:])
	return length, sum, ok && length > 0
}

// readFrame reads the frame at an offset of a file that ends at end into buf, which it may replace
// by a larger one, and returns the offset after it. With an error, next is 0 unless it is known
// from an intact head.
func readFrame(f io.ReaderAt, seed uint32, at, end int64, buf []byte) (payload []byte, next int64, err error) {
	if end-at < frameHead {
		return buf[:0], 0, errFrame
	}
	var head [frameHead]byte
	if err := readFull(f, head[:], at); err != nil {
		return buf[:0], 0, err
	}
	length, sum, ok := readHead(head[:], seed)
	if !ok || length > end-at-frameHead {
		return buf[:0], 0, errFrame
	}
	payload = resize(buf, int(length))
	next = at + frameHead + length
	if err := readFull(f, payload, at+frameHead); err != nil {
		return payload[:0], next, err
	}
	if crc32.Update(seed, castagnoli, payload) != sum {
		return payload[:0], next, errFrame
	}
	return payload, next, nil
}

func resize(buf []byte, n int) []byte {
	if cap(buf) < n {
		return make([]byte, n)
	}
	return buf[:n]
}

// readFull reads all of p; a file that ends before is damaged.
func readFull(f io.ReaderAt, p []byte, at int64) error {
	n, err := f.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if err == io.EOF {
		return errFrame
	}
	return err
}

// findFrame returns the offset, at or after a given one, of the first intact head whose frame ends
// within the file, or end if there is none.
func findFrame(f io.ReaderAt, seed uint32, at, end int64) int64 {
	var window [64 << 10]byte
	for end-at >= frameHead {
		p := window[:min(int64(len(window)), end-at)]
		if readFull(f, p, at) != nil {
			return end
		}
		for i := 0; i+frameHead <= len(p); i++ {
			length, _, ok := readHead(p[i:], seed)
			if ok && length <= end-at-int64(i)-frameHead {
				return at + int64(i)
			}
		}
		at += int64(len(p) - frameHead + 1)
	}
	return end
}

func appendNote(dst []byte, seed uint32, offset int64) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(offset))
	return binary.LittleEndian.AppendUint32(dst, crc32.Update(seed, castagnoli, dst[start:]))
}

// readNotes returns the offsets that are noted; damaged notes are left out.
func readNotes(p []byte, seed uint32) map[int64]struct{} {
	notes := map[int64]struct{}{}
	for ; len(p) >= noteSize; p = p[noteSize:] {
		if crc32.Update(seed, castagnoli, p[:4]) == binary.LittleEndian.Uint32(p[4:]) {
			notes[int64(binary.LittleEndian.Uint32(p))] = struct{}{}
		}
	}
	return notes
}
