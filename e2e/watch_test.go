package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/server"
)

// watching is an agent with metrics of containers, read in a mode.
func watching(t *testing.T, docker *server.DockerServer, mode, maxAge string) *agent {
	t.Helper()
	return newAgent(t, fmt.Sprintf(`
recent: on
watch: {host: false, mode: %s, max_age: %s, docker: {host: %q}}
inputs: {none: {type: file, paths: [/nonexistent/none]}}
`, mode, maxAge, docker.Host))
}

// series gives the value of each series of the agent's that begins so.
func (a *agent) series(prefix string) map[string]float64 {
	a.t.Helper()
	_, text := a.ask("/metrics")
	all := map[string]float64{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok && strings.HasPrefix(line, prefix) {
			all[name+"}"], _ = strconv.ParseFloat(value, 64)
		}
	}
	return all
}

// of gives the value of the series of a metric of one container; ok is false where there is none.
func of(series map[string]float64, metric, name string) (value float64, ok bool) {
	for labels, v := range series {
		if strings.HasPrefix(labels, metric+"{") && strings.Contains(labels, fmt.Sprintf("name=%q", name)) {
			return v, true
		}
	}
	return 0, false
}

// TestWatchContainers looks at what /metrics says of real containers, from the kernel's files and
// by the engine: both say the same.
func TestWatchContainers(t *testing.T) { server.EachPrivateDocker(t, testWatchContainers) }

func testWatchContainers(t *testing.T, docker *server.DockerServer) {
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	docker.Remove("watched", "sick", "ended")
	docker.Docker("run", "-d", "--name", "watched", "--memory", "64m", "--label", "com.docker.compose.service=api",
		"longshore-e2e/chatter:dev", "-lines", "1000000", "-rate", "500")
	docker.Docker("run", "-d", "--name", "sick",
		"--health-cmd", "false", "--health-interval", "1s", "--health-retries", "1",
		"longshore-e2e/chatter:dev", "-lines", "1000000", "-rate", "1")
	docker.Docker("run", "--name", "ended", "longshore-e2e/chatter:dev", "-lines", "1")

	agents := map[string]*agent{"files": watching(t, docker, "files", "1s"), "api": watching(t, docker, "api", "1s")}
	numbers := map[string]map[string]float64{}
	for mode, a := range agents {
		a.start()
		eventually(t, "the containers' numbers in mode "+mode, time.Minute, func() (bool, string) {
			s := a.series("container_")
			cpu, _ := of(s, "container_cpu_usage_seconds_total", "watched")
			health, known := of(s, "container_health_state", "sick")
			numbers[mode] = s
			return cpu > 0 && known && health == 0, fmt.Sprint(cpu, health, known)
		})
	}
	for metric, wrong := range map[string]func(files, api float64) bool{
		"container_memory_working_set_bytes":    func(f, a float64) bool { return f < 1e5 || f > 4*a || a > 4*f },
		"container_spec_memory_limit_bytes":     func(f, a float64) bool { return f != 64<<20 || a != f },
		"container_threads":                     func(f, a float64) bool { return f < 1 || a < 1 },
		"container_network_receive_bytes_total": func(f, a float64) bool { return f > a+1e6 || a > f+1e6 },
		"container_restarts_total":              func(f, a float64) bool { return f != 0 || a != 0 },
	} {
		f, okFiles := of(numbers["files"], metric, "watched")
		a, okAPI := of(numbers["api"], metric, "watched")
		if !okFiles || !okAPI || wrong(f, a) {
			t.Errorf("%s: %g (%v) from files, %g (%v) by the engine", metric, f, okFiles, a, okAPI)
		}
	}
	s := numbers["files"]
	if _, runs := of(s, "container_cpu_usage_seconds_total", "ended"); runs {
		t.Error("a container that has ended uses CPU")
	}
	if _, there := of(s, `container_state`, "ended"); !there {
		t.Error("a container that has ended has no state")
	}
	if labelled := fmt.Sprint(s); !strings.Contains(labelled, `container_label_com_docker_compose_service="api"`) {
		t.Error("the label of the Compose service is not there")
	}

	docker.Docker("rm", "-f", "ended", "sick")
	docker.Docker("restart", "-t", "0", "watched")
	for mode, a := range agents {
		eventually(t, "what is left in mode "+mode, time.Minute, func() (bool, string) {
			s := a.series("container_")
			_, ended := of(s, "container_state", "ended")
			_, sick := of(s, "container_state", "sick")
			before, _ := of(numbers[mode], "container_start_time_seconds", "watched")
			now, _ := of(s, "container_start_time_seconds", "watched")
			_, network := of(s, "container_network_receive_bytes_total", "watched")
			return !ended && !sick && now > before && network, fmt.Sprint(ended, sick, before, now, network)
		})
		a.stop()
	}
}

