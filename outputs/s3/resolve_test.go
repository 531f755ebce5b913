package s3

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

// ask returns which items of a body are stored.
func ask(t testing.TB, o *Output, body *pipeline.Body) ([]bool, error) {
	t.Helper()
	stored := make([]bool, len(body.Items))
	err := o.Stored(t.Context(), body, stored)
	return stored, err
}

// lost answers a request that it has done with an error, as when a gateway gives up.
func (s *fakeS3) lost(done bool) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || r.Header.Get(emptyHeader) != "" {
			return false
		}
		if done {
			s.put(r.URL.Path, nil, r.Header)
		}
		w.WriteHeader(http.StatusGatewayTimeout)
		return true
	}
}

// TestStoredAfterARestart: bodies are cut anew, and the records are found all the same.
func TestStoredAfterARestart(t *testing.T) {
	for name, test := range map[string]struct {
		fail   func(s *fakeS3)
		stored bool
	}{
		"was made":            {func(s *fakeS3) { s.answer = s.lost(true) }, true},
		"was not":             {func(s *fakeS3) { s.answer = s.lost(false) }, false},
		"was made, and known": {func(*fakeS3) {}, true},
		"does not heed":       {func(s *fakeS3) { s.answer, s.heedless = s.lost(false), true }, false},
		"made, without heed":  {func(s *fakeS3) { s.answer, s.heedless = s.lost(true), true }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, folder := newFakeS3(t), t.TempDir()
			test.fail(s)
			o := open(t, s, folder, "")
			body := bodyOf(t, o, 1, 10, "a", "b", "c")
			add(t, o, body, 2, 10, "d")
			_ = o.Send(t.Context(), body)
			again := open(t, s, folder, "")
			other := bodyOf(t, again, 1, 9, "before", "a", "b")
			add(t, again, other, 3, 10, "not that")
			got, err := ask(t, again, other)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]bool{false, test.stored, test.stored, false}, got); diff != "" {
				t.Error(diff)
			}
			if again, err := ask(t, again, other); err != nil || !slices.Equal(again, got) {
				t.Errorf("asked again: %v, %v", again, err)
			}
		})
	}
}

// TestLateRequest: a request that is under way when its object is asked for makes none any more.
func TestLateRequest(t *testing.T) {
	s := newFakeS3(t)
	s.answer = s.lost(false)
	o := open(t, s, "", "")
	body := bodyOf(t, o, 1, 0, "a", "b")
	if err := o.Send(t.Context(), body); err == nil {
		t.Fatal("it is stored")
	}
	late := s.requests[0]
	s.answer = nil
	if got, err := ask(t, o, body); err != nil || !slices.Equal(got, []bool{false, false}) {
		t.Fatalf("%v, %v", got, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+late.URL.Path, strings.NewReader("late"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = late.Header.Clone()
	req.Header.Del("Content-Md5")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("the late request: %s", resp.Status)
	}
	if err := o.Send(t.Context(), body); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, s.messages(t)); diff != "" {
		t.Error(diff)
	}
}

// TestBlind: who may write and not read learns from the condition whether an object is there.
func TestBlind(t *testing.T) {
	for _, made := range []bool{true, false} {
		s, folder := newFakeS3(t), t.TempDir()
		fails := s.lost(made)
		s.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusForbidden)
				return true
			}
			return fails(w, r)
		}
		o := open(t, s, folder, "")
		body := bodyOf(t, o, 1, 0, "a")
		_ = o.Send(t.Context(), body)
		if got, err := ask(t, o, body); err != nil || got[0] != made {
			t.Errorf("made %t: %v, %v", made, got, err)
		}
		// A crash after an empty object may have been made, and before that was noted.
		if err := os.Remove(filepath.Join(folder, attemptsFile)); err != nil {
			t.Fatal(err)
		}
		url := s.URL + s.requests[0].URL.Path
		held := []heldSource{{1, []uint64{0}}}
		mustAdd(t, o.attempts, note{state: tried, url: url, held: held}, note{state: fencing, url: url})
		if _, err := ask(t, o, body); !errors.Is(err, pipeline.ErrUnknowable) {
			t.Errorf("made %t: %v, want that it is unknowable", made, err)
		}
	}
}

