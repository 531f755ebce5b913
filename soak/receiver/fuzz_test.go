package receiver

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	logproto "github.com/grafana/loki/pkg/push"
	"github.com/klauspost/compress/s2"
)

// FuzzPush holds the reader of push requests against Loki's own: what both can
// read, they read alike.
func FuzzPush(f *testing.F) {
	raw, err := (&logproto.PushRequest{Streams: []logproto.Stream{streamOf(`{a="b"}`, line{5, "one"},
		line{1e9, "two"})}}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Fuzz(func(t *testing.T, raw []byte) {
		l := &Loki{store: newStore("")}
		got, err := l.readPush(s2.EncodeSnappy(nil, raw))
		var want logproto.PushRequest
		if err != nil || want.Unmarshal(raw) != nil {
			return
		}
		p := got.(*push)
		if len(p.streams) != len(want.Streams) {
			t.Fatalf("%d streams, want %d", len(p.streams), len(want.Streams))
		}
		for i, s := range want.Streams {
			if p.streams[i].labels != s.Labels || len(p.streams[i].entries) != len(s.Entries) {
				t.Fatalf("stream %d: %q with %d entries, want %q with %d", i, p.streams[i].labels,
					len(p.streams[i].entries), s.Labels, len(s.Entries))
			}
			for k, e := range s.Entries {
				if string(p.streams[i].entries[k].line) != e.Line {
					t.Errorf("line %q, want %q", p.streams[i].entries[k].line, e.Line)
				}
			}
		}
	})
}

// FuzzBulk: what is read of a bulk request is what it is made of.
func FuzzBulk(f *testing.F) {
	f.Add([]byte("{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{}\n"), false)
	f.Add([]byte("\x1f\x8b"), true)
	f.Fuzz(func(t *testing.T, body []byte, packed bool) {
		r := &http.Request{Header: http.Header{}}
		if packed {
			r.Header.Set("Content-Encoding", "gzip")
		}
		got, err := (&Elasticsearch{}).readBulk(r, body)
		if err != nil || packed {
			return
		}
		if n := bytes.Count(body, []byte("\n")); got.len() != n/2 {
			t.Errorf("%d documents in %d lines", got.len(), n)
		}
	})
}

// FuzzLogQL: any query is parsed or refused, and matches or does not.
func FuzzLogQL(f *testing.F) {
	f.Add(`{a="b", c=~"d.*"} | line_format ` + "`{{len __line__}}`")
	f.Add(`sum by (a) (count_over_time({a!="b"}[5ms]))`)
	f.Add(`{a="b",}`)
	f.Fuzz(func(t *testing.T, text string) {
		labels := []label{{"a", "b"}}
		if q, err := parseLogQuery(text); err == nil {
			q.selector.matches(labels)
			if !strings.Contains(text, "range") && !strings.Contains(text, "%") { // templates may count to infinity
				_, _ = q.apply([]byte("line"))
			}
		}
		if c, err := parseCount(text); err == nil && c.span <= 0 {
			t.Errorf("a span of %v", c.span)
		}
		if read, err := parseLabels(text); err == nil && len(read) > len(text) {
			t.Errorf("%d labels", len(read))
		}
	})
}
