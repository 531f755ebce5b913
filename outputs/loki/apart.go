package loki

import "slices"

// Sources may share a stream: files under labels that do not name them, the generations of a
// rotated file, containers without names. Loki keeps one of several entries of an instant that are
// equal in line and structured metadata, so the entries of each source have something of its own,
// which does not depend on what comes when: container_id and stream, or source_id. Where no
// structured metadata is sent, less than a millisecond is added to their times instead, which is
// computed from the same.

// sourceID is the structured metadata that tells sources apart that are no containers.
const sourceID = "source_id"

// identifying are the names of structured metadata that tell sources apart.
var identifying = []string{"container_id", "stream", sourceID}

// maxApart bounds what is added to times.
const maxApart = millisecond

// apart returns the nanoseconds that are added to the time of an entry without structured metadata,
// by the fields that it would have had; 0 if none of them tells its source.
func apart(fields []byte) int64 {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	sum, any := uint64(offset), false
	eachFieldPair(fields, func(name, value []byte) {
		if !slices.Contains(identifying, string(name)) {
			return
		}
		any = true
		for _, part := range [][]byte{name, {0}, value, {0}} {
			for _, c := range part {
				sum = (sum ^ uint64(c)) * prime
			}
		}
	})
	if !any {
		return 0
	}
	return 1 + int64(sum%uint64(maxApart-1))
}

// sameSource reports whether an entry's metadata allows it to be the item. told is false if it does
// not say whose it is.
func sameSource(item []byte, metadata map[string]string) (same, told bool) {
	same, told = true, true
	eachPair(item, func(name, value []byte) {
		if !slices.Contains(identifying, string(name)) {
			return
		}
		theirs, ok := metadata[string(name)]
		switch {
		case !ok:
			told = false
		case theirs != string(value):
			same = false
		}
	})
	return same, told
}

// A claimant is the record that an entry was taken for which does not say whose it is.
type claimant struct {
	source uint64
	pos    uint64
}

// maxClaims bounds the memory of an audit for entries that do not say whose they are, some 50 bytes
// each. Beyond it, what sources share a stream is not told apart.
const maxClaims = 1 << 20
