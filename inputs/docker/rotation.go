package docker

import (
	"errors"
	"strconv"
	"time"

	"github.com/docker/go-units"
)

// errSkipped means that the engine's stream has probably left out lines that its files may still
// hold: the log must be read again from its position.
var errSkipped = errors.New("the engine has probably left out lines")

// A rotation is how an engine rotates a container's log.
type rotation struct {
	size       int64 // of one file, in bytes; 0 for no limit
	files      int64
	compressed bool // rotated files are compressed
	before23   bool // the engine may follow a rotated file until the next rotation
}

// leavesOutFiles reports whether the engine may leave out rotated files that are later than the
// requested time: before 23.0 it leaves out all of them if the oldest is compressed and ends before
// that time (moby 20.10, daemon/logger/loggerutils/logfile.go, openRotatedFiles).
func (r rotation) leavesOutFiles() bool { return r.before23 && r.compressed }

// rotationOf returns the rotation that a logging driver's options ask for.
func rotationOf(driver string, options map[string]string) rotation {
	r := rotation{files: 1}
	if driver == "local" {
		r = rotation{size: 20 << 20, files: 5, compressed: true} // the driver's defaults
	} else if driver != "json-file" {
		return rotation{}
	}
	if size, err := units.RAMInBytes(options["max-size"]); err == nil && size > 0 {
		r.size = size
	}
	if n, err := strconv.ParseInt(options["max-file"], 10, 32); err == nil && n > 0 {
		r.files = n
	}
	if compressed, err := strconv.ParseBool(options["compress"]); err == nil {
		r.compressed = compressed
	}
	return r
}

const (
	// entryBytes is about what an entry takes beyond its text.
	entryBytes = 80

	// maxSpeedup is how much faster than before a container may have written what is missing.
	maxSpeedup = 4

	// minReread is what the rotated files must hold to be read again although they probably do not
	// hold what is missing any more: the connection that ends for it may hold as much.
	minReread = 1 << 20

	// minPause, in nanoseconds, is what a busy machine does to any container.
	minPause = int64(50 * time.Millisecond)

	// rereadAfter is after how many times the size of all files a pause alone is a reason to read
	// them again.
	rereadAfter = 4
)

// A skipDetector guesses from times that the engine's stream has left out messages. An engine that
// is more than one rotation behind continues with the newest file, silently (moby,
// daemon/logger/loggerutils/follow.go: "some log messages have been skipped over"); before 23.0
// also when it rotates while rotated files are read. It leaves out at least a whole file, so it
// shows as a pause in which the container, at its pace, would have filled one.
//
// If the pause was over before the agent had read what precedes it, the agent was late, which is a
// strong sign. Otherwise it may be a pause like any other, and is examined only now and then.
type skipDetector struct {
	rotation
	connected  int64 // engine's time; what is earlier comes from the files, without a gap
	now        int64 // engine's time when the current bytes were read
	latest     int64 // time of the latest message
	latestRead int64 // engine's time when that was read

	bytes, since int64 // estimated bytes in the files since that time
	sinceConnect int64 // bytes logged since the connection was made
	sinceReread  int64 // bytes since a pause last made the files be read

	reread       [2]int64 // that pause
	foundSkipped bool     // messages were found in it
}

// connect begins a connection.
func (d *skipDetector) connect(now int64, rot rotation) {
	*d = skipDetector{rotation: rot, connected: now, now: now, sinceReread: d.sinceReread, reread: d.reread}
}

// observe notes a message's time. It reports whether messages before it were probably left out, and
// whether the files are worth reading.
func (d *skipDetector) observe(ts int64) (skipped, read bool) {
	d.trackReread(ts)
	if d.size > 0 && d.latest > 0 && ts > d.connected && d.couldFillFile(ts-d.latest) {
		late, hold := ts <= d.latestRead, (d.files-1)*d.size
		held := hold >= minReread || d.expectedBytes(d.now-d.latest) < float64(hold)
		read = held && (late || d.mayFollowOldFile() || d.sinceReread > rereadAfter*(hold+d.size))
		skipped = late || read
	}
	if read {
		d.sinceReread, d.reread = 0, [2]int64{d.latest, ts}
		return true, true
	}
	if ts > d.latest {
		d.latest, d.latestRead = ts, d.now
	}
	return skipped, false
}

// trackReread notes whether the files held messages in the pause for which they are read again.
func (d *skipDetector) trackReread(ts int64) {
	if d.reread[1] == 0 {
		return
	}
	d.foundSkipped = d.foundSkipped || d.reread[0] < ts && ts < d.reread[1]
	if ts >= d.reread[1] {
		d.reread = [2]int64{}
	}
}

// mayFollowOldFile reports whether the engine may follow a file that it rotated while it read older
// ones.
func (d *skipDetector) mayFollowOldFile() bool {
	return d.before23 && d.sinceConnect <= d.size+d.size/4 && (d.foundSkipped || d.sinceReread > d.size)
}

// couldFillFile reports whether the container could have filled a file in a pause.
func (d *skipDetector) couldFillFile(pause int64) bool {
	if pause < minPause || d.bytes < d.size/8 {
		return false
	}
	return maxSpeedup*d.expectedBytes(pause) >= float64(d.size)
}

// expectedBytes estimates how much the container, at its pace, writes in a time.
func (d *skipDetector) expectedBytes(ns int64) float64 {
	ticks := max(d.latest-d.since, int64(time.Millisecond))
	return float64(ns) / float64(ticks) * float64(d.bytes)
}

// add counts a message of a length.
func (d *skipDetector) add(text int) {
	n := int64(text + entryBytes)
	if d.bytes == 0 {
		d.since = d.latest
	}
	d.sinceReread += n
	if d.latest > d.connected {
		d.sinceConnect += n
	}
	d.bytes += n
	if d.bytes > d.size/2 && d.latest > d.since { // the current pace, not that of long ago
		d.since += (d.latest - d.since) / 2
		d.bytes /= 2
	}
}
