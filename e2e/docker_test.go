package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

func dockerToFile(t *testing.T, docker *server.DockerServer, names string) (a *agent, out string) {
	out = filepath.Join(t.TempDir(), "out.jsonl")
	a = newAgent(t, fmt.Sprintf(`
inputs: {containers: {type: docker, host: %q, include: {names: [%s]}}}
outputs: {out: {type: file, path: %s, sync: false}}
`, docker.Host, names, out))
	return a, out
}

// TestDockerEngineRestarts kills the engine, and with it the containers, while
// they log, and restarts both twice.
func TestDockerEngineRestarts(t *testing.T) {
	docker := server.PrivateDocker(t)
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	a, out := dockerToFile(t, docker, "engine-*")
	names := []string{"engine-one", "engine-two"}
	docker.Remove(names...)
	for _, name := range names {
		docker.Docker("run", "-d", "--name", name, "longshore-e2e/chatter:dev", "-name", name, "-format", "plain", "-lines", "3000", "-rate", "1000")
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

// TestDockerShortLives starts containers that are gone again at once.
func TestDockerShortLives(t *testing.T) {
	docker := server.Docker(t)
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	a, out := dockerToFile(t, docker, "brief-*")
	a.start()
	var names []string
	for i := range 20 {
		name := fmt.Sprintf("brief-%02d", i)
		names = append(names, name)
		docker.Remove(name)
		docker.Docker("run", "-d", "--name", name, "longshore-e2e/chatter:dev", "-name", name, "-format", "plain", "-lines", "50")
		if i == 10 {
			a.stop()
			a.start()
		}
	}
	for _, name := range names {
		wantAll(t, docker, out, name)
	}
	a.stop()
}
