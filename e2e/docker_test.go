package e2e

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/chatter/script"
	"github.com/longshore/longshore/e2e/server"
)

// shipped reads what the agent's file output holds: how often each message of
// each container is there.
func shipped(t *testing.T, path string) map[string]map[string]int {
	t.Helper()
	byContainer := map[string]map[string]int{}
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return byContainer
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var d struct {
			Message string `json:"message"`
			Name    string `json:"container.name"`
		}
		if json.Unmarshal(lines.Bytes(), &d) != nil {
			continue // the last line may be on its way
		}
		if byContainer[d.Name] == nil {
			byContainer[d.Name] = map[string]int{}
		}
		byContainer[d.Name][d.Message]++
	}
	return byContainer
}

// wantAll waits until everything that the engine holds of a container is
// shipped, and checks that nothing is there twice.
func wantAll(t *testing.T, docker *server.DockerServer, path, name string) {
	t.Helper()
	logged := strings.Split(docker.Docker("logs", name), "\n")
	eventually(t, name, time.Minute, func() (bool, string) {
		got := shipped(t, path)[name]
		return len(got) >= len(logged), fmt.Sprintf("%d of %d lines", len(got), len(logged))
	})
	got := shipped(t, path)[name]
	for _, line := range logged {
		if n := got[line]; n != 1 {
			t.Errorf("%s: %q is there %d times", name, line, n)
			return
		}
	}
	if len(got) != len(logged) {
		t.Errorf("%s: %d different lines are shipped, and %d were logged", name, len(got), len(logged))
	}
}

// dockerToFile reads containers through the engine's API, or from its files.
func dockerToFile(t *testing.T, docker *server.DockerServer, mode, names string) (a *agent, out string) {
	out = filepath.Join(t.TempDir(), "out.jsonl")
	a = newAgent(t, fmt.Sprintf(`
inputs: {containers: {type: docker, host: %q, mode: %s, include: {names: [%s]}}}
outputs: {out: {type: file, path: %s, sync: false}}
`, docker.Host, mode, names, out))
	return a, out
}

// TestDockerEngineRestarts kills the engine, and with it the containers, while
// they log, and restarts both twice.
func TestDockerEngineRestarts(t *testing.T) { server.EachPrivateDocker(t, testEngineRestarts) }

func testEngineRestarts(t *testing.T, docker *server.DockerServer) {
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	a, out := dockerToFile(t, docker, "api", "engine-*")
	names := []string{"engine-one", "engine-two"}
	docker.Remove(names...)
	for _, name := range names {
		docker.Docker("run", "-d", "--name", name, "longshore-e2e/chatter:dev",
			"-name", name, "-format", "plain", "-lines", "3000", "-rate", "1000")
	}
	a.start()
	eventually(t, "the first lines", time.Minute, func() (bool, string) {
		n := len(shipped(t, out)[names[0]])
		return n > 100, fmt.Sprint(n)
	})
	docker.Kill()
	docker.Start()
	docker.Docker(append([]string{"start"}, names...)...)
	docker.Stop()
	docker.Start()
	for _, name := range names {
		docker.Docker("start", name)
		docker.Docker("wait", name)
	}
	for _, name := range names {
		wantRuns(t, docker, out, name)
	}
	a.stop()
}

// wantRuns is wantAll for a container that was started several times, and wrote
// the same lines each time.
func wantRuns(t *testing.T, docker *server.DockerServer, path, name string) {
	t.Helper()
	logged := map[string]int{}
	total := 0
	for _, line := range strings.Split(docker.Docker("logs", name), "\n") {
		logged[line]++
		total++
	}
	count := func() (n int) {
		for _, times := range shipped(t, path)[name] {
			n += times
		}
		return n
	}
	eventually(t, name, time.Minute, func() (bool, string) {
		n := count()
		return n >= total, fmt.Sprintf("%d of %d lines", n, total)
	})
	got := shipped(t, path)[name]
	for line, n := range logged {
		if got[line] != n {
			t.Errorf("%s: %q is there %d times, and was logged %d times", name, line, got[line], n)
			return
		}
	}
	if n := count(); n != total {
		t.Errorf("%s: %d lines are shipped, and %d were logged", name, n, total)
	}
}

// TestDockerShortLives starts a hundred containers that are over in a fifth of a
// second, and the agent anew in between.
func TestDockerShortLives(t *testing.T) {
	server.EachDocker(t, func(t *testing.T, docker *server.DockerServer) {
		for _, mode := range []string{"api", "files"} {
			t.Run(mode, func(t *testing.T) { testShortLives(t, docker, mode) })
		}
	})
}

