package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/longshore/longshore/inputs/journal"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/event"
	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newInput(t testing.TB, dir, settings string) *Input {
	t.Helper()
	env := pipetest.Env(t)
	env.Folder = dir
	made, err := pipetest.Config[*Config](t, Spec(), settings).Input(env)
	if err != nil {
		t.Fatal(err)
	}
	return made.(*Input)
}

// TestConformance writes into the journal of a probe that finds nothing to say.
func TestConformance(t *testing.T) {
	pipetest.TestInput(t, Spec(), func(t *testing.T) pipetest.InputHarness {
		dir := t.TempDir()
		j, err := journal.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { j.Close() })
		return pipetest.InputHarness{
			New: func(t testing.TB) pipeline.Input { return newInput(t, dir, "tcp: 127.0.0.1:1\ninterval: 1h") },
			Write: func(t testing.TB, lines ...string) {
				for _, line := range lines {
					if err := j.Append([]byte(line)); err != nil {
						t.Fatal(err)
					}
				}
			},
			Resumes: true,
		}
	})
}

// A play is a probe whose checks and clock are the test's: each letter is a round, "." a success
// and "x" a failure, "?" one that cannot say; "0" has nothing there and "!" cannot look.
type play struct {
	t   *testing.T
	in  *Input
	now time.Time
}

func newPlay(t *testing.T, dir, settings string, now time.Time) *play {
	p := &play{t: t, in: newInput(t, dir, settings), now: now}
	var err error
	if p.in.journal, err = journal.Open(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.in.journal.Close() })
	p.in.now = func() time.Time { return p.now }
	if err := p.in.recall(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *play) rounds(results string) {
	for _, c := range results {
		p.in.check = func(context.Context) ([]result, error) {
			r := result{target: "shop", unknown: c == '?'}
			switch c {
			case 'x':
				r.err = errors.New("no")
			case '0':
				return nil, nil
			case '!':
				return nil, errors.New("no engine")
			}
			return []result{r}, nil
		}
		p.in.round(p.t.Context())
		p.now = p.now.Add(10 * time.Second)
	}
}

// said returns what is in a journal.
func said(t *testing.T, in *Input) (all []string) {
	t.Helper()
	err := in.journal.Lines(func(line []byte) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		text := string(r.State)
		if r.Action != "" {
			text = strings.TrimSpace(r.Action + " " + r.Outcome)
		}
		all = append(all, text)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestStates: what is said of a row of results; / is a restart of the agent.
func TestStates(t *testing.T) {
	const command = "\non_failure: {command: [/bin/true], backoff: 1s, max: 2}"
	for _, test := range []struct {
		name, settings, results, want string
	}{
		{"up once", "", "....", "up"},
		{"a failure is not yet one", "", ".xx.xx.", "up"},
		{"three in a row are", "", ".xxx.", "up,down,up"},
		{"down from the start", "", "xxxxx", "down"},
		{"what cannot be said changes nothing", "", ".x?x!x", "up,down"},
		{"a restart repeats nothing", "", "xxx/xxx/xxx./.", "down,up"},
		{"a restart counts anew", "", ".xx/xx", "up"},
		{"failures at the start do not count", "start_period: 1m", "xxxxxx.xxx", "up,down"},
		{"but those later do", "start_period: 1m", "xxxxxxxxx", "down"},
		{"a success ends the start", "start_period: 1h", ".xxx", "up,down"},
		{"each result", "results: true", ".x.", "up,up,up"},
		{"what is gone begins anew", "", ".0.", "up,up"},
		{"an action after three more failures", "retries: 3" + command, "xxxxx", "down,command,command success"},
		{"no more than two in the window", "retries: 1" + command, "xxxxxx",
			"down,command,command success,command,command success,command limited"},
		{"nor over a restart", "retries: 1" + command, "xx/xxx/xx",
			"down,command,command success,command,command success,command limited"},
		{"backoff doubles", "retries: 1\non_failure: {command: [/bin/true], backoff: 30s, max: 9}", "xxxxxxxxxxx",
			"down,command,command success,command,command success,command,command success"},
		{"a command that fails", "retries: 1\non_failure: {command: [/bin/false], max: 1}", "x",
			"down,command,command failure"},
		{"the start period is that of an action too", "retries: 1\nstart_period: 1m" + command, ".xxxxxx",
			"up,down,command,command success"},
	} {
		dir := t.TempDir()
		p := newPlay(t, dir, "tcp: 127.0.0.1:1\n"+test.settings, time.Unix(1_800_000_000, 0))
		for i, part := range strings.Split(test.results, "/") {
			if i > 0 {
				p = newPlay(t, dir, "tcp: 127.0.0.1:1\n"+test.settings, p.now)
			}
			p.rounds(part)
		}
		if got := strings.Join(said(t, p.in), ","); got != test.want {
			t.Errorf("%s (%s): it says %s, want %s", test.name, test.results, got, test.want)
		}
	}
}

// TestRecords runs a probe of a server that fails and comes back.
func TestRecords(t *testing.T) {
	var mu sync.Mutex
	status := 200
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			status = 401
		}
		w.WriteHeader(status)
		fmt.Fprint(w, "all is well")
	}))
	defer server.Close()
	url := strings.Replace(server.URL, "http://", "http://u:p4ss@", 1)
	in := newInput(t, t.TempDir(), "retries: 1\nhttp: {url: '"+url+"/x?key=h1dden', contains: well, "+
		"headers: {Authorization: Bearer s3cret}}")
	rounds := make(chan struct{})
	in.pause = func(ctx context.Context) error {
		select {
		case rounds <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	feed := pipetest.NewFeed(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx, feed) }()
	for _, next := range []int{503, 200} {
		<-rounds
		mu.Lock()
		status = next
		mu.Unlock()
	}
	<-rounds
	got := feed.WaitFor(ctx, 3)
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		`"level":"info","message":"under-test is up"`,
		`"level":"error","message":"under-test is down: it answers 503 Service Unavailable"`,
		`"level":"info","message":"under-test is up"`,
	} {
		if !strings.Contains(got[i].Line, want) || got[i].Source.Label(event.LabelService) != "under-test" {
			t.Errorf("record %d is %s, want %s", i, got[i].Line, want)
		}
		for _, secret := range []string{"s3cret", "p4ss", "h1dden"} {
			if strings.Contains(got[i].Line+in.config.what(), secret) {
				t.Errorf("record %d shows %s", i, secret)
			}
		}
	}
}

