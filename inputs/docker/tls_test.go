package docker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline/dockerapi"
	"github.com/longshore/longshore/pipeline/pipetest"
)

// An authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	ca := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca.cert, ca.key = ca.sign(template)
	return ca
}

func (ca *authority) sign(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.t.Fatal(err)
	}
	parent, signer := template, key
	if ca.cert != nil {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		ca.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		ca.t.Fatal(err)
	}
	return cert, key
}

// pair issues a certificate for 127.0.0.1 that is valid until a time, in files of a folder named as
// Docker does.
func (ca *authority) pair(dir string, until time.Time) dockerapi.TLS {
	cert, key := ca.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		ca.t.Fatal(err)
	}
	files := dockerapi.TLS{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"),
		Key: filepath.Join(dir, "key.pem")}
	for name, block := range map[string]*pem.Block{
		files.CA:   {Type: "CERTIFICATE", Bytes: ca.cert.Raw},
		files.Cert: {Type: "CERTIFICATE", Bytes: cert.Raw},
		files.Key:  {Type: "EC PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			ca.t.Fatal(err)
		}
	}
	return files
}

// serveTLS serves the engine on TCP, to clients with a certificate of the CA.
func (ca *authority) serveTLS(e *fakeEngine, until time.Time) (host string) {
	files := ca.pair(ca.t.TempDir(), until)
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		ca.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	server := httptest.NewUnstartedServer(e)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert,
		ClientCAs: pool}
	server.StartTLS()
	ca.t.Cleanup(server.Close)
	return "tcp://" + strings.TrimPrefix(server.URL, "https://")
}

var (
	tomorrow  = time.Now().Add(24 * time.Hour)
	yesterday = time.Now().Add(-time.Hour)
)

// TestTLS reaches an engine that requires certificates, by settings and by the environment.
func TestTLS(t *testing.T) {
	for _, byEnvironment := range []bool{false, true} {
		e := newFakeEngine(t)
		c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running", Log: []message{out(1, "one\n")}})
		ca, dir := newAuthority(t), t.TempDir()
		config := Config{Host: ca.serveTLS(e, tomorrow), TLS: ca.pair(dir, tomorrow)}
		if byEnvironment {
			config.TLS = dockerapi.TLS{}
			t.Setenv("DOCKER_CERT_PATH", dir)
			t.Setenv("DOCKER_TLS_VERIFY", "1")
		}
		r := run(t, e, pipetest.NewFeed(t), config)
		r.feed.WaitFor(t.Context(), 1)
		e.write(c, out(2, "two\n"))
		r.feed.WaitFor(t.Context(), 2)
		e.restart()
		e.write(c, out(3, "three\n"))
		r.feed.WaitFor(t.Context(), 3)
		r.wantLines(c)
		r.stop()
	}
}

