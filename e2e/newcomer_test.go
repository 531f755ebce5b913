package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNewcomer goes the way of somebody who has just heard of Longshore: clone, "make run", the
// page that it links to, a first config of one's own. It prints how long each step took; what comes
// after it, "docker compose up", is TestCompose's.
func TestNewcomer(t *testing.T) {
	if testing.Short() {
		t.Skip("it clones and builds")
	}
	if out, err := exec.Command("git", "-C", root, "rev-parse", "HEAD").CombinedOutput(); err != nil {
		t.Skipf("there is nothing to clone: %s", out)
	}
	n := &newcomer{t: t, began: time.Now(), folder: filepath.Join(t.TempDir(), "longshore")}
	n.step("git clone", func() { n.run(".", "git", "clone", "-q", "--depth=1", "file://"+n.top(), n.folder) })
	n.step("make run, until it says where its page is", n.makeRun)
	n.step("the page, and a record on it", n.seePage)
	n.step("Ctrl-C, and the count of what has arrived", n.stop)
	n.step("a config of one's own, checked and run", n.ownConfig)
	t.Logf("%-50s %s", "all of it", time.Since(n.began).Round(100*time.Millisecond))
}

type newcomer struct {
	t      *testing.T
	began  time.Time
	folder string
	demo   *exec.Cmd
	said   safeBuffer
	page   string
}

func (n *newcomer) step(what string, do func()) {
	n.t.Helper()
	began := time.Now()
	do()
	n.t.Logf("%-50s %s", what, time.Since(began).Round(100*time.Millisecond))
}

func (n *newcomer) top() string {
	n.t.Helper()
	top, err := filepath.Abs(root)
	if err != nil {
		n.t.Fatal(err)
	}
	return top
}

func (n *newcomer) run(dir, name string, args ...string) string {
	n.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		n.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// pageAddress matches what the agent says of its page.
var pageAddress = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

func (n *newcomer) makeRun() {
	n.demo = exec.Command("make", "run")
	n.demo.Dir, n.demo.Stdout, n.demo.Stderr = n.folder, &n.said, &n.said
	n.demo.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := n.demo.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		if n.demo != nil {
			_ = syscall.Kill(-n.demo.Process.Pid, syscall.SIGKILL)
			_ = n.demo.Wait()
		}
		if n.t.Failed() {
			n.t.Logf("make run says:\n%s", n.said.String())
		}
	})
	eventually(n.t, "the link to the page", 10*time.Minute, func() (bool, string) {
		n.page = pageAddress.FindString(n.said.String())
		return n.page != "", ""
	})
	if said := n.said.String(); !strings.Contains(said, "[REDACTED]") || strings.Count(said, "hunter2") != 1 {
		n.t.Error("the demo does not show a line and its record with the secret redacted")
	}
}

func (n *newcomer) get(path string) (string, error) {
	answer, err := http.Get(n.page + path)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return string(text), err
}

func (n *newcomer) seePage() {
	if text, err := n.get("/"); err != nil || !strings.Contains(text, "<html") {
		n.t.Errorf("the page is %.200q (%v)", text, err)
	}
	eventually(n.t, "a record on the page", time.Minute, func() (bool, string) {
		text, err := n.get("/api/v1/logs")
		var logs struct{ Records []json.RawMessage }
		if err == nil {
			err = json.Unmarshal([]byte(text), &logs)
		}
		return len(logs.Records) > 0, fmt.Sprint(err)
	})
}

// stop waits for the restart, so that what has arrived is counted over one, and ends the demo.
func (n *newcomer) stop() {
	eventually(n.t, "the restart", time.Minute, func() (bool, string) {
		said := n.said.String()
		return strings.Count(said, `"longshore is running"`) == 2, ""
	})
	// Of the whole group, as a terminal does it.
	if err := syscall.Kill(-n.demo.Process.Pid, syscall.SIGINT); err != nil {
		n.t.Fatal(err)
	}
	err := n.demo.Wait()
	n.demo = nil
	if said := n.said.String(); !strings.Contains(said, "each once, over a restart") {
		n.t.Errorf("the demo ended with %v, and does not count", err)
	}
}

func (n *newcomer) ownConfig() {
	dir := n.t.TempDir()
	config, log := filepath.Join(dir, "my.yml"), filepath.Join(dir, "my.log")
	text := fmt.Sprintf("data_dir: %s\ninputs: {my: {type: file, paths: [%s]}}\noutputs: {out: {type: stdout}}\n",
		filepath.Join(dir, "data"), log)
	for path, content := range map[string]string{config: text, log: "level=warn msg=mine\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
	longshore := filepath.Join(n.folder, "bin", "longshore")
	if said := n.run(dir, longshore, "check", config); !strings.Contains(said, "is valid") {
		n.t.Errorf("check says %s", said)
	}
	var out safeBuffer
	cmd := exec.Command(longshore, "run", config)
	cmd.Stdout, cmd.Stderr = &out, io.Discard
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	eventually(n.t, "the record", time.Minute, func() (bool, string) {
		return bytes.Contains([]byte(out.String()), []byte(`"level":"warn"`)), out.String()
	})
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		n.t.Errorf("the agent ended with %v", err)
	}
}
