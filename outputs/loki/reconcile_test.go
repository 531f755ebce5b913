package loki

import (
	"bytes"
	std "cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/loki/pkg/push"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/outputs/httpclient/httppipe"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// An archive is a Loki that can be asked: it answers for streams whose labels have what the
// selector wants to be equal.
type archive struct {
	*httptest.Server
	t *testing.T
	habits
	// instead answers before all else, if it writes something.
	instead func(w http.ResponseWriter, r *http.Request) bool

	mu      sync.Mutex
	streams []push.Stream
	asked   []string
	headers []http.Header
}

// habits are how a Loki may differ from others.
type habits struct {
	// most bounds an answer: a larger one comes empty, as Loki's do.
	most int
	// limit is max_entries_limit_per_query; 0 for none.
	limit int
	// split is the time that one of the answers covers that Loki makes an answer of; 0 for all.
	split time.Duration
	// mixed answers have structured metadata among the labels.
	mixed bool
	// hides leaves repeats of a time and line out of log queries.
	hides bool
}

func newArchive(t *testing.T) *archive {
	a := &archive{t: t, habits: habits{most: 4 << 20}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

// hold stores items of a body, with further labels, if any.
func (a *archive) hold(body *pipeline.Body, keep func(i int) bool, labels ...string) {
	for i, item := range body.Items {
		if !keep(i) {
			continue
		}
		_, raw, _, _ := readField(body.Item(i))
		var e push.Entry
		if err := e.Unmarshal(raw); err != nil {
			a.t.Fatal(err)
		}
		set := strings.TrimSuffix(body.Groups[item.Group], "}") + strings.Join(append([]string{""}, labels...), ", ") +
			"}"
		a.streams = append(a.streams, push.Stream{Labels: set, Entries: []push.Entry{e}})
	}
}

func (a *archive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.Method+" "+r.URL.Path)
	a.headers = append(a.headers, r.Header)
	if a.instead != nil && a.instead(w, r) {
		return
	}
	switch {
	case strings.HasSuffix(r.URL.Path, queryPath):
		a.count(w, r)
	case strings.HasSuffix(r.URL.Path, queryRangePath):
		a.page(w, r)
	default:
		w.WriteHeader(404)
	}
}

var (
	countForm   = regexp.MustCompile(`^sum\(count_over_time\((\{.*\})\[(\d+)ms\]\)\)$`)
	matcherForm = regexp.MustCompile(`([a-z_]+)(=~|=)"((?:[^"\\]|\\.)*)"`)
)

// matches returns the labels of a stream if the selector takes it.
func matches(selector, set string) (map[string]string, bool) {
	labels := labelsOf(set)
	for _, m := range matcherForm.FindAllStringSubmatch(selector, -1) {
		value, _ := strconv.Unquote(`"` + m[3] + `"`)
		if m[2] == "=" && labels[m[1]] != value || m[2] == "=~" &&
			!regexp.MustCompile("^("+value+")$").MatchString(labels[m[1]]) {
			return nil, false
		}
	}
	return labels, true
}

func (a *archive) count(w http.ResponseWriter, r *http.Request) {
	m := countForm.FindStringSubmatch(r.FormValue("query"))
	at, err := time.Parse(time.RFC3339Nano, r.FormValue("time"))
	if m == nil || err != nil {
		a.t.Errorf("asked for %s at %s", r.FormValue("query"), r.FormValue("time"))
		return
	}
	ms, _ := strconv.Atoi(m[2])
	n := 0
	for _, s := range a.streams {
		_, ok := matches(m[1], s.Labels)
		if e := s.Entries[0].Timestamp; ok && !e.After(at) && e.After(at.Add(-time.Duration(ms)*time.Millisecond)) {
			n++
		}
	}
	if n == 0 {
		io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
		return
	}
	fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1.5,`+
		`"%d"]}],"stats":{}}}`, n)
}

func (a *archive) page(w http.ResponseWriter, r *http.Request) {
	from, err1 := time.Parse(time.RFC3339Nano, r.FormValue("start"))
	to, err2 := time.Parse(time.RFC3339Nano, r.FormValue("end"))
	limit, err3 := strconv.Atoi(r.FormValue("limit"))
	if err1 != nil || err2 != nil || err3 != nil || r.FormValue("direction") != "forward" {
		a.t.Errorf("asked with %v", r.Form)
	}
	if a.limit > 0 && limit > a.limit {
		w.WriteHeader(400)
		fmt.Fprintf(w, "max entries limit per query exceeded, limit > max_entries_limit_per_query (%d > %d)", limit,
			a.limit)
		return
	}
	selector, formatted := strings.CutSuffix(r.FormValue("query"), headFormat)
	if !formatted {
		a.t.Errorf("asked for %s", r.FormValue("query"))
	}
	var result []map[string]any
	sizes, shares, had := map[int64]int{}, []int64{}, map[string]bool{}
	for _, s := range a.streams { // held in the order of time
		labels, ok := matches(selector, s.Labels)
		e := s.Entries[0]
		if !ok || e.Timestamp.Before(from) || !e.Timestamp.Before(to) || len(result) == limit {
			continue
		}
		line := string(appendHead(nil, []byte(e.Line)))
		if key := fmt.Sprint(s.Labels, e.Timestamp, e.Line); a.hides && had[key] {
			continue
		} else {
			had[key] = true
		}
		value, metadata := []any{fmt.Sprint(e.Timestamp.UnixNano()), line}, map[string]string{}
		for _, p := range e.StructuredMetadata {
			metadata[p.Name] = p.Value
			if a.mixed {
				labels[p.Name] = p.Value
			}
		}
		if len(metadata) > 0 && !a.mixed {
			value = append(value, map[string]any{"structuredMetadata": metadata})
		}
		share := int64(0)
		if a.split > 0 {
			share = e.Timestamp.UnixNano() / int64(a.split)
		}
		if sizes[share] += len(line); sizes[share] > a.most {
			result = dropShare(result, shares, share)
			shares = slices.DeleteFunc(shares, func(s int64) bool { return s == share })
			continue
		}
		shares = append(shares, share)
		result = append(result, map[string]any{"stream": labels, "values": []any{value}})
	}
	data := map[string]any{"resultType": "streams", "result": result}
	if !a.mixed {
		data["encodingFlags"] = []string{categorizeLabels}
	}
	if err := json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data}); err != nil {
		a.t.Error(err)
	}
}

// dropShare takes out the entries of one share.
func dropShare(result []map[string]any, shares []int64, share int64) []map[string]any {
	var kept []map[string]any
	for i, r := range result {
		if shares[i] != share {
			kept = append(kept, r)
		}
	}
	return kept
}

// lookUp asks for a body, and gives the items that are stored.
func lookUp(t *testing.T, o *Output, body *pipeline.Body) []int {
	t.Helper()
	stored := make([]bool, len(body.Items))
	if err := o.Stored(context.Background(), body, stored); err != nil {
		t.Fatal(err)
	}
	var found []int
	for i, is := range stored {
		if is {
			found = append(found, i)
		}
	}
	return found
}

// lines makes n lines of a size, each different.
func lines(n, size int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(i)+strings.Repeat("x", size))
	}
	return all
}

func only(items ...int) func(int) bool {
	return func(i int) bool {
		for _, x := range items {
			if x == i {
				return true
			}
		}
		return false
	}
}

func every(int) bool { return true }

// relabelled changes a label of a source.
func relabelled(src *event.Source, name, value string) *event.Source {
	for i := range src.Labels {
		if src.Labels[i].Name == name {
			src.Labels[i].Value = value
		}
	}
	return src
}

func bearer(token pipeline.Secret) (a httpclient.Auth) { a.BearerToken = token; return a }

func sequence(from, to int) []int { return indicesUpTo(to)[from:] }

func TestStored(t *testing.T) {
	web := func(n, size int) []*event.Batch { return []*event.Batch{batchOf(container("web"), lines(n, size)...)} }
	pair := []*event.Batch{batchOf(container("web"), "same", "b"),
		batchOf(relabelled(container("web"), event.LabelStream, "stderr"), "same", "c")}
	tests := map[string]struct {
		batches []*event.Batch
		habits  habits
		keep    func(i int) bool
		labels  []string
		want    []int
		asked   int
	}{
		"nothing": {batches: web(5, 1), keep: only(), asked: 1},
		"all":     {batches: web(5, 1), keep: every, want: sequence(0, 5), asked: 2},
		"some":    {batches: web(5, 1), keep: only(0, 3), want: []int{0, 3}, asked: 2},
		"late": {batches: web(2, 1), keep: every, labels: []string{`late="1"`}, want: []int{0, 1},
			asked: 2},
		"with Loki's own labels": {batches: web(2, 1), keep: every, labels: []string{`__stream_shard__="3"`},
			want: []int{0, 1}, asked: 2},
		"late in another sense": {batches: web(2, 1), keep: every, labels: []string{`late="yes"`}, asked: 1},
		"another's stream":      {batches: web(2, 1), keep: every, labels: []string{`zone="b"`}, asked: 3},
		"a stream of ours":      {batches: web(2, 1), keep: every, labels: []string{`filename="/a"`}, asked: 1},
		"metadata among the labels": {batches: web(2, 1), keep: every, habits: habits{mixed: true}, want: []int{0, 1},
			asked: 2},
		"several streams": {batches: append(web(2, 1), batchOf(container("db"), "x", "y")), keep: only(1, 2),
			want: []int{1, 2}, asked: 4},
		"one of two sources":         {batches: pair, keep: only(2), want: []int{2}, asked: 2},
		"one twice, the other never": {batches: pair, keep: only(0), want: []int{0}, asked: 2},
		"answers too large": {batches: web(40, 1<<16), keep: every, habits: habits{most: 2 << 10},
			want: sequence(0, 40), asked: 90},
		"not even one":  {batches: web(2, 1000), keep: every, habits: habits{most: 100}, asked: 10},
		"few at a time": {batches: web(50, 1), keep: every, habits: habits{limit: 7}, want: sequence(0, 50), asked: 30},
		"one at a time": {batches: web(5, 1), keep: only(1, 4), habits: habits{limit: 1}, want: []int{1, 4}, asked: 10},
		"no UTF-8": {batches: []*event.Batch{batchOf(container("web"), "a\xff\xfe\ufffdb")}, keep: every,
			want: []int{0}, asked: 2},
		"nothing asked": {batches: nil, keep: every},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t)
			a.habits = test.habits
			a.most = std.Or(a.most, 4<<20)
			o := newOutput(t, Config{URL: a.URL, LineFormat: "raw"})
			o.health.now = func() time.Time { return time.Unix(0, start) }
			body := fill(t, o, test.batches...)
			a.hold(body, test.keep, test.labels...)
			if diff := cmp.Diff(test.want, lookUp(t, o, body)); diff != "" {
				t.Error(diff)
			}
			if len(a.asked) > test.asked {
				t.Errorf("asked %d times, want %d at most: %v", len(a.asked), test.asked, a.asked)
			}
			if n := counted(t, o.metrics.reconciliations.WithLabelValues("complete")); n != 1 {
				t.Errorf("counted %v", n)
			}
			if n := counted(t, o.metrics.reconciled); n != float64(len(test.want)) {
				t.Errorf("counted %v found", n)
			}
		})
	}
}

// TestPagesWithHoles: Loki makes an answer of several, and those of them that are too large come
// empty.
func TestPagesWithHoles(t *testing.T) {
	a := newArchive(t)
	a.most, a.split = 2000, 10*time.Second
	o := newOutput(t, Config{URL: a.URL, LineFormat: "raw"})
	o.health.now = func() time.Time { return time.Unix(0, start) }
	texts := lines(40, 1)
	for i := 10; i < 20; i++ {
		texts[i] += strings.Repeat("long", 100)
	}
	body := fill(t, o, batchOf(container("web"), texts...))
	a.hold(body, func(i int) bool { return i != 15 })
	want := append(sequence(0, 15), sequence(16, 40)...)
	if diff := cmp.Diff(want, lookUp(t, o, body)); diff != "" {
		t.Error(diff)
	}
}

// TestHangs: a query without an answer is made again for less.
func TestHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutput(t, Config{URL: "http://loki", LineFormat: "raw"})
		o.health.now = func() time.Time { return time.Unix(0, start) }
		body := fill(t, o, batchOf(container("web"), lines(10, 1)...))
		a := &archive{t: t, habits: habits{most: 1 << 20}}
		a.hold(body, every)
		a.instead = func(_ http.ResponseWriter, r *http.Request) bool {
			if n, _ := strconv.Atoi(r.FormValue("limit")); n > 4 {
				<-r.Context().Done()
				return true
			}
			return false
		}
		o.querier.client.Transport().DialContext = httppipe.Dial(t, a)
		if diff := cmp.Diff(sequence(0, 10), lookUp(t, o, body)); diff != "" {
			t.Error(diff)
		}
		o.Close()
	})
}

// TestStoredTwice: what is stored twice in one source's name does not stand for another's.
func TestStoredTwice(t *testing.T) {
	a := newArchive(t)
	o := newOutput(t, Config{URL: a.URL, LineFormat: "raw", Labels: map[string]string{"app": "shop"}})
	one, two := container("web"), relabelled(container("web"), event.LabelContainerID, strings.Repeat("d0", 32))
	body := fill(t, o, batchOf(one, "same"), batchOf(two, "same"))
	a.hold(body, only(0))
	a.hold(body, only(0))
	if diff := cmp.Diff([]int{0}, lookUp(t, o, body)); diff != "" {
		t.Error(diff)
	}
}

func TestStoredAcrossDays(t *testing.T) {
	a := newArchive(t)
	o := newOutput(t, Config{URL: a.URL})
	b := batchOf(container("web"), lines(40, 1)...)
	for i := range b.Records {
		b.Records[i].Time = start + int64(i)*int64(5*time.Hour)
	}
	body := fill(t, o, b)
	a.hold(body, every)
	if diff := cmp.Diff(sequence(0, 40), lookUp(t, o, body)); diff != "" {
		t.Error(diff)
	}
	if want := 2 * 8; len(a.asked) != want { // 5 entries a day
		t.Errorf("asked %d times, want %d", len(a.asked), want)
	}
}

func TestLongSelectorsArePosted(t *testing.T) {
	a := newArchive(t)
	o := newOutput(t, Config{URL: a.URL, Labels: map[string]string{
		"a": strings.Repeat("a", 2000), "b": strings.Repeat("b", 2000), "c": strings.Repeat("c", 2000),
	}})
	body := fill(t, o, batchOf(container("web"), "a"))
	a.hold(body, every)
	if diff := cmp.Diff([]int{0}, lookUp(t, o, body)); diff != "" || a.asked[0] != "POST "+queryPath {
		t.Error(diff, a.asked)
	}
}

// TestQueryRejected: whoever cannot be asked must not hold up the logs, and who only is busy is
// asked again.
func TestQueryRejected(t *testing.T) {
	tests := map[string]struct {
		status int
		header []string
		text   string
		know   bool // it can be known, later
	}{
		"who are you":    {status: 401},
		"not you":        {status: 403},
		"no such page":   {status: 404, text: "404 page not found"},
		"no such method": {status: 405},
		"not here":       {status: 501},
		"bad query":      {status: 400, text: "parse error at line 1"},
		"moved":          {status: 302, header: []string{"Location", "https://login.example.com/?secret=1"}},
		"a web page":     {status: 200, text: "<html>Welcome</html>"},
		"another API":    {status: 200, text: `{"status":"success","data":{"resultType":"matrix","result":[]}}`},
		"half an answer": {status: 200, text: `{"status":"success","data":{"resul`},
		"no number": {status: 200, text: `{"status":"success","data":{"resultType":"vector",` +
			`"result":[{"value":[1,"NaN"]}]}}`},
		"two numbers": {status: 200, text: `{"status":"success","data":{"resultType":"vector",` +
			`"result":[{"value":[1,"1"]},{"value":[1,"1"]}]}}`},
		"endless": {status: 200, text: strings.Repeat(" ", maxAnswer+1)},
		"busy":    {status: 429, text: "too many outstanding requests", know: true},
		"failing": {status: 500, know: true},
		"away":    {status: 503, know: true},
		"slow":    {status: 504, know: true},
		"cut off": {status: 200, header: []string{"Content-Length", "1000"}, text: "{", know: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t)
			broken := true
			a.instead = func(w http.ResponseWriter, r *http.Request) bool {
				for i := 0; i < len(test.header); i += 2 {
					w.Header().Set(test.header[i], test.header[i+1])
				}
				if broken {
					w.WriteHeader(test.status)
					io.WriteString(w, test.text)
				}
				return broken
			}
			o := newOutput(t, Config{URL: a.URL})
			o.health.now = func() time.Time { return time.Unix(0, start) }
			body := fill(t, o, batchOf(container("web"), "one", "two"))
			for range 2 {
				stored := make([]bool, 2)
				err := o.Stored(context.Background(), body, stored)
				var failure *pipeline.SendError
				if test.know != (errors.As(err, &failure) && failure.Outcome == pipeline.Retry && failure.Uncertain) {
					t.Errorf("got %#v", err)
				}
				if test.know == errors.Is(err, pipeline.ErrUnknowable) || strings.Contains(err.Error(), "secret") {
					t.Errorf("got %v", err)
				}
				if n := strings.Count(err.Error(), a.URL); n > 1 || n == 0 &&
					!strings.Contains(err.Error(), "too large") {
					t.Errorf("got %v", err)
				}
				if stored[0] || stored[1] {
					t.Error("it is stored all the same")
				}
			}
			broken = false
			test.header = nil
			a.hold(body, every)
			if diff := cmp.Diff([]int{0, 1}, lookUp(t, o, body)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestALostAnswerIsAskedForAgain: a question takes many requests, and does not begin anew for one
// of them that fails or is not answered.
func TestALostAnswerIsAskedForAgain(t *testing.T) {
	for name, fail := range map[string]func(w http.ResponseWriter){
		"failing": func(w http.ResponseWriter) { w.WriteHeader(502) },
		"reset":   func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t)
			a.limit = 7 // entries in an answer
			requests := 0
			a.instead = func(w http.ResponseWriter, _ *http.Request) bool {
				if requests++; requests%3 == 0 {
					return false
				}
				fail(w)
				return true
			}
			o := newOutput(t, Config{URL: a.URL, LineFormat: "raw"})
			o.health.now = func() time.Time { return time.Unix(0, start) }
			body := fill(t, o, batchOf(container("web"), lines(50, 1)...))
			a.hold(body, every)
			if diff := cmp.Diff(sequence(0, 50), lookUp(t, o, body)); diff != "" {
				t.Errorf("after %d requests: %s", requests, diff)
			}
		})
	}
}

