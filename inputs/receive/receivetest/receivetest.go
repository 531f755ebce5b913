// Package receivetest runs inputs that stand on package receive, and sends to them.
package receivetest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/longshore/longshore/inputs/receive"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// made returns an input, and where it says that it listens.
func made(t testing.TB, c pipeline.InputConfig) (in receive.Input, at chan string) {
	t.Helper()
	at = make(chan string, 1)
	env := pipetest.Env(t)
	env.Found = func(what string) { at <- "http://" + strings.TrimPrefix(what, "listening on ") }
	made, err := c.Input(env)
	if err != nil {
		t.Fatal(err)
	}
	return made.(receive.Input), at
}

// A Rig is an input that runs.
type Rig struct {
	Feed   *pipetest.Feed
	URL    string
	Client *http.Client
	Stop   func()
}

// New starts an input. Its config has it listen at any port. Stop must be called.
func New(t testing.TB, c pipeline.InputConfig) *Rig {
	t.Helper()
	in, at := made(t, c)
	r := &Rig{Feed: pipetest.NewFeed(t), Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	r.Feed.CommitTo(in)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx, r.Feed) }()
	r.Stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.Stop)
	r.URL = <-at
	return r
}

// Post sends a body, with headers as names and values, and returns the answer.
func (r *Rig) Post(t testing.TB, path, body string, headers ...string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] != "" {
			request.Header.Set(headers[i], headers[i+1])
		}
	}
	return r.Do(t, request)
}

// Do sends a request, and returns the answer.
func (r *Rig) Do(t testing.TB, request *http.Request) (status int, answer string) {
	t.Helper()
	a, err := r.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(body)
}

// Harness returns the harness of an input, to which lines are sent as the requests that pack
// returns. Each is sent once those before are handed on.
func Harness(
	t *testing.T, c pipeline.InputConfig, pack func(url string, lines []string) (*http.Request, error),
) pipetest.InputHarness {
	s := &sender{pack: pack, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	s.changed = sync.NewCond(&s.mu)
	t.Cleanup(s.all.Wait)
	return pipetest.InputHarness{
		New: func(t testing.TB) pipeline.Input {
			in, at := made(t, c)
			in.Server.Hub.Parallel = 1
			s.mu.Lock()
			s.at, s.url = at, ""
			s.mu.Unlock()
			return observed{in, s}
		},
		Write:        s.write,
		Acknowledged: func() int { return int(s.acknowledged.Load()) },
	}
}

// A sender sends requests, one after the other, and does not wait for their answers.
type sender struct {
	pack   func(url string, lines []string) (*http.Request, error)
	client *http.Client
	all    sync.WaitGroup

	acknowledged atomic.Int64

	mu       sync.Mutex
	changed  *sync.Cond
	at       chan string
	url      string
	asked    int // lines
	arrived  int // of these, lines that Send was called with
	finished bool
}

func (s *sender) write(t testing.TB, lines ...string) {
	t.Helper()
	s.mu.Lock()
	if s.url == "" {
		s.url = <-s.at
	}
	for s.arrived < s.asked && !s.finished {
		s.changed.Wait()
	}
	s.asked += len(lines)
	r, err := s.pack(s.url, lines)
	s.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	s.all.Go(func() {
		answer, err := s.client.Do(r)
		if err != nil {
			return // it was stopped
		}
		defer answer.Body.Close()
		io.Copy(io.Discard, answer.Body)
		if answer.StatusCode/100 == 2 {
			s.acknowledged.Add(int64(len(lines)))
		}
	})
}

// observed is an input that tells a sender what arrives.
type observed struct {
	receive.Input
	sender *sender
}

// Run implements pipeline.Input.
func (o observed) Run(ctx context.Context, feed pipeline.Feed) error {
	err := o.Input.Run(ctx, observedFeed{feed, o.sender})
	o.sender.mu.Lock()
	o.sender.finished = true
	o.sender.changed.Broadcast()
	o.sender.mu.Unlock()
	return err
}

type observedFeed struct {
	pipeline.Feed
	sender *sender
}

// Send implements pipeline.Feed.
func (f observedFeed) Send(ctx context.Context, b *event.Batch) error {
	f.sender.mu.Lock()
	f.sender.arrived += len(b.Records)
	f.sender.changed.Broadcast()
	f.sender.mu.Unlock()
	return f.Feed.Send(ctx, b)
}
