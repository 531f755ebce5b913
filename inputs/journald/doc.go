// Package journald reads systemd's journal from its files.
//
// # Decisions
//
//   - The files are read, and not what journalctl says: the agent's image is static and has no
//     journalctl, a journalctl of another version than the host's journald cannot read its files,
//     and a process beside ours has to be watched, restarted and asked for what it has dropped. The
//     format is documented, and a file says which of its features are new; the reader is 500 lines.
//     What it does not know (XZ, by which systemd packed before 2020) costs that one field.
//   - A source is one sequence of numbers (the files' seqnum_id): what one journald writes, through
//     all rotations, for the system and its users. Its numbers are the positions. So a rotation or
//     a vacuum changes nothing, and files are merged by number.
//   - journald writes entries one after the other. So once entry n is there, all below n are, in
//     whatever file. The last numbers of all files are looked at first, then the files are read up
//     to the highest of them.
//   - A record is a line of JSON, as parsers, dead letters and replays take it. An entry's MESSAGE
//     is its message; what is in that is up to the parsers.
//   - Files are looked at four times a second: inotify would tell of each entry, if not of each
//     file system. What is looked at is 208 bytes of each file that is being written.
//   - A file that is deleted while something of it is to be read stays open.
package journald
