package e2e

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/query"
	"github.com/longshore/longshore/e2e/server"
	"github.com/longshore/longshore/outputs/elasticsearch"
	"github.com/longshore/longshore/outputs/loki"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// asked is an output whose destination can be asked what it holds.
type asked interface {
	pipeline.Output
	pipeline.Reconciler
}

// lokiAt returns the settings of an output to a Loki, with some more settings.
func lokiAt(t *testing.T, url, yaml string) pipeline.OutputConfig {
	return pipetest.Config[pipeline.OutputConfig](t, loki.Spec(), fmt.Sprintf("{url: %q%s}", url, yaml))
}

func elasticAt(t *testing.T, url, index string, template bool) pipeline.OutputConfig {
	return pipetest.Config[pipeline.OutputConfig](t, elasticsearch.Spec(),
		fmt.Sprintf("{urls: [%q], index: %q, install_template: %v}", url, index, template))
}

func newAsked(t *testing.T, c pipeline.OutputConfig, logs ...io.Writer) asked {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.MultiWriter(append(logs, t.Output())...), nil))
	out, err := c.Output(pipeline.NewEnv("asked", log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	return out.(asked)
}

// records makes a batch: n records of a source, gap apart, whose lines are made by line.
func records(
	name string, labels map[string]string, at time.Time, gap time.Duration, n int, line func(i int) string,
) *event.Batch {
	var all []event.Label
	for k, v := range labels {
		all = append(all, event.Label{Name: k, Value: v})
	}
	b := &event.Batch{}
	b.Reset(event.NewSource(event.SourceID(rand.Uint64()), "test", name, all))
	for i := range n {
		b.Add(uint64(i), at.Add(time.Duration(i)*gap).UnixNano(), b.PutString(line(i)))
	}
	return b
}

func service(name string) map[string]string { return map[string]string{event.LabelService: name} }

func numbered(i int) string { return fmt.Sprintf(`line %d has <"quotes"> & a tab	`, i) }

// text is the same line again and again; with is a number with the text behind it.
func text(line string) func(int) string { return func(int) string { return line } }

func with(line string) func(int) string {
	return func(i int) string { return fmt.Sprint(i) + line }
}

// bodies encodes batches as package deliver does.
func bodies(t *testing.T, out pipeline.Output, batches ...*event.Batch) []*pipeline.Body {
	t.Helper()
	enc, body := out.Encoder(), &pipeline.Body{}
	all := []*pipeline.Body{body}
	for _, b := range batches {
		for i := range b.Records {
			if len(body.Bytes) >= out.Limits().Bytes {
				body = &pipeline.Body{}
				all = append(all, body)
			}
			group, err := enc.Encode(body, b, i)
			if err != nil {
				t.Fatal(err)
			}
			item := pipeline.Item{Pos: b.Records[i].Pos, End: uint32(len(body.Bytes)), Group: group}
			body.Items = append(body.Items, item)
		}
	}
	return all
}

// some gives a body of those items that keep chooses.
func some(body *pipeline.Body, keep func(i int) bool) *pipeline.Body {
	part := &pipeline.Body{Groups: body.Groups}
	for i, item := range body.Items {
		if keep(i) {
			part.Bytes = append(part.Bytes, body.Item(i)...)
			item.End = uint32(len(part.Bytes))
			part.Items = append(part.Items, item)
		}
	}
	return part
}

func push(t *testing.T, out pipeline.Output, body *pipeline.Body) {
	t.Helper()
	if err := out.Send(t.Context(), body); err != nil {
		t.Fatal(err)
	}
}

// holds asks for a body, and checks that what is stored is what want says.
func holds(t *testing.T, out asked, body *pipeline.Body, want func(i int) bool) {
	t.Helper()
	stored := make([]bool, len(body.Items))
	if err := out.Stored(t.Context(), body, stored); err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for i := range stored {
		if stored[i] == want(i) {
			continue
		}
		if wrong++; wrong == 1 {
			t.Errorf("item %d (%.200q): stored is %v", i, out.Original(body, i), stored[i])
		}
	}
	if wrong > 0 {
		t.Errorf("of %d items the answer is wrong for %d", len(stored), wrong)
	}
}

func odd(i int) bool   { return i%2 == 1 }
func every(int) bool   { return true }
func nothing(int) bool { return false }

// TestReconcileLoki asks a Loki with its usual limits for bodies of all kinds of
// which some was pushed.
func TestReconcileLoki(t *testing.T) { ofEachLoki(t, reconcileLoki) }

func reconcileLoki(t *testing.T, start lokiStarter) {
	srv := start(t, "limits_config: {max_query_series: 500, split_queries_by_interval: 1h, max_query_length: 721h}")
	now := time.Now().Truncate(time.Millisecond)
	stdout := map[string]string{event.LabelContainerName: "pair", event.LabelStream: "stdout"}
	stderr := map[string]string{event.LabelContainerName: "pair", event.LabelStream: "stderr"}
	const ms = time.Millisecond
	one := func(name string, at time.Time, gap time.Duration, n int, line func(int) string) []*event.Batch {
		return []*event.Batch{records("a", service(name), at, gap, n, line)}
	}
	hours := func(n time.Duration) time.Time { return now.Add(-n * time.Hour) }
	tests := map[string]struct {
		line    string
		batches []*event.Batch
	}{
		"json":                   {"json", one("json", now, time.Microsecond, 3000, numbered)},
		"one line":               {"json", one("one", now, 1, 1, numbered)},
		"within a millisecond":   {"raw", one("burst", now, time.Nanosecond, 9000, numbered)},
		"equal but for the time": {"raw", one("equal", now, time.Nanosecond, 500, text("again"))},
		"over two days":          {"json", one("days", hours(48), 10*time.Minute, 280, numbered)},
		"hours old":              {"json", one("old", hours(6), time.Second, 2000, numbered)},
		"40 KiB lines":           {"raw", one("long", now, ms, 25, with(strings.Repeat(`<"long">`, 5<<10)))},
		"control characters":     {"raw", one("control", now, ms, 8000, with(strings.Repeat("\x01", 100)))},
		"no UTF-8":               {"raw", one("bytes", now, ms, 100, with("\xff\xfe\ufffd\xc3 and so on\x00"))},
		"empty lines":            {"raw", one("empty", now, ms, 100, text(""))},
		"odd labels":             {"raw", one(`a "b" \c ü {d="e"}, `+"\t"+`x`, now, ms, 100, numbered)},
		"two sources of a stream": {"raw", []*event.Batch{
			records("a", stdout, now, ms, 100, numbered),
			records("b", stderr, now, ms, 100, numbered),
		}},
	}
	many := tests["json"]
	many.batches = nil
	for k := range 200 {
		name := fmt.Sprint("many-", k)
		many.batches = append(many.batches, records("m", service(name), now, time.Second, 3, numbered))
	}
	tests["many streams"] = many
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out := newAsked(t, lokiAt(t, srv.URL, ", line_format: "+test.line))
			for _, body := range bodies(t, out, test.batches...) {
				holds(t, out, body, nothing)
				push(t, out, some(body, odd))
				began := time.Now()
				holds(t, out, body, odd)
				push(t, out, some(body, func(i int) bool { return !odd(i) }))
				holds(t, out, body, every)
				t.Logf("%d items: %s", len(body.Items), time.Since(began))
			}
		})
	}
}

