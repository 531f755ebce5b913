package query_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

func TestLoki(t *testing.T) {
	t.Run("Loki", func(t *testing.T) { asksLoki(t, server.Loki(t, "auth_enabled: true")) })
	t.Run("imitation", func(t *testing.T) { asksLoki(t, server.LokiImitation(t, "auth_enabled: true")) })
}

func asksLoki(t *testing.T, loki *server.LokiServer) {
	l := query.Loki{URL: loki.URL, Tenant: "one"}
	base := time.Unix(1_700_000_000, 0)
	const n = 12_345
	var values [][]any
	for i := range n {
		// Some share an instant, so that pages end in the midst of one.
		at := base.Add(time.Duration(i/7) * time.Microsecond)
		metadata := map[string]string{"i": fmt.Sprint(i)}
		values = append(values, []any{fmt.Sprint(at.UnixNano()), fmt.Sprintf("line %d", i), metadata})
	}
	push(t, l.URL, values)
	entries, err := l.Entries(t.Context(), `{a="b"}`, base, base.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range entries {
		if e.Labels["a"] != "b" || "line "+e.Metadata["i"] != e.Line {
			t.Fatalf("entry %+v", e)
		}
		seen[e.Line] = true
	}
	if len(entries) != n || len(seen) != n {
		t.Errorf("%d entries, %d different lines, want %d", len(entries), len(seen), n)
	}
	if count, err := l.Count(t.Context(), `{a="b"}`, base, base.Add(time.Second)); err != nil || count != n {
		t.Errorf("count %d, %v, want %d", count, err, n)
	}
	if count, err := l.Count(t.Context(), `{a="c"}`, base, base.Add(time.Second)); err != nil || count != 0 {
		t.Errorf("count of nothing: %d, %v", count, err)
	}
	// The range holds its start and not its end.
	if count, err := l.Count(t.Context(), `{a="b"}`, base, base.Add(time.Millisecond)); err != nil || count != 7000 {
		t.Errorf("count of the first millisecond: %d, %v, want 7000", count, err)
	}
}

func push(t *testing.T, url string, values [][]any) {
	t.Helper()
	stream := map[string]any{"stream": map[string]string{"a": "b"}, "values": values}
	body, err := json.Marshal(map[string]any{"streams": []any{stream}})
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"X-Scope-OrgID": {"one"}, "Content-Type": {"application/json"}}
	post(t, url+"/loki/api/v1/push", header, string(body))
}

func TestElastic(t *testing.T) {
	e := query.Elastic{URL: server.Elasticsearch(t).URL}
	if count, err := e.Count(t.Context(), "logs-none"); err != nil || count != 0 {
		t.Errorf("count of nothing: %d, %v", count, err)
	}
	if docs, err := e.Docs(t.Context(), "logs-none"); err != nil || len(docs) != 0 {
		t.Errorf("documents of nothing: %d, %v", len(docs), err)
	}
	const n = 6_000
	var bulk strings.Builder
	for i := range n {
		fmt.Fprintf(&bulk, "{\"create\":{\"_index\":\"logs-%d\",\"_id\":\"%d\"}}\n{\"i\":%d}\n", i%2, i, i)
	}
	post(t, e.URL+"/_bulk", http.Header{"Content-Type": {"application/x-ndjson"}}, bulk.String())
	if count, err := e.Count(t.Context(), "logs-*"); err != nil || count != n {
		t.Errorf("count %d, %v, want %d", count, err, n)
	}
	docs, err := e.Docs(t.Context(), "logs-*")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, doc := range docs {
		if string(doc.Source) != `{"i":`+doc.ID+`}` {
			t.Fatalf("document %s: %s", doc.ID, doc.Source)
		}
		seen[doc.ID] = true
	}
	if len(docs) != n || len(seen) != n {
		t.Errorf("%d documents, %d different, want %d", len(docs), len(seen), n)
	}
}

func post(t *testing.T, url string, header http.Header, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s answers %d", url, resp.StatusCode)
	}
}

func TestVictoriaLogs(t *testing.T) {
	v := query.VictoriaLogs{URL: server.VictoriaLogs(t).URL}
	const n = 12_345
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, "{\"_time\":%q,\"_msg\":\"line %d\",\"a\":\"b\"}\n", time.Now().Format(time.RFC3339Nano), i)
	}
	header := http.Header{"Content-Type": {"application/stream+json"}}
	post(t, v.URL+"/insert/jsonline?_stream_fields=a", header, lines.String())
	rows, err := v.Rows(t.Context(), `{a="b"}`)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, row := range rows {
		seen[row["_msg"]] = true
	}
	if len(rows) != n || len(seen) != n {
		t.Errorf("%d rows, %d different, want %d", len(rows), len(seen), n)
	}
	for query, want := range map[string]int{`{a="b"}`: n, `{a="c"}`: 0, `"line 17"`: 1} {
		if count, err := v.Count(t.Context(), query); err != nil || count != want {
			t.Errorf("%s counts %d, %v, want %d", query, count, err, want)
		}
	}
}