// TestQuestionsFail: no answer is taken for one that it is not.
func TestQuestionsFail(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"broken":          status(500),
		"a login page":    func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/html") },
		"empty forbidden": status(403),
	} {
		s := newFakeS3(t)
		s.answer = s.lost(true)
		o := open(t, s, "", "")
		body := bodyOf(t, o, 1, 0, "a")
		_ = o.Send(t.Context(), body)
		s.answer = func(w http.ResponseWriter, r *http.Request) bool { answer(w, r); return true }
		if got, err := ask(t, o, body); err == nil {
			t.Errorf("%s: %v without an error", name, got)
		}
	}
}

// TestCrashesAtRandom sends records as the deliverer does, with bodies cut anew, answers lost, and
// processes ended at any point: each record is in the bucket once.
func TestCrashesAtRandom(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		s, folder := newFakeS3(t), t.TempDir()
		s.heedless = false
		s.answer = func(w http.ResponseWriter, r *http.Request) bool {
			switch random.IntN(6) {
			case 0:
				w.WriteHeader(http.StatusBadGateway)
				return true
			case 1:
				if r.Method == http.MethodPut && r.Header.Get("If-None-Match") == "*" {
					if _, is := s.objects[r.URL.Path]; !is {
						s.put(r.URL.Path, s.content(r), r.Header)
					}
					w.WriteHeader(http.StatusBadGateway)
					return true
				}
			}
			return false
		}
		s.Config.Handler = keepingContent(s)
		all := make([]string, 100)
		for i := range all {
			all[i] = string(rune('A'+i/26)) + string(rune('a'+i%26))
		}
		done := map[int]bool{}
		for len(done) < len(all) {
			o := open(t, s, folder, "prefix: '{host.name}/'")
			for range random.IntN(4) + 1 { // a run
				var chosen []int
				for i := range all {
					if !done[i] && random.IntN(3) > 0 {
						chosen = append(chosen, i)
					}
				}
				body := &pipeline.Body{Sources: &sources{}}
				for _, i := range chosen {
					add(t, o, body, event.SourceID(i%3), uint64(i), all[i])
				}
				stored, err := ask(t, o, body)
				if err != nil {
					continue
				}
				rest := &pipeline.Body{Sources: &sources{}}
				var sent []int
				for k, i := range chosen {
					if stored[k] {
						done[i] = true
						continue
					}
					sent = append(sent, i)
					add(t, o, rest, event.SourceID(i%3), uint64(i), all[i])
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				err = o.Send(ctx, rest)
				cancel()
				if random.IntN(2) == 0 {
					break // the process ends before it has noted anything
				}
				failed := map[int]bool{}
				var answer *pipeline.SendError
				if errors.As(err, &answer) {
					for _, item := range answer.Items {
						failed[item.Index] = true
					}
				}
				for k, i := range sent {
					if err == nil || answer != nil && answer.Items != nil && !failed[k] {
						done[i] = true
					}
				}
			}
		}
		s.answer = nil
		got := s.messages(t)
		slices.Sort(got)
		if diff := cmp.Diff(all, got); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

// TestEmptyObjects: those in the place of others are valid files.
func TestEmptyObjects(t *testing.T) {
	for _, compression := range []string{"gzip", "zstd", "none"} {
		s := newFakeS3(t)
		s.answer = s.lost(false)
		o := open(t, s, "", "compression: "+compression)
		body := bodyOf(t, o, 1, 0, "a")
		_ = o.Send(t.Context(), body)
		if _, err := ask(t, o, body); err != nil {
			t.Fatal(err)
		}
		if got := s.messages(t); len(got) > 0 || len(s.objects) != 1 {
			t.Errorf("%s: %q in %d objects", compression, got, len(s.objects))
		}
	}
}
