// Package syslog receives syslog messages by UDP, TCP, TLS and Unix datagram sockets. What is in
// them is the parsers' business: a record's line is the message as it came, from its priority on.
//
// # Decisions
//
//   - A source is a sending host, by its address, in this run: all its connections and datagrams.
//     What a message says of its host is a field (hostname), as anybody may write anything there.
//     Sources are opened on disk, so a host that has been silent keeps its own for a while, and no
//     more than a number of hosts have one.
//   - Nothing can be asked for again. So an output that lags spools (Traits.Ephemeral), then TCP's
//     senders are held up by their windows, and datagrams wait in memory, then in the kernel. Those
//     that the kernel has dropped are counted, and /ready says so for a minute.
//   - What was read when the program is told to stop is still handed on, within a second.
//   - Frames of both kinds may alternate in a stream. An octet count is one only with a '<' behind
//     it, so that a line that begins with a number is a line.
//   - A small read waits for company for 10 ms, but not the first after a pause: senders that write
//     each message by itself would cost a batch each.
package syslog
