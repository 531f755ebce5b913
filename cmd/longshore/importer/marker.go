package importer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math/bits"
	"os"
)

// A Marker is the hash that Fluent Bit notes of what stands right before an offset, to know a file
// again that was truncated or replaced meanwhile. Where Size is 0 nothing is noted.
type Marker struct {
	Size int
	Hash uint64
}

// maxMarker is how many bytes Fluent Bit hashes at most.
const maxMarker = 32

// Matches reports whether a text can end with what the marker is of.
func (m Marker) Matches(before []byte) bool {
	if m.Size <= 0 || m.Size > maxMarker {
		return true
	}
	return len(before) >= m.Size && xxh3(before[len(before)-m.Size:]) == m.Hash
}

// xxh3Secret is where the default secret of XXH3 begins.
var xxh3Secret = [56]byte{
	0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
	0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
	0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
	0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e,
}

// xxh3 returns the 64-bit XXH3 of 1 to 32 bytes, as
// https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md describes it.
func xxh3(p []byte) uint64 {
	word := binary.LittleEndian.Uint64
	half := func(p []byte) uint64 { return uint64(binary.LittleEndian.Uint32(p)) }
	secret, n := xxh3Secret[:], uint64(len(p))
	switch {
	case n <= 3:
		h := uint64(p[0])<<16 | uint64(p[n>>1])<<24 | uint64(p[n-1]) | n<<8
		h ^= half(secret) ^ half(secret[4:])
		h = (h ^ h>>33) * 0xc2b2ae3d27d4eb4f
		h = (h ^ h>>29) * 0x165667b19e3779f9
		return h ^ h>>32
	case n <= 8:
		h := half(p)<<32 + half(p[n-4:])
		h ^= word(secret[8:]) ^ word(secret[16:])
		h ^= bits.RotateLeft64(h, 49) ^ bits.RotateLeft64(h, 24)
		h *= 0x9fb21c651e98df25
		h = (h ^ (h>>35 + n)) * 0x9fb21c651e98df25
		return h ^ h>>28
	case n <= 16:
		low := word(p) ^ word(secret[24:]) ^ word(secret[32:])
		high := word(p[n-8:]) ^ word(secret[40:]) ^ word(secret[48:])
		return xxh3End(n + bits.ReverseBytes64(low) + high + folded(low, high))
	}
	h := n * 0x9e3779b185ebca87
	h += folded(word(p)^word(secret), word(p[8:])^word(secret[8:]))
	last := p[n-16:]
	h += folded(word(last)^word(secret[16:]), word(last[8:])^word(secret[24:]))
	return xxh3End(h)
}

func folded(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

func xxh3End(h uint64) uint64 {
	h = (h ^ h>>37) * 0x165667919e3779f9
	return h ^ h>>32
}

// A Head is Filebeat's fingerprint of a file: the SHA-256 of Size bytes from Offset on. Where Sum
// is "" there is none.
type Head struct {
	Offset, Size int64
	Sum          string
}

// defaultHead is how much Filebeat reads for a fingerprint, unless its config says otherwise.
const defaultHead = 1024

// maxHead bounds what is read of a file for its fingerprint.
const maxHead = 64 << 20

// Matches reports whether a path leads to a file that begins like this.
func (h Head) Matches(path string) bool {
	if h.Size <= 0 || h.Size > maxHead || h.Offset < 0 {
		return false
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() < h.Offset+h.Size {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, io.NewSectionReader(f, h.Offset, h.Size))
	return err == nil && n == h.Size && hex.EncodeToString(sum.Sum(nil)) == h.Sum
}
