package elasticsearch

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

// A bulkResult sums up the items of an answer.
type bulkResult struct {
	ids bool

	failed       []pipeline.ItemError
	uncertain    bool
	duplicates   int
	failureStore int
}

func (t *bulkResult) add(i int, it *item) {
	switch {
	case it.status >= 200 && it.status < 300:
		if it.failureStore {
			t.failureStore++
		}
		return
	case it.status == http.StatusConflict && t.ids:
		t.duplicates++ // the id is there: the record was stored by an earlier request
		return
	}
	t.uncertain = t.uncertain || it.status >= 500
	t.failed = append(t.failed, pipeline.ItemError{
		Index:   i,
		Outcome: itemOutcome(it.status, it.detail),
		Status:  it.status,
		Reason:  it.detail.String(),
	})
}

// err returns what Send returns.
func (t *bulkResult) err(where string, retryAfter time.Duration) error {
	if len(t.failed) == 0 {
		return nil
	}
	first := t.failed[0]
	return &pipeline.SendError{
		Outcome:    first.Outcome,
		Items:      t.failed,
		Uncertain:  t.uncertain,
		RetryAfter: retryAfter,
		Status:     first.Status,
		Reason:     fmt.Sprintf("%s: %d records were not stored; the first: %s", where, len(t.failed), first.Reason),
	}
}

func itemOutcome(status int, p errorDetail) pipeline.Outcome {
	switch {
	case status == http.StatusTooManyRequests, status >= 500, status < 400:
		return pipeline.Retry
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		return pipeline.Hold
	case status == http.StatusBadRequest && needsOperator(p):
		return pipeline.Hold
	}
	return pipeline.Reject
}

// needsOperator reports whether a 400 is not the document's fault: no record may become a dead
// letter for it.
func needsOperator(p errorDetail) bool {
	switch p.errorType {
	case "index_closed_exception", "invalid_index_name_exception", "cluster_block_exception",
		"media_type_header_exception", // of a header that the config or a proxy sets
		"validation_exception":        // such as "this cluster currently has [1000]/[1000] maximum shards open"
		return true
	case "illegal_argument_exception":
		return strings.HasPrefix(p.reason, "pipeline with id [") ||
			strings.Contains(p.reason, "no write index is defined for alias") ||
			strings.Contains(p.reason, "maximum shards open") ||
			strings.Contains(p.reason, "maximum normal shards open")
	}
	return false
}

// requestError returns the error of a request that was rejected; body is the head of the answer.
func requestError(resp *http.Response, body []byte) *pipeline.SendError {
	e := httpclient.ResponseError(resp, body)
	p, found := readProblem(body)
	if found {
		e.Reason = httpclient.Location(resp.Request.URL) + ": " + p.String()
	}
	if resp.StatusCode == http.StatusOK && httpclient.IsHTML(resp.Header) {
		e.Reason += "; this does not look like Elasticsearch, check the urls"
	}
	switch resp.StatusCode {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		e.Outcome = pipeline.Bisect
		if needsOperator(p) || !found && misdirected(resp, body) {
			e.Outcome = pipeline.Hold
		}
	}
	return e
}

// misdirected reports whether a 400 is not from Elasticsearch, or from another port.
func misdirected(resp *http.Response, body []byte) bool {
	text := strings.ToLower(string(body))
	return httpclient.IsHTML(resp.Header) ||
		strings.Contains(text, "to an https server") || strings.Contains(text, "to https port")
}

// readProblem returns Elasticsearch's error in an answer.
func readProblem(body []byte) (errorDetail, bool) {
	var answer struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Error) == 0 {
		return errorDetail{}, false
	}
	var text string
	if json.Unmarshal(answer.Error, &text) == nil {
		return errorDetail{reason: text}, true
	}
	var whole struct {
		Type, Reason string
		Cause        struct{ Reason string } `json:"caused_by"`
	}
	if json.Unmarshal(answer.Error, &whole) != nil {
		return errorDetail{}, false
	}
	return errorDetail{whole.Type, whole.Reason, whole.Cause.Reason}, true
}
