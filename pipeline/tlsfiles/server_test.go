package tlsfiles

import (
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline/tlsfiles/tlstest"
)

// TestServerRenews has the files of a server renewed, one after the other, and spoilt.
func TestServerRenews(t *testing.T) {
	ca, dir := tlstest.NewAuthority(t), t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	ca.Issue(t, "first", cert, key)
	now := time.Unix(1e9, 0)
	var said strings.Builder
	f := &served{Server: Server{CertFile: cert, KeyFile: key}, log: slog.New(slog.NewTextHandler(&said, nil)),
		now: func() time.Time { return now }}
	if err := f.load(); err != nil {
		t.Fatal(err)
	}
	name := func() string {
		leaf, err := x509.ParseCertificate(f.current().Certificates[0].Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.Subject.CommonName
	}
	elsewhere := filepath.Join(dir, "next")
	ca.Issue(t, "second", cert, elsewhere) // its key is not there yet
	if name() != "first" {
		t.Error("files are looked at again within a second")
	}
	for range 2 {
		if now = now.Add(time.Second); name() != "first" {
			t.Error("a certificate without its key is used")
		}
	}
	if n := strings.Count(said.String(), "stays as it was"); n != 1 {
		t.Errorf("it was told %d times: %s", n, said.String())
	}
	if err := os.Rename(elsewhere, key); err != nil {
		t.Fatal(err)
	}
	if now = now.Add(time.Second); name() != "second" {
		t.Error("the new certificate is not used")
	}
}

func TestServerCheck(t *testing.T) {
	ca, dir := tlstest.NewAuthority(t), t.TempDir()
	cert, key, other := filepath.Join(dir, "crt"), filepath.Join(dir, "key"), filepath.Join(dir, "other")
	ca.Issue(t, "a", cert, key)
	ca.Issue(t, "b", filepath.Join(dir, "b"), other)
	for name, test := range map[string]struct {
		server Server
		want   string
	}{
		"none":             {Server{}, ""},
		"all":              {Server{cert, key, ca.File}, ""},
		"no key":           {Server{CertFile: cert}, "tls.key_file is missing"},
		"no certificate":   {Server{KeyFile: key}, "tls.cert_file is missing"},
		"only authorities": {Server{ClientCAFile: ca.File}, "tls.cert_file is missing"},
		"another's key":    {Server{cert, other, ""}, "tls.cert_file cannot be used"},
		"no authority":     {Server{cert, key, key}, "tls.client_ca_file has no certificate"},
		"nothing there":    {Server{cert, key, "/none"}, "tls.client_ca_file cannot be read"},
	} {
		got := ""
		for _, p := range test.server.Check("tls") {
			got += p.Path + " " + p.Message
		}
		if !strings.HasPrefix(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
