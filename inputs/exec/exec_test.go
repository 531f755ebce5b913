package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newInput(t testing.TB, settings string) *input {
	t.Helper()
	in, err := pipetest.Config[*Config](t, Spec(), settings).Input(pipetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return in.(*input)
}

// TestConformance reads what cat writes of a named pipe.
func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		path := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		pipe, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pipe.Close() })
		return pipetest.InputHarness{
			New: func(t testing.TB) pipeline.Input { return newInput(t, fmt.Sprintf("command: [cat, %q]", path)) },
			Write: func(t testing.TB, lines ...string) {
				if _, err := pipe.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

func start(t testing.TB, in *input, feed *pipetest.Feed) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx, feed) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func limit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func linesOf(got []pipetest.Got, stream string) (all []string) {
	for _, g := range got {
		if g.Source.Label(event.LabelStream) == stream {
			all = append(all, g.Line)
		}
	}
	return all
}

// TestRuns: it is started again, and what is left without a line end is a line.
func TestRuns(t *testing.T) {
	feed := pipetest.NewFeed(t)
	in := newInput(t, `command: [sh, -c, "echo one; printf two; echo three >&2; exit 3"]`)
	said := make(chan error, 100)
	in.env.Health = func(err error) { said <- err }
	stop := start(t, in, feed)
	got := feed.WaitFor(limit(t), 6)
	stop()
	if diff := cmp.Diff([]string{"one", "two", "one", "two"}, linesOf(got, "stdout")[:4]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"three", "three"}, linesOf(got, "stderr")[:2]); diff != "" {
		t.Error(diff)
	}
	want := "the command sh has ended with exit status 3; it is"
	if err := <-said; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("health is %v", err)
	}
	if name := got[0].Source.Label(event.LabelService); name != "sh" {
		t.Errorf("service %s", name)
	}
}

func TestInterval(t *testing.T) {
	feed := pipetest.NewFeed(t)
	in := newInput(t, "command: [sh, -c, 'echo out; echo err >&2']\ninterval: 10ms\nstderr: discard")
	said := make(chan error, 1000)
	in.env.Health = func(err error) { said <- err }
	stop := start(t, in, feed)
	feed.WaitFor(limit(t), 3)
	stop()
	if err := <-said; err != nil {
		t.Errorf("health is %v", err)
	}
	if got := linesOf(feed.Got(), "stderr"); len(got) > 0 {
		t.Errorf("standard error has %q", got)
	}
}

func TestTimeout(t *testing.T) {
	feed := pipetest.NewFeed(t)
	in := newInput(t, "command: [sh, -c, 'echo begun; sleep 1000']\ninterval: 10ms\ntimeout: 50ms")
	said := make(chan error, 1000)
	in.env.Health = func(err error) { said <- err }
	stop := start(t, in, feed)
	feed.WaitFor(limit(t), 2)
	stop()
	if err := <-said; err == nil || !strings.Contains(err.Error(), "has taken longer than 50ms") {
		t.Errorf("health is %v", err)
	}
}

// TestGroupEnds: neither a command that does not want to end nor its children outlive the input.
func TestGroupEnds(t *testing.T) {
	feed := pipetest.NewFeed(t)
	in := newInput(t, "stop_timeout: 10ms\n"+
		`command: [sh, -c, "trap '' TERM; sleep 1000 & echo $!; echo $$; while :; do wait; done"]`)
	stop := start(t, in, feed)
	got := feed.WaitFor(limit(t), 2)
	stop()
	for _, g := range got {
		pid, err := strconv.Atoi(g.Line)
		if err != nil {
			t.Fatal(err)
		}
		for alive(pid) {
			if limit(t).Err() != nil {
				t.Fatalf("process %d lives on", pid)
			}
		}
	}
}

// alive reports whether a process runs: an orphan may wait for its new parent.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ESRCH)
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

// TestEndIsRead: what the command says when it is told to end comes.
func TestEndIsRead(t *testing.T) {
	feed := pipetest.NewFeed(t)
	in := newInput(t, `command: [sh, -c, "trap 'echo bye; exit' TERM; echo hi; while :; do sleep 0.01; done"]`)
	stop := start(t, in, feed)
	feed.WaitFor(limit(t), 1)
	stop()
	if diff := cmp.Diff([]string{"hi", "bye"}, linesOf(feed.Got(), "stdout")); diff != "" {
		t.Error(diff)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("LONGSHORE_SECRET", "x")
	t.Setenv("TZ", "UTC")
	in := newInput(t, "{command: [env], environment: {A: b}, inherit_environment: [TZ, NONE]}")
	if diff := cmp.Diff([]string{"A=b", "TZ=UTC"}, in.config.environment()); diff != "" {
		t.Error(diff)
	}
	if env := (&Config{}).environment(); env == nil || len(env) > 0 { // nil would be the agent's own
		t.Errorf("environment %q", env)
	}
}

func TestNoSuchProgram(t *testing.T) {
	in := newInput(t, "command: [/none/such]")
	said := make(chan error, 100)
	in.env.Health = func(err error) { said <- err }
	start(t, in, pipetest.NewFeed(t))
	if err := <-said; err == nil || !strings.Contains(err.Error(), "cannot be started") {
		t.Errorf("health is %v", err)
	}
	var states []string
	for _, program := range []string{"/none/such", "sh"} {
		in := newInput(t, fmt.Sprintf("command: [%s]", program))
		in.Examine(t.Context(), func(f pipeline.Finding) { states = append(states, f.State.String()) })
	}
	if diff := cmp.Diff([]string{"failed", "ok"}, states); diff != "" {
		t.Error(diff)
	}
}

func TestCheck(t *testing.T) {
	for want, c := range map[string]Config{
		"has blanks":     {Command: []string{"dmesg -w"}},
		"is empty":       {Command: []string{"", "x"}},
		"needs interval": {Command: []string{"x"}, Timeout: 1},
		"is no name":     {Command: []string{"x"}, Environment: map[string]pipeline.Secret{"A=": "b"}},
		"absolute path":  {Command: []string{"x"}, Folder: "srv"},
	} {
		got := ""
		for _, p := range c.Check() {
			got += p.Message
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
