package docker

import (
	"strings"
)

// Podman serves the same API, with differences that matter here (its pkg/api/handlers/compat and
// libpod/container_log*.go, 3.0 to 5.6):
//
//   - A message's time is in whole seconds, with the host's offset from UTC. The position does
//     without finer times, as it counts from the first message of a second.
//   - since filters every message by its exact time, and leaves out those of just that time. The
//     log is requested from two seconds earlier.
//   - Each part of a long line, or of one that was written in pieces, has its own time. A part
//     always continues with the stream's next message.
//   - The stream of a container with a TTY had frames in older versions, and has none now; the
//     first byte decides. Nothing marks where the next part's time begins, so times stand in the
//     middle of lines that are longer than a read of Podman's.
//   - A followed log ends when the container is paused.
//   - A driver that cannot be read answers with status 500, and so does following journald when
//     events are not in the journal.
//   - In older versions not even the header of the events is sent before the first one. Some events
//     have other names: remove for destroy, died for die.
//   - An inspected container has no options of its logging driver, so skips by rotation cannot be
//     detected. Podman's own rotation keeps no rotated file at all.

// unreadableReasons are the errors of Docker and Podman for a log that can never be read.
var unreadableReasons = []string{
	"does not support reading",
	"cannot read logs",
	"without the journald --events-backend",
}

// isUnreadable reports whether asking again is useless, and returns the engine's reason.
func isUnreadable(err error) (reason string, yes bool) {
	text := err.Error()
	for _, r := range unreadableReasons {
		if strings.Contains(text, r) {
			return strings.TrimPrefix(text, "Error response from daemon: "), true
		}
	}
	return "", false
}
