package kubernetesevents

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fakeAPI lists and watches events as an API server does.
type fakeAPI struct {
	*httptest.Server
	mu     sync.Mutex
	events []string // the one at i is of version i+1+base
	base   int
	oldest int // below it a watch gets 410
	grown  chan struct{}
}

func newFakeAPI(t testing.TB) *fakeAPI {
	f := &fakeAPI{grown: make(chan struct{})}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeAPI) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") == "" {
		f.mu.Lock()
		defer f.mu.Unlock()
		fmt.Fprintf(w, `{"metadata":{"resourceVersion":"%d"},"items":[%s]}`, f.base+len(f.events),
			strings.Join(f.events, ","))
		return
	}
	var at int
	fmt.Sscan(r.URL.Query().Get("resourceVersion"), &at)
	for first := true; ; first = false {
		f.mu.Lock()
		if at < f.oldest || at > f.base+len(f.events) {
			f.mu.Unlock()
			if first {
				w.WriteHeader(http.StatusGone)
			}
			return
		}
		lines, grown := f.events[max(0, at-f.base):], f.grown
		f.mu.Unlock()
		for _, line := range lines {
			fmt.Fprintf(w, `{"type":"ADDED","object":%s}`+"\n", line)
		}
		at += len(lines)
		w.(http.Flusher).Flush()
		select {
		case <-grown:
		case <-r.Context().Done():
			return
		}
	}
}

// say adds events with these messages.
func (f *fakeAPI) say(messages ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range messages {
		object, _ := json.Marshal(map[string]any{
			"metadata": map[string]any{"resourceVersion": fmt.Sprint(f.base + len(f.events) + 1)}, "message": m,
			"type": "Warning", "reason": "BackOff", "count": 2, "lastTimestamp": "2026-11-30T10:00:00Z",
			"involvedObject": map[string]any{"kind": "Pod", "namespace": "shop", "name": "web-1"},
			"source":         map[string]any{"component": "kubelet", "host": "n1"},
		})
		f.events = append(f.events, string(object))
	}
	close(f.grown)
	f.grown = make(chan struct{})
}

func newInput(t testing.TB, f *fakeAPI, more string) pipeline.Input {
	c := pipetest.Config[*Config](t, Spec(), fmt.Sprintf("api: {url: %q}\n%s", f.URL, more))
	in, err := c.Input(pipeline.NewEnv("events", slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// TestConformance is about the messages of events: their lines have more.
func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		api := newFakeAPI(t)
		return pipetest.InputHarness{
			New:     func(t testing.TB) pipeline.Input { return messages{newInput(t, api, "")} },
			Write:   func(_ testing.TB, lines ...string) { api.say(lines...) },
			Resumes: true, Text: true,
		}
	})
}

// messages is the input, of which only the messages are sent.
type messages struct{ pipeline.Input }

func (m messages) Run(ctx context.Context, feed pipeline.Feed) error {
	return m.Input.Run(ctx, messageFeed{feed})
}

type messageFeed struct{ pipeline.Feed }

func (m messageFeed) Send(ctx context.Context, b *event.Batch) error {
	for i := range b.Records {
		var record struct{ Message string }
		if err := json.Unmarshal(b.Line(i), &record); err != nil {
			return err
		}
		b.Records[i].Line = b.PutString(record.Message)
	}
	return m.Feed.Send(ctx, b)
}

func run(t *testing.T, in pipeline.Input, feed *pipetest.Feed) (stop func()) {
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

func TestLine(t *testing.T) {
	api := newFakeAPI(t)
	api.say("no")
	feed := pipetest.NewFeed(t)
	run(t, newInput(t, api, ""), feed)
	want := `{"time":"2026-11-30T10:00:00Z","level":"warn","message":"no","reason":"BackOff","count":2,` +
		`"object_kind":"Pod","object_namespace":"shop","object_name":"web-1","component":"kubelet","node":"n1"}`
	if diff := cmp.Diff(want, feed.WaitFor(t.Context(), 1)[0].Line); diff != "" {
		t.Error(diff)
	}
}

// TestForgotten goes on where the server has forgotten the changes since: nothing comes twice.
func TestForgotten(t *testing.T) {
	api := newFakeAPI(t)
	api.say("a", "b")
	feed := pipetest.NewFeed(t)
	stop := run(t, newInput(t, api, ""), feed)
	feed.WaitFor(t.Context(), 2)
	stop()
	feed.Ack()
	api.say("c", "d")
	api.mu.Lock()
	api.oldest = 4
	api.mu.Unlock()
	next := feed.Restart()
	run(t, newInput(t, api, ""), next)
	got := next.WaitFor(t.Context(), 2)
	if !strings.Contains(got[0].Line, `"c"`) || !strings.Contains(got[1].Line, `"d"`) {
		t.Errorf("it goes on with %v", next.Lines())
	}
}

// TestAnotherCluster begins anew where versions are lower than what was read.
func TestAnotherCluster(t *testing.T) {
	api := newFakeAPI(t)
	api.base = 1000
	api.oldest = 1000
	api.say("a")
	feed := pipetest.NewFeed(t)
	stop := run(t, newInput(t, api, ""), feed)
	before := feed.WaitFor(t.Context(), 1)[0].Source.ID
	stop()
	feed.Ack()
	other := newFakeAPI(t)
	other.say("new")
	next := feed.Restart()
	run(t, newInput(t, other, ""), next)
	if got := next.WaitFor(t.Context(), 1)[0]; got.Source.ID == before || !strings.Contains(got.Line, "new") {
		t.Errorf("%s of source %v, before %v", got.Line, got.Source.ID, before)
	}
}

// TestExamine: whether the API answers, and lets us list.
func TestExamine(t *testing.T) {
	f := newFakeAPI(t)
	f.say("one", "two")
	examine := func() (said string) {
		newInput(t, f, "").(pipeline.Examiner).Examine(t.Context(), func(f pipeline.Finding) {
			said += f.What + " " + f.State.String() + ": " + f.Says
		})
		return said
	}
	if said := examine(); said != "Kubernetes API ok: has 2 events now" {
		t.Error(said)
	}
	f.Close()
	if said := examine(); !strings.HasPrefix(said, "Kubernetes API failed: ") {
		t.Error(said)
	}
}
