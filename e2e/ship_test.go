package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/chatter/script"
	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
)

// writer is one container or file that logs in this test.
type writer struct {
	name, format string
	lines        int
	both, tty    bool
}

var containers = []writer{
	{name: "json", format: "json", lines: 12_000},
	{name: "logfmt", format: "logfmt", lines: 12_000},
	{name: "plain", format: "plain", lines: 8_000, both: true},
	{name: "tty", format: "json", lines: 4_000, tty: true},
	{name: "long", format: "long", lines: 500},
}

// files write the rest of the 50,000 lines, and rotate.
var files = []writer{
	{name: "web", format: "json", lines: 9_000},
	{name: "batch", format: "logfmt", lines: 4_500},
}

const rotateEvery = 1_500 // lines

// TestShip sends 50,000 lines of five containers and two rotating files to a real Loki and a real
// Elasticsearch, restarts the agent in the middle, and asks both for everything.
func TestShip(t *testing.T) { server.EachDocker(t, testShip) }

func testShip(t *testing.T, docker *server.DockerServer) {
	loki := server.LokiOrImitation(t)
	elastic := server.Elasticsearch(t)
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	logs := t.TempDir()
	start := time.Now().Add(-time.Minute).Truncate(time.Second)

	a := newAgent(t, fmt.Sprintf(`
inputs:
  containers: {type: docker, host: %q, include: {names: [ship-*]}}
  files: {type: file, paths: [%s/*.log], labels: {env: e2e}}
outputs:
  loki: {type: loki, url: %q}
  elastic: {type: elasticsearch, urls: [%q], index: "ship-{yyyy.MM.dd}"}
pipelines:
  main: {inputs: [containers, files], outputs: [loki, elastic]}
`, docker.Host, logs, loki.URL, elastic.URL))
	a.start()
	for _, c := range containers {
		runContainer(t, docker, c)
	}
	written := make(chan error, len(files))
	for _, f := range files {
		go func() { written <- writeRotating(filepath.Join(logs, f.name+".log"), f) }()
	}
	l := query.Loki{URL: loki.URL}
	e := query.Elastic{URL: elastic.URL}
	eventually(t, "the first lines", time.Minute, func() (bool, string) {
		n, err := e.Count(t.Context(), "ship-*")
		return n > 5_000, fmt.Sprint(n, err)
	})
	a.stop()
	a.start()
	for range files {
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all lines in Elasticsearch", 2*time.Minute, func() (bool, string) {
		n, err := e.Count(t.Context(), "ship-*")
		return n >= 50_000, fmt.Sprint(n, err)
	})
	eventually(t, "all lines in Loki", time.Minute, func() (bool, string) {
		n, err := l.Count(t.Context(), `{service_name=~".+"}`, start, time.Now().Add(time.Minute).Truncate(time.Second))
		return n >= 50_000, fmt.Sprint(n, err)
	})
	a.stop()
	t.Run("elasticsearch", func(t *testing.T) { checkElastic(t, e) })
	t.Run("loki", func(t *testing.T) { checkLoki(t, l, start) })
}

func runContainer(t *testing.T, docker *server.DockerServer, c writer) {
	name := "ship-" + c.name
	docker.Remove(name)
	args := []string{"run", "-d", "--name", name,
		"--label", "com.docker.compose.project=e2e", "--label", "com.docker.compose.service=" + c.name}
	if c.tty {
		args = append(args, "-t")
	}
	docker.Docker(append(args, "longshore-e2e/chatter:dev", "-name", c.name, "-format", c.format,
		"-lines", fmt.Sprint(c.lines), "-rate", fmt.Sprint(c.lines/4), fmt.Sprintf("-both=%v", c.both))...)
}

// writeRotating writes a file's lines, and renames it away again and again.
func writeRotating(path string, w writer) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for i := range w.lines {
		if i > 0 && i%rotateEvery == 0 {
			f.Close()
			if err := os.Rename(path, fmt.Sprintf("%s.%d", path, i/rotateEvery)); err != nil {
				return err
			}
			if f, err = os.Create(path); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintln(f, script.Line(w.format, w.name, i, time.Now())); err != nil {
			return err
		}
		if i%50 == 49 {
			time.Sleep(20 * time.Millisecond)
		}
	}
	return f.Close()
}

// doc is what both servers must hold of a line.
type doc struct {
	Timestamp time.Time `json:"timestamp"`
	Level     string    `json:"level"`
	Message   string    `json:"message"`
	Service   string    `json:"service"`
	TraceID   string    `json:"trace_id"`
	SpanID    string    `json:"span_id"`
	N         any       `json:"n"`
	Even      any       `json:"even"`
	Nested    any       `json:"nested"`
	Truncated bool      `json:"truncated"`
}

// checkDocs holds all documents of a writer against its script.
func checkDocs(t *testing.T, w writer, docs []doc, service string) {
	t.Helper()
	slices.SortFunc(docs, func(a, b doc) int { return strings.Compare(a.Message, b.Message) })
	if len(docs) != w.lines {
		t.Errorf("%s: %d records, want %d: %s", w.name, len(docs), w.lines, firstWrong(w, docs))
		return
	}
	for i, d := range docs {
		if why := wrong(w, i, d, service); why != "" {
			t.Errorf("%s: record %d: %s: %.300v", w.name, i, why, d)
			return
		}
	}
}

