package docker

import (
	"net/http"
	"strings"
)

// Podman serves the same API, with differences that matter here (its
// pkg/api/handlers/compat and libpod/container_log*.go, 3.0 to 5.6):
//
//   - A message's time is in whole seconds, with the host's offset from UTC. The
//     position in a log does without finer times: it counts from the first message of a
//     second on.
//   - since filters every message by its exact time, and leaves out those of
//     just that time. What is asked for begins two seconds earlier.
//   - The parts of a long line, or of one that was written piece by piece, have each
//     their own time. A part always goes on with the stream's next message.
//   - The stream of a container with a TTY had frames in older versions, and has none now. The first
//     byte tells. A part of a line has nothing that tells where the next one's time begins, so
//     that times stand in the middle of lines that are longer than a read of Podman's.
//   - A log that is followed ends when the container is paused.
//   - A driver that cannot be read is a status 500, and so is following journald when events
//     are not in the journal, too.
//   - Events do not begin, not even with a header, before there is one in older versions, and some
//     are called differently: remove for destroy, died for die.
//   - An inspected container has no options of its logging driver: what the engine
//     skips by rotation cannot be guessed at. Its own rotation keeps no old file at all.

// isPodman tells by the headers that every answer of Podman's has.
func isPodman(h http.Header) bool {
	return h.Get("Libpod-Api-Version") != "" || strings.HasPrefix(h.Get("Server"), "Libpod/")
}

// unreadableReasons are how engines say that a log cannot be read, whoever asks and
// whenever: Docker's of all drivers, and Podman's.
var unreadableReasons = []string{
	"does not support reading",
	"cannot read logs",
	"without the journald --events-backend",
}

// isUnreadable tells whether asking again makes no sense, and gives the engine's words.
func isUnreadable(err error) (reason string, yes bool) {
	text := err.Error()
	for _, r := range unreadableReasons {
		if strings.Contains(text, r) {
			return strings.TrimPrefix(text, "Error response from daemon: "), true
		}
	}
	return "", false
}
