package console

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/agent/admin"
	"github.com/longshore/longshore/agent/deliver"
	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is what the components of a test share.
type world struct {
	mu    sync.Mutex
	sent  []string
	fails error // what the destination answers
}

func (w *world) answer(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fails = err
}

func (w *world) has() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.sent, ",")
}

type silent struct{}

func (silent) Input(pipeline.Env) (pipeline.Input, error)     { return silent{}, nil }
func (silent) Run(ctx context.Context, _ pipeline.Feed) error { <-ctx.Done(); return nil }

type shouting struct{}

func (shouting) Parser() (pipeline.NewParser, error) {
	return func(*event.Source) pipeline.Parser { return shouting{} }, nil
}

func (shouting) Parse(b *event.Batch, i int) bool {
	b.Records[i].Level = event.Info
	b.Records[i].Flags |= event.Parsed
	return true
}

type destination struct {
	world *world
	Token pipeline.Secret `yaml:"token" doc:"Secret."`
}

func (d *destination) Output(pipeline.Env) (pipeline.Output, error) { return d, nil }
func (d *destination) Encoder() pipeline.Encoder                    { return nil }
func (d *destination) Limits() pipeline.Limits                      { return pipeline.Limits{} }
func (d *destination) Close() error                                 { return nil }

func (d *destination) Original(b *pipeline.Body, i int) []byte { return b.Item(i) }

func (d *destination) Send(_ context.Context, b *pipeline.Body) error {
	d.world.mu.Lock()
	defer d.world.mu.Unlock()
	if d.world.fails != nil {
		return d.world.fails
	}
	for i := range b.Items {
		d.world.sent = append(d.world.sent, string(b.Item(i)))
	}
	return nil
}

const yaml = `
redact: false
inputs: {in: {type: silent}}
parsers: {shout: {type: shouting}}
outputs: {out: {type: memory, token: swordfish}}
pipelines: {main: {inputs: [in], parsers: [shout], outputs: [out]}}
`

// newConsole returns the console of an agent that reads nothing.
func newConsole(t *testing.T, w *world) (*Console, *config.Config) {
	t.Helper()
	loader := config.Loader{Components: []pipeline.Spec{
		{Kind: pipeline.KindInput, Type: "silent", New: func() any { return &silent{} }},
		{Kind: pipeline.KindParser, Type: "shouting", New: func() any { return &shouting{} }},
		{Kind: pipeline.KindOutput, Type: "memory", New: func() any { return &destination{world: w} }},
	}}
	cfg, err := loader.Load("test.yml", []byte("data_dir: "+t.TempDir()+yaml))
	if err != nil {
		t.Fatal(err)
	}
	metrics := prometheus.NewRegistry()
	dropped := prometheus.NewCounter(prometheus.CounterOpts{Name: droppedMetric, Help: "Dropped.",
		ConstLabels: prometheus.Labels{"pipeline": "main", "transform": "noise"}})
	metrics.MustRegister(dropped)
	dropped.Add(3)
	health := &admin.Health{}
	health.Ready(true)
	c := New(Options{Version: "1.2.3", Config: func() *config.Config { return cfg },
		Status: func() graph.Status { return graph.Status{} }, Reload: func() any { return nil },
		Health: health, Metrics: metrics,
		Log: slog.New(slog.DiscardHandler)})
	return c, cfg
}

// keep writes dead letters of an output.
func keep(t *testing.T, cfg *config.Config, records ...string) {
	t.Helper()
	var letters []deliver.DeadLetter
	for i, r := range records {
		letters = append(letters, deliver.DeadLetter{Time: time.Now(), Output: "out", Type: "memory", Status: 400,
			Reason: "not taken: '" + r + "'", Key: "app.log", Position: uint64(i), Record: r, Encoded: []byte(r)})
	}
	if err := graph.DeadLetters(cfg, cfg.Outputs[0]).Write(letters); err != nil {
		t.Fatal(err)
	}
}

