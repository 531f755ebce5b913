package stdout

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

const noon = 1_700_000_000_123_000_000 // 22:13:20.123 in UTC

// A line is a record as the tables write it; fields are name, value.
type line struct {
	level   event.Level
	message string
	service string
	trace   bool
	cut     bool
	labels  []event.Label
	fields  []string
}

func (l line) batch() *event.Batch {
	b := &event.Batch{}
	b.Reset(event.NewSource(1, "app", "key", l.labels))
	r := b.Add(0, noon, b.PutString(l.message))
	r.Level = l.level
	if l.service != "" {
		r.Service = event.Value{Span: b.PutString(l.service), Kind: event.Text}
	}
	if l.trace {
		r.TraceID, r.Flags = [16]byte{0x4b, 0xf9, 0x2f, 0x35, 0x77}, event.HasTrace
	}
	if l.cut {
		r.Flags |= event.Truncated
	}
	for i := 0; i < len(l.fields); i += 2 {
		kind := event.Text
		if json.Valid([]byte(l.fields[i+1])) {
			kind = event.Number
		}
		b.AddField(0, event.Value{Span: b.PutString(l.fields[i]), Kind: event.Text},
			event.Value{Span: b.PutString(l.fields[i+1]), Kind: kind})
	}
	return b
}

