package docker

// keepJoiner is how large a joiner's buffer may stay between lines.
const keepLine = 64 << 10

// A joiner puts the parts of a long line together again. The engine cuts at 16
// KiB; all parts carry the time of the first, and only the last ends in a newline.
// Each stream has its own.
type lineBuffer struct {
	max     int // bytes of a line that are kept; the rest is skipped
	open    bool
	ts      int64
	buf     []byte
	dropped int // bytes that were skipped
}

func (j *lineBuffer) begin(ts int64) {
	j.open, j.ts, j.dropped = true, ts, 0
	j.buf = j.buf[:0]
}

func (j *lineBuffer) append(p []byte) {
	n := min(len(p), j.max-len(j.buf))
	j.buf = append(j.buf, p[:n]...)
	j.dropped += len(p) - n
}

// take ends the line and gives it. The bytes are valid until begin.
func (j *lineBuffer) finish() (line []byte, lost int) {
	j.open = false
	return j.buf, j.dropped
}

// rest gives memory back between lines.
func (j *lineBuffer) release() {
	if cap(j.buf) > keepLine && !j.open {
		j.buf = nil
	}
}
