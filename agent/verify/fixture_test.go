package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/agent/graph"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fixture is the environment of an agent: the lines of some sources, and what its
// destinations have stored.
type fixture struct {
	t   *testing.T
	dir string

	sources   map[string][]string // lines by key; position i is line i
	deleted   []string            // keys of sources that the input finds to be gone
	from      int                 // where reading begins for new sources
	ephemeral bool                // the input reads nothing twice
	target    string              // see pipeline.Targeted
	more      []pipeline.Spec     // further components

	mu     sync.Mutex
	stored map[string][]string            // lines by output, in the order in which they came
	lies   func(line string) bool         // whether a line is said to be stored and is not
	answer func(line string) error        // to sending it
	away   error                          // of every question and request
	doubt  func(line string) (why string) // about a line that is not there
}

func newFixture(t *testing.T) *fixture {
	return &fixture{t: t, dir: t.TempDir(), sources: map[string][]string{}, stored: map[string][]string{}}
}

func (w *fixture) write(key string, from, to int) {
	for i := from; i < to; i++ {
		w.sources[key] = append(w.sources[key], fmt.Sprintf("%s %d", key, i))
	}
}

// lose takes lines out of what an output has stored.
func (w *fixture) lose(output string, lost func(line string) bool) {
	w.stored[output] = slices.DeleteFunc(w.stored[output], lost)
}

const usualConfig = `
inputs: {in: {type: script}}
parsers: {clock: {type: clock}}
outputs: {out: {type: memory}}
`

func (w *fixture) config(text string) *config.Config {
	w.t.Helper()
	loader := config.Loader{Components: append([]pipeline.Spec{
		{Kind: pipeline.KindInput, Type: "script", Traits: pipeline.Traits{Rereadable: !w.ephemeral},
			New: func() any { return &scriptConfig{w} }},
		{Kind: pipeline.KindParser, Type: "clock", New: func() any { return &clockConfig{} }},
		{Kind: pipeline.KindTransform, Type: "stateful", Traits: pipeline.Traits{Stateful: true},
			New: func() any { return &statefulConfig{} }},
		{Kind: pipeline.KindOutput, Type: "memory", New: func() any { return &memoryConfig{fixture: w} }},
		{Kind: pipeline.KindOutput, Type: "mute", New: func() any { return &muteConfig{memoryConfig{fixture: w}} }},
	}, w.more...)}
	cfg, err := loader.Load("test.yml", []byte("version: 1\ndata_dir: "+w.dir+"\n"+text))
	if err != nil {
		w.t.Fatal(err)
	}
	return cfg
}

