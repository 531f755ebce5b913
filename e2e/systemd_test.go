package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/longshore/longshore/e2e/server"
)

// A serviceManager listens where the agent tells it how it is, as systemd does.
type serviceManager struct {
	t    *testing.T
	env  string // NOTIFY_SOCKET=…
	mu   sync.Mutex
	said []string
}

// newServiceManager listens at an abstract socket, which is also reached from another root folder.
func newServiceManager(t *testing.T) *serviceManager {
	t.Helper()
	address := fmt.Sprintf("@longshore-e2e-%d-%s", os.Getpid(), t.Name())
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &serviceManager{t: t, env: "NOTIFY_SOCKET=" + address}
	var listening sync.WaitGroup
	listening.Go(func() { m.listen(conn) })
	t.Cleanup(func() {
		conn.Close()
		listening.Wait()
	})
	return m
}

func (m *serviceManager) listen(conn *net.UnixConn) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		m.mu.Lock()
		m.said = append(m.said, strings.Split(string(buffer[:n]), "\n")...)
		m.mu.Unlock()
	}
}

// hears waits for a line that was not asked for before, forgets those before it, and gives it.
func (m *serviceManager) hears(pattern string) string {
	m.t.Helper()
	line, found := regexp.MustCompile("^"+pattern+"$"), ""
	eventually(m.t, "the service manager hears "+pattern, time.Minute, func() (bool, string) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for i, said := range m.said {
			if line.MatchString(said) {
				found, m.said = said, m.said[i+1:]
				return true, ""
			}
		}
		return false, fmt.Sprintf("%q", m.said)
	})
	return found
}

// TestServiceManager has the real program tell what it does: that it has started, is alive,
// reloads, also in vain, and stops.
func TestServiceManager(t *testing.T) {
	if signal.Ignored(syscall.SIGHUP) {
		t.Skip("under nohup, which the agent inherits")
	}
	m := newServiceManager(t)
	log := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(log, []byte("one\ntwo\nthree\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, fmt.Sprintf("inputs: {app: {type: file, paths: [%q]}}\noutputs: {out: {type: file, path: %q}}\n",
		log, log+".out"), m.env, "WATCHDOG_USEC=900000")
	a.start()
	m.hears("READY=1")
	m.hears("STATUS=1 source open; 3 records delivered, 0 pending")
	m.hears("WATCHDOG=1")
	m.hears("WATCHDOG=1")

	before := monotonic(t)
	a.cmd.Process.Signal(syscall.SIGHUP)
	m.hears("RELOADING=1")
	when, err := strconv.ParseInt(strings.TrimPrefix(m.hears(`MONOTONIC_USEC=\d+`), "MONOTONIC_USEC="), 10, 64)
	if after := monotonic(t); err != nil || when < before || when > after {
		t.Errorf("it reloads at %d, which is not between %d and %d: %v", when, before, after, err)
	}
	m.hears("READY=1")

	good, err := os.ReadFile(a.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.config, append(good, "nonsense: true\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	a.cmd.Process.Signal(syscall.SIGHUP)
	m.hears("RELOADING=1")
	m.hears("READY=1")
	m.hears("WATCHDOG=1")
	a.cmd.Process.Signal(syscall.SIGTERM)
	m.hears("STOPPING=1")
	m.hears(`EXTEND_TIMEOUT_USEC=45000000`)
	if code := a.ends(); code != 0 {
		t.Errorf("it ends with %d", code)
	}

	a.start() // by the config that is not good
	if code := a.ends(); code != 78 {
		t.Errorf("with a config that is not good it ends with %d", code)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, said := range m.said {
		if said == "READY=1" {
			t.Error("it says that it is ready, by a config that is not good")
		}
	}
}

// monotonic gives the time of the clock of MONOTONIC_USEC.
func monotonic(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

// packaged is the folder of what packages bring beside the program.
var packaged = filepath.Join(root, "packaging", "files")

// TestUnit asks systemd whether the unit file is right, and how much it leaves open.
func TestUnit(t *testing.T) {
	analyze := server.SystemdAnalyze(t)
	dir := t.TempDir()
	for to, from := range map[string]string{
		"usr/bin": filepath.Dir(binary(t, "./cmd/longshore")), "usr/lib/systemd/system": packaged,
		"etc/systemd/system": unitFolder(t),
	} {
		if err := os.CopyFS(filepath.Join(dir, to), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(analyze, "verify", "--root="+dir, "longshore.service").CombinedOutput()
	if err != nil || len(out) > 0 { // it warns of what it does not know, and is content
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err = exec.Command(analyze, "security", "--offline=true", "--threshold=20",
		filepath.Join(packaged, "longshore.service")).CombinedOutput()
	if err != nil {
		t.Errorf("systemd finds that the unit leaves more open than 2.0 of 10: %v\n%s", err, out)
	}
}

// unitFolder makes a folder of the units that every system has, and that others depend on.
func unitFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"sysinit", "basic", "shutdown", "network-online", "multi-user", "network", "umount"} {
		unit := "[Unit]\nDescription=" + name + "\n"
		if err := os.WriteFile(filepath.Join(dir, name+".target"), []byte(unit), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"system", "-"} {
		if err := os.WriteFile(filepath.Join(dir, name+".slice"), []byte("[Slice]\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