// TestReconcileLokiAmongLongLines looks for short lines in a stream where another
// source writes long ones, so that Loki's answers are larger than they should be
// from what is looked for, in one of the hours that Loki splits them by.
func TestReconcileLokiAmongLongLines(t *testing.T) { ofEachLoki(t, reconcileLokiAmongLongLines) }

func reconcileLokiAmongLongLines(t *testing.T, start lokiStarter) {
	srv := start(t, "limits_config: {split_queries_by_interval: 1h}")
	out := newAsked(t, lokiAt(t, srv.URL, ", line_format: raw, late_stream: false"))
	stdout := map[string]string{event.LabelContainerName: "mixed", event.LabelStream: "stdout"}
	stderr := map[string]string{event.LabelContainerName: "mixed", event.LabelStream: "stderr"}
	hour := time.Now().Add(-3 * time.Hour).Truncate(time.Hour)
	long := records("b", stderr, hour.Add(time.Hour), time.Second, 300, with(strings.Repeat(`<"long">`, 5<<10)))
	for _, body := range bodies(t, out, long) {
		push(t, out, body)
	}
	out = newAsked(t, lokiAt(t, srv.URL, ", line_format: raw"))
	body := bodies(t, out, records("a", stdout, hour, 10*time.Second, 1000, numbered))[0]
	push(t, out, some(body, odd))
	began := time.Now()
	holds(t, out, body, odd)
	t.Logf("%d items: %s", len(body.Items), time.Since(began))
}

