package docker

import (
	"errors"
	"hash/maphash"
	"time"

	"github.com/longshore/longshore/inputs/docker/logformat"
)

// errRepeated says that the engine began to send again what it had sent, further back
// than is remembered: the log must be read again from where it stands.
var errRepeated = errors.New("the engine repeats itself")

const (
	// rememberedMessages bounds how far back a repetition is recognised.
	rememberedMessages = 4096

	// raceMargin, in nanoseconds, is how much earlier than the other stream's a message may be
	// that the engine wrote down after it.
	raceMargin = int64(50 * time.Millisecond)

	// wholeBytes is the longest message that is looked at; engines cut at 16 KiB.
	wholeBytes = 64 << 10
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

	past  []sent // a ring, once it is full
	count int    // of all messages
	again int    // the next message of a repetition, counted like count; 0: there is none
	top   int64  // the latest time

	from    logformat.Stream // of the message that is open
	ts      int64
	stamped bool
	buf     []byte
	through bool  // the open message is too long, and was passed on
	err     error // of doing so
}

// sent is what is remembered of a message.
type sent struct {
	ts   int64
	sum  uint64
	from logformat.Stream
}

func newRepeatFilter(to logformat.Receiver, connected int64) *repeatFilter {
	return &repeatFilter{to: to, connected: connected, seed: maphash.MakeSeed(), again: -1}
}

func (f *repeatFilter) Begin(from logformat.Stream, ts int64, stamped bool) error {
	f.from, f.ts, f.stamped, f.buf, f.through = from, ts, stamped, f.buf[:0], false
	return nil
}

func (f *repeatFilter) Append(p []byte) {
	if !f.through && len(f.buf)+len(p) > wholeBytes {
		f.through, f.err = true, f.to.Begin(f.from, f.ts, f.stamped)
		if f.err == nil {
			f.to.Append(f.buf)
		}
	}
	switch {
	case !f.through:
		f.buf = append(f.buf, p...)
	case f.err == nil:
		f.to.Append(p)
	}
}

func (f *repeatFilter) End(newline bool) error {
	if f.through {
		if f.err != nil {
			return f.err
		}
		return f.to.End(newline)
	}
	repeated, err := f.repeats(f.from, f.ts, f.buf, newline)
	if repeated || err != nil {
		return err
	}
	if err := f.to.Begin(f.from, f.ts, f.stamped); err != nil {
		return err
	}
	f.to.Append(f.buf)
	return f.to.End(newline)
}

func (f *repeatFilter) Message(from logformat.Stream, ts int64, p []byte) error {
	repeated, err := f.repeats(from, ts, p, true)
	if repeated || err != nil {
		return err
	}
	return f.to.Message(from, ts, p)
}

// repeats tells whether a message was sent before, and remembers it if not.
func (f *repeatFilter) repeats(from logformat.Stream, ts int64, text []byte, newline bool) (bool, error) {
	m := sent{ts, maphash.Bytes(f.seed, text), from}
	if ts < f.connected {
		return false, nil
	}
	if f.again >= 0 && f.again < f.count && *f.at(f.again) == m {
		f.again++
		return true, nil
	}
	f.again = -1
	if ts < f.top || ts == f.top && newline {
		if k := f.find(m); k >= 0 {
			f.again = k + 1
			return true, nil
		}
		if f.connected > 0 && ts < f.top-raceMargin {
			return false, errRepeated
		}
	}
	if f.count < rememberedMessages {
		f.past = append(f.past, m)
	} else {
		*f.at(f.count) = m
	}
	f.count++
	f.top = max(f.top, ts)
	return false, nil
}

// find looks for a message among those that came last; the first of equal ones.
func (f *repeatFilter) find(m sent) int {
	found := -1
	for k := f.count - 1; k >= max(0, f.count-rememberedMessages) && f.at(k).ts >= m.ts-raceMargin; k-- {
		if *f.at(k) == m {
			found = k
		}
	}
	return found
}

func (f *repeatFilter) at(k int) *sent { return &f.past[k%rememberedMessages] }