// run runs an agent until all that is written is delivered.
func (w *fixture) run(text string) {
	w.t.Helper()
	nobody := func(error) {}
	g, err := graph.Build(graph.Options{
		Config: w.config(text), Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Now: time.Now,
		Health: func(pipeline.Kind, string) func(error) { return nobody },
		Vital:  func(string) func(error) { return nobody },
		Found:  func(_, _ string) {},
	})
	if err == nil {
		err = g.Run(w.t.Context())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// verify verifies everything, whatever its age.
func (w *fixture) verify(text string, change ...func(*Options)) (*Report, error) {
	w.t.Helper()
	o := Options{
		Config: w.config(text), Log: slog.New(slog.DiscardHandler), Since: time.Unix(0, 0),
		AnswerTimeout: 10 * time.Second, Quiet: 5 * time.Second, Progress: &Progress{},
	}
	for _, f := range change {
		f(&o)
	}
	return Run(w.t.Context(), o)
}

func dryRun(o *Options) { o.DryRun = true }

type scriptConfig struct{ fixture *fixture }

func (c *scriptConfig) Input(pipeline.Env) (pipeline.Input, error) {
	return script(*c), nil
}

type script scriptConfig

// Run sends every source's lines in batches of three, from where the ledger says,
// and ends, or waits for more where there is something that it does not find.
func (s script) Run(ctx context.Context, feed pipeline.Feed) error {
	w := s.fixture
	known := map[string]pipeline.Known{}
	for _, k := range feed.Known() {
		known[k.Key] = k
	}
	for _, key := range w.deleted {
		if src, err := feed.Open(known[key].ID, key, nil); err == nil {
			feed.Close(src, true)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(w.sources)) {
		if err := s.read(ctx, feed, key, known[key]); err != nil {
			return nil
		}
		delete(known, key)
	}
	if len(known) > 0 && len(w.deleted) == 0 {
		<-ctx.Done()
	}
	return nil
}

func (s script) read(ctx context.Context, feed pipeline.Feed, key string, k pipeline.Known) error {
	lines := s.fixture.sources[key]
	src, err := feed.Open(k.ID, key, []event.Label{{Name: "key", Value: key}})
	if err != nil {
		return err
	}
	from := k.Cursor.Pos
	if k.ID == 0 && s.fixture.from > 0 {
		b := feed.Batch(src)
		b.To, b.Cursor = uint64(s.fixture.from), []byte("began")
		from = b.To
		if err := feed.Send(ctx, b); err != nil {
			return err
		}
	}
	for at := from; at < uint64(len(lines)); at += 3 {
		b := feed.Batch(src)
		b.From, b.To = at, min(at+3, uint64(len(lines)))
		for i := b.From; i < b.To; i++ {
			b.Add(i, 0, b.PutString(lines[i]))
		}
		b.Cursor = fmt.Appendf(b.Cursor, "at %d", b.To)
		if err := feed.Send(ctx, b); err != nil {
			return err
		}
	}
	feed.Close(src, false)
	return nil
}

// clock takes the last word for the time, in seconds; "bare 7" has none.
type clockConfig struct{}

func (c *clockConfig) Parser() (pipeline.NewParser, error) {
	return func(*event.Source) pipeline.Parser { return c }, nil
}

func (c *clockConfig) Parse(b *event.Batch, i int) bool {
	line := string(b.Line(i))
	if strings.HasPrefix(line, "bare") {
		return false
	}
	var seconds int64
	if _, err := fmt.Sscanf(line[strings.LastIndexByte(line, ' ')+1:], "%d", &seconds); err != nil {
		return false
	}
	b.Records[i].Time = (1_000_000 + seconds) * 1e9
	return true
}

// stateful drops lines.
type statefulConfig struct{}

func (c *statefulConfig) Transform(pipeline.TransformEnv) (pipeline.Transform, error) { return c, nil }
func (c *statefulConfig) Apply(b *event.Batch) {
	for i := range b.Records {
		if strings.HasSuffix(string(b.Line(i)), "3") {
			b.Records[i].Flags |= event.Dropped
		}
	}
}

// memory stores lines; mute does so and cannot be asked.
type memoryConfig struct {
	fixture *fixture
	name    string
}

type muteConfig struct{ memoryConfig }

func (c *memoryConfig) Output(env pipeline.Env) (pipeline.Output, error) {
	c.name = env.Name
	return &memory{mute{c.fixture, env.Name}}, nil
}

func (c *muteConfig) Output(env pipeline.Env) (pipeline.Output, error) {
	return &mute{c.fixture, env.Name}, nil
}

type mute struct {
	fixture *fixture
	name    string
}

func (m *mute) Encoder() pipeline.Encoder               { return m }
func (m *mute) Limits() pipeline.Limits                 { return pipeline.Limits{Records: 4} }
func (m *mute) Close() error                            { return nil }
func (m *mute) Original(b *pipeline.Body, i int) []byte { return b.Item(i) }
func (m *mute) Encode(dst *pipeline.Body, b *event.Batch, i int) (uint32, error) {
	dst.Bytes = append(dst.Bytes, b.Line(i)...)
	return 0, nil
}

func (m *mute) Send(_ context.Context, body *pipeline.Body) error {
	w := m.fixture
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away != nil {
		return w.away
	}
	var rejected []pipeline.ItemError
	for i := range body.Items {
		line := string(body.Item(i))
		if w.answer != nil && w.answer(line) != nil {
			rejected = append(rejected, pipeline.ItemError{Index: i, Outcome: pipeline.Reject,
				Reason: w.answer(line).Error()})
		} else if w.lies == nil || !w.lies(line) {
			w.stored[m.name] = append(w.stored[m.name], line)
		}
	}
	if rejected != nil {
		return &pipeline.SendError{Items: rejected}
	}
	return nil
}

type memory struct{ mute }

// Target implements pipeline.Targeted.
func (m *memory) Target() []byte { return []byte(m.fixture.target) }

// AtTarget implements pipeline.Targeted.
func (m *memory) AtTarget([]byte) (pipeline.PreviousTarget, error) { return nil, errors.New("unknown") }

// Stored implements pipeline.Reconciler.
func (m *memory) Stored(_ context.Context, body *pipeline.Body, stored []bool) error {
	m.fixture.mu.Lock()
	defer m.fixture.mu.Unlock()
	if m.fixture.away != nil {
		return m.fixture.away
	}
	for i := range body.Items {
		stored[i] = slices.Contains(m.fixture.stored[m.name], string(body.Item(i)))
	}
	return nil
}

// Audit implements pipeline.Auditor.
func (m *memory) Audit(time.Time) pipeline.Audit { return m }

// Presence implements pipeline.Audit.
func (m *memory) Presence(_ context.Context, body *pipeline.Body, held []pipeline.Presence) error {
	w := m.fixture
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away != nil {
		return w.away
	}
	for i := range body.Items {
		for _, line := range w.stored[m.name] {
			if line == string(body.Item(i)) {
				held[i].Copies++
			}
		}
		if w.doubt != nil && held[i].Copies == 0 {
			held[i].Uncertain = w.doubt(string(body.Item(i)))
		}
	}
	return nil
}

var errRejected = errors.New("no")