func testShortLives(t *testing.T, docker *server.DockerServer, mode string) {
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	a, out := dockerToFile(t, docker, mode, "brief-*")
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("brief-%02d", i))
	}
	docker.Remove(names...)
	for _, name := range names {
		docker.Docker("create", "--name", name, "longshore-e2e/chatter:dev",
			"-name", name, "-format", "plain", "-lines", "50", "-rate", "250")
	}
	a.start()
	for i := 0; i < len(names); i += 25 {
		docker.Docker(append([]string{"start"}, names[i:i+25]...)...)
		if i == 50 {
			a.stop()
			a.start()
		}
	}
	docker.Docker(append([]string{"wait"}, names...)...)
	for _, name := range names {
		wantAll(t, docker, out, name)
	}
	docker.Remove(names...)
	if troubles := a.troubles(); len(troubles) > 0 {
		t.Errorf("the agent says: %q", troubles)
	}
	a.stop()
}

// TestDockerRemovedAtOnce runs containers that are removed the moment they exit. Their logs go with
// them: what was read is delivered, in order and without a hole, and of whom nothing was read the
// agent tells.
func TestDockerRemovedAtOnce(t *testing.T) {
	server.EachDocker(t, func(t *testing.T, docker *server.DockerServer) {
		for _, mode := range []string{"api", "files"} {
			t.Run(mode, func(t *testing.T) { testRemovedAtOnce(t, docker, mode) })
		}
	})
}

func testRemovedAtOnce(t *testing.T, docker *server.DockerServer, mode string) {
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	a, out := dockerToFile(t, docker, mode, "fleeting-*")
	a.start()
	a.says("/ready", 200)
	const lines = 50
	var names []string
	for i := range 20 {
		name := fmt.Sprintf("fleeting-%02d", i)
		names = append(names, name)
		docker.Docker("create", "--rm", "--name", name, "longshore-e2e/chatter:dev", "-name", name, "-format", "plain",
			"-lines", fmt.Sprint(lines), "-rate", "250")
	}
	docker.Docker(append([]string{"start"}, names...)...)
	eventually(t, "the end of all containers", time.Minute, func() (bool, string) {
		left := docker.Docker("ps", "-aq", "--filter", "name=fleeting-")
		return left == "", left
	})
	a.stop()
	byContainer := shipped(t, out)
	whole := 0
	for _, name := range names {
		got := byContainer[name]
		for i := range len(got) {
			if n := got[script.Message(name, i)]; n != 1 {
				t.Errorf("%s: %d lines are shipped, and line %d of them %d times", name, len(got), i, n)
				break
			}
		}
		switch {
		case len(got) == lines:
			whole++
		case len(got) == 0 && !strings.Contains(a.log.String(), name):
			t.Errorf("%s is lost, and the agent does not say so", name)
		}
	}
	t.Logf("%d of %d were read to their end", whole, len(names))
	if whole < len(names)/2 {
		t.Errorf("only %d of %d containers were read to their end", whole, len(names))
	}
}

// wantScript waits for all lines of a container that writes plain ones, each once.
func wantScript(t *testing.T, path, name string, lines int) {
	t.Helper()
	var got map[string]int
	times := func(i int) int { return got[script.Message(name, i)] }
	eventually(t, name, time.Minute, func() (bool, string) {
		got = shipped(t, path)[name]
		return len(got) >= lines, fmt.Sprintf("%d of %d lines; %s", len(got), lines, wrongLines(lines, times))
	})
	if wrong := wrongLines(lines, times); wrong != "" {
		t.Errorf("%s: %s", name, wrong)
	}
}

// wrongLines tells which of the lines are not there just once.
func wrongLines(lines int, times func(i int) int) string {
	var wrong []string
	for i := 0; i < lines && len(wrong) < 20; i++ {
		n, from := times(i), i
		if n == 1 {
			continue
		}
		for i+1 < lines && times(i+1) == n {
			i++
		}
		wrong = append(wrong, fmt.Sprintf("%d to %d are there %d times", from, i, n))
	}
	return strings.Join(wrong, ", ")
}

// TestDockerFallenBehind stops the agent's process for a while. The engine rotates the log
// several times meanwhile, and goes on with the newest file; the older ones are still there.
func TestDockerFallenBehind(t *testing.T) { server.EachPrivateDocker(t, testFallenBehind) }

