package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/agent/verify"
	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// A gateway stands in front of a server. While it lies, it says that a push to Loki is
// stored and throws it away; while it is mute, it lets requests through, and never answers
// those that are not rejected.
type gateway struct {
	*httptest.Server
	mu     sync.Mutex
	lies   bool
	mute   bool
	pushed []byte // the largest push that it let through
}

func newGateway(t *testing.T, to string) *gateway {
	g := &gateway{}
	behind, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/push") && !g.passes(r) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		g.mu.Lock()
		mute := g.mute
		g.mu.Unlock()
		if !mute {
			proxy.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		proxy.ServeHTTP(answer, r)
		if answer.Code != http.StatusBadRequest {
			<-r.Context().Done()
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) passes(r *http.Request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if !g.lies && len(body) > len(g.pushed) {
		g.pushed = body
	}
	return !g.lies
}

func (g *gateway) lie(yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lies = yes
}

func (g *gateway) silence(yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mute = yes
}

// repeat pushes again the largest it let through: Loki stores twice what is no
// longer in its head block.
func (g *gateway) repeat(t *testing.T, to string) {
	resp, err := http.Post(to+"/loki/api/v1/push", "application/x-protobuf", bytes.NewReader(g.pushed))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp.Status)
	}
}

// verified is what longshore verify has found.
type verified struct {
	Clean bool
	verify.Report
}

// verify runs longshore verify beside the agent, and wants an exit code.
func (a *agent) verify(code int, args ...string) (v verified) {
	a.t.Helper()
	args = append([]string{"verify", "-c", a.config, "--json"}, args...)
	cmd := exec.Command(binary(a.t, "./cmd/longshore"), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		a.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		a.t.Errorf("longshore verify %s ended with %d, want %d\n%s\n%s", args, got, code, text, &stderr)
	}
	if len(text) == 0 {
		return v
	}
	if err := json.Unmarshal(text, &v); err != nil {
		a.t.Fatalf("%v\n%s", err, text)
	}
	return v
}

// delivered waits until the agent has delivered so many records, and noted it.
func (a *agent) delivered(output string, n int) {
	a.t.Helper()
	eventually(a.t, fmt.Sprintf("%d records delivered to %s", n, output), 2*time.Minute, func() (bool, string) {
		_, body := a.ask("/api/v1/status")
		var status struct {
			Outputs []struct {
				Name      string
				Delivered int
			}
		}
		if err := json.Unmarshal([]byte(body), &status); err != nil {
			return false, err.Error()
		}
		for _, o := range status.Outputs {
			if o.Name == output {
				return o.Delivered >= n, fmt.Sprint(o.Delivered)
			}
		}
		return false, body
	})
	time.Sleep(time.Second) // and in the ledger
}

// TestVerifyLoki: a gateway throws pushes away, and Loki is given some twice. Both is
// found beside the running agent, and what is missing is sent.
func TestVerifyLoki(t *testing.T) { ofEachLoki(t, verifyLoki) }

func verifyLoki(t *testing.T, start lokiStarter) {
	loki := start(t)
	front := newGateway(t, loki.URL)
	logs := t.TempDir()
	dated, bare := filepath.Join(logs, "dated.log"), filepath.Join(logs, "bare.log")
	when := around()
	a := newAgent(t, fmt.Sprintf(`
inputs:
  files: {type: file, paths: [%s/*.log]}
outputs:
  loki: {type: loki, url: %q}
`, logs, front.URL))
	json := writer{name: "dated", format: "json"}
	plain := writer{name: "bare", format: "plain"}
	fill(t, dated, json, 0, 3_000)
	fill(t, bare, plain, 0, 200)
	a.start()
	a.delivered("loki", 3_200)
	if v := a.verify(0); v.Totals.Found != 3_200 || !v.Clean {
		t.Errorf("at first: %+v", v.Totals)
	}
	front.lie(true)
	fill(t, dated, json, 3_000, 3_500)
	fill(t, bare, plain, 200, 230)
	a.delivered("loki", 3_730)
	front.lie(false)
	fill(t, dated, json, 3_500, 5_000)
	fill(t, bare, plain, 230, 300)
	a.delivered("loki", 5_300)

	l := query.Loki{URL: loki.URL}
	before, err := l.Count(t.Context(), `{filename=~".+"}`, when.from, when.to)
	if err != nil || before != 4_770 {
		t.Fatalf("Loki has %d entries, %v", before, err)
	}
	front.repeat(t, loki.URL)
	after, err := l.Count(t.Context(), `{filename=~".+"}`, when.from, when.to)
	if err != nil || after == before {
		t.Fatalf("Loki has %d entries after a repeat, %v", after, err)
	}
	repeated := after - before
	t.Logf("%d entries are there twice", repeated)

	want := verify.Counts{Checked: 5_300, Found: 4_770, Missing: 530, Duplicates: repeated}
	if diff := cmp.Diff(want, a.verify(1, "--dry-run").Totals); diff != "" {
		t.Errorf("before it is mended: %s", diff)
	}
	want = verify.Counts{Checked: 5_300, Found: 5_300, Resent: 530, Duplicates: repeated}
	if diff := cmp.Diff(want, a.verify(1).Totals); diff != "" {
		t.Errorf("when it is mended: %s", diff)
	}
	want.Resent = 0
	v := a.verify(1)
	if diff := cmp.Diff(want, v.Totals); diff != "" {
		t.Errorf("afterwards: %s", diff)
	}
	lokiCounts(t, l, `{filename=~".+"}`, when, 5_300+repeated)
	a.stop()
	if v := a.verify(1); v.Totals != want {
		t.Errorf("without the agent: %+v", v.Totals)
	}
	front.Close()
	a.verify(69, "--wait", "1s")
}

