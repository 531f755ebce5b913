// Package otlp takes log records by OpenTelemetry's protocol, over gRPC and HTTP, as protobuf and
// as JSON: from Collectors, from applications, and from other Longshores.
//
// A request is answered when all of it is done (package receive). One that is malformed is refused;
// of one in which only some records are, the others are taken, and the answer says how many not.
//
// # Identity
//
// OTLP has none: what a sender repeats is a repeat. A Longshore (identity: true of its output) says
// which source and position each record has, who it is itself, and which requests may have come
// before. The requests of one Longshore are handed on one after the other, by the same way, and
// what may have come before is looked up at outputs that can be asked: nothing is stored twice,
// though either of the two be killed.
package otlp
