package docker

import (
	"errors"
	"hash/maphash"
	"time"

	"github.com/longshore/longshore/inputs/docker/logformat"
)

// errRepeated says that the engine began to send again what it had sent, further back
// than is remembered: the log must be read again from where it stands.
var errDuplicates = errors.New("the engine repeats itself")

const (
	// rememberedMessages bounds how far back a repetition is recognised.
	rememberedMessages = 4096

	// raceMargin, in nanoseconds, is how much earlier than the other stream's a message may be
	// that the engine wrote down after it.
	raceMargin = int64(50 * time.Millisecond)

	// wholeBytes is the longest message that is looked at; engines cut at 16 KiB.
	maxCompared = 64 << 10
)

// A repeatFilter drops what engines before 23.0 send twice to who follows a log that
// rotates: having read what the new file has, they take it for one that was truncated, because it
// is shorter than the old one, and read it from its beginning (moby 20.10,
// daemon/logger/loggerutils/follow.go, handleDecodeErr). A repetition is a run of messages with the times, to
// the nanosecond, and the text of those that came last.
type repeatFilter struct {
	to        logformat.Receiver
	connected int64 // engine's time; what is earlier comes from the files, once; 0 if it is not known
	seed      maphash.Seed

	recent        []fingerprint // a ring, once it is full
	count         int           // of all messages
	nextDuplicate int           // the next message of a repetition, counted like count; 0: there is none
	latest        int64         // the latest time

	from        logformat.Stream // of the message that is open
	ts          int64
	timed       bool
	buf         []byte
	passThrough bool  // the open message is too long, and was passed on
	err         error // of doing so
}

// sent is what is remembered of a message.
type fingerprint struct {
	ts   int64
	sum  uint64
	from logformat.Stream
}

func newRepeatFilter(to logformat.Receiver, connected int64) *repeatFilter {
	return &repeatFilter{to: to, connected: connected, seed: maphash.MakeSeed(), nextDuplicate: -1}
}

func (f *repeatFilter) Begin(from logformat.Stream, ts int64, timed bool) error {
	f.from, f.ts, f.timed, f.buf, f.passThrough = from, ts, timed, f.buf[:0], false
	return nil
}

func (f *repeatFilter) Append(p []byte) {
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

func (f *repeatFilter) End(newline bool) error {
	if f.passThrough {
		if f.err != nil {
			return f.err
		}
		return f.to.End(newline)
	}
	repeated, err := f.isDuplicate(f.from, f.ts, f.buf, newline)
	if repeated || err != nil {
		return err
	}
	if err := f.to.Begin(f.from, f.ts, f.timed); err != nil {
		return err
	}
	f.to.Append(f.buf)
	return f.to.End(newline)
}

func (f *repeatFilter) Message(from logformat.Stream, ts int64, p []byte) error {
	repeated, err := f.isDuplicate(from, ts, p, true)
	if repeated || err != nil {
		return err
	}
	return f.to.Message(from, ts, p)
}

// repeats tells whether a message was sent before, and remembers it if not.
func (f *repeatFilter) isDuplicate(from logformat.Stream, ts int64, text []byte, newline bool) (bool, error) {
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
	if f.count < rememberedMessages {
		f.recent = append(f.recent, m)
	} else {
		*f.at(f.count) = m
	}
	f.count++
	f.latest = max(f.latest, ts)
	return false, nil
}

// find looks for a message among those that came last; the first of equal ones.
func (f *repeatFilter) find(m fingerprint) int {
	found := -1
	for k := f.count - 1; k >= max(0, f.count-rememberedMessages) && f.at(k).ts >= m.ts-raceMargin; k-- {
		if *f.at(k) == m {
			found = k
		}
	}
	return found
}

func (f *repeatFilter) at(k int) *fingerprint { return &f.recent[k%rememberedMessages] }
