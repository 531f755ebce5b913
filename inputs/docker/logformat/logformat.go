// Package logformat decodes the log formats of the Docker Engine and Podman: the API's multiplexed
// stream, the raw stream of a container with a TTY, and the files of the json-file driver.
package logformat

import "bytes"

// A Stream is one of a container's two outputs.
type Stream uint8

const (
	Stdout Stream = iota
	Stderr
)

func (s Stream) String() string { return [...]string{"stdout", "stderr"}[s] }

// A Receiver takes the messages of a log. A message is what the engine writes at once: a time, and
// a line or a part of a line longer than 16 KiB. Slices are valid during the call.
type Receiver interface {
	// Begin starts a message. Unless timed, its time is unknown.
	Begin(s Stream, ts int64, timed bool) error
	// Append adds to the message.
	Append(p []byte)
	// End ends the message, and with newline also its line.
	End(newline bool) error
	// Message is Begin, Append and End(true) for a message that lies in one piece.
	Message(s Stream, ts int64, p []byte) error
}

// A Decoder splits a log into messages, whatever the pieces it arrives in.
type Decoder interface {
	// Decode takes the next bytes. After an error the connection is of no use.
	Decode(p []byte) error
	// Close ends a log that ended properly.
	Close() error
	// Abort ends a log whose connection broke: the open message stays incomplete.
	Abort()
}

// NewDecoder returns the decoder of a stream from the engine's API. The first byte decides, as some
// versions of Podman frame a TTY's output: a TTY's raw stream begins with a digit of a time.
func NewDecoder(to Receiver, first byte, isTTY bool) Decoder {
	if isTTY && first > systemError {
		return &tty{to: to}
	}
	return &frames{to: to}
}

// HeadLen bounds what precedes the text of a stream's first message.
const HeadLen = frameHeader + maxTimestamp + 1

// FirstTime returns the time of the message that a stream begins with, 0 if it has none. The first
// HeadLen bytes suffice.
func FirstTime(head []byte) int64 {
	if len(head) > frameHeader && head[0] <= systemError {
		head = head[frameHeader:]
	}
	ts, _, _ := cutTimestamp(head)
	return ts
}

// TimeRange returns the first and the latest time of the json-file entries that are whole in p. It
// reports false if there are none.
func TimeRange(p []byte) (first, latest int64, ok bool) {
	var e Entries
	for {
		n := bytes.IndexByte(p, '\n')
		if n < 0 {
			return first, latest, ok
		}
		if m, valid := e.decode(p[:n]); valid {
			if !ok {
				first, latest, ok = m.ts, m.ts, true
			}
			latest = max(latest, m.ts)
		}
		p = p[n+1:]
	}
}