func testFallenBehind(t *testing.T, docker *server.DockerServer) {
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	a, out := dockerToFile(t, docker, "api", "behind")
	a.start()
	a.says("/ready", 200)
	const lines, rate = 48_000, 4000
	docker.Remove("behind")
	docker.Docker("run", "-d", "--name", "behind",
		"--log-driver", "json-file", "--log-opt", "max-size=300k", "--log-opt", "max-file=40",
		"longshore-e2e/chatter:dev",
		"-name", "behind", "-format", "plain", "-lines", fmt.Sprint(lines), "-rate", fmt.Sprint(rate))
	a.metric("longshore_docker_lines_total", 3*rate)
	a.cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(6 * time.Second)
	a.cmd.Process.Signal(syscall.SIGCONT)
	docker.Docker("wait", "behind")
	wantScript(t, out, "behind", lines)
	t.Log(skips(a))
	if troubles := a.troubles(); len(troubles) > 0 {
		t.Errorf("the agent says: %q", troubles)
	}
	a.stop()
}

// skips returns how often the engine's stream seemed to have left out lines.
func skips(a *agent) string {
	_, metrics := a.ask("/metrics")
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "longshore_docker_skipped_ranges_total") {
			return strings.TrimSpace(line)
		}
	}
	return "no metric"
}

// TestDockerRotatesDuringAnOutage has a container whose log holds no more than a few
// seconds, and a destination that is away for longer: the spool takes it.
func TestDockerRotatesDuringAnOutage(t *testing.T) {
	server.EachPrivateDocker(t, testRotatesDuringAnOutage)
}

func testRotatesDuringAnOutage(t *testing.T, docker *server.DockerServer) {
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	bulk := newBulkServer(t)
	a := newAgent(t, fmt.Sprintf(`
inputs: {containers: {type: docker, host: %q, mode: api, include: {names: [outage]}}}
outputs: {elastic: {type: elasticsearch, urls: [%q], index: outage, install_template: false, retry: {max_backoff: 1s}}}
`, docker.Host, bulk.url))
	a.start()
	a.says("/health", 200)
	const lines = 20_000
	docker.Remove("outage")
	docker.Docker("run", "-d", "--name", "outage",
		"--log-driver", "json-file", "--log-opt", "max-size=100k", "--log-opt", "max-file=3",
		"longshore-e2e/chatter:dev",
		"-name", "outage", "-format", "plain", "-lines", fmt.Sprint(lines), "-rate", "1500")
	docker.Docker("wait", "outage")
	if held := len(strings.Split(docker.Docker("logs", "outage"), "\n")); held > lines/5 {
		t.Errorf("the engine still has %d lines; it should have rotated most of them away", held)
	}
	bulk.open.Store(true)
	times := func(i int) int { return bulk.times(script.Message("outage", i)) }
	eventually(t, "all lines", time.Minute, func() (bool, string) {
		n := bulk.count()
		return n >= lines, fmt.Sprintf("%d of %d lines; %s; %s", n, lines, skips(a), wrongLines(lines, times))
	})
	t.Log(skips(a))
	a.stop()
	if wrong := wrongLines(lines, times); wrong != "" {
		t.Error(wrong)
	}
}

// A bulkServer takes documents as Elasticsearch does, once it is open.
type bulkServer struct {
	url  string
	open atomic.Bool

	mu       sync.Mutex
	messages map[string]int
	ids      map[string]bool
}

func newBulkServer(t *testing.T) *bulkServer {
	b := &bulkServer{messages: map[string]int{}, ids: map[string]bool{}}
	s := httptest.NewServer(b)
	t.Cleanup(s.Close)
	b.url = s.URL
	return b
}

func (b *bulkServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	if !b.open.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if !strings.HasSuffix(r.URL.Path, "/_bulk") {
		fmt.Fprint(w, `{"version":{"number":"8.19.0"},"tagline":"You Know, for Search"}`)
		return
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		if unzipped, err := gzip.NewReader(r.Body); err == nil {
			body = unzipped
		}
	}
	n := b.take(body)
	items := strings.TrimSuffix(strings.Repeat(`{"create":{"status":201}},`, n), ",")
	fmt.Fprintf(w, `{"took":1,"errors":false,"items":[%s]}`, items)
}

// take notes the documents of a body: every second line is one. What has an id that is there
// already is none.
func (b *bulkServer) take(body io.Reader) (documents int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var action struct {
			Create struct {
				ID string `json:"_id"`
			} `json:"create"`
		}
		json.Unmarshal(lines.Bytes(), &action)
		if !lines.Scan() {
			break
		}
		documents++
		if id := action.Create.ID; b.ids[id] {
			continue
		} else if id != "" {
			b.ids[id] = true
		}
		var d struct {
			Message string `json:"message"`
		}
		json.Unmarshal(lines.Bytes(), &d)
		b.messages[d.Message]++
	}
	return documents
}

func (b *bulkServer) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.messages)
}

func (b *bulkServer) times(message string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.messages[message]
}
