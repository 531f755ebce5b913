package main

import (
	"bytes"
	"time"
)

var writtenKey = []byte("written")

// writtenAt finds in a record the time that its line was written at, however the
// line was encoded: the word, up to four bytes like \":", and nanoseconds.
func writtenAt(record []byte) (time.Time, bool) {
	for {
		_, rest, found := bytes.Cut(record, writtenKey)
		if !found {
			return time.Time{}, false
		}
		if ns, ok := nanoseconds(rest); ok {
			return time.Unix(0, ns), true
		}
		record = rest
	}
}

// nanoseconds reads the nineteen digits that a time of these years has.
func nanoseconds(p []byte) (ns int64, ok bool) {
	const digits = 19
	start := bytes.IndexAny(p[:min(5, len(p))], "0123456789")
	if start < 0 || len(p) < start+digits {
		return 0, false
	}
	for _, c := range p[start : start+digits] {
		if c < '0' || c > '9' {
			return 0, false
		}
		ns = ns*10 + int64(c-'0')
	}
	return ns, true
}
