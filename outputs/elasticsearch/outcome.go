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
	case status == http.StatusBadRequest && !needsOperator(p), status == http.StatusConflict,
		status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity:
		return pipeline.Reject
	}
	return pipeline.Hold
}

// needsOperator reports whether a 400 is not the document's fault: no record may become a dead
// letter for it.
func needsOperator(p errorDetail) bool {
	switch p.errorType {
	case "index_closed_exception", "invalid_index_name_exception", "cluster_block_exception",
		"media_type_header_exception",         // of a header that the config or a proxy sets
		"action_request_validation_exception", // such as "type is missing", of servers before 7
		"validation_exception":                // such as "this cluster currently has [1000]/[1000] maximum shards open"
		return true
	case "json_parse_exception", "x_content_parse_exception":
		return strings.Contains(p.reason, "(CTRL-CHAR, code 31)") // gzip's first byte: the header was lost
	case "parse_exception":
		return p.reason == "request body is required" // something on the way took it out
	case "illegal_argument_exception":
		return strings.HasPrefix(p.reason, "pipeline with id [") ||
			// Every body is well-formed when it leaves: something on the way cut or changed it.
			strings.HasPrefix(p.reason, "Malformed action/metadata line") ||
			strings.HasPrefix(p.reason, "The bulk request must be terminated by a newline") ||
			strings.Contains(p.reason, "no write index is defined for alias") ||
			strings.Contains(p.reason, "maximum shards open") ||
			strings.Contains(p.reason, "maximum normal shards open")
	}
	return false
}

// notElastic follows what something else than the destination said.
const notElastic = "; this does not look like Elasticsearch, check the urls and what stands between"

// requestError returns the error of a request that was rejected; body is the head of the answer. A
// record is only to blame if the destination says so in its own words: any other 400 is of whoever
// stands between, and would make dead letters of everything.
func requestError(resp *http.Response, body []byte) *pipeline.SendError {
	e := httpclient.ResponseError(resp, body)
	p, found := readProblem(body)
	if found {
		e.Reason = httpclient.Location(resp.Request.URL) + ": " + p.String()
	}
	switch resp.StatusCode {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		e.Outcome = pipeline.Hold
		if found && p.reason != "" && !p.plain && !needsOperator(p) || blamesRecord(resp, body) {
			e.Outcome = pipeline.Bisect
			return e
		}
	}
	if !found && e.Outcome == pipeline.Hold {
		e.Reason += notElastic
	}
	return e
}

// blamesRecord reports whether VictoriaLogs says that a record cannot be read. What it says of a
// body that was cut or changed on the way is not meant.
func blamesRecord(resp *http.Response, body []byte) bool {
	said, ours := strings.CutPrefix(string(body), "cannot decode log message #")
	if !ours || httpclient.IsHTML(resp.Header) {
		return false
	}
	_, why, ours := strings.Cut(said, " in /_bulk request: ")
	return ours && !strings.HasPrefix(why, "cannot decode Elasticsearch protocol data") &&
		!strings.HasPrefix(why, "unexpected command") && !strings.HasPrefix(why, "missing log message")
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
		return errorDetail{reason: text, plain: true}, true
	}
	var whole struct {
		Type, Reason string
		Cause        struct{ Reason string } `json:"caused_by"`
	}
	if json.Unmarshal(answer.Error, &whole) != nil || whole.Type == "" && whole.Reason == "" {
		return errorDetail{}, false
	}
	return errorDetail{errorType: whole.Type, reason: whole.Reason, cause: whole.Cause.Reason}, true
}
