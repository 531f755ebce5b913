package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/server"
)

// TestAlertmanager has lines ring and resolve in a real Alertmanager.
func TestAlertmanager(t *testing.T) {
	url := server.Alertmanager(t)
	log := filepath.Join(t.TempDir(), "shop.log")
	appendTo(t, log, `{"level":"error","msg":"17 errors in 5m","alert":"shop errors","status":"firing","key":"k/1"}`)
	a := newAgent(t, fmt.Sprintf(`
inputs: {shop: {type: file, paths: [%s]}}
outputs: {pager: {type: webhook, format: alertmanager, url: %q}}
`, log, url))
	a.start()
	eventually(t, "an alert that rings", time.Minute, func() (bool, string) {
		return alertsAre(t, url, "shop errors: 17 errors in 5m")
	})
	appendTo(t, log, `{"level":"info","msg":"over","alert":"shop errors","status":"resolved","key":"k/1"}`)
	eventually(t, "no alert that rings", time.Minute, func() (bool, string) { return alertsAre(t, url) })
}

func appendTo(t *testing.T, path, line string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// alertsAre reports whether these alerts ring, and which do.
func alertsAre(t *testing.T, url string, want ...string) (bool, string) {
	t.Helper()
	resp, err := http.Get(url + "/api/v2/alerts?active=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var alerts []struct {
		Labels      map[string]string
		Annotations map[string]string
	}
	if err := json.Unmarshal(text, &alerts); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	got := []string{}
	for _, one := range alerts {
		got = append(got, one.Labels["alertname"]+": "+one.Annotations["summary"])
	}
	return fmt.Sprint(got) == fmt.Sprint(want), string(text)
}
