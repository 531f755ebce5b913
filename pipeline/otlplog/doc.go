// Package otlplog reads and writes log records in OpenTelemetry's protocol (OTLP 1.x): the messages
// of opentelemetry/proto/collector/logs/v1 as protobuf and as JSON, and what gRPC puts around them.
// It is written by hand, as it is on the path of every record; its tests hold it against the
// messages that OpenTelemetry generates.
//
// A record becomes a LogRecord so:
//
//   - time_unix_nano is its time, observed_time_unix_nano when it was encoded.
//   - severity_number is the first of its level's four, severity_text the level's name.
//   - body is its message.
//   - trace_id and span_id are its own, and flags those of a field trace_flags.
//   - attributes are its fields, and what its source knows of the file or stream. Objects and
//     arrays stay such. Integers beyond 64 bits become text, so that no digit is lost.
//   - The other labels of its source are the resource, with service.name.
package otlplog
