package loki

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// classified is what a test expects of an answer: outcome, then the items as "index outcome".
type classified struct {
	Outcome   pipeline.Outcome
	Uncertain bool
	Items     []string
	Metadata  bool
}

func classifiedOf(failure *pipeline.SendError, metadata bool) classified {
	j := classified{failure.Outcome, failure.Uncertain, nil, metadata}
	for _, item := range failure.Items {
		j.Items = append(j.Items, string(rune('0'+item.Index))+" "+item.Outcome.String())
	}
	return j
}

// answerBody has two streams: a with the entries 0 to 4, a second apart, but for 3, half a second
// after 2; b with 5, long, and 6.
func answerBody(t *testing.T) *pipeline.Body {
	o := newOutput(t, Config{Labels: map[string]string{"app": "{service}"}, LineFormat: "raw"})
	src := func(name string) *event.Source {
		return event.NewSource(1, "i", name, []event.Label{{Name: event.LabelService, Value: name}})
	}
	a := batchOf(src("a"), "0", "1", "2", "3", "4")
	a.Records[3].Time = a.Records[2].Time + 5e8
	b := batchOf(src("b"), strings.Repeat("x", 500), "6")
	b.Records[1].Level = event.Info
	return fill(t, o, a, b)
}

// The texts are those of Loki's source (main of August 2026), filled in; see the comments in
// answer.go, ignored.go and validation.go for the files.
func TestAnswers(t *testing.T) {
	const (
		tooOldText = `entry for stream '{app="a"}' has timestamp too old: 2026-10-01T12:00:0`
		oldest     = `, oldest acceptable timestamp is: 2026-10-08T00:00:00Z`
		late       = `reason: 'entry too far behind, entry timestamp is: 2026-10-01T12:00:00Z, oldest ` +
			`acceptable timestamp is: 2026-10-01T13:00:00Z',` + "\n"
		noMetadata = "stream '{app=\"b\"}' includes structured metadata, but this feature is disallowed. " +
			"Please see `limits_config.allow_structured_metadata` or contact your Loki administrator to enable it"
		streamLimit = `Per stream rate limit exceeded (limit: 3MB/sec) while attempting to ingest for stream ` +
			`'{app="b"}' totaling 1MB, consider splitting a stream via additional labels or contact your Loki ` +
			`administrator to see if the limit can be increased`
	)
	entryAt := func(at string) string { return "entry with timestamp 2026-10-01 12:00:0" + at + " +0000 UTC ignored, " }
	tests := map[string]struct {
		status int
		text   string
		want   classified
	}{
		"rate": {429, "ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec) while attempting " +
			"to ingest '7' lines totaling '1000000' bytes, reduce log volume or contact your Loki administrator " +
			"to see if the limit can be increased",
			classified{Outcome: pipeline.Retry}},
		"rate, never to pass": {429, "ingestion rate limit exceeded for user fake (limit: 1000 bytes/sec) while " +
			"attempting to ingest '7' lines totaling '1001' bytes, reduce log volume or contact your Loki " +
			"administrator to see if the limit can be increased",
			classified{Outcome: pipeline.Split}},
		"rate of a policy": {429, "ingestion rate limit exceeded for user fake, policy p (limit: 1000 " +
			"bytes/sec) while attempting to ingest '7' lines totaling '1001' bytes, reduce log volume",
			classified{Outcome: pipeline.Split}},
		"rates": {429, `ingestion rate limit exceeded for user fake across multiple buckets: the tenant default ` +
			`(limit: 9000 bytes/sec) ingesting 7 lines totaling 1001 bytes; reduce log volume or contact your ` +
			`Loki administrator to see if the limits can be increased`,
			classified{Outcome: pipeline.Retry}},
		"rate of one stream": {429, entryAt("0") + "reason: '" + streamLimit + "',\n" + entryAt("1") + "reason: '" +
			streamLimit + "',\nuser 'fake', total ignored: 2 out of 2 for stream: {app=\"b\"}",
			classified{Outcome: pipeline.Retry, Items: []string{"5 retry", "6 retry"}}},
		"rate of one stream, some of it": {429, entryAt("1") + "reason: '" + streamLimit +
			"',\nuser 'fake', total ignored: 1 out of 2 for stream: {app=\"b\"}",
			classified{Outcome: pipeline.Retry, Items: []string{"6 retry"}}},
		"rate of one stream, not all named": {429,
			entryAt("1") + "reason: '" + streamLimit +
				"',\nuser 'fake', total ignored: 3 out of 5 for stream: {app=\"a\"}",
			classified{Outcome: pipeline.Retry, Uncertain: true}},
		"number of streams": {429, `maximum active stream limit exceeded when trying to create stream ` +
			`{app="b"}, reduce the number of active streams (reduce labels or reduce label values), or contact ` +
			`your Loki administrator to see if the limit can be increased, user: 'fake'`,
			classified{Outcome: pipeline.Retry, Uncertain: true}},
		"a gateway's 429": {429, "slow down", classified{Outcome: pipeline.Retry}},

		"large": {413, "couldn't parse push request: request body too large: 200 bytes, limit: 100 bytes",
			classified{Outcome: pipeline.Split}},
		"large for grpc": {500, "rpc error: code = ResourceExhausted desc = grpc: received message larger than " +
			"max (5242880 vs. 4194304)",
			classified{Outcome: pipeline.Split, Uncertain: true}},
		"large for older ones": {400, "message size too large than max (5242880 vs 4194304)",
			classified{Outcome: pipeline.Bisect, Uncertain: true}},
		"large, decompressed": {400, "decompressed message size larger than max (5242880 vs 4194304)",
			classified{Outcome: pipeline.Split}},

		"failing":   {500, "empty ring", classified{Outcome: pipeline.Retry, Uncertain: true}},
		"away":      {503, "", classified{Outcome: pipeline.Retry, Uncertain: true}},
		"no tenant": {401, "no org id", classified{Outcome: pipeline.Hold}},
		"a bad tenant": {400, "tenant ID 'a b' contains unsupported character ' '",
			classified{Outcome: pipeline.Hold}},
		"forbidden":    {403, "", classified{Outcome: pipeline.Hold}},
		"another path": {404, "404 page not found", classified{Outcome: pipeline.Hold}},
		"no streams": {422, "error at least one valid stream is required for ingestion",
			classified{Outcome: pipeline.Reject}},
		"blocked": {260, "ingestion blocked for user 'fake' until '2099-01-01T00:00:00Z' with status " +
			"code '260'", classified{Outcome: pipeline.Hold}},
		"blocked otherwise": {456, "ingestion blocked for user 'fake' (policy: 'p') until " +
			"'2099-01-01T00:00:00Z' with status code '456'", classified{Outcome: pipeline.Hold}},
		"no streams, by another's word": {422, "unprocessable", classified{Outcome: pipeline.Hold, Uncertain: true}},
		"no Loki at all": {200, "<title>Welcome</title>",
			classified{Outcome: pipeline.Hold, Uncertain: true}},
		"a gateway's success": {200, `{"status":"ok"}`, classified{Outcome: pipeline.Hold, Uncertain: true}},
		"unknown 2xx":         {202, "", classified{Outcome: pipeline.Hold, Uncertain: true}},

		"cannot be read": {400, "couldn't parse push request: proto: wrong wireType = 0 for field Streams",
			classified{Outcome: pipeline.Bisect}},
		"labels out of hand": {400, `couldn't parse labels: 1:2: parse error: unexpected "="`,
			classified{Outcome: pipeline.Bisect}},
		"words never heard": {400, "computer says no", classified{Outcome: pipeline.Hold, Uncertain: true}},
		"no words":          {400, "", classified{Outcome: pipeline.Hold, Uncertain: true}},
		"a gateway's JSON": {400, `{"error":{"code":400,"message":"invalid stream"}}`,
			classified{Outcome: pipeline.Hold, Uncertain: true}},
		"VictoriaLogs cannot read it": {400, "cannot read Loki protobuf data: cannot decode PushRequest: cannot " +
			"read the next field in PushRequest", classified{Outcome: pipeline.Bisect, Uncertain: true}},
		"VictoriaLogs is set up otherwise": {400, "cannot parse common params from request: cannot parse AccountID",
			classified{Outcome: pipeline.Hold, Uncertain: true}},
		"newer words for a stream": {400, "stream '{app=\"a\"}' has a label that is out of fashion",
			classified{Outcome: pipeline.Bisect, Uncertain: true}},
		"half of them known": {400, tooOldText + "1Z" + oldest + "; computer says no",
			classified{Outcome: pipeline.Bisect, Uncertain: true}},
		"a stream not ours": {400, `entry for stream '{app="z"}' has timestamp too old: 2026-10-01T12:00:00Z` +
			oldest, classified{Outcome: pipeline.Bisect, Uncertain: true}},
		"an entry not ours": {400, tooOldText + "9Z" + oldest, classified{Outcome: pipeline.Bisect, Uncertain: true}},
		"more than there are": {400, "3 errors like: " + tooOldText + "2Z" + oldest,
			classified{Outcome: pipeline.Bisect, Uncertain: true}},

		"one too old": {400, tooOldText + "1Z" + oldest,
			classified{Outcome: pipeline.Reject, Items: []string{"1 reject"}}},
		"several too old": {400, "2 errors like: " + tooOldText + "2Z" + oldest + "; 1 errors like: " + tooOldText +
			"0Z" + oldest,
			classified{Outcome: pipeline.Reject, Items: []string{"0 reject", "2 reject", "3 reject"}}},
		"within the second, the older": {400, tooOldText + "2Z" + oldest,
			classified{Outcome: pipeline.Reject, Items: []string{"2 reject"}}},
		"within the second, the newer": {400, `entry for stream '{app="a"}' has timestamp too new: ` +
			`2026-10-01T12:00:02Z`,
			classified{Outcome: pipeline.Reject, Items: []string{"3 reject"}}},
		"other words for the time": {400, tooOldText + "1+00:00" + oldest,
			classified{Outcome: pipeline.Reject, Items: []string{"1 reject"}}},
		"Loki added a label": {400, `entry for stream '{app="a", service_name="a"}' has timestamp too old: ` +
			`2026-10-01T12:00:01Z` + oldest,
			classified{Outcome: pipeline.Reject, Items: []string{"1 reject"}}},
		"too long": {400, `max entry size '400' bytes exceeded for stream '{app="b"}' while adding an entry ` +
			`with length '500' bytes`,
			classified{Outcome: pipeline.Reject, Items: []string{"5 reject"}}},
		"too long, in older words": {400, `Max entry size '400' bytes exceeded for stream '{app="b"}' while ` +
			`adding an entry with length '500' bytes`,
			classified{Outcome: pipeline.Reject, Items: []string{"5 reject"}}},
		"label values": {400, `stream '{app="a"}' has label value too long: 'a'`,
			classified{Outcome: pipeline.Reject, Items: []string{"0 reject", "1 reject", "2 reject", "3 reject",
				"4 reject"}}},
		"label names": {400, `entry for stream '{app="b"}' has 16 label names; limit 15; ` + tooOldText + "0Z" + oldest,
			classified{Outcome: pipeline.Reject, Items: []string{"0 reject", "5 reject", "6 reject"}}},
		"labels wanted": {400, `missing required labels 'env' for user 'fake' for stream '{app="b"}' (policy: '')`,
			classified{Outcome: pipeline.Reject, Items: []string{"5 hold", "6 hold"}}},

		"metadata": {400, noMetadata,
			classified{Outcome: pipeline.Reject, Items: []string{"5 retry", "6 retry"}, Metadata: true}},
		"metadata and more": {400, "1 errors like: " + noMetadata + "; 1 errors like: " + tooOldText + "0Z" + oldest,
			classified{Outcome: pipeline.Reject, Items: []string{"0 reject", "5 retry", "6 retry"},
				Metadata: true}},
		"too much metadata": {400, "stream '{app=\"b\"}' has too many structured metadata labels: '4', limit: " +
			"'3'. Please see `limits_config.max_structured_metadata_entries_count` or contact your Loki " +
			"administrator to increase it",
			classified{Outcome: pipeline.Reject, Items: []string{"5 retry", "6 retry"}, Metadata: true}},

		"one too far behind": {400, entryAt("1") + late +
			`user 'fake', total ignored: 1 out of 5 for stream: {app="a"}`,
			classified{Outcome: pipeline.Reject, Items: []string{"1 reject"}}},
		"named by the nanosecond": {400, entryAt("2.5") + late +
			`user 'fake', total ignored: 1 out of 5 for stream: {app="a"}`,
			classified{Outcome: pipeline.Reject, Items: []string{"3 reject"}}},
		"in the words of 2.x": {400, "entry with timestamp 2026-10-01 12:00:01 +0000 UTC ignored, reason: " +
			"'entry out of order' for stream: {app=\"a\"},\ntotal ignored: 1 out of 5",
			classified{Outcome: pipeline.Bisect, Uncertain: true}}, // which stream?
		"more behind than named": {400, entryAt("0") + late + entryAt("1") + late +
			`user 'fake', total ignored: 4 out of 5 for stream: {app="a"}`,
			classified{Outcome: pipeline.Reject, Items: []string{"0 reject", "1 reject", "2 reject", "3 reject"}}},
		"all of it behind": {400, entryAt("0") + late + `user 'fake', total ignored: 5 out of 5 for stream: {app="a"}`,
			classified{Outcome: pipeline.Reject, Items: []string{"0 reject", "1 reject", "2 reject", "3 reject",
				"4 reject"}}},
		"of a shard, and not all named": {400, entryAt("0") + late +
			`user 'fake', total ignored: 3 out of 4 for stream: {__stream_shard__="1", app="a"}`,
			classified{Outcome: pipeline.Bisect, Uncertain: true}},
		"of a shard, all named": {400, entryAt("0") + late +
			`user 'fake', total ignored: 1 out of 4 for stream: {__stream_shard__="1", app="a"}`,
			classified{Outcome: pipeline.Reject, Items: []string{"0 reject"}}},
		"behind, and over the rate": {400, entryAt("0") + "reason: '" + streamLimit + "',\n" + entryAt("1") + late +
			`user 'fake', total ignored: 2 out of 5 for stream: {app="a"}`,
			classified{Outcome: pipeline.Reject, Items: []string{"0 retry", "1 reject"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			resp := &http.Response{StatusCode: test.status, Header: http.Header{}}
			failure, metadata := classify(resp, []byte(test.text+"\n"), answerBody(t))
			if diff := cmp.Diff(test.want, classifiedOf(failure, metadata)); diff != "" {
				t.Error(diff)
			}
			if failure.Status != test.status || failure.Reason == "" {
				t.Errorf("status %d, reason %q", failure.Status, failure.Reason)
			}
			for _, item := range failure.Items {
				if item.Reason == "" || item.Status != test.status {
					t.Errorf("item %+v", item)
				}
			}
		})
	}
}

// TestPagesOfGateways: a page is the gateway's, whatever it says and whatever its status.
func TestPagesOfGateways(t *testing.T) {
	for status, want := range map[int]pipeline.Outcome{
		200: pipeline.Hold, 203: pipeline.Hold, 400: pipeline.Hold, 403: pipeline.Hold, 404: pipeline.Hold,
		405: pipeline.Hold, 411: pipeline.Hold, 413: pipeline.Split, 422: pipeline.Hold, 429: pipeline.Retry,
		431: pipeline.Hold, 502: pipeline.Retry,
	} {
		resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}}
		page := "<title>Request Header Or Cookie Too Large</title>couldn't parse: entry with timestamp 0 ignored"
		failure, _ := classify(resp, []byte(page), answerBody(t))
		if failure.Outcome != want || failure.Items != nil ||
			!strings.Contains(failure.Reason, "Request Header Or Cookie Too Large") {
			t.Errorf("%d: %+v, want %v", status, failure, want)
		}
	}
}

