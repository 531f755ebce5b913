package importer

import (
	"regexp"
	"strings"
)

// What sends to S3 and to Splunk.

// s3Dates are the parts of a date that a prefix of S3 has.
var s3Dates = strings.NewReplacer("%Y", "{yyyy}", "%m", "{MM}", "%d", "{dd}", "%H", "{HH}")

// s3Prefix makes a prefix of a template with strftime's dates.
func (c *conversion) s3Prefix(s *section, at *node, text string) {
	text = strings.TrimLeft(s3Dates.Replace(text), "/")
	if i := strings.IndexByte(text, '%'); i >= 0 {
		c.note(at, Differs, "a prefix has years, months, days and hours of records; the rest of the date is left out")
		text = strings.TrimRight(text[:i], "-_.")
	}
	s.fields.set("prefix", text)
}

// s3Compression converts how objects are compressed. usual is what the other agent does by itself.
func (c *conversion) s3Compression(s *section, n *node, usual string) {
	kind := firstOf(n.raw(), usual)
	c.done(n)
	switch kind {
	case "gzip":
	case "none", "zstd":
		s.fields.set("compression", kind)
	default:
		c.differs(n, "objects are compressed by gzip or zstd")
	}
}

// s3Role tells of a role that is to be taken on.
func (c *conversion) s3Role(n *node) {
	c.left(n, "roles are not taken on by themselves; put the role into a profile of the shared files with a web "+
		"identity, or give it to the machine, container or pod")
}

func (c *conversion) vectorS3(s *section, n *node) {
	s.fields.set("bucket", c.str(n, "bucket"))
	s.fields.set("region", c.str(n, "region"))
	s.fields.set("endpoint", c.str(n, "endpoint"))
	if n.get("endpoint") != nil && n.get("force_path_style").isFalse() {
		s.fields.set("addressing", "host")
	}
	c.done(n.get("force_path_style"))
	f := c.newFlow("")
	f.line = otherParser
	prefix := n.get("key_prefix")
	c.s3Prefix(s, prefix, firstOf(f.vectorTemplate(prefix), "date=%Y-%m-%d/"))
	c.s3Compression(s, n.get("compression"), "gzip")
	s.fields.set("storage_class", c.str(n, "storage_class"))
	s.fields.set("server_side_encryption", c.str(n, "server_side_encryption"))
	s.fields.set("kms_key_id", c.str(n, "ssekms_key_id"))
	s.fields.set("acl", c.str(n, "acl"))
	if auth := n.get("auth"); auth != nil {
		if id := auth.get("access_key_id"); id != nil {
			s.fields.set("access_key_id", c.secret(id, s.name, "access_key_id"))
			s.fields.set("secret_access_key", c.secret(auth.get("secret_access_key"), s.name, "secret_access_key"))
			s.fields.set("session_token", c.secret(auth.get("session_token"), s.name, "session_token"))
		}
		s.fields.set("profile", c.str(auth, "profile"))
		c.s3Role(auth.get("assume_role"))
	}
	if wait := n.at("batch.timeout_secs"); wait != nil {
		s.fields.set("max_age", c.duration(wait))
	}
	for _, name := range []string{"filename_append_uuid", "filename_time_format", "filename_extension", "content_type",
		"content_encoding", "timezone"} {
		c.skip(n.get(name), "names of objects have their time and a random part, and the ending of what they are")
	}
	c.left(n.get("tags"), "objects have no tags; rules of a bucket may go by prefix")
}