// TestChecks checks what is there and what is not.
func TestChecks(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusFound))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	dir := t.TempDir()
	for path, text := range map[string]string{
		"proc/7/comm": "a-program-with-\n", "proc/7/stat": "7 (a-program-with-) S 1",
		"proc/8/comm": "dead\n", "proc/8/stat": "8 (dead) Z 1", "pid": "7\n",
		"dead": "8", "bad": "x", "proc/x/comm": "x\n",
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	proc := dir + "/proc"
	for settings, want := range map[string]string{
		"http: {url: " + server.URL + "}":                            "",
		"http: {url: " + server.URL + ", status: [200]}":             "it answers 302 Found",
		"http: {url: " + server.URL + ", contains: nothing}":         "lacks what it should contain",
		"http: {url: http://" + closed.Addr().String() + "/?secret}": "connection refused",
		"tcp: " + address:                "",
		"tcp: " + closed.Addr().String(): "connection refused",
		"process: {name: a-program-with-a-long-name, proc: " + proc + "}": "",
		"process: {name: dead, proc: " + proc + "}":                       "there is no such process",
		"process: {name: none, proc: " + proc + "}":                       "there is no such process",
		"process: {pid_file: " + dir + "/pid, proc: " + proc + "}":        "",
		"process: {pid_file: " + dir + "/dead, proc: " + proc + "}":       "there is no such process",
		"process: {pid_file: " + dir + "/bad, proc: " + proc + "}":        "has no number of a process",
		"process: {pid_file: " + dir + "/nothing, proc: " + proc + "}":    "no such file",
	} {
		in := newInput(t, t.TempDir(), settings)
		results, err := in.check(t.Context())
		if err != nil || len(results) != 1 {
			t.Fatalf("%s: %v, %v", settings, results, err)
		}
		if got := fmt.Sprint(results[0].err); want == "" && results[0].err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %q", settings, got, want)
		}
		if strings.Contains(fmt.Sprint(results[0].err), "secret") {
			t.Errorf("%s: the error shows the query", settings)
		}
	}
}

// fakeEngine has containers by name, and takes note of what is asked of it.
type fakeEngine struct {
	mu    sync.Mutex
	asked []string
	all   map[string]fakeContainer
}

type fakeContainer struct {
	id, status string
	label      string
	running    bool
}

