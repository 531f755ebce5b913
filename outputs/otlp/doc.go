// Package otlp sends records by OpenTelemetry's protocol (OTLP), over gRPC or HTTP.
//
// # Outcomes
//
// An answer of success means that the receiver has taken the records; the protocol has no more. A
// Collector takes them into its sending queue, which is in memory unless it has a storage.
// What was sent without an answer is uncertain, and a receiver cannot be asked: it is sent again,
// so it may be there twice. A Longshore as the receiver knows each record by its identity.
//
// The codes that OTLP calls retryable are tried again, after the pause that the receiver asks for.
// So are those that it does not call so, where they may pass by themselves (a RESOURCE_EXHAUSTED
// without a RetryInfo, an INTERNAL): giving up would lose the records. What is too large is halved,
// and what is not understood (INVALID_ARGUMENT, 400) halved until it stands alone.
//
// # Partial success
//
// A receiver may say that it rejected some records of a request, and does not say which. The
// request must not be sent again: the others are stored. So nobody can tell a stored record of it
// from a rejected one. All of the request become dead letters, with that reason: none is lost
// without a trace, and none is sent twice unless someone replays it. To keep that to few, the next
// requests are small, and grow again as long as nothing is rejected (isolation.go). Where a request
// has one record, or all are rejected, the answer says which.
//
// # One form
//
// The items of bodies are protobuf and their groups are text, whatever the settings: JSON and
// compression are made for a request. So what is spooled or a dead letter can still be sent after
// the settings have changed.
package otlp