// TestVerifyElastic: documents are deleted, and in a data stream some are there
// twice, since it has rolled over.
func TestVerifyElastic(t *testing.T) {
	for name, test := range map[string]struct {
		start    func(testing.TB, ...string) *server.ElasticServer
		settings string
		pattern  string
		stream   bool
	}{
		"Elasticsearch": {server.Elasticsearch, `index: "audit-{yyyy.MM.dd}"`, "audit-*", false},
		"OpenSearch":    {server.OpenSearch, `index: logs-audit-e2e, install_template: true`, "logs-audit-e2e", true},
	} {
		t.Run(name, func(t *testing.T) {
			node := test.start(t)
			logs := t.TempDir()
			a := newAgent(t, fmt.Sprintf(`
inputs:
  files: {type: file, paths: [%s/*.log]}
outputs:
  elastic: {type: elasticsearch, urls: [%q], %s}
`, logs, node.URL, test.settings))
			fill(t, filepath.Join(logs, "dated.log"), writer{name: "dated", format: "json"}, 0, 3_000)
			fill(t, filepath.Join(logs, "bare.log"), writer{name: "bare", format: "plain"}, 0, 300)
			a.start()
			a.delivered("elastic", 3_300)
			e := query.Elastic{URL: node.URL}
			inElastic(t, e, test.pattern, 3_300)
			want := verify.Counts{Checked: 3_300, Found: 3_300}
			if diff := cmp.Diff(want, a.verify(0).Totals); diff != "" {
				t.Error(diff)
			}

			docs, err := e.Docs(t.Context(), test.pattern)
			if err != nil {
				t.Fatal(err)
			}
			if test.stream {
				ask(t, http.MethodPost, node.URL+"/"+test.pattern+"/_rollover", "")
				want.Duplicates = 25
				createAgain(t, node.URL+"/"+test.pattern, docs[:25])
			}
			want.Missing = 525
			want.Found -= want.Missing
			remove(t, node.URL, docs[25:25+want.Missing])
			code := 0
			if want.Duplicates > 0 {
				code = 1
			}
			if diff := cmp.Diff(want, a.verify(1, "--dry-run").Totals); diff != "" {
				t.Errorf("before it is mended: %s", diff)
			}
			want.Found, want.Missing, want.Resent = 3_300, 0, want.Missing
			if diff := cmp.Diff(want, a.verify(code).Totals); diff != "" {
				t.Errorf("when it is mended: %s", diff)
			}
			want.Resent = 0
			if diff := cmp.Diff(want, a.verify(code).Totals); diff != "" {
				t.Errorf("afterwards: %s", diff)
			}
			if n, err := e.Count(t.Context(), test.pattern); n != 3_300+want.Duplicates || err != nil {
				t.Errorf("%d documents, %v", n, err)
			}
			a.stop()
		})
	}
}

// createAgain creates documents in a data stream that has rolled over since.
func createAgain(t *testing.T, url string, docs []query.Doc) {
	t.Helper()
	var bulk strings.Builder
	for _, d := range docs {
		fmt.Fprintf(&bulk, "{\"create\":{\"_id\":%q}}\n%s\n", d.ID, d.Source)
	}
	ask(t, http.MethodPost, url+"/_bulk?refresh=true", bulk.String())
}

// remove deletes documents.
func remove(t *testing.T, url string, docs []query.Doc) {
	t.Helper()
	var bulk strings.Builder
	for _, d := range docs {
		fmt.Fprintf(&bulk, "{\"delete\":{\"_index\":%q,\"_id\":%q}}\n", d.Index, d.ID)
	}
	ask(t, http.MethodPost, url+"/_bulk?refresh=true", bulk.String())
}
