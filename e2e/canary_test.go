package e2e

import (
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/server"
)

// canaryConfig has a secret of every kind, each by a variable, a file, Vault or AWS. Its
// destinations answer with what they were sent: DENY with 401, BAD with 422, so that there are dead
// letters, and OK with success. GONE is a closed port.
const canaryConfig = `
secrets: {vault: {address: BAO}, aws: {region: eu-central-1}}
inputs: {a: {type: file, paths: [LOG]}}
transforms: {r: {type: redact, action: hash, hash_key: "${CANARY_HASH}"}}
outputs:
  loki-url: {type: loki, url: "http://me:${CANARY_USERINFO}@DENY"}
  loki-bearer: {type: loki, url: "http://DENY", auth: {bearer_token: "${CANARY_BEARER}"}}
  loki-file: {type: loki, url: "http://DENY", auth: {bearer_token_file: TOKEN}}
  loki-oauth: {type: loki, url: "http://DENY", auth: {oauth2: {token_url: "http://DENY/token", client_id: me,
    client_secret: "${CANARY_OAUTH}"}}}
  loki-query: {type: loki, url: "http://DENY/?key=${CANARY_QUERY}", headers: {X-Key: "${CANARY_HEADER}"}}
  loki-gone: {type: loki, url: "http://me:${CANARY_AWAY}@GONE", proxy: "http://me:${CANARY_PROXY}@DENY"}
  elastic: {type: elasticsearch, urls: ["http://DENY"], api_key: "${CANARY_APIKEY}"}
  elastic-bad: {type: elasticsearch, urls: ["http://BAD"], auth: {username: me, password: "${file:FILE}"}}
  hook-deny: {type: webhook, url: "http://DENY/${CANARY_PATH}", auth: {username: me,
    password: "${vault:secret/canary#password}"}}
  hook-bad: {type: webhook, url: "http://BAD/x", headers: {Authorization: "Key ${aws:ID#password}"}}
  hook-ok: {type: webhook, url: "http://OK/x?sig=${CANARY_SIG}", auth: {bearer_token: "${CANARY_OK}"}}
  mail: {type: email, server: "127.0.0.1:9", encryption: none, from: a@example.com, to: [b@example.com], username: me,
    password: "${CANARY_MAIL}"}
`

// TestNoCanaryIsShown plants a secret of every kind and looks for them in all that the agent says,
// shows, answers and stores, while destinations repeat them, and in what it leaves when it crashes.
func TestNoCanaryIsShown(t *testing.T) {
	bao, aws := server.OpenBao(t), server.Moto(t)
	for name, config := range map[string]string{
		"redacting": canaryConfig,
		"redacting nothing": regexp.MustCompile(`(?m)^transforms:.*$`).ReplaceAllString(canaryConfig,
			"redact: false"),
	} {
		t.Run(name, func(t *testing.T) { lookForCanaries(t, bao, aws, config) })
	}
}

