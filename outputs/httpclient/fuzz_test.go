package httpclient

import (
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzResponseError: whatever a server says, it makes one bounded line, and a pause within bounds.
func FuzzResponseError(f *testing.F) {
	f.Add(429, "7", "text/plain", "slow\r\n down\x1b[31m")
	f.Add(503, "Fri, 31 Dec 2999 23:59:59 GMT", "text/html", "<html><title>a\nb</title>")
	f.Add(200, "-1e999", "text/html", "<title>\xff\u2028</title>")
	f.Fuzz(func(t *testing.T, status int, after, kind, body string) {
		resp := &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {after}, "Content-Type": {kind}}}
		e := ResponseError(resp, []byte(body))
		if e.RetryAfter < 0 || e.RetryAfter > maxRetryAfter {
			t.Errorf("a pause of %v", e.RetryAfter)
		}
		if e.Reason == "" || len(e.Reason) > maxReason+len(" …") || !utf8.ValidString(e.Reason) ||
			strings.ContainsFunc(e.Reason, unicode.IsControl) {
			t.Errorf("the reason is %q", e.Reason)
		}
		if e.Uncertain && status != http.StatusRequestTimeout && status < 500 {
			t.Errorf("%d leaves doubt", status)
		}
	})
}
