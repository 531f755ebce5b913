package receiver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	logproto "github.com/grafana/loki/pkg/push"
	"github.com/klauspost/compress/s2"

	"github.com/longshore/longshore/soak/numbered"
)

func newLoki(t *testing.T, rate float64) *Loki {
	t.Helper()
	l, err := NewLoki(t.TempDir(), NewFaults(1, rate, 10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

type line struct {
	at   int64
	text string
}

func streamOf(labels string, lines ...line) logproto.Stream {
	s := logproto.Stream{Labels: labels}
	for _, l := range lines {
		s.Entries = append(s.Entries, logproto.Entry{
			Timestamp: time.Unix(0, l.at), Line: l.text,
			StructuredMetadata: logproto.LabelsAdapter{{Name: "trace_id", Value: "t" + l.text}},
		})
	}
	return s
}

func send(t *testing.T, l *Loki, streams ...logproto.Stream) (status int, said string) {
	t.Helper()
	raw, err := (&logproto.PushRequest{Streams: streams}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(l.URL()+"/loki/api/v1/push", "application/x-protobuf",
		strings.NewReader(string(s2.EncodeSnappy(nil, raw))))
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

func mustSend(t *testing.T, l *Loki, streams ...logproto.Stream) {
	t.Helper()
	if status, said := send(t, l, streams...); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, said)
	}
}

// ask gives the result of a query in short, or the error.
func ask(t *testing.T, l *Loki, path string, params url.Values, flags string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.URL()+path+"?"+params.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Loki-Response-Encoding-Flags", flags)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
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
		Status string
		Data   struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %v", text, err)
	}
	return answer.Data.ResultType + " " + string(answer.Data.Result)
}

func filled(t *testing.T) *Loki {
	l := newLoki(t, 0)
	mustSend(t, l,
		streamOf(`{app="a", host="x"}`, line{10_000_000_000, "one"}, line{10_000_000_001, "two"},
			line{10_000_000_001, "two too"}),
		streamOf(`{app="b", host="x"}`, line{10_000_000_000, "other"}),
		streamOf(`{host="y"}`, line{20_000_000_000, "late"}, line{15_000_000_000, "out of order"}))
	return l
}

func TestCounts(t *testing.T) {
	t.Parallel()
	l := filled(t)
	for _, test := range []struct{ name, query, at, want string }{
		{"the range ends with its instant", `sum(count_over_time({app="a"}[1s]))`, "10000000001",
			`vector [{"metric":{},"value":[10,"3"]}]`},
		{"and not behind it", `sum(count_over_time({app="a"}[1s]))`, "10000000000",
			`vector [{"metric":{},"value":[10,"1"]}]`},
		{"it begins behind its start", `sum(count_over_time({app="a"}[1ms]))`, "10001000000",
			`vector [{"metric":{},"value":[10.001,"2"]}]`},
		{"nothing is no zero", `sum(count_over_time({app="none"}[1s]))`, "10000000001", `vector []`},
		{"time in seconds", `sum(count_over_time({host="y"}[1m]))`, "20", `vector [{"metric":{},"value":[20,"2"]}]`},
		{"pattern", `sum(count_over_time({app=~"a|b"}[1s]))`, "10000000001", `vector [{"metric":{},"value":[10,"4"]}]`},
		{"a pattern matches all of a value", `sum(count_over_time({host="x", app=~"."}[1s]))`, "10000000001",
			`vector [{"metric":{},"value":[10,"4"]}]`},
		{"a label that is not there is empty", `sum(count_over_time({host=~".+",app=""}[1h]))`, "20000000000",
			`vector [{"metric":{},"value":[20,"2"]}]`},
		{"unlike", `sum(count_over_time({host=~".+",app!="a"}[1h]))`, "20000000000",
			`vector [{"metric":{},"value":[20,"3"]}]`},
		{"not matching", `sum(count_over_time({host=~".+",app!~"a|b"}[1h]))`, "20000000000",
			`vector [{"metric":{},"value":[20,"2"]}]`},
		{"for each stream", `count_over_time({host="x"}[1s])`, "10000000001",
			`vector [{"metric":{"app":"a","host":"x"},"value":[10,"3"]},{"metric":{"app":"b","host":"x"},` +
				`"value":[10,"1"]}]`},
		{"by label", `sum by (host) (count_over_time({host=~".+"}[1h]))`, "20000000000",
			`vector [{"metric":{"host":"x"},"value":[20,"4"]},{"metric":{"host":"y"},"value":[20,"2"]}]`},
		{"by label, behind", "sum(count_over_time({host=~`.+`}[1h])) by (host)", "20000000000",
			`vector [{"metric":{"host":"x"},"value":[20,"4"]},{"metric":{"host":"y"},"value":[20,"2"]}]`},
		{"log query", `{app="a"}`, "1", `400 log queries are not supported as an instant query type, please ` +
			`change your query to a range query type`},
		{"everything", `sum(count_over_time({app=~".*"}[1s]))`, "1",
			`400 parse error : queries require at least one regexp or equality matcher that does not have an ` +
				`empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will`},
		{"not understood", `rate({app="a"}[1s])`, "1",
			`400 parse error : syntax error: unexpected "rate({app=\"a\"}[1s])", expecting "count_over_time"`},
		{"finer than a millisecond", `count_over_time({app="a"}[1us])`, "1",
			`400 parse error : not a valid duration string: "1us"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := ask(t, l, "/loki/api/v1/query", url.Values{"query": {test.query}, "time": {test.at}}, "")
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestLogQueries(t *testing.T) {
	t.Parallel()
	l := filled(t)
	const (
		one   = `["10000000000","one",{"structuredMetadata":{"trace_id":"tone"}}]`
		two   = `["10000000001","two",{"structuredMetadata":{"trace_id":"ttwo"}}]`
		too   = `["10000000001","two too",{"structuredMetadata":{"trace_id":"ttwo too"}}]`
		early = `["15000000000","out of order",{"structuredMetadata":{"trace_id":"tout of order"}}]`
		late  = `["20000000000","late",{"structuredMetadata":{"trace_id":"tlate"}}]`
	)
	a := func(values ...string) string {
		return `streams [{"stream":{"app":"a","host":"x"},"values":[` + strings.Join(values, ",") + `]}]`
	}
	for _, test := range []struct{ name, query, start, end, limit, direction, flags, want string }{
		{"forward", `{app="a"}`, "10000000000", "10000000002", "10", "forward", "categorize-labels", a(one, two, too)},
		{"backward", `{app="a"}`, "10000000000", "10000000002", "2", "backward", "categorize-labels", a(too, two)},
		{"the end is left out", `{app="a"}`, "10000000000", "10000000001", "10", "forward", "categorize-labels",
			a(one)},
		{"limit", `{app="a"}`, "10000000000", "20000000000", "2", "forward", "categorize-labels", a(one, two)},
		{"in the order of time", `{host="y"}`, "10000000000", "30000000000", "10", "forward", "categorize-labels",
			`streams [{"stream":{"host":"y"},"values":[` + early + "," + late + `]}]`},
		{"nothing", `{app="c"}`, "10000000000", "30000000000", "10", "forward", "categorize-labels", `streams []`},
		{"metadata as labels", `{host="y"}`, "10000000000", "16000000000", "10", "forward", "",
			`streams [{"stream":{"host":"y","trace_id":"tout of order"},"values":[["15000000000","out of order"]]}]`},
		{"line format", "{app=\"b\"} | line_format `{{printf \"%d %.3s\" (len __line__) __line__}}`", "10000000000",
			"20000000000", "10", "forward", "categorize-labels",
			`streams [{"stream":{"app":"b","host":"x"},"values":[["10000000000","5 ` +
				`oth",{"structuredMetadata":{"trace_id":"tother"}}]]}]`},
		{"no time", `{app="a"}`, "10000000000", "10000000000", "10", "forward", "",
			"400 end timestamp must not be before or equal to start time"},
		{"too many", `{app="a"}`, "10000000000", "10000000001", "5001", "forward", "",
			"400 max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)"},
		{"pipeline", `{app="a"} |= "x"`, "10000000000", "10000000001", "1", "forward", "",
			`400 parse error : syntax error: unexpected "= \"x\"", expecting "line_format"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			params := url.Values{"query": {test.query}, "start": {test.start}, "end": {test.end}, "limit": {test.limit},
				"direction": {test.direction}}
			if got := ask(t, l, "/loki/api/v1/query_range", params, test.flags); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestRepeats: a repeat of the last entry is hidden; of others it shows in
// counts, and not in log queries.
func TestRepeats(t *testing.T) {
	t.Parallel()
	l := newLoki(t, 0)
	first := streamOf(`{app="a"}`, line{1, "one"}, line{2, "two"})
	mustSend(t, l, first)
	mustSend(t, l, streamOf(`{app="a"}`, line{2, "two"}))
	count := url.Values{"query": {`sum(count_over_time({app="a"}[1h]))`}, "time": {"1"}}
	if got := ask(t, l, "/loki/api/v1/query", count, ""); !strings.Contains(got, `"2"`) {
		t.Errorf("after a repeat of the last entry: %s", got)
	}
	mustSend(t, l, first)
	if got := ask(t, l, "/loki/api/v1/query", count, ""); !strings.Contains(got, `"4"`) {
		t.Errorf("after a repeat of both: %s", got)
	}
	logs := url.Values{"query": {`{app="a"}`}, "start": {"0.0"}, "end": {"1"}, "direction": {"forward"}}
	want := `streams [{"stream":{"app":"a","trace_id":"tone"},"values":[["1","one"]]},{"stream":{"app":"a",` +
		`"trace_id":"ttwo"},"values":[["2","two"]]}]`
	if got := ask(t, l, "/loki/api/v1/query_range", logs, ""); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTooMuchIsNothing(t *testing.T) {
	t.Parallel()
	l := newLoki(t, 0)
	long := strings.Repeat("x", 1<<20)
	mustSend(t, l, streamOf(`{app="a"}`, line{1, "1" + long}, line{2, "2" + long}, line{3, "3" + long}))
	logs := url.Values{"query": {`{app="a"}`}, "start": {"0.0"}, "end": {"1"}}
	if got := ask(t, l, "/loki/api/v1/query_range", logs, "categorize-labels"); got != "streams []" {
		t.Errorf("%d bytes", len(got))
	}
}

func TestStoreForgetsTheOldest(t *testing.T) {
	t.Parallel()
	l := newLoki(t, 0)
	l.store.segmentBytes, l.store.kept = 100, 2
	const sent = 20
	for i := range int64(sent) {
		mustSend(t, l, streamOf(`{app="a"}`, line{1e18 + i, fmt.Sprint("entry ", i)}))
	}
	all := url.Values{"query": {`sum(count_over_time({app="a"}[1ms]))`}, "time": {fmt.Sprint(int64(1e18) + sent)}}
	if got := ask(t, l, "/loki/api/v1/query", all, ""); !strings.HasPrefix(got, "500 the soak's Loki no longer knows") {
		t.Errorf("what was forgotten counts as %s", got)
	}
	last := url.Values{"query": {`{app="a"}`}, "start": {fmt.Sprint(int64(1e18) + sent - 1)},
		"end": {fmt.Sprint(int64(1e18) + sent)}}
	if got := ask(t, l, "/loki/api/v1/query_range", last, ""); !strings.Contains(got, "entry 19") {
		t.Errorf("what was not: %s", got)
	}
}

// TestLokiUnderFaults sends until everything is stored; what was answered with 204 must be counted.
func TestLokiUnderFaults(t *testing.T) {
	t.Parallel()
	l := newLoki(t, 0.8)
	stored := 0
	for n := range uint64(300) {
		text := string(numbered.Append(nil, 2, n, time.Unix(0, 0)))
		if status, _ := send(t, l, streamOf(`{app="a"}`, line{int64(n), text})); status == http.StatusNoContent {
			stored++
			if !l.Tally.Has(2, n, n+1) {
				t.Errorf("line %d was answered with 204, and is not there", n)
			}
		}
	}
	if distinct, _ := l.Tally.Arrived(); stored == 0 || stored == 300 || distinct <= uint64(stored) {
		t.Errorf("%d of 300 answered with 204, %d stored", stored, distinct)
	}
	counts := l.Faults.Counts()
	for _, fault := range writeFaults {
		if counts[fault] == 0 {
			t.Errorf("%s has not happened", fault)
		}
	}
	l.Faults.Stop()
	mustSend(t, l, streamOf(`{app="a"}`, line{1000, "x"}))
}

func TestStreamLimit(t *testing.T) {
	t.Parallel()
	l := newLoki(t, 0)
	var lines []line
	for n := range uint64(30) {
		lines = append(lines, line{int64(n), string(numbered.Append(nil, 2, n, time.Unix(0, 0)))})
	}
	raw, err := (&logproto.PushRequest{Streams: []logproto.Stream{streamOf(`{app="a"}`, lines[:10]...),
		streamOf(`{app="b"}`, lines[10:]...)}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	w, err := l.readPush(s2.EncodeSnappy(nil, raw))
	if err != nil {
		t.Fatal(err)
	}
	said := string(w.refuse().body)
	distinct, _ := l.Tally.Arrived()
	missing := 30 - int(distinct)
	if missing < 1 || missing > mostNamed || !strings.HasSuffix(said,
		fmt.Sprintf("total ignored: %d out of 20 for stream: {app=\"b\"}", missing)) ||
		strings.Count(said, "entry with timestamp") != missing || !l.Tally.Has(2, 0, uint64(30-missing)) {
		t.Errorf("%d are missing, and it says: %s", missing, said)
	}
}

func TestHostilePushes(t *testing.T) {
	t.Parallel()
	l := newLoki(t, 0)
	for name, raw := range map[string][]byte{
		"no snappy":   []byte("hello"),
		"no protobuf": s2.EncodeSnappy(nil, []byte{0xff, 0xff}),
		"short":       s2.EncodeSnappy(nil, []byte{10, 100, 1}),
		"fixed64":     s2.EncodeSnappy(nil, []byte{9, 1, 2, 3, 4, 5, 6, 7, 8}),
		"bad labels":  s2.EncodeSnappy(nil, []byte{10, 3, 10, 1, '{'}),
	} {
		resp, err := http.Post(l.URL()+"/loki/api/v1/push", "application/x-protobuf", strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
}

func TestServerGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	l := newLoki(t, 0)
	address := l.URL()
	l.Server.Close()
	if status, _ := send(t, l, streamOf(`{a="b"}`, line{1, "x"})); status != 0 {
		t.Errorf("a server that is away answers %d", status)
	}
	if err := l.Refuse(t.Context(), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if l.URL() != address {
		t.Errorf("it is back at %s, not %s", l.URL(), address)
	}
	mustSend(t, l, streamOf(`{a="b"}`, line{1, "x"}))
}

// TestSilence: who is not answered has to give up, and nothing is stored.
func TestSilence(t *testing.T) {
	t.Parallel()
	l := newLoki(t, 0)
	l.Faults.silent()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL()+"/loki/api/v1/push", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Errorf("in its silence it answers %d", resp.StatusCode)
	}
	l.Faults.speak()
	mustSend(t, l, streamOf(`{a="b"}`, line{1, "x"}))
	if n := len(l.store.streams[`{a="b"}`].refs); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
}