func lookForCanaries(t *testing.T, bao *server.OpenBaoServer, aws, config string) {
	dir := t.TempDir()
	canaries := map[string]string{}
	canary := func(name string) string {
		canaries[name] = fmt.Sprintf("cnry+%s/secret-%d", strings.ToLower(name), len(canaries)+1000)
		return canaries[name]
	}
	env := []string{"AWS_ENDPOINT_URL=" + aws, "AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_SECRET_ACCESS_KEY=" + canary("AWSKEY"), "VAULT_TOKEN=" + bao.Token}
	canaries["VAULT_TOKEN"] = bao.Token
	for _, name := range []string{"HASH", "BEARER", "OAUTH", "QUERY", "HEADER", "APIKEY", "SIG", "OK", "MAIL", "HTTP"} {
		env = append(env, "CANARY_"+name+"="+canary(name))
	}
	for _, name := range []string{"USERINFO", "AWAY", "PROXY", "PATH"} { // which stand in URLs
		canaries[name] = "cnry-" + strings.ToLower(name) + "-secret"
		env = append(env, "CANARY_"+name+"="+canaries[name])
	}
	bao.Ask(t, http.MethodPost, "secret/data/canary",
		map[string]any{"data": map[string]any{"password": canary("VAULT")}})
	id := "canary-" + strings.ReplaceAll(filepath.Base(dir)+t.Name(), "/", "-")
	motoSecret(t, aws, "CreateSecret", map[string]any{"Name": id,
		"SecretString": `{"password":"` + canary("AWS") + `"}`})
	token, file, log := filepath.Join(dir, "token"), filepath.Join(dir, "file"), filepath.Join(dir, "a.log")
	for path, text := range map[string]string{token: canary("TOKENFILE"), file: canary("FILE")} {
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config = strings.NewReplacer("ID#", id+"#", "BAO", bao.URL, "LOG", log, "DENY",
		echo(t, http.StatusUnauthorized), "BAD",
		echo(t, http.StatusUnprocessableEntity), "OK/", echo(t, http.StatusOK)+"/", "GONE", freeAddress(t),
		"TOKEN}", token+"}", "FILE}", file+"}").Replace(config)
	a := newAgentWithHTTP(t, `, token: "${CANARY_HTTP}"`, config, env...)
	a.args = []string{"--log-level", "debug"}
	appendTo(t, log, `{"level":"error","msg":"one","password":"hunter2hunter2"}`)
	a.start()
	bearer := canaries["HTTP"]
	eventually(t, "an answer", time.Minute, func() (bool, string) {
		resp, err := http.Get(a.url + "/health")
		if err != nil {
			return false, err.Error()
		}
		return resp.Body.Close() == nil, resp.Status
	})
	eventually(t, "dead letters, and failures of all others", 2*time.Minute, func() (bool, string) {
		text := askedAs(t, a.url+"/api/v1/dead-letters", bearer)
		ready := bodyOf(t, a.url+"/ready")
		missing := ""
		for _, name := range []string{"loki-url", "loki-bearer", "loki-file", "loki-oauth", "loki-query", "loki-gone",
			"elastic", "hook-deny", "mail"} {
			if !strings.Contains(ready, `"`+name+`"`) {
				missing += " " + name
			}
		}
		return strings.Contains(text, "hook-bad") && strings.Contains(text, "422") && missing == "",
			"not failing:" + missing + "\n" + text
	})
	shown := map[string]string{}
	for _, path := range []string{"/", "/health", "/ready", "/metrics",
		"/api/v1/status", "/api/v1/logs", "/api/v1/config",
		"/api/v1/dead-letters", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1"} {
		shown[path] = askedAs(t, a.url+path, bearer)
	}
	for _, args := range [][]string{{"check"}, {"doctor"}, {"doctor", "--json"}, {"explain", log}, {"top", "--once"},
		{"list"}, {"verify", "--timeout", "5s"}} {
		if args[0] != "list" {
			args = append(args, "-c", a.config)
		}
		cmd := exec.Command(binary(t, "./cmd/longshore"), args...)
		cmd.Env = append(os.Environ(), env...)
		out, _ := cmd.CombinedOutput() // it fails where destinations do
		shown["longshore "+strings.Join(args, " ")] = string(out)
	}
	if err := a.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	_ = a.cmd.Wait() // it crashes
	a.cmd = nil
	if !strings.Contains(a.log.String(), "goroutine ") {
		t.Error("the agent left no stacks")
	}
	maps.Copy(shown, textsOf(t, a)) // the stacks are in the log
	for where, text := range shown {
		for name, secret := range canaries {
			for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret),
				base64.StdEncoding.EncodeToString([]byte(secret)),
				base64.StdEncoding.EncodeToString([]byte("me:" + secret))} {
				if at := strings.Index(text, form); at >= 0 {
					t.Errorf("%s has %s: …%s…", where, name, text[max(0, at-80):min(len(text), at+len(form)+40)])
				}
			}
		}
	}
}

// echo returns the address of a server that answers with all that it was sent.
func echo(t *testing.T, status int) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 4<<10))
		var said []string
		for name, values := range r.Header {
			said = append(said, name+"="+strings.Join(values, ","))
		}
		slices.Sort(said)
		user, password, _ := r.BasicAuth()
		http.Error(w, fmt.Sprintf("no: %s %s %s %s as %s with %s %s", r.Method, r.URL, r.Host, said, user, password,
			body[:min(len(body), 200)]), status)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// askedAs returns what an agent answers to who has its token.
func askedAs(t *testing.T, url, token string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		t.Fatalf("%s: %s", url, text)
	}
	return string(text)
}
