package docker

import (
	"errors"
	"hash/maphash"
	"time"

	"github.com/longshore/longshore/inputs/docker/logformat"
)

// errDuplicates means that the engine sends messages again that are older than those remembered:
// the log must be read again from its position.
var errDuplicates = errors.New("the engine sends messages again")

const (
	// maxRecent is how many messages are remembered.
	maxRecent = 4096

	// raceMargin, in nanoseconds, is how much earlier the time of a message may be than that of the
	// other stream's message before it.
	raceMargin = int64(50 * time.Millisecond)

	// maxCompared is the longest message that is compared; engines split at 16 KiB.
	maxCompared = 64 << 10
)

// A duplicateFilter drops what engines before 23.0 send twice when a followed log rotates: having
// read the start of the new file, they take it for a truncated one, because it is shorter than the
// old one, and read it from its beginning (moby 20.10, daemon/logger/loggerutils/follow.go,
// handleDecodeErr). Duplicates are a run of messages with the text and time, to the nanosecond, of
// recent ones.
type duplicateFilter struct {
	to        logformat.Receiver
	connected int64 // engine's time, 0 if unknown; earlier messages are read from the files, once
	seed      maphash.Seed

	recent        []fingerprint // a ring, once full
	count         int           // of all messages
	nextDuplicate int           // the message that the next duplicate is of, counted like count, or -1
	latest        int64         // time

	from        logformat.Stream // of the open message
	ts          int64
	timed       bool
	buf         []byte
	passThrough bool  // the open message is too long to compare
	err         error // of passing it on
}

// A fingerprint is what is remembered of a message.
type fingerprint struct {
	ts   int64
	sum  uint64
	from logformat.Stream
}

func newDuplicateFilter(to logformat.Receiver, connected int64) *duplicateFilter {
	return &duplicateFilter{to: to, connected: connected, seed: maphash.MakeSeed(), nextDuplicate: -1}
}

func (f *duplicateFilter) Begin(from logformat.Stream, ts int64, timed bool) error {
	f.from, f.ts, f.timed, f.buf, f.passThrough = from, ts, timed, f.buf[:0], false
	return nil
}

func (f *duplicateFilter) Append(p []byte) {
	if !f.passThrough && len(f.buf)+len(p) > maxCompared {
		f.passThrough, f.err = true, f.to.Begin(f.from, f.ts, f.timed)
		if f.err == nil {
			f.to.Append(f.buf)
		}
	}
	switch {
	case !f.passThrough:
		f.buf = append(f.buf, p...)
	case f.err == nil:
		f.to.Append(p)
	}
}

func (f *duplicateFilter) End(newline bool) error {
	if f.passThrough {
		if f.err != nil {
			return f.err
		}
		return f.to.End(newline)
	}
	duplicate, err := f.isDuplicate(f.from, f.ts, f.buf, newline)
	if duplicate || err != nil {
		return err
	}
	if err := f.to.Begin(f.from, f.ts, f.timed); err != nil {
		return err
	}
	f.to.Append(f.buf)
	return f.to.End(newline)
}

func (f *duplicateFilter) Message(from logformat.Stream, ts int64, p []byte) error {
	duplicate, err := f.isDuplicate(from, ts, p, true)
	if duplicate || err != nil {
		return err
	}
	return f.to.Message(from, ts, p)
}

// isDuplicate reports whether a message was sent before, and remembers it if not.
func (f *duplicateFilter) isDuplicate(from logformat.Stream, ts int64, text []byte, newline bool) (bool, error) {
	m := fingerprint{ts, maphash.Bytes(f.seed, text), from}
	if ts < f.connected {
		return false, nil
	}
	if f.nextDuplicate >= 0 && f.nextDuplicate < f.count && *f.at(f.nextDuplicate) == m {
		f.nextDuplicate++
		return true, nil
	}
	f.nextDuplicate = -1
	if ts < f.latest || ts == f.latest && newline {
		if k := f.find(m); k >= 0 {
			f.nextDuplicate = k + 1
			return true, nil
		}
		if f.connected > 0 && ts < f.latest-raceMargin {
			return false, errDuplicates
		}
	}
	if f.count < maxRecent {
		f.recent = append(f.recent, m)
	} else {
		*f.at(f.count) = m
	}
	f.count++
	f.latest = max(f.latest, ts)
	return false, nil
}

// find returns the first of the recent messages that equal one, or -1.
func (f *duplicateFilter) find(m fingerprint) int {
	found := -1
	for k := f.count - 1; k >= max(0, f.count-maxRecent) && f.at(k).ts >= m.ts-raceMargin; k-- {
		if *f.at(k) == m {
			found = k
		}
	}
	return found
}

func (f *duplicateFilter) at(k int) *fingerprint { return &f.recent[k%maxRecent] }
