// Package loki sends records to Grafana Loki, or to what speaks its push protocol: protobuf,
// compressed as a snappy block, over HTTP.
//
// # Identity
//
// An entry is identified by its stream, time and line: times are unique within a source, and Loki
// would silently keep only one of several equal lines of one instant (measured with 3.7.8). It
// hides a duplicate only within its current head block, so uncertain entries are queried before
// they are sent again: it counts the stream's time range first, and compares time, length and the
// first 512 characters of each line only if that is not zero.
//
// Loki shows entries that are not in its store yet only within its look-back, which is unlimited
// with ingester.query_store_max_look_back_period: -1ns in one process with chunks in files
// (measured with 3.7.8), and with querier.query_ingesters_within: 0 in several processes. Beyond
// it, what is not found may still be stored. Answers are cached, so queries have Cache-Control:
// no-cache. An answer of more than about 4 MiB comes back empty.
//
// # Lines
//
// The line is the parsed record as JSON, or as it was read (line_format: raw). It is what people
// search, and what identifies an entry, so it must follow from the record alone. What a record says
// twice is sent twice: parsers see to it that it says it once, as of access logs, whose message is
// short.
//
// # Streams
//
// One request at a time is in flight for a stream, oldest first: a backlog sent newest first would
// be rejected for good. Labels are few, and what lines contribute to them is bounded; trace_id,
// span_id, container_id, stream and detected_level are structured metadata.
//
// Loki answers 204 to a request of several streams of which one was rejected, unless that is the
// last. Streams that may be rejected are therefore sent alone (see isolate.go). Entries more than
// an hour behind their stream go to a stream with the label late="1".
//
// Entries that Loki finds ahead of its clock are sent with other times (see ahead.go), and sources
// that share a stream are told apart (see apart.go).
package loki
