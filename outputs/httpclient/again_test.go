package httpclient

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestAgain(t *testing.T) {
	for name, test := range map[string]struct {
		fails int // times
		takes time.Duration
		ended bool
		want  int
	}{
		"at once": {want: 1}, "later": {fails: 2, want: 3}, "never": {fails: 100, want: 4},
		"slow": {fails: 100, takes: 2 * time.Second, want: 1}, "ended": {fails: 100, ended: true, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				asked := 0
				Again(ctx, func() bool {
					time.Sleep(test.takes)
					if test.ended {
						cancel()
					}
					asked++
					return asked <= test.fails
				})
				if asked != test.want {
					t.Errorf("asked %d times, want %d", asked, test.want)
				}
			})
		})
	}
}

func TestFailedOnTheWay(t *testing.T) {
	for status, want := range map[int]bool{200: false, 404: false, 429: false, 500: true, 501: false, 502: true} {
		if got := FailedOnTheWay(&http.Response{StatusCode: status}, nil); got != want {
			t.Errorf("%d: %v", status, got)
		}
	}
	busy := &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"7"}}}
	refused := &Error{Err: errors.New("connection refused")}
	if FailedOnTheWay(busy, nil) || FailedOnTheWay(nil, refused) || !FailedOnTheWay(nil, errors.New("reset")) {
		t.Error("what asks for a pause, or was not reached, is asked again at once")
	}
}
