package elasticsearch

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
)

// A holder is a cluster whose data streams, aliases and indices can be searched. What it holds
// shows once it is refreshed.
type holder struct {
	t      *testing.T
	kinds  map[string]string // "stream", "alias", "index" by name
	holds  []string          // ids, repeats and all
	answer map[string]http.HandlerFunc

	mu    sync.Mutex
	fresh bool
	asked []string
}

func (h *holder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, r.Method+" "+r.URL.Path)
	if answer := h.answer[r.URL.Path]; answer != nil {
		answer(w, r)
		return
	}
	missing := says(404, `{"error":{"type":"index_not_found_exception","reason":"no such index"}}`)
	switch parts := strings.Split(r.URL.Path[1:], "/"); {
	case parts[0] == "_data_stream" && h.kinds[parts[1]] == "stream":
		says(200, `{"data_streams":[{"name":"`+parts[1]+`"}]}`)(w, r)
	case parts[0] == "_alias" && h.kinds[parts[1]] == "alias":
		says(200, `{"x-000001":{"aliases":{"`+parts[1]+`":{}}}}`)(w, r)
	case parts[0] == "_data_stream" || parts[0] == "_alias" || h.kinds[parts[0]] == "":
		missing(w, r)
	case parts[1] == "_refresh":
		h.fresh = true
		says(200, `{"_shards":{"failed":0}}`)(w, r)
	case parts[1] == "_search":
		h.search(w, r)
	default:
		h.t.Errorf("asked for %s", r.URL)
	}
}

func (h *holder) search(w http.ResponseWriter, r *http.Request) {
	var query struct {
		Size  int
		Query struct {
			IDs struct{ Values []string } `json:"ids"`
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&query); err != nil {
		h.t.Error(err)
	}
	wanted := map[string]bool{}
	for _, id := range query.Query.IDs.Values {
		wanted[id] = true
	}
	hits := []string{}
	for _, id := range h.holds {
		if wanted[id] && h.fresh && len(hits) < query.Size {
			hits = append(hits, `{"_id":"`+id+`"}`)
		}
	}
	says(200, `{"timed_out":false,"_shards":{"failed":0},"hits":{"hits":[`+strings.Join(hits, ",")+`]}}`)(w, r)
}

func TestStored(t *testing.T) {
	t.Parallel()
	odd := func(i int) bool { return i%2 == 1 }
	tests := map[string]struct {
		kind  string
		n     int
		keep  func(i int) bool
		times int // that each id is there
		asked int
	}{
		"data stream":         {kind: "stream", n: 10, keep: odd, times: 1, asked: 3},
		"nothing in it":       {kind: "stream", n: 10, keep: func(int) bool { return false }, asked: 3},
		"many":                {kind: "stream", n: 1200, keep: odd, times: 1, asked: 5},
		"all, twice":          {kind: "stream", n: 1000, keep: func(int) bool { return true }, times: 2, asked: 4},
		"all, so often":       {kind: "stream", n: 500, keep: func(int) bool { return true }, times: 7, asked: 7},
		"alias":               {kind: "alias", n: 10, keep: odd, times: 1, asked: 4},
		"index":               {kind: "index", n: 10, keep: func(int) bool { return false }, asked: 2},
		"nothing of the kind": {kind: "", n: 10, keep: func(int) bool { return false }, asked: 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &holder{t: t, kinds: map[string]string{defaultIndex: test.kind}}
			o := output(t, Config{URLs: []string{serve(t, s.ServeHTTP)}, DocumentIDs: true})
			body := sample(t, o, test.n)
			targets, err := groupByIndex(body)
			if err != nil {
				t.Fatal(err)
			}
			want, total := make([]bool, test.n), 0
			for id, i := range targets[0].items {
				if want[i] = test.keep(i); want[i] {
					total++
					for range test.times {
						s.holds = append(s.holds, id)
					}
				}
			}
			if o.RepeatsAreHarmless(body) {
				t.Error("repeats are harmless before it is known what the name stands for")
			}
			for range 2 {
				stored := make([]bool, test.n)
				if err := o.Stored(t.Context(), body, stored); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, stored); diff != "" {
					t.Error(diff)
				}
				if len(s.asked) > test.asked {
					t.Errorf("asked %d times, want %d at most: %v", len(s.asked), test.asked, s.asked)
				}
				s.asked = nil // what the name stands for is not asked again
			}
			if got, index := o.RepeatsAreHarmless(body), total == 0 && test.kind != "stream"; got != index {
				t.Errorf("repeats are harmless: %v", got)
			}
			if n := count(t, o.metrics.reconciled); n != float64(2*total) {
				t.Errorf("counted %v", n)
			}
		})
	}
}