func TestReconcileOff(t *testing.T) {
	o := newOutput(t, Config{Reconcile: "off"})
	err := o.Stored(context.Background(), fill(t, o, batchOf(container("web"), "a")), make([]bool, 1))
	if !errors.Is(err, pipeline.ErrUnknowable) {
		t.Errorf("got %v", err)
	}
}

func TestStoredIsCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	a := newArchive(t)
	a.instead = func(_ http.ResponseWriter, r *http.Request) bool {
		cancel()
		<-r.Context().Done()
		return true
	}
	o := newOutput(t, Config{URL: a.URL})
	body := fill(t, o, batchOf(container("web"), "a"), batchOf(container("db"), "b"))
	var failure *pipeline.SendError
	if err := o.Stored(ctx, body, make([]bool, 2)); !errors.As(err, &failure) || !failure.Uncertain {
		t.Errorf("got %v", err)
	}
}

// TestOldEntries: what Loki may hold without showing it is no certainty.
func TestOldEntries(t *testing.T) {
	config := func(within, lookBack string) string {
		return "target: all\nquerier:\n  query_ingesters_within: " + within +
			"\ningester:\n  query_store_max_look_back_period: " + lookBack + "\n"
	}
	const young, old, older = time.Hour, 4 * time.Hour, 40 * time.Hour
	tests := map[string]struct {
		config string // "" for none to read
		age    time.Duration
		keep   func(int) bool
		want   string
		asked  int // for the configuration
	}{
		"young":                       {age: young, want: "complete"},
		"old, all found":              {age: old, keep: every, want: "complete"},
		"old, some found":             {age: old, keep: only(1), want: "incomplete", asked: 1},
		"old, and Loki is as usual":   {config: config("3h0m0s", "2h41m0s"), age: old, want: "incomplete", asked: 1},
		"old, and Loki sees far":      {config: config("3h0m0s", "30h0m0s"), age: old, want: "complete", asked: 1},
		"older than that":             {config: config("3h0m0s", "30h0m0s"), age: older, want: "incomplete", asked: 1},
		"old, and Loki sees all":      {config: config("3h0m0s", "-1ns"), age: older, want: "complete", asked: 1},
		"old, and all are asked":      {config: config("0s", "0s"), age: older, want: "complete", asked: 1},
		"old, and others are asked":   {config: config("5h0m0s", "0s"), age: old, want: "complete", asked: 1},
		"old, and settings are amiss": {config: config("whenever", "0s"), age: old, want: "incomplete", asked: 1},
		"old, and settings are none":  {config: "a: b\n", age: old, want: "incomplete", asked: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t)
			a.instead = onlyConfig(test.config)
			o := newOutput(t, Config{URL: a.URL})
			o.health.now = func() time.Time { return time.Unix(0, start).Add(test.age) }
			body := fill(t, o, batchOf(container("web"), "one", "two"))
			if test.keep != nil {
				a.hold(body, test.keep)
			}
			for range 2 { // the configuration is read once
				lookUp(t, o, body)
			}
			if n := counted(t, o.metrics.reconciliations.WithLabelValues(test.want)); n != 2 {
				t.Errorf("%s is counted %v times", test.want, n)
			}
			if n := strings.Count(strings.Join(a.asked, "\n"), configPath); n != test.asked {
				t.Errorf("the configuration was read %d times", n)
			}
		})
	}
}

