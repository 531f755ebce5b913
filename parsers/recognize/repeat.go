package recognize

import (
	"bytes"
	"hash/maphash"

	"github.com/longshore/longshore/pipeline/event"
)

// A mask notices cheaply that two keys of a line may be equal.
type mask struct {
	bits  [16]uint64
	twice bool // some two may be
}

func (m *mask) add(hash uint64) {
	word, bit := hash>>60, uint64(1)<<(hash>>54&63)
	m.twice = m.twice || m.bits[word]&bit != 0
	m.bits[word] |= bit
}

// fewFields is up to how many every two keys are compared.
const fewFields = 24

// repeats takes out of a line's fields those whose key comes again later:
// Elasticsearch rejects a document with two equal keys.
type repeats struct {
	seed  maphash.Seed
	slots []uint32 // of a hash table: one more than the index of the field
}

// drop keeps the last value of each key.
func (r *repeats) drop(b *event.Batch, fields []event.Field) []event.Field {
	if len(fields) <= fewFields {
		return dropFew(b, fields)
	}
	return r.dropMany(b, fields)
}

func dropFew(b *event.Batch, fields []event.Field) []event.Field {
	kept := fields[:0]
	for k, f := range fields {
		if !comesAgain(b, f.Key, fields[k+1:]) {
			kept = append(kept, f)
		}
	}
	return kept
}

func comesAgain(b *event.Batch, key event.Value, later []event.Field) bool {
	p := b.Bytes(key.Span)
	for i := range later {
		if later[i].Key.Len == key.Len && bytes.Equal(b.Bytes(later[i].Key.Span), p) {
			return true
		}
	}
	return false
}

// dropMany does the same with a hash table, in time that a hostile line cannot
// stretch, as the seed is random.
func (r *repeats) dropMany(b *event.Batch, fields []event.Field) []event.Field {
	r.clear(2 * len(fields))
	kept := fields[:0]
	for _, f := range fields {
		slot := r.find(b, kept, f.Key)
		if *slot != 0 {
			kept[*slot-1].Value = f.Value
			continue
		}
		kept = append(kept, f)
		*slot = uint32(len(kept))
	}
	return kept
}

// clear makes an empty table of at least n slots, a power of two.
func (r *repeats) clear(n int) {
	if len(r.slots) >= n {
		clear(r.slots)
		return
	}
	size := 64
	for size < n {
		size *= 2
	}
	r.seed = maphash.MakeSeed()
	r.slots = make([]uint32, size)
}

// find returns the slot of a key, or the empty one where it belongs.
func (r *repeats) find(b *event.Batch, kept []event.Field, key event.Value) *uint32 {
	p := b.Bytes(key.Span)
	last := uint64(len(r.slots) - 1)
	at := maphash.Bytes(r.seed, p) & last
	for r.slots[at] != 0 && !bytes.Equal(b.Bytes(kept[r.slots[at]-1].Key.Span), p) {
		at = (at + 1) & last
	}
	return &r.slots[at]
}