// TestReconcileLokiHoursOld: of entries with old times, a Loki as it comes shows
// only those in its store, and one that looks back far enough shows all.
func TestReconcileLokiHoursOld(t *testing.T) { ofEachLoki(t, reconcileLokiHoursOld) }

func reconcileLokiHoursOld(t *testing.T, start lokiStarter) {
	for name, test := range map[string]struct {
		config string
		shown  func(int) bool
		warns  bool
	}{
		"usual": {
			"{ingester: {query_store_max_look_back_period: 0s}, querier: {query_ingesters_within: 3h}}", nothing, true,
		},
		"far": {"{}", odd, false},
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, test.config)
			var log safeBuffer
			out := newAsked(t, lokiAt(t, srv.URL, ", late_stream: false"), &log)
			old := time.Now().Add(-6 * time.Hour)
			body := bodies(t, out, records("a", service("old"), old, time.Millisecond, 100, numbered))[0]
			push(t, out, some(body, odd))
			holds(t, out, body, test.shown)
			if warned := strings.Contains(log.String(), "Loki cannot show all"); warned != test.warns {
				t.Errorf("warned: %v\n%s", warned, &log)
			}
			if err := (query.Loki{URL: srv.URL}).Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, "flushed entries are found", time.Minute, func() (bool, string) {
				stored := make([]bool, 100)
				if err := out.Stored(t.Context(), body, stored); err != nil {
					t.Fatal(err)
				}
				return stored[1], ""
			})
			holds(t, out, body, odd)
		})
	}
}

// TestReconcileLokiSpeed looks up 100,000 lines, a lane's bodies one after the
// other, four lanes at once.
func TestReconcileLokiSpeed(t *testing.T) { ofEachLoki(t, reconcileLokiSpeed) }

func reconcileLokiSpeed(t *testing.T, start lokiStarter) {
	srv := start(t)
	out := newAsked(t, lokiAt(t, srv.URL, ", late_stream: false"))
	words := strings.Repeat("request served without trouble ", 6)
	var wg sync.WaitGroup
	lanes := make([][]*pipeline.Body, 4)
	for k := range lanes {
		labels, at := service(fmt.Sprint("speed-", k)), time.Now().Add(-time.Minute)
		lanes[k] = bodies(t, out, records("speed", labels, at, time.Millisecond, 25_000, with(" "+words)))
	}
	for _, share := range []struct {
		name string
		push func(i int) bool
		want func(i int) bool
	}{{"none", nothing, nothing}, {"half", odd, odd}, {"all", func(i int) bool { return !odd(i) }, every}} {
		for _, lane := range lanes {
			for _, body := range lane {
				push(t, out, some(body, share.push))
			}
		}
		began := time.Now()
		for _, lane := range lanes {
			wg.Go(func() {
				for _, body := range lane {
					holds(t, out, body, share.want)
				}
			})
		}
		wg.Wait()
		t.Logf("100,000 lines in %d bodies, %s of them stored: %s", 4*len(lanes[0]), share.name, time.Since(began))
	}
}

// TestReconcileLokiAfterAKill: what Loki answered for, it still has.
func TestReconcileLokiAfterAKill(t *testing.T) { ofEachLoki(t, reconcileLokiAfterAKill) }