func TestAnswerTooLongToRead(t *testing.T) {
	text := `entry for stream '{app="a"}' has timestamp too old: 2026-10-01T12:00:01Z, oldest acceptable ` +
		`timestamp is: 2026-10-08T00:00:00Z; 2 errors like: entry for str`
	v := classifyValidation(text, true, answerBody(t))
	var got []string
	for _, item := range v.items(400) {
		got = append(got, string(rune('0'+item.Index))+" "+item.Outcome.String())
	}
	want := []string{"0 retry", "1 reject", "2 retry", "3 retry", "4 retry", "5 retry", "6 retry"}
	if diff := cmp.Diff(want, got); diff != "" || !v.understood || !v.incomplete {
		t.Error(diff, v.understood, v.incomplete)
	}
}

func TestASingleRecordIsNotSplitForItsRate(t *testing.T) {
	o := newOutput(t, Config{})
	body := fill(t, o, batchOf(container("web"), "a"))
	resp := &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"3"}}}
	failure, _ := classify(resp, []byte("(limit: 10 bytes/sec) while attempting to ingest '1' lines totaling "+
		"'100' bytes"), body)
	if failure.Outcome != pipeline.Retry || failure.RetryAfter != 3*time.Second {
		t.Errorf("%+v", failure)
	}
}

