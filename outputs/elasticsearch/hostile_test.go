package elasticsearch

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longshore/longshore/outputs/httpclient/httppipe"
	"github.com/longshore/longshore/pipeline"
)

// floods answers with a text again and again, until nobody reads it.
func floods(status int, start, again string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		says(status, start, headers...)(w, r)
		var to io.Writer = w
		if w.Header().Get("Content-Encoding") == "gzip" {
			to = gzip.NewWriter(w)
		}
		again := strings.Repeat(again, 1+(32<<10)/len(again))
		for err := error(nil); err == nil; {
			_, err = io.WriteString(to, again)
		}
	}
}

// TestEndlessAnswers: of no answer more is read than there can be in it.
func TestEndlessAnswers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer  http.HandlerFunc
		outcome pipeline.Outcome
		certain bool
	}{
		"white space":      {answer: floods(200, "", " ")},
		"digits":           {answer: floods(200, `{"took":`, "1")},
		"a string":         {answer: floods(200, `{"items":[{"create":{"error":{"reason":"`, "x")},
		"items":            {answer: floods(200, `{"items":[`+created, ","+created)},
		"members":          {answer: floods(200, `{"a":1`, `,"a":1`)},
		"brackets":         {answer: floods(200, `{"a":`, "[")},
		"items in items":   {answer: floods(200, "", `{"items":[`)},
		"a gzip bomb":      {answer: floods(200, "", " ", "Content-Encoding", "gzip")},
		"words with a 400": {answer: floods(400, "", "boom "), outcome: pipeline.Hold, certain: true},
		"words with a 500": {answer: floods(500, "", "boom ")},
		"a page of any size": {answer: floods(200, "", "<p>", "Content-Type", "text/html"), outcome: pipeline.Hold,
			certain: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := send(t, output(t, Config{URLs: []string{serve(t, test.answer)}}), 2)
			if e == nil || e.Outcome != test.outcome || e.Uncertain == test.certain || e.Items != nil {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// TestRedirectedBulk: the body goes nowhere else.
func TestRedirectedBulk(t *testing.T) {
	t.Parallel()
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	for _, status := range []int{301, 307, 308} {
		e := send(t, output(t, Config{URLs: []string{serve(t, says(status, "", "Location", elsewhere))}}), 1)
		if e == nil || e.Outcome != pipeline.Hold || e.Uncertain {
			t.Errorf("%d: got %+v", status, e)
		}
	}
}

// drips answers a byte a second, or nothing at all, and never comes to an end.
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

// TestDrippingAnswers: no request takes longer than its timeout, wherever the server hangs.
func TestDrippingAnswers(t *testing.T) {
	const stream, refresh, search = "/_data_stream/" + defaultIndex, "/" + defaultIndex + "/_refresh",
		"/" + defaultIndex + "/_search"
	for _, path := range []string{"/_bulk", stream, refresh, search} {
		for _, status := range []int{0, 200, 429, 500} {
			synctest.Test(t, func(t *testing.T) {
				s := &holder{t: t, kinds: map[string]string{defaultIndex: "stream"}}
				slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == path {
						drips(status)(w, r)
						return
					}
					s.ServeHTTP(w, r)
				})
				o := output(t, Config{URLs: []string{"http://elasticsearch"}, DocumentIDs: true})
				o.wire.client.Transport().DialContext = httppipe.Dial(t, slow)
				began := time.Now()
				var err error
				if path == "/_bulk" {
					err = o.Send(t.Context(), sample(t, o, 2))
				} else {
					err = o.Stored(t.Context(), sample(t, o, 2), make([]bool, 2))
				}
				var e *pipeline.SendError
				if !errors.As(err, &e) || e.Outcome != pipeline.Retry || !e.Uncertain && status != 429 {
					t.Errorf("%s, %d: %v", path, status, err)
				}
				if took := time.Since(began); took > 2*o.wire.timeout() {
					t.Errorf("%s, %d: it took %v", path, status, took)
				}
				o.wire.client.CloseIdleConnections()
			})
		}
	}
}
