package kubeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A script answers one request after the other; the last answer is for all further ones.
func script(t *testing.T, answers ...func(w http.ResponseWriter, r *http.Request)) *httptest.Server {
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := answers[min(n, len(answers)-1)]
		n++
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func says(text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

var errEnough = errors.New("enough")

// A recorder notes what it gets, and ends a watch after some of it.
type recorder struct {
	got    []string
	enough int
	seen   error // the last trouble
}

func (r *recorder) List(_ context.Context, items []json.RawMessage, version string) error {
	return r.note(fmt.Sprintf("list %d at %s", len(items), version))
}

func (r *recorder) Change(_ context.Context, what string, object json.RawMessage) error {
	return r.note(what + " " + string(object))
}

func (r *recorder) Trouble(err error) {
	if err != nil {
		r.seen = err
	}
}

func (r *recorder) note(what string) error {
	if r.got = append(r.got, what); len(r.got) >= r.enough {
		return errEnough
	}
	return nil
}

func watch(t *testing.T, s *httptest.Server, version string, enough int) *recorder {
	t.Helper()
	client, err := Config{URL: s.URL}.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	r := &recorder{enough: enough}
	if err := client.Watch(t.Context(), Kind{Path: "/api/v1/pods"}, version, r); !errors.Is(err, errEnough) {
		t.Errorf("the watch ends with %v", err)
	}
	return r
}

// TestPages reads a list in pages, and watches from its version on; a bookmark moves that.
func TestPages(t *testing.T) {
	var asked []string
	note := func(text string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			asked = append(asked, q.Get("continue")+"|"+q.Get("resourceVersion"))
			fmt.Fprint(w, text)
		}
	}
	s := script(t,
		note(`{"metadata":{"resourceVersion":"5","continue":"more"},"items":[{},{}]}`),
		note(`{"metadata":{"resourceVersion":"5"},"items":[{}]}`),
		note(`{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}`+"\n"),
		note(`{"type":"FUTURE","object":{}}`+"\n"+
			`{"type":"ADDED","object":{"metadata":{"resourceVersion":"10"}}}`+"\n"))
	r := watch(t, s, "", 2)
	want := []string{"list 3 at 5", `ADDED {"metadata":{"resourceVersion":"10"}}`}
	if diff := cmp.Diff(want, r.got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"|", "more|", "|5", "|9"}, asked); diff != "" {
		t.Error(diff)
	}
}

// TestExpired lists anew where the server has forgotten a version: at once, or within a watch.
func TestExpired(t *testing.T) {
	list := says(`{"metadata":{"resourceVersion":"7"},"items":[{}]}`)
	for name, gone := range map[string]func(http.ResponseWriter, *http.Request){
		"as an answer": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) },
		"as an event":  says(`{"type":"ERROR","object":{"code":410,"message":"too old resource version"}}` + "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			r := watch(t, script(t, gone, list), "3", 1)
			if diff := cmp.Diff([]string{"list 1 at 7"}, r.got); diff != "" {
				t.Error(diff)
			}
			if r.seen != nil {
				t.Errorf("it is reported as trouble: %v", r.seen)
			}
		})
	}
}

// TestTrouble has what the server says of it reported, and goes on.
func TestTrouble(t *testing.T) {
	list := says(`{"metadata":{"resourceVersion":"7"},"items":[{}]}`)
	for _, tt := range []struct {
		name, want string
		answer     func(http.ResponseWriter, *http.Request)
	}{
		{"forbidden", `403 Forbidden: "no such right"; its service account needs`,
			func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, `{"message":"no such right"}`, http.StatusForbidden)
			}},
		{"no JSON", "reading what the Kubernetes API answers", says("<html>")},
		{"elsewhere", "302 Found", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/x", http.StatusFound)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := watch(t, script(t, tt.answer, list), "", 1)
			if r.seen == nil || !strings.Contains(r.seen.Error(), tt.want) {
				t.Errorf("it reports %v, want %q", r.seen, tt.want)
			}
		})
	}
}

// TestHostileChanges has lines of a watch that are no changes, or too long, reported.
func TestHostileChanges(t *testing.T) {
	list := says(`{"metadata":{"resourceVersion":"7"},"items":[]}`)
	next := says(`{"type":"DELETED","object":{}}` + "\n")
	for name, line := range map[string]string{
		"no JSON":   "{\n",
		"no object": `{"type":"ADDED","object":[]}` + "\n",
		"too long":  `{"type":"` + strings.Repeat("x", maxEvent+1) + "\n",
		"an error":  `{"type":"ERROR","object":{"code":500,"message":"etcd"}}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := watch(t, script(t, list, says(line), next), "", 2)
			if r.seen == nil {
				t.Errorf("nothing is reported; it got %q", r.got)
			}
		})
	}
}

// TestTokenIsReadAgain renews the token between two requests.
func TestTokenIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	var got []string
	s := script(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		fmt.Fprint(w, `{"metadata":{"resourceVersion":"7"},"items":[]}`)
	})
	client, err := Config{URL: s.URL, TokenFile: file}.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, token := range []string{"one\n", "two"} {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := client.List(t.Context(), Kind{Path: "/p"}, &recorder{enough: 9}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"Bearer one", "Bearer two"}, got); diff != "" {
		t.Error(diff)
	}
}
