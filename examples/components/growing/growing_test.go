package growing

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		path := filepath.Join(t.TempDir(), "app.log")
		return pipetest.InputHarness{
			New:     func(t testing.TB) pipeline.Input { return newInput(t, path) },
			Write:   func(t testing.TB, lines ...string) { write(t, path, lines) },
			Resumes: true,
		}
	})
}

// TestOtherPath: when the config names another file, that one is read from its beginning.
func TestOtherPath(t *testing.T) {
	feed := pipetest.NewFeed(t)
	for range 2 {
		path := filepath.Join(t.TempDir(), "app.log")
		write(t, path, []string{"a line"})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		in, ended := newInput(t, path), make(chan error, 1)
		go func() { ended <- in.Run(ctx, feed) }()
		feed.WaitFor(ctx, 1)
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		feed.Ack()
		feed = feed.Restart()
	}
}

func newInput(t testing.TB, path string) pipeline.Input {
	t.Helper()
	config := pipetest.Config[*Config](t, Spec(), fmt.Sprintf("{path: %q, poll_interval: 1ms}", path))
	in, err := config.Input(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return in
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