// TestWatchCost says what 100 scrapes of the metrics of containers cost, in the agent and in the
// engine. LONGSHORE_E2E_CONTAINERS is how many containers there are: 100 for docs/watch.md.
func TestWatchCost(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("LONGSHORE_E2E_CONTAINERS"))
	if n == 0 {
		n = 5
	}
	docker := server.PrivateDocker(t)
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	for i := range n {
		name := fmt.Sprintf("cost-%d", i)
		docker.Remove(name)
		docker.Docker("run", "-d", "--name", name, "longshore-e2e/chatter:dev", "-lines", "100000000", "-rate", "1")
	}
	for _, mode := range []string{"files", "api"} {
		a := watching(t, docker, mode, "1s")
		a.start()
		eventually(t, "all containers", time.Minute, func() (bool, string) {
			got := len(a.series("container_cpu_usage_seconds_total"))
			return got == n, fmt.Sprint(got, " of ", n)
		})
		const scrapes = 20
		before, engineBefore := processTime(t, a.cmd.Process.Pid), engineTime(t)
		began := time.Now()
		for range scrapes {
			time.Sleep(1100 * time.Millisecond) // no two share a reading
			if got := len(a.series("container_cpu_usage_seconds_total")); got != n {
				t.Errorf("%s: %d of %d containers", mode, got, n)
			}
		}
		span := time.Since(began)
		agent := (processTime(t, a.cmd.Process.Pid) - before) / scrapes
		engine := (engineTime(t) - engineBefore) / scrapes
		t.Logf("%s: %d containers, %d scrapes in %s: %s of the agent and %s of the engine a scrape; at one in 15 s "+
			"%.2f %% and %.2f %% of a core", mode, n, scrapes, span.Round(time.Second), agent, engine,
			agent.Seconds()/15*100, engine.Seconds()/15*100)
		a.stop()
	}
}

// processTime is the CPU time that a process has taken.
func processTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// engineTime is the CPU time of the engine's own processes.
func engineTime(t *testing.T) (sum time.Duration) {
	t.Helper()
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, path := range names {
		name, _ := os.ReadFile(path)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		switch text := strings.TrimSpace(string(name)); {
		case err != nil:
		case text == "dockerd" || text == "containerd" || strings.HasPrefix(text, "containerd-shim"):
			sum += processTime(t, pid)
		}
	}
	return sum
}

// TestProbeRestarts: a container that fails its health check is restarted by the real engine, and
// one without the label never; what was done is in the records.
func TestProbeRestarts(t *testing.T) {
	docker := server.PrivateDocker(t)
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	docker.Remove("restarted", "left-alone")
	sick := []string{"--health-cmd", "false", "--health-interval", "1s", "--health-retries", "1",
		"longshore-e2e/chatter:dev", "-lines", "1000000", "-rate", "1"}
	docker.Docker(append([]string{"run", "-d", "--name", "restarted", "--label", "longshore.restart=true"}, sick...)...)
	docker.Docker(append([]string{"run", "-d", "--name", "left-alone"}, sick...)...)
	started := func(name string) string { return docker.Docker("inspect", "-f", "{{.State.StartedAt}}", name) }
	restartedAt, leftAt := started("restarted"), started("left-alone")

	out := filepath.Join(t.TempDir(), "out.jsonl")
	a := newAgent(t, fmt.Sprintf(`
inputs:
  health:
    type: probe
    containers: {names: [restarted, left-alone]}
    interval: 1s
    retries: 1
    docker: {host: %q}
    on_failure: {restart: true, max: 1, backoff: 1s}
outputs:
  out: {type: file, path: %s}
`, docker.Host, out))
	a.start()
	eventually(t, "the restart and what is not", 2*time.Minute, func() (bool, string) {
		text, _ := os.ReadFile(out)
		done := strings.Contains(string(text), "restart for restarted is done")
		limited := strings.Contains(string(text), "restarted is still down, and nothing more is done")
		refused := strings.Contains(string(text), "restart for left-alone: container")
		return done && limited && refused, string(text)
	})
	a.stop()
	if started("restarted") == restartedAt {
		t.Error("the container with the label was not restarted")
	}
	if started("left-alone") != leftAt {
		t.Error("the container without the label was restarted")
	}
	text, err := os.ReadFile(out)
	if err != nil || strings.Count(string(text), `"action":"restart","outcome":"success"`) != 1 &&
		strings.Count(string(text), "restart for restarted is done") != 1 {
		t.Errorf("there is not one restart: %v\n%s", err, text)
	}
}
