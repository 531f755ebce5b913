package recognize

import "bytes"

// A Memory holds the keys of a source's last line by their place in it, as they
// were written. The lines of a source are mostly alike, and comparing a key
// with the one expected is quicker than reading it and looking it up.
type Memory struct {
	known []knownKey
}

type knownKey struct {
	raw []byte // with quotes and sign, as written
	key Key
}

// Bounds of what is remembered of a source.
const (
	maxKnown    = 32
	maxKnownKey = 48
)

// Match returns the n-th key and its length as written, if p starts with it; the
// length is 0 otherwise.
func (m *Memory) Match(n int, p []byte) (Key, int) {
	if n < len(m.known) {
		if k := &m.known[n]; bytes.HasPrefix(p, k.raw) {
			return k.key, len(k.raw)
		}
	}
	return Key{}, 0
}

// Note remembers the n-th key.
func (m *Memory) Note(n int, raw []byte, key Key) {
	if n >= maxKnown || len(raw) > maxKnownKey || n > len(m.known) {
		return
	}
	if n == len(m.known) {
		m.known = append(m.known, knownKey{})
	}
	k := &m.known[n]
	k.raw = append(k.raw[:0], raw...)
	k.key = key
}
