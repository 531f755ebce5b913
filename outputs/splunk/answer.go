package splunk

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

// Codes of HEC, by "Troubleshoot HTTP Event Collector" of Splunk's documentation.
const (
	codeNoData         = 5
	codeInvalidFormat  = 6
	codeIncorrectIndex = 7
	codeBusy           = 9
	codeNoChannel      = 10
	codeInvalidChannel = 11
	codeNoEvent        = 12
	codeBlankEvent     = 13
	codeAckDisabled    = 14
	codeIndexedFields  = 15
	codeHealthy        = 17
	codeQueuesFull     = 18
	codeAckUnavailable = 19
	codeBothUnhealthy  = 20
	codeShuttingDown   = 23
)

// An answer is what a collector says.
type answer struct {
	Text    *string
	Code    *int
	AckID   *int64 `json:"ackId"`
	Invalid *int   `json:"invalid-event-number"`
}

func (a *answer) code() int { return *a.Code }

// readAnswer reads an answer. One without a code is not a collector's.
func readAnswer(text []byte) (a answer, ok bool) {
	ok = json.Unmarshal(text, &a) == nil && a.Code != nil && a.Text != nil
	return a, ok
}

// failure returns what an answer that is not success means for so many events.
func (o *Output) failure(resp *http.Response, text []byte, events int) *pipeline.SendError {
	said, known := readAnswer(text)
	failure := httpclient.ResponseError(resp, text)
	where := httpclient.Location(resp.Request.URL) + ": "
	if !known {
		return unknownAnswer(resp, where, failure)
	}
	failure.Reason = where + httpclient.Clean(fmt.Sprintf("%s (code %d, HTTP %d)", *said.Text, said.code(),
		resp.StatusCode))
	byCode(said.code(), failure)
	if failure.Outcome != pipeline.Bisect || said.Invalid == nil || *said.Invalid < 0 || *said.Invalid >= events {
		return failure
	}
	o.oneEvent(failure, *said.Invalid, said.code(), events)
	return failure
}

// unknownAnswer is for one that is not a collector's: it says nothing of an event.
func unknownAnswer(resp *http.Response, where string, failure *pipeline.SendError) *pipeline.SendError {
	switch {
	case resp.StatusCode/100 == 2:
		failure.Outcome, failure.Uncertain = pipeline.Hold, true
		failure.Reason = where + "the answer is not that of an HTTP Event Collector; check url and proxy"
	case failure.Outcome == pipeline.Bisect || failure.Outcome == pipeline.Reject:
		failure.Outcome = pipeline.Hold
	}
	return failure
}

// byCode has the code decide what becomes of all events.
func byCode(code int, failure *pipeline.SendError) {
	switch code {
	case codeInvalidFormat, codeIncorrectIndex, codeNoEvent, codeBlankEvent, codeIndexedFields:
		failure.Outcome, failure.Uncertain = pipeline.Bisect, false
	case codeBusy, codeQueuesFull, codeAckUnavailable, codeBothUnhealthy, codeShuttingDown:
		failure.Outcome, failure.Uncertain = pipeline.Retry, false
	case codeNoChannel, codeInvalidChannel:
		failure.Outcome = pipeline.Hold
		failure.Reason += "; the token wants acknowledgement: set acknowledge: true"
	case codeAckDisabled:
		failure.Outcome = pipeline.Hold
		failure.Reason += "; the token has it disabled: set acknowledge: false, or enable it"
	default:
		if failure.Outcome == pipeline.Bisect || failure.Outcome == pipeline.Reject {
			failure.Outcome = pipeline.Hold
		}
		if failure.Outcome == pipeline.Hold {
			failure.Reason += "; check token and url"
		}
	}
}

// oneEvent is for an answer that names the first event that is not taken. Whether those before it
// were is not documented, so all others are sent again. An index may yet be made, or allowed.
func (o *Output) oneEvent(failure *pipeline.SendError, invalid, code, events int) {
	outcome := pipeline.Reject
	if code == codeIncorrectIndex {
		outcome = pipeline.Hold
		failure.Reason += "; make the index, and allow the token to write to it"
		if o.fixedIndex {
			failure.Outcome = pipeline.Hold
			return
		}
	}
	failure.Outcome, failure.Uncertain = pipeline.Retry, true
	for i := range events {
		item := pipeline.ItemError{Index: i, Outcome: pipeline.Retry, Status: failure.Status,
			Reason: "another event of the request was not taken"}
		if i == invalid {
			item.Outcome, item.Reason = outcome, failure.Reason
		}
		failure.Items = append(failure.Items, item)
	}
}
