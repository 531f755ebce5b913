package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/secrets"
)

// TestRemoteSecrets reads configs that name secrets which are kept elsewhere: read, unread, and
// where they cannot be.
func TestRemoteSecrets(t *testing.T) {
	const head = "redact: false\nsecrets: {refresh: 1m, vault: {address: https://vault.test}}\n" +
		"inputs: {a: {type: docker}}\n"
	const loki = head + `outputs: {l: {type: %, url: "${vault:kv/app#url}", tenant: "x-${aws:prod/loki}"}}` + "\n"
	read := func(where secrets.Settings, ref secrets.Ref) (string, error) {
		switch {
		case where.Vault.Address != "https://vault.test":
			return "", errors.New("asked elsewhere")
		case ref.Field == "url":
			return "http://me:canary-pw@loki.test", nil
		}
		return "canary-tenant", nil
	}
	away := func(secrets.Settings, secrets.Ref) (string, error) { return "", errors.New("it is away") }
	tests := map[string]struct {
		text  string
		read  func(secrets.Settings, secrets.Ref) (string, error)
		want  string // an error, or "" for a valid config
		named int
	}{
		"read":    {loki, read, "", 2},
		"unread":  {loki, nil, "", 2},
		"away":    {loki, away, "${vault:kv/app#url} cannot be read: it is away", 0},
		"form":    {strings.Replace(loki, "#url", "", 1), nil, "names no field", 0},
		"in them": {strings.Replace(loki, "https://vault.test", `"${aws:x}"`, 1), read, "cannot be such themselves", 0},
		"invalid settings": {strings.Replace(loki, "https://vault.test", "vault.test", 1), read,
			"secrets.vault.address: is not a URL", 0},
		"escaped": {head + `outputs: {l: {type: %, url: "http://x", tenant: "$${vault:a#b}"}}`, away, "", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(test.text, "%", "loki", 1)
			cfg, err := config.Loader{Components: components(), Secret: test.read}.Load("longshore.yml", []byte(text))
			if test.want == "" && err != nil ||
				test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Fatalf("%v; want %q", err, test.want)
			}
			if err != nil {
				return
			}
			if len(cfg.Secrets()) != test.named {
				t.Errorf("%v are named, want %d", cfg.Secrets(), test.named)
			}
			redact, err := cfg.Redactor()
			if err != nil {
				t.Fatal(err)
			}
			// The last is base64 of me:canary-pw.
			said := redact("no canary-tenant, canary-pw, bWU6Y2FuYXJ5LXB3") + cfg.Text()
			if test.read != nil && test.named > 0 &&
				(strings.Contains(said, "canary") || strings.Contains(said, "bWU6Y2FuYXJ5LXB3")) {
				t.Errorf("a secret is in %s", said)
			}
			if test.named > 0 && !strings.Contains(cfg.Text(), "https://vault.test") {
				t.Errorf("what is not secret is masked: %s", cfg.Text())
			}
		})
	}
}

// TestOwnSecretsAreMasked has a destination repeat what a config has: its secrets are taken out,
// and nothing else, whatever its outputs are called.
func TestOwnSecretsAreMasked(t *testing.T) {
	const text = `
redact: false
inputs: {a: {type: docker}}
outputs:
  bearer-of-loki: {type: loki, url: "http://me:hidden%2Fone@loki.test/loki/api?key=hidden-two%2f+x&field=message"}
  other: {type: loki, url: "http://other.test", auth: {password: "hidden three"}, headers: {X-Id: hidden-four}}
`
	cfg, err := config.Loader{Components: components()}.Load("longshore.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	redact, err := cfg.Redactor()
	if err != nil {
		t.Fatal(err)
	}
	// The base64 is that of me:hidden/one.
	got := redact("http://loki.test/loki/api has no message for hidden/one, hidden%2Fone, bWU6aGlkZGVuL29uZQ==, " +
		"hidden-two/ x, hidden-two%2F+x, hidden-two%2f+x, hidden three, hidden+three, hidden-four of other.test")
	const want = "http://loki.test/loki/api has no message for " +
		"***, ***, ***, ***, ***, ***, ***, ***, *** of other.test"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
