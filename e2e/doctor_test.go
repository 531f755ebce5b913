package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/server"
)

// An authority signs the certificates of a test's servers.
type authority struct {
	t    *testing.T
	dir  string
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert = &x509.Certificate{Subject: pkix.Name{CommonName: "e2e authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(365 * 24 * time.Hour)}
	a.file, _, a.key = a.issue("authority", a.cert)
	return a
}

// issue signs a certificate, and returns the files that it and its key are in.
func (a *authority) issue(name string, cert *x509.Certificate) (certFile, keyFile string, key *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	signer := a.key
	if signer == nil {
		signer = key
	}
	cert.SerialNumber = big.NewInt(time.Now().UnixNano())
	raw, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.put(name+".pem", "CERTIFICATE", raw), a.put(name+".key", "PRIVATE KEY", der), key
}

func (a *authority) put(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// victoriaLogs starts a VictoriaLogs that wants a password, with a certificate of 127.0.0.1.
func (a *authority) victoriaLogs(name string, until time.Time) *server.VictoriaLogsServer {
	a.t.Helper()
	cert, key, _ := a.issue(name, &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	return server.VictoriaLogs(a.t, "-tls", "-tlsCertFile="+cert, "-tlsKeyFile="+key, "-httpAuth.username=agent",
		"-httpAuth.password=sesame")
}

// command runs a command of the program on the agent's config, and returns what it prints and its
// exit code.
func (a *agent) command(args ...string) (said string, code int) {
	a.t.Helper()
	cmd := exec.Command(binary(a.t, "./cmd/longshore"), append(args, "-c", a.config)...)
	cmd.Env = append(os.Environ(), a.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: a.user}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		a.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// TestDoctor: of real servers doctor says what they are, and its test record arrives; with one
// thing broken at a time it says which, and what to do.
func TestDoctor(t *testing.T) {
	docker := talking(t, "doctored")
	ca := newAuthority(t)
	good := ca.victoriaLogs("good", time.Now().Add(time.Hour*24*90))
	soon := ca.victoriaLogs("soon", time.Now().Add(time.Hour*24))
	stale := ca.victoriaLogs("stale", time.Now().Add(-time.Hour))
	elastic := server.Elasticsearch(t)
	engine := fmt.Sprintf("\ninputs: {containers: {type: docker, host: %q, include: {names: [doctored]}}}\n",
		docker.Host)
	loki := func(url, auth, ca string) string {
		return fmt.Sprintf("\noutputs: {loki: {type: loki, url: %q, auth: %s, tls: {ca_file: %q}}}\n",
			url+"/insert?_msg_field=message", auth, ca)
	}
	toElastic := func(url, index string) string {
		return fmt.Sprintf("\noutputs: {elastic: {type: elasticsearch, urls: [%q], index: %s}}\n", url, index)
	}
	const files = "\ninputs: {files: {type: file, paths: [/nowhere/*.log]}}\n"
	const agent = "{username: agent, password: sesame}"
	shut := toElastic(elastic.URL, "shut")
	ask(t, http.MethodPut, elastic.URL+"/shut", `{"settings": {"index.blocks.write": true}}`)
	tests := []struct {
		name, config string
		want         string // that is told; what is told of nothing else begins with ✗
	}{
		{"VictoriaLogs", engine + loki(good.URL, agent, ca.file), `
✓ input containers, containers: 1 container running, 1 of them followed
✓ output loki, TLS: TLS 1.3, "CN=good", signed by "CN=e2e authority", until
✓ output loki, writing: allowed
✓ output loki, test record: stored;
nothing failed`},
		{"Elasticsearch", engine + toElastic(elastic.URL, "doctored"), `
✓ output elastic, server: Elasticsearch 7.17
✓ output elastic, test record: stored;
nothing failed`},
		{"wrong password", files + loki(good.URL, "{username: agent, password: guessed}", ca.file), `
✗ output loki, login: HTTP 401, Unauthorized
    the user and password, token or key are not known there; set them anew
– output loki, test record: not sent
longshore: 1 failed`},
		{"no password", files + loki(good.URL, "{}", ca.file), `
✗ output loki, login: HTTP 401, Unauthorized
    it asks who we are, and nothing is set; set auth
longshore: 1 failed`},
		{"unknown authority", files + loki(good.URL, agent, ""), `
✗ output loki, TLS: its certificate is signed by an authority that is not trusted; set tls.ca_file
    the server shows: "CN=good", signed by "CN=e2e authority", until
longshore: 1 failed`},
		{"another name", files + loki(strings.Replace(good.URL, "127.0.0.1", "localhost", 1), agent, ca.file), `
✗ output loki, TLS: its certificate is for another name; set tls.server_name if that is right
longshore: 1 failed`},
		{"expires soon", files + loki(soon.URL, agent, ca.file), `
! output loki, TLS: the certificate "CN=soon" expires on
    renew it before then
✓ output loki, test record: stored;
nothing failed and`},
		{"expired", files + loki(stale.URL, agent, ca.file), `
✗ output loki, TLS: its certificate has expired or is not valid yet; renew it, and check the clocks
longshore: 1 failed`},
		{"http to a TLS port", files + loki(strings.Replace(good.URL, "https", "http", 1), agent, ca.file), `
✗ output loki, HTTP: it speaks TLS there, and the url begins with http://; write https://
longshore: 1 failed`},
		{"https to one without", files + toElastic(strings.Replace(elastic.URL, "http", "https", 1), "doctored"), `
✗ output elastic, TLS: it does not speak TLS there; should the url begin with http:// ?
longshore: 1 failed`},
		{"nobody there", files + toElastic("http://"+freeAddress(t), "doctored"), `
connection refused; is it running, and is the port right?
longshore: 1 failed`},
		{"an index that takes nothing", files + shut, `
✗ output elastic, test record: not stored: cluster_block_exception: index [shut] blocked by: [FORBIDDEN/8/index write (api)];
longshore: 1 failed`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := newAgent(t, test.config)
			said, code := a.command("doctor", "--write")
			tells(t, said, test.want)
			if strings.Contains(said, "sesame") || strings.Contains(said, "guessed") {
				t.Error("it tells the password")
			}
			if (code == 0) != strings.Contains(said, "nothing failed") || t.Failed() {
				t.Errorf("exit code %d:\n%s", code, said)
			}
		})
	}
}

// tells wants each line of a text to be part of what was said.
func tells(t *testing.T, said, text string) {
	t.Helper()
	for want := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %s", want)
		}
	}
	if t.Failed() {
		t.Log(said)
	}
}

// TestDoctorOfThisMachine: beside an agent doctor is content with what that holds, and names who
// else has the port; a user who may not open the engine's socket is told how he may.
func TestDoctorOfThisMachine(t *testing.T) {
	docker := talking(t, "examined")
	a := newAgent(t, fmt.Sprintf("inputs: {containers: {type: docker, host: %q, include: {names: [examined]}}}\n"+
		"outputs: {out: {type: file, path: %s}}\n", docker.Host, filepath.Join(t.TempDir(), "out")))
	a.start()
	a.says("/ready", 200)
	said, code := a.command("doctor")
	tells(t, said, "✓ data_dir, lock: in use by longshore (process\n✓ http, address: ")
	tells(t, said, "the agent of this config\nnothing failed")
	if code != 0 {
		t.Errorf("beside the agent: exit code %d\n%s", code, said)
	}
	a.stop()

	taken, err := net.Listen("tcp", strings.TrimPrefix(a.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	said, code = a.command("doctor")
	_ = taken.Close()
	tells(t, said, fmt.Sprintf("is in use by e2e.test (process %d)\n"+
		"    stop that, or set http.listen to another port\nlongshore: 1 failed", os.Getpid()))
	if code != 1 {
		t.Errorf("with the port taken: exit code %d", code)
	}

	a.as(nobody(t))
	for _, args := range [][]string{{"doctor"}, {"explain", "examined"}} {
		said, code = a.command(args...)
		tells(t, said, "permission denied on "+strings.TrimPrefix(docker.Host, "unix://")+": ")
		if code != 1 {
			t.Errorf("%s without the right to the socket: exit code %d", args[0], code)
		}
	}
}

// TestExplain: of a container on a real engine it says which input takes it, by which labels, how
// far it was read, and what becomes of its lines; or why none takes it.
func TestExplain(t *testing.T) {
	docker := talking(t, "explained", "--label", "longshore.parser=json")
	for name, args := range map[string][]string{
		"opted-out": {"--label", "longshore.enable=false"}, "unlogged": {"--log-driver", "none"}, "not-wanted": nil,
	} {
		talking(t, name, args...)
	}
	out := filepath.Join(t.TempDir(), "out")
	a := newAgent(t, fmt.Sprintf("inputs: {containers: {type: docker, host: %q, exclude: {names: [not-wanted]}}}\n"+
		"outputs: {out: {type: file, path: %s}}\n", docker.Host, out))
	explain := func(name string, exit int, want string) {
		t.Helper()
		said, code := a.command("explain", name)
		tells(t, said, want)
		if code != exit {
			t.Errorf("%s: exit code %d:\n%s", name, code, said)
		}
	}
	explain("explained", 0, `
takes the container explained of the image longshore-e2e/chatter:dev: all containers are followed that nothing excludes
its label longshore.parser=json decides
is new to the agent
json -> {"timestamp":
"message":"explained line 0
goes to out`)
	explain("opted-out", 1, "does not take it: it is labelled longshore.enable=false")
	explain("not-wanted", 1, "does not take it: exclude matches it")
	explain("unlogged", 1, "does not take it: its logging driver, none, keeps nothing that can be read")
	explain("absent", 1, "does not take it: there is no container of that name")
	a.start()
	eventually(t, "a line of the container", time.Minute, func() (bool, string) {
		return len(shipped(t, out)["explained"]) > 0, "none"
	})
	a.stop()
	explain("explained", 0, "all outputs are done with what was logged before 20")
}

// talking returns an engine with a container that logs a line a second.
func talking(t *testing.T, name string, args ...string) *server.DockerServer {
	t.Helper()
	docker := server.Docker(t)
	docker.AppImage("longshore-e2e/chatter:dev", binary(t, "./e2e/chatter"))
	docker.Remove(name)
	t.Cleanup(func() { docker.Remove(name) })
	docker.Docker(slices.Concat([]string{"run", "-d", "--name", name}, args,
		[]string{"longshore-e2e/chatter:dev", "-name", name, "-rate", "1"})...)
	return docker
}
