package json

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
)

// A memory holds the keys of the source's last line by their place in it. The
// lines of a source are mostly alike, and comparing a key with the one expected
// is quicker than reading it and looking it up.
type memory struct {
	known []knownKey
}

type knownKey struct {
	raw []byte // with quotes and colon
	key recognize.Key
}

// Bounds of what is remembered of a source.
const (
	maxKnown    = 32
	maxKnownKey = 48
)

// match gives the length of the n-th key, with quotes and colon, if p starts
// with it, and 0 otherwise.
func (m *memory) match(n int, p []byte) int {
	if n < len(m.known) && bytes.HasPrefix(p, m.known[n].raw) {
		return len(m.known[n].raw)
	}
	return 0
}

// note remembers the n-th key.
func (m *memory) note(n int, raw []byte, key recognize.Key) {
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
