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
	size     int64 // of one file, in bytes; 0 if it grows for ever
	files    int64
	before23 bool // the engine may also follow a file that is no longer written, until the next rotation
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
	maxSpeedup = 4

	// worthReading is what the files of the past must hold for reading them again when what
	// is missing is probably not in them any more: the connection, which is given up for that, may hold as
	// much of what is new.
	minReread = 1 << 20

	// shortPause, in nanoseconds, is what a busy machine does to any container.
	minPause = int64(50 * time.Millisecond)

	// reviewAfter is after how many times the size of all files a pause alone is
	// reason enough to read them again.
	rereadAfter = 4
)

// A skipWatch guesses from messages' times that the engine has left out some. An engine that follows
// a log and is more than one rotation behind goes on with the newest file, and
// tells nobody (moby, daemon/logger/loggerutils/follow.go: "some log messages have been
// skipped over"); before 23.0 it also does so when it rotates while the files of the past are read. What
// it leaves out is a whole file at the least, so it shows as a pause in which a container
// that goes on as before would have filled one. When the pause was over
// before this side had read what is before it, this side was late: a strong sign.
// Else it may be a pause like any other, which is looked into only now and then.
type skipDetector struct {
	rotation
	connected  int64 // engine's time; all before is read from the files, without a gap
	now        int64 // engine's time when what is decoded had been read
	latest     int64 // time of the latest message
	latestRead int64 // engine's time when it had been read

	bytes, since int64 // about as many bytes in the files since a message of that time
	sinceConnect int64 // of what was logged since the connection was made
	sinceReread  int64 // since the files were last read because of a pause

	reread       [2]int64 // the pause for which they were
	foundSkipped bool     // and there was something in it
}

// connect begins a connection.
func (w *skipDetector) connect(now int64, kept rotation) {
	*w = skipDetector{rotation: kept, connected: now, now: now, sinceReread: w.sinceReread, reread: w.reread}
}

// see notes a message's time. It tells whether messages before it were probably
// left out, and whether it is worth reading the files.
func (w *skipDetector) observe(ts int64) (skipped, read bool) {
	w.updateReread(ts)
	if w.size > 0 && w.latest > 0 && ts > w.connected && w.couldFillFile(ts-w.latest) {
		late, hold := ts <= w.latestRead, (w.files-1)*w.size
		held := hold >= minReread || w.expectedBytes(w.now-w.latest) < float64(hold)
		read = held && (late || w.doubtful() || w.sinceReread > rereadAfter*(hold+w.size))
		skipped = late || read
	}
	if read {
		w.sinceReread, w.reread = 0, [2]int64{w.latest, ts}
		return true, true
	}
	if ts > w.latest {
		w.latest, w.latestRead = ts, w.now
	}
	return skipped, false
}

// search looks whether there was something in the pause for which the files are read.
func (w *skipDetector) updateReread(ts int64) {
	if w.reread[1] == 0 {
		return
	}
	w.foundSkipped = w.foundSkipped || w.reread[0] < ts && ts < w.reread[1]
	if ts >= w.reread[1] {
		w.reread = [2]int64{}
	}
}

// doubtful tells whether the engine may follow a file that it has rotated away while
// it read those of the past.
func (w *skipDetector) doubtful() bool {
	return w.before23 && w.sinceConnect <= w.size+w.size/4 && (w.foundSkipped || w.sinceReread > w.size)
}

// filled tells whether the container could have filled a file in a pause.
func (w *skipDetector) couldFillFile(pause int64) bool {
	if pause < minPause || w.bytes < w.size/8 {
		return false
	}
	return maxSpeedup*w.expectedBytes(pause) >= float64(w.size)
}

// written guesses how much a container that goes on as before writes in a time.
func (w *skipDetector) expectedBytes(ns int64) float64 {
	ticks := max(w.latest-w.since, int64(time.Millisecond))
	return float64(ns) / float64(ticks) * float64(w.bytes)
}

// count notes how long a message is.
func (w *skipDetector) add(text int) {
	n := int64(text + entryBytes)
	if w.bytes == 0 {
		w.since = w.latest
	}
	w.sinceReread += n
	if w.latest > w.connected {
		w.sinceConnect += n
	}
	w.bytes += n
	if w.bytes > w.size/2 && w.latest > w.since { // the pace of now, not of long ago
		w.since += (w.latest - w.since) / 2
		w.bytes /= 2
	}
}
