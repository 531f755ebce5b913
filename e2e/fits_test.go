package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/longshore/longshore/e2e/server"
	"github.com/longshore/longshore/outputs/elasticsearch"
	"github.com/longshore/longshore/outputs/elasticsearch/mapping/mappingtest"
	"github.com/longshore/longshore/parsers/json"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// TestAnyLineFitsAnEmptyIndex sends lines made at random, each to an index of its own that has no
// mapping yet, and wants none of them rejected.
func TestAnyLineFitsAnEmptyIndex(t *testing.T) {
	const lines = 60 // of each schema
	for name, start := range map[string]func(testing.TB, ...string) *server.ElasticServer{
		"Elasticsearch": server.Elasticsearch, "OpenSearch": server.OpenSearch,
	} {
		t.Run(name, func(t *testing.T) {
			url := start(t, "cluster.max_shards_per_node=20000").URL
			seed := rand.Uint64()
			for _, schema := range []string{"default", "ecs", "otel"} {
				all := mappingtest.Random(seed, lines)
				if schema == "default" {
					all = append(mappingtest.Awkward(), all...)
				}
				for from := 0; from < len(all); from += 50 {
					fitLines(t, url, schema, all[from:min(len(all), from+50)])
				}
			}
			if t.Failed() {
				t.Logf("the seed was %d", seed)
			}
		})
	}
}

// fitLines sends lines, each to an index of its own, and removes these.
func fitLines(t *testing.T, url, schema string, lines []string) {
	t.Helper()
	out := newElasticsearch(t, fmt.Sprintf(
		"{proxy: none, urls: [%q], index: 'fits-{n}', schema: %s, max_indices: 10000, "+
			"timeout: 2m}", url, schema)) // a busy machine makes few indices a second
	body := &pipeline.Body{}
	encoder := out.Encoder()
	parser := json.New(nil)
	for i, line := range lines {
		b := &event.Batch{}
		b.Reset(event.NewSource(event.SourceID(i+1), "files", "/a.log", []event.Label{
			{Name: "filename", Value: "/a.log"}, {Name: "host.name", Value: "web-1"}, {Name: "n", Value: fmt.Sprint(i)},
		}))
		b.Add(1, 1_700_000_000_000_000_000, b.PutString(line))
		parser.Parse(b, 0)
		if _, err := encoder.Encode(body, b, 0); err != nil {
			t.Fatal(err)
		}
		body.Items = append(body.Items, pipeline.Item{Pos: 1, End: uint32(len(body.Bytes))})
	}
	err := out.Send(t.Context(), body)
	var failure *pipeline.SendError
	if errors.As(err, &failure) {
		for _, item := range failure.Items {
			line := lines[item.Index]
			t.Errorf("%s: %s\n%s\n%s", schema, item.Reason, line[:min(len(line), 2000)],
				firstBytes(out.Original(body, item.Index), 2000))
		}
	}
	if err != nil && (failure == nil || failure.Items == nil) {
		t.Errorf("%s: %v", schema, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, url+"/fits-*", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.Body.Close() != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
}

func firstBytes(p []byte, n int) []byte { return p[:min(len(p), n)] }

func newElasticsearch(t *testing.T, config string) pipeline.Output {
	t.Helper()
	out, err := pipetest.Config[*elasticsearch.Config](t, elasticsearch.Spec(), config).Output(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return out
}
