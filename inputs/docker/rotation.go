package docker

import (
	"errors"
	"strconv"
	"time"

	"github.com/docker/go-units"
)

// errSkipped says that the engine's stream has probably left out lines, which its
// files may still hold: the log must be read again from where it stands.
var errSkipped = errors.New("the engine has probably left out lines")

// A rotation is how an engine keeps one container's log.
type rotation struct {
	size  int64 // of one file, in bytes; 0 if it grows for ever
	files int64
	hasty bool // the engine may also follow a file that is no longer written, until the next rotation
}

// rotationOf reads the options of a logging driver.
func rotationOf(driver string, options map[string]string) rotation {
	r := rotation{files: 1}
	if driver == "local" {
		r = rotation{size: 20 << 20, files: 5} // its defaults
	} else if driver != "json-file" {
		return rotation{}
	}
	if size, err := units.RAMInBytes(options["max-size"]); err == nil && size > 0 {
		r.size = size
	}
	if n, err := strconv.ParseInt(options["max-file"], 10, 32); err == nil && n > 0 {
		r.files = n
	}
	return r
}

const (
	// entryBytes is about what an entry takes in the engine's file beyond its text.
	entryBytes = 80

	// haste is how much faster than just before a container may have written what
	// is missing.
	haste = 4

	// worthReading is what the files of the past must hold for reading them again when what
	// is missing is probably not in them any more: the connection, which is given up for that, may hold as
	// much of what is new.
	worthReading = 1 << 20

	// shortPause, in nanoseconds, is what a busy machine does to any container.
	shortPause = int64(50 * time.Millisecond)

	// reviewAfter is after how many times the size of all files a pause alone is
	// reason enough to read them again.
	reviewAfter = 4
)

// A skipWatch guesses from messages' times that the engine has left out some. An engine that follows
// a log and is more than one rotation behind goes on with the newest file, and
// tells nobody (moby, daemon/logger/loggerutils/follow.go: "some log messages have been
// skipped over"); before 23.0 it also does so when it rotates while the files of the past are read. What
// it leaves out is a whole file at the least, so it shows as a pause in which a container
// that goes on as before would have filled one. When the pause was over
// before this side had read what is before it, this side was late: a strong sign.
// Else it may be a pause like any other, which is looked into only now and then.
type skipWatch struct {
	rotation
	connected int64 // engine's time; all before is read from the files, without a gap
	now       int64 // engine's time when what is decoded had been read
	prev      int64 // time of the latest message
	prevRead  int64 // engine's time when it had been read

	bytes, from int64 // about as many bytes in the files since a message of that time
	after       int64 // of what was logged since the connection was made
	total       int64 // since the files were last read because of a pause

	lost  [2]int64 // the pause for which they were
	found bool     // and there was something in it
}

// connect begins a connection.
func (w *skipWatch) connect(now int64, kept rotation) {
	*w = skipWatch{rotation: kept, connected: now, now: now, total: w.total, lost: w.lost}
}

// see notes a message's time. It tells whether messages before it were probably
// left out, and whether it is worth reading the files.
func (w *skipWatch) see(ts int64) (skipped, read bool) {
	w.search(ts)
	if w.size > 0 && w.prev > 0 && ts > w.connected && w.filled(ts-w.prev) {
		late, hold := ts <= w.prevRead, (w.files-1)*w.size
		held := hold >= worthReading || w.written(w.now-w.prev) < float64(hold)
		read = held && (late || w.doubtful() || w.total > reviewAfter*(hold+w.size))
		skipped = late || read
	}
	if read {
		w.total, w.lost = 0, [2]int64{w.prev, ts}
		return true, true
	}
	if ts > w.prev {
		w.prev, w.prevRead = ts, w.now
	}
	return skipped, false
}

// search looks whether there was something in the pause for which the files are read.
func (w *skipWatch) search(ts int64) {
	if w.lost[1] == 0 {
		return
	}
	w.found = w.found || w.lost[0] < ts && ts < w.lost[1]
	if ts >= w.lost[1] {
		w.lost = [2]int64{}
	}
}

// doubtful tells whether the engine may follow a file that it has rotated away while
// it read those of the past.
func (w *skipWatch) doubtful() bool {
	return w.hasty && w.after <= w.size+w.size/4 && (w.found || w.total > w.size)
}

// filled tells whether the container could have filled a file in a pause.
func (w *skipWatch) filled(pause int64) bool {
	if pause < shortPause || w.bytes < w.size/8 {
		return false
	}
	return haste*w.written(pause) >= float64(w.size)
}

// written guesses how much a container that goes on as before writes in a time.
func (w *skipWatch) written(ns int64) float64 {
	span := max(w.prev-w.from, int64(time.Millisecond))
	return float64(ns) / float64(span) * float64(w.bytes)
}

// count notes how long a message is.
func (w *skipWatch) count(text int) {
	n := int64(text + entryBytes)
	if w.bytes == 0 {
		w.from = w.prev
	}
	w.total += n
	if w.prev > w.connected {
		w.after += n
	}
	w.bytes += n
	if w.bytes > w.size/2 && w.prev > w.from { // the pace of now, not of long ago
		w.from += (w.prev - w.from) / 2
		w.bytes /= 2
	}
}
