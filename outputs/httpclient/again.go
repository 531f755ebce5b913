package httpclient

import (
	"context"
	"net/http"
	"time"
)

const (
	// maxAgain is how often a question is repeated.
	maxAgain = 3
	// soon is how fast one must fail to be repeated.
	soon = time.Second
)

// Again calls ask, and some times more at once, while it reports that it failed on the way and does
// so fast. It is for requests that change nothing: what takes many of them would otherwise begin
// anew for each that is lost.
func Again(ctx context.Context, ask func() (failed bool)) {
	for range maxAgain {
		began := time.Now()
		if !ask() || time.Since(began) > soon || ctx.Err() != nil {
			return
		}
	}
	ask()
}

// FailedOnTheWay reports whether a request may fare better at once: it was broken off, or the
// server, or what stands before it, failed. It is not so if that has asked for a pause.
func FailedOnTheWay(resp *http.Response, err error) bool {
	if err != nil {
		return RequestError(err).Uncertain
	}
	return resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented &&
		RetryAfter(resp.Header, time.Now()) == 0
}