func reconcileLokiAfterAKill(t *testing.T, start lokiStarter) {
	srv := start(t)
	out := newAsked(t, lokiAt(t, srv.URL, ", late_stream: false"))
	body := bodies(t, out, records("a", service("killed"), time.Now(), time.Microsecond, 2000, numbered))[0]
	push(t, out, some(body, odd))
	srv.Kill()
	var answer *pipeline.SendError
	err := out.Stored(t.Context(), body, make([]bool, 2000))
	if !errors.As(err, &answer) || answer.Outcome != pipeline.Retry || !answer.Uncertain {
		t.Errorf("a Loki that is away: %v", err)
	}
	srv.Start()
	holds(t, out, body, odd)
}

// TestLokiLateLane pushes what Loki refuses for coming too late.
func TestLokiLateLane(t *testing.T) { ofEachLoki(t, lokiLateLane) }

func lokiLateLane(t *testing.T, start lokiStarter) {
	srv := start(t)
	out := newAsked(t, lokiAt(t, srv.URL, ""))
	now := time.Now()
	push(t, out, bodies(t, out, records("a", service("late"), now, time.Second, 10, numbered))[0])
	push(t, out, bodies(t, out, records("b", service("other"), now, time.Second, 10, numbered))[0])
	body := bodies(t, out,
		records("a", service("late"), now.Add(-3*time.Hour), time.Second, 50, numbered),
		records("a", service("late"), now.Add(time.Minute), time.Second, 50, numbered),
		records("b", service("other"), now.Add(-2*time.Hour), time.Second, 50, numbered))[0]
	holds(t, out, body, nothing)
	push(t, out, body)
	holds(t, out, body, every)
	l := query.Loki{URL: srv.URL}
	for selector, want := range map[string]int{
		`{service_name="late"}`: 110, `{service_name="late", late="1"}`: 50, `{service_name="other", late="1"}`: 50,
	} {
		from, to := now.Add(-4*time.Hour).Truncate(time.Second), now.Add(time.Hour).Truncate(time.Second)
		n, err := l.Count(t.Context(), selector, from, to)
		if err != nil || n != want {
			t.Errorf("%s has %d entries, want %d: %v", selector, n, want, err)
		}
	}
}

// TestReconcileDataStream: a record that was stored before a rollover is found,
// and not created anew in the next index; the same behind an alias.
func TestReconcileDataStream(t *testing.T) {
	node := server.OpenSearch(t)
	ask(t, http.MethodPut, node.URL+"/alias-000001", `{"aliases":{"behind-alias":{"is_write_index":true}}}`)
	for _, index := range []string{"logs-rolled-e2e", "behind-alias"} {
		out := newAsked(t, elasticAt(t, node.URL, index, index != "behind-alias"))
		body := bodies(t, out, records("a", service("rolled"), time.Now(), time.Microsecond, 2500, numbered))[0]
		push(t, out, some(body, odd))
		holds(t, out, body, odd)
		ask(t, http.MethodPost, node.URL+"/"+index+"/_rollover", "")
		holds(t, out, body, odd)
		push(t, out, some(body, func(i int) bool { return !odd(i) }))
		holds(t, out, body, every)
		n, err := query.Elastic{URL: node.URL}.Count(t.Context(), index)
		if err != nil || n != 2500 {
			t.Errorf("%s has %d documents, want 2500: %v", index, n, err)
		}
	}
	// A plain index takes no id twice, and is not asked.
	out := newAsked(t, elasticAt(t, node.URL, "plain-e2e", false))
	body := bodies(t, out, records("a", service("plain"), time.Now(), time.Microsecond, 100, numbered))[0]
	push(t, out, body)
	holds(t, out, body, nothing)
	push(t, out, body)
	if n, err := (query.Elastic{URL: node.URL}).Count(t.Context(), "plain-e2e"); err != nil || n != 100 {
		t.Errorf("%d documents, want 100: %v", n, err)
	}
}

func ask(t *testing.T, method, url, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s %s: %d: %s", method, url, resp.StatusCode, text)
	}
}
