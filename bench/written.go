package main

import (
	"bytes"
	"time"
)

var writtenKey = []byte("written")

// writtenAt finds in a record the time that its line was written at, however the
// line was encoded: the word, up to four bytes like \":", and nanoseconds.
func writtenAt(record []byte) (time.Time, bool) {
	_, rest, found := bytes.Cut(record, writtenKey)
	start := bytes.IndexAny(rest[:min(5, len(rest))], "0123456789")
	if !found || start < 0 {
		return time.Time{}, false
	}
	var ns int64
	for _, c := range rest[start:] {
		if c < '0' || c > '9' {
			break
		}
		ns = ns*10 + int64(c-'0')
	}
	return time.Unix(0, ns), true
}
