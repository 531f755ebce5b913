package grok

import (
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func newParser(t testing.TB) pipeline.NewParser {
	t.Helper()
	c := &Config{
		Pattern: `^%{TIMESTAMP_ISO8601:time} %{LOGLEVEL:level} \[%{DATA:[process][thread]}\] ` +
			`(?:%{ORDER:order.id:string} )?%{GREEDYDATA:message}$`,
		Definitions: map[string]string{"ORDER": `ord-%{INT}`},
	}
	p, err := c.Parser()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGolden(t *testing.T) { pipetest.ParserGolden(t, "testdata/*.txt", newParser(t)) }

func TestConformance(t *testing.T) {
	pipetest.TestParser(t, newParser(t), `2024-05-01 12:00:00,123 WARN [main-1] ord-42 took 12 ms`)
}

// TestDictionary: all that Logstash knows can be used.
func TestDictionary(t *testing.T) {
	for _, d := range dictionary {
		for name := range d {
			if _, _, err := compile("%{"+name+":x}", nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		pattern, want string
		own           map[string]string
	}{
		{`%{IP:client} %{WORD:[http][method]}`, "", nil},
		{`(?<queue>[0-9A-F]{10}) x`, "", nil},
		{`%{COMBINEDAPACHELOG}`, "", nil},
		{`%{IP}`, "names nothing", nil},
		{`%{WORD:x} %{IP`, "%{IP… is no reference", nil},
		{`%{WORD:x} %{IP client}`, "%{IP client… is no reference", nil},
		{`%{NONSENSE:x}`, "there is no pattern NONSENSE", nil},
		{`%{A:x}`, "refers to itself", map[string]string{"A": "%{B}", "B": "%{A}"}},
		{`%{A:x}`, "too large", map[string]string{"A": "%{B}%{B}%{B}%{B}%{B}%{B}%{B}%{B}",
			"B": "%{C}%{C}%{C}%{C}%{C}%{C}%{C}%{C}",
			"C": "%{D}%{D}%{D}%{D}%{D}%{D}%{D}%{D}", "D": strings.Repeat("x", 1000)}},
		{`%{WORD:x}(`, "makes no regular expression", nil},
	}
	for _, test := range tests {
		problems := (&Config{Pattern: test.pattern, Definitions: test.own}).Check()
		switch {
		case test.want == "" && problems != nil:
			t.Errorf("%s: %v", test.pattern, problems)
		case test.want != "" && (len(problems) != 1 || problems[0].Path != "pattern" ||
			!strings.Contains(problems[0].Message, test.want)):
			t.Errorf("%s: got %v, want %q", test.pattern, problems, test.want)
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(`%{IP:client} %{WORD:[http][method]}`, `%{INT}`)
	f.Fuzz(func(t *testing.T, pattern, own string) {
		_, names, err := compile(pattern, map[string]string{"OWN": own})
		if err == nil && len(names) < 2 {
			t.Errorf("%q makes no field and no error", pattern)
		}
	})
}

func FuzzParse(f *testing.F) {
	p := newParser(f)
	src := event.NewSource(1, "test", "test", nil)
	f.Add([]byte(`2024-05-01 12:00:00,123 WARN [main-1] ord-42 took 12 ms`))
	f.Fuzz(func(t *testing.T, line []byte) {
		b := pipetest.ParserBatch(src, 0, line)
		pipetest.ParseChecked(t, p(src), b, 1)
	})
}
