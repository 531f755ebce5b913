package docker

// keepLine bounds a lineBuffer's memory between lines.
const keepLine = 64 << 10

// A lineBuffer joins the parts of a long line. The engine splits at 16 KiB; all parts carry the
// time of the first, and only the last ends in a newline.
type lineBuffer struct {
	max     int // bytes of a line that are kept
	open    bool
	ts      int64
	buf     []byte
	dropped int // bytes beyond max
}

func (l *lineBuffer) begin(ts int64) {
	l.open, l.ts, l.dropped = true, ts, 0
	l.buf = l.buf[:0]
}

func (l *lineBuffer) append(p []byte) {
	n := min(len(p), l.max-len(l.buf))
	l.buf = append(l.buf, p[:n]...)
	l.dropped += len(p) - n
}

// finish ends the line and returns it. The bytes are valid until begin.
func (l *lineBuffer) finish() (line []byte, dropped int) {
	l.open = false
	return l.buf, l.dropped
}

// release frees memory between lines.
func (l *lineBuffer) release() {
	if cap(l.buf) > keepLine && !l.open {
		l.buf = nil
	}
}
