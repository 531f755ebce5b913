package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rewrite replaces a text in the agent's config.
func (a *agent) rewrite(from, to string) {
	a.t.Helper()
	text, err := os.ReadFile(a.config)
	if err == nil && !strings.Contains(string(text), from) {
		err = fmt.Errorf("the config has no %q", from)
	}
	if err == nil {
		err = os.WriteFile(a.config, []byte(strings.Replace(string(text), from, to, 1)), 0o600)
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// hangUp sends SIGHUP.
func (a *agent) hangUp() {
	a.t.Helper()
	if err := a.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		a.t.Fatal(err)
	}
}

// logs waits until the agent has logged a text a number of times.
func (a *agent) logs(text string, times int) {
	a.t.Helper()
	eventually(a.t, fmt.Sprintf("%q %d times in the log", text, times), time.Minute, func() (bool, string) {
		return strings.Count(a.log.String(), text) == times, ""
	})
}

const (
	isReloaded  = `"msg":"the config is reloaded"`
	notReloaded = `"msg":"the config is not reloaded, and the one before stays in force"`
)

// TestReload changes the config of a running agent by SIGHUP, for the better and for the worse:
// every line arrives once, at the output of its time, and counters go on.
func TestReload(t *testing.T) {
	if signal.Ignored(syscall.SIGHUP) {
		t.Skip("under nohup, which the agent inherits")
	}
	dir := t.TempDir()
	log, sent := filepath.Join(dir, "app.log"), filepath.Join(dir, "sent")
	other, still := filepath.Join(dir, "other.log"), filepath.Join(dir, "still")
	numbered := func(path string, from, to int) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for i := from; i < to; i++ {
			if _, err := fmt.Fprintln(f, "line", i); err != nil {
				t.Fatal(err)
			}
		}
	}
	arrive := func(path string, want int) {
		t.Helper()
		eventually(t, "the lines in "+path, time.Minute, func() (bool, string) {
			text, _ := os.ReadFile(path)
			n := strings.Count(string(text), "\n")
			return n == want, fmt.Sprint(n)
		})
	}
	numbered(log, 0, 1000)
	numbered(other, 0, 10)
	a := newAgent(t, `
inputs: {app: {type: file, paths: [`+log+`]}, other: {type: file, paths: [`+other+`]}}
outputs: {out: {type: file, path: `+sent+`}, still: {type: file, path: `+still+`}}
pipelines:
  app: {inputs: [app], outputs: [out]}
  other: {inputs: [other], outputs: [still]}
`)
	a.start()
	arrive(sent, 1000)
	a.rewrite("path: "+sent, "path: "+sent+"2")
	a.hangUp()
	a.logs(isReloaded, 1)
	numbered(log, 1000, 1500)
	arrive(sent+"2", 500)
	if text := a.log.String(); !strings.Contains(text, `"untouched":"input other, pipeline other, output still"`) {
		t.Errorf("the other pipeline was touched: %s", text)
	}

	a.rewrite("type: file", "type: fiel") // a typing error
	a.hangUp()
	a.logs(notReloaded, 1)
	numbered(log, 1500, 1600)
	arrive(sent+"2", 600)
	a.rewrite("type: fiel", "type: file")

	a.rewrite(filepath.Join(a.dir, "data"), filepath.Join(a.dir, "elsewhere"))
	a.hangUp()
	a.logs(notReloaded, 2)
	a.rewrite(filepath.Join(a.dir, "elsewhere"), filepath.Join(a.dir, "data"))

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	own := strings.TrimPrefix(a.url, "http://")
	a.rewrite(own, taken.Addr().String())
	a.hangUp()
	a.logs(notReloaded, 3)
	next := freeAddress(t)
	a.rewrite(taken.Addr().String(), next)
	a.hangUp()
	a.logs(isReloaded, 2)
	a.url = "http://" + next
	metrics := a.says("/metrics", 200)
	for _, want := range []string{
		`longshore_input_records_total{input="app"} 1600`,
		`longshore_output_records_delivered_total{output="out"} 1600`,
		`longshore_config_reloads_total{result="failure"} 3`, `longshore_config_reloads_total{result="success"} 2`,
		"longshore_config_last_reload_successful 1",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics do not have %s", want)
		}
	}
	if _, err := net.DialTimeout("tcp", own, time.Second); err == nil {
		t.Error("the former address still answers")
	}
	a.stop()
	for _, want := range []string{`"read":1610,`, `"delivered":1610,`, `"pending":0,`} {
		if text := a.log.String(); !strings.Contains(text, want) {
			t.Errorf("the account is not closed: %s", text)
		}
	}
	arrive(sent, 1000)
	arrive(sent+"2", 600)
	arrive(still, 10)
}

// TestReloadByTheAPI and by a change of the file, where that is watched.
func TestReloadByTheAPI(t *testing.T) {
	a := newAgent(t, idle)
	a.rewrite("http: {", "http: {token: geheim, ")
	a.args = []string{"--watch"}
	a.start()
	a.says("/ready", 200)
	post := func(token string) (status int, body string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.url+"/api/v1/reload", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	if status, body := post("geheim"); status != 200 || !strings.Contains(body, `"restarted": []`) {
		t.Errorf("it answers %d %s", status, body)
	}
	if status, body := post("falsch"); status != 401 {
		t.Errorf("with another token it answers %d %s", status, body)
	}
	a.rewrite("token: geheim", "token: neu")
	a.logs(isReloaded, 2)
	if status, body := post("geheim"); status != 401 {
		t.Errorf("with the former token it answers %d %s", status, body)
	}
	a.rewrite("type: file", "type: fiel")
	a.logs(`"by":"watch","why"`, 1)
	if status, body := post("neu"); status != 422 || !strings.Contains(body, "longshore.yml:") {
		t.Errorf("with a bad config it answers %d %s", status, body)
	}
	a.stop()
}

// TestReloadWithoutAConfig says that there is nothing to reload.
func TestReloadWithoutAConfig(t *testing.T) {
	if signal.Ignored(syscall.SIGHUP) {
		t.Skip("under nohup, which the agent inherits")
	}
	a := newAgent(t, idle)
	a.env = []string{"DOCKER_HOST=unix:///nowhere.sock"}
	a.withoutConfig = true
	a.args = []string{"--data-dir", filepath.Join(a.dir, "data")}
	a.start()
	a.logs(`"msg":"longshore is running"`, 1)
	a.hangUp()
	a.logs("there is nothing to reload", 1)
	a.stop()
}
