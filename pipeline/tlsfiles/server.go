package tlsfiles

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// Server is who a server is, and whom it lets in. The zero value is no TLS.
type Server struct {
	CertFile     string `yaml:"cert_file" doc:"Certificate (PEM), with those between it and its authority. It is read again once it has changed." example:"/etc/longshore/tls.crt"`
	KeyFile      string `yaml:"key_file" doc:"Key of the certificate (PEM)." example:"/etc/longshore/tls.key"`
	ClientCAFile string `yaml:"client_ca_file" doc:"Certificates of authorities (PEM): only who shows a certificate signed by one of them is let in, but to /health and /ready, as kubelet and Docker show none. It is read again once it has changed."`
}

// On reports whether there is to be TLS.
func (s Server) On() bool { return s.CertFile != "" }

// Check returns what is invalid, in the files too. The path is the setting's name.
func (s Server) Check(path string) []pipeline.Problem {
	problem := func(setting, message string) []pipeline.Problem {
		return []pipeline.Problem{{Path: path + "." + setting, Message: message}}
	}
	switch {
	case s.CertFile == "" && s.KeyFile != "":
		return problem("cert_file", "is missing; key_file needs it")
	case s.CertFile == "" && s.ClientCAFile != "":
		return problem("cert_file", "is missing; client_ca_file needs it")
	case s.CertFile == "":
		return nil
	case s.KeyFile == "":
		return problem("key_file", "is missing; cert_file needs it")
	}
	if _, err := loadKeyPair(s.CertFile, s.KeyFile); err != nil {
		return problem("cert_file", "cannot be used with key_file: "+err.Error())
	}
	if _, err := readRoots(s.ClientCAFile); err != nil {
		return problem("client_ca_file", err.Error())
	}
	return nil
}

// Config returns the configuration for crypto/tls. Its files are looked at for every handshake, but
// not more than once a second. While they cannot be used, as one of them is just being written,
// what they last held stays, and the log says so.
func (s Server) Config(log *slog.Logger) (*tls.Config, error) {
	f := &served{Server: s, log: log, now: time.Now}
	if err := f.load(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return f.current(), nil },
	}, nil
}

// served are the files of a server as they were last read.
type served struct {
	Server
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	looked time.Time
	failed string
	config *tls.Config
}

// current returns the configuration for one more connection.
func (f *served) current() *tls.Config {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now().Sub(f.looked) < time.Second {
		return f.config
	}
	switch err := f.load(); {
	case err == nil && f.failed != "":
		f.failed = ""
		f.log.Info("the certificate of the HTTP server is read again")
	case err != nil && err.Error() != f.failed:
		f.failed = err.Error()
		f.log.Warn("the certificate of the HTTP server stays as it was", "why", f.failed)
	}
	return f.config
}

func (f *served) load() error {
	f.looked = f.now()
	pair, err := loadKeyPair(f.CertFile, f.KeyFile)
	if err != nil {
		return fmt.Errorf("reading %s and %s: %w", f.CertFile, f.KeyFile, err)
	}
	roots, err := readRoots(f.ClientCAFile)
	if err != nil {
		return fmt.Errorf("client_ca_file %w", err)
	}
	next := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
		NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true}
	if roots != nil {
		// Who shows none is turned away by path, not here: see Showed.
		next.ClientAuth, next.ClientCAs = tls.RequestClientCert, roots
		next.VerifyConnection = func(state tls.ConnectionState) error {
			return verifyClient(state.PeerCertificates, roots, pair.Certificate[0])
		}
	}
	f.config = next
	return nil
}

// verifyClient checks the certificate that a client has shown, if it has: an authority's, or the
// server's own, by which who has its files asks it.
func verifyClient(shown []*x509.Certificate, roots *x509.CertPool, own []byte) error {
	if len(shown) == 0 || bytes.Equal(shown[0].Raw, own) {
		return nil
	}
	intermediates := x509.NewCertPool()
	for _, cert := range shown[1:] {
		intermediates.AddCert(cert)
	}
	_, err := shown[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}

// Showed reports whether a client showed a certificate on a connection of a Server with a
// ClientCAFile: one that is not trusted has ended it before.
func Showed(state *tls.ConnectionState) bool { return state != nil && len(state.PeerCertificates) > 0 }

// Peer returns a configuration for those who have the server's own config: it trusts the
// certificate in its file, for whatever name, and nothing else. Where the server asks for a
// certificate, it shows the same one.
func (s Server) Peer() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does it
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := loadKeyPair(s.CertFile, s.KeyFile)
			if err != nil {
				return &tls.Certificate{}, nil // it is none of ours to read; /health needs none
			}
			return &pair, nil
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			own, err := readCertificate(s.CertFile)
			if err != nil {
				return err
			}
			if len(state.PeerCertificates) == 0 || !state.PeerCertificates[0].Equal(own) {
				return errors.New("it shows another certificate than that of http.tls.cert_file")
			}
			return nil
		},
	}
}
