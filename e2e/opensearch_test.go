package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/longshore/longshore/e2e/chatter/script"
	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// TestOpenSearch delivers to an index and to a data stream of OpenSearch, and
// ends the agent twice on the way, once without asking.
func TestOpenSearch(t *testing.T) {
	node := server.OpenSearch(t)
	w := writer{name: "sea", format: "json", lines: 12_000}
	file := filepath.Join(t.TempDir(), "sea.log")
	a := newAgent(t, fmt.Sprintf(`
inputs:
  files: {type: file, paths: [%s]}
outputs:
  index: {type: elasticsearch, urls: [%[2]q], index: "plain-{service}-{yyyy.MM}"}
  stream: {type: elasticsearch, urls: [%[2]q], index: logs-longshore-e2e, install_template: true}
`, file, node.URL))
	e := query.Elastic{URL: node.URL}
	fill(t, file, w, 0, 2_000)
	a.start()
	inElastic(t, e, "plain-sea-*", 2_000)
	a.stop()
	fill(t, file, w, 2_000, 10_000)
	a.start()
	inElastic(t, e, "logs-longshore-e2e", 2_001)
	a.kill()
	fill(t, file, w, 10_000, 12_000)
	a.start()
	for _, index := range []string{"plain-sea-*", "logs-longshore-e2e"} {
		inElastic(t, e, index, w.lines)
	}
	a.stop()
	for _, index := range []string{"plain-sea-*", "logs-longshore-e2e"} {
		checkDocs(t, w, elasticDocs(t, e, index), "sea")
		elasticFinds(t, e, index, "level:error", w.lines/6)
		elasticFinds(t, e, index, "trace_id:"+script.Trace("sea", 120), 10)
	}
	found, err := e.Docs(t.Context(), "logs-longshore-e2e")
	if err != nil {
		t.Fatal(err)
	}
	if name := found[0].Index; !strings.HasPrefix(name, ".ds-logs-longshore-e2e-") {
		t.Errorf("a document is in %s, which is no data stream's", name)
	}
}
