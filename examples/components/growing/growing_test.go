package growing

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		path := filepath.Join(t.TempDir(), "app.log")
		return pipetest.InputHarness{
			New: func(t testing.TB) pipeline.Input {
				config := pipetest.Config[*Config](t, Spec(), fmt.Sprintf("{path: %q, poll_interval: 1ms}", path))
				in, err := config.Input(pipetest.Env(t))
				if err != nil {
					t.Fatal(err)
				}
				return in
			},
			Write:   func(t testing.TB, lines ...string) { write(t, path, lines) },
			Resumes: true,
		}
	})
}

func write(t testing.TB, path string, lines []string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
		t.Fatal(err)
	}
}