func (c *conversion) vectorSplunk(s *section, n *node) {
	address, _, _ := c.address(n.get("endpoint"), s.name)
	s.fields.set("url", address)
	s.fields.set("token", c.secret(firstNode(n, "default_token", "token"), s.name, "token"))
	f := c.newFlow("")
	f.line = otherParser
	for _, name := range []string{"index", "source", "sourcetype"} {
		s.fields.set(name, f.vectorTemplate(n.get(name)))
	}
	if key := n.get("host_key"); key != nil {
		c.skip(key, "the host is that of the source; host takes a template")
	}
	for _, field := range n.get("indexed_fields").list() {
		name := strings.TrimPrefix(field.raw(), ".")
		s.fields.setIn("fields", name, template(name))
		c.done(field)
	}
	c.done(n.get("indexed_fields"))
	if codec := n.at("encoding.codec"); codec.raw() == "text" || codec.raw() == "raw_message" {
		s.fields.set("line_format", "raw")
	}
	acks := n.get("acknowledgements")
	if acks.get("indexer_acknowledgements_enabled").isTrue() {
		s.fields.set("acknowledge", plain("true"))
	}
	c.done(acks)
	for _, name := range []string{"timestamp_key", "timestamp_nanos_key", "auto_extract_timestamp", "endpoint_target"} {
		c.skip(n.get(name), "events have the time of their record")
	}
}

var (
	// fluentTag is what a key of Fluent Bit's S3 has of the tag, or at random.
	fluentTag  = regexp.MustCompile(`\$TAG(?:\[\d+\])?|\$UUID|\$INDEX`)
	emptyParts = regexp.MustCompile(`/[-_.]*/+`)
)

func (c *conversion) fluentS3(s *section, n *node) {
	s.fields.set("bucket", c.str(n, "bucket"))
	s.fields.set("region", c.str(n, "region"))
	if endpoint := c.str(n, "endpoint"); endpoint != "" {
		if !strings.Contains(endpoint, "://") {
			endpoint = "https://" + endpoint
		}
		s.fields.set("endpoint", endpoint)
	}
	key := n.get("s3_key_format")
	format := firstOf(c.text(key), "/fluent-bit-logs/$TAG/%Y/%m/%d/%H/%M/%S")
	if fluentTag.MatchString(format) {
		c.note(firstOf2(key, n), Differs, "records have no tag; {container.name}, {service} or {filename} may stand "+
			"in prefix")
		format = emptyParts.ReplaceAllString(fluentTag.ReplaceAllString(format, ""), "/")
	}
	folder := format[:strings.LastIndexByte("/"+format, '/')]
	if folder != "" {
		folder = strings.TrimSuffix(folder, "/") + "/"
	}
	c.s3Prefix(s, firstOf2(key, n), folder)
	c.s3Compression(s, n.get("compression"), "none")
	s.fields.set("storage_class", c.str(n, "storage_class"))
	s.fields.set("acl", c.str(n, "canned_acl"))
	s.fields.set("profile", c.str(n, "profile"))
	if wait := n.get("upload_timeout"); wait != nil {
		s.fields.set("max_age", c.duration(wait))
	}
	c.skip(n.get("total_file_size"), "an object has 8 MiB of records before compression, and as much memory: see "+
		"batch.max_bytes")
	c.s3Role(n.get("role_arn"))
	c.s3Role(n.get("sts_endpoint"))
	for _, name := range []string{"use_put_object", "upload_chunk_size", "store_dir", "store_dir_limit_size",
		"send_content_md5", "auto_retry_requests", "preserve_data_ordering", "static_file_path", "json_date_key",
		"json_date_format",
		"s3_key_format_tag_delimiters", "content_type", "external_id"} {
		c.skip(n.get(name), "Longshore decides about this by itself")
	}
	c.left(n.get("log_key"), "an object has whole records as JSON")
}

// firstOf2 returns the first of two nodes that is there.
func firstOf2(a, b *node) *node {
	if a != nil {
		return a
	}
	return b
}

func (c *conversion) fluentSplunk(s *section, n *node) {
	s.fields.set("url", c.fluentHTTP(s, n, "8088"))
	s.fields.set("token", c.secret(n.get("splunk_token"), s.name, "token"))
	for _, name := range []string{"index", "host", "source", "sourcetype"} {
		s.fields.set(name, c.fluentTemplate(n.get("event_"+name)))
	}
	if key := n.get("event_index_key"); key != nil && n.get("event_index") == nil {
		s.fields.set("index", c.fluentTemplate(key))
	}
	if key := n.get("event_sourcetype_key"); key != nil {
		s.fields.set("sourcetype", c.fluentTemplate(key))
	}
	for _, pair := range n.all("event_field") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair.text), " ")
		s.fields.setIn("fields", name, c.fluentAccess(strings.TrimSpace(value)))
		c.done(pair)
	}
	if n.get("event_key") != nil {
		s.fields.set("line_format", "raw")
		c.differs(n.get("event_key"), "events are the lines as they were read")
	}
	for _, name := range []string{"splunk_send_raw", "channel", "http_buffer_size", "http_debug_bad_request"} {
		c.skip(n.get(name), "Longshore decides about this by itself")
	}
}

