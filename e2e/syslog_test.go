package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/e2e/server"
	"github.com/longshore/longshore/pipeline/tlsfiles/tlstest"
)

// TestSyslogSenders has real senders send to the agent, in all the ways they know: Debian's
// rsyslog and util-linux's logger.
func TestSyslogSenders(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	authority := tlstest.NewAuthority(t)
	authority.Issue(t, "agent", file("agent.crt"), file("agent.key"))
	authority.Issue(t, "sender", file("sender.crt"), file("sender.key"))
	plain, secure, socket := freeAddress(t), freeAddress(t), file("log.sock")
	a := newAgent(t, fmt.Sprintf(`
inputs:
  network:
    type: syslog
    listen: ["udp://%[1]s", "tcp://%[1]s", "tls://%[2]s", "unix://%[3]s"]
    tls: {cert_file: %[4]q, key_file: %[5]q, client_ca_file: %[6]q}
outputs: {out: {type: file, path: %[7]q}}
`, plain, secure, socket, file("agent.crt"), file("agent.key"), authority.File, file("out")))
	a.start()
	eventually(t, "the agent listens", time.Minute, func() (bool, string) {
		_, err := os.Stat(socket)
		return err == nil, fmt.Sprint(err)
	})
	const count = 2000
	writeNumbered(t, file("in.log"), count)
	host, port, _ := strings.Cut(plain, ":")
	_, securePort, _ := strings.Cut(secure, ":")
	config := fmt.Sprintf(`
global(workDirectory=%[1]q DefaultNetstreamDriverCAFile=%[2]q DefaultNetstreamDriverCertFile=%[3]q
       DefaultNetstreamDriverKeyFile=%[4]q)
module(load="imfile")
template(name="new" type="string" string="<%%PRI%%>1 %%TIMESTAMP:::date-rfc3339%% h %%$.app%% - - - %%msg%%")
template(name="old" type="string" string="<%%PRI%%>%%TIMESTAMP%% h %%$.app%%[7]: %%msg%%")
input(type="imfile" File=%[5]q Tag="x:" Severity="warning" Facility="local3" ruleset="out")
ruleset(name="out") {
  set $.app = "counted";
  action(type="omfwd" target="%[6]s" port="%[7]s" protocol="tcp" TCP_Framing="octet-counted" template="new")
  set $.app = "lines";
  action(type="omfwd" target="%[6]s" port="%[7]s" protocol="tcp" TCP_Framing="traditional" template="old")
  set $.app = "datagrams";
  action(type="omfwd" target="%[6]s" port="%[7]s" protocol="udp" template="old")
  set $.app = "secure";
  action(type="omfwd" target="%[6]s" port="%[8]s" protocol="tcp" TCP_Framing="octet-counted" template="new"
         StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="x509/certvalid")
}
`, dir, authority.File, file("sender.crt"), file("sender.key"), file("in.log"), host, port, securePort)
	if err := os.WriteFile(file("rsyslog.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	startBeside(t, server.Rsyslog(t, dir, file("rsyslog.conf")))
	for name, args := range map[string][]string{
		"logger-tcp":     {"--server", host, "--port", port, "--tcp"},
		"logger-counted": {"--server", host, "--port", port, "--tcp", "--octet-count", "--rfc5424"},
		"logger-old":     {"--server", host, "--port", port, "--udp", "--rfc3164"},
		"logger-socket":  {"--socket", socket},
	} {
		args = append(args, "--tag", name, "--priority", "local3.warning", "number 000000")
		if out, err := exec.Command("logger", args...).CombinedOutput(); err != nil {
			t.Fatalf("logger %q: %v: %s", args, err, out)
		}
	}
	want := map[string]int{
		"counted": count, "lines": count, "datagrams": count, "secure": count,
		"logger-tcp": 1, "logger-counted": 1, "logger-old": 1, "logger-socket": 1,
	}
	var got map[string]map[string]int
	eventually(t, "all messages", time.Minute, func() (bool, string) {
		got = syslogRecords(t, file("out"))
		var missing []string
		for name, n := range want {
			if len(got[name]) < n {
				missing = append(missing, fmt.Sprintf("%s: %d of %d", name, len(got[name]), n))
			}
		}
		return len(missing) == 0, strings.Join(missing, ", ")
	})
	a.stop()
	for name, numbers := range syslogRecords(t, file("out")) {
		for message, times := range numbers {
			if times != 1 {
				t.Errorf("%s: %q came %d times", name, message, times)
			}
		}
		if len(numbers) != want[name] {
			t.Errorf("%s: %d messages", name, len(numbers))
		}
	}
}

func writeNumbered(t *testing.T, path string, count int) {
	t.Helper()
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, "number %06d\n", i)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// syslogRecords returns how often each message came, by service. The facts of the header must be
// right.
func syslogRecords(t *testing.T, path string) map[string]map[string]int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	got := map[string]map[string]int{}
	for line := range strings.Lines(string(text)) {
		var r struct{ Level, Message, Service, Facility string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			continue // it is being written
		}
		if r.Level != "warn" || r.Facility != "local3" || !strings.HasPrefix(r.Message, "number ") {
			t.Fatalf("%s", line)
		}
		if got[r.Service] == nil {
			got[r.Service] = map[string]int{}
		}
		got[r.Service][r.Message]++
	}
	return got
}
