package recognize

// A part is a part of a record's core, or a hint that decides about one.
type part uint8

const (
	partTime part = iota
	partLevel
	partMessage
	partService
	partTrace
	partSpan
	parts // how many there are; what follows are hints

	hintNanos  // the nanoseconds within the second of logback's timestamp
	hintDate   // the date of a time of day
	hintOffset // its zone
	hintMySQL  // marks MySQL's JSON log, where "label" is a level
	hintMongo  // "s", a level where "t" is a date object
	hintLabel
	hintTemplate // CLEF's message template
	hintScopes   // .NET's Scopes
	hintContext  // an object that may hold trace ids under the plain keys
	hintDatadog  // the object dd
	hintLog      // "log": Docker's line, or ECS's object with the level
	hintFields   // the object of Rust's tracing that holds the message
	hintRecord   // the object of loguru that holds everything
	hintRequest  // two of the keys by which Nextcloud's log is known
	hintRemote
)

// A form is how a value is to be read.
type form uint8

const (
	formAny form = iota

	// Levels that are numbers.
	formSyslog   // 0 to 7
	formSeverity // 0 to 7, or Google's hundreds
	formPython   // tens, 30 is warning
	formOTel     // 1 to 24
	formMySQL    // 0 to 3
	formPostgres // words, of which LOG is one
	formCLEF     // compact log event format: no level means information

	formString // a message only if it is a string
	formGELF   // beside it, levels are syslog's
	formFirst  // a time only if it is one of a line's first fields

	formNextcloud // 0 to 4
	formSerial    // a time only as auditd's ids have it

	// Trace and span ids.
	formDatadog // decimal
	formTraceparent
	formECS // of the Elastic Common Schema: also UUIDs
	formB3
	formUber
	formXRay
)

// A meaning says what a key stands for. Of several keys for one part that a
// line has, the one of the lowest rank is taken.
type meaning struct {
	part part
	form form
	rank uint8
}

// spelling is one row of the list below.
type spelling struct {
	part  part
	form  form
	names []string
}

