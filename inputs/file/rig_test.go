package file

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rig runs the input on a folder of real files.
type rig struct {
	t      *testing.T
	dir    string
	config Config
	in     *input // of the last start
	feed   *pipetest.Feed
	stop   func()
	logs   *logs
	health *health
	tune   func(*settings)
	// compared counts the files that were looked at because of others, in all starts.
	compared atomic.Int64
	metrics  *prometheus.Registry // of the last start
	settle   func()               // waits for the input to be idle, where time is fake
}

// poll runs a scenario on fake time, without the system's notifications: all is found by polling.
func poll(t *testing.T, scenario func(r *rig)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, dir)
		r.tune = func(s *settings) {
			s.notify = func() (notifier, error) { return nil, fmt.Errorf("watching: %w", syscall.ENOSPC) }
		}
		r.settle = synctest.Wait
		scenario(r)
		r.halt()
	})
}

// told runs a scenario on fake time, in which what the system would notify of is what tell is
// given, and polls are so far apart that they cannot help.
func told(t *testing.T, scenario func(r *rig, tell func(name string, op fsnotify.Op))) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, n := newRig(t, dir), &teller{events: make(chan fsnotify.Event)}
		r.tune = func(s *settings) { s.notify = func() (notifier, error) { return n, nil } }
		r.config.PollInterval = pipeline.Duration(time.Hour)
		r.settle = synctest.Wait
		scenario(r, func(name string, op fsnotify.Op) { n.events <- fsnotify.Event{Name: r.path(name), Op: op} })
		r.halt()
	})
}

// A teller is a notifier that tells what a test does.
type teller struct{ events chan fsnotify.Event }

func (n *teller) Events() <-chan fsnotify.Event { return n.events }
func (n *teller) Errors() <-chan error          { return nil }
func (n *teller) Watch(string) error            { return nil }
func (n *teller) Watches(string) bool           { return false }
func (n *teller) Remove(string)                 {}
func (n *teller) Close()                        {}

// notified runs a scenario on real time with the system's notifications, and with a poll so slow
// that it cannot help.
func notified(t *testing.T, scenario func(r *rig)) {
	t.Helper()
	r := newRig(t, t.TempDir())
	r.config.PollInterval = pipeline.Duration(time.Hour)
	scenario(r)
	r.halt()
}

func newRig(t *testing.T, dir string) *rig {
	return &rig{
		t: t, dir: dir, feed: pipetest.NewFeed(t), logs: &logs{}, health: &health{},
		config: *testConfig(t, filepath.Join(dir, "*.log")),
	}
}

func testConfig(t testing.TB, path string) *Config {
	return pipetest.Config[*Config](t, Spec(), fmt.Sprintf("paths: [%q]", path))
}

// start starts the input.
func (r *rig) start() {
	r.t.Helper()
	r.startOn(r.feed)
}

func (r *rig) startOn(feed pipeline.Feed) {
	r.t.Helper()
	r.metrics = prometheus.NewRegistry()
	env := pipeline.NewEnv("app", slog.New(slog.NewTextHandler(r.logs, nil)))
	env.Health, env.Metrics = r.health.set, r.metrics
	made, err := r.config.Input(env)
	if err != nil {
		r.t.Fatal(err)
	}
	in := made.(*input)
	r.in = in
	in.settings.compared = &r.compared
	if r.tune != nil {
		r.tune(&in.settings)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx, feed) }()
	r.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("run ended with: %v", err)
		}
	}
	if r.settle != nil {
		r.settle()
	}
}

func (r *rig) halt() {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

// restart stops the input, calls meanwhile, and starts it with what was acknowledged.
func (r *rig) restart(meanwhile func()) {
	r.halt()
	r.feed = r.feed.Restart()
	if meanwhile != nil {
		meanwhile()
	}
	r.start()
}

// pass lets fake time pass.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(name, text string) { r.put(name, text, os.O_TRUNC) }

func (r *rig) append(name, text string) { r.put(name, text, os.O_APPEND) }

func (r *rig) put(name, text string, flag int) {
	r.t.Helper()
	r.must(os.MkdirAll(filepath.Dir(r.path(name)), 0o755))
	fd, err := os.OpenFile(r.path(name), os.O_CREATE|os.O_WRONLY|flag, 0o644)
	r.must(err)
	_, err = fd.WriteString(text)
	r.must(err)
	r.must(fd.Close())
}

func (r *rig) rename(from, to string) {
	r.t.Helper()
	r.must(os.Rename(r.path(from), r.path(to)))
}

func (r *rig) remove(name string) {
	r.t.Helper()
	r.must(os.Remove(r.path(name)))
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// want checks all that was received, in order.
func (r *rig) want(lines ...string) {
	r.t.Helper()
	if diff := cmp.Diff(lines, r.feed.Lines()); diff != "" {
		r.t.Errorf("lines (-want +got)\n%s", diff)
	}
}

// wantSet checks all that was received, in any order.
func (r *rig) wantSet(lines ...string) {
	r.t.Helper()
	count := map[string]int{}
	for _, l := range r.feed.Lines() {
		count[l]++
	}
	want := map[string]int{}
	for _, l := range lines {
		want[l]++
	}
	if diff := cmp.Diff(want, count); diff != "" {
		r.t.Errorf("how often each line came (-want +got)\n%s", diff)
	}
}

// wait waits for n records in real time.
func (r *rig) wait(n int) []pipetest.Got {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return r.feed.WaitFor(ctx, n)
}

// wantLog checks that a word was logged, or that nothing was.
func (r *rig) wantLog(word string) {
	r.t.Helper()
	got := r.logs.String()
	if word == "" && got != "" || !strings.Contains(got, word) {
		r.t.Errorf("logged %q, want %q in it", got, word)
	}
}

// wantLost checks how many bytes are counted as lost.
func (r *rig) wantLost(bytes float64) {
	r.t.Helper()
	families, err := r.metrics.Gather()
	r.must(err)
	for _, family := range families {
		if family.GetName() != "longshore_file_lost_bytes_total" {
			continue
		}
		if got := family.Metric[0].Counter.GetValue(); got != bytes {
			r.t.Errorf("%v bytes are counted as lost, want %v", got, bytes)
		}
	}
}

type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
	all io.Writer // gets everything, if it is set
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all != nil {
		l.all.Write(p)
	}
	if bytes.Contains(p, []byte("files are polled")) {
		return len(p), nil // every scenario without notifications logs it
	}
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

type health struct {
	mu  sync.Mutex
	err error
}

func (h *health) set(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

func (h *health) get() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// A stopper is a feed that blocks after some batches.
type stopper struct {
	*pipetest.Feed
	after int
}

func (s *stopper) Send(ctx context.Context, b *event.Batch) error {
	if s.after--; s.after < 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Feed.Send(ctx, b)
}
