package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline/config"
)

// hostile are texts that are large, deep or strange. None may take long, or
// more than a fixed share of the stack.
var hostile = map[string]string{
	"deep lists":      strings.Repeat("[", 1<<19),
	"deep maps":       strings.Repeat("{a: ", 1<<18),
	"deep dashes":     strings.Repeat("- ", 1<<19),
	"deep questions":  strings.Repeat("? ", 1<<19),
	"deep blocks":     blocks(1000),
	"many anchors":    strings.Repeat("&a ", 1<<18),
	"many tags":       strings.Repeat("!!a ", 1<<18),
	"tags over lines": strings.Repeat("!!a\n", 1<<16),
	"many documents":  strings.Repeat("---\n", 1<<16),
	"empty lines":     strings.Repeat("\n", 1<<20),
	"many settings":   strings.Repeat("a: 1\n", 1<<17),
	"many nulls":      strings.Repeat("a:\n", 16_000),
	"a long line":     strings.Repeat("x", 1<<20),
	"an open quote":   `a: "` + strings.Repeat("\\n", 1<<19),
	"open variables":  "a: '" + strings.Repeat("${a:-", 1<<16) + "'",
	"NUL":             "a: \x00",
	"escape":          "a: \x1b[31m",
	"not UTF-8":       "a: \xff",
	"reversed text":   "a: \u2028",
}

func blocks(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestHostile(t *testing.T) {
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			_, err := loader(nil).Load("longshore.yml", []byte(text))
			checkErrors(t, text, err)
		})
	}
}

// checkErrors holds errors against what a reader may expect of any of them.
func checkErrors(t *testing.T, text string, err error) {
	t.Helper()
	var errs config.Errors
	if !errors.As(err, &errs) || len(errs) == 0 {
		t.Fatalf("the error is %v, want an Errors", err)
	}
	if len(errs.Error()) > 1<<20 {
		t.Errorf("the errors have %d bytes", len(errs.Error()))
	}
	lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
	for _, e := range errs {
		if e.Line < 0 || e.Line > lines || e.Line > 0 && e.Column < 1 || e.Message == "" {
			t.Errorf("the error %+v has no good place or no message", e)
		}
		if n := len([]rune(e.Excerpt)); e.Caret < 0 || e.Width < 0 || e.Caret > n || e.Caret+e.Width > n+1 || n > 200 {
			t.Errorf("the caret of %+v is beside its line", e)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, text := range hostile {
		if len(text) < 1<<10 {
			f.Add(text)
		}
	}
	f.Add("inputs: {a: &a {type: docker}, b: *a}\noutputs:\n  o:\n    type: loki\n    url: ${A}\n    auth: " +
		"{password: hunter2}\n")
	f.Add("inputs: {a: {type: file, paths: [x], rules: [{match: y}], windows: {a: 1}}}\noutputs: {o: {<<: " +
		"{type: stdout}}}\npipelines: {p: {inputs: [a], outputs: [o], parsers: [auto]}}\n")
	l := loader(map[string]string{"env": "A=http://x\nB=\n", "/file": "secret"})
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := l.Load("longshore.yml", []byte(text))
		if err != nil {
			checkErrors(t, text, err)
			return
		}
		if len(cfg.Inputs) == 0 || len(cfg.Outputs) == 0 || len(cfg.Pipelines) == 0 {
			t.Errorf("the config is taken as right, but does nothing: %+v", cfg)
		}
	})
}
