package elasticsearch

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

// Elasticsearch 8 and 9 cannot be started from what the package registries serve. What they answer
// otherwise than 7.17 and OpenSearch, which end-to-end tests run against, is written down here from
// their documentation and sources, which each row names.

// A headerRule says how a server answers to the media types of a request; 0 is that it takes them.
type headerRule func(contentType, accept string) (status int, said string)

const (
	vendor       = "application/vnd.elasticsearch"
	badMediaType = `{"error":{"root_cause":[{"type":"media_type_header_exception","reason":"Invalid media-type value on headers ` +
		`[Content-Type, Accept]"}],"type":"media_type_header_exception","reason":"Invalid media-type value on headers ` +
		`[Content-Type, Accept]","caused_by":{"type":"status_exception","reason":"`
)

// newerThan rejects what asks for a version above its own or for none of it in one of the two
// headers.
func newerThan(major string) headerRule {
	return func(contentType, accept string) (int, string) {
		for _, value := range []string{contentType, accept} {
			_, version, asks := strings.Cut(value, "compatible-with=")
			if asks && version > major {
				return 400, badMediaType + "Accept version must be either version 8 or 7, but found 9"
			}
		}
		if contentType != "" && strings.HasPrefix(contentType, vendor) != strings.HasPrefix(accept, vendor) {
			return 400, badMediaType + "A compatible version is required on both Content-Type and Accept headers"
		}
		return 0, ""
	}
}

// unversioned knows no vendor media types.
func unversioned(contentType, _ string) (int, string) {
	if strings.HasPrefix(contentType, vendor) {
		return 406, `{"error":"Content-Type header [` + contentType + `] is not supported","status":406}`
	}
	return 0, ""
}

// TestServerVersions installs, sends and asks: what we send is taken by every version, as it asks
// for none, and what they say of themselves does not matter.
func TestServerVersions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		source string
		rule   headerRule
		says   map[string]string // headers of every answer
	}{
		{"7.10 and OpenSearch", "github.com/elastic/elasticsearch-py/issues/1933; OpenSearch has no product header",
			unversioned, map[string]string{"Content-Type": "application/json; charset=UTF-8"}},
		{"7.17", "elastic.co/guide/en/elasticsearch/reference/7.17/rest-api-compatibility.html",
			newerThan("8"), map[string]string{"Content-Type": "application/json;charset=utf-8", "X-Elastic-Product": "Elasticsearch"}},
		{"8", "elastic.co/guide/en/elasticsearch/reference/8.17/rest-api-compatibility.html; github.com/elastic/elasticsearch-js/issues/2909",
			newerThan("8"), map[string]string{"Content-Type": "application/json", "X-Elastic-Product": "Elasticsearch"}},
		{"9", "elastic.co/docs/reference/elasticsearch/rest-apis/compatibility; github.com/elastic/elasticsearch-ruby/issues/2665",
			newerThan("9"), map[string]string{"Content-Type": "application/json", "X-Elastic-Product": "Elasticsearch"}},
		{"8 behind a proxy that asks for a version", "elastic.co/docs/reference/elasticsearch/rest-apis/compatibility: the answer's Content-Type has it",
			newerThan("8"), map[string]string{"Content-Type": vendor + "+json;compatible-with=8", "X-Elastic-Product": "Elasticsearch"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &cluster{}
			requests := 0
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests++
				for name, value := range tt.says {
					w.Header().Set(name, value)
				}
				if status, said := tt.rule(r.Header.Get("Content-Type"), r.Header.Get("Accept")); status != 0 {
					t.Errorf("%s %s with %q, %q is rejected: %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Accept"), tt.source)
					says(status, said)(w, r)
					return
				}
				c.ServeHTTP(w, r)
			})
			o, _ := installing(t, url, Config{})
			if e := send(t, o, 1); e != nil {
				t.Error(e)
			}
			if requests < 5 {
				t.Errorf("only %d requests were made", requests)
			}
		})
	}
}

