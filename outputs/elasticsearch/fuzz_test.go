package elasticsearch

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/longshore/longshore/pipeline"
)

// FuzzWholeOutcome: whatever is said to a request as a whole makes one bounded line, and only a
// plain 400 or 413 takes it apart.
func FuzzWholeOutcome(f *testing.F) {
	f.Add(400, `{"error":{"type":"illegal_argument_exception","reason":"a\nb","caused_by":{"reason":"c"}}}`)
	f.Add(404, `{"error":"no such index","status":404}`)
	f.Add(200, `{"error":{"type":[]}}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		resp := &http.Response{StatusCode: status, Header: http.Header{},
			Request: &http.Request{URL: &url.URL{Host: "h"}}}
		e := requestError(resp, []byte(body))
		if e.Reason == "" || len(e.Reason) > 2*maxText || strings.ContainsFunc(e.Reason, unicode.IsControl) {
			t.Errorf("the reason is %q", e.Reason)
		}
		if e.Outcome == pipeline.Reject {
			t.Error("records are rejected by an answer that names none")
		}
	})
}

// FuzzTargets: a body out of the spool may have been written by anyone.
func FuzzTargets(f *testing.F) {
	f.Add([]byte("{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{}\n"))
	f.Add([]byte("{\"create\":[]}\n"))
	f.Fuzz(func(t *testing.T, item []byte) {
		body := &pipeline.Body{Bytes: append(append([]byte(nil), item...), item...)}
		body.Items = []pipeline.Item{{End: uint32(len(item))}, {End: uint32(2 * len(item))}}
		targets, err := groupByIndex(body)
		if err == nil && (len(targets) != 1 || len(targets[0].items) != 1) {
			t.Errorf("two equal actions have %d targets", len(targets))
		}
	})
}

// FuzzStored: no answer to a search makes a record count as stored whose id is not in it.
func FuzzStored(f *testing.F) {
	f.Add(`{"timed_out":false,"_shards":{"failed":0},"hits":{"hits":[{"_id":"ID"}]}}`)
	f.Add(`{"timed_out":false,"hits":{"hits":[{"_id":"ID"},{"_id":"x"},{}]}}`)
	f.Add(`{"timed_out":false,"_shards":{"failed":-1},"hits":null}`)
	var answer string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/_data_stream/"):
			says(200, `{"data_streams":[{"name":"a"}]}`)(w, r)
		case strings.HasSuffix(r.URL.Path, "/_search"):
			says(200, answer)(w, r)
		default:
			says(200, `{}`)(w, r)
		}
	}))
	f.Cleanup(server.Close)
	f.Fuzz(func(t *testing.T, text string) {
		o := output(t, Config{URLs: []string{server.URL}, DocumentIDs: true})
		body := sample(t, o, 2)
		targets, err := groupByIndex(body)
		if err != nil {
			t.Fatal(err)
		}
		ids := make([]string, 2)
		for id, i := range targets[0].items {
			ids[i] = id
		}
		answer = strings.ReplaceAll(text, "ID", ids[0])
		stored := make([]bool, 2)
		if err := o.Stored(t.Context(), body, stored); err != nil {
			var e *pipeline.SendError
			if !errors.Is(err, pipeline.ErrUnknowable) && !errors.As(err, &e) || stored[0] || stored[1] {
				t.Errorf("%s: %v, %v", answer, stored, err)
			}
			return
		}
		for i := range stored {
			if stored[i] && !strings.Contains(answer, ids[i]) && !strings.Contains(answer, `\u`) {
				t.Errorf("%s stores %s", answer, ids[i])
			}
		}
	})
}