func firstWrong(w writer, docs []doc) string {
	seen := map[string]int{}
	for _, d := range docs {
		seen[strings.Fields(d.Message + " ? ?")[2]]++
	}
	for i := range w.lines {
		if n := seen[fmt.Sprintf("%06d", i)]; n != 1 {
			return fmt.Sprintf("line %d is there %d times", i, n)
		}
	}
	return "there are records of nobody"
}

func wrong(w writer, i int, d doc, service string) string {
	if w.format == "plain" || w.format == "long" {
		if want := script.Line(w.format, w.name, i, time.Time{}); d.Message != want {
			return fmt.Sprintf("the message has %d bytes, want %d", len(d.Message), len(want))
		}
		return ""
	}
	switch {
	case d.Message != script.Message(w.name, i):
		return "message"
	case d.Level != script.Level(i):
		return "level"
	case d.TraceID != script.Trace(w.name, i):
		return "trace_id"
	case d.Service != service:
		return "service"
	case d.N != float64(i):
		return "n is no number"
	case d.Even != (i%2 == 0):
		return "even is no boolean"
	case time.Since(d.Timestamp).Abs() > time.Hour:
		return "timestamp"
	case w.format == "json" && d.SpanID != script.Span(i):
		return "span_id"
	case w.format == "json" && fmt.Sprint(d.Nested) != "map[a:[1 2 <nil>] b:2.5]":
		return "nested"
	}
	return ""
}

func all() []writer { return append(slices.Clone(containers), files...) }

func checkElastic(t *testing.T, e query.Elastic) {
	found, err := e.Docs(t.Context(), "ship-*")
	if err != nil {
		t.Fatal(err)
	}
	byWriter := map[string][]doc{}
	for _, f := range found {
		var d doc
		if err := json.Unmarshal(f.Source, &d); err != nil {
			t.Fatalf("%s: %v", f.ID, err)
		}
		name, _, _ := strings.Cut(d.Message, " ")
		byWriter[name] = append(byWriter[name], d)
	}
	for _, w := range all() {
		checkDocs(t, w, byWriter[w.name], w.name)
	}
	byLevel := 12_000/6 + 12_000/6 + 4_002/6 + 9_000/6 + 4_500/6
	if n := elasticCount(t, e, "level:fatal"); n < byLevel-2 || n > byLevel {
		t.Errorf("a search by level finds %d records, want about %d", n, byLevel)
	}
	if n := elasticCount(t, e, "trace_id:"+script.Trace("json", 120)); n != 10 {
		t.Errorf("a search by trace id finds %d records, want 10", n)
	}
	if n := elasticCount(t, e, `container.name:"ship-plain" AND stream:stderr`); n != 4_000 {
		t.Errorf("a search by container and stream finds %d records, want 4000", n)
	}
	if n := elasticCount(t, e, `env:e2e AND filename:*web*`); n != 9_000 {
		t.Errorf("a search by the user's label and file finds %d records, want 9000", n)
	}
}

func elasticCount(t *testing.T, e query.Elastic, q string) int {
	t.Helper()
	answer, err := http.Get(e.URL + "/ship-*/_count?q=" + url.QueryEscape(q))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var count struct{ Count int }
	if err := json.NewDecoder(answer.Body).Decode(&count); err != nil {
		t.Fatal(err)
	}
	return count.Count
}

func checkLoki(t *testing.T, l query.Loki, start time.Time) {
	end := time.Now().Add(time.Minute).Truncate(time.Second)
	for _, w := range all() {
		selector := fmt.Sprintf(`{service_name=%q}`, w.name)
		l.Page = 0
		if w.format == "long" {
			l.Page = 50
		}
		entries, err := l.Entries(t.Context(), selector, start, end)
		if err != nil {
			t.Fatal(err)
		}
		var docs []doc
		for _, entry := range entries {
			docs = append(docs, docOf(t, w, entry))
		}
		checkDocs(t, w, docs, w.name)
		if n, err := l.Count(t.Context(), selector, start, end); n != w.lines || err != nil {
			t.Errorf("%s: Loki counts %d, %v, want %d", w.name, n, err, w.lines)
		}
	}
	for _, test := range []struct {
		query string
		want  int
	}{
		{fmt.Sprintf(`{service_name="json"} | trace_id=%q`, script.Trace("json", 120)), 10},
		{`{service_name="logfmt"} | detected_level="error"`, 2_000},
		{`{container="ship-tty"}`, 4_000},
	} {
		if n, err := l.Count(t.Context(), test.query, start, end); n != test.want || err != nil {
			t.Errorf("%s finds %d, %v, want %d", test.query, n, err, test.want)
		}
	}
}

// docOf reads an entry's line, and holds its metadata against it.
func docOf(t *testing.T, w writer, entry query.Entry) doc {
	t.Helper()
	var d doc
	if err := json.Unmarshal([]byte(entry.Line), &d); err != nil {
		t.Fatalf("%.100q: %v", entry.Line, err)
	}
	if d.TraceID != entry.Metadata["trace_id"] || d.Level != "" && d.Level != entry.Metadata["detected_level"] {
		t.Errorf("%.300q has the metadata %v", entry.Line, entry.Metadata)
	}
	if strings.HasPrefix(entry.Labels["container"], "ship-") && len(entry.Metadata["container_id"]) < 12 {
		t.Errorf("%s: the metadata has no container id: %v", w.name, entry.Metadata)
	}
	return d
}
