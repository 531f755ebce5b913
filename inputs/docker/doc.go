// Package docker is the input that follows the logs of the containers of a Docker Engine, or of
// Podman. It only reads: GET requests to /_ping, /info, /events, /containers/json,
// /containers/{id}/json and /containers/{id}/logs, and the engine's log files where it may.
//
// # Positions
//
// A cursor is an anchor, not a bare time: a message of the log, how many lines of the stream ended
// since, and the hash of the last of them. Times alone are ambiguous (see position). The API and
// the files share the cursor, so that either can continue where the other ended.
//
// # The engine's stream
//
// The stream of a log is not trusted. An engine that is behind by more than one rotation continues
// with the newest file, silently. Before 23.0 it also does so when it rotates while older files are
// read, sends the start of each new file twice, may end before a container's last lines, and leaves
// out all rotated files if the oldest is compressed and ends before the requested time. All that is
// guessed from times and repaired by reading the log again from the anchor, which its order makes
// exact. Every five minutes a check for one line finds streams that stand still, as after a
// copytruncate by somebody else.
//
// # The engine's files
//
// The files of the json-file driver are preferred: they cost the engine nothing, and rotation
// leaves nothing out. Where reading begins is found by time, which is only a guess: unless the
// anchor then turns up, the whole log is read. Files are held open, so that one that is rotated
// away or deleted is still read to its end. The inode tells which file follows it; if it cannot, as
// the file was compressed meanwhile, the anchor is searched again. Busy files are not watched but
// read every 25 to 200 ms, as each line would be an event; silent ones are watched.
//
// # Reading again
//
// An output that lags reads the files once more (pipeline.Rereader). A second search for the anchor
// would do after a restart, but not here: where the clock was set back, or a file is gone that the
// follower has read, it may come to other positions than the follower has. So the follower notes
// its state at places in the files, and holds these open as long as they may be read again; see
// history. What it reads through the API is not read again.
//
// # Waking up
//
// To wake up for a line costs more than the line, so busy containers, by stream or by files, are
// read at common ticks of 25 ms, and of up to 200 ms where many are busy (1,000 reads a second).
// The first line after silence does not wait. Nor does a stream of more than 8 KiB in 25 ms: its
// socket holds some 170 lines, and when it is full the engine waits. Streams over TLS do not wait
// either, as a read returns one line.
package docker