// meanings are the keys by which the parts of a record are known, for each
// part the strongest first.
var meanings = newMeanings([]spelling{
	{partTime, formAny, []string{
		"timestamp", "@timestamp", "time", "ts", "Timestamp", "Time", "datetime", "asctime", "t", "instant",
		"timeMillis", "eventTime", "event_time", "@time", "TIMESTAMP", "T", "_timestamp", "timestamp_ms",
		"__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP", "log_time", "logTime",
		"log_timestamp", "logTimestamp", "timestamp_ns", "timestamp_us", "timestampNs", "timeUnixNano",
		"time_unix_nano",
		"event_timestamp", "eventTimestamp", "observedTimestamp", "observed_timestamp", "ObservedTimestamp",
		"observedTimeUnixNano", "time_iso8601", "time_local", "msec",
		"eventtime", "requestReceivedTimestamp", "stageTimestamp", "requestTime", "unixTime", "unix_time",
		"calendarTime", "calendar_time", "activityDateTime", "EdgeStartTimestamp", "EdgeEndTimestamp", "_time",
		"Datetime", "DateTime", "EventTime", "eventDateTime", "EventTimestamp", "UtcTime", "TimeGenerated",
		"eventCreationTime", "serverTimestamp", "detectedDateTime", "eventDate", "event_date",
		"timeStamp",
	}},
	{partTime, formFirst, []string{
		"createdAt", "created_at", "created", "dateTime", "date_time", "when",
		"CreationTime",
	}},
	{partTime, formCLEF, []string{"@t"}},
	{partTime, formSerial, []string{"ID"}},
	{hintNanos, formAny, []string{"nanoseconds"}},
	{hintDate, formAny, []string{"date", "Date"}},
	{hintOffset, formAny, []string{"tz", "timezone"}},

	{partLevel, formAny, []string{
		"level", "log.level", "severity_text", "severityText", "SeverityText", "levelname", "level_name", "levelName",
		"Level", "LEVEL", "LogLevel", "logLevel", "loglevel", "log_level", "lvl", "@level", "L",
		"Lvl", "LVL", "LevelName", "LEVELNAME", "levelText", "level_text", "logSeverity", "log_severity",
	}},
	{partLevel, formCLEF, []string{"@l"}},
	{partLevel, formSeverity, []string{"severity", "Severity", "SEVERITY"}},
	{partLevel, formPostgres, []string{"error_severity"}},
	{partLevel, formOTel, []string{"severity_number", "severityNumber", "SeverityNumber"}},
	{partLevel, formPython, []string{"levelno"}},
	{partLevel, formAny, []string{"level_value", "levelValue"}},
	{partLevel, formSyslog, []string{"PRIORITY", "priority", "pri", "log.syslog.severity.code", "syslog_severity"}},
	{hintMongo, formAny, []string{"s"}},
	{hintLabel, formMySQL, []string{"label"}},
	{hintMySQL, formMySQL, []string{"prio"}},

	{partMessage, formAny, []string{
		"formattedMessage", "@m", "message", "msg", "Message", "MESSAGE", "@message", "RenderedMessage",
	}},
	{partMessage, formGELF, []string{"short_message"}},
	{partMessage, formString, []string{"Msg", "Body", "M", "event", "log_message", "logMessage", "body",
		"MessageTemplate"}},
	{hintLog, formAny, []string{"log"}},
	{hintTemplate, formAny, []string{"@mt"}},
	{hintFields, formAny, []string{"fields", "@fields", "logEvent"}},
	{hintRequest, formAny, []string{"reqId"}},
	{hintRemote, formAny, []string{"remoteAddr"}},
	{hintRecord, formAny, []string{"record"}},

	{partService, formAny, []string{
		"service", "service.name", "service_name", "serviceName", "ServiceName", "dd.service", "dd_service",
		"otelServiceName",
		"app", "application", "app_name", "appName", "application_name", "applicationName", "SYSLOG_IDENTIFIER",
	}},

	{partTrace, formAny, []string{
		"trace_id", "traceId", "traceID",
	}},
	{partTrace, formECS, []string{"trace.id"}},
	{partTrace, formAny, []string{
		"TraceId", "TraceID", "traceid", "@tr", "otelTraceID",
		"otel_trace_id", "trace-id", "TRACE_ID", "logging.googleapis.com/trace", "trace", "contextTraceId",
		"otel.trace_id", "xray_trace_id",
		"_traceId", "_trace_id",
	}},
	{partTrace, formB3, []string{"X-B3-TraceId", "x-b3-traceid", "X-B3-Traceid"}},
	{partTrace, formDatadog, []string{"dd.trace_id", "dd_trace_id"}},
	{partTrace, formTraceparent, []string{"traceparent", "Traceparent"}},
	{partTrace, formB3, []string{"b3", "B3"}},
	{partTrace, formUber, []string{"uber-trace-id", "Uber-Trace-Id", "uber_trace_id"}},
	{partTrace, formXRay, []string{"X-Amzn-Trace-Id", "x-amzn-trace-id", "x_amzn_trace_id", "amzn_trace_id",
		"_X_AMZN_TRACE_ID"}},

	{partSpan, formAny, []string{
		"span_id", "spanId", "spanID", "span.id", "SpanId", "SpanID", "spanid", "@sp", "otelSpanID", "otel_span_id",
		"span-id",
		"SPAN_ID", "logging.googleapis.com/spanId", "X-B3-SpanId", "x-b3-spanid", "span", "otel.span_id",
		"_spanId", "_span_id",
	}},
	{partSpan, formDatadog, []string{"dd.span_id", "dd_span_id"}},

	{hintDatadog, formAny, []string{"dd"}},
	{hintContext, formAny, []string{"context", "contextMap", "mdc", "MDC", "extra", "otel", "attributes",
		"logging.googleapis.com/labels"}},
	{hintScopes, formAny, []string{"Scopes"}},
})

func newMeanings(spellings []spelling) *table[meaning] {
	t := newTable[meaning](256)
	var ranks [256]uint8
	for _, s := range spellings {
		for _, name := range s.names {
			ranks[s.part]++
			t.put(name, meaning{s.part, s.form, ranks[s.part]})
		}
	}
	return t
}

// NameOf returns the name under which a record has what lines have under a key: level for lvl,
// message for msg. A key that stands for nothing is a field of its own name.
func NameOf(key string) string {
	m := meanings.get(hash([]byte(key)), []byte(key))
	if m == nil {
		return key
	}
	switch m.part {
	case partTime:
		return "timestamp"
	case partLevel:
		return "level"
	case partMessage:
		return "message"
	case partService:
		return "service"
	case partTrace:
		return "trace_id"
	case partSpan:
		return "span_id"
	}
	return key
}
