package syslog

import (
	"bytes"

	"github.com/longshore/longshore/pipeline/event"
)

// A framer finds the messages in a stream. Each frame says for itself which kind it is (RFC 6587):
// one that begins with its length, a blank and '<' has that length; any other ends with its line.
type framer struct {
	max int // longest message that is kept

	truncatedBytes uint64
	skipOctets     int  // of a counted frame that is too long, still to come
	skipLine       bool // the rest of a line that is too long is still to come
}

// maxDigits bounds the length of a counted frame: no more than a GB.
const maxDigits = 9

// split adds a record to b for every whole frame in p, and returns how many bytes of p are used.
// What is left is shorter than max and a few bytes more.
func (f *framer) split(b *event.Batch, p []byte, now int64) int {
	at := 0
	for {
		n := f.frame(b, p[at:], now)
		if n == 0 {
			return at
		}
		at += n
	}
}

// frame takes one frame from the beginning of p, or a part of one that is skipped, and returns its
// length; 0 if it is not all there.
func (f *framer) frame(b *event.Batch, p []byte, now int64) int {
	if f.skipOctets > 0 {
		n := min(f.skipOctets, len(p))
		f.skipOctets -= n
		f.truncatedBytes += uint64(n)
		return n
	}
	if f.skipLine {
		return f.skip(p)
	}
	if len(p) == 0 {
		return 0
	}
	if isBetweenFrames(p[0]) {
		return 1
	}
	head, size, more := counted(p)
	switch {
	case more:
		return 0
	case head > 0:
		return f.counted(b, p, head, size, now)
	}
	return f.line(b, p, now)
}

// isBetweenFrames reports whether a byte is a line end, as some senders write one behind frames
// that have their length too.
func isBetweenFrames(c byte) bool { return c == '\n' || c == '\r' || c == 0 }

// counted reads the head of a frame that begins with its length. The head is 0 bytes long in one
// that does not; with more, it takes more bytes to tell.
func counted(p []byte) (head, size int, more bool) {
	if p[0] < '1' || p[0] > '9' {
		return 0, 0, false
	}
	for i, c := range p {
		switch {
		case c >= '0' && c <= '9' && i < maxDigits:
			size = size*10 + int(c-'0')
		case c != ' ':
			return 0, 0, false
		case i+1 == len(p):
			return 0, 0, true
		case p[i+1] == '<':
			return i + 1, size, false
		default:
			return 0, 0, false
		}
	}
	return 0, 0, true
}

func (f *framer) counted(b *event.Batch, p []byte, head, size int, now int64) int {
	keep := min(size, f.max)
	if len(p) < head+keep {
		return 0
	}
	message := p[head : head+keep]
	if size <= f.max {
		f.add(b, message, now)
		return head + size
	}
	f.addTruncated(b, message, now)
	f.skipOctets = size - keep
	return head + keep
}

func (f *framer) line(b *event.Batch, p []byte, now int64) int {
	end := bytes.IndexByte(p[:min(len(p), f.max+2)], '\n')
	switch {
	case end >= 0 && len(trimEnd(p[:end])) <= f.max:
		f.add(b, p[:end], now)
		return end + 1
	case end < 0 && len(p) < f.max+2:
		return 0
	}
	f.addTruncated(b, p[:f.max], now)
	f.skipLine = true
	return f.max
}

func (f *framer) skip(p []byte) int {
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		f.truncatedBytes += uint64(len(p))
		return len(p)
	}
	f.truncatedBytes += uint64(end)
	f.skipLine = false
	return end + 1
}

// last adds what is left of a stream that has ended. A frame that should have been longer is marked
// as truncated.
func (f *framer) last(b *event.Batch, p []byte, now int64) {
	if len(p) == 0 || f.skipLine || f.skipOctets > 0 {
		return
	}
	if head, _, _ := counted(p); head > 0 {
		f.addTruncated(b, p[head:], now)
		return
	}
	f.add(b, p[:min(len(p), f.max)], now)
}

func (f *framer) add(b *event.Batch, message []byte, now int64) { addMessage(b, message, now) }

func (f *framer) addTruncated(b *event.Batch, message []byte, now int64) {
	if r := addMessage(b, message, now); r != nil {
		r.Flags |= event.Truncated
	}
}

// addMessage adds a record, unless nothing is in the message.
func addMessage(b *event.Batch, message []byte, now int64) *event.Record {
	if message = trimEnd(message); len(message) == 0 {
		return nil
	}
	return b.Add(0, now, b.Put(message))
}

// trimEnd leaves out the line ends and NULs that many senders end a message with, frame or not.
func trimEnd(p []byte) []byte {
	for len(p) > 0 && isBetweenFrames(p[len(p)-1]) {
		p = p[:len(p)-1]
	}
	return p
}