// TestNewerAnswers are items and whole answers that only newer servers give.
func TestNewerAnswers(t *testing.T) {
	t.Parallel()
	const (
		failureStore = "elastic.co/docs/manage-data/data-store/data-streams/failure-store"
		parsing      = "github.com/elastic/elasticsearch/pull/92646 (8.8: document_parsing_exception for mapper_parsing_exception)"
		dataStreams  = "elastic.co/docs/manage-data/data-store/data-streams/use-data-stream; github.com/elastic/kibana/issues/131295"
		reason       = "[1:53] failed to parse field [id] of type [long] in document with id 'Y0vQ'. Preview of field's value: 'invalid_text'"
		parsingError = `{"type":"document_parsing_exception","reason":"` + reason + `","caused_by":{"type":"illegal_argument_exception",` +
			`"reason":"For input string: \"invalid_text\""}`
		unparsed = "document_parsing_exception: " + reason
	)
	tests := []struct {
		name, source string
		answer       string // of one item
		status       int    // of the whole answer; 0 for 200
		outcome      pipeline.Outcome
		reason       string // "" where the record is stored
		inStore      float64
	}{
		{"redirected to the failure store", failureStore,
			`{"errors":false,"items":[{"create":{"_index":".fs-logs-2025.05.01-000002","failure_store":"used","status":201}}]}`, 0, 0, "", 1},
		{"the failure store is off", failureStore,
			items(`{"create":{"status":400,"failure_store":"not_enabled","error":` + parsingError + `}}}`), 0, pipeline.Reject, unparsed, 0},
		{"the same, as the index request words it", failureStore,
			items(`{"create":{"status":400,"error":` + parsingError + `,"failure_store":"not_enabled"}}}`), 0, pipeline.Reject, unparsed, 0},
		{"the failure store failed", failureStore, items(`{"create":{"status":400,"error":` + parsingError +
			`,"suppressed":[{"type":"cluster_block_exception","reason":"index [.fs-a] blocked by: [FORBIDDEN/5/index read-only (api)];"}]},` +
			`"failure_store":"failed"}}`), 0, pipeline.Reject, unparsed, 0},
		{"a conflict, which no failure store takes", failureStore,
			items(failedItem(409, "version_conflict_engine_exception", "[1]: version conflict, document already exists (current version [1])")), 0, 0, "", 0},
		{"backpressure, which no failure store takes", failureStore,
			items(failedItem(429, "es_rejected_execution_exception", "rejected execution of coordinating operation")), 0, pipeline.Retry, "rejected execution", 0},
		{"a field that does not fit", parsing, items(failedItem(400, "document_parsing_exception", reason)), 0, pipeline.Reject, unparsed, 0},
		{"no @timestamp for a data stream", parsing,
			items(failedItem(400, "document_parsing_exception", "[1:2] failed to parse: data stream timestamp field [@timestamp] is missing")), 0,
			pipeline.Reject, "timestamp field [@timestamp] is missing", 0},
		{"logs of another dataset", "elastic.co/docs/solutions/observability/logs/logs-index-template-defaults (data_stream.* are constant_keyword)",
			items(failedItem(400, "document_parsing_exception", "[1:9] failed to parse field [data_stream.dataset] of type [constant_keyword]")), 0,
			pipeline.Reject, "constant_keyword", 0},
		{"another operation than create", dataStreams,
			items(failedItem(400, "illegal_argument_exception", "only write ops with an op_type of create are allowed in data streams")), 0,
			pipeline.Reject, "only write ops with an op_type of create", 0},
		{"a key that may not create the stream", "github.com/10up/ElasticPress/issues/3268", items(failedItem(403, "security_exception",
			"action [indices:admin/auto_create] is unauthorized for API key id [x] on indices [logs-a-b]")), 0, pipeline.Hold, "auto_create", 0},
		{"no credentials, which 8 and 9 ask for by default", "elastic.co/guide/en/elasticsearch/reference/8.17/configuring-stack-security.html",
			`{"error":{"root_cause":[{"type":"security_exception","reason":"missing authentication credentials for REST request [/_bulk]"}],` +
				`"type":"security_exception","reason":"missing authentication credentials for REST request [/_bulk]"},"status":401}`,
			401, pipeline.Hold, "missing authentication credentials", 0},
		{"headers that were changed on the way", "github.com/elastic/elasticsearch-ruby/issues/2665", badMediaType +
			`A compatible version is required on both Content-Type and Accept headers"}},"status":400}`, 400, pipeline.Hold, "media_type_header_exception", 0},
		{"headers that were changed on the way, to an old server", "github.com/elastic/elasticsearch-java/issues/767",
			`{"error":"Content-Type header [` + vendor + `+x-ndjson;compatible-with=8] is not supported","status":406}`, 406, pipeline.Hold, "is not supported", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := output(t, Config{DocumentIDs: true, URLs: []string{serve(t, says(max(200, tt.status), tt.answer, "X-Elastic-Product", "Elasticsearch"))}})
			e := send(t, o, 1)
			switch {
			case tt.reason == "" && e != nil:
				t.Errorf("got %v, want it stored: %s", e, tt.source)
			case tt.reason != "" && (e == nil || e.Outcome != tt.outcome || !strings.Contains(e.Reason, tt.reason)):
				t.Errorf("got %+v, want %v because of %q: %s", e, tt.outcome, tt.reason, tt.source)
			}
			if n := count(t, o.metrics.failureStore); n != tt.inStore {
				t.Errorf("%v in the failure store", n)
			}
		})
	}
}

// TestDefaultsOfNewerServers: our template has to win over the one that 7.13 and later bring for
// logs-*-*, of priority 100
// (elastic.co/docs/solutions/observability/logs/logs-index-template-defaults), and to stay below
// those of integrations, of 200. It does not set index.mode, which 9.0 does by default for logs-*-*
// alone (elastic.co/docs/manage-data/data-store/data-streams/logs-data-stream).
func TestDefaultsOfNewerServers(t *testing.T) {
	t.Parallel()
	o, _ := installing(t, serve(t, (&cluster{}).ServeHTTP), Config{})
	template := o.setup.template(true, "policy")
	if p := template["priority"].(int); p <= 100 || p >= 200 {
		t.Errorf("the template's priority is %d", p)
	}
	settings := template["template"].(object)["settings"].(object)["index"].(object)
	if _, set := settings["mode"]; set {
		t.Error("the template sets index.mode")
	}
	if diff := cmp.Diff(object{}, template["data_stream"]); diff != "" {
		t.Errorf("the template makes no plain data stream: %s", diff)
	}
}
