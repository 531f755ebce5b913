package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/chatter/script"
	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// toLoki is an agent that follows one file, with further settings of its output.
func toLoki(t *testing.T, file string, loki *server.LokiServer, settings string) *agent {
	t.Helper()
	return newAgent(t, fmt.Sprintf(`
inputs:
  files: {type: file, paths: [%s]}
outputs:
  loki: {type: loki, url: %q%s}
`, file, loki.URL, settings))
}

func TestLokiWithoutStructuredMetadata(t *testing.T) { ofEachLoki(t, lokiWithoutStructuredMetadata) }

func lokiWithoutStructuredMetadata(t *testing.T, start lokiStarter) {
	loki := start(t, "limits_config: {allow_structured_metadata: false}")
	w := writer{name: "bare", format: "json", lines: 600}
	file := filepath.Join(t.TempDir(), "bare.log")
	when := around()
	fill(t, file, w, 0, 300)
	a := toLoki(t, file, loki, "")
	a.start()
	l := query.Loki{URL: loki.URL}
	inLoki(t, l, `{service_name="bare"}`, when, 300)
	fill(t, file, w, 300, 600)
	inLoki(t, l, `{service_name="bare"}`, when, 600)
	a.stop()

	var docs []doc
	for _, entry := range lokiEntries(t, l, `{service_name="bare"}`, when) {
		if len(entry.Metadata) > 0 {
			t.Fatalf("an entry has the metadata %v", entry.Metadata)
		}
		var d doc
		if err := json.Unmarshal([]byte(entry.Line), &d); err != nil {
			t.Fatalf("%.100q: %v", entry.Line, err)
		}
		docs = append(docs, d)
	}
	checkDocs(t, w, docs, "bare")
	lokiCounts(t, l, `{service_name="bare"}`, when, 600)
	lokiCounts(t, l, fmt.Sprintf(`{service_name="bare"} | json | trace_id=%q`, script.Trace("bare", 120)), when, 10)
	if n := strings.Count(a.log.String(), "Loki rejects structured metadata"); n != 1 {
		t.Errorf("the agent says %d times that Loki rejects structured metadata, want once", n)
	}
}

func TestLokiTenant(t *testing.T) { ofEachLoki(t, lokiTenant) }

func lokiTenant(t *testing.T, start lokiStarter) {
	loki := start(t, "auth_enabled: true")
	w := writer{name: "tenant", format: "logfmt", lines: 200}
	file := filepath.Join(t.TempDir(), "tenant.log")
	when := around()
	fill(t, file, w, 0, w.lines)
	a := toLoki(t, file, loki, ", tenant_id: shop")
	a.start()
	shop := query.Loki{URL: loki.URL, Tenant: "shop"}
	inLoki(t, shop, `{service_name="tenant"}`, when, w.lines)
	a.stop()
	checkDocs(t, w, lokiDocs(t, shop, w, when), "tenant")
	lokiCounts(t, query.Loki{URL: loki.URL, Tenant: "other"}, `{service_name="tenant"}`, when, 0)
}

// TestLokiKeepsEqualLines writes lines that agree in time and text. Of those Loki would keep one.
func TestLokiKeepsEqualLines(t *testing.T) { ofEachLoki(t, lokiKeepsEqualLines) }

func lokiKeepsEqualLines(t *testing.T, start lokiStarter) {
	loki := start(t)
	at := time.Now().UTC().Truncate(time.Millisecond)
	same := fmt.Sprintf(`{"time":%q,"level":"warn","msg":"queue is full","trace_id":%q}`,
		at.Format(time.RFC3339Nano), script.Trace("same", 0))
	file := filepath.Join(t.TempDir(), "same.log")
	when := around()
	add(t, file, bytes.Repeat([]byte(same+"\n"), 100))
	a := toLoki(t, file, loki, ", line_format: raw")
	a.start()
	l := query.Loki{URL: loki.URL}
	inLoki(t, l, `{service_name="same"}`, when, 100)
	a.stop()
	add(t, file, bytes.Repeat([]byte(same+"\n"), 100))
	a.start()
	inLoki(t, l, `{service_name="same"}`, when, 200)
	a.stop()
	lokiCounts(t, l, `{service_name="same"}`, when, 200)

	entries := lokiEntries(t, l, `{service_name="same"}`, when)
	if len(entries) != 200 {
		t.Fatalf("a log query finds %d entries, want 200", len(entries))
	}
	for i, entry := range entries {
		if want := at.Add(time.Duration(i)); !entry.Time.Equal(want) || entry.Line != same {
			t.Fatalf("entry %d is %s %s, want the time %s and the line %s", i, entry.Time, entry.Line, want, same)
		}
	}
}

// TestLokiSharedStream follows files of equal lines whose labels make one stream of them, with a
// crash and a repeat on the way: each line is there once for each file, and verify says the same.
func TestLokiSharedStream(t *testing.T) { ofEachLoki(t, lokiSharedStream) }