// printed returns what the records look like.
func printed(t testing.TB, c Config, s Screen, lines ...line) string {
	t.Helper()
	var out bytes.Buffer
	s.Writer = &out
	o := c.On(s)
	if err := o.Send(t.Context(), bodyOf(t, o, lines...)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func bodyOf(t testing.TB, o *Output, lines ...line) *pipeline.Body {
	t.Helper()
	body := &pipeline.Body{}
	encoder := o.Encoder()
	for _, l := range lines {
		if _, err := encoder.Encode(body, l.batch(), 0); err != nil {
			t.Fatal(err)
		}
		body.Items = append(body.Items, pipeline.Item{End: uint32(len(body.Bytes))})
	}
	return body
}

func TestPretty(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   line
		want string
	}{
		{"a raw line", line{message: "hello"}, "22:13:20.123       app           hello\n"},
		{
			"everything",
			line{
				level: event.Warn, message: "slow query", service: "shop", trace: true, cut: true,
				fields: []string{"ms", "1500", "user", "ann", "path", "a b", "empty", "", "q", `say "x"`, "e", "a=b"},
			},
			`22:13:20.123 WARN  shop          slow query  ms=1500 user=ann path="a b" empty="" q="say \"x\"" ` +
				`e="a=b" trace=4bf92f35 (truncated)` + "\n",
		},
		{"the container's name", line{level: event.Info, message: "m",
			labels: []event.Label{{Name: "container.name", Value: "web-1"}, {Name: "filename", Value: "/a/b.log"}}},
			"22:13:20.123 INFO  web-1         m\n"},
		{"the file's name", line{level: event.Error, message: "m",
			labels: []event.Label{{Name: "filename", Value: "/a/b.log"}}}, "22:13:20.123 ERROR b.log         m\n"},
		{"the service of the source", line{level: event.Fatal, message: "m",
			labels: []event.Label{{Name: "service", Value: "shop"}, {Name: "container.name", Value: "web-1"}}},
			"22:13:20.123 FATAL shop          m\n"},
		{"a long name", line{level: event.Debug, message: "m", service: strings.Repeat("é", 20)},
			"22:13:20.123 DEBUG ééééééééééé…  m\n"},
		{"several lines", line{level: event.Trace, message: "one\r\ntwo\n\nthree\n"},
			"22:13:20.123 TRACE app           one\n    two\n    \n    three\n"},
		{
			"a stack trace in a field",
			line{message: "m", fields: []string{"stack", "java.lang.X\n\tat a.b\n", "n", "1"}},
			"22:13:20.123       app           m  n=1\n    stack:\n    java.lang.X\n    \tat a.b\n",
		},
		{
			"what a terminal would obey",
			line{message: "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J \x9b2J \u0085 \u202etxt \x00\x7f\b a\rb",
				service: "\x1b[2Jx", fields: []string{"k\x1b[A", "v\x1b[B\u2066"}},
			`22:13:20.123       \x1b[2Jx      red \x1b]0;title\x07 \x1b[2J ` + "\ufffd" +
				`2J \u0085 \u202etxt \x00\x7f\x08 a\rb  k\x1b[A=v\x1b[B\u2066` + "\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, printed(t, Config{Format: "pretty"}, Screen{}, tt.in)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestColors(t *testing.T) {
	t.Parallel()
	in := line{level: event.Error, message: "m", service: "shop", fields: []string{"a", "1"}}
	got := printed(t, Config{}, Screen{Terminal: true, Color: true}, in)
	want := "\x1b[2m22:13:20.123\x1b[0m \x1b[31mERROR\x1b[0m "
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "  m\x1b[2m  a=1\x1b[0m\n") {
		t.Errorf("got %q", got)
	}
	var bare []byte
	for _, l := range strings.Split(got, "\n") {
		bare = appendSafe(bare, []byte(l))
	}
	if want := strings.TrimSuffix(printed(t, Config{}, Screen{Terminal: true}, in), "\n"); string(bare) != want {
		t.Errorf("without its colours it is %q, want %q", bare, want)
	}
}

func TestTimeZone(t *testing.T) {
	t.Parallel()
	got := printed(t, Config{}, Screen{Terminal: true, Location: time.FixedZone("", 3600)}, line{message: "m"})
	if !strings.HasPrefix(got, "23:13:20.123 ") {
		t.Errorf("got %s", got)
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	const document = `{"timestamp":"2023-11-14T22:13:20.123Z","message":"m"}` + "\n"
	for _, tt := range []struct {
		format   string
		terminal bool
		json     bool
	}{
		{"auto", false, true}, {"auto", true, false}, {"", true, false}, {"json", true, true}, {"pretty", false, false},
	} {
		got := printed(t, Config{Format: tt.format}, Screen{Terminal: tt.terminal}, line{message: "m"})
		if (got == document) != tt.json {
			t.Errorf("%+v: got %s", tt, got)
		}
	}
	if got := printed(t, Config{Format: "json", Schema: "ecs"}, Screen{}, line{message: "m"}); !strings.Contains(got,
		`"ecs.version"`) {
		t.Errorf("got %s", got)
	}
}

// FuzzPretty: whatever is in a record, nothing but text, line ends and tabs reaches the terminal,
// and every line is one of ours.
func FuzzPretty(f *testing.F) {
	f.Add("message", "service", "key", "value")
	f.Add("\x1b[31m\x1b[", "\x9b\xc2\x9b", "\n", "a\nb\x1b")
	f.Fuzz(func(t *testing.T, message, service, key, value string) {
		got := printed(t, Config{Format: "pretty"}, Screen{},
			line{message: message, service: service, labels: []event.Label{{Name: "filename", Value: service}},
				fields: []string{key, value}})
		if !utf8.ValidString(got) {
			t.Errorf("%q is not UTF-8", got)
		}
		for _, r := range got {
			if r < 0x20 && r != '\n' && r != '\t' || r == 0x7f || isControl(r) {
				t.Fatalf("%q has %q in it", got, r)
			}
		}
		for l := range strings.Lines(got) {
			if !strings.HasPrefix(l, "22:13:20.123") && !strings.HasPrefix(l, indent) {
				t.Errorf("%q has a line that is not indented", got)
			}
		}
	})
}

// broken takes a number of bytes and fails then.
type broken struct {
	takes int
	err   error
}

func (b broken) Write(p []byte) (int, error) { return min(b.takes, len(p)), b.err }

func TestBrokenPipe(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	defer w.Close()
	o := (&Config{}).On(Screen{Writer: w})
	err = o.Send(t.Context(), bodyOf(t, o, line{message: "m"}))
	var e *pipeline.SendError
	if !errors.As(err, &e) || e.Outcome != pipeline.Hold || !strings.Contains(e.Reason, "nobody reads it") ||
		!errors.Is(err, syscall.EPIPE) {
		t.Errorf("got %v", err)
	}
}

func TestAHalfPrintedBody(t *testing.T) {
	t.Parallel()
	o := (&Config{}).On(Screen{})
	body := bodyOf(t, o, line{message: "a"}, line{message: "b"}, line{message: "c"})
	o.screen.Writer = broken{int(body.Items[1].End) - 1, errors.New("no more")}
	var e *pipeline.SendError
	if err := o.Send(t.Context(), body); !errors.As(err, &e) || len(e.Items) != 2 || e.Items[0].Index != 1 ||
		e.Items[0].Outcome != pipeline.Hold {
		t.Errorf("got %+v", e)
	}
}

func TestSpec(t *testing.T) {
	t.Parallel()
	out, err := pipetest.Config[pipeline.OutputConfig](t, Spec(), "").Output(pipetest.Env(t))
	if err != nil || Spec().Type != "stdout" {
		t.Fatal(err)
	}
	if l := out.Limits(); !l.InOrder {
		t.Errorf("limits are %+v", l)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
}

// shared is a buffer that several goroutines use.
type shared struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// TestConformance is not parallel: it looks for goroutines left behind.
func TestConformance(t *testing.T) {
	pipetest.TestOutput(t, func(t *testing.T) pipetest.OutputHarness {
		var out shared
		o := (&Config{Format: "json"}).On(Screen{Writer: &out})
		return pipetest.OutputHarness{
			Output: o,
			Stored: func(t testing.TB) []string {
				var all []string
				for l := range strings.Lines(out.String()) {
					var document struct{ Message string }
					if err := json.Unmarshal([]byte(l), &document); err != nil {
						t.Errorf("%q: %v", l, err)
					}
					all = append(all, document.Message)
				}
				return all
			},
			Away: func(testing.TB) { o.screen.Writer = broken{0, io.ErrClosedPipe} },
		}
	})
}

func TestEncodingAllocatesNothing(t *testing.T) {
	b := line{level: event.Info, message: "m\nn", service: "shop", trace: true,
		fields: []string{"a", "b", "c", "d\ne"}}.batch()
	for _, format := range []string{"json", "pretty"} {
		encoder := (&Config{Format: format}).On(Screen{Color: true}).Encoder()
		body := &pipeline.Body{Bytes: make([]byte, 0, 4096)}
		encode := func() {
			body.Bytes = body.Bytes[:0]
			_, _ = encoder.Encode(body, b, 0)
		}
		encode()
		if n := testing.AllocsPerRun(100, encode); n != 0 {
			t.Errorf("%s: encoding allocates %v times", format, n)
		}
	}
}
