package httpclient

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/longshore/longshore/pipeline"
)

const (
	// MaxBody is how much of an answer ReadBody keeps.
	MaxBody = 64 << 10
	// maxDrained is how much more it reads, so that the connection can be reused.
	maxDrained    = 256 << 10
	maxRetryAfter = 5 * time.Minute
	// maxReason bounds a destination's text in logs and dead letters.
	maxReason = 1 << 10
)

// ReadBody reads an answer, keeps its first MaxBody bytes, and closes it.
func ReadBody(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody))
	if err != nil {
		return body, fmt.Errorf("reading the answer: %w", err)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrained)
	return body, nil
}

// ResponseError returns what an output's Send returns for an answer that is not success, by its
// status alone; body is what ReadBody kept. Outputs that understand more of it change the outcome.
func ResponseError(resp *http.Response, body []byte) *pipeline.SendError {
	outcome, uncertain := outcomeOf(resp.StatusCode)
	where := ""
	if resp.Request != nil {
		where = Location(resp.Request.URL) + ": "
	}
	e := &pipeline.SendError{
		Outcome:    outcome,
		Uncertain:  uncertain,
		RetryAfter: RetryAfter(resp.Header, time.Now()),
		Status:     resp.StatusCode,
		Reason:     where + Message(resp, body),
	}
	if outcome == pipeline.Hold {
		e.Reason += advice(resp.StatusCode)
	}
	if isTLSPort(resp, body) {
		e.Outcome, e.Reason = pipeline.Hold, where+errTLSPort.Error()
	}
	return e
}

// advice returns which setting an answer is about.
func advice(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return " (401; check auth: the user and password, token or API key)"
	case http.StatusForbidden:
		return " (403; check auth: it must be someone who may write there)"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return fmt.Sprintf(" (%d; check the URL: nothing takes records at this address)", status)
	case http.StatusProxyAuthRequired:
		return " (407; check proxy: it wants a user and password in its URL)"
	}
	return ""
}

// Unanswered returns why an answer to a question about the server is not one from it, or not one
// to us; nil if the server answers, even that it does not know the question, or that who may write
// may not ask it (403).
func Unanswered(resp *http.Response, body []byte) error {
	if resp.StatusCode < 500 && resp.StatusCode != http.StatusUnauthorized && !isTLSPort(resp, body) {
		return nil
	}
	return ResponseError(resp, body)
}

func outcomeOf(status int) (outcome pipeline.Outcome, uncertain bool) {
	switch status {
	case http.StatusBadRequest:
		return pipeline.Bisect, false
	case http.StatusRequestEntityTooLarge:
		return pipeline.Split, false
	case http.StatusUnprocessableEntity:
		return pipeline.Reject, false
	case http.StatusTooManyRequests, http.StatusTooEarly:
		return pipeline.Retry, false
	case http.StatusRequestTimeout:
		return pipeline.Retry, true
	}
	if status >= 500 {
		return pipeline.Retry, true
	}
	return pipeline.Hold, false
}

// RetryAfter parses the header of that name (RFC 9110, 10.2.3), in seconds or as a date; 0 if it is
// missing or invalid, and at most five minutes.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return boundRetry(seconds)
	}
	if date, err := http.ParseTime(text); err == nil {
		return boundRetry(date.Sub(now).Seconds())
	}
	return 0
}

func boundRetry(seconds float64) time.Duration {
	if !(seconds > 0) {
		return 0
	}
	if seconds > maxRetryAfter.Seconds() {
		return maxRetryAfter
	}
	return time.Duration(seconds * float64(time.Second))
}

// Message returns a destination's text for logs: one bounded line, only the title of a gateway's
// HTML page, or the status's text if there is none.
func Message(resp *http.Response, body []byte) string {
	text := string(body)
	if IsHTML(resp.Header) {
		text = title(text)
	}
	if text = Clean(withoutCredentials(text, resp.Request)); text != "" {
		return text
	}
	if text = http.StatusText(resp.StatusCode); text != "" {
		return text
	}
	return "an answer without words"
}

// withoutCredentials takes out of a destination's text what was sent to it as Authorization: also
// tokens that were read or renewed for this request, which nobody else knows.
func withoutCredentials(text string, sent *http.Request) string {
	if sent == nil {
		return text
	}
	_, credentials, _ := strings.Cut(sent.Header.Get("Authorization"), " ")
	masked := []string{credentials}
	if _, password, ok := sent.BasicAuth(); ok {
		masked = append(masked, password)
	}
	for _, secret := range masked {
		if len(secret) >= shortestMasked {
			text = strings.NewReplacer(secret, "***", url.QueryEscape(secret), "***").Replace(text)
		}
	}
	return text
}

// shortestMasked is how long a credential is at least that is taken out of texts.
const shortestMasked = 4

// IsHTML reports whether an answer is a page for people: a gateway's, or a login's.
func IsHTML(h http.Header) bool { return strings.HasPrefix(h.Get("Content-Type"), "text/html") }

func title(page string) string {
	_, after, _ := strings.Cut(page, "<title>")
	inside, _, found := strings.Cut(after, "</title>")
	if !found {
		return ""
	}
	return inside
}

// Clean makes a destination's text fit for logs: valid UTF-8 in one bounded line, without control
// characters.
func Clean(s string) string {
	long := len(s) > maxReason
	if long {
		s = s[:maxReason]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if long {
		s += " …"
	}
	return s
}
