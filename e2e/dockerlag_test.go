package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/chatter/script"
	"github.com/longshore/longshore/e2e/server"
)

// TestDockerDeadOutput has one output away while containers write, one of which rotates its log and
// one of which is removed. The other output has all at once; the first one has all when it is back,
// once, although the agent was killed and stopped meanwhile. Only what the engine has deleted is
// spooled.
func TestDockerDeadOutput(t *testing.T) { server.EachPrivateDocker(t, testDockerDeadOutput) }

func testDockerDeadOutput(t *testing.T, docker *server.DockerServer) {
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	dead, living := newBulkServer(t), newBulkServer(t)
	living.open.Store(true)
	a := newAgent(t, fmt.Sprintf(`
inputs: {containers: {type: docker, host: %q, mode: files, include: {names: [lag-*]}}}
outputs:
  dead: {type: elasticsearch, urls: [%q], index: lag, install_template: false, retry: {max_backoff: 1s}, queue_size: 1MiB}
  living: {type: elasticsearch, urls: [%q], index: lag, install_template: false}
`, docker.Host, dead.url, living.url))
	a.start()
	a.says("/health", 200)
	const lines, rate = 60_000, 6000
	logs := map[string][]string{
		"lag-whole":   nil,
		"lag-rotates": {"max-size=300k", "max-file=3"},
		"lag-packed":  {"max-size=300k", "max-file=3", "compress=true"},
		"lag-removed": {"max-size=2m", "max-file=3"},
	}
	run := func(name string) {
		docker.Remove(name)
		args := []string{"run", "-d", "--name", name, "--log-driver", "json-file"}
		for _, o := range logs[name] {
			args = append(args, "--log-opt", o)
		}
		docker.Docker(append(args, "longshore-e2e/chatter:dev", "-name", name, "-format", "plain", "-both",
			"-lines", fmt.Sprint(lines), "-rate", fmt.Sprint(rate))...)
	}
	all := func(what string, output *bulkServer, names ...string) {
		t.Helper()
		for _, name := range names {
			eventually(t, "all of "+name+" at the output "+what, time.Minute, func() (bool, string) {
				wrong := wrongLines(lines, func(i int) int { return output.times(script.Message(name, i)) })
				return wrong == "", wrong
			})
		}
	}
	run("lag-whole")
	time.Sleep(3 * time.Second)
	a.kill()
	a.start()
	docker.Docker("wait", "lag-whole")
	began := time.Now()
	all("living", living, "lag-whole")
	t.Logf("the living output had all %s after the last line", time.Since(began).Round(time.Millisecond))
	if n := spooled(a); n != "0" {
		t.Errorf("%s records are spooled of a log that is there", n)
	}
	names := []string{"lag-rotates", "lag-packed", "lag-removed"}
	for _, name := range names {
		run(name)
	}
	docker.Docker(append([]string{"wait"}, names...)...)
	began = time.Now()
	all("living", living, names...)
	t.Logf("the living output had all %s after the last line", time.Since(began).Round(time.Millisecond))
	docker.Remove("lag-removed")
	time.Sleep(2 * time.Second)
	t.Logf("%s records are spooled", spooled(a))
	a.stop()
	a.start()
	time.Sleep(2 * time.Second)
	dead.open.Store(true)
	names = append(names, "lag-whole")
	all("dead", dead, names...)
	all("living", living, names...)
	a.stop()
}

// spooled returns how many records were put on disk since the agent started.
func spooled(a *agent) string {
	_, metrics := a.ask("/metrics")
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "longshore_output_records_spooled_total") && strings.Contains(line, `"dead"`) {
			return strings.TrimSpace(line[strings.LastIndexByte(line, ' '):])
		}
	}
	return "no metric"
}
