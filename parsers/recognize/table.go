package recognize

import (
	"encoding/binary"
	"math/bits"
)

// A table maps names to small values. It is built once and then only read; a
// look-up that finds nothing, the usual case, mostly ends at an empty slot.
type table[V any] struct {
	slots []slot[V]
	mask  uint64
}

type slot[V any] struct {
	hash  uint64
	name  string
	value V
}

// newTable makes a table with room for n names, three slots empty for each one taken.
func newTable[V any](n int) *table[V] {
	size := 8
	for size < 4*n {
		size *= 2
	}
	return &table[V]{slots: make([]slot[V], size), mask: uint64(size - 1)}
}

// put adds a name, which must not be empty. The first value given for a name stays.
func (t *table[V]) put(name string, value V) {
	h := hash([]byte(name))
	at := h & t.mask
	for t.slots[at].name != "" {
		if t.slots[at].name == name {
			return
		}
		at = (at + 1) & t.mask
	}
	t.slots[at] = slot[V]{h, name, value}
}

// get returns the value of a name with the given hash, nil if it has none.
func (t *table[V]) get(h uint64, name []byte) *V {
	for at := h & t.mask; t.slots[at].name != ""; at = (at + 1) & t.mask {
		if s := &t.slots[at]; s.hash == h && s.name == string(name) {
			return &s.value
		}
	}
	return nil
}

// hash mixes the length and up to 16 bytes of a name. It need not withstand an attacker: the tables
// hold only names of our own, and repeats of a line's keys are found with another.
func hash(p []byte) uint64 {
	n := len(p)
	h := uint64(n)
	switch {
	case n >= 8:
		h ^= binary.LittleEndian.Uint64(p) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(p[n-8:]), 27)
	case n >= 4:
		h ^= uint64(binary.LittleEndian.Uint32(p))<<32 | uint64(binary.LittleEndian.Uint32(p[n-4:]))
	case n > 0:
		h ^= uint64(p[0])<<8 | uint64(p[n>>1])<<16 | uint64(p[n-1])<<24
	}
	h *= 0x9E3779B97F4A7C15
	return h ^ h>>32
}