func (e *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	path := r.URL.Path
	if strings.HasPrefix(path, "/v1.") {
		path = path[1+strings.Index(path[1:], "/"):]
	}
	e.asked = append(e.asked, r.Method+" "+path)
	w.Header().Set("Api-Version", "1.47")
	if path == "/containers/json" {
		var list []map[string]any
		for name, c := range e.all {
			if c.running {
				list = append(list, map[string]any{"Id": c.id, "Names": []string{"/" + name}, "Status": c.status})
			}
		}
		_ = json.NewEncoder(w).Encode(list)
		return
	}
	if r.Method == http.MethodPost {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	for name, c := range e.all {
		if path == "/containers/"+name+"/json" || path == "/containers/"+c.id+"/json" {
			fmt.Fprintf(w, `{"Id":%q,"Name":"/%s","State":{"Running":%t,"Status":"x"},"Config":{"Labels":{%s}}}`, c.id,
				name, c.running, c.label)
			return
		}
	}
}

// TestRestarts: nothing but GET leaves without an action, and with one nothing but the restart of
// a running container that has the label.
func TestRestarts(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	id := func(c string) string { return strings.Repeat(c, 64) }
	const yes = `"longshore.restart":"true"`
	all := map[string]fakeContainer{
		"labelled": {id("a"), "Up 2 hours (unhealthy)", yes, true},
		"plain":    {id("b"), "Up 2 hours (unhealthy)", "", true},
		"no":       {id("c"), "Up 1 hour (unhealthy)", `"longshore.restart":"no"`, true},
		"stopped":  {id("d"), "", yes, false},
		"well":     {id("e"), "Up 1 hour (healthy)", yes, true}, "unchecked": {id("f"), "Up 1 hour", yes, true},
		"starting": {id("1"), "Up 1 second (health: starting)", yes, true},
	}
	restarted := []string{"POST /containers/" + id("a") + "/restart"}
	for _, test := range []struct {
		settings string
		posts    []string
		says     string
	}{
		{"containers: {names: ['*']}", nil, ""},
		{"containers: {names: ['*']}\non_failure: {command: [/bin/true]}", nil, "command success"},
		{"containers: {names: ['*']}\non_failure: {restart: true}", restarted, "restart refused"},
		{"containers: {names: [pl*, well]}\non_failure: {restart: true}", nil, "restart refused"},
		{"tcp: 127.0.0.1:1\non_failure: {restart: true, container: labelled}", restarted, "restart success"},
		{"tcp: 127.0.0.1:1\non_failure: {restart: true, container: plain}", nil, "restart refused"},
		{"tcp: 127.0.0.1:1\non_failure: {restart: true, container: stopped}", nil, "restart refused"},
	} {
		engine := &fakeEngine{all: all}
		server := httptest.NewServer(engine)
		p := newPlay(t, t.TempDir(), "retries: 1\n"+test.settings, time.Now())
		p.in.engine.Host = "tcp://" + strings.TrimPrefix(server.URL, "http://")
		p.in.round(t.Context())
		p.in.engine.Close()
		server.Close()
		posts := slices.DeleteFunc(engine.asked, func(r string) bool { return strings.HasPrefix(r, "GET ") })
		if diff := cmp.Diff(test.posts, posts); diff != "" && len(test.posts)+len(posts) > 0 {
			t.Errorf("%s: beside GET: -want +got\n%s", test.settings, diff)
		}
		if got := said(t, p.in); test.says != "" && !slices.Contains(got, test.says) {
			t.Errorf("%s: it says %q, want %q", test.settings, got, test.says)
		}
	}
}

// TestGuard asks an engine for more than a restart.
func TestGuard(t *testing.T) {
	c := pipetest.Config[*Config](t, Spec(), "containers: {names: [a]}\non_failure: {restart: true}")
	may := newEngine(c).May
	container := "/containers/" + strings.Repeat("a", 64)
	for request, want := range map[string]bool{
		"POST /v1.47" + container + "/restart": true, "POST " + container + "/restart": true,
		"POST /v1.47" + container + "/stop": false, "DELETE /v1.47" + container: false,
		"POST /v1.47/containers/create": false,
		"POST /containers/web/restart":  false, "PUT " + container + "/restart": false,
		"POST /v1.47" + container + "/restart/x": false, "POST /x" + container + "/restart": false,
	} {
		method, path, _ := strings.Cut(request, " ")
		if got := may(httptest.NewRequest(method, path, nil)); got != want {
			t.Errorf("%s may be sent: %t", request, got)
		}
	}
}

// TestCommand: a command gets its arguments as they are and little of the environment, and is
// killed with what it has started.
func TestCommand(t *testing.T) {
	t.Setenv("SECRET", "s3cret")
	out := filepath.Join(t.TempDir(), "out")
	script := `echo "$1 $LONGSHORE_PROBE $LONGSHORE_TARGET $SECRET" > ` + out
	if err := runCommand(t.Context(), []string{"/bin/sh", "-c", script, "x", "a b; $(id)"}, "p", "$(t)"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(out); err != nil || string(got) != "a b; $(id) p $(t) \n" {
		t.Errorf("it has %q: %v", got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := runCommand(ctx, []string{"/bin/sh", "-c", "sleep 600 & wait"}, "p", "t"); err == nil {
		t.Error("a command that goes on for ever has ended well")
	}
}

func TestWrongConfig(t *testing.T) {
	for settings, want := range map[string]string{
		"":                                      "must have one of",
		"tcp: a:1\nprocess: {name: x}":          "must have one of",
		"http: {url: 'ftp://x'}":                "write it like http://",
		"tcp: nowhere":                          "write it like db:5432",
		"tcp: a:1\non_failure: {restart: true}": "must name the container",
		"tcp: a:1\non_failure: {command: [reboot]}":                           "absolute path",
		"containers: {names: [a]}\non_failure: {restart: true, container: b}": "remove it",
		"tcp: a:1\non_failure: {restart: true, container: a, command: [/x]}":  "remove one",
		"process: {name: a, pid_file: /b}":                                    "remove one",
	} {
		if _, err := config.Settings(Spec(), settings); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", settings, err, want)
		}
	}
}
