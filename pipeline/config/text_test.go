package config_test

import (
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline/config"
)

// TestTextHidesSecrets: the text is the config as it was written, without what must not be shown.
func TestTextHidesSecrets(t *testing.T) {
	const written = `# old password: swordfish-1
http: {token: swordfish-2}
inputs:
  app: {type: file, paths: ["/var/log/*.log"]} # api_key=swordfish-4
outputs:
  out:
    type: loki
    url: https://me:swordfish-5@loki.example/path
    headers: {X-Note: &pw swordfish-3, Authorization: "Bearer swordfish-6"}
    auth: {username: me, password: *pw}
  block:
    type: loki
    url: http://loki.example
    headers:
      X-A: |
        swordfish-7
        swordfish-8
  other: {type: loki, url: "https://${HOST}/a", headers: {A: "${TOKEN}", B: "${PW:-swordfish-9}"}}
  more: {type: loki, url: http://loki.example, labels: {note: swordfish-2}}
`
	loader := config.Loader{Components: components(), LookupEnv: func(name string) (string, bool) {
		return map[string]string{"HOST": "h.example", "TOKEN": "swordfish-10"}[name], name != "PW"
	}}
	cfg, err := loader.Load("longshore.yml", []byte(written))
	if err != nil {
		t.Fatal(err)
	}
	text := cfg.Text()
	if strings.Contains(text, "swordfish") {
		t.Errorf("a secret shows:\n%s", text)
	}
	if a, b := strings.Count(text, "\n"), strings.Count(written, "\n"); a != b {
		t.Errorf("it has %d lines, not %d", a, b)
	}
	for _, want := range []string{`paths: ["/var/log/*.log"]`, "${TOKEN}", "${HOST}", "loki.example/path"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
}
