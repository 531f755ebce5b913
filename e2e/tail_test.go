package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/server"
)

// recentMessages returns what the agent's API has of recent records.
func (a *agent) recentMessages(parameters string) (all []string) {
	a.t.Helper()
	status, body := a.ask("/api/v1/logs?" + parameters)
	var page struct{ Records []struct{ Message string } }
	if err := json.Unmarshal([]byte(body), &page); status != 200 || err != nil {
		return []string{fmt.Sprint(status, " ", body)}
	}
	for _, r := range page.Records {
		all = append(all, r.Message)
	}
	return all
}

// TestRecentRecords: without an output, what is read is kept redacted and shown, is done, and is
// there once after a stop, after a kill, and beside a tail.
func TestRecentRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	a := newAgent(t, "inputs: {app: {type: file, paths: ["+path+"]}}\n")
	wants := func(parameters string, want ...string) {
		t.Helper()
		eventually(t, fmt.Sprint("recent records ", want), time.Minute, func() (bool, string) {
			got := fmt.Sprint(a.recentMessages(parameters))
			return got == fmt.Sprint(want), got
		})
	}
	add(t, path, []byte("2026-01-31T12:00:01Z INFO one password=hunter2secret\n2026-01-31T12:00:02Z ERROR two\n"))
	a.start()
	a.says("/ready", 200)
	wants("", "one password=[REDACTED]", "two")
	wants("level=error", "two")
	a.stop()
	add(t, path, []byte("2026-01-31T12:00:03Z WARN three\n"))
	a.start()
	wants("", "one password=[REDACTED]", "two", "three")
	a.kill()
	a.start()
	add(t, path, []byte("2026-01-31T12:00:04Z INFO four\n"))
	wants("", "one password=[REDACTED]", "two", "three", "four")

	tail := exec.Command(binary(t, "./cmd/longshore"), "tail", "--no-follow", "-c", a.config)
	tail.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	shown, err := tail.CombinedOutput()
	if err != nil || strings.Count(string(shown), "\n") != 4 || !strings.Contains(string(shown), "WARN  three") {
		t.Errorf("beside the agent, tail shows (%v)\n%s", err, shown)
	}
	top, err := exec.Command(binary(t, "./cmd/longshore"), "top", "--once", "-c", a.config).CombinedOutput()
	if err != nil || !strings.Contains(string(top), "app    file  1 ") {
		t.Errorf("top shows (%v)\n%s", err, top)
	}
	wants("", "one password=[REDACTED]", "two", "three", "four")
	a.stop()
}

// TestTailFollows: a tail shows what comes, through a rotation, until it is asked to end, and
// leaves nothing behind.
func TestTailFollows(t *testing.T) {
	dir, left := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "app.log")
	add(t, path, []byte("old\nlast\n"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tail := exec.CommandContext(ctx, binary(t, "./cmd/longshore"), "tail", "-n", "1", "-o", "raw", path)
	tail.Env = append(os.Environ(), "TMPDIR="+left)
	out, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	want := func(text string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != text {
			t.Fatalf("shown is %q, want %q", lines.Text(), text)
		}
	}
	want("last")
	for i := range 18 {
		add(t, path, fmt.Appendf(nil, "line %d\n", i))
	}
	for i := range 18 {
		want(fmt.Sprintf("line %d", i))
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	add(t, path, []byte("after the rotation\n"))
	want("after the rotation")
	if err := tail.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if lines.Scan() {
		t.Errorf("at the end comes %q", lines.Text())
	}
	if err := tail.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	if rest, err := os.ReadDir(left); err != nil || len(rest) > 0 {
		t.Errorf("left behind are %v (%v)", rest, err)
	}
}

// TestDockerTail shows the last lines of containers that are named by a part of their names,
// merged, and then what they log, without an agent.
func TestDockerTail(t *testing.T) {
	docker := server.PrivateDocker(t)
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	names := []string{"tailed-one", "tailed-two", "another"}
	docker.Remove(names...)
	for _, name := range names {
		docker.Docker("run", "-d", "--name", name, "longshore-e2e/chatter:dev",
			"-name", name, "-format", "plain", "-lines", "50", "-rate", "1000")
		docker.Docker("wait", name)
	}
	tail := func(args ...string) string {
		cmd := exec.Command(binary(t, "./cmd/longshore"), append([]string{"tail", "--no-follow"}, args...)...)
		cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir(), "DOCKER_HOST="+docker.Host)
		text, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("tail %v: %v\n%s", args, err, text)
		}
		return string(text)
	}
	for _, test := range []struct {
		args              []string
		one, two, another int
	}{
		{[]string{"tailed", "-n", "3"}, 3, 3, 0},
		{[]string{"*-two", "-n", "all"}, 0, 50, 0},
		{[]string{"-n", "2"}, 2, 2, 2},
		{[]string{"another", "--since", "1h"}, 0, 0, 50},
	} {
		got := tail(append(test.args, "-o", "json")...)
		for i, want := range []int{test.one, test.two, test.another} {
			if n := strings.Count(got, `"container":"`+names[i]+`"`); n != want {
				t.Errorf("tail %v shows %d lines of %s, want %d\n%.2000s", test.args, n, names[i], want, got)
			}
		}
	}
}
