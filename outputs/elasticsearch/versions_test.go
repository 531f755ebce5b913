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
	vendor     = "application/vnd.elasticsearch"
	mediaTypes = `"type":"media_type_header_exception",` +
		`"reason":"Invalid media-type value on headers [Content-Type, Accept]"`
	badMediaType = `{"error":{"root_cause":[{` + mediaTypes + `}],` + mediaTypes +
		`,"caused_by":{"type":"status_exception","reason":"`
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
	const (
		page    = "elastic.co/docs/reference/elasticsearch/rest-apis/compatibility"
		json    = "application/json"
		product = "Elasticsearch"
	)
	tests := []struct {
		name, source string
		rule         headerRule
		contentType  string // of every answer
		product      string
	}{
		{"7.10 and OpenSearch", "github.com/elastic/elasticsearch-py/issues/1933",
			unversioned, json + "; charset=UTF-8", ""},
		{"7.17", "elastic.co/guide/en/elasticsearch/reference/7.17/rest-api-compatibility.html",
			newerThan("8"), json + ";charset=utf-8", product},
		{"8", "github.com/elastic/elasticsearch-js/issues/2909", newerThan("8"), json, product},
		{"9", "github.com/elastic/elasticsearch-ruby/issues/2665", newerThan("9"), json, product},
		{"8 behind a proxy that asks for a version", page, newerThan("8"), vendor + "+json;compatible-with=8", product},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &cluster{}
			requests := 0
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests++
				w.Header().Set("Content-Type", tt.contentType)
				if tt.product != "" {
					w.Header().Set("X-Elastic-Product", tt.product)
				}
				contentType, accept := r.Header.Get("Content-Type"), r.Header.Get("Accept")
				if status, said := tt.rule(contentType, accept); status != 0 {
					t.Errorf("%s %s with %q, %q is rejected: %s", r.Method, r.URL.Path, contentType, accept, tt.source)
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
		docs         = "elastic.co/docs/"
		failureStore = docs + "manage-data/data-store/data-streams/failure-store"
		dataStreams  = docs + "manage-data/data-store/data-streams/use-data-stream"
		parsing      = "github.com/elastic/elasticsearch/pull/92646 (8.8: no longer mapper_parsing_exception)"

		reason = "[1:53] failed to parse field [id] of type [long] in document with id 'Y0vQ'. " +
			"Preview of field's value: 'invalid_text'"
		unparsed     = "document_parsing_exception: " + reason
		parsingError = `{"type":"document_parsing_exception","reason":"` + reason +
			`","caused_by":{"type":"illegal_argument_exception","reason":"For input string: \"invalid_text\""}`
		blocked = `,"suppressed":[{"type":"cluster_block_exception",` +
			`"reason":"index [.fs-a] blocked by: [FORBIDDEN/5/index read-only (api)];"}]}`
		missing = `"type":"security_exception","reason":"missing authentication credentials for REST request [/_bulk]"`
	)
	tests := []struct {
		name, source string
		answer       string
		status       int // of the whole answer; 0 for 200
		outcome      pipeline.Outcome
		reason       string // "" where the record is stored
		inStore      float64
	}{
		{
			name: "redirected to the failure store", source: failureStore, inStore: 1,
			answer: `{"errors":false,"items":[{"create":{"_index":".fs-logs-2","failure_store":"used","status":201}}]}`,
		}, {
			name: "the failure store is off", source: failureStore, outcome: pipeline.Reject, reason: unparsed,
			answer: items(`{"create":{"status":400,"failure_store":"not_enabled","error":` + parsingError + `}}}`),
		}, {
			name: "the same within the error", source: failureStore, outcome: pipeline.Reject, reason: unparsed,
			answer: items(`{"create":{"status":400,"error":` + parsingError + `,"failure_store":"not_enabled"}}}`),
		}, {
			name: "the failure store failed", source: failureStore, outcome: pipeline.Reject, reason: unparsed,
			answer: items(`{"create":{"status":400,"error":` + parsingError + blocked + `,"failure_store":"failed"}}`),
		}, {
			name: "a conflict, which no failure store takes", source: failureStore,
			answer: items(failedItem(409, "version_conflict_engine_exception", "[1]: document already exists")),
		}, {
			name: "backpressure, which no failure store takes", source: failureStore,
			outcome: pipeline.Retry, reason: "rejected execution",
			answer: items(failedItem(429, "es_rejected_execution_exception", "rejected execution of operation")),
		}, {
			name: "a field that does not fit", source: parsing, outcome: pipeline.Reject, reason: unparsed,
			answer: items(failedItem(400, "document_parsing_exception", reason)),
		}, {
			name: "no @timestamp for a data stream", source: parsing,
			outcome: pipeline.Reject, reason: "timestamp field [@timestamp] is missing",
			answer: items(failedItem(400, "document_parsing_exception",
				"[1:2] failed to parse: data stream timestamp field [@timestamp] is missing")),
		}, {
			name:    "logs of another dataset",
			source:  docs + "solutions/observability/logs/logs-index-template-defaults",
			outcome: pipeline.Reject, reason: "constant_keyword",
			answer: items(failedItem(400, "document_parsing_exception",
				"[1:9] failed to parse field [data_stream.dataset] of type [constant_keyword]")),
		}, {
			name: "another operation than create", source: dataStreams,
			outcome: pipeline.Reject, reason: "only write ops with an op_type of create",
			answer: items(failedItem(400, "illegal_argument_exception",
				"only write ops with an op_type of create are allowed in data streams")),
		}, {
			name: "a key that may not create the stream", source: "github.com/10up/ElasticPress/issues/3268",
			outcome: pipeline.Hold, reason: "auto_create",
			answer: items(failedItem(403, "security_exception",
				"action [indices:admin/auto_create] is unauthorized for API key id [x] on indices [logs-a-b]")),
		}, {
			name:   "no credentials, which 8 and 9 ask for by default",
			source: "elastic.co/guide/en/elasticsearch/reference/8.17/configuring-stack-security.html",
			status: 401, outcome: pipeline.Hold, reason: "missing authentication credentials",
			answer: `{"error":{"root_cause":[{` + missing + `}],` + missing + `},"status":401}`,
		}, {
			name:   "headers that were changed on the way",
			source: "github.com/elastic/elasticsearch-ruby/issues/2665",
			status: 400, outcome: pipeline.Hold, reason: "media_type_header_exception",
			answer: badMediaType + `A compatible version is required on both headers"}},"status":400}`,
		}, {
			name:   "headers that were changed on the way, to an old server",
			source: "github.com/elastic/elasticsearch-java/issues/767",
			status: 406, outcome: pipeline.Hold, reason: "is not supported",
			answer: `{"error":"Content-Type header [` + vendor + `+x-ndjson;compatible-with=8] is not supported"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, says(max(200, tt.status), tt.answer, "X-Elastic-Product", "Elasticsearch"))
			o := output(t, Config{DocumentIDs: true, URLs: []string{url}})
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

// TestDocumentsForNewerServers: what 8 and 9 refuse in a document is not in what is sent.
func TestDocumentsForNewerServers(t *testing.T) {
	t.Parallel()
	const (
		fields    = "elastic.co/docs/reference/elasticsearch/mapping-reference/document-metadata-fields"
		limits    = "elastic.co/docs/reference/elasticsearch/index-settings/mapping-limit"
		names     = "github.com/elastic/elasticsearch/pull/91328"
		ambiguous = "github.com/elastic/elasticsearch/issues/28948"
	)
	tests := []struct{ name, source, line, want string }{
		{"an id", "github.com/vectordotdev/vector/issues/23015", `{"_id":"x"}`, `"_id_original":"x"`},
		{"metadata of all versions", fields, `{"_routing":"x","_tier":"y","_ignored":1}`,
			`"_routing_original":"x","_tier_original":"y","_ignored_original":1`},
		{"blank names within objects", names, `{"top":{" ":1,"a. .b":2}}`, `"top":{"_":1,"a_ _b":2}`},
		{"names of dots", "github.com/elastic/elasticsearch/issues/70960",
			`{"top":{".":{"a":1}}}`, `"top":{"_":{"a":1}}`},
		{"a dot at an end", ambiguous, `{"top":{".a":1,"b.":2,"c..d":3}}`, `"top":{"_a":1,"b_":2,"c__d":3}`},
		{"a value where an object stands", "github.com/elastic/logstash/issues/13354",
			`{"role":"x","role.name":"y"}`, `"role_original":"x","role.name":"y"`},
		{"logs of another data stream", "github.com/elastic/elasticsearch/issues/91786",
			`{"data_stream":{"dataset":"deprecation.elasticsearch"}}`,
			`"data_stream_original":{"dataset":"deprecation.elasticsearch"}`},
		{"depth", limits, `{"x":` + strings.Repeat(`{"d":`, 25) + `1` + strings.Repeat(`}`, 25) + `}`,
			`"x":"{\"d\":{`},
	}
	o := output(t, Config{})
	for _, tt := range tests {
		body := &pipeline.Body{}
		if _, err := o.Encoder().Encode(body, asFields(tt.line, nil), 0); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(body.Bytes), tt.want) {
			t.Errorf("%s: got %s, want %s in it: %s", tt.name, body.Bytes, tt.want, tt.source)
		}
	}
}
