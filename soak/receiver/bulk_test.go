package receiver

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/soak/numbered"
)

func newElastic(t *testing.T, rate float64) *Elasticsearch {
	t.Helper()
	e, err := NewElasticsearch(NewFaults(1, rate, 10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// document gives line n of writer 0 under an id.
func document(index, id string, n uint64) string {
	line := strings.TrimSpace(string(numbered.Append(nil, 0, n, time.Unix(0, 0))))
	return fmt.Sprintf("{\"create\":{\"_index\":%q,\"_id\":%q}}\n%s\n", index, id, line)
}

// statuses gives those of the items, or the status and the text of the answer.
func statuses(t *testing.T, e *Elasticsearch, body string) string {
	t.Helper()
	resp, err := http.Post(e.URL()+"/_bulk", "application/x-ndjson", strings.NewReader(body))
	if err != nil {
		return "broken off"
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Sprintf("%d %s", resp.StatusCode, text)
	}
	var answer struct {
		Errors bool
		Items  []struct {
			Create struct {
				Status int
				Error  *struct{ Type, Reason string }
			}
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var all []string
	for _, item := range answer.Items {
		all = append(all, fmt.Sprint(item.Create.Status))
		if failed := item.Create.Status != http.StatusCreated; failed != (item.Create.Error != nil) || failed &&
			!answer.Errors {
			t.Errorf("%s", text)
		}
	}
	return strings.Join(all, " ")
}

func TestBulk(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name            string
		bodies          []string
		want            []string
		distinct, total uint64
	}{
		{"created", []string{document("i", "a", 0) + document("i", "b", 1)}, []string{"201 201"}, 2, 2},
		{"again", []string{document("i", "a", 0), document("i", "a", 0) + document("i", "b", 1)},
			[]string{"201", "409 201"}, 2, 2},
		{"under another id", []string{document("i", "a", 0), document("i", "b", 0)}, []string{"201", "201"}, 1, 2},
		{"in another index", []string{document("i", "a", 0), document("j", "a", 0)}, []string{"201", "201"}, 1, 2},
		{"no newline", []string{"{\"create\":{}}\n{}"},
			[]string{"400 document 0: the bulk request must be terminated by a newline [\\n]"}, 0, 0},
		{"no id", []string{"{\"create\":{\"_index\":\"i\"}}\n{}\n"},
			[]string{`400 document 0: {"create":{"_index":"i"}} is no create with _index and _id`}, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := newElastic(t, 0)
			var got []string
			for _, body := range test.bodies {
				got = append(got, statuses(t, e, body))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if distinct, total := e.Tally.Arrived(); distinct != test.distinct || total != test.total {
				t.Errorf("%d lines arrived, %d times in all", distinct, total)
			}
		})
	}
}

func TestBulkUnderFaults(t *testing.T) {
	t.Parallel()
	e := newElastic(t, 0.8)
	seen := map[string]bool{}
	for n := uint64(0); n < 900; n += 3 {
		var body strings.Builder
		for i := range uint64(3) {
			body.WriteString(document("i", fmt.Sprint(n+i), n+i))
		}
		said := statuses(t, e, body.String())
		answer := strings.Fields(said)
		if len(answer) != 3 || strings.Contains(said, "error") {
			continue
		}
		for i, status := range answer {
			seen[status] = true
			if stored := e.Tally.Has(0, n+uint64(i), n+uint64(i)+1); stored != (status == "201") {
				t.Errorf("document %d has status %s, and is there: %v", n+uint64(i), status, stored)
			}
		}
	}
	for _, status := range []string{"201", "429", "503"} {
		if !seen[status] {
			t.Errorf("no document had status %s", status)
		}
	}
	counts := e.Faults.Counts()
	for _, fault := range writeFaults {
		if counts[fault] == 0 {
			t.Errorf("%s has not happened", fault)
		}
	}
	if v := e.Tally.Verify([]uint64{900}); v.Repeated+v.Foreign+v.Damaged+v.Colliding > 0 || v.Missing == 0 {
		t.Errorf("%+v", v)
	}
}
