package logformat

import "bytes"

// paddedLen is the length of the timestamp that Docker puts before every message, with its space.
const paddedLen = len("2006-01-02T15:04:05.000000000Z ")

// tty decodes the stream of a container with a TTY: messages with nothing between them. Where one
// did not end in a newline (a part of a long line, a prompt before a restart), the next one's
// timestamp stands in the middle of a line. It differs from text by its form, nine digits and Z,
// and by its time, which is never before that of the message: an application can only write past
// times.
type tty struct {
	to   Receiver
	buf  []byte // bytes not yet passed on
	open bool   // inside a message
	ts   int64  // of the message
}

func (t *tty) Decode(p []byte) error {
	t.buf = append(t.buf, p...)
	used, err := t.consume(t.buf)
	t.buf = t.buf[:copy(t.buf, t.buf[used:])]
	return err
}

func (t *tty) Close() error {
	if len(t.buf) > 0 && !t.open {
		if err := t.begin(t.buf); err != nil {
			return err
		}
		if _, rest, ok := cutTimestamp(t.buf); ok {
			t.buf = rest
		}
	}
	if !t.open {
		return nil
	}
	t.to.Append(t.buf)
	t.buf, t.open = nil, false
	return t.to.End(false)
}

func (t *tty) Abort() {
	if t.open {
		t.to.Append(t.buf)
	}
}

// consume passes on what is certain and returns how much of p that was.
func (t *tty) consume(p []byte) (used int, err error) {
	for enough := true; enough && used < len(p); {
		var n int
		if t.open {
			n, enough, err = t.body(p[used:])
		} else {
			n, enough, err = t.head(p[used:])
		}
		if err != nil {
			return used, err
		}
		used += n
	}
	return used, nil
}

// head reads the timestamp and begins a message. It reports false if it needs more bytes.
func (t *tty) head(p []byte) (n int, enough bool, err error) {
	if _, line, ok := cutTimestamp(p); ok {
		return len(p) - len(line), true, t.begin(p)
	}
	if len(p) > maxTimestamp || bytes.IndexByte(p, '\n') >= 0 {
		return 0, true, t.begin(p) // there is no timestamp
	}
	return 0, false, nil
}

func (t *tty) begin(p []byte) error {
	ts, _, ok := cutTimestamp(p)
	t.open, t.ts = true, ts
	return t.to.Begin(Stdout, ts, ok)
}

// body passes on a piece of the line. It reports false if it needs more bytes.
func (t *tty) body(p []byte) (n int, enough bool, err error) {
	end := bytes.IndexByte(p, '\n')
	line := p
	if end >= 0 {
		line = p[:end]
	}
	if at := t.inner(line); at >= 0 {
		t.to.Append(line[:at])
		t.open = false
		return at, true, t.to.End(false)
	}
	if end >= 0 {
		t.to.Append(line)
		t.open = false
		return end + 1, true, t.to.End(true)
	}
	n = max(0, len(p)-(paddedLen-1)) // the rest may be the start of a timestamp
	t.to.Append(p[:n])
	return n, false, nil
}

// inner returns where another message begins inside a line, or -1.
func (t *tty) inner(line []byte) int {
	for from := paddedLen - 2; from < len(line)-1; {
		z := bytes.IndexByte(line[from:len(line)-1], 'Z')
		if z < 0 {
			return -1
		}
		z += from
		start := z - (paddedLen - 2)
		if line[z+1] == ' ' && line[start+19] == '.' {
			if ts, ok := parseTimestamp(line[start : z+1]); ok && ts >= t.ts {
				return start
			}
		}
		from = z + 1
	}
	return -1
}
