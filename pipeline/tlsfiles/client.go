// Package tlsfiles makes configurations for TLS of files, which are read again once they may have
// changed: certificates are renewed while the agent runs.
package tlsfiles

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// Client is whom to trust, and our own certificate. The zero value trusts the system's authorities.
type Client struct {
	CAFile             string `yaml:"ca_file" doc:"Certificates of the trusted authorities (PEM), instead of the system's; it is read for every connection, but through a proxy only when the agent starts or reloads." example:"/etc/longshore/ca.crt" reads:"file"`
	CAFingerprint      string `yaml:"ca_fingerprint" doc:"SHA-256 of the only trusted authority, in hex, as Elasticsearch prints it at its first start."`
	CertFile           string `yaml:"cert_file" doc:"Client certificate (PEM); it is read for every connection."`
	KeyFile            string `yaml:"key_file" doc:"Key of the client certificate (PEM)."`
	ServerName         string `yaml:"server_name" doc:"Name that the server's certificate must have, if not the URL's."`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify" doc:"Trust any certificate. Anyone between can then read and change everything."`
}

// Check returns what is invalid, in the files too. The path is the setting's name.
func (t *Client) Check(path string) []pipeline.Problem {
	var problems []pipeline.Problem
	found := func(setting, format string, args ...any) {
		problems = append(problems, pipeline.Problem{Path: path + "." + setting, Message: fmt.Sprintf(format, args...)})
	}
	if _, err := t.roots(); err != nil {
		found("ca_file", "%s", err)
	}
	if _, err := parseFingerprint(t.CAFingerprint); err != nil {
		found("ca_fingerprint", "%s", err)
	}
	if t.CAFile != "" && t.CAFingerprint != "" {
		found("ca_fingerprint", "is set beside ca_file; use one of the two")
	}
	if t.InsecureSkipVerify && (t.CAFile != "" || t.CAFingerprint != "") {
		found("insecure_skip_verify", "makes ca_file and ca_fingerprint useless; take it out")
	}
	switch {
	case t.CertFile != "" && t.KeyFile == "":
		found("key_file", "is missing; cert_file needs it")
	case t.KeyFile != "" && t.CertFile == "":
		found("cert_file", "is missing; key_file needs it")
	case t.CertFile != "":
		if _, err := t.certificate(); err != nil {
			found("cert_file", "%s", err)
		}
	}
	return problems
}

// Warnings returns what works, but gives a secret away. The path is the setting's name.
func (t *Client) Warnings(path string) []pipeline.Problem {
	if t.KeyFile == "" || !pipeline.OthersMayRead(t.KeyFile) {
		return nil
	}
	return []pipeline.Problem{{Path: path + ".key_file",
		Message: "may be read by every user of this machine; take that away: chmod o-r"}}
}

// Config returns the configuration for crypto/tls. The CA file is read by this call, the client
// certificate at every handshake, so that it can be renewed on disk.
func (t *Client) Config() (*tls.Config, error) {
	if problems := t.Check("tls"); len(problems) > 0 {
		return nil, fmt.Errorf("%s %s", problems[0].Path, problems[0].Message)
	}
	roots, err := t.roots()
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		RootCAs:            roots,
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify,
	}
	if t.CertFile != "" {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return t.certificate()
		}
	}
	if t.CAFingerprint != "" {
		fingerprint, err := parseFingerprint(t.CAFingerprint)
		if err != nil {
			return nil, err
		}
		// The standard check knows no fingerprints; VerifyConnection does all of it.
		config.InsecureSkipVerify = true
		config.VerifyConnection = func(state tls.ConnectionState) error {
			return verifyFingerprint(state, fingerprint, cmp.Or(t.ServerName, state.ServerName))
		}
	}
	return config, nil
}

// Dialer returns the DialTLSContext for a CA file, which may be renewed on disk, and for a
// fingerprint, as a connection's state has no server name if that is an IP address; else nil.
func (t *Client) Dialer(dial DialFunc) DialFunc {
	if t.CAFile == "" && t.CAFingerprint == "" {
		return nil
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		named := *t
		if named.ServerName == "" {
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, fmt.Errorf("dialing %s: %w", addr, err)
			}
			named.ServerName = host
		}
		config, err := named.Config()
		if err != nil {
			return nil, err
		}
		config.NextProtos = []string{"h2", "http/1.1"}
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return handshake(ctx, tls.Client(conn, config))
	}
}

// A DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// HandshakeTimeout is how long a handshake may take.
const HandshakeTimeout = 10 * time.Second

func handshake(ctx context.Context, conn *tls.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

func (t *Client) roots() (*x509.CertPool, error) { return readRoots(t.CAFile) }

// readRoots returns the authorities in a file; nil without one.
func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := pipeline.ReadFile(path, pipeline.MaxFile)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("has no certificate in it: %s; PEM is expected, with BEGIN CERTIFICATE", path)
	}
	return pool, nil
}

// readCertificate returns the first certificate in a file.
func readCertificate(path string) (*x509.Certificate, error) {
	content, err := pipeline.ReadFile(path, pipeline.MaxFile)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, fmt.Errorf("%s has no certificate in it", path)
}

func (t *Client) certificate() (*tls.Certificate, error) {
	cert, err := loadKeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("cannot be used with key_file: %w", err)
	}
	return &cert, nil
}

func loadKeyPair(certFile, keyFile string) (cert tls.Certificate, err error) {
	certPEM, err := pipeline.ReadFile(certFile, pipeline.MaxFile)
	if err != nil {
		return cert, err
	}
	keyPEM, err := pipeline.ReadFile(keyFile, pipeline.MaxFile)
	if err != nil {
		return cert, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

func parseFingerprint(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	sum, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(sum) != sha256.Size {
		return nil, errors.New("is not a SHA-256 fingerprint; 64 hex digits are, with or without colons")
	}
	return sum, nil
}

// Why a certificate is not trusted by its fingerprint.
var (
	ErrFingerprint  = errors.New("no certificate that the server showed has the fingerprint in tls.ca_fingerprint")
	ErrNoServerName = errors.New("its certificate cannot be checked by fingerprint for an IP address behind a proxy; " +
		"set tls.server_name")
)

// verifyFingerprint trusts the certificate with the fingerprint as if it were in a CA file: the
// server's own must be signed by it, be in date, and have the right name.
func verifyFingerprint(state tls.ConnectionState, fingerprint []byte, name string) error {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	err := ErrFingerprint
	for _, cert := range state.PeerCertificates {
		if sum := sha256.Sum256(cert.Raw); bytes.Equal(sum[:], fingerprint) {
			roots.AddCert(cert)
			err = nil
			continue
		}
		intermediates.AddCert(cert)
	}
	if err == nil && name == "" {
		err = ErrNoServerName // an empty name would not be checked
	}
	if err == nil {
		_, err = state.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots,
			Intermediates: intermediates})
	}
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}
