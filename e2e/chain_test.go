package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/chatter/script"
	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

const (
	chainWriters = 4
	chainLines   = 5_000 // of each
	chainKills   = 12    // of agents and aggregators
)

// TestKafkaChain has an agent send files to a cluster of Kafka, and two aggregators pass on what is
// there to Loki and Elasticsearch. All three are killed again and again, a broker too, and the
// group's partitions move with it. Each record is there once at both, as the agent has read it.
func TestKafkaChain(t *testing.T) {
	kafka := server.KafkaOf(t, 3)
	kafka.CreateTopic("logs", 6)
	loki := server.LokiOrImitation(t)
	elastic := server.Elasticsearch(t)
	logs := t.TempDir()
	start := time.Now().Add(-time.Minute).Truncate(time.Second)
	brokers := fmt.Sprintf("[%q, %q, %q]", kafka.Brokers()[0], kafka.Brokers()[1], kafka.Brokers()[2])

	members := []*agent{newAgent(t, fmt.Sprintf(`
inputs:
  files: {type: file, paths: [%s/*.log], labels: {host.name: edge}}
outputs:
  kafka: {type: kafka, brokers: %s}
`, logs, brokers))}
	for range 2 {
		members = append(members, newAgent(t, fmt.Sprintf(`
inputs:
  kafka: {type: kafka, brokers: %s, topics: [logs], session_timeout: 6s}
outputs:
  loki: {type: loki, url: %q}
  elastic: {type: elasticsearch, urls: [%q], index: chain}
`, brokers, loki.URL, elastic.URL)))
	}
	for _, m := range members {
		m.start()
	}
	var writing sync.WaitGroup
	for i := range chainWriters {
		writing.Go(func() { writeSlowly(t, filepath.Join(logs, fmt.Sprintf("w%d.log", i)), fmt.Sprintf("w%d", i)) })
	}
	random := rand.New(rand.NewPCG(1, 1))
	for kill := range chainKills {
		time.Sleep(time.Duration(1+random.IntN(3)) * time.Second)
		m := members[(kill+random.IntN(2))%len(members)]
		m.kill()
		m.start()
		if kill == chainKills/2 {
			kafka.Nodes[1].Kill()
			kafka.Nodes[1].Start()
		}
	}
	writing.Wait()

	const all = chainWriters * chainLines
	e, l := query.Elastic{URL: elastic.URL}, query.Loki{URL: loki.URL}
	countLoki := func() (int, error) {
		return l.Count(t.Context(), `{service_name=~".+"}`, start, time.Now().Add(time.Minute).Truncate(time.Second))
	}
	eventually(t, "all lines in Elasticsearch", 3*time.Minute, func() (bool, string) {
		n, err := e.Count(t.Context(), "chain")
		return n >= all, fmt.Sprint(n, err)
	})
	eventually(t, "all lines in Loki", 3*time.Minute, func() (bool, string) {
		n, err := countLoki()
		return n >= all, fmt.Sprint(n, err)
	})
	for _, m := range members {
		m.stop()
	}
	checkChainDocs(t, e)
	if n, err := countLoki(); err != nil || n != all {
		t.Errorf("Loki has %d entries, want %d (%v)", n, all, err)
	}
	checkChainEntries(t, l, start)
}

// writeSlowly writes a file's lines, and rotates it.
func writeSlowly(t *testing.T, path, name string) {
	f, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { f.Close() }()
	for i := range chainLines {
		if i == chainLines/2 {
			f.Close()
			if err := os.Rename(path, path+".1"); err != nil {
				t.Error(err)
				return
			}
			if f, err = os.Create(path); err != nil {
				t.Error(err)
				return
			}
		}
		if _, err := fmt.Fprintln(f, script.Line("json", name, i, time.Now())); err != nil {
			t.Error(err)
			return
		}
		if i%50 == 49 {
			time.Sleep(200 * time.Millisecond)
		}
	}
}

// checkChainDocs looks for each line in Elasticsearch, once.
func checkChainDocs(t *testing.T, e query.Elastic) {
	t.Helper()
	docs, err := e.Docs(t.Context(), "chain")
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for _, d := range docs {
		times[stringIn(t, d.Source, "message")]++
		if host := stringIn(t, d.Source, "host.name"); host != "edge" {
			t.Fatalf("a record is of the host %q, want that of the agent: %s", host, d.Source)
		}
	}
	wantEachOnce(t, "Elasticsearch", times)
}

// checkChainEntries looks for each line in Loki, and for labels that do not name who passed it on.
func checkChainEntries(t *testing.T, l query.Loki, start time.Time) {
	t.Helper()
	entries, err := l.Entries(t.Context(), `{service_name=~".+"}`, start, time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for _, entry := range entries {
		times[stringIn(t, []byte(entry.Line), "message")]++
		if host, ok := entry.Labels["host_name"]; ok && host != "edge" {
			t.Fatalf("an entry is of the host %q: %v", host, entry.Labels)
		}
	}
	wantEachOnce(t, "Loki", times)
}

// stringIn returns a member of a JSON object.
func stringIn(t *testing.T, object []byte, name string) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(object, &members); err != nil {
		t.Fatalf("%v: %s", err, object)
	}
	text, _ := members[name].(string)
	return text
}

func wantEachOnce(t *testing.T, where string, times map[string]int) {
	t.Helper()
	missing, repeated := 0, 0
	for w := range chainWriters {
		for i := range chainLines {
			switch n := times[script.Message(fmt.Sprintf("w%d", w), i)]; {
			case n == 0:
				missing++
			case n > 1:
				repeated++
			}
		}
	}
	if missing > 0 || repeated > 0 {
		t.Errorf("%s: of %d lines %d are missing and %d are repeated", where, chainWriters*chainLines, missing,
			repeated)
	}
}
