package loki

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

// Texts that tell Loki's answers apart, from its source at 3.x: pkg/validation/validate.go,
// pkg/util/http.go, pkg/ingester/stream.go, and google.golang.org/grpc.
const (
	msgTooLarge     = "larger than max" // grpc and util.ErrMessageSizeTooLarge alike
	msgBodyTooLarge = "request body too large"
	msgStreamLimit  = "maximum active stream limit exceeded"
	msgBlocked      = "ingestion blocked for user"
	msgParse        = "couldn't parse"
	msgNoStreams    = "at least one valid stream is required"
)

var (
	rateLimit     = regexp.MustCompile(`\(limit: (\d+) bytes/sec\).*?totaling '?(\d+)'? bytes`)
	invalidTenant = regexp.MustCompile(`(?i)\b(org|tenant) id\b`)
	blockedUntil  = regexp.MustCompile(msgBlocked + ` .* until '([^']+)'`)
	// ownWords are in every 400 of Loki that is about what was sent, known in full or not, and in
	// VictoriaLogs' (app/vlinsert/loki).
	ownWords = regexp.MustCompile(msgParse + `|error parsing labels '|at least one label pair is required` +
		`|(?i:entry for stream|max entry size) '|stream '\{|missing required labels '|entry with timestamp .* ignored` +
		`|total ignored: \d+ out of|message size too large than max|cannot read Loki protobuf data`)
)

// statusBlocked is Loki's for blocked ingestion, unless it is configured to be another.
const statusBlocked = 260

// classify returns what Send returns for an answer that is not success, and reports whether
// structured metadata is the reason.
func classify(resp *http.Response, text []byte, body *pipeline.Body) (_ *pipeline.SendError, rejectsMetadata bool) {
	failure := httpclient.ResponseError(resp, text)
	message := string(text)
	switch {
	case resp.StatusCode/100 == 2 && resp.StatusCode != statusBlocked:
		// What Loki answered may have been altered on the way.
		failure.Outcome, failure.Uncertain = pipeline.Hold, !httpclient.IsHTML(resp.Header)
		failure.Reason += notLoki
	case strings.Contains(message, msgBlocked):
		failure.Outcome, failure.Uncertain = pipeline.Hold, false
		failure.RetryAfter = untilUnblocked(message, time.Now())
	case strings.Contains(message, msgTooLarge), strings.Contains(message, msgBodyTooLarge):
		failure.Outcome = pipeline.Split
	case resp.StatusCode == http.StatusTooManyRequests:
		classifyLimit(failure, message, body)
	case !rejects(resp, message):
		// A gateway that cannot be passed says nothing about the records.
		failure.Outcome, failure.Uncertain = pipeline.Hold, !httpclient.IsHTML(resp.Header)
		failure.Reason += notLoki
	case resp.StatusCode == http.StatusBadRequest:
		return failure, classifyBadRequest(failure, text, body)
	}
	return failure, false
}

const notLoki = "; these are not the words of Loki: check the url and what stands before it"

// rejects reports whether an answer may be a rejection, which only the destination itself decides.
func rejects(resp *http.Response, message string) bool {
	switch resp.StatusCode {
	case http.StatusBadRequest:
		return !httpclient.IsHTML(resp.Header) && (ownWords.MatchString(message) || invalidTenant.MatchString(message))
	case http.StatusUnprocessableEntity:
		return strings.Contains(message, msgNoStreams)
	}
	return true
}

// classifyLimit distinguishes the limits of the tenant, of one stream, and of the number of
// streams.
func classifyLimit(failure *pipeline.SendError, message string, body *pipeline.Body) {
	if exceedsRate(message) && len(body.Items) > 1 {
		// More than the rate may be more than the burst, and then waiting never helps.
		failure.Outcome = pipeline.Split
		return
	}
	if strings.Contains(message, msgStreamLimit) {
		// Only one stream is named; others may have met the limit too.
		failure.Uncertain = len(groupsOf(body)) > 1
		return
	}
	if rejected, ok := parseRejected(message); ok {
		items, sure := rejected.items(body, pipeline.Retry, failure.Status)
		failure.Items = items
		failure.Uncertain = !sure
	}
}

func exceedsRate(message string) bool {
	m := rateLimit.FindStringSubmatch(message)
	if m == nil {
		return false
	}
	limit, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return false
	}
	total, err := strconv.ParseInt(m[2], 10, 64)
	return err == nil && total > limit
}

// classifyBadRequest handles a 400: Loki stores the valid entries of a request it could read, and
// describes the others.
func classifyBadRequest(failure *pipeline.SendError, text []byte, body *pipeline.Body) (rejectsMetadata bool) {
	message := string(text)
	switch {
	case invalidTenant.MatchString(message):
		failure.Outcome = pipeline.Hold
		return false
	case strings.Contains(message, msgParse):
		return false // nothing is stored
	}
	if rejected, ok := parseRejected(message); ok {
		items, sure := rejected.items(body, pipeline.Reject, failure.Status)
		if sure {
			failure.Outcome, failure.Items = pipeline.Reject, items
			return false
		}
	}
	result := classifyValidation(message, len(text) >= httpclient.MaxBody, body)
	if result.understood {
		failure.Outcome, failure.Items = pipeline.Reject, result.items(failure.Status)
		failure.Uncertain = result.incomplete
		return result.rejectsMetadata
	}
	// Some entries may be stored, and the answer does not say which.
	failure.Uncertain = true
	return false
}

// untilUnblocked returns the time until ingestion is unblocked, at most five minutes; 0 if the
// answer does not say.
func untilUnblocked(message string, now time.Time) time.Duration {
	m := blockedUntil.FindStringSubmatch(message)
	if m == nil {
		return 0
	}
	until, err := time.Parse(time.RFC3339, m[1])
	if err != nil {
		return 0
	}
	return min(max(0, until.Sub(now)), 5*time.Minute)
}