func lokiSharedStream(t *testing.T, start lokiStarter) {
	for _, test := range []struct{ name, loki, settings string }{
		{"metadata", "", ""},
		{"none is sent", "", ", structured_metadata: off"},
		{"none is taken", "limits_config: {allow_structured_metadata: false}", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			loki := start(t, test.loki)
			front := newGateway(t, loki.URL)
			folder := t.TempDir()
			write := func(from, to int) {
				var text []byte
				for i := from; i < to; i++ {
					text = fmt.Appendln(text, script.Line("json", "shared", i, time.Now()))
				}
				add(t, filepath.Join(folder, "one.log"), text)
				add(t, filepath.Join(folder, "two.log"), text)
			}
			when := around()
			a := newAgent(t, fmt.Sprintf(`
inputs:
  files: {type: file, paths: [%s/*.log]}
outputs:
  loki: {type: loki, url: %q, labels: {job: x}, line_format: raw%s}
`, folder, front.URL, test.settings))
			l := query.Loki{URL: loki.URL}
			shipAroundACrash(t, a, front, l, when, func() { write(0, 100) }, func() { write(100, 200) })
			if v := a.verify(0); v.Totals.Checked != 400 || v.Totals.Found != 400 || !v.Clean {
				t.Errorf("verify: %+v", v.Totals)
			}
		})
	}
}

// shipAroundACrash has an agent ship what is written in two halves of 200 entries each, all with
// job="x", and kills it while what it has sent of the second is not answered.
func shipAroundACrash(
	t *testing.T, a *agent, front *gateway, l query.Loki, when span, first, second func(),
) {
	t.Helper()
	first()
	a.start()
	inLoki(t, l, `{job="x"}`, when, 200)
	front.silence(true)
	second()
	inLoki(t, l, `{job="x"}`, when, 201)
	a.kill()
	front.silence(false)
	a.start()
	inLoki(t, l, `{job="x"}`, when, 400)
	a.delivered("loki", 200)
	a.stop()
	lokiCounts(t, l, `{job="x"}`, when, 400)
}

// TestLokiAhead follows programs whose times are ahead of Loki's clock, with a crash on the way:
// every line is there once, at the time that its source knows or near now, and verify finds it.
func TestLokiAhead(t *testing.T) { ofEachLoki(t, lokiAhead) }

func lokiAhead(t *testing.T, start lokiStarter) {
	loki := start(t)
	front := newGateway(t, loki.URL)
	folder := t.TempDir()
	write := func(from, to int) {
		files := map[string][]byte{}
		for i := from; i < to; i++ {
			now := time.Now().UTC()
			for name, ahead := range map[string]time.Duration{"berlin": time.Hour, "tokyo": 9 * time.Hour,
				"far": 50 * time.Hour} {
				files[name] = fmt.Appendf(files[name], "%s ERROR [main] order %d failed\n",
					now.Add(ahead).Format("2006-01-02 15:04:05,000"), i)
			}
			files["docker"] = fmt.Appendf(files["docker"], `{"log":"%s ERROR order %d failed\n","stream":"stdout",`+
				`"time":%q}`+"\n", now.Add(time.Hour).Format("2006-01-02 15:04:05.000"), i,
				now.Format(time.RFC3339Nano))
		}
		for name, text := range files {
			add(t, filepath.Join(folder, name+".log"), text)
		}
	}
	when := around()
	a := newAgent(t, fmt.Sprintf(`
inputs:
  files: {type: file, paths: [%s/*.log]}
outputs:
  loki: {type: loki, url: %q, labels: {job: x, file: "{filename}"}}
`, folder, front.URL))
	l := query.Loki{URL: loki.URL}
	shipAroundACrash(t, a, front, l, when, func() { write(0, 50) }, func() { write(50, 100) })
	for _, entry := range lokiEntries(t, l, `{job="x"}`, when) {
		if ahead := time.Until(entry.Time); ahead > time.Minute || ahead < -20*time.Minute {
			t.Fatalf("an entry is %v from now: %s", ahead, entry.Line)
		}
		shifted := !strings.Contains(fmt.Sprint(entry.Labels), "docker.log")
		if marked := strings.Contains(entry.Line, `"time_rejected":true`); marked != shifted {
			t.Fatalf("marked %v: %v %s", marked, entry.Labels, entry.Line)
		}
	}
	if v := a.verify(0); v.Totals.Checked != 400 || v.Totals.Found != 400 || !v.Clean {
		t.Errorf("verify: %+v", v.Totals)
	}
}

// TestLokiRateLimits sends more than Loki takes, to the tenant and to each stream.
func TestLokiRateLimits(t *testing.T) { ofEachLoki(t, lokiRateLimits) }

func lokiRateLimits(t *testing.T, start lokiStarter) {
	for _, test := range []struct{ name, limits string }{
		{"tenant", "{ingestion_rate_mb: 0.5, ingestion_burst_size_mb: 0.6}"},
		{"stream", "{per_stream_rate_limit: 500KB, per_stream_rate_limit_burst: 600KB}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			loki := start(t, "limits_config: "+test.limits)
			w := writer{name: "rate", format: "json", lines: 10_000} // 2.6 MB with its metadata
			file := filepath.Join(t.TempDir(), "rate.log")
			when := around()
			fill(t, file, w, 0, w.lines)
			a := toLoki(t, file, loki, ", retry: {max_backoff: 1s}")
			a.start()
			l := query.Loki{URL: loki.URL}
			inLoki(t, l, `{service_name="rate"}`, when, w.lines)
			a.stop()
			checkDocs(t, w, lokiDocs(t, l, w, when), "rate")
			lokiCounts(t, l, `{service_name="rate"}`, when, w.lines)
			if !strings.Contains(a.log.String(), "429") && !strings.Contains(a.log.String(), "rate limit") {
				t.Error("no limit was met: the test shows nothing")
			}
		})
	}
}
