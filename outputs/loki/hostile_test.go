package loki

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longshore/longshore/outputs/httpclient/httppipe"
	"github.com/longshore/longshore/pipeline"
)

// flood writes a text again and again, until nobody reads it.
func flood(to io.Writer, text string) {
	text = strings.Repeat(text, 1+(32<<10)/len(text))
	for err := error(nil); err == nil; {
		_, err = io.WriteString(to, text)
	}
}

// TestHostileAnswersToAPush: answers that are too long, or made to mislead.
func TestHostileAnswersToAPush(t *testing.T) {
	tests := map[string]struct {
		status  int
		header  []string
		text    func(io.Writer)
		outcome pipeline.Outcome
		certain bool
		pause   time.Duration // at most
	}{
		"busy, for seconds": {status: 429, header: []string{"Retry-After", "7"}, certain: true,
			pause: 7 * time.Second},
		"busy, until a day": {status: 429, header: []string{"Retry-After", "Fri, 31 Dec 2999 23:59:59 GMT"},
			certain: true, pause: 5 * time.Minute},
		"busy, no word when": {status: 429, certain: true},
		"away, for seconds":  {status: 503, header: []string{"Retry-After", "2"}, pause: 2 * time.Second},
		"moved": {status: 307, header: []string{"Location", "http://elsewhere.invalid/"},
			outcome: pipeline.Hold, certain: true},
		"not modified": {status: 304, outcome: pipeline.Hold, certain: true},
		"a page": {status: 200, header: []string{"Content-Type", "text/html"},
			text: func(w io.Writer) { flood(w, "<p>") }, outcome: pipeline.Hold, certain: true},
		"endless words": {status: 500, text: func(w io.Writer) { flood(w, "boom ") }},
		"endless complaints": {status: 400, text: func(w io.Writer) {
			flood(w,
				`entry for stream '{a="b"}' has timestamp too old: `)
		}, outcome: pipeline.Bisect},
		"endless braces": {status: 400, text: func(w io.Writer) { flood(w, `stream '{`) }, outcome: pipeline.Bisect},
		"endless ignored ones": {status: 400, text: func(w io.Writer) {
			flood(w, "entry with timestamp 2026-10-01 12:00:01 +0000 UTC ignored, reason: 'x',\n")
		}, outcome: pipeline.Bisect},
		"a gzip bomb": {status: 500, header: []string{"Content-Encoding", "gzip"}, text: func(w io.Writer) {
			packed := gzip.NewWriter(w)
			flood(packed, "\x00")
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				for i := 0; i < len(test.header); i += 2 {
					w.Header().Set(test.header[i], test.header[i+1])
				}
				w.WriteHeader(test.status)
				if test.text != nil {
					test.text(w)
				}
			}))
			t.Cleanup(server.Close)
			o := newOutput(t, Config{URL: server.URL})
			failure, _ := o.Send(t.Context(), fill(t, o, batchOf(container("web"), "one", "two"))).(*pipeline.SendError)
			if failure == nil || failure.Outcome != test.outcome || failure.Uncertain == test.certain ||
				failure.Items != nil {
				t.Fatalf("got %+v", failure)
			}
			if failure.RetryAfter > test.pause || test.pause > 0 && failure.RetryAfter == 0 {
				t.Errorf("a pause of %v, want %v", failure.RetryAfter, test.pause)
			}
			if len(failure.Reason) > 2<<10 {
				t.Errorf("a reason of %d bytes", len(failure.Reason))
			}
		})
	}
}

// drips is a server that answers a byte a second, or nothing at all, and never comes to an end.
func drips(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if status > 0 {
			w.WriteHeader(status)
		}
		for r.Context().Err() == nil {
			if status > 0 {
				_, _ = io.WriteString(w, " ")
				w.(http.Flusher).Flush()
			}
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
			}
		}
	}
}

// TestDrippingAnswers: neither a push nor a question takes longer than its timeout.
func TestDrippingAnswers(t *testing.T) {
	for _, status := range []int{0, 200, 400, 429, 500} {
		synctest.Test(t, func(t *testing.T) {
			o := newOutput(t, Config{URL: "http://loki"})
			o.health.now = func() time.Time { return time.Unix(0, start) }
			o.client.Transport().DialContext = httppipe.Dial(t, drips(status))
			body := fill(t, o, batchOf(container("web"), "one", "two"))
			began := time.Now()
			var failure *pipeline.SendError
			if err := o.Send(t.Context(), body); !errors.As(err, &failure) || failure.Outcome != pipeline.Retry ||
				!failure.Uncertain {
				t.Errorf("%d: sent: %v", status, err)
			}
			if took := time.Since(began); took > o.client.Timeout() {
				t.Errorf("%d: Send took %v", status, took)
			}
			began = time.Now()
			err := o.Stored(context.Background(), body, make([]bool, 2))
			later := errors.As(err, &failure) && failure.Outcome == pipeline.Retry && failure.Uncertain
			if !later && !(status == 400 && errors.Is(err, pipeline.ErrUnknowable)) {
				t.Errorf("%d: asked: %v", status, err)
			}
			if took := time.Since(began); took > 10*o.client.Timeout() {
				t.Errorf("%d: Stored took %v", status, took)
			}
			o.Close()
		})
	}
}