func onlyConfig(config string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != configPath || config == "" {
			return false
		}
		io.WriteString(w, config)
		return true
	}
}

// TestWhereItAsks: by default where it pushes and as who it pushes; else elsewhere, without what
// logs in for pushes.
func TestWhereItAsks(t *testing.T) {
	a := newArchive(t)
	withUser := strings.Replace(a.URL, "http://", "http://user:pass@", 1)
	tests := map[string]struct {
		config Config
		path   string
		auth   string
	}{
		"the same":         {Config{URL: withUser}, "/loki/api/v1/query", "Basic dXNlcjpwYXNz"},
		"a folder":         {Config{URL: a.URL + "/a/"}, "/a/loki/api/v1/query", ""},
		"a push URL":       {Config{URL: a.URL + "/a/loki/api/v1/push"}, "/a/loki/api/v1/query", ""},
		"a path":           {Config{URL: a.URL, Path: "/push"}, "/loki/api/v1/query", ""},
		"a path before it": {Config{URL: a.URL, Path: "/insert/loki/api/v1/push"}, "/loki/api/v1/query", ""},
		"other login":      {Config{URL: withUser, Query: Query{Auth: bearer("q")}}, "/loki/api/v1/query", "Bearer q"},
		"elsewhere": {Config{URL: "http://127.0.0.1:1", Settings: httpclient.Settings{Auth: bearer("p")},
			Query: Query{URL: a.URL + "/read/"}},
			"/read/loki/api/v1/query", ""},
		"elsewhere, with a login": {Config{URL: "http://127.0.0.1:1",
			Settings: httpclient.Settings{Headers: map[string]pipeline.Secret{"Authorization": "secret"}},
			Query:    Query{URL: withUser}},
			"/loki/api/v1/query", "Basic dXNlcjpwYXNz"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.config.TenantID = "t1"
			o := newOutput(t, test.config)
			o.health.now = func() time.Time { return time.Unix(0, start) }
			lookUp(t, o, fill(t, o, batchOf(container("web"), "a")))
			last := len(a.asked) - 1
			h := a.headers[last]
			if a.asked[last] != "GET "+test.path || h.Get("Authorization") != test.auth ||
				h.Get(tenantHeader) != "t1" || h.Get("Cache-Control") != "no-cache" {
				t.Errorf("asked %s with %v", a.asked[last], h)
			}
		})
	}
}

