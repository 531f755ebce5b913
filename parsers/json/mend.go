package json

import (
	"hash/maphash"
	"slices"

	"github.com/longshore/longshore/pipeline/event"
)

// mend makes of a valid value one that every destination takes: Elasticsearch
// rejects a document with two equal keys in one object at any depth, and, where the
// field is new, with integers and fractions in one array.
func (p *Parser) mend(b *event.Batch, v event.Value, odd flaw) event.Value {
	if odd&notUTF8 != 0 {
		v = clean(b, v)
	}
	if odd&tooLarge != 0 {
		v.Kind = event.Text // its JSON, as text
		return v
	}
	if odd&(repeated|mixed) == 0 || odd&mixed == 0 && !p.mender.repeats(b.Bytes(v.Span)) {
		return v
	}
	start := len(b.Arena)
	b.Arena, _ = appendMended(b.Arena, b.Bytes(v.Span), 0)
	v.Span = between(start, len(b.Arena))
	return v
}

// A mender finds out whether keys that may be equal are.
type mender struct {
	seed   maphash.Seed
	seeded bool
	hashes []uint64
	text   []byte
}

// repeats reports whether an object in p, which is valid JSON, has a key twice.
// It takes time in proportion to p, but for sorting, and no memory in the long run.
func (m *mender) repeats(p []byte) bool {
	if !m.seeded {
		m.seed, m.seeded = maphash.MakeSeed(), true
	}
	m.hashes = m.hashes[:0]
	_, twice := m.value(p, 0)
	return twice
}

// value goes over the value at an index and returns the index behind it.
func (m *mender) value(p []byte, at int) (end int, twice bool) {
	c := p[at]
	if c != '{' && c != '[' {
		return skipScalar(p, at), false
	}
	first := len(m.hashes)
	for at = skipSpace(p, at+1); p[at] != closing(c); at = skipComma(p, at) {
		if c == '{' {
			end, kind := String(p, at+1)
			m.hashes = append(m.hashes, m.hash(p[at+1:end], kind))
			at = skipColon(p, end+1)
		}
		var inside bool
		at, inside = m.value(p, at)
		twice = twice || inside
	}
	mine := m.hashes[first:]
	slices.Sort(mine)
	for i := 1; i < len(mine); i++ {
		twice = twice || mine[i] == mine[i-1]
	}
	m.hashes = m.hashes[:first]
	return at + 1, twice
}

func (m *mender) hash(key []byte, kind event.Kind) uint64 {
	if kind != event.Plain {
		m.text = event.AppendUnescaped(m.text[:0], key)
		key = m.text
	}
	return maphash.Bytes(m.seed, key)
}

// appendMended appends the valid value at an index of p, with the last of equal keys and with
// fractions throughout in arrays that have any, and returns the index behind it.
func appendMended(dst, p []byte, at int) (mended []byte, end int) {
	switch p[at] {
	case '{':
		return appendObject(dst, p, at)
	case '[':
		return appendArray(dst, p, at)
	}
	end = skipScalar(p, at)
	return append(dst, p[at:end]...), end
}

func appendObject(dst, p []byte, at int) (mended []byte, end int) {
	type member struct{ start, end int } // in dst, with the comma before
	last := map[string]int{}
	var members []member
	start := len(dst)
	dst = append(dst, '{')
	for at = skipSpace(p, at+1); p[at] != '}'; at = skipComma(p, at) {
		from := len(dst)
		keyEnd, _ := String(p, at+1)
		key := string(event.AppendUnescaped(nil, p[at+1:keyEnd]))
		dst = append(dst, p[at:keyEnd+1]...)
		dst = append(dst, ':')
		dst, at = appendMended(dst, p, skipColon(p, keyEnd+1))
		last[key] = len(members)
		members = append(members, member{from, len(dst)})
		dst = append(dst, ',')
	}
	kept := make([]bool, len(members))
	for _, i := range last {
		kept[i] = true
	}
	to := start + 1
	for i, m := range members {
		if kept[i] {
			to += copy(dst[to:], dst[m.start:m.end+1])
		}
	}
	if to > start+1 {
		to-- // the last comma
	}
	return append(dst[:to], '}'), at + 1
}

func appendArray(dst, p []byte, at int) (mended []byte, end int) {
	var integers []int // where they end in dst
	fractions := false
	dst = append(dst, '[')
	for at = skipSpace(p, at+1); p[at] != ']'; at = skipComma(p, at) {
		start := len(dst)
		dst, at = appendMended(dst, p, at)
		if c := dst[start]; c == '-' || '0' <= c && c <= '9' {
			if isInteger(dst[start:]) {
				integers = append(integers, len(dst))
			} else {
				fractions = true
			}
		}
		dst = append(dst, ',')
	}
	if dst[len(dst)-1] == ',' {
		dst = dst[:len(dst)-1]
	}
	if fractions {
		dst = insertZeros(dst, integers)
	}
	return append(dst, ']'), at + 1
}

// insertZeros makes 1.0 of each 1 that ends at one of the given indexes.
func insertZeros(dst []byte, ends []int) []byte {
	const zero = ".0"
	from := len(dst)
	dst = append(dst, make([]byte, len(zero)*len(ends))...)
	to := len(dst)
	for i := len(ends) - 1; i >= 0; i-- {
		to -= copy(dst[to-(from-ends[i]):], dst[ends[i]:from])
		from = ends[i]
		to -= copy(dst[to-len(zero):], zero)
	}
	return dst
}

// The following go on in valid JSON.

func skipScalar(p []byte, at int) int {
	if p[at] == '"' {
		end, _ := String(p, at+1)
		return end + 1
	}
	for at < len(p) && p[at] > ' ' && p[at] != ',' && p[at] != '}' && p[at] != ']' {
		at++
	}
	return at
}

func skipColon(p []byte, at int) int { return skipSpace(p, skipSpace(p, at)+1) }

func skipComma(p []byte, at int) int {
	at = skipSpace(p, at)
	if p[at] == ',' {
		at = skipSpace(p, at+1)
	}
	return at
}
