package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/chatter/script"
	"github.com/longshore/longshore/e2e/query"
)

// fill appends lines from up to, but not including, to of a writer's script to a file.
func fill(t *testing.T, path string, w writer, from, to int) {
	t.Helper()
	var text []byte
	for i := from; i < to; i++ {
		text = fmt.Appendln(text, script.Line(w.format, w.name, i, time.Now()))
	}
	add(t, path, text)
}

// add appends bytes to a file.
func add(t *testing.T, path string, text []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		t.Fatal(err)
	}
}

// a span is a stretch of time to ask Loki for.
type span struct{ from, to time.Time }

// around is a span that holds all that a test writes from now on.
func around() span {
	now := time.Now().Truncate(time.Second)
	return span{now.Add(-time.Minute), now.Add(time.Hour)}
}

// inLoki waits until Loki counts as many entries of a selector as it should have, or more.
func inLoki(t *testing.T, l query.Loki, selector string, when span, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d entries of %s in Loki", want, selector), 2*time.Minute, func() (bool, string) {
		n, err := l.Count(t.Context(), selector, when.from, when.to)
		return n >= want, fmt.Sprint(n, " ", err)
	})
}

// lokiCounts holds what Loki counts against what it should have.
func lokiCounts(t *testing.T, l query.Loki, selector string, when span, want int) {
	t.Helper()
	if n, err := l.Count(t.Context(), selector, when.from, when.to); n != want || err != nil {
		t.Errorf("Loki counts %d, %v, of %s, want %d", n, err, selector, want)
	}
}

func lokiEntries(t *testing.T, l query.Loki, selector string, when span) []query.Entry {
	t.Helper()
	entries, err := l.Entries(t.Context(), selector, when.from, when.to)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// lokiDocs gives what Loki has of a writer.
func lokiDocs(t *testing.T, l query.Loki, w writer, when span) []doc {
	t.Helper()
	var docs []doc
	for _, entry := range lokiEntries(t, l, fmt.Sprintf("{service_name=%q}", w.name), when) {
		docs = append(docs, docOf(t, w, entry))
	}
	return docs
}

// inElastic waits until an index has as many documents as it should have, or more.
func inElastic(t *testing.T, e query.Elastic, index string, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d documents in %s", want, index), 2*time.Minute, func() (bool, string) {
		n, err := e.Count(t.Context(), index)
		return n >= want, fmt.Sprint(n, " ", err)
	})
}

// elasticDocs gives what an index has.
func elasticDocs(t *testing.T, e query.Elastic, index string) []doc {
	t.Helper()
	found, err := e.Docs(t.Context(), index)
	if err != nil {
		t.Fatal(err)
	}
	docs := make([]doc, len(found))
	for i, f := range found {
		if err := json.Unmarshal(f.Source, &docs[i]); err != nil {
			t.Fatalf("%s: %v", f.ID, err)
		}
	}
	return docs
}

// elasticFinds holds the number of documents that a search finds against what it should be.
func elasticFinds(t *testing.T, e query.Elastic, index, search string, want int) {
	t.Helper()
	if n := elasticSearch(t, e, index, search); n != want {
		t.Errorf("the search %s in %s finds %d documents, want %d", search, index, n, want)
	}
}

// elasticSearch counts what a search finds, in the language of the search box.
func elasticSearch(t *testing.T, e query.Elastic, index, search string) int {
	t.Helper()
	answer, err := http.Get(e.URL + "/" + index + "/_count?q=" + url.QueryEscape(search))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var found struct{ Count int }
	if err := json.NewDecoder(answer.Body).Decode(&found); err != nil {
		t.Fatal(err)
	}
	return found.Count
}