// TestALostAnswerIsAskedForAgain: a question takes many requests, and does not begin anew for one
// of them that fails or is not answered.
func TestALostAnswerIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]http.HandlerFunc{
		"failing": says(502, "Bad Gateway"),
		"reset":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &holder{t: t, kinds: map[string]string{defaultIndex: "stream"}}
			var requests atomic.Int64
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1)%3 != 0 {
					fail(w, r)
					return
				}
				s.ServeHTTP(w, r)
			})
			o := output(t, Config{URLs: []string{url}, DocumentIDs: true})
			body := sample(t, o, 3000)
			targets, err := groupByIndex(body)
			if err != nil {
				t.Fatal(err)
			}
			s.holds = targets[0].sortedIDs()
			stored := make([]bool, 3000)
			if err := o.Stored(t.Context(), body, stored); err != nil || slices.Contains(stored, false) {
				t.Errorf("after %d requests: %v", requests.Load(), err)
			}
		})
	}
}

func TestQueryRejected(t *testing.T) {
	t.Parallel()
	forbidden := says(403, `{"error":{"type":"security_exception","reason":"not for you"}}`)
	const stream, alias, refresh, search = "/_data_stream/" + defaultIndex, "/_alias/" + defaultIndex,
		"/" + defaultIndex + "/_refresh", "/" + defaultIndex + "/_search"
	tests := map[string]struct {
		path   string
		answer http.HandlerFunc
		want   string // "", "unknowable" or "later"
	}{
		"may not look":           {stream, forbidden, "unknowable"},
		"no data streams":        {stream, says(400, `{"error":"no handler"}`), ""},
		"no such method":         {stream, says(405, ""), ""},
		"an empty list":          {stream, says(200, "{}\n"), ""},
		"looking is too much":    {stream, says(429, ""), "later"},
		"aliases are not for us": {alias, forbidden, "unknowable"},
		"may not refresh":        {refresh, forbidden, ""},
		"refreshing fails":       {refresh, says(503, ""), "later"},
		"may not search":         {search, forbidden, "unknowable"},
		"searching is too much": {search, says(429,
			`{"error":{"type":"circuit_breaking_exception","reason":"too large"}}`), "later"},
		"deleted": {search, says(404, ""), "unknowable"},
		"a shard is away": {search, says(200,
			`{"timed_out":false,"_shards":{"failed":1},"hits":{"hits":[]}}`), "later"},
		"out of time": {search, says(200,
			`{"timed_out":true,"_shards":{"failed":0},"hits":{"hits":[]}}`), "later"},
		"not the answer to a search": {search, says(200, `{}`), "unknowable"},
		"a web page":                 {search, says(200, `<html>`), "unknowable"},
		"endless":                    {search, says(200, strings.Repeat("[", 1<<20)), "unknowable"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind := "stream"
			if test.path == alias {
				kind = "index"
			}
			s := &holder{t: t, kinds: map[string]string{defaultIndex: kind},
				answer: map[string]http.HandlerFunc{test.path: test.answer}}
			o := output(t, Config{URLs: []string{serve(t, s.ServeHTTP)}, DocumentIDs: true})
			body := sample(t, o, 2)
			stored := make([]bool, 2)
			err := o.Stored(t.Context(), body, stored)
			got := ""
			var failure *pipeline.SendError
			switch {
			case errors.Is(err, pipeline.ErrUnknowable):
				got = "unknowable"
			case errors.As(err, &failure) && failure.Outcome == pipeline.Retry && failure.Uncertain:
				got = "later"
			case err != nil:
				got = err.Error()
			}
			if got != test.want || stored[0] || stored[1] {
				t.Errorf("got %q %v: %v", got, stored, err)
			}
		})
	}
}

func TestStoredWithoutIDs(t *testing.T) {
	t.Parallel()
	o := output(t, Config{})
	if o.RepeatsAreHarmless(sample(t, o, 2)) {
		t.Error("repeats are harmless without ids")
	}
	if err := o.Stored(t.Context(), sample(t, o, 2), make([]bool, 2)); !errors.Is(err, pipeline.ErrUnknowable) {
		t.Errorf("got %v", err)
	}
}

func TestStoredByNobody(t *testing.T) {
	t.Parallel()
	o := output(t, Config{DocumentIDs: true})
	var failure *pipeline.SendError
	if err := o.Stored(t.Context(), sample(t, o, 2), make([]bool, 2)); !errors.As(err, &failure) || !failure.Uncertain {
		t.Errorf("got %v", err)
	}
}

// TestNamesAreForgotten: the memory of names is bounded.
func TestNamesAreForgotten(t *testing.T) {
	t.Parallel()
	var r rolloverCache
	r.known = map[string]rolloverEntry{}
	for i := range maxRolloverNames {
		r.known[fmt.Sprint(i)] = rolloverEntry{}
	}
	s := &holder{t: t}
	o := output(t, Config{URLs: []string{serve(t, s.ServeHTTP)}})
	if yes, err := r.check(t.Context(), o, "new"); yes || err != nil || len(r.known) != 1 {
		t.Errorf("%v %v, %d names", yes, err, len(r.known))
	}
}
