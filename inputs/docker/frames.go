package docker

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// stream is one of a container's two outputs.
type stream uint8

const (
	stdout stream = iota
	stderr
)

func (s stream) String() string { return [...]string{"stdout", "stderr"}[s] }

// A receiver takes the messages of a log as they are cut out of a connection's
// bytes. A message is what the engine writes at once: the time it was
// logged at, and a line, or a part of a line that was longer than 16 KiB.
// Slices are valid during the call.
type receiver interface {
	// begin starts a message. Without stamped its time is not known.
	begin(s stream, ts int64, stamped bool) error
	// more adds to the message.
	more(p []byte)
	// end ends the message; with newline, it also ended its line.
	end(newline bool) error
	// whole is begin, more and end in one, for a message that lies in one piece.
	whole(s stream, ts int64, p []byte) error
}

// A decoder cuts a connection's bytes into messages, however they are split.
type decoder interface {
	// feed takes the next bytes. After an error the connection is of no use.
	feed(p []byte) error
	// close says that the log ended here, properly.
	close() error
	// abort says that the connection broke: no more comes of the message that is open.
	abort()
}

// maxFrame bounds a frame. The engine's log drivers split messages at 16 KiB, or
// 256 KiB at most; a larger one means that this is no log stream.
const maxFrame = 64 << 20

// maxDaemonError bounds what is kept of the engine's own words.
const maxDaemonError = 1 << 10

// frameHeader is how long the header of a frame is.
const frameHeader = 8

// systemError is the type of the frames in which the engine reports an error.
const systemError = 3

// A daemonError is what the engine wrote into a log stream instead of the log.
type daemonError string

func (e daemonError) Error() string { return "the engine says: " + string(e) }

// frames decodes the multiplexed stream of a container without a TTY. Every
// frame is one message: a header {type, 0, 0, 0, length as 32 bits big endian} and
// the payload (Engine API, "Attach to a container", stream format).
type frames struct {
	to receiver

	header [frameHeader]byte
	filled int // bytes of header

	kind  byte
	left  int    // bytes of the payload still to come
	stamp []byte // start of the payload, until its timestamp is whole
	begun bool   // the timestamp was read and given to the receiver
	text  []byte // payload of a system error
}

func (f *frames) feed(p []byte) error {
	for len(p) > 0 {
		if f.left == 0 {
			n := copy(f.header[f.filled:], p)
			f.filled += n
			p = p[n:]
			if f.filled < len(f.header) {
				return nil
			}
			if err := f.open(); err != nil {
				return err
			}
			continue
		}
		n := min(len(p), f.left)
		f.left -= n
		if err := f.payload(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (f *frames) close() error {
	if f.left > 0 || f.filled > 0 {
		return fmt.Errorf("the log stream ended inside a frame")
	}
	return nil
}

func (f *frames) abort() {} // all that came of a line was passed on

// open reads the header.
func (f *frames) open() error {
	f.filled = 0
	h := f.header[:]
	size := binary.BigEndian.Uint32(h[4:])
	if h[0] > systemError || h[1]|h[2]|h[3] != 0 || size > maxFrame {
		return fmt.Errorf("not a multiplexed log stream: it has a frame header % x", h)
	}
	f.kind, f.left, f.begun = h[0], int(size), false
	f.stamp, f.text = f.stamp[:0], f.text[:0]
	return nil
}

func (f *frames) stream() stream {
	if f.kind == 2 {
		return stderr
	}
	return stdout
}

// payload takes the next piece of the frame; left is what comes after it.
func (f *frames) payload(p []byte) error {
	if f.kind == systemError {
		return f.systemError(p)
	}
	if f.begun {
		return f.body(p)
	}
	if len(f.stamp) == 0 {
		if ts, line, ok := splitStamp(p); ok {
			return f.start(ts, line)
		}
	}
	f.stamp = append(f.stamp, p...)
	if len(f.stamp) <= maxStamp && f.left > 0 {
		return nil // perhaps the rest of the timestamp comes next
	}
	ts, line, ok := splitStamp(f.stamp)
	f.begun = true
	if err := f.to.begin(f.stream(), ts, ok); err != nil {
		return err
	}
	return f.body(line)
}

// start begins the message with what is there of its line.
func (f *frames) start(ts int64, line []byte) error {
	if n := len(line); f.left == 0 && n > 0 && line[n-1] == '\n' {
		return f.to.whole(f.stream(), ts, line[:n-1])
	}
	f.begun = true
	if err := f.to.begin(f.stream(), ts, true); err != nil {
		return err
	}
	return f.body(line)
}

func (f *frames) body(p []byte) error {
	if f.left > 0 {
		f.to.more(p)
		return nil
	}
	newline := len(p) > 0 && p[len(p)-1] == '\n'
	if newline {
		p = p[:len(p)-1]
	}
	f.to.more(p)
	return f.to.end(newline)
}

func (f *frames) systemError(p []byte) error {
	room := maxDaemonError - len(f.text)
	f.text = append(f.text, p[:min(len(p), room)]...)
	if f.left > 0 {
		return nil
	}
	return daemonError(strings.TrimSpace(string(f.text)))
}
