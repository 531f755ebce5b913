package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/server"
	"github.com/longshore/longshore/pipeline/tlsfiles/tlstest"
)

// A lockedDoor is a destination with a password that changes. It answers with what it was sent, as
// some do that one would rather not have.
type lockedDoor struct {
	url string

	mu       sync.Mutex
	password string
	got      []string
}

func newLockedDoor(t *testing.T) *lockedDoor {
	d := &lockedDoor{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		d.mu.Lock()
		defer d.mu.Unlock()
		_, password, _ := r.BasicAuth()
		if password != d.password {
			http.Error(w, "not with the password "+password+", nor "+r.Header.Get("Authorization"),
				http.StatusUnauthorized)
			return
		}
		d.got = append(d.got, string(body))
	}))
	t.Cleanup(s.Close)
	d.url = s.URL
	return d
}

func (d *lockedDoor) lock(password string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.password = password
}

func (d *lockedDoor) has(text string) (bool, string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := strings.Join(d.got, "\n")
	return strings.Contains(all, text), fmt.Sprintf("%d requests", len(d.got))
}

// sendsTo appends a line, and waits until it has got through the door.
func sendsTo(t *testing.T, log string, d *lockedDoor, line string) {
	t.Helper()
	appendTo(t, log, line)
	eventually(t, "the line "+line, 90*time.Second, func() (bool, string) { return d.has(line) })
}

// TestSecretsOfVault renews what an agent has from a real OpenBao: by AppRole, for a KV engine of
// version 2, while the destination has another password first, and while OpenBao is away.
func TestSecretsOfVault(t *testing.T) {
	bao, door := server.OpenBao(t), newLockedDoor(t)
	put := func(value string) {
		bao.Ask(t, http.MethodPost, "secret/data/apps/loki", map[string]any{"data": map[string]any{"password": value}})
	}
	put("canary-first")
	bao.Ask(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	bao.Ask(t, http.MethodPut, "sys/policies/acl/logs", map[string]any{
		"policy": `path "secret/data/apps/*" { capabilities = ["read"] }`})
	bao.Ask(t, http.MethodPost, "auth/approle/role/logs", map[string]any{"token_policies": "logs", "token_ttl": "20s",
		"token_max_ttl": "40s"})
	role := bao.Ask(t, http.MethodGet, "auth/approle/role/logs/role-id", nil)["data"].(map[string]any)["role_id"]
	id := bao.Ask(t, http.MethodPost, "auth/approle/role/logs/secret-id", nil)["data"].(map[string]any)["secret_id"]
	folder := t.TempDir()
	idFile, log := filepath.Join(folder, "secret-id"), filepath.Join(folder, "a.log")
	if err := os.WriteFile(idFile, []byte(id.(string)), 0o600); err != nil {
		t.Fatal(err)
	}
	door.lock("canary-first")
	a := newAgent(t, fmt.Sprintf(`
secrets: {refresh: 10s, vault: {address: %q, approle: {role_id: %q, secret_id_file: %q}}}
inputs: {a: {type: file, paths: [%s]}}
outputs: {door: {type: webhook, url: %q, auth: {username: me, password: "${vault:secret/apps/loki#password}"}}}
`, bao.URL, role, idFile, log, door.url))
	a.start()
	sendsTo(t, log, door, "before")

	put("canary-second") // found out by the interval, or as the door stays shut
	door.lock("canary-second")
	sendsTo(t, log, door, "renewed")

	time.Sleep(45 * time.Second) // the token has come to its end, and needs another login
	put("canary-third")
	door.lock("canary-third")
	sendsTo(t, log, door, "renewed by another login")

	bao.Kill()
	sendsTo(t, log, door, "while OpenBao is away")
	eventually(t, "a word about it in /ready", time.Minute, func() (bool, string) {
		text := bodyOf(t, a.url+"/ready")
		return strings.Contains(text, "cannot be read again, and its last value stays"), text
	})
	a.stop()
	nowhere(t, a, "canary-", id.(string))
}

// TestSecretsOfAWS renews what an agent has from Secrets Manager, as moto has it: by keys, and by a
// web identity at STS.
func TestSecretsOfAWS(t *testing.T) {
	aws := server.Moto(t)
	folder := t.TempDir()
	token := filepath.Join(folder, "token")
	// moto reads nothing of it but that it is a token.
	if err := os.WriteFile(token, []byte("eyJhbGciOiJub25lIn0.eyJzdWIiOiJsb25nc2hvcmUifQ."), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string][]string{
		"keys": {"AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=canary-key"},
		"web identity": {"AWS_ROLE_ARN=arn:aws:iam::123456789012:role/logs", "AWS_ACCESS_KEY_ID=",
			"AWS_WEB_IDENTITY_TOKEN_FILE=" + token},
	} {
		t.Run(name, func(t *testing.T) {
			door, log := newLockedDoor(t), filepath.Join(t.TempDir(), "a.log")
			id := "prod/" + strings.ReplaceAll(name, " ", "-")
			motoSecret(t, aws, "CreateSecret", map[string]any{"Name": id,
				"SecretString": `{"password":"canary-first"}`})
			door.lock("canary-first")
			a := newAgent(t, fmt.Sprintf(`
secrets: {refresh: 10s, aws: {region: eu-central-1}}
inputs: {a: {type: file, paths: [%s]}}
outputs: {door: {type: webhook, url: %q, auth: {username: me, password: "${aws:%s#password}"}}}
`, log, door.url, id), append(env, "AWS_ENDPOINT_URL="+aws, "AWS_EC2_METADATA_DISABLED=true")...)
			a.start()
			sendsTo(t, log, door, "before")
			motoSecret(t, aws, "PutSecretValue", map[string]any{"SecretId": id,
				"SecretString": `{"password":"canary-second"}`})
			door.lock("canary-second")
			sendsTo(t, log, door, "renewed")
			a.stop()
			nowhere(t, a, "canary-")
		})
	}
}

// motoSecret asks moto's Secrets Manager, which checks no signature.
func motoSecret(t *testing.T, at, action string, send any) {
	t.Helper()
	body, err := json.Marshal(send)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"/", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "secretsmanager."+action)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 "+
		"Credential=test/20260101/eu-central-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=00")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", action, resp.Status, text)
	}
}