func TestUntilUnblocked(t *testing.T) {
	now := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	for until, want := range map[string]time.Duration{
		"2026-10-01T00:01:00Z": time.Minute, "2026-10-02T00:00:00Z": 5 * time.Minute, "2026-09-01T00:00:00Z": 0,
		"soon": 0,
	} {
		if got := untilUnblocked("ingestion blocked for user 'a' until '"+until+"' with", now); got != want {
			t.Errorf("%s: %v, want %v", until, got, want)
		}
	}
}

// FuzzClassify: whatever a server says, the items are in the body, in order.
func FuzzClassify(f *testing.F) {
	f.Add(400, `2 errors like: entry for stream '{app="a"}' has timestamp too old: 2026-10-01T12:00:02Z, oldest `+
		`acceptable timestamp is: 2026-10-08T00:00:00Z`)
	f.Add(400, "entry with timestamp 2026-10-01 12:00:01 +0000 UTC ignored, reason: 'x',\nuser 'f', total "+
		"ignored: 1 out of 5 for stream: {app=\"a\"}")
	f.Add(429, "entry with timestamp 2026-10-01 12:00:01 +0000 UTC ignored, reason: 'x',\ntotal ignored: 9 out of 9")
	f.Fuzz(func(t *testing.T, status int, text string) {
		body := answerBody(t)
		failure, _ := classify(&http.Response{StatusCode: status, Header: http.Header{}}, []byte(text), body)
		last := -1
		for _, item := range failure.Items {
			if item.Index <= last || item.Index >= len(body.Items) || item.Outcome == pipeline.Split ||
				item.Outcome == pipeline.Bisect {
				t.Fatalf("%+v", failure.Items)
			}
			last = item.Index
		}
		if failure.Items != nil && len(failure.Items) == 0 {
			t.Fatal("a failure in which nothing failed")
		}
	})
}