// TestTLSErrors has certificates that one side rejects: the error says why, and the files are read
// anew on the next attempt.
func TestTLSErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		until  time.Time                              // of the engine's certificate
		client func(ca *authority, dir string) Config // ours
		want   string
	}{
		{"another CA", tomorrow, func(_ *authority, dir string) Config {
			return Config{TLS: newAuthority(t).pair(dir, tomorrow)}
		}, "its certificate is not signed by "},
		{"the engine's has expired", yesterday, func(ca *authority, dir string) Config {
			return Config{TLS: ca.pair(dir, tomorrow)}
		}, "its certificate is valid from "},
		{"ours has expired", tomorrow, func(ca *authority, dir string) Config {
			return Config{TLS: ca.pair(dir, yesterday)}
		}, "cert.pem is valid from "},
		{"none of ours", tomorrow, func(ca *authority, dir string) Config {
			return Config{TLS: dockerapi.TLS{CA: ca.pair(dir, tomorrow).CA}}
		}, "none is set; set tls.cert_file and tls.key_file"},
		{"ours by another CA", tomorrow, func(ca *authority, dir string) Config {
			config := Config{TLS: newAuthority(t).pair(t.TempDir(), tomorrow)}
			config.TLS.CA = ca.pair(dir, tomorrow).CA
			return config
		}, "must be issued by the CA that the engine was set up with"},
		{"no TLS", tomorrow, func(*authority, string) Config { return Config{} }, "it requires TLS; set tls.ca_file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("DOCKER_CERT_PATH", "")
			e, ca := newFakeEngine(t), newAuthority(t)
			config := tt.client(ca, t.TempDir())
			config.Host = ca.serveTLS(e, tt.until)
			engine := newEngine(&config)
			defer engine.Close()
			_, err := engine.connect(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), config.Host) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestEngineWithoutTLS uses TLS with an engine that does not.
func TestEngineWithoutTLS(t *testing.T) {
	server := httptest.NewServer(newFakeEngine(t))
	defer server.Close()
	config := Config{Host: "tcp://" + strings.TrimPrefix(server.URL, "http://"),
		TLS: newAuthority(t).pair(t.TempDir(), tomorrow)}
	engine := newEngine(&config)
	defer engine.Close()
	if _, err := engine.connect(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "it does not speak TLS there; leave out tls") {
		t.Error(err)
	}
}

// TestRenewedCertificate replaces certificates that are rejected, and again while the engine is in
// use.
func TestRenewedCertificate(t *testing.T) {
	e, ca, dir := newFakeEngine(t), newAuthority(t), t.TempDir()
	c := e.add(&fakeContainer{ID: "a", Name: "a", State: "running", Log: []message{out(1, "one\n")}})
	config := Config{Host: ca.serveTLS(e, tomorrow), TLS: ca.pair(dir, yesterday)}
	r := run(t, e, pipetest.NewFeed(t), config)
	r.health.wait(t, func(err error) bool { return err != nil && strings.Contains(err.Error(), "is valid from") })
	ca.pair(dir, tomorrow)
	r.feed.WaitFor(t.Context(), 1)
	r.health.wait(t, func(err error) bool { return err == nil })
	r.wantLines(c)
	r.wantLogged("cannot read container logs", 1)
	r.stop()
}

// TestEnvironment reaches the engine by DOCKER_HOST, in the version of DOCKER_API_VERSION.
func TestEnvironment(t *testing.T) {
	e := newFakeEngine(t)
	e.version = "1.43"
	server := httptest.NewServer(e)
	defer server.Close()
	t.Setenv("DOCKER_HOST", "tcp://"+strings.TrimPrefix(server.URL, "http://"))
	t.Setenv("DOCKER_API_VERSION", "1.43")
	engine := newEngine(&Config{})
	defer engine.Close()
	now, err := engine.connect(t.Context())
	if err != nil || now.name != "dockerhost" {
		t.Errorf("connected to %q, %v", now.name, err)
	}
	if v := engine.Client().ClientVersion(); v != "1.43" {
		t.Errorf("speaks %s", v)
	}
}

// TestFilesThatBlock: the client would read whatever is there.
func TestFilesThatBlock(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, files := range []dockerapi.TLS{{CA: pipe}, {Cert: pipe, Key: pipe}, {Cert: "/dev/zero", Key: "/dev/zero"}} {
		engine := newEngine(&Config{Host: "tcp://127.0.0.1:1", TLS: files})
		if _, err := engine.connect(t.Context()); err == nil || !strings.Contains(err.Error(), "name a regular file") {
			t.Errorf("%+v: %v", files, err)
		}
		engine.Close()
	}
}

// TestHostsThatAreNotSupported: by setting and by DOCKER_HOST, it says which are.
func TestHostsThatAreNotSupported(t *testing.T) {
	for host, want := range map[string]string{"ssh://ann@dock1": "ssh -L", "fd://": "write it like unix:///",
		"dock1:2375": "write it like unix:///"} {
		problems := (&Config{Host: host}).Check()
		if len(problems) != 1 || !strings.Contains(problems[0].Message, want) {
			t.Errorf("%s: %+v", host, problems)
		}
		t.Setenv("DOCKER_HOST", host)
		engine := newEngine(&Config{})
		if _, err := engine.connect(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("DOCKER_HOST=%s: %v", host, err)
		}
		engine.Close()
	}
}
