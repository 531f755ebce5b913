package httpclient

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/tlsfiles"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	empty, binary := filepath.Join(dir, "empty"), filepath.Join(dir, "binary")
	writeFile(t, empty, "\n")
	writeFile(t, binary, "a\x00b")
	missing := filepath.Join(dir, "missing")
	ca := newAuthority(t)
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	oauth := OAuth2{TokenURL: "http://auth/token", ClientID: "me"}
	headers := func(name, value string) map[string]pipeline.Secret {
		return map[string]pipeline.Secret{name: pipeline.Secret(value)}
	}
	tests := map[string]struct {
		settings Settings
		want     []string // "path: part of the message"
	}{
		"nothing": {Settings{}, nil},
		"good": {Settings{TLS: tlsfiles.Client{CAFile: ca.file}, Auth: Auth{OAuth2: oauth},
			Proxy: "socks5://p:1"}, nil},
		"no proxy": {Settings{Proxy: "none"}, nil},
		"proxy": {Settings{Proxy: "p:3128"},
			[]string{"proxy: is not a URL; write it like http://p:3128"}},
		"no such CA": {Settings{TLS: tlsfiles.Client{CAFile: missing}},
			[]string{"tls.ca_file: cannot be read"}},
		"CA that blocks":     {Settings{TLS: tlsfiles.Client{CAFile: pipe}}, []string{"is a named pipe"}},
		"CA that never ends": {Settings{TLS: tlsfiles.Client{CAFile: "/dev/zero"}}, []string{"is a device"}},
		"certificate that blocks": {Settings{TLS: tlsfiles.Client{CertFile: pipe, KeyFile: pipe}},
			[]string{"is a named pipe"}},
		"key that never ends": {Settings{TLS: tlsfiles.Client{CertFile: ca.file, KeyFile: "/dev/zero"}},
			[]string{"is a device"}},
		"token that blocks": {Settings{Auth: Auth{BearerTokenFile: pipe}}, []string{"is a named pipe"}},
		"not a CA": {Settings{TLS: tlsfiles.Client{CAFile: binary}},
			[]string{"tls.ca_file: has no certificate in it"}},
		"fingerprint": {Settings{TLS: tlsfiles.Client{CAFingerprint: "ab:cd"}},
			[]string{"tls.ca_fingerprint: is not a SHA-256"}},
		"two authorities": {Settings{TLS: tlsfiles.Client{CAFile: ca.file, CAFingerprint: ca.fingerprint()}},
			[]string{"tls.ca_fingerprint: is set beside ca_file"}},
		"any, and one": {Settings{TLS: tlsfiles.Client{CAFile: ca.file, InsecureSkipVerify: true}},
			[]string{"tls.insecure_skip_verify: makes ca_file"}},
		"certificate without key": {Settings{TLS: tlsfiles.Client{CertFile: ca.file}},
			[]string{"tls.key_file: is missing"}},
		"key without certificate": {Settings{TLS: tlsfiles.Client{KeyFile: ca.file}},
			[]string{"tls.cert_file: is missing"}},
		"not a key": {Settings{TLS: tlsfiles.Client{CertFile: ca.file, KeyFile: empty}},
			[]string{"tls.cert_file: cannot be used with key_file"}},
		"two kinds": {Settings{Auth: Auth{Username: "u", BearerToken: "t"}},
			[]string{"auth: has more than one of"}},
		"password alone": {Settings{Auth: Auth{Password: "p"}}, []string{"auth.username: is missing"}},
		"token with a line end": {Settings{Auth: Auth{BearerToken: "t\n"}},
			[]string{"auth.bearer_token: has control characters"}},
		"no such token": {Settings{Auth: Auth{BearerTokenFile: missing}},
			[]string{"auth.bearer_token_file: cannot be used"}},
		"an empty token": {Settings{Auth: Auth{BearerTokenFile: empty}},
			[]string{"auth.bearer_token_file: cannot be used"}},
		"a strange token": {Settings{Auth: Auth{BearerTokenFile: binary}},
			[]string{"auth.bearer_token_file: cannot be used"}},
		"half of oauth": {Settings{Auth: Auth{OAuth2: OAuth2{ClientSecret: "s"}}},
			[]string{"auth.oauth2.token_url: is not a URL", "auth.oauth2.client_id: is missing"}},
		"header's name": {Settings{Headers: headers("a:b", "c")},
			[]string{"headers.a:b: is not a header name"}},
		"header of our own": {Settings{Headers: headers("content-type", "c")},
			[]string{"headers.content-type: is set by longshore"}},
		"header's value": {Settings{Headers: headers("A", "b\r\nC: d")},
			[]string{"headers.A: has a value with control"}},
		"authorization twice": {Settings{Headers: headers("authorization", "x"), Auth: Auth{Username: "u"}},
			[]string{"headers.authorization: would overwrite"}},
		"authorization by oneself": {Settings{Headers: headers("authorization", "x")}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			problems := test.settings.Check()
			if len(problems) != len(test.want) {
				t.Fatalf("got %v, want %v", problems, test.want)
			}
			for i, p := range problems {
				if !strings.Contains(p.Path+": "+p.Message, test.want[i]) {
					t.Errorf("got %v, want %s", p, test.want[i])
				}
			}
			if _, err := New(test.settings); (err != nil) != (len(problems) > 0) {
				t.Errorf("New says %v", err)
			}
		})
	}
}

func TestCheckURL(t *testing.T) {
	for raw, want := range map[string]string{
		"http://loki:3100":        "",
		" https://u:p@loki/path ": "",
		"":                        "is not a URL; write it like http://host:port",
		"loki:3100":               "is not a URL; write it like http://loki:3100",
		"ftp://loki":              "is not a URL; write it like http://host:port",
		"http://":                 "is not a URL; write it like http://host:port",
		"http://u:se%cret@loki":   "is not a URL; special characters in its password must be written as %XX",
		"http://u:sec/ret@loki":   "is not a URL; special characters in its password must be written as %XX",
	} {
		got := ""
		for _, p := range CheckURL("url", raw, &Auth{}) {
			got += p.Message
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
	}
	if p := CheckURL("url", "http://u:p@loki", &Auth{BearerToken: "t"}); len(p) != 1 {
		t.Errorf("two users: %v", p)
	}
}

// TestKeyThatOthersMayRead: it is warned of, and works.
func TestKeyThatOthersMayRead(t *testing.T) {
	cert, key := issue(t, newAuthority(t), &x509.Certificate{})
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s := Settings{TLS: tlsfiles.Client{CertFile: filepath.Join(t.TempDir(), "cert"),
		KeyFile: filepath.Join(t.TempDir(), "key")}}
	writeFile(t, s.TLS.CertFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})))
	writeFile(t, s.TLS.KeyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	for mode, warnings := range map[os.FileMode]int{0o600: 0, 0o640: 0, 0o644: 1} {
		if err := os.Chmod(s.TLS.KeyFile, mode); err != nil {
			t.Fatal(err)
		}
		problems := s.TLS.Warnings("tls")
		if len(problems) != warnings || warnings == 1 && problems[0].Path != "tls.key_file" {
			t.Errorf("%v: %+v", mode, problems)
		}
		if _, err := New(s); err != nil {
			t.Errorf("%v: %v", mode, err)
		}
	}
}