// TestQueryOfAURL: what a URL has behind its ? goes with every request to it, beside the request's
// own parameters, which it cannot replace.
func TestQueryOfAURL(t *testing.T) {
	a := newArchive(t)
	var asked []*url.URL
	a.instead = func(w http.ResponseWriter, r *http.Request) bool {
		asked = append(asked, r.URL)
		return false
	}
	o := newOutput(t, Config{URL: "http://127.0.0.1:1/?x=1", Query: Query{URL: a.URL + "/read/?y=%2C&query=none"}})
	if to := o.url.String(); to != "http://127.0.0.1:1/loki/api/v1/push?x=1" {
		t.Errorf("it pushes to %s", to)
	}
	body := fill(t, o, batchOf(container("web"), "a"))
	a.hold(body, every)
	if got := lookUp(t, o, body); len(got) != 1 || len(asked) != 2 {
		t.Errorf("found %v after %d questions", got, len(asked))
	}
	long := map[string]string{"a": strings.Repeat("a", 2000), "b": strings.Repeat("b", 2000),
		"c": strings.Repeat("c", 2000)}
	o = newOutput(t, Config{URL: a.URL + "/read?y=%2C", Labels: long}) // too long for a GET
	lookUp(t, o, fill(t, o, batchOf(container("web"), "a")))
	for _, u := range asked {
		if y := u.Query()["y"]; u.Path[:6] != "/read/" || len(y) != 1 || y[0] != "," {
			t.Errorf("asked for %s", u)
		}
	}
}

