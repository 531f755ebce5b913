package journalfile

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// ErrPacked is wrapped by what is said of data that cannot be unpacked.
var ErrPacked = errors.New("compressed data cannot be read")

// How data is packed.
const (
	packedXZ   = 1
	packedLZ4  = 2
	packedZstd = 4
	packedAny  = packedXZ | packedLZ4 | packedZstd

	packedSlack = 64 << 10 // by which what is packed may be longer than what it is
)

// An unpacker keeps what unpacking needs.
type unpacker struct {
	buf  []byte
	zstd *zstd.Decoder
}

// unpack returns what is packed, or its first bytes.
func (u *unpacker) unpack(p []byte, how byte, most int) (plain []byte, cut bool, err error) {
	switch how {
	case packedZstd:
		return u.unzstd(p, most)
	case packedLZ4:
		if len(p) < 8 {
			return nil, false, fmt.Errorf("%w: LZ4 of %d bytes", ErrPacked, len(p))
		}
		size := binary.LittleEndian.Uint64(p)
		u.buf, err = unLZ4(u.buf[:0], p[8:], int(min(size, uint64(most))))
		return u.buf, size > uint64(most), err
	case packedXZ:
		return nil, false, fmt.Errorf("%w: it is packed by XZ, which only systemd before 2020 did", ErrPacked)
	}
	return nil, false, fmt.Errorf("%w: it is packed in several ways", ErrPacked)
}

func (u *unpacker) unzstd(p []byte, most int) (plain []byte, cut bool, err error) {
	if u.zstd == nil {
		u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked),
			zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, false, err
		}
	}
	if u.buf, err = u.zstd.DecodeAll(p, u.buf[:0]); err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrPacked, err)
	}
	if len(u.buf) > most {
		return u.buf[:most], true, nil
	}
	return u.buf, false, nil
}

// maxUnpacked bounds one field.
const maxUnpacked = 64 << 20

var errLZ4 = fmt.Errorf("%w: LZ4 that makes no sense", ErrPacked)

// unLZ4 appends what a block of LZ4 holds to dst, up to a number of bytes, to reach which is no
// error.
func unLZ4(dst, p []byte, most int) ([]byte, error) {
	for len(p) > 0 && len(dst) < most {
		token := p[0]
		literals, rest, ok := lz4Length(p[1:], int(token>>4))
		if !ok || literals > len(rest) {
			return dst, errLZ4
		}
		dst = append(dst, rest[:min(literals, most-len(dst))]...)
		p = rest[literals:]
		if len(p) == 0 || len(dst) >= most {
			break // a block ends with literals
		}
		if len(p) < 2 {
			return dst, errLZ4
		}
		back := int(binary.LittleEndian.Uint16(p))
		length, rest, ok := lz4Length(p[2:], int(token&15))
		if !ok || back == 0 || back > len(dst) {
			return dst, errLZ4
		}
		p = rest
		for n := min(length+4, most-len(dst)); n > 0; {
			from := dst[len(dst)-back:]
			part := from[:min(n, len(from))] // what is copied may overlap what it makes
			dst = append(dst, part...)
			n -= len(part)
		}
	}
	if len(dst) < most {
		return dst, errLZ4
	}
	return dst, nil
}

// lz4Length reads the bytes that go on with a length.
func lz4Length(p []byte, n int) (length int, rest []byte, ok bool) {
	if n < 15 {
		return n, p, true
	}
	for i, c := range p {
		n += int(c)
		if c != 255 {
			return n, p[i+1:], true
		}
	}
	return 0, nil, false
}