// fluentTemplate converts a text that may be a key of the record.
func (c *conversion) fluentTemplate(n *node) string {
	if n == nil {
		return ""
	}
	return c.fluentAccess(c.text(n))
}

func (c *conversion) fluentAccess(text string) string {
	key, isKey := strings.CutPrefix(text, "$")
	if !isKey || strings.HasPrefix(key, "{") {
		return c.translate(text)
	}
	return template(c.newFlow("").field(recordAccessor.ReplaceAllString(key, ".$1")))
}

func (c *conversion) otelS3(s *section, n *node) {
	up := n.get("s3uploader")
	s.fields.set("bucket", c.str(up, "s3_bucket"))
	s.fields.set("region", firstOf(c.str(up, "region"), "us-east-1"))
	s.fields.set("endpoint", c.str(up, "endpoint"))
	if up.get("endpoint") != nil && !up.get("s3_force_path_style").isTrue() {
		s.fields.set("addressing", "host")
	}
	c.done(up.get("s3_force_path_style"))
	partition := firstOf(c.str(up, "s3_partition_format"), "year=%Y/month=%m/day=%d/hour=%H/minute=%M")
	before := strings.Trim(firstOf(c.str(up, "s3_base_prefix"), "")+"/"+c.str(up, "s3_prefix"), "/")
	text := s3Dates.Replace(strings.TrimLeft(before+"/"+strings.Trim(partition, "/")+"/", "/"))
	if i := strings.IndexByte(text, '%'); i >= 0 { // minutes
		c.note(up, Differs, "a prefix has years, months, days and hours of records, and no minutes")
		text = text[:strings.LastIndexByte(text[:i], '/')+1]
	}
	s.fields.set("prefix", text)
	c.s3Compression(s, up.get("compression"), "none")
	s.fields.set("storage_class", c.str(up, "storage_class"))
	s.fields.set("acl", c.str(up, "acl"))
	c.s3Role(up.get("role_arn"))
	for _, name := range []string{"file_prefix", "disable_ssl", "s3_partition_timezone", "retry_mode",
		"retry_max_attempts", "retry_max_backoff", "unique_key_func_name"} {
		c.skip(up.get(name), "Longshore decides about this by itself")
	}
	c.differs(n.get("marshaler"), "objects are JSON lines; schema: otel has OpenTelemetry's names")
	c.left(n.get("resource_attrs_to_s3"), "labels and fields of records may stand in prefix: {service}")
}

func (c *conversion) otelSplunk(s *section, n *node) {
	address, _, _ := c.address(n.get("endpoint"), s.name)
	s.fields.set("url", address)
	s.fields.set("token", c.secret(n.get("token"), s.name, "token"))
	for _, name := range []string{"index", "source", "sourcetype"} {
		s.fields.set(name, c.str(n, name))
	}
	if n.get("disable_compression").isTrue() {
		s.fields.set("compression", "none")
	}
	c.done(n.get("disable_compression"))
	if size := n.get("max_content_length_logs"); size != nil {
		s.fields.setIn("batch", "max_bytes", c.size(size))
	}
	for _, name := range []string{"max_idle_conns", "splunk_app_name", "splunk_app_version", "log_data_enabled",
		"profiling_data_enabled", "use_multi_metric_format", "max_content_length_metrics", "max_content_length_traces",
		"max_event_size", "hec_metadata_to_otel_attrs", "otel_attrs_to_hec_metadata", "otel_to_hec_fields",
		"health_path",
		"health_check_enabled", "export_raw", "heartbeat"} {
		c.skip(n.get(name), "Longshore decides about this by itself")
	}
}