func asJSON(t *testing.T, a any) string {
	t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestStatusAndConfig(t *testing.T) {
	c, cfg := newConsole(t, &world{})
	defer c.Close()
	keep(t, cfg, "a")
	c.Health.Component(pipeline.KindOutput, "out")(errors.New("connection refused"))
	status := asJSON(t, c.Status())
	for _, want := range []string{`"version":"1.2.3"`, `"ready":false`, "connection refused",
		`"dropped":[{"pipeline":"main","transform":"noise","records":3}]`, `"dead_letters":[{"output":"out"`} {
		if !strings.Contains(status, want) {
			t.Errorf("the status has no %s: %s", want, status)
		}
	}
	shown := asJSON(t, c.Config())
	if strings.Contains(shown, "swordfish") || !strings.Contains(shown, "type: memory") ||
		!strings.Contains(shown, `"pipelines":["main"]`) || !strings.Contains(shown, `"warnings":[]`) {
		t.Errorf("the config is %s", shown)
	}
}

func TestTry(t *testing.T) {
	c, _ := newConsole(t, &world{})
	defer c.Close()
	many := strings.Repeat("x\n", maxTrialLines+5)
	large := strings.Repeat(strings.Repeat("y", 10<<10)+"\n", 900)
	tests := []struct {
		name, lines, pipeline string
		records               int
		says, fails           string
	}{
		{"two lines", "one\r\ntwo\n", "", 2, "", ""},
		{"of a pipeline", "one", "main", 1, "", ""},
		{"of none that is there", "one", "nope", 0, "", "no pipeline"},
		{"too many", many, "", maxTrialLines, "only the first", ""},
		{"too much", large, "", 0, "large enough", ""},
	}
	for _, test := range tests {
		got, err := c.Try(t.Context(), test.lines, test.pipeline)
		if test.fails != "" {
			if err == nil || !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		trial := got.(*Trial)
		if test.records > 0 && len(trial.Records) != test.records || !strings.Contains(trial.Truncated, test.says) ||
			(test.says == "") != (trial.Truncated == "") {
			t.Errorf("%s: %d records, %q", test.name, len(trial.Records), trial.Truncated)
		}
	}
	got, _ := c.Try(t.Context(), "one", "")
	if text := asJSON(t, got); !strings.Contains(text, `"line":"one"`) ||
		!strings.Contains(text, `"outputs":["out"]`) || !strings.Contains(text, `"by":"parsers"`) {
		t.Errorf("the record is %s", text)
	}
	for range maxTrials {
		c.trials <- struct{}{}
	}
	if _, err := c.Try(t.Context(), "one", ""); err == nil {
		t.Error("trials without end at a time")
	}
}

func TestReplay(t *testing.T) {
	w := &world{}
	synctest.Test(t, func(t *testing.T) {
		c, cfg := newConsole(t, w)
		defer c.Close()
		keep(t, cfg, "a", "b")
		before := asJSON(t, c.DeadLetters())
		if !strings.Contains(before, `"count":2`) || !strings.Contains(before, `"record":"b"`) ||
			!strings.Contains(before, `"not taken: 'b'"`) {
			t.Errorf("the dead letters are %s", before)
		}
		if _, err := c.Replay("nope"); err == nil {
			t.Error("an output that is not there was replayed")
		}
		if _, err := c.StopReplay("out"); err == nil {
			t.Error("a replay was ended that never began")
		}

		w.answer(errors.New("connection refused"))
		if _, err := c.Replay("out"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		now := c.replayOf("out").status()
		if !now.Running || now.Total != 2 || !strings.Contains(now.Problem, "refused") {
			t.Errorf("while the destination is away: %+v", now)
		}
		if _, err := c.Replay("out"); err == nil {
			t.Error("a second replay began beside the first")
		}
		if _, err := c.StopReplay("out"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		now = c.replayOf("out").status()
		if now.Running || now.Delivered != 0 || !strings.Contains(now.Problem, "2 records") {
			t.Errorf("once it was ended: %+v", now)
		}
		if after := asJSON(t, c.DeadLetters()); !strings.Contains(after, `"count":2`) {
			t.Errorf("what was not sent is gone: %s", after)
		}

		w.answer(nil)
		if _, err := c.Replay("out"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		now = c.replayOf("out").status()
		if now.Running || now.Delivered != 2 || now.Problem != "" {
			t.Errorf("in the end: %+v", now)
		}
		if after := asJSON(t, c.DeadLetters()); !strings.Contains(after, `"count":0`) {
			t.Errorf("what was delivered is still there: %s", after)
		}
		if w.has() != "a,b" {
			t.Errorf("delivered is %s", w.has())
		}
	})
}

// TestCloseEndsAReplay: the agent does not wait for a destination that is away.
func TestCloseEndsAReplay(t *testing.T) {
	w := &world{fails: errors.New("connection refused")}
	synctest.Test(t, func(t *testing.T) {
		c, cfg := newConsole(t, w)
		keep(t, cfg, "a")
		if _, err := c.Replay("out"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		c.Close()
		if _, err := c.Replay("out"); err == nil {
			t.Error("a replay began after the end")
		}
		if after := asJSON(t, c.DeadLetters()); !strings.Contains(after, `"count":1`) {
			t.Errorf("what was not sent is gone: %s", after)
		}
	})
}
