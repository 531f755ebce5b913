package dockerapi

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker/docker/client"

	"github.com/longshore/longshore/pipeline"
)

// adviseTLS explains what to do about an error of TLS, or returns "" for any other.
func (e *Engine) adviseTLS(err error) string {
	files := e.TLS.orOfEnvironment()
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Sprintf("its certificate is not signed by %s; set the CA that the engine uses (tlscacert)",
			cmp.Or(files.CA, "any CA that this system trusts"))
	}
	if mismatch, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("its certificate is not for %q; use a name that is in it, or issue one with this name",
			mismatch.Host)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return fmt.Sprintf("its certificate is valid from %s to %s only, and it is %s now; renew it, or set the clock",
			dateOf(invalid.Cert.NotBefore), dateOf(invalid.Cert.NotAfter), dateOf(time.Now()))
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "remote error: tls: "):
		return "it rejects the agent's certificate: " + aboutClientCert(files)
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return "it does not speak TLS there; leave out tls (or DOCKER_CERT_PATH), or use its TLS port, usually 2376"
	case strings.Contains(text, "TLS-enabled daemon without TLS"),
		strings.Contains(text, "HTTP request to an HTTPS server"):
		return "it requires TLS; " +
			"set tls.ca_file, tls.cert_file and tls.key_file, or DOCKER_CERT_PATH and DOCKER_TLS_VERIFY"
	}
	return ""
}

// aboutClientCert says what an engine may reject in the agent's certificate.
func aboutClientCert(files TLS) string {
	if files.Cert == "" {
		return "none is set; set tls.cert_file and tls.key_file, or DOCKER_CERT_PATH"
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key) // checked when the client was made
	if err != nil || pair.Leaf == nil {
		return "it cannot be read: " + fmt.Sprint(err)
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore) {
		return fmt.Sprintf("%s is valid from %s to %s only; renew it",
			files.Cert, dateOf(pair.Leaf.NotBefore), dateOf(pair.Leaf.NotAfter))
	}
	return files.Cert +
		" must be issued by the CA that the engine was set up with (tlscacert), for client authentication"
}

// TLS holds the files of a TLS connection.
type TLS struct {
	CA   string `yaml:"ca_file" doc:"CA certificates that the engine's certificate is verified with." example:"/certs/ca.pem" reads:"file"`
	Cert string `yaml:"cert_file" doc:"Client certificate." example:"/certs/cert.pem" reads:"file"`
	Key  string `yaml:"key_file" doc:"Private key of the client certificate." example:"/certs/key.pem" reads:"file"`
}

// orOfEnvironment returns the files, or else those of the environment.
func (t TLS) orOfEnvironment() TLS {
	if t != (TLS{}) {
		return t
	}
	dir := os.Getenv(client.EnvOverrideCertPath)
	if dir == "" {
		return TLS{}
	}
	return TLS{
		CA:   filepath.Join(dir, "ca.pem"),
		Cert: filepath.Join(dir, "cert.pem"),
		Key:  filepath.Join(dir, "key.pem"),
	}
}

// check reports what could not be read: the client reads whatever is there, and could wait for
// ever.
func (t TLS) check() error {
	for _, path := range []string{t.CA, t.Cert, t.Key} {
		if path == "" {
			continue
		}
		if _, err := pipeline.ReadFile(path, pipeline.MaxFile); err != nil {
			return fmt.Errorf("reading the files of TLS: %w", err)
		}
	}
	return nil
}

func dateOf(t time.Time) string { return t.UTC().Format(time.DateTime) }