func bodyOf(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// textsOf returns the log of an agent and the files of its data folder.
func textsOf(t *testing.T, a *agent) map[string]string {
	t.Helper()
	all := map[string]string{"the log": a.log.String()}
	err := filepath.WalkDir(filepath.Join(a.dir, "data"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		all[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// nowhere fails if a secret is in the agent's log or in a file of its data folder, plain or as a
// URL or base64 has it.
func nowhere(t *testing.T, a *agent, secrets ...string) {
	t.Helper()
	for where, text := range textsOf(t, a) {
		for _, secret := range secrets {
			if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
				t.Errorf("%s has the secret %s", where, secret)
			}
		}
	}
}

// TestSecretsOfFiles renews a password in a file as Kubernetes does, by moving a link, with the
// agent's own HTTP behind a certificate that is renewed, too. The config on disk is another one
// meanwhile, which nobody has asked for.
func TestSecretsOfFiles(t *testing.T) {
	door, dir := newLockedDoor(t), t.TempDir()
	log, cert, key := filepath.Join(dir, "a.log"), filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	first, second, others := tlstest.NewAuthority(t), tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	first.Issue(t, "agent", cert, key)
	mount := filepath.Join(dir, "mount")
	project(t, mount, "1", "canary-first")
	door.lock("canary-first")
	a := newAgentWithHTTP(t, fmt.Sprintf(`, tls: {cert_file: %q, key_file: %q, client_ca_file: %q}`, cert, key,
		others.File), fmt.Sprintf(`
inputs: {a: {type: file, paths: [%s]}}
outputs: {door: {type: webhook, url: %q, auth: {username: me, password: "${file:%s/password}"}}}
`, log, door.url, mount))
	a.start()
	sendsTo(t, log, door, "before")
	asks := func(when string) {
		t.Helper()
		for _, args := range [][]string{{"healthcheck", "-c", a.config}, {"top", "--once", "-c", a.config}} {
			if out, err := exec.Command(binary(t, "./cmd/longshore"), args...).CombinedOutput(); err != nil {
				t.Errorf("%s, %s: %v: %s", when, args[0], err, out)
			}
		}
	}
	asks("before")
	text, err := os.ReadFile(a.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.config, append(text, "nonsense: true\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	project(t, mount, "2", "canary-second")
	door.lock("canary-second")
	sendsTo(t, log, door, "renewed")
	if err := os.WriteFile(a.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	second.Issue(t, "agent", cert, key)
	time.Sleep(1100 * time.Millisecond) // files are looked at once a second
	asks("with another certificate")
	a.stop()
	nowhere(t, a, "canary-")
}

// project writes a password into a folder as the kubelet does.
func project(t *testing.T, mount, version, password string) {
	t.Helper()
	folder := filepath.Join(mount, "..v"+version)
	for _, err := range []error{
		os.MkdirAll(folder, 0o700),
		os.WriteFile(filepath.Join(folder, "password"), []byte(password), 0o600),
		os.Symlink("..v"+version, filepath.Join(mount, "..tmp")),
		os.Rename(filepath.Join(mount, "..tmp"), filepath.Join(mount, "..data")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if version == "1" {
		if err := os.Symlink("..data/password", filepath.Join(mount, "password")); err != nil {
			t.Fatal(err)
		}
	}
}
