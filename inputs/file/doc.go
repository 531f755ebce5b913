// Package file follows log files: it finds them by globs, reads what is appended to them, and keeps
// track of them through rotation, truncation and restarts.
//
// A file is known by its inode and by fingerprints of its text, not by its name. The position of a
// record is the raw byte offset of its line in the file; for a compressed file, in its
// text.
//
// One goroutine, the follower (follower.go, scan.go), looks after names: which files exist and
// where they have gone. A few readers (reader.go) take the files that have something new, one read
// slice at a time (schedule.go). A file with nothing new costs no goroutine, no timer and no
// buffer, only a stat in every scan. What one file is to the follower, to the readers and to both
// stands in separate parts of it (table.go).
//
// # Decisions
//
//   - A cursor has the file's device and inode, and hashes of up to 1 KiB of its head and of the 64
//     bytes before the position. The latter are compared before every block, the head before
//     every read slice, as lines of one length may all end alike: so a rewritten file is noticed
//     and never read on.
//   - The head is stored ahead of the first record, not only when the file is found: an empty file
//     says nothing, and after a crash its inode may be another file's.
//   - A copy takes the source over. When a file is truncated or deleted, its folder is searched for
//     what continues it: a file that may be named like a copy (mayBeCopyOf: anything behind the
//     log's name), plain or compressed, with the same head and the same bytes before the position;
//     or, if it ends earlier, before one of the last eight positions. The source's id and positions
//     continue, as those of a compressed file are those of its text.
//   - A copy that was deleted is looked at as well, as long as it is held open: the reader of the
//     log may be held up for longer than the copies are kept. What is known of a log is published
//     before its reader can be held up, for a copy is compared to that meanwhile.
//   - A folder may have 100,000 files of one family, job-00001.log and so on. So files are compared
//     to those whose names say so or whose heads are the same, found by an index, never to all.
//   - A file that looks like a copy of a followed one is deferred until that is clear: 30 s for a
//     plain one, as two workers may log the same; a compressed one that has all of a file is never
//     read beside it.
//   - Files that are written to all the time are read at common ticks of 75 ms, with or without
//     notifications: a wake-up costs 0.1 ms and more, a line 1.5 µs. A tick is longer than the
//     outputs' linger time, so that what busy files write leaves within the one and not both.
//     Notifications are paused for two ticks once they bring no news, and the system merges those
//     of one file meanwhile; in one tick of 32 they are not, so that they cannot pile up. The first
//     line after a quiet time is read at once.
//   - A file with something to read is opened as soon as it is seen, whether a reader is free or
//     not (openfiles.go): when the destination is away, all readers are held up, and what is not
//     open is gone with its name. Beyond the limit those nearest to their deletion are open.
//   - What was renamed, deleted, copied or truncated before it was read is read first, and the
//     outputs spool soon while there is such (schedule.go). A deleted file is held open until it is
//     read, as long as all of them take no more than the spools have room for (deleted.go).
//   - The follower never waits for a destination: what it has to tell the feed is an errand.
//   - All names are scanned every minute on file systems that only this machine writes to, where
//     every change is reported; elsewhere every 10 s, and every second where none is. With 10,000
//     idle files the scans are all that they cost.
package file
