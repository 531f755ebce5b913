package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/chatter/script"
	"github.com/longshore/longshore/e2e/server"
)

// TestAlertsInAlertmanager: lines of a log ring in a real Alertmanager, which resolves when they
// have stopped. The agent is killed while it rings, and says nothing twice.
func TestAlertsInAlertmanager(t *testing.T) {
	url := server.Alertmanager(t)
	log := filepath.Join(t.TempDir(), "shop.log")
	appendTo(t, log, line("info", "the shop opens"))
	a := newAgent(t, fmt.Sprintf(`
inputs: {shop: {type: file, paths: [%s]}}
outputs:
  pager: {type: webhook, format: alertmanager, url: %q}
  kept: {type: file, path: %s}
alerts:
  errors: {if: level >= "error", at_least: 5, window: 10s, resolve_after: 0s, by: [service], outputs: [pager]}
`, log, url, filepath.Join(t.TempDir(), "kept")))
	a.start()
	for i := range 5 {
		appendTo(t, log, line("error", fmt.Sprint("no stock ", i)))
	}
	rings := "errors: errors: 5 records in 10s, at least 5 (service=shop)"
	eventually(t, "an alert that rings", time.Minute, func() (bool, string) { return alertsAre(t, url, rings) })
	a.kill()
	a.start()
	eventually(t, "no alert that rings", time.Minute, func() (bool, string) { return alertsAre(t, url) })
	if got := concluded(t, a); fmt.Sprint(got) != "[firing resolved]" {
		t.Errorf("the journal says %q", got)
	}
}

// TestAlertsOfContainers: errors that a container of a real Docker Engine logs ring in a real
// Alertmanager, once though the agent is killed while they do, and resolve; a container that logs
// fewer never rings.
func TestAlertsOfContainers(t *testing.T) {
	docker, url := server.PrivateDocker(t), server.Alertmanager(t)
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	const errors = 5
	lines := 0
	for n := 0; n < errors; lines++ {
		if level := script.Level(lines); level == "error" || level == "fatal" {
			n++
		}
	}
	a := newAgent(t, fmt.Sprintf(`
inputs: {containers: {type: docker, host: %q, include: {names: [ringing, silent]}}}
outputs:
  pager: {type: webhook, format: alertmanager, url: %q}
  kept: {type: file, path: %s}
alerts:
  errors: {if: level >= "error", at_least: %d, window: 10s, resolve_after: 0s, by: [container.name], outputs: [pager]}
`, docker.Host, url, filepath.Join(t.TempDir(), "kept"), errors))
	a.start()
	a.says("/ready", 200)
	for name, lines := range map[string]int{"ringing": lines, "silent": lines - 1} {
		docker.Remove(name)
		docker.Docker("run", "-d", "--name", name, "longshore-e2e/chatter:dev", "-name", name, "-format", "json",
			"-lines", fmt.Sprint(lines), "-hold")
	}
	rings := fmt.Sprintf("errors: errors: %d records in 10s, at least %d (container.name=ringing)", errors, errors)
	eventually(t, "an alert that rings", time.Minute, func() (bool, string) { return alertsAre(t, url, rings) })
	a.kill()
	a.start()
	// A minute after a restart, containers of which nothing has come are no longer waited for.
	eventually(t, "no alert that rings", 3*time.Minute, func() (bool, string) { return alertsAre(t, url) })
	if got := concluded(t, a); fmt.Sprint(got) != "[firing resolved]" {
		t.Errorf("the journal says %q", got)
	}
	a.stop()
}

// TestAlertsOverKills kills the agent again and again while there are bursts of errors: each rings
// once and is resolved once, for the time at which it was.
func TestAlertsOverKills(t *testing.T) {
	const bursts, errors = 4, 5
	log := filepath.Join(t.TempDir(), "shop.log")
	a := newAgent(t, fmt.Sprintf(`
inputs: {shop: {type: file, paths: [%s]}}
outputs: {kept: {type: file, path: %s}}
alerts:
  errors: {if: level >= "error", at_least: %d, window: 10s, resolve_after: 0s, outputs: [kept]}
`, log, filepath.Join(t.TempDir(), "kept"), errors))
	a.start()
	written := make(chan struct{})
	go func() {
		defer close(written)
		for range bursts {
			for i := range errors {
				appendTo(t, log, line("error", fmt.Sprint("no stock ", i)))
				time.Sleep(50 * time.Millisecond)
			}
			time.Sleep(15 * time.Second)
		}
	}()
	kills := 0
	for running := true; running; {
		select {
		case <-written:
			running = false
		case <-time.After(time.Duration(rand.IntN(9000)) * time.Millisecond):
			a.kill()
			a.start()
			kills++
		}
	}
	want := strings.TrimSpace(strings.Repeat("firing resolved ", bursts))
	eventually(t, "each burst to ring once", time.Minute, func() (bool, string) {
		got := strings.Join(concluded(t, a), " ")
		return got == want, got
	})
	if kills < 5 {
		t.Errorf("it was killed %d times", kills)
	}
}

func line(level, text string) string {
	return fmt.Sprintf(`{"time":%q,"level":%q,"msg":%q}`, time.Now().UTC().Format(time.RFC3339Nano), level, text)
}

// concluded returns what the journal of an agent's alerts says, in its order.
func concluded(t *testing.T, a *agent) (statuses []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(a.dir, "data", "inputs", "alerts", "alerts", "journal.jsonl"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for one := range strings.Lines(string(text)) {
		var c struct{ Status string }
		if err := json.Unmarshal([]byte(one), &c); err != nil {
			t.Fatalf("%v: %s", err, one)
		}
		statuses = append(statuses, c.Status)
	}
	return statuses
}
