package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// change changes the agent's config.
func (a *agent) change(from, to string) {
	a.t.Helper()
	text, err := os.ReadFile(a.config)
	if err != nil {
		a.t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		a.t.Fatalf("there is no %s in the config", from)
	}
	if err := os.WriteFile(a.config, []byte(strings.ReplaceAll(string(text), from, to)), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// settled gives a count that does not change any more: a server may still be at work
// on a request whose sender is gone.
func settled(t *testing.T, count func() (int, error)) (n int) {
	t.Helper()
	same := 0
	eventually(t, "a count that stays", time.Minute, func() (bool, string) {
		now, err := count()
		if same++; now != n || err != nil {
			same = 0
		}
		n = now
		return same == 4, fmt.Sprint(n, " ", err)
	})
	return n
}

// TestOtherLabelsAfterACrash: what a killed agent has pushed without an answer is found
// in the streams that the config named then, and all else goes to those of now.
func TestOtherLabelsAfterACrash(t *testing.T) { ofEachLoki(t, otherLabelsAfterACrash) }

func otherLabelsAfterACrash(t *testing.T, start lokiStarter) {
	loki := start(t)
	front := newGateway(t, loki.URL)
	file := filepath.Join(t.TempDir(), "moved.log")
	when := around()
	w := writer{name: "moved", format: "json"}
	a := newAgent(t, fmt.Sprintf(`
inputs:
  files: {type: file, paths: [%s]}
outputs:
  loki: {type: loki, url: %q, labels: {app: before}}
`, file, front.URL))
	fill(t, file, w, 0, 1_000)
	a.start()
	a.delivered("loki", 1_000)
	front.silence(true)
	fill(t, file, w, 1_000, 2_000)
	l := query.Loki{URL: loki.URL}
	inLoki(t, l, `{app="before"}`, when, 1_001)
	a.kill()
	pushed := settled(t, func() (int, error) { return l.Count(t.Context(), `{app="before"}`, when.from, when.to) })
	fill(t, file, w, 2_000, 3_000)
	front.silence(false)
	a.change("app: before", "app: after")
	a.start()
	inLoki(t, l, `{app=~".+"}`, when, 3_000)
	a.stop()
	lokiCounts(t, l, `{app="before"}`, when, pushed)
	lokiCounts(t, l, `{app="after"}`, when, 3_000-pushed)
	if n := len(lokiEntries(t, l, `{app=~".+"}`, when)); n != 3_000 {
		t.Errorf("%d entries are shown", n)
	}
	t.Logf("%d records were at the place of before", pushed)
}

// TestAnotherIndexAfterACrash: the same with indices.
func TestAnotherIndexAfterACrash(t *testing.T) {
	node := server.Elasticsearch(t)
	front := newGateway(t, node.URL)
	file := filepath.Join(t.TempDir(), "moved.log")
	w := writer{name: "moved", format: "json"}
	a := newAgent(t, fmt.Sprintf(`
inputs:
  files: {type: file, paths: [%s]}
outputs:
  elastic: {type: elasticsearch, urls: [%q], index: "before-{yyyy}"}
`, file, front.URL))
	fill(t, file, w, 0, 1_000)
	a.start()
	a.delivered("elastic", 1_000)
	front.silence(true)
	fill(t, file, w, 1_000, 2_000)
	e := query.Elastic{URL: node.URL}
	inElastic(t, e, "before-*", 1_001)
	a.kill()
	stored := settled(t, func() (int, error) { return e.Count(t.Context(), "before-*") })
	fill(t, file, w, 2_000, 3_000)
	front.silence(false)
	a.change("before-{yyyy}", "after")
	a.start()
	inElastic(t, e, "after", 3_000-stored)
	a.stop()
	for index, want := range map[string]int{"before-*": stored, "after": 3_000 - stored} {
		if n, err := e.Count(t.Context(), index); n != want || err != nil {
			t.Errorf("%d documents in %s, want %d: %v", n, index, want, err)
		}
	}
	t.Logf("%d records were at the place of before", stored)
}