// FuzzAppendHead: what we make of a line is what Go's printf, which Loki uses, makes of it.
func FuzzAppendHead(f *testing.F) {
	for _, line := range []string{"", "short", strings.Repeat("ü", headRunes+1),
		strings.Repeat("\xff", headRunes) + "end", "\xe2\x82"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		want := fmt.Sprintf("%d %.*s", len(line), headRunes, string(line))
		if got := string(appendHead(nil, line)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// FuzzReadStreams: whatever a server says is read as Go itself reads it, or not at all.
func FuzzReadStreams(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],` +
		`"result":[{"stream":{"a":"b"},"values":[["17","l\u00fcne",{"structuredMetadata":{"c":"d"}}],["18",""]]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"streams","result":[{"values":[["-1","\ud800"]]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"streams","result":null}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		streams, err := readStreams(text)
		if err != nil {
			return
		}
		var oracle struct {
			Data struct{ Result []struct{ Values [][]any } }
		}
		if err := json.Unmarshal(text, &oracle); err != nil {
			t.Fatal(err)
		}
		if len(streams) != len(oracle.Data.Result) {
			t.Fatalf("%d streams, want %d", len(streams), len(oracle.Data.Result))
		}
		for k, s := range streams {
			for i, e := range s.entries {
				want := oracle.Data.Result[k].Values[i]
				if at, _ := strconv.ParseInt(want[0].(string), 10, 64); e.at != at || e.line != want[1] {
					t.Fatalf("%+v, want %v", e, want)
				}
			}
		}
	})
}

// FuzzStored: whatever a server answers, the asking ends, and only an entry that it showed is
// stored.
func FuzzStored(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"streams","result":[{"stream":{},`+
		`"values":[["1790856000000000000","one"]]}]}}`), "3")
	f.Add([]byte(`{"status":"success","data":{"resultType":"streams","result":[]}}`), "1000000")
	f.Fuzz(func(t *testing.T, page []byte, count string) {
		a := newArchive(t)
		a.instead = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == queryRangePath {
				w.Write(page)
			} else {
				fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"value":[1,%q]}]}}`, count)
			}
			return true
		}
		o := newOutput(t, Config{URL: a.URL, LineFormat: "raw"})
		body := fill(t, o, batchOf(container("web"), "one", "two"))
		stored := make([]bool, 2)
		if err := o.Stored(context.Background(), body, stored); err != nil {
			return
		}
		if stored[0] && !bytes.Contains(page, []byte("1790856000000000000")) && !bytes.Contains(page, []byte(`\u`)) {
			t.Errorf("%s stores it", page)
		}
	})
}

func counted(t *testing.T, c prometheus.Metric) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
