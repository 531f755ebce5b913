package logformat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

const (
	frameHeader = 8

	// systemError is the type of the frames in which the engine reports an error.
	systemError = 3

	// maxFrame bounds a frame. The engine's log drivers split messages at 16 KiB, or 256 KiB at
	// most; a larger one means that this is no log stream.
	maxFrame = 64 << 20

	// maxEngineError bounds the text of the engine's own error.
	maxEngineError = 1 << 10
)

// frames decodes the multiplexed stream of a container without a TTY. Every frame is one message: a
// header {type, 0, 0, 0, length as 32 bits big endian} and the payload (Engine API, "Attach to a
// container", stream format).
type frames struct {
	to Receiver

	header [frameHeader]byte
	filled int // bytes of header

	kind  byte
	left  int    // bytes of the payload still to come
	head  []byte // start of the payload, until its timestamp is complete
	begun bool   // the message was begun at the receiver
	text  []byte // payload of a system error
}

func (f *frames) Decode(p []byte) error {
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

func (f *frames) Close() error {
	if f.left > 0 || f.filled > 0 {
		return errors.New("the log stream ended inside a frame")
	}
	return nil
}

func (f *frames) Abort() {} // nothing is held back

// open reads the header.
func (f *frames) open() error {
	f.filled = 0
	h := f.header[:]
	size := binary.BigEndian.Uint32(h[4:])
	if h[0] > systemError || h[1]|h[2]|h[3] != 0 || size > maxFrame {
		return fmt.Errorf("not a multiplexed log stream: it has a frame header % x", h)
	}
	f.kind, f.left, f.begun = h[0], int(size), false
	f.head, f.text = f.head[:0], f.text[:0]
	return nil
}

func (f *frames) stream() Stream {
	if f.kind == 2 {
		return Stderr
	}
	return Stdout
}

// payload takes the next piece of the frame; f.left bytes follow it.
func (f *frames) payload(p []byte) error {
	if f.kind == systemError {
		return f.systemError(p)
	}
	if f.begun {
		return f.body(p)
	}
	if len(f.head) == 0 {
		if ts, line, ok := cutTimestamp(p); ok {
			return f.start(ts, line)
		}
	}
	f.head = append(f.head, p...)
	if len(f.head) <= maxTimestamp && f.left > 0 {
		return nil // the rest of the timestamp may follow
	}
	return f.begin(cutTimestamp(f.head))
}

// start begins the message with what has arrived of its line.
func (f *frames) start(ts int64, line []byte) error {
	if n := len(line); f.left == 0 && n > 0 && line[n-1] == '\n' {
		return f.to.Message(f.stream(), ts, line[:n-1])
	}
	return f.begin(ts, line, true)
}

func (f *frames) begin(ts int64, line []byte, timed bool) error {
	f.begun = true
	if err := f.to.Begin(f.stream(), ts, timed); err != nil {
		return err
	}
	return f.body(line)
}

func (f *frames) body(p []byte) error {
	if f.left > 0 {
		f.to.Append(p)
		return nil
	}
	newline := len(p) > 0 && p[len(p)-1] == '\n'
	if newline {
		p = p[:len(p)-1]
	}
	f.to.Append(p)
	return f.to.End(newline)
}

func (f *frames) systemError(p []byte) error {
	room := maxEngineError - len(f.text)
	f.text = append(f.text, p[:min(len(p), room)]...)
	if f.left > 0 {
		return nil
	}
	return errors.New("the engine says: " + strings.TrimSpace(string(f.text)))
}
