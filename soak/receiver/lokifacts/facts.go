// Package lokifacts holds what a Loki was measured to do, one fact each, in tests that run against
// a real one and against the imitation of it, so that the two cannot drift apart.
package lokifacts

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	logproto "github.com/grafana/loki/pkg/push"
	"github.com/klauspost/compress/s2"
)

// Defaults undo what tests set otherwise than Loki's defaults. Each fact is a tenant of its own.
const Defaults = `
auth_enabled: true
limits_config:
  ingestion_rate_mb: 4
  ingestion_burst_size_mb: 6
  per_stream_rate_limit: 3MB
  per_stream_rate_limit_burst: 15MB
  reject_old_samples: true
ingester: {query_store_max_look_back_period: 0s}
querier: {query_ingesters_within: 3h}
`

// Check holds a server against all facts. start starts one with Loki's defaults and a configuration
// laid over them, and returns its URL without a path.
func Check(t *testing.T, start func(t *testing.T, config string) string) {
	started := map[string]string{}
	for _, f := range facts {
		to, is := started[f.config]
		if !is {
			to = start(t, f.config)
			started[f.config] = to
		}
		t.Run(f.name, func(t *testing.T) {
			f.check(&tenant{T: t, url: to, name: strings.ReplaceAll(f.name, " ", "-")})
		})
	}
}

// A fact is what a Loki does, with a configuration that is laid over its defaults.
type fact struct {
	name, config string
	check        func(l *tenant)
}

// A tenant is one fact's own view of a server.
type tenant struct {
	*testing.T
	url, name string
}

// An answer is what a push was answered.
type answer struct {
	status int
	text   string
	header http.Header
}

func (l *tenant) do(method, path, contentType, encoding string, body []byte) answer {
	l.Helper()
	req, err := http.NewRequestWithContext(l.Context(), method, l.url+path, bytes.NewReader(body))
	if err != nil {
		l.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	if l.name != "" {
		req.Header.Set("X-Scope-OrgID", l.name)
	}
	req.Header.Set("X-Loki-Response-Encoding-Flags", "categorize-labels")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		l.Fatal(err)
	}
	return answer{resp.StatusCode, string(text), resp.Header}
}

func (l *tenant) push(streams ...logproto.Stream) answer {
	l.Helper()
	return l.pushTo("/loki/api/v1/push", streams...)
}

func (l *tenant) pushTo(path string, streams ...logproto.Stream) answer {
	l.Helper()
	raw, err := (&logproto.PushRequest{Streams: streams}).Marshal()
	if err != nil {
		l.Fatal(err)
	}
	return l.do(http.MethodPost, path, "application/x-protobuf", "", s2.EncodeSnappy(nil, raw))
}

// wants checks a push's answer by its status and words.
func (l *tenant) wants(got answer, status int, words ...string) {
	l.Helper()
	if got.status != status {
		l.Errorf("answered %d, want %d: %.500s", got.status, status, got.text)
	}
	for _, w := range words {
		if !strings.Contains(got.text, w) {
			l.Errorf("the answer has no %q: %.500s", w, got.text)
		}
	}
	if after := got.header.Get("Retry-After"); after != "" {
		l.Errorf("the answer has Retry-After: %s", after)
	}
}

// holds checks how many entries a selector has, by their count.
func (l *tenant) holds(selector string, want int) {
	l.Helper()
	params := url.Values{
		"query": {"sum(count_over_time(" + selector + "[1000h]))"},
		"time":  {strconv.FormatInt(time.Now().Add(time.Hour).UnixNano(), 10)},
	}
	got := l.do(http.MethodGet, "/loki/api/v1/query?"+params.Encode(), "", "", nil)
	var found struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal([]byte(got.text), &found); err != nil {
		l.Fatalf("%d %s", got.status, got.text)
	}
	n := "0"
	if len(found.Data.Result) > 0 {
		n = fmt.Sprint(found.Data.Result[0].Value[1])
	}
	if n != strconv.Itoa(want) {
		l.Errorf("%s counts %s, want %d", selector, n, want)
	}
}

// shown returns what a log query of the last 1000 hours shows, and its streams' labels.
func (l *tenant) shown(selector string, limit int) (lines []string, labels []map[string]string, got answer) {
	l.Helper()
	params := url.Values{
		"query": {selector}, "limit": {strconv.Itoa(limit)}, "direction": {"forward"},
		"start": {strconv.FormatInt(time.Now().Add(-700*time.Hour).UnixNano(), 10)},
		"end":   {strconv.FormatInt(time.Now().Add(time.Hour).UnixNano(), 10)},
	}
	got = l.do(http.MethodGet, "/loki/api/v1/query_range?"+params.Encode(), "", "", nil)
	var found struct {
		Data struct {
			Result []struct {
				Stream map[string]string
				Values [][]any
			}
		}
	}
	if json.Unmarshal([]byte(got.text), &found) != nil {
		return nil, nil, got
	}
	for _, s := range found.Data.Result {
		labels = append(labels, s.Stream)
		for _, v := range s.Values {
			lines = append(lines, fmt.Sprint(v[1]))
		}
	}
	return lines, labels, got
}

func stream(labels string, entries ...logproto.Entry) logproto.Stream {
	return logproto.Stream{Labels: labels, Entries: entries}
}

func at(ago time.Duration, line string, metadata ...string) logproto.Entry {
	e := logproto.Entry{Timestamp: time.Now().Add(-ago), Line: line}
	for i := 0; i < len(metadata); i += 2 {
		e.StructuredMetadata = append(e.StructuredMetadata,
			logproto.LabelAdapter{Name: metadata[i], Value: metadata[i+1]})
	}
	return e
}

// many are n entries of the last seconds, of so many bytes each.
func many(n, bytes int) []logproto.Entry {
	begin := time.Now().Add(-time.Minute)
	all := make([]logproto.Entry, n)
	for i := range all {
		text := fmt.Sprintf("line %d ", i)
		all[i] = logproto.Entry{Timestamp: begin.Add(time.Duration(i)),
			Line: text + strings.Repeat("x", max(0, bytes-len(text)))}
	}
	return all
}

func labels(n int) string {
	pairs := make([]string, n)
	for i := range pairs {
		pairs[i] = fmt.Sprintf("l%02d=\"v\"", i)
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

func jsonPush(value string) []byte {
	return fmt.Appendf(nil, `{"streams":[{"stream":{"a":"b"},"values":[["%d",%s]]}]}`, time.Now().UnixNano(), value)
}

func packed(body []byte, to func(io.Writer) io.WriteCloser) []byte {
	var b bytes.Buffer
	w := to(&b)
	w.Write(body)
	w.Close()
	return b.Bytes()
}

func gzipped(body []byte) []byte {
	return packed(body, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
}

func deflated(body []byte) []byte {
	return packed(body, func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 1); return f })
}
