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

// The words by which Loki's answers are told apart, from its source at 3.x:
// pkg/validation/validate.go, pkg/util/http.go, pkg/ingester/stream.go, and
// google.golang.org/grpc.
const (
	saysTooLarge    = "larger than max" // grpc and util.ErrMessageSizeTooLarge alike
	saysBodyLarge   = "request body too large"
	saysStreamLimit = "maximum active stream limit exceeded"
	saysBlocked     = "ingestion blocked for user"
	saysParse       = "couldn't parse"
)

var (
	rateLimit    = regexp.MustCompile(`\(limit: (\d+) bytes/sec\).*?totaling '?(\d+)'? bytes`)
	tenantWrong  = regexp.MustCompile(`(?i)\b(org|tenant) id\b`)
	blockedUntil = regexp.MustCompile(saysBlocked + ` .* until '([^']+)'`)
)

// judge turns an answer that is not success into what Send returns, and says
// whether structured metadata is the reason.
func judge(resp *http.Response, text []byte, body *pipeline.Body) (failure *pipeline.SendError, refusesMetadata bool) {
	failure = httpclient.Answered(resp, text)
	said := string(text)
	switch {
	case resp.StatusCode == http.StatusOK:
		failure.Outcome = pipeline.Hold
		failure.Reason += "; this does not look like Loki, check the url"
	case strings.Contains(said, saysBlocked):
		failure.Outcome, failure.Uncertain = pipeline.Hold, false
		failure.RetryAfter = untilUnblocked(said, time.Now())
	case strings.Contains(said, saysTooLarge), strings.Contains(said, saysBodyLarge):
		failure.Outcome = pipeline.Split
	case resp.StatusCode == http.StatusTooManyRequests:
		judgeLimit(failure, said, body)
	case resp.StatusCode == http.StatusBadRequest:
		return failure, judgeBad(failure, text, body)
	}
	return failure, false
}

// judgeLimit finds out who met a limit: the tenant, one stream, or the number of
// streams.
func judgeLimit(failure *pipeline.SendError, said string, body *pipeline.Body) {
	if exceedsRate(said) && len(body.Items) > 1 {
		// More than the limit at once may be more than the burst, and then
		// waiting never helps.
		failure.Outcome = pipeline.Split
		return
	}
	if strings.Contains(said, saysStreamLimit) {
		// One stream is named; others may have met the limit unnamed.
		failure.Uncertain = len(groupsOf(body)) > 1
		return
	}
	if ignored, ok := parseIgnored(said); ok {
		items, sure := ignored.items(body, pipeline.Retry, failure.Status)
		failure.Items = items
		failure.Uncertain = !sure
	}
}

func exceedsRate(said string) bool {
	m := rateLimit.FindStringSubmatch(said)
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

// judgeBad handles a 400. Loki stores what is good of a request that it could
// read, and words what is bad.
func judgeBad(failure *pipeline.SendError, text []byte, body *pipeline.Body) (refusesMetadata bool) {
	said := string(text)
	switch {
	case tenantWrong.MatchString(said):
		failure.Outcome = pipeline.Hold
		return false
	case strings.Contains(said, saysParse):
		return false // nothing is stored
	}
	if ignored, ok := parseIgnored(said); ok {
		items, sure := ignored.items(body, pipeline.Reject, failure.Status)
		if sure {
			failure.Outcome, failure.Items = pipeline.Reject, items
			return false
		}
	}
	verdict := judgeValidation(said, len(text) >= httpclient.KeptBody, body)
	if verdict.understood {
		failure.Outcome, failure.Items = pipeline.Reject, verdict.items(failure.Status)
		failure.Uncertain = verdict.doubt
		return verdict.metadata
	}
	// Some may be stored, some not, and it cannot be told which.
	failure.Uncertain = true
	return false
}

// untilUnblocked gives the time until ingestion is let through again, five
// minutes at most; 0 if the answer does not say.
func untilUnblocked(said string, now time.Time) time.Duration {
	m := blockedUntil.FindStringSubmatch(said)
	if m == nil {
		return 0
	}
	until, err := time.Parse(time.RFC3339, m[1])
	if err != nil {
		return 0
	}
	return min(max(0, until.Sub(now)), 5*time.Minute)
}
