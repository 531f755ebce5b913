package journal

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/longshore/longshore/inputs/file"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string) *Journal {
	t.Helper()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func add(t testing.TB, j *Journal, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if err := j.Append([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
}

func reader(t testing.TB, dir string) *Reader {
	t.Helper()
	env := pipetest.Env(t)
	env.Folder = dir
	in, err := NewReader(env, []event.Label{{Name: event.LabelService, Value: "own"}})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// TestConformance: what is written into a journal is delivered as the lines of any log.
func TestConformance(t *testing.T) {
	spec := file.Spec()
	spec.Traits.Rereadable = false
	pipetest.TestInput(t, spec, func(t *testing.T) pipetest.InputHarness {
		dir := t.TempDir()
		j := open(t, dir)
		return pipetest.InputHarness{
			New:     func(t testing.TB) pipeline.Input { return reader(t, dir) },
			Write:   func(t testing.TB, lines ...string) { add(t, j, lines...) },
			Resumes: true,
		}
	})
}

// TestMetricsAreNotOfFiles: whoever has a journal says how it does, and no metric of files has its
// name.
func TestMetricsAreNotOfFiles(t *testing.T) {
	env, reg, feed := pipetest.Env(t), prometheus.NewRegistry(), pipetest.NewFeed(t)
	env.Folder, env.Metrics = t.TempDir(), reg
	add(t, open(t, env.Folder), "a line")
	in, err := NewReader(env, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx, feed) }()
	feed.WaitFor(ctx, 1)
	if families, err := reg.Gather(); err != nil || len(families) > 0 {
		t.Errorf("there are %v: %v", families, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestRotation: lines come once, in order and with the journal's own labels, over several
// rotations, and what is kept of them can be looked at.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	j, feed := open(t, dir), pipetest.NewFeed(t)
	ended := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	go func() { ended <- reader(t, dir).Run(ctx, feed) }()
	var want []string
	for i := range 12 {
		line := strings.Repeat(string(rune('a'+i)), 1<<20-10)
		want = append(want, line)
		add(t, j, line)
		feed.WaitFor(ctx, len(want))
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	got := feed.Got()
	for i := range want {
		if got[i].Line != want[i] || got[i].Source.Label(event.LabelService) != "own" {
			t.Errorf("line %d begins with %.5s and has the labels %v", i, got[i].Line, got[i].Source.Labels)
		}
	}
	n := 0
	if err := j.Lines(func([]byte) { n++ }); err != nil || n < 4 {
		t.Errorf("%d lines are kept: %v", n, err)
	}
	files, _ := os.ReadDir(dir)
	if len(files) != 2 {
		t.Errorf("there are %d files", len(files))
	}
}

// TestTornLine: a line that the power cut short is ended, and the next is one of its own.
func TestTornLine(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("one\n{\"tw"), 0o600); err != nil {
		t.Fatal(err)
	}
	j := open(t, dir)
	add(t, j, "three")
	var got []string
	if err := j.Lines(func(line []byte) { got = append(got, string(line)) }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"one", `{"tw`, "three"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
